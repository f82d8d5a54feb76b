//! Where things stand, as it is asked at each look, and the gauges that this becomes.

use std::hash::Hash;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::{AccountLabels, SubscriberLabels};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    subscriber: String,
    state: &'static str,
}

/// Where an account stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountGauges {
    /// Its name.
    pub account: String,
    /// When its last good read ended, in seconds of the Unix epoch.
    pub last_good_read: Option<i64>,
    /// When the read after that one was due, in seconds of the Unix epoch; only of a configured
    /// account.
    pub read_due: Option<i64>,
    /// How many hours are owed.
    pub hours_owed: i64,
    /// How many of them are of a gap.
    pub gap_hours: i64,
    /// The gateway's last code that refused it; none when it is let in.
    pub refused_status: Option<i64>,
    /// When somebody was last told that another program reads the account, in seconds of the Unix
    /// epoch.
    pub second_reader: Option<i64>,
    /// How many messages it had left when it was last asked.
    pub balance: Option<i64>,
    /// How many of them are few, where that is configured.
    pub balance_low: Option<i64>,
}

/// Where a subscriber stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriberGauges {
    /// Its name.
    pub subscriber: String,
    /// How many deliveries wait or are being sent.
    pub waiting: i64,
    /// How many are held.
    pub held: i64,
    /// How many were given up.
    pub failed: i64,
    /// When the oldest that waits was made, in seconds of the Unix epoch.
    pub oldest: Option<i64>,
    /// When the first attempt failed after the last that did not, in seconds of the Unix epoch.
    pub failing_since: Option<i64>,
    /// Whether it takes nothing.
    pub is_disabled: bool,
}

/// What the store takes of its disk, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreGauges {
    /// The file.
    pub file: i64,
    /// The log beside it, that is not yet brought into the file.
    pub log: i64,
    /// What is free on its disk.
    pub disk_free: i64,
    /// What must be free: with less, nothing is read.
    pub disk_needed: i64,
}

/// The process itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessGauges {
    /// When it started to serve, in seconds of the Unix epoch.
    pub started: i64,
    /// The time that it believes it is, in seconds of the Unix epoch.
    pub now: i64,
    /// Its memory in bytes, where the system tells.
    pub resident: Option<i64>,
    /// Its open files, where the system tells.
    pub open_files: Option<i64>,
}

/// Where things stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Of each account.
    pub accounts: Vec<AccountGauges>,
    /// Of each subscriber.
    pub subscribers: Vec<SubscriberGauges>,
    /// Of the store.
    pub store: StoreGauges,
    /// Of the process.
    pub process: ProcessGauges,
}

/// Makes gauges of where things stand.
pub(super) fn register(registry: &mut Registry, gauges: &Gauges) {
    accounts(registry, &gauges.accounts);
    subscribers(registry, &gauges.subscribers);
    let StoreGauges { file, log, disk_free, disk_needed } = gauges.store;
    for (name, help, bytes) in [
        ("store_size", "The store's file", file),
        ("store_log_size", "The store's log, which is brought into the file bit by bit", log),
        ("store_disk_free", "What is free on the store's disk", disk_free),
        ("store_disk_needed", "What must be free on it: with less, nothing is read", disk_needed),
    ] {
        registry.register_with_unit(name, help, Unit::Bytes, gauge(bytes));
    }
    registry.register_with_unit(
        "time",
        "What time it is here",
        Unit::Seconds,
        gauge(gauges.process.now),
    );
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "Which replyd this is", version);
}

/// The process's own gauges, by the names that every program's have.
pub(super) fn register_process(registry: &mut Registry, process: &ProcessGauges) {
    let started = gauge(process.started);
    registry.register_with_unit("start_time", "When it started to serve", Unit::Seconds, started);
    if let Some(bytes) = process.resident {
        registry.register_with_unit("resident_memory", "Its memory", Unit::Bytes, gauge(bytes));
    }
    if let Some(files) = process.open_files {
        registry.register("open_fds", "Its open files", gauge(files));
    }
}

fn accounts(registry: &mut Registry, accounts: &[AccountGauges]) {
    let each = |value: fn(&AccountGauges) -> Option<i64>| {
        let labels = |account: &AccountGauges| AccountLabels { account: account.account.clone() };
        family(accounts.iter().map(|account| (labels(account), value(account))))
    };
    for (name, help, value) in [
        (
            "last_good_read_timestamp",
            "When the account's last good read ended",
            (|account| account.last_good_read) as fn(&AccountGauges) -> Option<i64>,
        ),
        (
            "read_due_timestamp",
            "When by the schedule the read after the last good one was due",
            |account| account.read_due,
        ),
        (
            "second_reader_timestamp",
            "When another program was last seen to read the account",
            |account| account.second_reader,
        ),
    ] {
        registry.register_with_unit(name, help, Unit::Seconds, each(value));
    }
    for (name, help, value) in [
        (
            "hours_owed",
            "Hours that are owed a read by time",
            (|account| Some(account.hours_owed)) as fn(&AccountGauges) -> Option<i64>,
        ),
        ("gap_hours", "Hours among them in which replies may be missing", |account| {
            Some(account.gap_hours)
        }),
        ("refused_status", "The gateway's code while it refuses the account, else 0", |account| {
            Some(account.refused_status.unwrap_or_default())
        }),
        ("balance_messages", "Messages left when the gateway was last asked", |account| {
            account.balance
        }),
        ("balance_low_messages", "How many messages left are few", |account| account.balance_low),
    ] {
        registry.register(name, help, each(value));
    }
}

fn subscribers(registry: &mut Registry, subscribers: &[SubscriberGauges]) {
    let each = |value: fn(&SubscriberGauges) -> Option<i64>| {
        let labels = |subscriber: &SubscriberGauges| SubscriberLabels {
            subscriber: subscriber.subscriber.clone(),
        };
        family(subscribers.iter().map(|subscriber| (labels(subscriber), value(subscriber))))
    };
    let deliveries = subscribers.iter().flat_map(|subscriber| {
        let name = &subscriber.subscriber;
        let counts = [
            ("waiting", subscriber.waiting),
            ("held", subscriber.held),
            ("failed", subscriber.failed),
        ];
        counts
            .map(|(state, count)| (DeliveryLabels { subscriber: name.clone(), state }, Some(count)))
    });
    registry.register("deliveries", "Deliveries that are not done", family(deliveries));
    registry.register_with_unit(
        "oldest_delivery_timestamp",
        "When the oldest delivery that waits was made",
        Unit::Seconds,
        each(|subscriber| subscriber.oldest),
    );
    registry.register_with_unit(
        "subscriber_failing_since_timestamp",
        "Since when every attempt fails",
        Unit::Seconds,
        each(|subscriber| subscriber.failing_since),
    );
    registry.register(
        "subscriber_disabled",
        "Whether the subscriber takes no deliveries",
        each(|subscriber| Some(subscriber.is_disabled.into())),
    );
}

fn gauge(value: i64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(value);
    gauge
}

/// A gauge for each that has a value.
fn family<Labels>(values: impl Iterator<Item = (Labels, Option<i64>)>) -> Family<Labels, Gauge>
where
    Labels: Clone + Eq + Hash,
{
    let family = Family::<Labels, Gauge>::default();
    for (labels, value) in values {
        if let Some(value) = value {
            family.get_or_create(&labels).set(value);
        }
    }
    family
}

//! What the service counts of itself, in the form that Prometheus reads.
//!
//! What happens is counted where it happens, since the start of the process; where things stand is
//! asked of the store at each look. Labels hold names of the configuration and words of this
//! program: never a number, a URL or a secret.

use std::hash::Hash;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The bounds of what an attempt takes, in seconds: from a local receiver to the usual timeout.
const ATTEMPT_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];
/// The bounds of what a reply's way takes, in seconds: from at once to the last retry.
const DELIVERY_SECONDS: [f64; 12] =
    [0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 1_800.0, 7_200.0, 43_200.0, 172_800.0, 604_800.0];

/// A read, as it is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReadLabels {
    account: String,
    kind: &'static str,
    outcome: &'static str,
}

/// Records of answers, as they are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RecordLabels {
    account: String,
    outcome: &'static str,
}

/// An attempt, as it is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    subscriber: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AccountLabels {
    account: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SubscriberLabels {
    subscriber: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    subscriber: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FallbackLabels {
    subscriber: String,
    fallback: String,
}

/// The counts of a process. Clones count together.
#[derive(Clone)]
pub struct Metrics {
    reads: Family<ReadLabels, Counter>,
    records: Family<RecordLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    attempt_seconds: Family<SubscriberLabels, Histogram, fn() -> Histogram>,
    delivery_seconds: Family<SubscriberLabels, Histogram, fn() -> Histogram>,
    taken_over: Family<FallbackLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            reads: Family::default(),
            records: Family::default(),
            attempts: Family::default(),
            attempt_seconds: Family::new_with_constructor(|| Histogram::new(ATTEMPT_SECONDS)),
            delivery_seconds: Family::new_with_constructor(|| Histogram::new(DELIVERY_SECONDS)),
            taken_over: Family::default(),
        }
    }
}

/// A read that was made and taken in.
#[derive(Clone, Copy, Debug)]
pub struct CountedRead<'a> {
    /// The account.
    pub account: &'a str,
    /// `plain` or `hour`.
    pub kind: &'static str,
    /// `proven`, `doubtful` or `refused`.
    pub outcome: &'static str,
    /// Records that became replies.
    pub new: usize,
    /// Records that were known.
    pub known: usize,
    /// Stretches that are no records.
    pub faults: usize,
}

/// An attempt that was made.
#[derive(Clone, Copy, Debug)]
pub struct CountedAttempt<'a> {
    /// The subscriber.
    pub subscriber: &'a str,
    /// `delivered`, or what follows: `retry`, `waiting` or `failed`.
    pub outcome: &'static str,
    /// How long it took.
    pub took: Duration,
    /// How long its delivery was under way when it was delivered.
    pub delivered_after: Option<Duration>,
}

/// Where an account stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountGauges {
    /// Its name.
    pub account: String,
    /// When its last proven read ended, in seconds of the Unix epoch.
    pub last_good_read: Option<i64>,
    /// How many hours are owed.
    pub hours_owed: i64,
    /// The gateway's last code that refused it; none when it is let in.
    pub refused_status: Option<i64>,
    /// How many messages it had left when it was last asked.
    pub balance: Option<i64>,
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
    /// Whether it takes nothing.
    pub is_disabled: bool,
}

/// Where things stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Of each account.
    pub accounts: Vec<AccountGauges>,
    /// Of each subscriber.
    pub subscribers: Vec<SubscriberGauges>,
    /// The store's size on disk, without its log.
    pub store_bytes: i64,
}

impl Metrics {
    /// Counts a read.
    pub fn read(&self, read: CountedRead<'_>) {
        let CountedRead { account, kind, outcome, new, known, faults } = read;
        self.reads.get_or_create(&ReadLabels { account: account.to_owned(), kind, outcome }).inc();
        for (outcome, count) in [("new", new), ("known", known), ("fault", faults)] {
            let labels = RecordLabels { account: account.to_owned(), outcome };
            self.records.get_or_create(&labels).inc_by(count as u64);
        }
    }

    /// Counts an attempt.
    pub fn attempt(&self, attempt: CountedAttempt<'_>) {
        let CountedAttempt { subscriber, outcome, took, delivered_after } = attempt;
        let labels = AttemptLabels { subscriber: subscriber.to_owned(), outcome };
        self.attempts.get_or_create(&labels).inc();
        let labels = SubscriberLabels { subscriber: subscriber.to_owned() };
        self.attempt_seconds.get_or_create(&labels).observe(took.as_secs_f64());
        if let Some(after) = delivered_after {
            self.delivery_seconds.get_or_create(&labels).observe(after.as_secs_f64());
        }
    }

    /// Counts deliveries that a subscriber's fallback took over.
    pub fn taken_over(&self, subscriber: &str, fallback: &str, deliveries: usize) {
        let (subscriber, fallback) = (subscriber.to_owned(), fallback.to_owned());
        let labels = FallbackLabels { subscriber, fallback };
        self.taken_over.get_or_create(&labels).inc_by(deliveries as u64);
    }

    /// The text for Prometheus: what was counted, and where things stand.
    #[must_use]
    pub fn render(&self, gauges: &Gauges) -> String {
        let mut registry = Registry::with_prefix("replyd");
        self.register(&mut registry);
        register(&mut registry, gauges);
        let mut rendered = String::new();
        // Writing to a string does not fail; half a text would be worse than none.
        if text::encode(&mut rendered, &registry).is_err() {
            rendered.clear();
        }
        rendered
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("reads", "Reads of the gateway that were taken in", self.reads.clone());
        registry.register("records", "Records of the gateway's answers", self.records.clone());
        registry.register("attempts", "Attempts to deliver", self.attempts.clone());
        registry.register(
            "taken_over_deliveries",
            "Deliveries that a subscriber's fallback took over",
            self.taken_over.clone(),
        );
        registry.register_with_unit(
            "attempt_duration",
            "How long attempts took",
            Unit::Seconds,
            self.attempt_seconds.clone(),
        );
        registry.register_with_unit(
            "delivery_duration",
            "From when a delivery was made until its receiver had it",
            Unit::Seconds,
            self.delivery_seconds.clone(),
        );
    }
}

fn register(registry: &mut Registry, gauges: &Gauges) {
    let by_account = |value: fn(&AccountGauges) -> Option<i64>| {
        let labels = |account: &AccountGauges| AccountLabels { account: account.account.clone() };
        family(gauges.accounts.iter().map(|account| (labels(account), value(account))))
    };
    let by_subscriber = |value: fn(&SubscriberGauges) -> Option<i64>| {
        let labels = |subscriber: &SubscriberGauges| SubscriberLabels {
            subscriber: subscriber.subscriber.clone(),
        };
        family(gauges.subscribers.iter().map(|subscriber| (labels(subscriber), value(subscriber))))
    };
    registry.register_with_unit(
        "last_good_read_timestamp",
        "When the account's last proven read ended",
        Unit::Seconds,
        by_account(|account| account.last_good_read),
    );
    registry.register(
        "hours_owed",
        "Hours that are owed a read by time",
        by_account(|account| Some(account.hours_owed)),
    );
    registry.register(
        "refused_status",
        "The gateway's code while it refuses the account, else 0",
        by_account(|account| Some(account.refused_status.unwrap_or_default())),
    );
    registry.register(
        "balance_messages",
        "Messages left when the gateway was last asked",
        by_account(|account| account.balance),
    );
    let deliveries = gauges.subscribers.iter().flat_map(|subscriber| {
        let name = &subscriber.subscriber;
        let counts = [
            ("waiting", subscriber.waiting),
            ("held", subscriber.held),
            ("failed", subscriber.failed),
        ];
        counts
            .map(|(state, count)| (DeliveryLabels { subscriber: name.clone(), state }, Some(count)))
    });
    let deliveries = family(deliveries);
    registry.register("deliveries", "Deliveries that are not done", deliveries);
    registry.register_with_unit(
        "oldest_delivery_timestamp",
        "When the oldest delivery that waits was made",
        Unit::Seconds,
        by_subscriber(|subscriber| subscriber.oldest),
    );
    registry.register(
        "subscriber_disabled",
        "Whether the subscriber takes no deliveries",
        by_subscriber(|subscriber| Some(subscriber.is_disabled.into())),
    );
    let size = Gauge::<i64>::default();
    size.set(gauges.store_bytes);
    registry.register_with_unit("store_size", "The store's size on disk", Unit::Bytes, size);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_and_where_things_stand_is_rendered() {
        let metrics = Metrics::default();
        let read = CountedRead {
            account: "main",
            kind: "plain",
            outcome: "proven",
            new: 3,
            known: 1,
            faults: 0,
        };
        metrics.read(read);
        metrics.clone().read(read);
        metrics.attempt(CountedAttempt {
            subscriber: "crm",
            outcome: "delivered",
            took: Duration::from_millis(7),
            delivered_after: Some(Duration::from_millis(70)),
        });
        metrics.taken_over("crm", "duty", 3);
        let account = AccountGauges {
            account: "main".to_owned(),
            last_good_read: Some(1_795_665_600),
            hours_owed: 2,
            ..AccountGauges::default()
        };
        let subscriber = SubscriberGauges {
            subscriber: "crm".to_owned(),
            waiting: 4,
            is_disabled: true,
            ..SubscriberGauges::default()
        };
        let gauges =
            Gauges { accounts: vec![account], subscribers: vec![subscriber], store_bytes: 4_096 };
        let text = metrics.render(&gauges);
        for line in [
            "# TYPE replyd_reads counter",
            r#"replyd_reads_total{account="main",kind="plain",outcome="proven"} 2"#,
            r#"replyd_records_total{account="main",outcome="new"} 6"#,
            r#"replyd_attempts_total{subscriber="crm",outcome="delivered"} 1"#,
            r#"replyd_taken_over_deliveries_total{subscriber="crm",fallback="duty"} 3"#,
            r#"replyd_attempt_duration_seconds_bucket{le="0.005",subscriber="crm"} 0"#,
            r#"replyd_attempt_duration_seconds_bucket{le="0.01",subscriber="crm"} 1"#,
            r#"replyd_delivery_duration_seconds_count{subscriber="crm"} 1"#,
            r#"replyd_last_good_read_timestamp_seconds{account="main"} 1795665600"#,
            r#"replyd_hours_owed{account="main"} 2"#,
            r#"replyd_refused_status{account="main"} 0"#,
            r#"replyd_deliveries{subscriber="crm",state="waiting"} 4"#,
            r#"replyd_subscriber_disabled{subscriber="crm"} 1"#,
            "replyd_store_size_bytes 4096",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        // What is not known is not there, rather than 0.
        assert!(!text.contains("replyd_balance_messages{"), "{text}");
    }
}

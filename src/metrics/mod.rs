//! What the service counts of itself, in the form that Prometheus reads.
//!
//! What happens is counted where it happens, since the start of the process; where things stand is
//! asked of the store at each look. Labels hold names of the configuration and words of this
//! program: never a number, a URL or a secret.

mod gauges;

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub use gauges::{AccountGauges, Gauges, ProcessGauges, StoreGauges, SubscriberGauges};

/// The bounds of what an attempt takes, in seconds: from a local receiver to the usual timeout.
const ATTEMPT_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];
/// The bounds of what a reply's way takes, in seconds: from at once to the last retry.
const DELIVERY_SECONDS: [f64; 12] =
    [0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 1_800.0, 7_200.0, 43_200.0, 172_800.0, 604_800.0];

/// The bounds of the time from when a reply was written, in seconds: it waits at the gateway for
/// the next read, and may wait with its carrier for hours.
const REPLY_SECONDS: [f64; 12] =
    [1.0, 5.0, 30.0, 60.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0];

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
struct FallbackLabels {
    subscriber: String,
    fallback: String,
}

/// The counts of a process. Clones count together.
#[derive(Clone)]
pub struct Metrics {
    reads: Family<ReadLabels, Counter>,
    records: Family<RecordLabels, Counter>,
    lossy: Family<AccountLabels, Counter>,
    suspect: Family<AccountLabels, Counter>,
    given_up: Family<AccountLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    attempt_seconds: Family<SubscriberLabels, Histogram, fn() -> Histogram>,
    delivery_seconds: Family<SubscriberLabels, Histogram, fn() -> Histogram>,
    taken_over: Family<FallbackLabels, Counter>,
    reply_seconds: Family<SubscriberLabels, Histogram, fn() -> Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            reads: Family::default(),
            records: Family::default(),
            lossy: Family::default(),
            suspect: Family::default(),
            given_up: Family::default(),
            attempts: Family::default(),
            attempt_seconds: Family::new_with_constructor(|| Histogram::new(ATTEMPT_SECONDS)),
            delivery_seconds: Family::new_with_constructor(|| Histogram::new(DELIVERY_SECONDS)),
            taken_over: Family::default(),
            reply_seconds: Family::new_with_constructor(|| Histogram::new(REPLY_SECONDS)),
        }
    }
}

/// A read that was taken in.
#[derive(Clone, Copy, Debug)]
pub struct CountedRead<'a> {
    /// The account.
    pub account: &'a str,
    /// `plain` or `hour`.
    pub kind: &'static str,
    /// `proven`, `doubtful` or `refused`.
    pub outcome: &'static str,
    /// Hours that it gave up.
    pub given_up: usize,
}

/// Records that were taken in.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountedRecords<'a> {
    /// The account.
    pub account: &'a str,
    /// Those that became replies.
    pub new: usize,
    /// Those that were known.
    pub known: usize,
    /// Stretches that are no records.
    pub faults: usize,
    /// New replies of which some bytes are no characters.
    pub lossy: usize,
    /// New replies that may not be what they seem.
    pub suspect: usize,
}

/// What became of a delivery by an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Delivered,
    /// It is tried again.
    Retry,
    /// It waits for its subscriber.
    Waiting,
    /// It is given up.
    Failed,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Delivered, Self::Retry, Self::Waiting, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retry => "retry",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        }
    }
}

/// An attempt that was made.
#[derive(Clone, Copy, Debug)]
pub struct CountedAttempt {
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// How long its delivery was under way when it was delivered.
    pub delivered_after: Option<Duration>,
    /// How long ago its reply was written when it was delivered.
    pub written_before: Option<Duration>,
}

/// The counts of the attempts at one subscriber, which are there from then on, be they 0. They are
/// looked up once, and not at each attempt.
pub struct AttemptCounts {
    attempts: [(Outcome, Counter); 4],
    attempt_seconds: Histogram,
    delivery_seconds: Histogram,
    reply_seconds: Histogram,
}

impl AttemptCounts {
    /// Counts an attempt.
    pub fn count(&self, attempt: CountedAttempt) {
        for (_, count) in self.attempts.iter().filter(|(outcome, _)| *outcome == attempt.outcome) {
            count.inc();
        }
        self.attempt_seconds.observe(attempt.took.as_secs_f64());
        if let Some(after) = attempt.delivered_after {
            self.delivery_seconds.observe(after.as_secs_f64());
        }
        if let Some(before) = attempt.written_before {
            self.reply_seconds.observe(before.as_secs_f64());
        }
    }
}

impl Metrics {
    /// Counts a read.
    pub fn read(&self, read: CountedRead<'_>) {
        let CountedRead { account, kind, outcome, given_up } = read;
        self.reads.get_or_create(&ReadLabels { account: account.to_owned(), kind, outcome }).inc();
        add(&self.given_up, account, given_up);
    }

    /// Counts records.
    pub fn records(&self, records: CountedRecords<'_>) {
        let CountedRecords { account, new, known, faults, lossy, suspect } = records;
        for (outcome, count) in [("new", new), ("known", known), ("fault", faults)] {
            let labels = RecordLabels { account: account.to_owned(), outcome };
            self.records.get_or_create(&labels).inc_by(count as u64);
        }
        add(&self.lossy, account, lossy);
        add(&self.suspect, account, suspect);
    }

    /// The counts of the attempts at a subscriber.
    #[must_use]
    pub fn attempts_of(&self, subscriber: &str) -> AttemptCounts {
        let of = || SubscriberLabels { subscriber: subscriber.to_owned() };
        let attempts = Outcome::ALL.map(|outcome| {
            let (subscriber, name) = (subscriber.to_owned(), outcome.as_str());
            let labels = AttemptLabels { subscriber, outcome: name };
            (outcome, self.attempts.get_or_create_owned(&labels))
        });
        AttemptCounts {
            attempts,
            attempt_seconds: self.attempt_seconds.get_or_create_owned(&of()),
            delivery_seconds: self.delivery_seconds.get_or_create_owned(&of()),
            reply_seconds: self.reply_seconds.get_or_create_owned(&of()),
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
        let mut process = Registry::with_prefix("process");
        gauges::register_process(&mut process, &gauges.process);
        let mut registry = Registry::with_prefix("replyd");
        self.register(&mut registry);
        gauges::register(&mut registry, gauges);
        let mut rendered = String::new();
        let encoded = text::encode_registry(&mut rendered, &process)
            .and_then(|()| text::encode(&mut rendered, &registry));
        // Writing to a string does not fail; half a text would be worse than none.
        if encoded.is_err() {
            rendered.clear();
        }
        rendered
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("reads", "Reads of the gateway that were taken in", self.reads.clone());
        registry.register("records", "Records of the gateway's answers", self.records.clone());
        for (name, help, counts) in [
            ("lossy_replies", "New replies with bytes that are no characters", &self.lossy),
            ("suspect_replies", "New replies that may not be what they seem", &self.suspect),
            ("hours_given_up", "Hours that the gateway does not show whole", &self.given_up),
        ] {
            registry.register(name, help, counts.clone());
        }
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
        registry.register_with_unit(
            "reply_duration",
            "From when a reply was written until its receiver had it",
            Unit::Seconds,
            self.reply_seconds.clone(),
        );
    }
}

/// Adds to an account's count, which is there from then on, be it 0.
fn add(counts: &Family<AccountLabels, Counter>, account: &str, count: usize) {
    counts.get_or_create(&AccountLabels { account: account.to_owned() }).inc_by(count as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_and_where_things_stand_is_rendered() {
        let metrics = Metrics::default();
        let read = CountedRead { account: "main", kind: "plain", outcome: "proven", given_up: 0 };
        metrics.read(read);
        metrics.clone().read(read);
        let records =
            CountedRecords { account: "main", new: 6, known: 2, lossy: 1, ..Default::default() };
        metrics.records(records);
        metrics.attempts_of("crm").count(CountedAttempt {
            outcome: Outcome::Delivered,
            took: Duration::from_millis(7),
            delivered_after: Some(Duration::from_millis(70)),
            written_before: Some(Duration::from_secs(400)),
        });
        metrics.taken_over("crm", "duty", 3);
        let account = AccountGauges {
            account: "main".to_owned(),
            last_good_read: Some(1_795_665_600),
            hours_owed: 2,
            gap_hours: 1,
            balance_low: Some(100),
            ..AccountGauges::default()
        };
        let subscriber = SubscriberGauges {
            subscriber: "crm".to_owned(),
            waiting: 4,
            is_disabled: true,
            ..SubscriberGauges::default()
        };
        let gauges = Gauges {
            accounts: vec![account],
            subscribers: vec![subscriber],
            store: StoreGauges { file: 4_096, log: 1, disk_free: 2, disk_needed: 3 },
            process: ProcessGauges { started: 5, now: 6, resident: None, open_files: Some(7) },
        };
        let text = metrics.render(&gauges);
        for line in [
            "# TYPE replyd_reads counter",
            r#"replyd_reads_total{account="main",kind="plain",outcome="proven"} 2"#,
            r#"replyd_records_total{account="main",outcome="new"} 6"#,
            r#"replyd_lossy_replies_total{account="main"} 1"#,
            r#"replyd_suspect_replies_total{account="main"} 0"#,
            r#"replyd_hours_given_up_total{account="main"} 0"#,
            r#"replyd_attempts_total{subscriber="crm",outcome="delivered"} 1"#,
            r#"replyd_attempts_total{subscriber="crm",outcome="failed"} 0"#,
            r#"replyd_taken_over_deliveries_total{subscriber="crm",fallback="duty"} 3"#,
            r#"replyd_reply_duration_seconds_bucket{le="300.0",subscriber="crm"} 0"#,
            r#"replyd_reply_duration_seconds_bucket{le="600.0",subscriber="crm"} 1"#,
            r#"replyd_attempt_duration_seconds_bucket{le="0.005",subscriber="crm"} 0"#,
            r#"replyd_attempt_duration_seconds_bucket{le="0.01",subscriber="crm"} 1"#,
            r#"replyd_delivery_duration_seconds_count{subscriber="crm"} 1"#,
            r#"replyd_last_good_read_timestamp_seconds{account="main"} 1795665600"#,
            r#"replyd_hours_owed{account="main"} 2"#,
            r#"replyd_gap_hours{account="main"} 1"#,
            r#"replyd_balance_low_messages{account="main"} 100"#,
            r#"replyd_refused_status{account="main"} 0"#,
            r#"replyd_deliveries{subscriber="crm",state="waiting"} 4"#,
            r#"replyd_subscriber_disabled{subscriber="crm"} 1"#,
            "replyd_store_size_bytes 4096",
            "replyd_store_log_size_bytes 1",
            "replyd_store_disk_free_bytes 2",
            "replyd_store_disk_needed_bytes 3",
            "replyd_time_seconds 6",
            "process_start_time_seconds 5",
            "process_open_fds 7",
            concat!("replyd_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        // What is not known is not there, rather than 0.
        for unknown in [
            "replyd_balance_messages{",
            "process_resident_memory_bytes ",
            "failing_since_timestamp_seconds{",
        ] {
            assert!(!text.contains(unknown), "{unknown}\n{text}");
        }
    }
}

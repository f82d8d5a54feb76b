//! What the store takes and gives when replies are delivered.

use std::time::Duration;

use crate::route::Route;
use crate::time::{Hour, UnixMs};

/// A subscriber as `run` writes it into the store.
#[derive(Clone, Debug)]
pub struct SubscriberSpec {
    /// Its name.
    pub name: String,
    /// What it wants to be told.
    pub route: Route,
    /// Whether it is sent to. One that is not keeps its deliveries waiting.
    pub enabled: bool,
}

/// Why a delivery exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The reply was new.
    Auto,
    /// Somebody asked for another try.
    Retry,
    /// Somebody asked for its hour again.
    Replay,
    /// Somebody tests the subscriber.
    Test,
}

impl Trigger {
    /// All triggers.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Retry, Self::Replay, Self::Test];

    /// The word for it in the store, in JSON and in the `replyd-trigger` header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Retry => "retry",
            Self::Replay => "replay",
            Self::Test => "test",
        }
    }
}

/// A delivery claimed by a worker: its alone until the lease ends.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    /// The delivery's number.
    pub delivery: i64,
    /// Which claim of it this is: an outcome counts only while no later claim was made.
    pub lease: i64,
    /// The event's id, the receiver's `webhook-id`.
    pub event_id: String,
    /// The event's body: the same bytes at every attempt.
    pub body: String,
    /// Why the delivery exists.
    pub trigger: Trigger,
    /// When it was made.
    pub created: UnixMs,
    /// The number of this attempt, from 1.
    pub attempt: u32,
}

/// What was tried and what came of it. No `Debug`: an answer may hold anything.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The delivery's number.
    pub delivery: i64,
    /// The claim under which it was tried.
    pub lease: i64,
    /// The number of the attempt, from 1.
    pub number: u32,
    /// When it began.
    pub started: UnixMs,
    /// How long it took.
    pub took: Duration,
    /// The address that was reached.
    pub address: Option<String>,
    /// The answer's status.
    pub http_status: Option<u16>,
    /// What went wrong, in plain words.
    pub error: Option<String>,
    /// The first of the answer's body.
    pub answer: Vec<u8>,
    /// What happens next, in plain words.
    pub explanation: String,
    /// What happens next.
    pub next: Next,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is done.
    Delivered,
    /// It is tried again then.
    RetryAt(UnixMs),
    /// It is given up, and kept.
    Failed,
}

/// Which replies to deliver again, and to whom.
#[derive(Clone, Debug)]
pub struct ReplayRequest {
    /// The hour in which they were written.
    pub hour: Hour,
    /// The account; none means all.
    pub account: Option<String>,
    /// The subscribers; none named means all that are in the store.
    pub subscribers: Vec<String>,
    /// Whether only to count.
    pub dry_run: bool,
}

/// What a replay did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Replies of the hour.
    pub replies: usize,
    /// New deliveries, by subscriber.
    pub deliveries: Vec<(String, usize)>,
}

/// How many there are of what, for summaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Reads whose answer was taken in or never came.
    pub reads: u64,
    /// Replies kept.
    pub replies: u64,
    /// Deliveries made.
    pub deliveries: u64,
    /// Deliveries that were delivered.
    pub delivered: u64,
    /// Deliveries that still wait or are being sent.
    pub pending: u64,
    /// Deliveries that were given up.
    pub failed: u64,
    /// Attempts, of which all but one of each delivery are retries.
    pub attempts: u64,
    /// Hours that are owed a read.
    pub hours_owed: u64,
}

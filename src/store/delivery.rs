//! What the store takes and gives when replies are delivered.

use std::sync::Arc;

use bytes::Bytes;

use crate::route::Route;
use crate::time::UnixMs;

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

    /// The one that has this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trigger| trigger.as_str() == word)
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It waits until somebody releases it: its reply is suspect.
    Held,
    /// It goes out when it is due.
    Waiting,
    /// It waits, and a worker has it in hand.
    Sending,
    /// The receiver has it.
    Delivered,
    /// It was given up.
    Failed,
    /// Somebody did not want it any more, or its subscriber's fallback took it over.
    Cancelled,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Held, Self::Waiting, Self::Sending, Self::Delivered, Self::Failed, Self::Cancelled];

    /// The word for it in the store, in JSON and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether a delivery in this state may still bring its event.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Held | Self::Waiting | Self::Sending)
    }

    /// The one that has this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// A delivery claimed by a worker: in its hand alone until its lease ends.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    /// The delivery's number.
    pub delivery: i64,
    /// The lease under which it is in hand: an outcome counts only while that stands.
    pub lease: i64,
    /// The event's id, the receiver's `webhook-id`.
    pub event_id: String,
    /// The event's body: the same bytes at every attempt.
    pub body: Bytes,
    /// Why the delivery exists.
    pub trigger: Trigger,
    /// From when its time to be given up counts: when it was made, or released.
    pub created: UnixMs,
    /// When its reply was written; none of other events.
    pub written: Option<UnixMs>,
    /// In whose line it goes out; none of other events than replies.
    pub person: Option<Person>,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// Whether it was refused for good in a message with others, so that it goes by itself.
    pub alone: bool,
    /// For whom it stands in, where it is a fallback's.
    pub stands_in: Option<StandsIn>,
}

/// A person whose deliveries of one lane go out one after the other.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Person {
    /// The lane, as the store numbers them: what is new has one, what is told again another.
    pub lane: i64,
    /// The number that the replies came from.
    pub mobile: Arc<str>,
}

/// A delivery that a worker has in hand.
#[derive(Clone, PartialEq, Eq)]
pub struct Holding {
    /// The delivery's number.
    pub delivery: i64,
    /// In whose line it goes out.
    pub person: Option<Person>,
}

/// For whom a fallback is told of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandsIn {
    /// The subscriber that was to be told.
    pub subscriber: String,
    /// Whether that one may have been told already.
    pub in_doubt: bool,
}

impl Claim {
    /// That of a first attempt.
    #[cfg(test)]
    pub(crate) fn first(delivery: i64, event_id: &str, body: &str) -> Self {
        Self {
            delivery,
            lease: 1,
            event_id: event_id.to_owned(),
            body: body.to_owned().into(),
            trigger: Trigger::Auto,
            created: UnixMs(0),
            written: None,
            person: None,
            attempt: 1,
            alone: false,
            stands_in: None,
        }
    }

    /// What its worker has in hand by it.
    #[must_use]
    pub fn holding(&self) -> Holding {
        Holding { delivery: self.delivery, person: self.person.clone() }
    }

    /// Whether it brings again what was told before.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.trigger == Trigger::Replay
    }
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

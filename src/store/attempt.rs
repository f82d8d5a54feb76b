//! What was tried and what came of it, in facts: the words for them are made where they are shown,
//! in whichever language is wanted.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[cfg(test)]
use crate::store::delivery::Claim;
use crate::time::UnixMs;

/// An attempt to deliver. No `Debug`: an answer may hold anything.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The delivery's number.
    pub delivery: i64,
    /// The lease under which it was tried.
    pub lease: i64,
    /// The number of the attempt, from 1.
    pub number: u32,
    /// When it began.
    pub started: UnixMs,
    /// How long it took.
    pub took: Duration,
    /// The address that was reached.
    pub address: Option<SocketAddr>,
    /// How long its parts took, as far as it came.
    pub timings: Timings,
    /// The answer's status.
    pub http_status: Option<u16>,
    /// What went wrong, if anything did.
    pub trouble: Option<Trouble>,
    /// The first of the answer's body.
    pub answer: Vec<u8>,
    /// What happens next, and why.
    pub next: Next,
    /// How long the receiver asks to be left alone, if it does.
    pub asked: Option<Duration>,
    /// Why its subscriber is to take no more deliveries, if the answer says so.
    pub disable: Option<Disabled>,
    /// The text that the receiver wants sent to whoever wrote the reply.
    pub reply: Option<String>,
}

/// What names an attempt among those that are kept. One number may be two's: where a sender that had
/// lost its lease tells late what came of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptKey {
    /// The delivery's number.
    pub delivery: i64,
    /// The number of the attempt.
    pub number: i64,
    /// When it began.
    pub started: UnixMs,
}

#[cfg(test)]
impl Attempt {
    /// One under a claim that took no time and met nobody.
    pub(crate) fn under(claim: &Claim, started: UnixMs, next: Next) -> Self {
        Self {
            delivery: claim.delivery,
            lease: claim.lease,
            number: claim.attempt,
            started,
            took: Duration::ZERO,
            address: None,
            timings: Timings::default(),
            http_status: None,
            trouble: None,
            answer: Vec::new(),
            next,
            asked: None,
            disable: None,
            reply: None,
        }
    }
}

/// How long the parts of an attempt took; none for a part that was not come to, or that a kept
/// connection did not need. A part that the attempt broke off in counts until then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// From the name to its addresses.
    pub resolve: Option<Duration>,
    /// Until the connection stood.
    pub connect: Option<Duration>,
    /// Until it was encrypted.
    pub tls: Option<Duration>,
    /// From the request to the first byte of the answer.
    pub first_byte: Option<Duration>,
}

/// A part of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The name is resolved.
    Resolve,
    /// The connection is made.
    Connect,
    /// It is encrypted.
    Tls,
    /// The request is sent, and the first of the answer waited for.
    Answer,
}

/// What went wrong in an attempt. `detail` is what a library or the system said, in English.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trouble {
    /// The destination stands on an inside address, and that is not permitted.
    Inside {
        /// The address.
        address: String,
    },
    /// The name could not be resolved.
    Resolve {
        /// Why.
        detail: String,
    },
    /// No connection could be made.
    Connect {
        /// Why.
        detail: String,
    },
    /// The connection could not be encrypted.
    Tls {
        /// Why.
        detail: String,
    },
    /// The proxy did not connect.
    Proxy {
        /// Why.
        detail: String,
    },
    /// The attempt's time was over.
    Timeout {
        /// In which part of it.
        phase: Phase,
        /// How long an attempt may take.
        within_ms: u64,
    },
    /// The connection broke before an answer came.
    Broken {
        /// How.
        detail: String,
    },
    /// The answer's status is no success.
    Status {
        /// The status.
        status: u16,
    },
    /// A chat product's answer is no success, whatever its status.
    Product {
        /// The product: its format's word.
        product: String,
        /// The product's own number or word for it; empty where it gave none.
        code: String,
        /// What the product said of it.
        message: String,
        /// What that means for what is sent to it.
        refusal: Refusal,
    },
    /// One of several requests went wrong by which the event was to be brought.
    Step {
        /// Which.
        step: Step,
        /// How.
        of: Box<Trouble>,
    },
    /// What an older version said of it, in its words.
    Told {
        /// The words.
        words: String,
    },
}

impl Trouble {
    /// What went wrong, in whichever of several requests.
    #[must_use]
    pub fn itself(&self) -> &Self {
        match self {
            Self::Step { of, .. } => of.itself(),
            other => other,
        }
    }
}

/// One of the requests by which a product is brought a message, where one is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Its contact is found or made.
    Contact,
    /// The contact's conversation is looked for.
    Conversation,
    /// A conversation is begun.
    NewConversation,
    /// It is looked whether the conversation has the message.
    Look,
    /// The message is brought.
    Message,
}

/// What a product's refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It was sent too much.
    Throttled,
    /// It cannot take anything just now.
    Busy,
    /// It does not take this message, now or later.
    Refused,
    /// Nobody is there any more to whom it could be told.
    Gone,
    /// It said nothing that can be read: whether it has the message is not known.
    Unreadable,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "then", rename_all = "snake_case")]
pub enum Next {
    /// It is done.
    Delivered,
    /// It is tried again.
    Retry {
        /// When.
        at: UnixMs,
        /// The wait that led to it, without jitter, in milliseconds.
        wait_ms: u64,
        /// Whether the receiver asked for it.
        asked: bool,
    },
    /// It waits until its subscriber takes deliveries again.
    Wait {
        /// Why the subscriber was disabled.
        why: Disabled,
    },
    /// It is given up, and kept.
    Failed {
        /// Why.
        why: GivenUp,
    },
    /// What an older version said of it, in its words.
    Told {
        /// The words.
        words: String,
    },
}

/// Why a delivery was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenUp {
    /// It was tried for as long as it may be.
    TooOld {
        /// How long that is, in milliseconds.
        give_up_ms: u64,
    },
    /// The receiver asked never to be told of it again.
    Aborted,
    /// It was a test, which is made once.
    Test,
}

/// Why a subscriber takes no deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disabled {
    /// Somebody disabled it by a command.
    ByHand,
    /// Its receiver answered 410, or its product knows it no more: it is gone for good.
    Gone,
    /// Its receiver asked for it by a header.
    Asked,
    /// For days every attempt failed.
    Failing,
}

impl Disabled {
    /// Every reason and its word in the store and in JSON.
    pub const WORDS: [(&str, Self); 4] = [
        ("by_hand", Self::ByHand),
        ("gone", Self::Gone),
        ("asked", Self::Asked),
        ("failing", Self::Failing),
    ];

    /// The reason's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let word = Self::WORDS.into_iter().find(|(_, reason)| *reason == self);
        word.map_or("", |(word, _)| word)
    }

    /// The one that has this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.into_iter().find(|(known, _)| *known == word).map(|(_, reason)| reason)
    }
}

//! A subscriber: where it leads, how it does, what waits for it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Map;

use super::attempt::{Attempt, AttemptOfDelivery};
use super::words::Explained;
use crate::delivery::known::Known;
use crate::delivery::try_out::TriedOut;
use crate::delivery::waiting::left_alone_until;
use crate::language::Language;
use crate::store::by_hand::AttemptRow;
use crate::store::subscribers::Backlog;
use crate::time::UnixMs;

/// A subscriber.
#[derive(Serialize, JsonSchema)]
pub struct Subscriber {
    /// Its name.
    name: String,
    /// Where its URL leads: scheme, host and port.
    url: Option<String>,
    /// `standard`, or the product that it is.
    format: Option<&'static str>,
    /// `enabled`, `disabled`, `absent` (not in the configuration), `new` (not in the store yet), or
    /// what else it is.
    state: &'static str,
    /// Why it takes nothing; none where it does.
    why: Option<Explained>,
    /// How many deliveries wait or are being sent.
    waiting: u64,
    /// How many are held.
    held: u64,
    /// How many were given up.
    failed: u64,
    /// When the oldest that waits was made.
    #[schemars(extend("format" = "date-time"))]
    oldest_waiting_at: Option<String>,
    /// Since when all attempts have failed.
    #[schemars(extend("format" = "date-time"))]
    failing_since: Option<String>,
    /// Until when it is left alone.
    #[schemars(extend("format" = "date-time"))]
    left_alone_until: Option<String>,
}

impl Subscriber {
    /// The shape of a subscriber.
    #[must_use]
    pub fn of(known: &Known<'_>, backlog: &Backlog, now: UnixMs) -> Self {
        let time = |at: UnixMs| at.beijing().rfc3339();
        let row = known.row.as_ref();
        Self {
            name: known.name.clone(),
            url: known.config.map(|config| config.origin()),
            format: known.config.map(|config| config.format.as_str()),
            state: known.state(),
            why: why(known),
            waiting: backlog.waiting,
            held: backlog.held,
            failed: backlog.failed,
            oldest_waiting_at: backlog.oldest.map(time),
            failing_since: row.and_then(|row| row.failing_since).map(time),
            left_alone_until: row.and_then(|row| left_alone_until(row, now)).map(time),
        }
    }
}

fn why(known: &Known<'_>) -> Option<Explained> {
    known.why(Language::En)?;
    Some(Explained::new(Map::new(), |language| known.why(language).unwrap_or_default()))
}

/// All about one subscriber.
#[derive(Serialize, JsonSchema)]
pub struct SubscriberDetail {
    #[serde(flatten)]
    subscriber: Subscriber,
    /// Its configuration without secrets, by key; none where the configuration lacks it.
    configuration: Option<BTreeMap<&'static str, String>>,
    /// Its last attempts, newest first.
    attempts: Vec<AttemptOfDelivery>,
}

impl SubscriberDetail {
    /// The shape of a subscriber and its last attempts.
    #[must_use]
    pub fn of(known: &Known<'_>, backlog: &Backlog, attempts: &[AttemptRow], now: UnixMs) -> Self {
        Self {
            subscriber: Subscriber::of(known, backlog, now),
            configuration: known.config.map(|config| config.shown().into_iter().collect()),
            attempts: attempts.iter().map(AttemptOfDelivery::of).collect(),
        }
    }
}

/// How a subscriber stands after it was enabled or disabled.
#[derive(Serialize, JsonSchema)]
pub struct Switched {
    /// The subscriber.
    name: String,
    /// How it stands now.
    state: &'static str,
    /// Why it takes nothing; none where it does.
    why: Option<Explained>,
}

impl Switched {
    /// The shape of a subscriber that was switched.
    #[must_use]
    pub fn of(known: &Known<'_>) -> Self {
        Self { name: known.name.clone(), state: known.state(), why: why(known) }
    }
}

/// What came of a test message.
#[derive(Serialize, JsonSchema)]
pub struct Tested {
    /// The subscriber.
    name: String,
    /// The message's id, the receiver's `webhook-id`.
    event_id: String,
    /// The delivery as which it is recorded; none where the store lacks the subscriber.
    delivery: Option<i64>,
    /// Whether the receiver took it.
    delivered: bool,
    /// The one attempt.
    attempt: Attempt,
}

impl Tested {
    /// The shape of what came of a test message to this subscriber.
    #[must_use]
    pub fn of(subscriber: &str, tried: &TriedOut) -> Self {
        Self {
            name: subscriber.to_owned(),
            event_id: tried.event_id.clone(),
            delivery: tried.delivery,
            delivered: tried.is_delivered,
            attempt: Attempt::of(&tried.attempt),
        }
    }
}

//! One marked message to a subscriber, sent the real way, to see what its receiver makes of it.

use std::time::Duration;

use crate::clock::{Clock, random_bytes};
use crate::config::{Config, SubscriberConfig};
use crate::delivery::sender::{Sender, SenderError};
use crate::event;
use crate::store::Store;
use crate::store::attempt::Next;
use crate::store::by_hand::AttemptRow;
use crate::store::delivery::Claim;
use crate::store::error::StoreError;
use crate::store::subscribers::TestOf;
use crate::time::UnixMs;

/// What the delivery is the caller's alone beyond its attempt's timeout: time to record it.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

/// What came of it.
pub struct TriedOut {
    /// The event's id.
    pub event_id: String,
    /// The delivery as which it is recorded; none where the store lacks the subscriber.
    pub delivery: Option<i64>,
    /// Whether the receiver took it.
    pub is_delivered: bool,
    /// The one attempt.
    pub attempt: AttemptRow,
}

/// Why nothing was sent, or what came of it is not known.
#[derive(Debug, thiserror::Error)]
pub enum TryOutError {
    /// The way to the subscriber cannot be built.
    #[error(transparent)]
    Sender(#[from] SenderError),
    /// The system has no randomness for an id.
    #[error("no randomness: {0}")]
    Random(std::io::Error),
    /// The sender made no attempt: an error of this program.
    #[error("nothing was attempted")]
    Nothing,
    /// The store's own.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A message for a subscriber.
///
/// # Errors
/// Where the system has no randomness for an id.
pub fn message(
    config: &Config,
    subscriber: &SubscriberConfig,
    now: UnixMs,
) -> Result<TestOf, TryOutError> {
    let id = random_bytes::<16>().map_err(TryOutError::Random)?;
    let event_id = format!("evt_{}", hex::encode(id));
    let account =
        subscriber.accounts.first().or(config.accounts.first().map(|account| &account.name));
    let account = account.map(String::as_str).unwrap_or_default();
    Ok(TestOf {
        subscriber: subscriber.name.clone(),
        body: event::test(&event_id, account, subscriber.mask, now),
        event_type: event::TEST_TYPE,
        event_id,
        now,
        lease_end: now.after(subscriber.timeout + LEASE_MARGIN),
    })
}

/// Sends the message once, and records the attempt where the store has a delivery for it, as this
/// claim says.
///
/// # Errors
/// Where it cannot be sent, or the attempt not be recorded.
pub async fn send(
    subscriber: &SubscriberConfig,
    clock: Clock,
    of: &TestOf,
    recorded: Option<(&Store, Claim)>,
) -> Result<TriedOut, TryOutError> {
    let sender = Sender::new(subscriber.clone(), clock)?;
    let claim = recorded.as_ref().map_or_else(|| of.claim(), |(_, claim)| claim.clone());
    let attempt = sender.attempt(&[claim]).await.pop().ok_or(TryOutError::Nothing)?;
    if let Some((store, _)) = &recorded {
        store.record_attempt(attempt.clone()).await?;
    }
    Ok(TriedOut {
        event_id: of.event_id.clone(),
        delivery: recorded.map(|(_, claim)| claim.delivery),
        is_delivered: attempt.next == Next::Delivered,
        attempt: attempt.into(),
    })
}

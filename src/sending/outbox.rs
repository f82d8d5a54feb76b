//! Sends what receivers answered, one after the other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::clock::Clock;
use crate::config::{AccountConfig, AnswerLimits, SubscriberConfig};
use crate::gateway::client::ClientError;
use crate::gateway::tx::{Call, Outcome, encode};
use crate::sending::caller::Caller;
use crate::sending::limits::{Decision, decide};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::message::WaitingMessage;
use crate::store::read::Refusal;

/// How long a gateway that cannot be reached, or takes nothing now, is left alone.
const LEFT_ALONE: Duration = Duration::from_mins(1);
/// The longest rest where nothing changes in the store.
const REST: Duration = Duration::from_mins(1);
/// Wait before a store that failed is tried again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Sends one account's answers.
pub struct Outbox {
    store: Store,
    clock: Clock,
    account: String,
    caller: Caller,
    /// Whose receivers may answer.
    limits: HashMap<String, AnswerLimits>,
    /// Whether it was told that the account is left alone.
    told_refused: AtomicBool,
}

impl Outbox {
    /// Prepares an account's answers.
    ///
    /// # Errors
    /// When its HTTP client cannot be built.
    pub fn new(
        store: Store,
        clock: Clock,
        account: &AccountConfig,
        subscribers: &[SubscriberConfig],
    ) -> Result<Self, ClientError> {
        let caller = Caller::new(store.clone(), clock.clone(), account)?;
        let limits = subscribers.iter().filter_map(|subscriber| {
            subscriber.answers.map(|limits| (subscriber.name.clone(), limits))
        });
        let (account, limits) = (account.name.clone(), limits.collect());
        Ok(Self { store, clock, account, caller, limits, told_refused: AtomicBool::new(false) })
    }

    /// Sends for ever, until told to stop; a call under way ends first.
    pub async fn run(self, stop: CancellationToken) {
        let mut changes = self.store.changes();
        while !stop.is_cancelled() {
            let rest = match self.step().await {
                Ok(rest) => rest,
                Err(error) => {
                    warn!(account = self.account, %error, "answers wait for the store");
                    Some(STORE_RETRY)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                // While something waits its time, what changed makes no difference to it.
                changed = changes.changed(), if rest.is_none() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = self.clock.sleep(rest.unwrap_or(REST)) => {}
            }
        }
    }

    /// Sends what waits and may go out now, and ends.
    ///
    /// # Errors
    /// The store's own.
    pub async fn run_once(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        while !stop.is_cancelled() {
            match self.step().await? {
                Some(Duration::ZERO) => {}
                _ => break,
            }
        }
        Ok(())
    }

    /// Does something about the oldest answer that waits, and says how long to rest; none where
    /// none waits.
    async fn step(&self) -> Result<Option<Duration>, StoreError> {
        let now = self.clock.unix();
        let Some(waiting) = self.store.waiting_answer(&self.account).await? else {
            return Ok(None);
        };
        let subscriber = &waiting.answers.subscriber;
        let limits = self.limits.get(subscriber).copied();
        let per = limits.map_or(Duration::ZERO, |limits| limits.rate.per);
        let sent = self.store.answers_sent(&waiting, per, now).await?;
        match decide(limits, sent, waiting.created, now) {
            Decision::Wait(wait) => Ok(Some(wait)),
            Decision::Withhold(reason) => {
                let message_id = waiting.id;
                warn!(
                    account = self.account,
                    subscriber, message_id, reason, "an answer is not sent"
                );
                self.store.withhold(waiting.seq, reason, now).await?;
                Ok(Some(Duration::ZERO))
            }
            Decision::Send if self.is_refused().await? => Ok(Some(LEFT_ALONE)),
            Decision::Send => self.send(&waiting).await.map(Some),
        }
    }

    /// Whether the gateway refuses the account, so that answers wait; told when that begins.
    async fn is_refused(&self) -> Result<bool, StoreError> {
        let refusal = self.caller.refusal().await?;
        let was_told = self.told_refused.swap(refusal.is_some(), Ordering::Relaxed);
        if let (Some(Refusal { status, until }), false) = (refusal, was_told) {
            let (account, until) = (&self.account, until.beijing().rfc3339());
            let words = "answers wait: the gateway refused the account, which is left alone";
            warn!(account, %status, until, "{words}");
        }
        Ok(refusal.is_some())
    }

    async fn send(&self, waiting: &WaitingMessage) -> Result<Duration, StoreError> {
        let (text, numbers) = (encode(&waiting.text), [waiting.mobile.clone()]);
        let call = Call { text: &text, numbers: &numbers, at: None, mid: waiting.mid.as_deref() };
        let outcome = self.caller.call(waiting.seq, 0, call).await?;
        let may_go_again = match outcome {
            Some(Outcome::Refused(status)) => status.is_of_the_moment(),
            Some(Outcome::Unsent(_)) => true,
            Some(Outcome::Accepted | Outcome::Unclear(_)) | None => false,
        };
        if !may_go_again {
            return Ok(Duration::ZERO);
        }
        error!(
            account = self.account,
            message_id = waiting.id,
            "an answer waits: it is tried again in a minute"
        );
        self.store.requeue(waiting.seq).await?;
        Ok(LEFT_ALONE)
    }
}

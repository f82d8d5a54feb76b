//! Has a subscriber's fallback take over while it is down.
//!
//! It looks now and then how the subscriber does and moves what waits; what is decided stands in
//! [`crate::delivery::fallback`], and each move is one transaction of the store. It holds nothing in
//! memory that matters, and any number of processes may do it at once.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::delivery::fallback::JUDGEMENT;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::fallback::TakeOver;

/// How often is looked: how a subscriber does changes without anybody being woken.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Rest after each transaction, in which others have the writer.
const REST: Duration = Duration::from_millis(20);
/// What is taken over so long after the last time is told as a warning: it begins anew.
const EPISODE: Duration = Duration::from_mins(10);
/// Looking takes the so-manieth part of the time at most: what cannot be moved is looked at again.
const LOOKING_PART: u32 = 20;

/// Takes over from one subscriber.
pub struct Takeover {
    store: Store,
    clock: Clock,
    metrics: Metrics,
    subscriber: String,
    chain: Vec<String>,
    /// When something was taken over last, on the boot's clock.
    last_ms: Option<i64>,
}

impl Takeover {
    /// Takes over what waits for a subscriber. `chain` is its fallback, that one's own, and so on.
    #[must_use]
    pub fn new(
        (store, clock, metrics): (Store, Clock, Metrics),
        subscriber: String,
        chain: Vec<String>,
    ) -> Self {
        Self { store, clock, metrics, subscriber, chain, last_ms: None }
    }

    /// From whom it takes over.
    #[must_use]
    pub fn subscriber(&self) -> &str {
        &self.subscriber
    }

    /// Takes over whenever it is time, until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.store.changes();
        // A failing store is told when it begins to fail, not at every look.
        let mut told = false;
        while !stop.is_cancelled() {
            changes.mark_unchanged();
            let began = self.clock.now().boot_ms;
            match self.finish(&stop).await {
                Ok(_) => told = false,
                Err(StoreError::Closed) => return,
                Err(error) => {
                    if !told {
                        error!(subscriber = self.subscriber, %error, "its fallback waits for the store");
                    }
                    told = true;
                }
            }
            let took = (self.clock.now().boot_ms - began).max(0).unsigned_abs();
            let rest = REST.max(Duration::from_millis(took) * LOOKING_PART);
            if stop.run_until_cancelled(tokio::time::sleep(rest)).await.is_none() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Ok(()) = changes.changed(), if !told => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    /// Takes over all that there is now, and says how much that was.
    ///
    /// # Errors
    /// The store's own.
    pub async fn finish(&mut self, stop: &CancellationToken) -> Result<usize, StoreError> {
        let mut moved = 0;
        while !stop.is_cancelled() {
            let of = TakeOver {
                subscriber: self.subscriber.clone(),
                chain: self.chain.clone(),
                judgement: JUDGEMENT,
                now: self.clock.unix(),
            };
            if !self.store.is_to_take_over(of.clone()).await? {
                break;
            }
            let Some(taken) = self.store.take_over(of).await? else { break };
            let (subscriber, fallback) = (&self.subscriber, &taken.by);
            let (deliveries, in_doubt) = (taken.deliveries, taken.in_doubt);
            let now_ms = self.clock.now().boot_ms;
            let episode_ms = crate::time::millis(EPISODE);
            if self.last_ms.is_none_or(|last_ms| now_ms - last_ms > episode_ms) {
                warn!(subscriber, fallback, deliveries, in_doubt, "taken over by its fallback");
            } else {
                info!(subscriber, fallback, deliveries, in_doubt, "taken over by its fallback");
            }
            self.last_ms = Some(now_ms);
            self.metrics.taken_over(subscriber, fallback, deliveries);
            moved += deliveries;
            tokio::time::sleep(REST).await;
        }
        Ok(moved)
    }
}

#[cfg(test)]
mod tests;

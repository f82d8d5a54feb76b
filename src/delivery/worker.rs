//! Delivers to one subscriber: claims what is due, signs, sends, records.
//!
//! Each subscriber has a worker, a client and a backlog of its own, so that a dead one delays
//! nobody else. What a worker holds in memory is only what it is sending; a worker that dies
//! leaves leases, which end.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::clock::Clock;
use crate::config::SubscriberConfig;
use crate::delivery::sender::{Sender, SenderError};
use crate::store::Store;
use crate::store::attempt::{Attempt, Next};
use crate::store::delivery::Claim;
use crate::store::error::StoreError;
use crate::time::UnixMs;

/// What a claim's lease lasts beyond its attempt's timeout: time to record the outcome.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// The longest sleep: what a clock that was set hides is noticed after it at the latest.
const REST_MAX: Duration = Duration::from_mins(1);
/// Wait before a store that failed is tried again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// A worker that had to stop.
#[derive(Debug, thiserror::Error)]
#[error("subscriber {subscriber:?}: {source}")]
pub struct WorkerError {
    /// The subscriber.
    subscriber: String,
    /// Why: the store is closed.
    source: StoreError,
}

/// Delivers to one subscriber.
pub struct Worker {
    store: Store,
    sender: Arc<Sender>,
}

impl Worker {
    /// Prepares a subscriber's deliveries.
    ///
    /// # Errors
    /// When its HTTP client cannot be built.
    pub fn new(store: Store, clock: Clock, config: SubscriberConfig) -> Result<Self, SenderError> {
        Ok(Self { store, sender: Arc::new(Sender::new(config, clock)?) })
    }

    /// Delivers for ever, until told to stop; attempts under way are waited for.
    ///
    /// # Errors
    /// When the store is closed. Everything else is told and tried again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WorkerError> {
        let mut changes = self.store.changes();
        let mut under_way = JoinSet::new();
        // A failing store is told when it begins to fail, not at every try.
        let mut told = false;
        while !stop.is_cancelled() {
            changes.mark_unchanged();
            let rest = match self.send_due(&mut under_way).await {
                Ok(rest) => {
                    told = false;
                    rest
                }
                Err(source @ StoreError::Closed) => return Err(self.failed(source)),
                Err(source) => {
                    if !told {
                        error!(subscriber = self.name(), error = %source, "delivery waits for the store");
                    }
                    told = true;
                    STORE_RETRY
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = under_way.join_next() => {}
                changed = changes.changed() => {
                    if changed.is_err() {
                        return Err(self.failed(StoreError::Closed));
                    }
                }
                () = self.sender.clock().sleep(rest) => {}
            }
        }
        while under_way.join_next().await.is_some() {}
        Ok(())
    }

    /// Delivers what is due now, and ends: for a run that ends by itself. Failures wait for
    /// their time. Returns how many attempts failed.
    ///
    /// # Errors
    /// The store's own.
    pub async fn run_once(&self, stop: &CancellationToken) -> Result<usize, StoreError> {
        let started = self.sender.clock().now().unix;
        let mut failures = 0;
        let mut under_way = JoinSet::new();
        loop {
            let free = if stop.is_cancelled() { 0 } else { self.free(&under_way) };
            let claims = self.claim(started, free).await?;
            self.send(claims, &mut under_way);
            match under_way.join_next().await {
                Some(Ok(delivered)) => failures += usize::from(!delivered),
                Some(Err(_)) => failures += 1,
                None => return Ok(failures),
            }
        }
    }

    fn name(&self) -> &str {
        &self.sender.config().name
    }

    fn failed(&self, source: StoreError) -> WorkerError {
        WorkerError { subscriber: self.name().to_owned(), source }
    }

    fn free(&self, under_way: &JoinSet<bool>) -> usize {
        self.sender.config().concurrency.saturating_sub(under_way.len())
    }

    /// Starts what is due and says how long until something else is.
    async fn send_due(&self, under_way: &mut JoinSet<bool>) -> Result<Duration, StoreError> {
        let free = self.free(under_way);
        if free == 0 {
            return Ok(REST_MAX);
        }
        let now = self.sender.clock().now().unix;
        let Some(due) = self.store.next_due(self.name()).await? else { return Ok(REST_MAX) };
        if due > now {
            return Ok(due.since(now).min(REST_MAX));
        }
        let claims = self.claim(now, free).await?;
        let rest = if claims.len() == free { REST_MAX } else { Duration::ZERO };
        self.send(claims, under_way);
        Ok(rest)
    }

    async fn claim(&self, now: UnixMs, limit: usize) -> Result<Vec<Claim>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let lease_end =
            self.sender.clock().now().unix.after(self.sender.config().timeout + LEASE_MARGIN);
        self.store.claim(self.name(), now, lease_end, limit).await
    }

    fn send(&self, claims: Vec<Claim>, under_way: &mut JoinSet<bool>) {
        for claim in claims {
            let (store, sender) = (self.store.clone(), Arc::clone(&self.sender));
            under_way.spawn(async move {
                let attempt = sender.attempt(&claim).await;
                let delivered = attempt.next == Next::Delivered;
                record(&store, &sender.config().name, attempt).await;
                delivered
            });
        }
    }
}

/// Records an attempt; while the store fails, again and again: else the receiver would be told
/// once more what it was told already. The lease bounds it: after that another may send it.
async fn record(store: &Store, subscriber: &str, attempt: Attempt) {
    for _ in 0..LEASE_MARGIN.as_secs() {
        match store.record_attempt(attempt.clone()).await {
            Ok(()) => return,
            Err(error) => error!(subscriber, %error, "an attempt could not be recorded"),
        }
        tokio::time::sleep(STORE_RETRY).await;
    }
}

//! Goes on with replays that nobody carries out: their command was ended, or killed.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::replay::{Advance, REPLAY_REST, ReplayLease};

/// How often it is looked whether a lease has ended, which changes nothing in the store.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Rest after the store failed, which is told each time.
const TROUBLE_REST: Duration = Duration::from_mins(1);

/// Carries out what others left.
pub(super) struct Replays {
    store: Store,
    clock: Clock,
    /// What could not be carried out, for a reason of its own: it waits for the next start.
    broken: Vec<i64>,
}

impl Replays {
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, broken: Vec::new() }
    }

    /// Goes on with what is left, until told to stop.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.store.changes();
        while !stop.is_cancelled() {
            changes.mark_unchanged();
            if let Err(error) = self.finish(&stop).await {
                warn!(%error, "cannot go on with replays");
                stop.run_until_cancelled(tokio::time::sleep(TROUBLE_REST)).await;
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    /// Goes on with what is left until nothing is, with a piece of each in turn.
    ///
    /// # Errors
    /// Those of the store that are not of one replay alone.
    pub(super) async fn finish(&mut self, stop: &CancellationToken) -> Result<(), StoreError> {
        let mut held: Vec<ReplayLease> = Vec::new();
        loop {
            let left = self.store.left_replays(self.clock.unix()).await?;
            let is_new = |job: &i64| {
                !self.broken.contains(job) && !held.iter().any(|lease| lease.job == *job)
            };
            let new: Vec<_> = left.into_iter().filter(is_new).map(|job| (job, None)).collect();
            let jobs: Vec<_> =
                held.drain(..).map(|lease| (lease.job, Some(lease))).chain(new).collect();
            if jobs.is_empty() {
                return Ok(());
            }
            for (job, lease) in jobs {
                held.extend(self.advance(job, lease).await?);
            }
            if stop.run_until_cancelled(self.clock.sleep(REPLAY_REST)).await.is_none() {
                return self.leave(held).await;
            }
        }
    }

    /// Does a piece of a replay, and says by what to go on with it.
    async fn advance(
        &mut self,
        id: i64,
        lease: Option<ReplayLease>,
    ) -> Result<Option<ReplayLease>, StoreError> {
        match self.store.advance_replay(id, lease, self.clock.unix()).await {
            Ok(Some(Advance::Moved(_, lease))) => Ok(Some(lease)),
            Ok(Some(Advance::Over(job))) => {
                let deliveries: usize = job.deliveries.iter().map(|(_, made)| made).sum();
                let state = job.state.as_str();
                info!(replay = id, replies = job.looked_at, deliveries, "a replay is {state}");
                Ok(None)
            }
            // Whoever holds it goes on with it; one that was removed needs nobody.
            Ok(Some(Advance::Elsewhere(_)) | None) => Ok(None),
            Err(error) if error.is_of_one_act() => {
                error!(replay = id, %error, "a replay cannot go on; the next start tries again");
                self.broken.push(id);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Others need not wait for the leases' ends.
    async fn leave(&self, held: Vec<ReplayLease>) -> Result<(), StoreError> {
        for lease in held {
            self.store.leave_replay(lease, self.clock.unix()).await?;
        }
        Ok(())
    }
}

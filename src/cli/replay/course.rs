//! A replay's course: looked at or carried out piece by piece, with its progress shown.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::cli::replay::Sum;
use crate::clock::Clock;
use crate::delivery::replay;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::replay::{Advance, REPLAY_REST, ReplayJob, ReplayLease, ReplayRequest};

/// How often a replay is looked at that somebody else carries out.
const WATCH_REST: Duration = Duration::from_millis(250);

/// Carries requests out, one after the other, and sums up what they come to.
pub(super) struct Course<'a> {
    pub(super) store: &'a Store,
    pub(super) clock: &'a Clock,
    pub(super) sum: &'a mut Sum,
}

impl Course<'_> {
    /// Counts what a request would deliver.
    pub(super) async fn look(&mut self, request: &ReplayRequest) -> Result<(), Failure> {
        let mut progress: Option<Progress> = None;
        let (replies, deliveries) = replay::look(self.store, request, |replies, looked_at| {
            progress.get_or_insert_with(|| Progress::of("replies", replies)).at(looked_at);
        })
        .await?;
        self.sum.add(replies, &deliveries.into_iter().collect::<Vec<_>>());
        Ok(())
    }

    /// Makes a job of a request, and carries it out unless it is told to stop. One that has no
    /// reply to look at is none.
    pub(super) async fn run(
        &mut self,
        request: &ReplayRequest,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let extent = self.store.replay_extent(request.clone()).await?;
        if extent.replies == 0 {
            return Ok(());
        }
        let now = self.clock.unix();
        let lease = self.store.begin_replay(request.clone(), extent, now).await?;
        let id = lease.job;
        let job = match self.carry_out(lease, extent.replies, stop).await {
            Ok(Some(job)) => job,
            Ok(None) => {
                let message = format!("replyd: replay {id} was removed from the store");
                return Err(Failure::new(Exit::NotFound, message));
            }
            Err(error) => {
                output::talk(&goes_on(id));
                return Err(error.into());
            }
        };
        self.sum.add(job.replies, &job.deliveries);
        self.sum.jobs.push((id, job.state));
        Ok(())
    }

    /// Goes on until the job is over, or it is told to stop. Where the service took the job up
    /// meanwhile, because this process slept, it is watched.
    async fn carry_out(
        &self,
        lease: ReplayLease,
        replies: usize,
        stop: &CancellationToken,
    ) -> Result<Option<ReplayJob>, StoreError> {
        let (id, mut lease) = (lease.job, Some(lease));
        let progress = Progress::of("replies", replies);
        loop {
            let now = self.clock.unix();
            let job = match self.store.advance_replay(id, lease, now).await? {
                None => return Ok(None),
                Some(Advance::Over(job)) => {
                    if job.looked_at < job.replies {
                        progress.talk(&cut_short(&job));
                    }
                    return Ok(Some(job));
                }
                Some(Advance::Moved(job, held)) => {
                    lease = Some(held);
                    job
                }
                Some(Advance::Elsewhere(job)) => {
                    lease = None;
                    job
                }
            };
            progress.at(job.looked_at);
            let rest = if lease.is_some() { REPLAY_REST } else { WATCH_REST };
            if stop.run_until_cancelled(self.clock.sleep(rest)).await.is_none() {
                if let Some(lease) = lease {
                    self.store.leave_replay(lease, self.clock.unix()).await?;
                }
                progress.talk(&format!("{}\n{}", up_to(&job), goes_on(id)));
                return Ok(Some(job));
            }
        }
    }
}

fn up_to(job: &ReplayJob) -> String {
    format!("replay {}: {} of {} replies were looked at", job.id, job.looked_at, job.replies)
}

fn cut_short(job: &ReplayJob) -> String {
    format!("{}; {}", up_to(job), job.state.as_str())
}

fn goes_on(job: i64) -> String {
    format!(
        "The running service goes on with replay {job}, or its next start. `replyd replay cancel {job}` ends it."
    )
}

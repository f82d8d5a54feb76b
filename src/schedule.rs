//! The heartbeat: once a second it wakes whoever plans.
//!
//! tokio-cron-scheduler beats it, by one fixed job that decides nothing: schedules are the
//! planner's. That crate follows the wall clock, so it falls silent when the clock is set back,
//! and a job of it can die. A watchdog on the machine's monotonic clock notices the silence,
//! tells, and beats on without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::pulse::{Pulse, Pulses};

/// The job's schedule: every second.
const EVERY_SECOND: &str = "* * * * * *";
/// How often the watchdog looks.
const LOOK: Duration = Duration::from_secs(1);
/// Looks without a beat after which the watchdog beats itself: the scheduler is up to 2.5 s late
/// on a busy machine, which is no silence.
const SILENT_LOOKS: u32 = 10;

/// A watchdog that has not looked for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A heartbeat whose ticks can be awaited.
pub struct Heartbeat {
    ticks: watch::Sender<u64>,
    beats: Arc<AtomicU64>,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { ticks: watch::Sender::new(0), beats: Arc::default() }
    }
}

impl Heartbeat {
    /// What changes at every tick.
    #[must_use]
    pub fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    /// Beats until told to stop.
    pub async fn run(self, pulses: &Pulses, stop: CancellationToken) {
        let pulse = pulses.pulse("heartbeat", SILENCE_MAX);
        let scheduler = match self.start_scheduler().await {
            Ok(scheduler) => Some(scheduler),
            Err(error) => {
                warn!(%error, "the scheduler did not start: the watchdog beats in its place");
                None
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.watch_over(&pulse) => {}
        }
        if let Some(mut scheduler) = scheduler
            && let Err(error) = scheduler.shutdown().await
        {
            warn!(%error, "the scheduler did not stop");
        }
    }

    async fn start_scheduler(&self) -> Result<JobScheduler, JobSchedulerError> {
        let scheduler = JobScheduler::new().await?;
        let (ticks, beats) = (self.ticks.clone(), Arc::clone(&self.beats));
        // An asynchronous job, because a panic in a synchronous one silences the crate for good.
        let job = Job::new_async(EVERY_SECOND, move |_, _| {
            beats.fetch_add(1, Ordering::Relaxed);
            ticks.send_modify(|count| *count = count.wrapping_add(1));
            Box::pin(async {})
        })?;
        scheduler.add(job).await?;
        scheduler.start().await?;
        Ok(scheduler)
    }

    /// Looks whether there were beats, and beats where there were none for too long.
    async fn watch_over(&self, pulse: &Pulse) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last, mut silent) = (self.beats.load(Ordering::Relaxed), 0);
        loop {
            looks.tick().await;
            pulse.beat(SILENCE_MAX);
            let beats = self.beats.load(Ordering::Relaxed);
            if beats != last {
                if silent >= SILENT_LOOKS {
                    info!("the scheduler beats again");
                }
                (last, silent) = (beats, 0);
                continue;
            }
            silent = silent.saturating_add(1);
            if silent == SILENT_LOOKS {
                warn!("the scheduler has been silent for {SILENT_LOOKS} s: going on without it");
            }
            if silent >= SILENT_LOOKS {
                self.ticks.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse() -> Pulse {
        Pulses::default().pulse("heartbeat", SILENCE_MAX)
    }

    #[tokio::test]
    async fn the_scheduler_beats() {
        let heartbeat = Heartbeat::default();
        let (mut ticks, beats) = (heartbeat.ticks(), Arc::clone(&heartbeat.beats));
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { heartbeat.run(&Pulses::default(), stop).await }
        });
        ticks.changed().await.unwrap();
        ticks.changed().await.unwrap();
        assert!(beats.load(Ordering::Relaxed) >= 2, "the watchdog beat, not the scheduler");
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_goes_on_without_a_silent_scheduler() {
        let heartbeat = Heartbeat::default();
        let mut ticks = heartbeat.ticks();
        let watchdog = tokio::spawn(async move { heartbeat.watch_over(&pulse()).await });
        // The clock is tokio's and paused: this takes no time, and only as long as is awaited.
        tokio::time::timeout(LOOK * (SILENT_LOOKS + 1), ticks.changed()).await.unwrap().unwrap();
        tokio::time::timeout(LOOK * 2, ticks.changed()).await.unwrap().unwrap();
        watchdog.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_leaves_a_beating_scheduler_alone() {
        let heartbeat = Heartbeat::default();
        let (ticks, beats) = (heartbeat.ticks(), Arc::clone(&heartbeat.beats));
        let watchdog = tokio::spawn(async move { heartbeat.watch_over(&pulse()).await });
        for _ in 0..SILENT_LOOKS * 3 {
            tokio::time::sleep(LOOK * 3).await;
            beats.fetch_add(1, Ordering::Relaxed);
        }
        assert!(!ticks.has_changed().unwrap());
        watchdog.abort();
    }
}

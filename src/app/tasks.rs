//! The service's tasks, each with its name, and those among them that a reload replaces.

use std::collections::BTreeMap;
use std::future::Future;

use anyhow::anyhow;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::error;

/// What a task was, whether it had been told to end, and what it came to.
type Ended = (String, bool, anyhow::Result<()>);

/// The tasks that run.
#[derive(Default)]
pub(super) struct Tasks {
    running: JoinSet<Ended>,
    replaceable: BTreeMap<String, Replaceable>,
}

/// A task that can be replaced by another of its name.
struct Replaceable {
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Tasks {
    /// Starts a task, which ends when `stop` says so and not before.
    pub(super) fn spawn(
        &mut self,
        name: String,
        stop: &CancellationToken,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let stop = stop.clone();
        self.running.spawn(async move {
            let result = task.await;
            (name, stop.is_cancelled(), result)
        });
    }

    /// Starts a task in the place of the one of its name, if there is one: that is told to end,
    /// and once what it has under way is over, this one begins.
    pub(super) fn replace<F>(
        &mut self,
        name: String,
        stop: &CancellationToken,
        task: impl FnOnce(CancellationToken) -> F + Send + 'static,
    ) where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let former = self.end(&name);
        let (stop, ended) = (stop.child_token(), CancellationToken::new());
        let guard: DropGuard = ended.clone().drop_guard();
        self.replaceable.insert(name.clone(), Replaceable { stop: stop.clone(), ended });
        let told = stop.clone();
        self.spawn(name, &stop, async move {
            let _ended_when_dropped = guard;
            if let Some(former) = former {
                former.cancelled().await;
            }
            if told.is_cancelled() { Ok(()) } else { task(told).await }
        });
    }

    /// Tells a task to end; says what is cancelled when it has.
    pub(super) fn end(&mut self, name: &str) -> Option<CancellationToken> {
        let Replaceable { stop, ended } = self.replaceable.remove(name)?;
        stop.cancel();
        Some(ended)
    }

    /// Waits for the next task to end; `None` when none is left. One that ends untold, or fails,
    /// is an error.
    pub(super) async fn next_ended(&mut self) -> Option<anyhow::Result<()>> {
        let trouble = match self.running.join_next().await? {
            Ok((_, true, Ok(()))) => return Some(Ok(())),
            Ok((name, false, Ok(()))) => anyhow!("the task {name:?} ended by itself"),
            Ok((name, _, Err(error))) => error.context(format!("the task {name:?} failed")),
            Err(error) => anyhow!(error).context("a task panicked"),
        };
        error!(error = format!("{trouble:#}"), "the service stops");
        Some(Err(trouble))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_dies_is_an_error_and_one_that_was_told_to_end_is_none() {
        for dies in [0, 1, 2] {
            let (mut tasks, stop) = (Tasks::default(), CancellationToken::new());
            tasks.spawn("dies".to_owned(), &stop, async move {
                assert!(dies != 0, "a panic");
                if dies == 1 { Err(anyhow!("an error")) } else { Ok(()) }
            });
            assert!(tasks.next_ended().await.unwrap().is_err(), "{dies}");
        }
        let (mut tasks, stop) = (Tasks::default(), CancellationToken::new());
        tasks.replace("waits".to_owned(), &stop, |told| async move {
            told.cancelled().await;
            Ok(())
        });
        tasks.end("waits").unwrap();
        assert!(tasks.next_ended().await.unwrap().is_ok());
        assert!(tasks.next_ended().await.is_none());
        assert!(!stop.is_cancelled(), "the others were told to end too");
    }

    #[tokio::test]
    async fn a_replaced_task_has_ended_before_the_next_begins() {
        let (mut tasks, stop) = (Tasks::default(), CancellationToken::new());
        let under_way = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let under_way = Arc::clone(&under_way);
            tasks.replace("one".to_owned(), &stop, |told| async move {
                assert_eq!(under_way.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                told.cancelled().await;
                tokio::task::yield_now().await;
                under_way.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            });
            tokio::task::yield_now().await;
        }
        stop.cancel();
        for _ in 0..3 {
            assert!(tasks.next_ended().await.unwrap().is_ok());
        }
        assert!(tasks.next_ended().await.is_none());
    }
}

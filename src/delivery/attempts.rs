//! The tasks that make one worker's attempts: as many as may be under way at once. Each takes from
//! the desk what is ready, sends it, lays what it came to on the desk, and takes the next. So the
//! worker itself is busy once for many attempts, and they are made on all cores.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::delivery::desk::{Begun, Desk, Ended, Request};
use crate::delivery::sender::Sender;
use crate::store::attempt::Attempt;
use crate::store::turn::Turned;
use crate::time::UnixMs;

/// The tasks. They end when this is dropped, wherever they are.
pub(super) struct Attempts {
    shared: Arc<Shared>,
    sender: Arc<Sender>,
    tasks: JoinSet<()>,
}

/// What the tasks and their worker have in common.
struct Shared {
    desk: Mutex<Desk>,
    /// Something is ready.
    ready: Notify,
    /// The worker has reason to look at the desk.
    news: Notify,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lays down what an attempt came to, and takes the next.
    fn exchange(&self, ended: Option<Ended>) -> Option<Begun> {
        let mut desk = self.desk();
        let is_news = ended.is_some_and(|ended| desk.end(ended));
        let begun = desk.begin();
        drop(desk);
        if is_news {
            self.news.notify_one();
        }
        begun
    }

    /// Waits for the next attempt.
    async fn next(&self) -> Begun {
        loop {
            let mut ready = std::pin::pin!(self.ready.notified());
            // From here on it is waited for: what becomes ready after the look at the desk is not
            // missed.
            ready.as_mut().enable();
            let begun = self.desk().begin();
            if let Some(begun) = begun {
                return begun;
            }
            self.news.notify_one();
            ready.await;
        }
    }

    async fn at_rest(&self) {
        while !self.desk().is_at_rest() {
            self.news.notified().await;
        }
    }
}

impl Attempts {
    pub(super) fn new(desk: Desk, sender: Arc<Sender>) -> Self {
        let shared = Shared { desk: Mutex::new(desk), ready: Notify::new(), news: Notify::new() };
        Self { shared: Arc::new(shared), sender, tasks: JoinSet::new() }
    }

    /// The desk, which nobody else changes meanwhile.
    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.shared.desk()
    }

    /// Puts on the desk what a turn brought, and has begun what may be begun. Says whether there is
    /// anything, which may have ended when this returns.
    pub(super) fn begin(
        &mut self,
        turned: Turned,
        messages_max: usize,
        times: (UnixMs, UnixMs),
    ) -> bool {
        let mut desk = self.desk();
        desk.turned(turned, messages_max, times);
        let is_idle = desk.is_idle();
        drop(desk);
        self.start();
        !is_idle
    }

    fn start(&mut self) {
        let (running, busy) = self.desk().busy_with();
        while self.tasks.len() < busy {
            let sender = Arc::clone(&self.sender);
            let attempt = move |claims: Request| {
                let sender = Arc::clone(&sender);
                async move { sender.attempt(&claims).await }
            };
            self.tasks.spawn(make(Arc::clone(&self.shared), attempt));
        }
        for _ in running..busy {
            self.shared.ready.notify_one();
        }
    }

    /// Waits until the worker has reason to look at the desk: the first or enough attempts have
    /// ended, or nothing is left to begin.
    pub(super) async fn news(&self) {
        self.shared.news.notified().await;
    }

    /// Waits until nothing is under way, and nothing can be begun before a turn was taken.
    pub(super) async fn at_rest(&self) {
        self.shared.at_rest().await;
    }
}

/// Makes attempts, one after the other.
async fn make<A>(shared: Arc<Shared>, attempt: impl Fn(Request) -> A)
where
    A: Future<Output = Vec<Attempt>>,
{
    let mut ended = None;
    loop {
        let begun = match shared.exchange(ended.take()) {
            Some(begun) => begun,
            None => shared.next().await,
        };
        let Begun { number, claims } = begun;
        // Pinned here, because it is large: what catches it would carry it along. One that panics ends
        // for itself alone.
        let attempt = std::pin::pin!(attempt(claims));
        let attempts = AssertUnwindSafe(attempt).catch_unwind().await.ok();
        ended = Some(Ended { number, attempts });
    }
}

#[cfg(test)]
mod tests;

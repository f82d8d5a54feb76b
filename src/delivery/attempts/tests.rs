use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::delivery::desk::tests::{CONCURRENCY, bring, claims, delivered, desk};

/// Tasks that make attempts in this way, one for each that may be under way.
fn tasks<A>(attempt: impl Fn(Request) -> A + Clone + Send + 'static) -> (Arc<Shared>, JoinSet<()>)
where
    A: Future<Output = Vec<Attempt>> + Send + 'static,
{
    let shared = Shared { desk: Mutex::new(desk()), ready: Notify::new(), news: Notify::new() };
    let shared = Arc::new(shared);
    let mut tasks = JoinSet::new();
    for _ in 0..CONCURRENCY {
        tasks.spawn(make(Arc::clone(&shared), attempt.clone()));
    }
    (shared, tasks)
}

fn bring_to(shared: &Shared, count: usize) {
    let mut desk = shared.desk();
    let now = Clock::system().unix();
    bring(&mut desk, claims(count), now);
    drop(desk);
    for _ in 0..CONCURRENCY {
        shared.ready.notify_one();
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_as_may_be_are_under_way_and_each_that_ends_makes_room_for_the_next() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let attempt = move |claims: Request| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            now.fetch_sub(1, Ordering::Relaxed);
            claims.iter().map(|claim| delivered(claim, UnixMs(0))).collect()
        }
    };
    let (shared, _tasks) = tasks(attempt);
    // Twice: once they wait for work, and once they have been at it.
    for _ in 0..2 {
        bring_to(&shared, 5 * CONCURRENCY);
        shared.at_rest().await;
        assert_eq!(shared.desk().hand_over().outcomes.len(), 5 * CONCURRENCY);
        assert_eq!(seen.swap(0, Ordering::Relaxed), CONCURRENCY);
    }
}

#[tokio::test]
async fn an_attempt_that_panics_takes_nothing_with_it() {
    let attempt = |claims: Request| async move {
        assert_ne!(claims[0].delivery, 2, "what nobody thought of");
        claims.iter().map(|claim| delivered(claim, UnixMs(0))).collect()
    };
    let (shared, _tasks) = tasks(attempt);
    bring_to(&shared, 3 * CONCURRENCY);
    shared.at_rest().await;
    let mut desk = shared.desk();
    assert_eq!((desk.failures(), desk.hand_over().outcomes.len()), (1, 3 * CONCURRENCY - 1));
}

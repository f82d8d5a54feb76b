//! Lets go, once an hour, of what was kept long enough.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::config::{Config, RetainConfig};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::retention::{Cutoffs, Kind};
use crate::time::UnixMs;

/// How often the store is asked whether it is time for a look. The first comes so long after the
/// start, which has better things to do.
const ASK_INTERVAL: Duration = Duration::from_mins(5);
/// Rest after each act, in which the writer has no other work than reads and deliveries.
const PAUSE: Duration = Duration::from_millis(20);

/// Lets go, for ever.
pub(super) async fn keep_down(store: Store, clock: Clock, config: watch::Receiver<Arc<Config>>) {
    loop {
        tokio::time::sleep(ASK_INTERVAL).await;
        let retain = config.borrow().store.retain;
        look(&store, &clock, retain).await;
    }
}

/// Lets go of what is due, if it is time to look, and tells of it.
pub(super) async fn look(store: &Store, clock: &Clock, retain: RetainConfig) {
    let now = clock.unix();
    match store.begin_look(now).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => return warn!(%error, "cannot look for what was kept long enough"),
    }
    let mut purged = [0; Kind::ALL.len()];
    let cutoffs = cutoffs(retain, now);
    for (kind, count) in Kind::ALL.into_iter().zip(&mut purged) {
        if let Err(error) = purge(store, kind, cutoffs.of(kind), count).await {
            warn!(%error, ?kind, "what was kept long enough is not all let go");
        }
    }
    match store.drop_copies(cutoffs.bodies).await {
        Ok(0) => {}
        Ok(copies) => info!(copies, "copies from before upgrades were removed"),
        Err(error) => warn!(%error, "copies from before upgrades are not removed"),
    }
    if purged.iter().any(|count| *count > 0) {
        let [
            bodies,
            attempts,
            replies,
            events,
            messages,
            tombstones,
            hours,
            replays,
            reads,
            audit_entries,
        ] = purged;
        info!(
            bodies,
            attempts,
            replies,
            events,
            messages,
            tombstones,
            hours,
            replays,
            reads,
            audit_entries,
            "let go of what was kept long enough"
        );
    }
}

async fn purge(
    store: &Store,
    kind: Kind,
    cutoff: UnixMs,
    count: &mut usize,
) -> Result<(), StoreError> {
    for chunk in store.kept_before(kind, cutoff).await? {
        *count += store.purge(chunk).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn cutoffs(retain: RetainConfig, now: UnixMs) -> Cutoffs {
    Cutoffs {
        bodies: now.before(retain.bodies),
        attempts: now.before(retain.attempts),
        replies: now.before(retain.replies),
        tombstones: now.before(retain.tombstones),
    }
}

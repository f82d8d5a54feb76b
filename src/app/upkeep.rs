//! What keeps the store well: looks for damage, for times that a wrong clock set, and for what was
//! left by processes that died.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, warn};

use crate::clock::Clock;
use crate::config::Config;
use crate::intake::take_in::TakeIn;
use crate::store::Store;
use crate::store::error::StoreError;

/// How often the store is looked over.
const UPKEEP_INTERVAL: Duration = Duration::from_mins(5);

/// Looks for damage in the store. Where there is some the service ends: the gateway's box is not
/// to be emptied into it. That nothing could be looked at is told; reads and writes show why.
pub(super) async fn quick_check(store: &Store) -> Result<(), StoreError> {
    match store.quick_check().await {
        Err(error @ StoreError::Broken { .. }) => Err(error),
        Err(error) => {
            warn!(%error, "cannot look for damage in the store");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Sees now and then that nothing waits for a time that only a wrong clock could have set, or for a
/// process that has died.
pub(super) async fn keep_up(store: Store, clock: Clock, config: watch::Receiver<Arc<Config>>) {
    loop {
        tokio::time::sleep(UPKEEP_INTERVAL).await;
        let config_now = Arc::clone(&config.borrow());
        if let Err(error) = take_in_of_former_accounts(&config_now, &clock, &store).await {
            warn!(%error, "cannot look for answers of former accounts");
        }
        match store.mend_times(clock.unix()).await {
            Ok(0) => {}
            Ok(mended) => {
                warn!(mended, "times far in the future were set to now: the clock was wrong")
            }
            Err(error) => warn!(%error, "cannot look for times that a wrong clock set"),
        }
        match store.close_lost_calls(clock.unix()).await {
            Ok(0) => {}
            Ok(lost) => warn!(lost, "messages may have been sent: who sent them has died"),
            Err(error) => warn!(%error, "cannot look for messages whose sender has died"),
        }
    }
}

/// What was read for an account that is no longer configured is taken in all the same; nobody
/// else would. Those of configured accounts are taken in by their readers.
pub(super) async fn take_in_of_former_accounts(
    config: &Config,
    clock: &Clock,
    store: &Store,
) -> Result<(), StoreError> {
    let take_in = TakeIn::new(store.clone(), clock.clone());
    for name in store.account_names().await? {
        if config.account(&name).is_none() {
            // Its answers are kept, and tried again when the store is next looked over.
            if let Err(error) = take_in.open(&name).await {
                error!(account = name, %error, "an answer of a former account is not taken in");
            }
        }
    }
    Ok(())
}

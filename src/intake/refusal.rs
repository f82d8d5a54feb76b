//! Refusals of an account by calls that read nothing: they count as those of reads do.

use tracing::error;

use crate::clock::Clock;
use crate::gateway::status::Status;
use crate::intake::plan;
use crate::intake::standing::{self, Teller};
use crate::route::Route;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::read::{ReadId, Standing};
use crate::time::format_duration;

/// Keeps that the gateway answered a call with this code: where it refuses the account, that is
/// left alone from now on, and it is told. Any other code speaks of the call alone.
///
/// # Errors
/// The store's own.
pub async fn keep(
    store: &Store,
    clock: &Clock,
    account: &str,
    status: Status,
) -> Result<(), StoreError> {
    if plan::pause_after(status, 0).is_none() {
        return Ok(());
    }
    let Some((_, key)) = store.account(account).await? else { return Ok(()) };
    let (now, name) = (clock.unix(), account.to_owned());
    let decide = move |refusals: u32, subscribers: &[(String, Route)]| {
        let pause = plan::pause_after(status, refusals).unwrap_or_default();
        let teller = Teller { key: &key, account: &name, at: now, read: ReadId(0), subscribers };
        standing::outcome(Standing::Refused(status, pause), refusals, &teller)
    };
    if let Standing::Refused(_, pause) = store.end_probe(account, decide, now).await?.standing {
        let next_try_in = format_duration(pause);
        error!(account, %status, next_try_in, "the gateway refused the account");
    }
    Ok(())
}

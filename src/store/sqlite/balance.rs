//! How many messages accounts have left.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::route::Route;
use crate::store::error::StoreError;
use crate::store::read::NewEvent;
use crate::store::sqlite::accounts::routes;
use crate::store::sqlite::ingest::keep_events;
use crate::store::sqlite::probes::WAIT_MAX;
use crate::time::UnixMs;

/// Takes the account's next look, if one is due: nobody else takes one for `interval`. An account
/// that the gateway refuses is left alone.
pub(crate) fn begin_look(
    connection: &Connection,
    account: &str,
    interval: Duration,
    now: UnixMs,
) -> Result<bool, StoreError> {
    let taken = connection
        .prepare_cached(
            "UPDATE account SET balance_looked_ms = ?2
             WHERE name = ?1 AND refused_status IS NULL
                 AND (refused_until_ms IS NULL OR refused_until_ms <= ?2 OR refused_until_ms > ?4)
                 AND (balance_looked_ms IS NULL OR balance_looked_ms <= ?3 OR balance_looked_ms > ?2)",
        )?
        .execute(params![account, now.0, now.before(interval).0, now.after(WAIT_MAX).0])?;
    Ok(taken == 1)
}

/// Keeps what is left, and what `tell` makes of it, given whether it was told as low before and
/// the subscribers: whether it is low now, and the event with which that is told.
pub(crate) fn keep(
    connection: &Connection,
    account: &str,
    balance: u64,
    tell: impl FnOnce(bool, &[(String, Route)]) -> (bool, Option<NewEvent>),
    now: UnixMs,
) -> Result<bool, StoreError> {
    let told = connection
        .prepare_cached("SELECT balance_low_told FROM account WHERE name = ?1")?
        .query_row([account], |row| row.get(0))?;
    let subscribers = routes(connection)?;
    let (is_low, event) = tell(told, &subscribers);
    let has_told = event.is_some();
    let names: Vec<String> = subscribers.into_iter().map(|(name, _)| name).collect();
    keep_events(connection, &event.into_iter().collect::<Vec<_>>(), &names, now)?;
    connection
        .prepare_cached(
            "UPDATE account SET balance = ?2, balance_ms = ?3, balance_low_told = ?4 WHERE name = ?1",
        )?
        .execute(params![account, i64::try_from(balance).unwrap_or(i64::MAX), now.0, is_low])?;
    Ok(has_told)
}

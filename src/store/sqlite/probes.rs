//! Probes of accounts that the gateway refused.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::route::Route;
use crate::store::error::StoreError;
use crate::store::read::ProbeOutcome;
use crate::store::sqlite::accounts::routes;
use crate::store::sqlite::ingest::{keep_events, keep_standing};
use crate::time::UnixMs;

/// Takes the account's next probe, if one is due: nobody else makes one for `wait`.
pub(crate) fn begin(
    connection: &Connection,
    account: &str,
    wait: Duration,
    now: UnixMs,
) -> Result<bool, StoreError> {
    // A wait longer than any that is imposed comes of a clock that was wrong, as the planner sees.
    let taken = connection
        .prepare_cached(
            "UPDATE account SET refused_until_ms = ?3
             WHERE name = ?1 AND refused_status IS NOT NULL AND (refused_until_ms <= ?2 OR refused_until_ms > ?4)",
        )?
        .execute(params![account, now.0, now.after(wait).0, now.after(Duration::from_hours(6)).0])?;
    Ok(taken == 1)
}

/// Lets `decide` decide what a probe came to, given the refusals in a row and the subscribers, and
/// keeps it.
pub(crate) fn end(
    connection: &Connection,
    account: &str,
    decide: impl FnOnce(u32, &[(String, Route)]) -> ProbeOutcome,
    now: UnixMs,
) -> Result<ProbeOutcome, StoreError> {
    let refusals = connection
        .prepare_cached("SELECT refusals FROM account WHERE name = ?1")?
        .query_row([account], |row| row.get(0))?;
    let subscribers = routes(connection)?;
    let outcome = decide(refusals, &subscribers);
    let names: Vec<String> = subscribers.into_iter().map(|(name, _)| name).collect();
    keep_events(connection, &outcome.events, &names, now)?;
    keep_standing(connection, account, outcome.standing, refusals, now)?;
    Ok(outcome)
}

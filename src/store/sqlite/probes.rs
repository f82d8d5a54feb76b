//! Accounts that the gateway refused, and their probes.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::gateway::status::Status;
use crate::reply::IdKey;
use crate::route::Route;
use crate::store::error::StoreError;
use crate::store::read::{ProbeOutcome, Refusal};
use crate::store::sqlite::accounts::routes;
use crate::store::sqlite::ingest::{keep_events, keep_standing};
use crate::time::UnixMs;

/// A wait longer than any that is imposed comes of a clock that was wrong, as the planner sees.
pub(super) const WAIT_MAX: Duration = Duration::from_hours(6);

/// The refusal for which an account of this login is left alone now; none where it is not, or its
/// login is another one since.
pub(crate) fn refusal(
    connection: &Connection,
    account: &str,
    login: &IdKey,
    now: UnixMs,
) -> Result<Option<Refusal>, StoreError> {
    // Only a lock ends without a probe.
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(refused_status, ?5), iif(refused_until_ms BETWEEN ?3 AND ?4, refused_until_ms, ?3)
         FROM account WHERE name = ?1 AND login = ?2
             AND (refused_status IS NOT NULL OR refused_until_ms > ?3 AND refused_until_ms <= ?4)",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Refusal { status: Status(row.get(0)?), until: UnixMs(row.get(1)?) })
    };
    let latest = now.after(WAIT_MAX).0;
    let refused = params![account, login.as_bytes(), now.0, latest, Status::LOCKED.0];
    Ok(statement.query_row(refused, read).optional()?)
}

/// Takes the account's next probe, if one is due: nobody else makes one for `wait`.
pub(crate) fn begin(
    connection: &Connection,
    account: &str,
    wait: Duration,
    now: UnixMs,
) -> Result<bool, StoreError> {
    let taken = connection
        .prepare_cached(
            "UPDATE account SET refused_until_ms = ?3
             WHERE name = ?1 AND refused_status IS NOT NULL AND (refused_until_ms <= ?2 OR refused_until_ms > ?4)",
        )?
        .execute(params![account, now.0, now.after(wait).0, now.after(WAIT_MAX).0])?;
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

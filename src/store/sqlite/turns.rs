//! A worker's turn, and how a subscriber does.

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::attempt::{Attempt, Disabled};
use crate::store::error::StoreError;
use crate::store::sqlite::accounts::routes;
use crate::store::sqlite::claims::{claim, next_due};
use crate::store::sqlite::ingest::keep_events;
use crate::store::sqlite::outcomes::{give_back, record};
use crate::store::sqlite::reads::named;
use crate::store::turn::{Decided, Standing, Tell, Turn, Turned};
use crate::time::UnixMs;

/// Records, lets `decide` judge, and claims. Says too whether anybody was told of the subscriber.
pub(crate) fn turn(
    connection: &Connection,
    turn: &Turn,
    decide: impl FnOnce(Standing, &[Attempt]) -> Decided,
) -> Result<(Turned, bool), StoreError> {
    record(connection, &turn.outcomes)?;
    for unused in &turn.returned {
        give_back(connection, unused)?;
    }
    let before = standing(connection, &turn.subscriber)?;
    let decided = decide(before.clone(), &turn.outcomes);
    let claims = claim(connection, turn, decided.standing.resumed, decided.allowed)?;
    let mut standing = decided.standing;
    standing.pace = (decided.spend)(&claims);
    if standing != before {
        put_standing(connection, &turn.subscriber, &standing, turn.now)?;
    }
    let has_told = decided.tell.is_some();
    if let Some(tell) = decided.tell {
        keep_told(connection, tell, turn.now)?;
    }
    let next = next_due(connection, &turn.subscriber)?;
    Ok((Turned { claims, next, standing }, has_told))
}

/// How a subscriber does.
pub(crate) fn standing(connection: &Connection, subscriber: &str) -> Result<Standing, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT disabled_why, failing_since_ms, failing_told, resumed_ms, pace FROM subscriber WHERE name = ?1",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let why: Option<String> = row.get(0)?;
        Ok(Standing {
            disabled: why.map(|why| named(0, &why, Disabled::parse)).transpose()?,
            failing_since: row.get::<_, Option<i64>>(1)?.map(UnixMs),
            failing_told: row.get::<_, i64>(2).map(|told| (told != 0).then_some(UnixMs(told)))?,
            resumed: UnixMs(row.get(3)?),
            pace: row.get(4)?,
        })
    };
    Ok(statement.query_row([subscriber], read).optional()?.unwrap_or_default())
}

fn put_standing(
    connection: &Connection,
    subscriber: &str,
    standing: &Standing,
    now: UnixMs,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE subscriber SET disabled_why = ?2, failing_since_ms = ?3, failing_told = ?4, resumed_ms = ?5,
                    pace = ?6, disabled_ms = iif(?2 IS NULL, NULL, coalesce(disabled_ms, ?7)) WHERE name = ?1",
        )?
        .execute(params![
            subscriber,
            standing.disabled.map(Disabled::as_str),
            standing.failing_since.map(|since| since.0),
            // 0 is no time.
            standing.failing_told.map_or(0, |told| told.0),
            standing.resumed.0,
            standing.pace,
            now.0,
        ])?;
    Ok(())
}

/// Keeps what is told, and its deliveries.
fn keep_told(connection: &Connection, tell: Tell, now: UnixMs) -> Result<(), StoreError> {
    let routes = routes(connection)?;
    let events = tell(&routes);
    let names: Vec<String> = routes.into_iter().map(|(name, _)| name).collect();
    keep_events(connection, &events, &names, now)
}

//! Hours: owed, settled, and looked at.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::store::error::StoreError;
use crate::store::hour::{Cause, Gap, HourRow, HourState, OwedHour};
use crate::store::read::ReadId;
use crate::store::sqlite::reads::named;
use crate::time::{Hour, UnixMs};

const COLUMNS: &str = "hour, state, owed_by, not_before_ms, tries, doubts, shorts, cause, gap, verified_ms, held, known";

/// The SQL for the hour of a time in seconds: hours are counted from midnight in Beijing, which
/// is eight hours ahead.
pub(super) fn hour_of(seconds: &str) -> String {
    format!("(({seconds}) + 28800) / 3600")
}

/// Owes an hour.
pub(super) fn owe(
    connection: &Connection,
    account: &str,
    owed: &OwedHour,
    read: ReadId,
) -> Result<(), StoreError> {
    // Tries are never forgotten: an hour that is verified and owed again must not come before one
    // that was never read. A wait that doubtful or short reads imposed stands; one for the hour's
    // end does not. A cause that makes a gap replaces one that makes none. What was given up
    // stays so until something new speaks for it: the ways of a host do not. Reconciling owes
    // what was never looked at, and of the rest only what was verified too early.
    connection
        .prepare_cached(
            "INSERT INTO hour (account, hour, state, owed_by, not_before_ms, cause, gap)
             VALUES (?1, ?2, 'owed', ?3, ?4, ?5, ?6)
             ON CONFLICT (account, hour) DO UPDATE SET state = 'owed', owed_by = max(owed_by, excluded.owed_by),
                 doubts = iif(state = 'owed', doubts, 0),
                 shorts = iif(state = 'owed', shorts, 0),
                 cause = iif(state = 'owed' AND excluded.gap IS NULL, cause, excluded.cause),
                 gap = iif(state = 'owed', coalesce(gap, excluded.gap), excluded.gap),
                 not_before_ms = CASE WHEN state = 'verified' THEN ?7
                                      WHEN state != 'owed' THEN excluded.not_before_ms
                                      WHEN doubts + shorts > 0 THEN not_before_ms
                                      ELSE min(not_before_ms, excluded.not_before_ms) END
             WHERE (excluded.cause != 'reconcile' OR state = 'verified')
                 AND (state != 'verified' OR verified_ms IS NULL OR verified_ms < ?8)
                 AND (state != 'given_up' OR excluded.cause != 'routine')",
        )?
        .execute(params![
            account,
            owed.hour.number(),
            read.0,
            owed.not_before.0,
            owed.cause.as_str(),
            owed.gap.map(|gap| gap.0),
            owed.again_not_before.0,
            owed.unless_verified_since.0,
        ])?;
    Ok(())
}

/// Writes where an hour stands.
pub(super) fn set(connection: &Connection, account: &str, row: &HourRow) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO hour (account, hour, state, owed_by, not_before_ms, tries, doubts, shorts, cause,
                                          gap, verified_ms, held, known)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            account,
            row.hour.number(),
            row.state.as_str(),
            row.owed_by.0,
            row.not_before.0,
            row.tries,
            row.doubts,
            row.shorts,
            row.cause.as_str(),
            row.gap.map(|gap| gap.0),
            row.verified.map(|verified| verified.0),
            row.held,
            row.known,
        ])?;
    Ok(())
}

/// Where an hour stands; none where it was never owed nor asked for.
pub(super) fn row(
    connection: &Connection,
    account: &str,
    hour: Hour,
) -> Result<Option<HourRow>, StoreError> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM hour WHERE account = ?1 AND hour = ?2"))?;
    Ok(statement.query_row(params![account, hour.number()], read_row).optional()?)
}

/// Where hours stand, from the first to the last; those that were never owed nor asked for are
/// left out.
pub(crate) fn rows(
    connection: &Connection,
    account: &str,
    first: Hour,
    last: Hour,
) -> Result<Vec<HourRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM hour WHERE account = ?1 AND hour BETWEEN ?2 AND ?3 ORDER BY hour"
    ))?;
    let rows = statement
        .query_map(params![account, first.number(), last.number()], read_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<HourRow> {
    Ok(HourRow {
        hour: Hour::from_number(row.get(0)?),
        state: named(1, &row.get::<_, String>(1)?, state)?,
        owed_by: ReadId(row.get(2)?),
        not_before: UnixMs(row.get(3)?),
        tries: row.get(4)?,
        doubts: row.get(5)?,
        shorts: row.get(6)?,
        cause: named(7, &row.get::<_, String>(7)?, cause)?,
        gap: row.get::<_, Option<i64>>(8)?.map(ReadId),
        verified: row.get::<_, Option<i64>>(9)?.map(UnixMs),
        held: row.get(10)?,
        known: row.get(11)?,
    })
}

fn state(name: &str) -> Option<HourState> {
    HourState::ALL.into_iter().find(|state| state.as_str() == name)
}

fn cause(name: &str) -> Option<Cause> {
    Cause::ALL.into_iter().find(|cause| cause.as_str() == name)
}

/// The account's gaps: hours that are owed together because replies may be missing.
pub(crate) fn gaps(connection: &Connection, account: &str) -> Result<Vec<Gap>, StoreError> {
    let mut open = connection.prepare_cached(
        "SELECT DISTINCT gap FROM hour WHERE account = ?1 AND state = 'owed' AND gap IS NOT NULL ORDER BY gap",
    )?;
    let ids = open.query_map([account], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    ids.into_iter().map(|id| gap(connection, account, ReadId(id))).collect()
}

fn gap(connection: &Connection, account: &str, id: ReadId) -> Result<Gap, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT min(hour), max(hour), sum(state = 'owed'), sum(state = 'verified'), sum(state = 'given_up')
         FROM hour WHERE account = ?1 AND gap = ?2",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Gap {
            id,
            first: Hour::from_number(row.get(0)?),
            last: Hour::from_number(row.get(1)?),
            owed: row.get(2)?,
            verified: row.get(3)?,
            given_up: row.get(4)?,
        })
    };
    Ok(statement.query_row(params![account, id.0], read)?)
}

/// Owes every hour up to `last` that was never looked at, or too early, and remembers that it was
/// done.
pub(crate) fn reconcile(
    connection: &Connection,
    account: &str,
    owed: &[OwedHour],
    last: Hour,
) -> Result<(), StoreError> {
    for hour in owed {
        owe(connection, account, hour, ReadId(0))?;
    }
    connection
        .prepare_cached("UPDATE account SET reconciled_hour = ?2 WHERE name = ?1")?
        .execute(params![account, last.number()])?;
    Ok(())
}

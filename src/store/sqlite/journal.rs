//! The journal of reads, and counts of replies by hour: looked at, never changed.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::gateway::status::Status;
use crate::store::error::StoreError;
use crate::store::journal::{Coverage, FaultRow, JournalFilter, JournalRow};
use crate::store::read::ReadId;
use crate::store::sqlite::hours::hour_of;
use crate::time::{Hour, UnixMs};

const COLUMNS: &str = "id, account, hour, state, started_ms, ended_ms, ending, charset, http_status, error, status, \
     verdict, reason, records, faults, replies_new, missed, length(body), redacted_ms";

/// The newest reads that the filter lets through, newest first.
pub(crate) fn rows(
    connection: &Connection,
    filter: &JournalFilter,
) -> Result<Vec<JournalRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM read
         WHERE (?1 IS NULL OR account = ?1) AND (?2 IS NULL OR started_ms >= ?2)
             AND (NOT ?3 OR verdict = 'doubtful') AND (?5 IS NULL OR id < ?5)
         ORDER BY id DESC LIMIT ?4"
    ))?;
    let since = filter.since.map(|since| since.0);
    let before = filter.before.map(|before| before.0);
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let rows = statement
        .query_map(params![filter.account, since, filter.doubtful, limit, before], read_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// One read and its faults.
pub(crate) fn entry(
    connection: &Connection,
    read: ReadId,
) -> Result<Option<(JournalRow, Vec<FaultRow>)>, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM read WHERE id = ?1"))?;
    let Some(row) = statement.query_row([read.0], read_row).optional()? else { return Ok(None) };
    let mut faults = connection.prepare_cached(
        "SELECT offset, kind, length(bytes) FROM fault WHERE read_id = ?1 ORDER BY offset",
    )?;
    let fault =
        |row: &Row<'_>| Ok(FaultRow { offset: row.get(0)?, kind: row.get(1)?, bytes: row.get(2)? });
    let faults = faults.query_map([read.0], fault)?.collect::<Result<_, _>>()?;
    Ok(Some((row, faults)))
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<JournalRow> {
    Ok(JournalRow {
        id: ReadId(row.get(0)?),
        account: row.get(1)?,
        hour: row.get::<_, Option<i64>>(2)?.map(Hour::from_number),
        state: row.get(3)?,
        started: UnixMs(row.get(4)?),
        ended: row.get::<_, Option<i64>>(5)?.map(UnixMs),
        ending: row.get(6)?,
        charset: row.get(7)?,
        http_status: row.get(8)?,
        error: row.get(9)?,
        status: row.get::<_, Option<u16>>(10)?.map(Status),
        verdict: row.get(11)?,
        reason: row.get(12)?,
        records: row.get(13)?,
        faults: row.get(14)?,
        new: row.get(15)?,
        missed: row.get(16)?,
        body_bytes: row.get(17)?,
        redacted: row.get::<_, Option<i64>>(18)?.map(UnixMs),
    })
}

/// The reads that were taken in and whose bodies are kept as they came, oldest first. An empty one
/// holds nothing.
pub(crate) fn kept_ids(
    connection: &Connection,
    accounts: &[String],
    since: Option<UnixMs>,
) -> Result<Vec<ReadId>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM read WHERE account = ?1 AND state = 'ingested' AND length(body) > 0 AND redacted_ms IS NULL
             AND (?2 IS NULL OR started_ms >= ?2)",
    )?;
    let mut ids = Vec::new();
    for account in accounts {
        let of_account = params![account, since.map(|since| since.0)];
        let rows = statement.query_map(of_account, |row| row.get(0).map(ReadId))?;
        ids.extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    ids.sort_unstable();
    Ok(ids)
}

/// The bytes that a read brought, where they are kept.
pub(crate) fn body(connection: &Connection, read: ReadId) -> Result<Option<Vec<u8>>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT body FROM read WHERE id = ?1")?;
    Ok(statement.query_row([read.0], |row| row.get(0)).optional()?.flatten())
}

/// How many replies are kept of each hour that has any.
pub(crate) fn replies_by_hour(
    connection: &Connection,
    account: &str,
    first: Hour,
    last: Hour,
) -> Result<Vec<(Hour, u64)>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {}, count(*) FROM reply
         WHERE account = ?1 AND replied_at BETWEEN ?2 AND ?3 GROUP BY 1 ORDER BY 1",
        hour_of("replied_at")
    ))?;
    let span = params![account, first.start().unix_seconds(), last.end().seconds() - 1];
    let counts = statement
        .query_map(span, |row| Ok((Hour::from_number(row.get(0)?), row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(counts)
}

/// What an account's hours come to.
pub(crate) fn coverage(connection: &Connection, account: &str) -> Result<Coverage, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT (SELECT count(*) FROM hour WHERE account = ?1 AND state = 'owed'),
                (SELECT second_reader_ms FROM account WHERE name = ?1)",
    )?;
    let read = |row: &Row<'_>| {
        let second_reader = row.get::<_, Option<i64>>(1)?.map(UnixMs);
        Ok(Coverage { owed: row.get(0)?, second_reader })
    };
    Ok(statement.query_row([account], read)?)
}

//! What was changed by the HTTP API, and by whose token.

use rusqlite::{Connection, params};

use crate::store::audit_entry::{AuditEntry, AuditFilter, NewAuditEntry};
use crate::store::error::StoreError;
use crate::time::UnixMs;

/// Keeps an entry, in the transaction of what it tells of.
pub(crate) fn put(
    connection: &Connection,
    entry: &NewAuditEntry,
    outcome: &str,
    now: UnixMs,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO audit_entry (at_ms, token, action, target, outcome) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![now.0, entry.token, entry.action, entry.target, outcome])?;
    Ok(())
}

/// The newest entries that the filter lets through, newest first.
pub(crate) fn list(
    connection: &Connection,
    filter: &AuditFilter,
    limit: usize,
) -> Result<Vec<AuditEntry>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, at_ms, token, action, target, outcome FROM audit_entry
         WHERE (?1 IS NULL OR token = ?1) AND (?2 IS NULL OR at_ms >= ?2) AND (?3 IS NULL OR id < ?3)
         ORDER BY id DESC LIMIT ?4",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(AuditEntry {
            id: row.get(0)?,
            at: UnixMs(row.get(1)?),
            token: row.get(2)?,
            action: row.get(3)?,
            target: row.get(4)?,
            outcome: row.get(5)?,
        })
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let since = filter.since.map(|since| since.0);
    let rows = statement.query_map(params![filter.token, since, filter.before, limit], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

//! Counts over the whole store, for summaries.

use rusqlite::Connection;

use crate::store::delivery::Figures;
use crate::store::error::StoreError;

/// Counts everything, by scanning: for a summary now and then, not for a busy loop.
pub(crate) fn figures(connection: &Connection) -> Result<Figures, StoreError> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0));
    Ok(Figures {
        reads: count("SELECT count(*) FROM read WHERE state IN ('ingested', 'unanswered')")?,
        replies: count("SELECT count(*) FROM reply")?,
        deliveries: count("SELECT count(*) FROM delivery")?,
        delivered: count("SELECT count(*) FROM delivery WHERE state = 'delivered'")?,
        pending: count("SELECT count(*) FROM delivery WHERE state = 'waiting'")?,
        failed: count("SELECT count(*) FROM delivery WHERE state = 'failed'")?,
        attempts: count("SELECT count(*) FROM attempt")?,
        hours_owed: count("SELECT count(*) FROM hour WHERE state = 'owed'")?,
    })
}

/// Whether the store answers.
pub(crate) fn ping(connection: &Connection) -> Result<(), StoreError> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(())
}

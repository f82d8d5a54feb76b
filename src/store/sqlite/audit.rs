//! What tests ask of a whole store, where nobody else needs to know.

use rusqlite::{Connection, params};

use crate::store::error::StoreError;
use crate::store::hour::HourState;
use crate::store::read::ReadId;
use crate::time::Hour;

/// A reply as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptReply {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) occurrence: u32,
    pub(crate) mobile: String,
    pub(crate) replied_at: i64,
    pub(crate) content: String,
    pub(crate) content_raw: Option<Vec<u8>>,
    pub(crate) gateway: String,
}

/// An hour as it stands in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeptHour {
    pub(crate) hour: Hour,
    pub(crate) owed: bool,
    pub(crate) given_up: bool,
    pub(crate) in_gap: bool,
    pub(crate) not_before_ms: i64,
    pub(crate) tries: u32,
}

/// The replies that were kept after the one with this number, oldest first.
pub(crate) fn replies_after(
    connection: &Connection,
    seq: i64,
) -> Result<Vec<KeptReply>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, id, occurrence, mobile, replied_at, content, content_raw, gateway
         FROM reply WHERE seq > ?1 ORDER BY seq",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(KeptReply {
            seq: row.get(0)?,
            id: row.get(1)?,
            occurrence: row.get(2)?,
            mobile: row.get(3)?,
            replied_at: row.get(4)?,
            content: row.get(5)?,
            content_raw: row.get(6)?,
            gateway: row.get(7)?,
        })
    };
    let replies = statement.query_map([seq], read)?.collect::<Result<_, _>>()?;
    Ok(replies)
}

/// The hours of an account that are not verified.
pub(crate) fn hours_left(
    connection: &Connection,
    account: &str,
) -> Result<Vec<KeptHour>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT hour, state, not_before_ms, tries, gap IS NOT NULL FROM hour
         WHERE account = ?1 AND state != 'verified' ORDER BY hour",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let state: String = row.get(1)?;
        Ok(KeptHour {
            hour: Hour::from_number(row.get(0)?),
            owed: state == HourState::Owed.as_str(),
            given_up: state == HourState::GivenUp.as_str(),
            not_before_ms: row.get(2)?,
            tries: row.get(3)?,
            in_gap: row.get(4)?,
        })
    };
    let hours = statement.query_map(params![account], read)?.collect::<Result<_, _>>()?;
    Ok(hours)
}

/// The reads that are started or received and were not taken in.
pub(crate) fn reads_open(connection: &Connection) -> Result<Vec<ReadId>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM read WHERE state IN ('started', 'received')")?;
    let reads = statement.query_map([], |row| row.get(0).map(ReadId))?.collect::<Result<_, _>>()?;
    Ok(reads)
}

/// Who wrote what, when, of the records that wait for their hour.
pub(crate) fn records_waiting(
    connection: &Connection,
) -> Result<Vec<(String, i64, Vec<u8>)>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT mobile, replied_at, content FROM waiting_record")?;
    let records = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    Ok(records)
}

/// The pairs of reply and subscriber that have not exactly one delivery, made by itself.
pub(crate) fn deliveries_amiss(connection: &Connection) -> Result<i64, StoreError> {
    let mut statement = connection.prepare(
        "SELECT count(*) FROM (
             SELECT reply.id FROM reply CROSS JOIN subscriber
             LEFT JOIN event ON event.id = reply.id
             LEFT JOIN delivery ON delivery.event_seq = event.seq AND delivery.subscriber = subscriber.name
             GROUP BY reply.id, subscriber.name
             HAVING count(delivery.id) != 1 OR sum(delivery.trigger = 'auto') != 1)",
    )?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// How many deliveries there are.
pub(crate) fn deliveries(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("SELECT count(*) FROM delivery", [], |row| row.get(0))?)
}

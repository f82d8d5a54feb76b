//! Lets go of what was kept long enough.
//!
//! A look, on a reader, finds what may go; acts of a few rows each let it go, so that the writer
//! serves reads and deliveries between them. Each act judges its rows again: what began to wait
//! since the look stays.
//!
//! **A clock that is wrong** must not empty the store: a look takes the oldest day of each kind
//! and no more, and there is one look an hour, whoever looks. So a clock that is years ahead costs
//! a day's worth an hour until somebody sets it, of what is next in line to go anyway.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use crate::store::attempt::AttemptKey;
use crate::store::error::StoreError;
use crate::store::retention::{Chunk, Kind};
use crate::store::sqlite::messages;
use crate::store::sqlite::upkeep::CLOCK_IS_SET;
use crate::time::{Hour, UnixMs};

/// The least time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_hours(1);
/// As much as one look takes of a kind: its oldest day.
const LOOK_SPAN: Duration = Duration::from_hours(24);
/// Rows that one look finds at most; a day that has more goes on at the next.
const LOOK_ROWS_MAX: i64 = 100_000;
/// Rows in one act: some milliseconds.
const CHUNK_ROWS: usize = 200;
/// Replies in one act: each takes an event, its deliveries and their attempts along.
const CHUNK_REPLIES: usize = 50;
/// Bytes of bodies in one act, unless a single body has more.
const CHUNK_BYTES: i64 = 4 * 1024 * 1024;

/// What names a row that is let go.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    Row(i64),
    Attempt(AttemptKey),
    Tally([u8; 32]),
    Hour(String, i64),
}

/// A row that may be let go.
struct Found {
    key: Key,
    /// When it came, which is what its age counts from.
    came: UnixMs,
    /// How much of a chunk it fills, besides being one of its rows.
    bytes: i64,
}

/// Whether it is time for a look: takes it then, so that no other process looks too.
pub(crate) fn begin_look(connection: &Connection, now: UnixMs) -> Result<bool, StoreError> {
    if now < CLOCK_IS_SET {
        return Ok(false);
    }
    // A look in the future was one of a wrong clock.
    let taken = connection
        .prepare_cached(
            "INSERT INTO purge_look (only, last_ms) VALUES (1, ?1)
             ON CONFLICT (only) DO UPDATE SET last_ms = ?1 WHERE last_ms <= ?2 OR last_ms > ?1",
        )?
        .execute(params![now.0, now.before(LOOK_INTERVAL).0])?;
    Ok(taken == 1)
}

/// No delivery of the event still has something to do. What is done is named, so that a state
/// that this version does not know keeps its reply.
macro_rules! all_done {
    ($event:literal) => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.event_seq = ",
            $event,
            " AND delivery.state NOT IN ('delivered', 'failed', 'cancelled'))"
        )
    };
}

/// The same of every event that tells the reply `reply`: its own, and those of replays.
macro_rules! reply_done {
    () => {
        "NOT EXISTS (SELECT 1 FROM (SELECT seq FROM event WHERE id = reply.id
                                    UNION ALL SELECT seq FROM event WHERE replay_of = reply.id) AS told
             CROSS JOIN delivery ON delivery.event_seq = told.seq
             WHERE delivery.state NOT IN ('delivered', 'failed', 'cancelled'))"
    };
}

/// Nothing refers to the read, it is neither open nor the newest of its kind that the planner
/// and the owing of hours go by.
const READ_IS_FREE: &str = "state NOT IN ('started', 'received')
    AND NOT EXISTS (SELECT 1 FROM reply WHERE reply.read_id = read.id)
    AND NOT EXISTS (SELECT 1 FROM waiting_record WHERE waiting_record.read_id = read.id)
    AND NOT EXISTS (SELECT 1 FROM hour WHERE hour.owed_by = read.id)
    AND NOT EXISTS (SELECT 1 FROM hour WHERE hour.account = read.account AND hour.gap = read.id)
    AND NOT EXISTS (SELECT 1 FROM account WHERE account.slot_read_id = read.id)
    AND (read.hour IS NOT NULL OR EXISTS (
        SELECT 1 FROM read AS newer WHERE newer.account = read.account AND newer.hour IS NULL
            AND newer.verdict IS read.verdict AND newer.id > read.id))";

/// No reply is left of the text, and its hour will not be read again.
const TALLY_IS_FREE: &str = "NOT EXISTS (SELECT 1 FROM reply WHERE reply.identity = tally.identity)
    AND NOT EXISTS (SELECT 1 FROM hour
        WHERE hour.account = tally.account AND hour.hour = tally.hour AND hour.state = 'owed')";

/// Finds what of a kind came before `cutoff` and may go now, oldest first: one day of it at most.
pub(crate) fn find(
    connection: &Connection,
    kind: Kind,
    cutoff: UnixMs,
) -> Result<Vec<Chunk>, StoreError> {
    // The cross joins keep their order: account by account, from its oldest hour.
    let (sql, before) = match kind {
        Kind::Bodies => (
            "SELECT ended_ms, id, length(body) FROM read
             WHERE state = 'ingested' AND body IS NOT NULL AND body_sha256 IS NOT NULL AND ended_ms < ?1
             ORDER BY ended_ms LIMIT ?2"
                .to_owned(),
            cutoff.0,
        ),
        Kind::Attempts => (
            "SELECT started_ms, delivery_id, number FROM attempt WHERE started_ms < ?1
             ORDER BY started_ms LIMIT ?2"
                .to_owned(),
            cutoff.0,
        ),
        Kind::Replies => (
            concat!(
                "SELECT kept_ms, seq FROM reply WHERE kept_ms < ?1 AND ",
                reply_done!(),
                " ORDER BY kept_ms LIMIT ?2"
            )
            .to_owned(),
            cutoff.0,
        ),
        Kind::Events => (
            concat!(
                "SELECT max(created_ms) AS last_ms, event.seq FROM event JOIN delivery ON delivery.event_seq = event.seq
                 WHERE event.type != 'reply.received' AND ",
                all_done!("event.seq"),
                " GROUP BY event.seq HAVING last_ms < ?1 ORDER BY last_ms LIMIT ?2"
            )
            .to_owned(),
            cutoff.0,
        ),
        Kind::Messages => (
            "SELECT created_ms, seq FROM message WHERE created_ms < ?1
                 AND NOT EXISTS (SELECT 1 FROM message_call WHERE message_call.message = message.seq
                                 AND state IN ('waiting', 'sending'))
             ORDER BY created_ms LIMIT ?2"
                .to_owned(),
            cutoff.0,
        ),
        Kind::Tombstones => (
            format!(
                "SELECT hour, identity FROM account CROSS JOIN tally ON tally.account = account.name
                 WHERE tally.hour < ?1 AND {TALLY_IS_FREE} ORDER BY tally.hour LIMIT ?2"
            ),
            cutoff.beijing().hour().number(),
        ),
        Kind::Hours => (
            "SELECT hour, account FROM account CROSS JOIN hour ON hour.account = account.name
             WHERE hour.hour < ?1 AND state != 'owed' ORDER BY hour.hour LIMIT ?2"
                .to_owned(),
            cutoff.beijing().hour().number(),
        ),
        Kind::Replays => (
            "SELECT created_ms, id FROM replay_job WHERE created_ms < ?1 AND state != 'running'
             ORDER BY created_ms LIMIT ?2"
                .to_owned(),
            cutoff.0,
        ),
        Kind::AuditEntries => (
            "SELECT at_ms, id FROM audit_entry INDEXED BY audit_entry_at WHERE at_ms < ?1
             ORDER BY at_ms LIMIT ?2"
                .to_owned(),
            cutoff.0,
        ),
        Kind::Reads => (
            format!(
                "SELECT started_ms, id FROM read WHERE started_ms < ?1 AND {READ_IS_FREE}
                 ORDER BY started_ms LIMIT ?2"
            ),
            cutoff.0,
        ),
    };
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![before, LOOK_ROWS_MAX], |row| found(kind, row))?;
    let mut oldest_day = Vec::new();
    let mut end = None;
    for row in rows {
        let row = row?;
        if row.came >= *end.get_or_insert(row.came.after(LOOK_SPAN)) {
            break;
        }
        oldest_day.push(row);
    }
    Ok(chunks(kind, oldest_day))
}

fn found(kind: Kind, row: &Row<'_>) -> rusqlite::Result<Found> {
    let number: i64 = row.get(0)?;
    let of_hour = || Hour::from_number(number).start().unix_ms();
    Ok(match kind {
        Kind::Bodies => {
            Found { key: Key::Row(row.get(1)?), came: UnixMs(number), bytes: row.get(2)? }
        }
        Kind::Tombstones => Found { key: Key::Tally(row.get(1)?), came: of_hour(), bytes: 0 },
        Kind::Hours => Found { key: Key::Hour(row.get(1)?, number), came: of_hour(), bytes: 0 },
        Kind::Attempts => {
            let key =
                AttemptKey { delivery: row.get(1)?, number: row.get(2)?, started: UnixMs(number) };
            Found { key: Key::Attempt(key), came: key.started, bytes: 0 }
        }
        Kind::Replies
        | Kind::Events
        | Kind::Messages
        | Kind::Replays
        | Kind::Reads
        | Kind::AuditEntries => {
            Found { key: Key::Row(row.get(1)?), came: UnixMs(number), bytes: 0 }
        }
    })
}

/// Packs what was found into chunks that are one short act each.
fn chunks(kind: Kind, found: Vec<Found>) -> Vec<Chunk> {
    let rows_max = if kind == Kind::Replies { CHUNK_REPLIES } else { CHUNK_ROWS };
    let mut chunks = Vec::new();
    let (mut keys, mut bytes) = (Vec::new(), 0);
    for row in found {
        if keys.len() >= rows_max || !keys.is_empty() && bytes + row.bytes > CHUNK_BYTES {
            chunks.push(Chunk { kind, keys: std::mem::take(&mut keys) });
            bytes = 0;
        }
        bytes += row.bytes;
        keys.push(row.key);
    }
    if !keys.is_empty() {
        chunks.push(Chunk { kind, keys });
    }
    chunks
}

/// Lets a chunk's rows go, but those that may no longer. Says how many went.
pub(crate) fn drop_chunk(connection: &Connection, chunk: &Chunk) -> Result<usize, StoreError> {
    let mut dropped = 0;
    for key in &chunk.keys {
        dropped += match (chunk.kind, key) {
            (Kind::Bodies, Key::Row(id)) => drop_body(connection, *id)?,
            (Kind::Attempts, Key::Attempt(AttemptKey { delivery, number, started })) => run(
                connection,
                "DELETE FROM attempt WHERE delivery_id = ?1 AND number = ?2 AND started_ms = ?3",
                [*delivery, *number, started.0],
            )?,
            (Kind::Replies, Key::Row(seq)) => drop_reply_if_done(connection, *seq)?,
            (Kind::Events, Key::Row(seq)) => drop_event_if_done(connection, *seq)?,
            (Kind::Messages, Key::Row(seq)) => messages::drop_message(connection, *seq)?,
            (Kind::Tombstones, Key::Tally(identity)) => {
                let sql = format!("DELETE FROM tally WHERE identity = ?1 AND {TALLY_IS_FREE}");
                run(connection, &sql, [identity])?
            }
            (Kind::Hours, Key::Hour(account, hour)) => run(
                connection,
                "DELETE FROM hour WHERE account = ?1 AND hour = ?2 AND state != 'owed'",
                params![account, hour],
            )?,
            (Kind::Replays, Key::Row(id)) => run(
                connection,
                "DELETE FROM replay_job WHERE id = ?1 AND state != 'running'",
                [id],
            )?,
            (Kind::AuditEntries, Key::Row(id)) => {
                run(connection, "DELETE FROM audit_entry WHERE id = ?1", [id])?
            }
            (Kind::Reads, Key::Row(id)) => drop_read(connection, *id)?,
            // A key of another kind is made nowhere.
            _ => 0,
        };
    }
    Ok(dropped)
}

fn run(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<usize, StoreError> {
    Ok(connection.prepare_cached(sql)?.execute(parameters)?)
}

/// The digest stays: by it an equal body is known again.
fn drop_body(connection: &Connection, read: i64) -> Result<usize, StoreError> {
    let sql = "UPDATE read SET body = NULL WHERE id = ?1 AND state = 'ingested'";
    let dropped = run(connection, sql, [read])?;
    if dropped == 1 {
        run(connection, "UPDATE fault SET bytes = x'' WHERE read_id = ?1", [read])?;
    }
    Ok(dropped)
}

fn drop_read(connection: &Connection, read: i64) -> Result<usize, StoreError> {
    let sql = format!("SELECT 1 FROM read WHERE id = ?1 AND {READ_IS_FREE}");
    if !connection.prepare_cached(&sql)?.exists([read])? {
        return Ok(0);
    }
    run(connection, "DELETE FROM fault WHERE read_id = ?1", [read])?;
    run(connection, "DELETE FROM read WHERE id = ?1", [read])
}

fn drop_reply_if_done(connection: &Connection, seq: i64) -> Result<usize, StoreError> {
    let sql = concat!("SELECT 1 FROM reply WHERE seq = ?1 AND ", reply_done!());
    if connection.prepare_cached(sql)?.exists([seq])? { drop_reply(connection, seq) } else { Ok(0) }
}

/// Takes a reply out of the store, with its events, their deliveries and attempts, whatever they
/// wait for. Its tally stays: it is the tombstone that keeps every re-read from bringing the reply
/// back, and a further equal text is counted on from it.
pub(crate) fn drop_reply(connection: &Connection, seq: i64) -> Result<usize, StoreError> {
    let mut events = connection.prepare_cached(
        "SELECT event.seq FROM reply JOIN event ON event.id = reply.id WHERE reply.seq = ?1
         UNION ALL
         SELECT event.seq FROM reply JOIN event ON event.replay_of = reply.id WHERE reply.seq = ?1",
    )?;
    let events = events.query_map([seq], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    for event in events {
        drop_event(connection, event)?;
    }
    run(connection, "DELETE FROM reply WHERE seq = ?1", [seq])
}

fn drop_event_if_done(connection: &Connection, seq: i64) -> Result<usize, StoreError> {
    let sql = concat!(
        "SELECT 1 FROM event WHERE seq = ?1 AND type != 'reply.received' AND ",
        all_done!("event.seq")
    );
    if connection.prepare_cached(sql)?.exists([seq])? { drop_event(connection, seq) } else { Ok(0) }
}

/// Takes an event out of the store, with its deliveries and their attempts.
pub(super) fn drop_event(connection: &Connection, seq: i64) -> Result<usize, StoreError> {
    let attempts =
        "DELETE FROM attempt WHERE delivery_id IN (SELECT id FROM delivery WHERE event_seq = ?1)";
    run(connection, attempts, [seq])?;
    run(connection, "DELETE FROM delivery WHERE event_seq = ?1", [seq])?;
    let dropped = run(connection, "DELETE FROM event WHERE seq = ?1", [seq])?;
    keep_number(connection, seq)?;
    Ok(dropped)
}

/// No event gets a number that one had before it: whoever follows the events goes by them. Where the
/// newest is dropped, a row that tells nothing has its number.
fn keep_number(connection: &Connection, seq: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO event (seq, id, type, body)
             SELECT ?1, 'none', 'none', '{}' WHERE NOT EXISTS (SELECT 1 FROM event WHERE seq > ?1)
         ON CONFLICT (id) DO UPDATE SET seq = excluded.seq";
    run(connection, sql, [seq])?;
    Ok(())
}

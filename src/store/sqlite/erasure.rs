//! Finds all that is of a person, and lets it go.
//!
//! Replies, events and messages are found by their numbers; bytes that came from outside are looked
//! through by SQLite for the digits, and what has them is then read as what it is.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::gateway::rx;
use crate::reply::{Fingerprint, IdKey, Identity, Mobile};
use crate::store::attempt::AttemptKey;
use crate::store::erasure::{Found, Holding, Piece};
use crate::store::error::StoreError;
use crate::store::read::ReadId;
use crate::store::sqlite::reads::named;
use crate::store::sqlite::{messages, retention};
use crate::time::{BeijingTime, UnixMs};

/// Replies in one act: each takes its events, their deliveries and their attempts along.
const REPLIES_AT_ONCE: usize = 50;
/// Other rows in one act.
const ROWS_AT_ONCE: usize = 200;

/// Looks for all that is of a number.
pub(crate) fn find(connection: &Connection, mobile: &Mobile) -> Result<Found, StoreError> {
    let number = mobile.as_str();
    let digits = number.trim_start_matches('+').as_bytes();
    let replies = rows(connection, "SELECT seq FROM reply WHERE mobile = ?1", number)?;
    let events = rows(
        connection,
        "SELECT seq FROM event WHERE mobile = ?1
             AND NOT EXISTS (SELECT 1 FROM reply WHERE reply.id = coalesce(event.replay_of, event.id)
                             AND reply.mobile = ?1)",
        number,
    )?;
    let waiting = rows(connection, "SELECT id FROM waiting_record WHERE mobile = ?1", number)?;
    let bodies = with_number(
        connection,
        "SELECT body, id FROM read WHERE state != 'received' AND instr(body, ?1) > 0",
        [digits],
        numbered,
        |body| rx::without(body, mobile).is_some(),
    )?;
    let faults = with_number(
        connection,
        "SELECT bytes, id FROM fault WHERE instr(bytes, ?1) > 0",
        [digits],
        numbered,
        |bytes| rx::holds(bytes, mobile),
    )?;
    let answers = with_number(
        connection,
        "SELECT answer, delivery_id, number, started_ms FROM attempt CROSS JOIN delivery ON delivery.id = delivery_id
         WHERE instr(answer, ?1) > 0 AND delivery.mobile IS NOT ?2",
        (digits, number),
        |row| Ok(AttemptKey { delivery: row.get(1)?, number: row.get(2)?, started: UnixMs(row.get(3)?) }),
        |answer| rx::holds(answer, mobile),
    )?;
    let not_taken_in = with_number(
        connection,
        "SELECT body, id FROM read INDEXED BY read_open
         WHERE state IN ('started', 'received') AND state = 'received' AND instr(body, ?1) > 0",
        [digits],
        numbered,
        |body| rx::without(body, mobile).is_some(),
    )?;
    let messages = "SELECT count(*) FROM recipient WHERE mobile = ?1";
    let mut holding = Holding {
        replies: replies.len(),
        waiting_records: waiting.len(),
        bodies: bodies.len(),
        faults: faults.len(),
        answers: answers.len(),
        messages: count(connection, messages, number)?,
        ..Holding::default()
    };
    count_deliveries(connection, number, &mut holding)?;
    let mut pieces = Vec::new();
    for (rows, at_once, piece) in [
        (&replies, REPLIES_AT_ONCE, Piece::Replies as fn(Vec<i64>) -> Piece),
        (&events, REPLIES_AT_ONCE, Piece::Events),
        (&waiting, ROWS_AT_ONCE, Piece::Waiting),
        (&faults, ROWS_AT_ONCE, Piece::Faults),
    ] {
        pieces.extend(rows.chunks(at_once).map(|rows| piece(rows.to_vec())));
    }
    pieces.extend(answers.chunks(ROWS_AT_ONCE).map(|keys| Piece::Answers(keys.to_vec())));
    pieces.extend(bodies.into_iter().map(Piece::Body));
    pieces.extend((holding.messages > 0).then_some(Piece::Messages));
    let mentions =
        "SELECT count(*) FROM reply WHERE mobile != ?1 AND instr(content, ltrim(?1, '+')) > 0";
    Ok(Found {
        holding,
        pieces,
        mentions: count(connection, mentions, number)?,
        not_taken_in: not_taken_in.len(),
    })
}

fn rows(connection: &Connection, sql: &str, number: &str) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([number], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn count(connection: &Connection, sql: &str, number: &str) -> Result<usize, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([number], |row| row.get(0))?)
}

/// The rows whose bytes, which come first, have the number; one in memory at a time.
fn with_number<Key>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    key: impl Fn(&Row<'_>) -> rusqlite::Result<Key>,
    is_theirs: impl Fn(&[u8]) -> bool,
) -> Result<Vec<Key>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_bytes_or_null().map_err(rusqlite::Error::from)?;
        if is_theirs(bytes.unwrap_or_default()) {
            keys.push(key(row)?);
        }
    }
    Ok(keys)
}

/// The number of a row of which the bytes come first.
fn numbered(row: &Row<'_>) -> rusqlite::Result<i64> {
    row.get(1)
}

fn count_deliveries(
    connection: &Connection,
    number: &str,
    holding: &mut Holding,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*), count(*) FILTER (WHERE state IN ('held', 'waiting')),
                coalesce(sum((SELECT count(*) FROM attempt WHERE delivery_id = delivery.id)), 0)
         FROM event INDEXED BY event_mobile CROSS JOIN delivery ON event_seq = event.seq WHERE event.mobile = ?1",
    )?;
    let counts = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    (holding.deliveries, holding.under_way, holding.attempts) =
        statement.query_row([number], counts)?;
    Ok(())
}

/// Lets a piece go, but what of it is not this person's.
pub(crate) fn erase(
    connection: &Connection,
    mobile: &Mobile,
    piece: &Piece,
    now: UnixMs,
) -> Result<(), StoreError> {
    match piece {
        Piece::Replies(seqs) => {
            let is_theirs = "SELECT 1 FROM reply WHERE seq = ?1 AND mobile = ?2";
            each(connection, is_theirs, seqs, mobile, |seq| {
                let mark = "UPDATE tally SET erased = 1 WHERE identity = (SELECT identity FROM reply WHERE seq = ?1)";
                connection.prepare_cached(mark)?.execute([seq])?;
                retention::drop_reply(connection, seq).map(drop)
            })
        }
        Piece::Events(seqs) => {
            let is_theirs = "SELECT 1 FROM event WHERE seq = ?1 AND mobile = ?2";
            each(connection, is_theirs, seqs, mobile, |seq| {
                retention::drop_event(connection, seq).map(drop)
            })
        }
        Piece::Waiting(ids) => {
            let is_theirs = "SELECT 1 FROM waiting_record WHERE id = ?1 AND mobile = ?2";
            each(connection, is_theirs, ids, mobile, |id| drop_waiting(connection, id))
        }
        Piece::Faults(ids) => {
            let sql = "UPDATE fault SET bytes = x'' WHERE id = ?1";
            empty(connection, sql, ids.iter().map(|id| [*id]))
        }
        Piece::Answers(keys) => {
            let sql = "UPDATE attempt SET answer = NULL WHERE delivery_id = ?1 AND number = ?2 AND started_ms = ?3";
            empty(connection, sql, keys.iter().map(|key| [key.delivery, key.number, key.started.0]))
        }
        Piece::Body(read) => redact(connection, *read, mobile, now),
        Piece::Messages => messages::erase(connection, mobile).map(drop),
    }
}

/// Does something to each row that is still this person's.
fn each(
    connection: &Connection,
    is_theirs: &str,
    rows: &[i64],
    mobile: &Mobile,
    act: impl Fn(i64) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for row in rows {
        if connection.prepare_cached(is_theirs)?.exists(params![row, mobile.as_str()])? {
            act(*row)?;
        }
    }
    Ok(())
}

fn empty(
    connection: &Connection,
    sql: &str,
    keys: impl Iterator<Item = impl rusqlite::Params>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    for key in keys {
        statement.execute(key)?;
    }
    Ok(())
}

/// Lets a record go that waits for its hour. It was no reply yet, so that nothing counts it: its
/// tally is made here, else its hour would bring it.
fn drop_waiting(connection: &Connection, id: i64) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id_key, account, mobile, replied_at, content, copies
         FROM waiting_record JOIN account ON account.name = waiting_record.account WHERE id = ?1",
    )?;
    let read = |row: &Row<'_>| {
        let key = IdKey::from_stored(row.get(0)?);
        let (account, content): (String, Vec<u8>) = (row.get(1)?, row.get(4)?);
        let mobile = named(2, row.get_ref(2)?.as_str()?, Mobile::parse)?;
        let replied_at = BeijingTime::from_unix_seconds(row.get(3)?);
        let of = Fingerprint { account: &account, mobile: &mobile, replied_at, content: &content };
        let identity = key.identity(of);
        let copies: u32 = row.get(5)?;
        Ok((identity, account, replied_at.hour(), copies))
    };
    if let Some((identity, account, hour, copies)) = statement.query_row([id], read).optional()? {
        connection
            .prepare_cached(
                "INSERT INTO tally (identity, account, hour, plain, seen, erased) VALUES (?1, ?2, ?3, 0, ?4, 1)
                 ON CONFLICT (identity) DO UPDATE SET seen = max(seen, excluded.seen), erased = 1",
            )?
            .execute(params![identity.0, account, hour.number(), copies])?;
    }
    connection.prepare_cached("DELETE FROM waiting_record WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Of a read that is taken in: cuts out of its body what it holds of people whose texts in it were
/// erased before: the gateway gives them again by their hours.
pub(super) fn redact_erased(
    connection: &Connection,
    read: ReadId,
    writers: &[(Identity, Mobile, BeijingTime)],
    now: UnixMs,
) -> Result<(), StoreError> {
    let any = "SELECT 1 FROM tally INDEXED BY tally_erased WHERE erased = 1 LIMIT 1";
    if !connection.prepare_cached(any)?.exists([])? {
        return Ok(());
    }
    let mut is_erased = connection.prepare_cached(
        "SELECT 1 FROM tally INDEXED BY tally_erased WHERE identity = ?1 AND erased = 1",
    )?;
    let mut erased = HashSet::new();
    for (identity, mobile, _) in writers {
        if !erased.contains(&mobile) && is_erased.exists([identity.0])? {
            erased.insert(mobile);
        }
    }
    for mobile in erased {
        redact(connection, read.0, mobile, now)?;
    }
    Ok(())
}

/// Cuts out of a read's body what it holds of the person. The digest stays that of what came: by it
/// an equal answer is known again, and brings nothing back.
fn redact(
    connection: &Connection,
    read: i64,
    mobile: &Mobile,
    now: UnixMs,
) -> Result<(), StoreError> {
    let body: Option<Vec<u8>> = connection
        .prepare_cached("SELECT body FROM read WHERE id = ?1 AND state != 'received'")?
        .query_row([read], |row| row.get(0))
        .optional()?
        .flatten();
    if let Some(rest) = body.and_then(|body| rx::without(&body, mobile)) {
        connection
            .prepare_cached("UPDATE read SET body = ?2, redacted_ms = ?3 WHERE id = ?1")?
            .execute(params![read, rest, now.0])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Reads before and after their request: begun, received, open, and what the planner asks.

use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use crate::clock::Moment;
use crate::gateway::charset::Charset;
use crate::gateway::client::{Ending, ReadMode, Received};
use crate::gateway::status::Status;
use crate::store::error::StoreError;
use crate::store::read::{AccountView, Begin, OpenRead, ReadId, ReadRequest};
use crate::store::slot::Slot;
use crate::store::sqlite::accounts::{put_slot, slot};
use crate::store::sqlite::hours;
use crate::time::{Hour, UnixMs};

/// How long after its timeout a read is still not called unanswered: time to put on disk what
/// came until then. No longer than the interval, so that it delays no other read.
const ANSWER_SLACK: Duration = Duration::from_secs(30);

/// Takes the slot and writes the read's row, or says how long the slot is taken.
pub(crate) fn begin(
    connection: &Connection,
    request: &ReadRequest,
    now: &Moment,
) -> Result<Begin, StoreError> {
    if let Some((taken, read)) = slot(connection, &request.account)? {
        let wait = taken.wait(now);
        if !wait.is_zero() {
            put_slot(connection, &request.account, &taken.anchored(now), read)?;
            return Ok(Begin::Busy(wait));
        }
    }
    let deadline = now.after(request.timeout + ANSWER_SLACK.min(request.min_interval));
    connection.prepare_cached(
        "INSERT INTO read (account, hour, state, charset, started_ms, deadline_boot, deadline_boot_ms)
         VALUES (?1, ?2, 'started', ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        request.account,
        request.hour.map(Hour::number),
        request.charset.as_str(),
        now.unix.0,
        &*deadline.boot,
        deadline.boot_ms,
    ])?;
    let read = ReadId(connection.last_insert_rowid());
    let taken = Slot::taken(now, request.timeout + request.min_interval);
    put_slot(connection, &request.account, &taken, Some(read))?;
    Ok(Begin::Begun(read))
}

/// Gives back the slot of a read whose request never went out.
pub(crate) fn abandon(
    connection: &Connection,
    read: ReadId,
    now: &Moment,
) -> Result<(), StoreError> {
    let changed = connection
        .prepare_cached("UPDATE read SET state = 'abandoned', ended_ms = ?2 WHERE id = ?1 AND state = 'started'")?
        .execute(params![read.0, now.unix.0])?;
    let account = account_of(connection, read)?;
    match slot(connection, &account)? {
        Some((_, Some(holder))) if holder == read && changed == 1 => {
            put_slot(connection, &account, &Slot::taken(now, Duration::ZERO), None)
        }
        _ => Ok(()),
    }
}

/// Keeps what a read brought and counts the interval from now. An answer that comes after its
/// deadline is kept all the same, unless it was taken in already.
pub(crate) fn finish(
    connection: &Connection,
    read: ReadId,
    received: &Received,
    now: &Moment,
    min_interval: Duration,
) -> Result<(), StoreError> {
    let digest = (!received.body.is_empty()).then(|| Sha256::digest(&received.body).to_vec());
    connection.prepare_cached(
        "UPDATE read SET state = 'received', ended_ms = ?2, ending = ?3, http_status = ?4, error = ?5, body = ?6,
                body_sha256 = ?7
         WHERE id = ?1 AND state IN ('started', 'unanswered', 'abandoned')",
    )?
    .execute(params![
        read.0,
        now.unix.0,
        received.ending.as_str(),
        received.http_status,
        received.error,
        received.body,
        digest,
    ])?;
    let account = account_of(connection, read)?;
    let next = Slot::taken(now, min_interval);
    match slot(connection, &account)? {
        // Another read took the slot since: the later end stands.
        Some((taken, holder)) if holder != Some(read) && taken.ends_after(&next) => Ok(()),
        _ => put_slot(connection, &account, &next, None),
    }
}

fn account_of(connection: &Connection, read: ReadId) -> Result<String, StoreError> {
    let mut statement = connection.prepare_cached("SELECT account FROM read WHERE id = ?1")?;
    Ok(statement.query_row([read.0], |row| row.get(0))?)
}

/// The account's reads to take in: those received, and those whose deadline has passed with
/// nothing received, be it on this boot's clock or because their machine was started anew.
pub(crate) fn open_ids(
    connection: &Connection,
    account: &str,
    now: &Moment,
) -> Result<Vec<ReadId>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM read INDEXED BY read_open WHERE account = ?1 AND state IN ('started', 'received')
            AND (state = 'received' OR deadline_boot != ?2 OR deadline_boot_ms < ?3) ORDER BY id",
    )?;
    let ids = statement
        .query_map(params![account, &*now.boot, now.boot_ms], |row| row.get(0).map(ReadId))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// A read that is to be taken in; none when it has been.
pub(crate) fn open(connection: &Connection, read: ReadId) -> Result<Option<OpenRead>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, account, hour, charset, started_ms, ended_ms, ending, http_status, error, body FROM read
         WHERE id = ?1 AND state IN ('started', 'received')",
    )?;
    Ok(statement.query_row([read.0], open_read).optional()?)
}

/// A read that was taken in, where its body is kept as it came.
pub(crate) fn kept(connection: &Connection, read: ReadId) -> Result<Option<OpenRead>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, account, hour, charset, started_ms, ended_ms, ending, http_status, error, body FROM read
         WHERE id = ?1 AND state = 'ingested' AND body IS NOT NULL AND redacted_ms IS NULL",
    )?;
    Ok(statement.query_row([read.0], open_read).optional()?)
}

fn open_read(row: &Row<'_>) -> rusqlite::Result<OpenRead> {
    let ending: Option<String> = row.get(6)?;
    Ok(OpenRead {
        id: ReadId(row.get(0)?),
        account: row.get(1)?,
        hour: row.get::<_, Option<i64>>(2)?.map(Hour::from_number),
        answered: ending.is_some(),
        charset: named(3, &row.get::<_, String>(3)?, Charset::from_name)?,
        started: UnixMs(row.get(4)?),
        ended: row.get::<_, Option<i64>>(5)?.map(UnixMs),
        ending: ending.map_or(Ok(Ending::Unanswered), |name| named(6, &name, ending_of))?,
        http_status: row.get(7)?,
        error: row.get(8)?,
        body: row.get::<_, Option<Vec<u8>>>(9)?.unwrap_or_default(),
    })
}

fn ending_of(name: &str) -> Option<Ending> {
    Ending::ALL.into_iter().find(|ending| ending.as_str() == name)
}

/// Reads a word that this program wrote into a column.
pub(super) fn named<T>(
    column: usize,
    name: &str,
    read: impl Fn(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    // Without the word: it may be a number.
    let unknown =
        || rusqlite::Error::FromSqlConversionFailure(column, Type::Text, "an unknown word".into());
    read(name).ok_or_else(unknown)
}

/// What the planner must know of an account.
pub(crate) fn view(
    connection: &Connection,
    account: &str,
    mode: ReadMode,
    now: &Moment,
) -> Result<AccountView, StoreError> {
    // By ReadMode::Hour, reads of the hour that ran when they began are due ones.
    let due = match mode {
        ReadMode::Plain => "hour IS NULL".to_owned(),
        ReadMode::Hour => {
            format!("(hour IS NULL OR hour >= {})", hours::hour_of("started_ms / 1000"))
        }
    };
    let last_due = connection
        .prepare_cached(&format!(
            "SELECT started_ms FROM read WHERE account = ?1 AND {due} AND state != 'abandoned'
             ORDER BY id DESC LIMIT 1"
        ))?
        .query_row([account], |row| row.get(0).map(UnixMs))
        .optional()?;
    let last_was_due = connection
        .prepare_cached(&format!(
            "SELECT {due} FROM read WHERE account = ?1 AND state != 'abandoned' ORDER BY id DESC LIMIT 1"
        ))?
        .query_row([account], |row| row.get(0))
        .optional()?;
    let first_read = connection
        .prepare_cached("SELECT started_ms FROM read WHERE account = ?1 AND state != 'abandoned' ORDER BY id LIMIT 1")?
        .query_row([account], |row| row.get(0).map(UnixMs))
        .optional()?;
    let had_other_name = connection
        .prepare_cached(
            "SELECT 1 FROM account CROSS JOIN account AS other ON other.box = account.box AND other.name != account.name
                 CROSS JOIN read ON read.account = other.name
             WHERE account.name = ?1 AND read.state != 'abandoned' AND read.id < (
                 SELECT id FROM read AS own WHERE own.account = ?1 AND own.state != 'abandoned' ORDER BY id LIMIT 1)
             LIMIT 1",
        )?
        .exists([account])?;
    // The hour for which a cut record waits comes first: it waits for a while only. Then those of
    // gaps, before others that are looked at as a matter of course. Of either kind fewest tries
    // first, then the newest; but the hour that still runs, once tried, comes behind
    // those that are over: reading it again and again settles nothing and starves them. An hour to
    // come was owed by a clock that was wrong: it waits until it is there. The index is named
    // because SQLite, left to itself, looks at every hour that there ever was.
    let current = now.unix.beijing().hour();
    let owed = connection
        .prepare_cached(&format!(
            "SELECT hour FROM hour INDEXED BY hour_owed
             WHERE account = ?1 AND state = 'owed' AND not_before_ms <= ?2 AND hour <= ?3 + 1
             ORDER BY tries = 0 AND hour IN (SELECT {} FROM waiting_record
                                             WHERE waiting_record.account = ?1) DESC,
                 tries > 0 AND hour >= ?3, gap IS NULL, tries, hour DESC LIMIT 1",
            hours::hour_of("replied_at")
        ))?
        .query_row(params![account, now.unix.0, current.number()], |row| row.get(0))
        .optional()?;
    let next_owed = connection
        .prepare_cached(
            "SELECT min(not_before_ms) FROM hour INDEXED BY hour_owed
             WHERE account = ?1 AND state = 'owed' AND not_before_ms > ?2 AND hour <= ?3 + 1",
        )?
        .query_row(params![account, now.unix.0, current.number()], |row| {
            row.get::<_, Option<i64>>(0)
        })?;
    let standing = connection
        .prepare_cached(
            "SELECT refused_until_ms, refused_status, reconciled_hour FROM account WHERE name = ?1",
        )?
        .query_row([account], |row| {
            let (until, status, hour): (Option<i64>, Option<u16>, Option<i64>) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok((until.map(UnixMs), status.map(Status), hour.map(Hour::from_number)))
        })
        .optional()?;
    let (refused_until, refused_status, reconciled) = standing.unwrap_or_default();
    Ok(AccountView {
        slot: slot(connection, account)?.map(|(slot, _)| slot),
        last_due,
        last_was_due: last_was_due.unwrap_or(false),
        owed: owed.map(Hour::from_number),
        next_owed: next_owed.map(UnixMs),
        refused_until,
        refused_status,
        first_read,
        had_other_name,
        reconciled,
    })
}

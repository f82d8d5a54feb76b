//! What the store knows when a read is taken in: the answers to its questions.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::reply::Identity;
use crate::store::error::StoreError;
use crate::store::read::{Known, Missed, Questions, ReadId, Tally};
use crate::store::sqlite::accounts::routes;
use crate::store::sqlite::{hours, messages};
use crate::time::{Hour, UnixMs};

/// How far back reads by hour are looked at for a second reader.
const MISSED_WINDOW: Duration = Duration::from_hours(7 * 24);

/// The read's facts that the questions turn on.
pub(super) struct Facts {
    pub(super) read: ReadId,
    pub(super) account: String,
    pub(super) hour: Option<Hour>,
    pub(super) body_sha256: Option<Vec<u8>>,
}

/// Answers the questions that a read turns on.
pub(super) fn answer(
    connection: &Connection,
    facts: &Facts,
    questions: &Questions,
    now: UnixMs,
) -> Result<Known, StoreError> {
    let mut known = Known { now, subscribers: routes(connection)?, ..Known::default() };
    known.tallies = tallies(connection, &questions.identities)?;
    if messages::any(connection)? {
        for (identity, mobile, replied_at) in &questions.writers {
            let message = messages::answered(connection, &facts.account, mobile, *replied_at)?;
            known.answered.extend(message.map(|message| (*identity, message)));
        }
    }
    if let Some(gateway) = &questions.gateway {
        known.gateway_known = connection
            .prepare_cached("SELECT 1 FROM reply WHERE account = ?1 AND gateway = ?2 LIMIT 1")?
            .exists(params![facts.account, gateway])?;
    }
    if let (None, Some(digest)) = (facts.hour, &facts.body_sha256) {
        known.body_seen_before = connection
            .prepare_cached(
                "SELECT 1 FROM read WHERE account = ?1 AND body_sha256 = ?2 AND hour IS NULL AND id != ?3
                    AND (id < ?3 OR state = 'ingested')",
            )?
            .exists(params![facts.account, digest, facts.read.0])?;
    }
    known.proven_plain = proven_plain(connection, facts)?;
    known.previous_ended = previous(connection, facts, "coalesce(ended_ms, started_ms)", "TRUE")?;
    known.previous_plain = previous(connection, facts, "started_ms", "hour IS NULL")?;
    known.unannounced = unannounced_in_a_row(connection, facts)?;
    known.gaps = hours::gaps(connection, &facts.account)?;
    known.refusals = connection
        .prepare_cached("SELECT refusals FROM account WHERE name = ?1")?
        .query_row([&facts.account], |row| row.get(0))?;
    if let Some(hour) = facts.hour {
        known.hour = hours::row(connection, &facts.account, hour)?;
        known.copies_of_hour = copies_of_hour(connection, &facts.account, hour)?;
        known.hour_same_before = same_before(connection, facts, hour)?;
        known.missed = missed(connection, facts, now)?;
    }
    Ok(known)
}

/// When the first and the last proven plain read before this one began.
fn proven_plain(
    connection: &Connection,
    facts: &Facts,
) -> Result<Option<(UnixMs, UnixMs)>, StoreError> {
    let mut ends = Vec::new();
    for order in ["", "DESC"] {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT started_ms FROM read WHERE account = ?1 AND hour IS NULL AND verdict = 'proven' AND id < ?2
             ORDER BY id {order} LIMIT 1"
        ))?;
        let end = statement
            .query_row(params![facts.account, facts.read.0], |row| row.get(0).map(UnixMs))
            .optional()?;
        ends.extend(end);
    }
    Ok(ends.first().copied().zip(ends.last().copied()))
}

/// A time of the last read before this one that was made, let in, and of a kind.
fn previous(
    connection: &Connection,
    facts: &Facts,
    time: &str,
    kind: &str,
) -> Result<Option<UnixMs>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {time} FROM read WHERE account = ?1 AND {kind} AND id < ?2
            AND state != 'abandoned' AND verdict IS NOT 'refused' ORDER BY id DESC LIMIT 1"
    ))?;
    let time = statement
        .query_row(params![facts.account, facts.read.0], |row| row.get(0).map(UnixMs))
        .optional()?;
    Ok(time)
}

/// How many reads in a row before this one ended with their connection.
fn unannounced_in_a_row(connection: &Connection, facts: &Facts) -> Result<u32, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT ending IS 'connection' FROM read WHERE account = ?1 AND id < ?2 AND state != 'abandoned'
         ORDER BY id DESC LIMIT 6",
    )?;
    let mut rows = statement.query(params![facts.account, facts.read.0])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        if !row.get::<_, bool>(0)? {
            break;
        }
        count += 1;
    }
    Ok(count)
}

/// The last read of the same hour and when it began, where it brought this very body and nothing
/// announced its end.
fn same_before(
    connection: &Connection,
    facts: &Facts,
    hour: Hour,
) -> Result<Option<(ReadId, UnixMs)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, started_ms, body_sha256 IS ?4 AND ending IS 'connection' FROM read
         WHERE account = ?1 AND id < ?2 AND hour = ?3 AND state != 'abandoned' ORDER BY id DESC LIMIT 1",
    )?;
    let before = statement
        .query_row(params![facts.account, facts.read.0, hour.number(), facts.body_sha256], |row| {
            Ok(row.get::<_, bool>(2)?.then_some((ReadId(row.get(0)?), UnixMs(row.get(1)?))))
        });
    Ok(before.optional()?.flatten())
}

/// What other reads by hour of the last days brought that a plain read should have.
fn missed(connection: &Connection, facts: &Facts, now: UnixMs) -> Result<Missed, StoreError> {
    let since = now.before(MISSED_WINDOW);
    let mut statement = connection.prepare_cached(
        "SELECT count(*), coalesce(sum(missed), 0) FROM read
         WHERE account = ?1 AND missed > 0 AND id < ?2 AND started_ms >= ?3",
    )?;
    let (reads, replies) = statement
        .query_row(params![facts.account, facts.read.0, since.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let told = connection
        .prepare_cached("SELECT second_reader_ms FROM account WHERE name = ?1")?
        .query_row([&facts.account], |row| row.get::<_, Option<i64>>(0))?;
    Ok(Missed { reads, replies, told: told.map(UnixMs) })
}

fn tallies(
    connection: &Connection,
    identities: &[Identity],
) -> Result<HashMap<Identity, Tally>, StoreError> {
    let mut counts =
        connection.prepare_cached("SELECT plain, seen FROM tally WHERE identity = ?1")?;
    let mut gateways = connection
        .prepare_cached("SELECT gateway FROM reply WHERE identity = ?1 ORDER BY occurrence")?;
    let mut tallies = HashMap::new();
    for identity in identities {
        let counted = counts.query_row([identity.0], |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((plain, seen)) = counted.optional()? else { continue };
        let gateways =
            gateways.query_map([identity.0], |row| row.get(0))?.collect::<Result<_, _>>()?;
        tallies.insert(*identity, Tally { plain, seen, gateways });
    }
    Ok(tallies)
}

fn copies_of_hour(
    connection: &Connection,
    account: &str,
    hour: Hour,
) -> Result<Vec<(Identity, u32)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT identity, max(plain, seen) FROM tally WHERE account = ?1 AND hour = ?2",
    )?;
    let copies = statement
        .query_map(params![account, hour.number()], |row| Ok((Identity(row.get(0)?), row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(copies)
}

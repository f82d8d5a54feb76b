//! Taking in: the questions answered and what was decided kept, in one transaction.

use rusqlite::{Connection, OptionalExtension, params};

use crate::clock::Moment;
use crate::gateway::charset::Charset;
use crate::reply::{Identity, Mobile};
use crate::store::error::StoreError;
use crate::store::read::{
    HourChange, HourRow, HourState, Ingested, Known, NewReply, Outcome, Questions, ReadId, Source,
    Tally, Verdict, WaitingRecord,
};
use crate::store::sqlite::accounts::routes;
use crate::store::sqlite::reads::named;
use crate::time::{BeijingTime, Hour, UnixMs};

/// The read's facts that the questions turn on.
struct Facts {
    read: ReadId,
    account: String,
    hour: Option<Hour>,
    body_sha256: Option<Vec<u8>>,
}

/// Answers the questions, lets `decide` decide, and keeps what it decided. None when another
/// process took this in before.
pub(crate) fn take_in(
    connection: &Connection,
    source: Source,
    questions: &Questions,
    decide: impl FnOnce(Known) -> Outcome,
    now: &Moment,
) -> Result<Option<Ingested>, StoreError> {
    let Some(facts) = facts(connection, source)? else { return Ok(None) };
    let known = answer(connection, &facts, questions)?;
    let subscribers: Vec<String> = known.subscribers.iter().map(|(name, _)| name.clone()).collect();
    let refusals = known.refusals;
    let outcome = decide(known);
    keep_tallies(connection, &facts, &outcome)?;
    for new in &outcome.replies {
        keep_reply(connection, facts.read, new, &subscribers, now.unix)?;
    }
    keep_hours(connection, &facts, &outcome.hours)?;
    match source {
        Source::Read { .. } => close_read(connection, &facts, &outcome, refusals, now)?,
        Source::Waiting(id) => drop_waiting(connection, id)?,
    }
    Ok(Some(Ingested {
        read: facts.read,
        verdict: outcome.verdict,
        status: outcome.status,
        http_status: outcome.http_status,
        error: outcome.error.clone(),
        records: outcome.records,
        faults: outcome.faults.len(),
        new: outcome.replies.len(),
        owed: count_hours(&outcome, HourState::Owed),
        given_up: count_hours(&outcome, HourState::GivenUp),
        pause: outcome.pause,
    }))
}

fn count_hours(outcome: &Outcome, wanted: HourState) -> usize {
    let state = |change: &HourChange| match change {
        HourChange::Owe(..) => HourState::Owed,
        HourChange::Set(row) => row.state,
    };
    outcome.hours.iter().filter(|change| state(change) == wanted).count()
}

fn facts(connection: &Connection, source: Source) -> Result<Option<Facts>, StoreError> {
    let (sql, id) = match source {
        Source::Read { id, answered: true } => {
            ("SELECT id, account, hour, body_sha256 FROM read WHERE id = ?1 AND state = 'received'", id.0)
        }
        Source::Read { id, answered: false } => {
            ("SELECT id, account, hour, body_sha256 FROM read WHERE id = ?1 AND state = 'started'", id.0)
        }
        Source::Waiting(id) => (
            "SELECT read.id, read.account, read.hour, read.body_sha256
             FROM waiting_record JOIN read ON read.id = waiting_record.read_id WHERE waiting_record.id = ?1",
            id,
        ),
    };
    let facts = connection.prepare_cached(sql)?.query_row([id], |row| {
        Ok(Facts {
            read: ReadId(row.get(0)?),
            account: row.get(1)?,
            hour: row.get::<_, Option<i64>>(2)?.map(Hour::from_number),
            body_sha256: row.get(3)?,
        })
    });
    Ok(facts.optional()?)
}

fn answer(
    connection: &Connection,
    facts: &Facts,
    questions: &Questions,
) -> Result<Known, StoreError> {
    let mut known = Known { subscribers: routes(connection)?, ..Known::default() };
    for identity in &questions.identities {
        if let Some(tally) = tally(connection, identity)? {
            known.tallies.insert(*identity, tally);
        }
    }
    if let Some(gateway) = &questions.gateway {
        known.gateway_known = connection
            .prepare_cached("SELECT 1 FROM reply WHERE account = ?1 AND gateway = ?2 LIMIT 1")?
            .exists(params![facts.account, gateway])?;
    }
    if let (None, Some(digest)) = (facts.hour, &facts.body_sha256) {
        known.body_seen_before = connection
            .prepare_cached("SELECT 1 FROM read WHERE account = ?1 AND body_sha256 = ?2 AND hour IS NULL AND id < ?3")?
            .exists(params![facts.account, digest, facts.read.0])?;
    }
    known.last_proven_plain = connection
        .prepare_cached(
            "SELECT started_ms FROM read WHERE account = ?1 AND hour IS NULL AND verdict = 'proven' AND id < ?2
             ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![facts.account, facts.read.0], |row| row.get(0).map(UnixMs))
        .optional()?;
    known.refusals = connection
        .prepare_cached("SELECT refusals FROM account WHERE name = ?1")?
        .query_row([&facts.account], |row| row.get(0))?;
    if let Some(hour) = facts.hour {
        known.hour = hour_row(connection, &facts.account, hour)?;
        known.copies_of_hour = copies_of_hour(connection, &facts.account, hour)?;
    }
    Ok(known)
}

fn tally(connection: &Connection, identity: &Identity) -> Result<Option<Tally>, StoreError> {
    let counts = connection
        .prepare_cached("SELECT plain, seen FROM tally WHERE identity = ?1")?
        .query_row([identity.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((plain, seen)) = counts else { return Ok(None) };
    let mut statement = connection
        .prepare_cached("SELECT gateway FROM reply WHERE identity = ?1 ORDER BY occurrence")?;
    let gateways =
        statement.query_map([identity.0], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Some(Tally { plain, seen, gateways }))
}

fn hour_row(
    connection: &Connection,
    account: &str,
    hour: Hour,
) -> Result<Option<HourRow>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT state, owed_by, not_before_ms, tries, doubts, shorts FROM hour WHERE account = ?1 AND hour = ?2",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(HourRow {
            hour,
            state: named(0, &row.get::<_, String>(0)?, hour_state)?,
            owed_by: ReadId(row.get(1)?),
            not_before: UnixMs(row.get(2)?),
            tries: row.get(3)?,
            doubts: row.get(4)?,
            shorts: row.get(5)?,
        })
    };
    Ok(statement.query_row(params![account, hour.number()], read).optional()?)
}

fn hour_state(name: &str) -> Option<HourState> {
    [HourState::Owed, HourState::Verified, HourState::GivenUp]
        .into_iter()
        .find(|state| state.as_str() == name)
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

fn keep_tallies(
    connection: &Connection,
    facts: &Facts,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO tally (identity, account, hour, plain, seen) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (identity) DO UPDATE SET plain = excluded.plain, seen = excluded.seen",
    )?;
    for (identity, hour, tally) in &outcome.tallies {
        statement.execute(params![
            identity.0,
            facts.account,
            hour.number(),
            tally.plain,
            tally.seen
        ])?;
    }
    Ok(())
}

fn keep_reply(
    connection: &Connection,
    read: ReadId,
    new: &NewReply,
    subscribers: &[String],
    now: UnixMs,
) -> Result<(), StoreError> {
    let reply = &new.reply;
    connection.prepare_cached(
        "INSERT INTO reply (id, identity, occurrence, account, mobile, replied_at, content, content_raw, gateway,
                            suspect, extension, read_id, kept_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        reply.id.as_str(),
        new.identity.0,
        reply.occurrence,
        reply.account,
        reply.mobile.as_str(),
        reply.replied_at.unix_seconds(),
        reply.content,
        reply.content_raw,
        reply.gateway,
        reply.suspect.map(crate::reply::Suspicion::as_str),
        reply.extension,
        read.0,
        now.0,
    ])?;
    connection.prepare_cached("INSERT INTO event (id, type, body) VALUES (?1, ?2, ?3)")?.execute(
        params![reply.id.as_str(), crate::event::EventType::ReplyReceived.as_str(), new.event],
    )?;
    let event = connection.last_insert_rowid();
    let mut deliver = connection.prepare_cached(
        "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
         VALUES (?1, ?2, 'auto', 'waiting', ?3, ?3)",
    )?;
    for subscriber in new.subscribers.iter().filter_map(|index| subscribers.get(*index)) {
        deliver.execute(params![subscriber, event, now.0])?;
    }
    Ok(())
}

fn keep_hours(
    connection: &Connection,
    facts: &Facts,
    changes: &[HourChange],
) -> Result<(), StoreError> {
    let account = &facts.account;
    // Tries are never forgotten: an hour that is verified and owed again must not come before one
    // that was never read. A wait that doubtful or short reads imposed stands; one for the hour's
    // end does not.
    let mut owe = connection.prepare_cached(
        "INSERT INTO hour (account, hour, state, owed_by, not_before_ms) VALUES (?1, ?2, 'owed', ?3, ?4)
         ON CONFLICT (account, hour) DO UPDATE SET state = 'owed', owed_by = max(owed_by, excluded.owed_by),
             doubts = iif(state = 'owed', doubts, 0),
             shorts = iif(state = 'owed', shorts, 0),
             not_before_ms = CASE WHEN state != 'owed' THEN excluded.not_before_ms
                                  WHEN doubts + shorts > 0 THEN not_before_ms
                                  ELSE min(not_before_ms, excluded.not_before_ms) END",
    )?;
    let mut set = connection.prepare_cached(
        "UPDATE hour SET state = ?3, not_before_ms = ?4, tries = ?5, doubts = ?6, shorts = ?7
         WHERE account = ?1 AND hour = ?2",
    )?;
    for change in changes {
        match change {
            HourChange::Owe(hour, not_before) => {
                owe.execute(params![account, hour.number(), facts.read.0, not_before.0])?;
            }
            HourChange::Set(row) => {
                let (hour, state, not_before_ms) =
                    (row.hour.number(), row.state.as_str(), row.not_before.0);
                set.execute(params![
                    account,
                    hour,
                    state,
                    not_before_ms,
                    row.tries,
                    row.doubts,
                    row.shorts
                ])?;
            }
        }
    }
    Ok(())
}

fn close_read(
    connection: &Connection,
    facts: &Facts,
    outcome: &Outcome,
    refusals: u32,
    now: &Moment,
) -> Result<(), StoreError> {
    connection.prepare_cached(
        "UPDATE read SET state = iif(state = 'started', 'unanswered', 'ingested'), status = ?2, verdict = ?3,
                reason = ?4, records = ?5, faults = ?6, replies_new = ?7 WHERE id = ?1",
    )?
    .execute(params![
        facts.read.0,
        outcome.status.map(|status| status.0),
        outcome.verdict.as_str(),
        outcome.verdict.reason(),
        outcome.records,
        outcome.faults.len(),
        outcome.replies.len(),
    ])?;
    // A late answer replaces what its read was taken for.
    connection.prepare_cached("DELETE FROM fault WHERE read_id = ?1")?.execute([facts.read.0])?;
    for fault in &outcome.faults {
        connection
            .prepare_cached(
                "INSERT INTO fault (read_id, offset, kind, bytes) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                facts.read.0,
                i64::try_from(fault.offset).unwrap_or(i64::MAX),
                fault.kind,
                fault.bytes
            ])?;
    }
    if let Some(waiting) = &outcome.waiting {
        put_waiting(connection, waiting)?;
    }
    keep_refusal(connection, &facts.account, outcome, refusals, now.unix)
}

/// Counts refusals in a row. A read that was not answered says nothing of the login.
fn keep_refusal(
    connection: &Connection,
    account: &str,
    outcome: &Outcome,
    refusals: u32,
    now: UnixMs,
) -> Result<(), StoreError> {
    let (refusals, until) = match outcome.pause {
        Some(pause) => (refusals.saturating_add(1), Some(now.after(pause).0)),
        None if outcome.verdict == Verdict::Proven || outcome.status.is_some() => (0, None),
        None => return Ok(()),
    };
    connection
        .prepare_cached("UPDATE account SET refusals = ?2, refused_until_ms = ?3 WHERE name = ?1")?
        .execute(params![account, refusals, until])?;
    Ok(())
}

fn put_waiting(connection: &Connection, record: &WaitingRecord) -> Result<(), StoreError> {
    connection.prepare_cached(
        "INSERT INTO waiting_record (read_id, account, copies, release_ms, mobile, replied_at, content, gateway,
                                     may_hold_two) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        record.read.0,
        record.account,
        record.copies,
        record.release.0,
        record.mobile.as_str(),
        record.replied_at.unix_seconds(),
        record.content,
        record.gateway,
        record.may_hold_two,
    ])?;
    Ok(())
}

fn drop_waiting(connection: &Connection, id: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM waiting_record WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// The account's records that have waited long enough, each with the number of its row.
pub(crate) fn waiting_due(
    connection: &Connection,
    account: &str,
    now: UnixMs,
) -> Result<Vec<(i64, WaitingRecord)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT waiting_record.id, read_id, charset, copies, release_ms, mobile, replied_at, content, gateway,
                may_hold_two
         FROM waiting_record JOIN read ON read.id = read_id WHERE waiting_record.account = ?1 AND release_ms <= ?2",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let record = WaitingRecord {
            read: ReadId(row.get(1)?),
            account: account.to_owned(),
            charset: named(2, &row.get::<_, String>(2)?, Charset::from_name)?,
            copies: row.get(3)?,
            release: UnixMs(row.get(4)?),
            mobile: named(5, &row.get::<_, String>(5)?, Mobile::parse)?,
            replied_at: BeijingTime::from_unix_seconds(row.get(6)?),
            content: row.get(7)?,
            gateway: row.get(8)?,
            may_hold_two: row.get(9)?,
        };
        Ok((row.get(0)?, record))
    };
    let records = statement.query_map(params![account, now.0], read)?.collect::<Result<_, _>>()?;
    Ok(records)
}

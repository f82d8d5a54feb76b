//! Taking in: the questions answered and what was decided kept, in one transaction.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::clock::Moment;
use crate::event::EventType;
use crate::gateway::charset::Charset;
use crate::reply::{Identity, Mobile, Suspicion};
use crate::store::delivery::DeliveryState;
use crate::store::error::StoreError;
use crate::store::hour::{HourChange, HourState};
use crate::store::read::{
    Ingested, Known, Missed, NewEvent, NewReply, Outcome, Questions, ReadId, Source, Standing,
    Tally, WaitingRecord,
};
use crate::store::sqlite::accounts::{conversion, routes};
use crate::store::sqlite::hours;
use crate::store::sqlite::reads::named;
use crate::time::{BeijingTime, Hour, UnixMs};

/// How far back reads by hour are looked at for a second reader.
const MISSED_WINDOW: Duration = Duration::from_hours(7 * 24);

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
    let Some((facts, known)) = consider(connection, source, questions, now.unix)? else {
        return Ok(None);
    };
    let subscribers: Vec<String> = known.subscribers.iter().map(|(name, _)| name.clone()).collect();
    let refusals = known.refusals;
    let outcome = decide(known);
    keep_tallies(connection, &facts, &outcome)?;
    put_replies(connection, facts.read, &outcome.replies, now.unix)?;
    put_events(connection, &outcome.replies, &subscribers, now.unix)?;
    keep_hours(connection, &facts, &outcome.hours)?;
    keep_events(connection, &outcome.events, &subscribers, now.unix)?;
    match source {
        Source::Read { .. } => close_read(connection, &facts, &outcome, refusals, now)?,
        Source::Waiting(id) => drop_waiting(connection, id)?,
        Source::Reparse(_) => amend_read(connection, &facts, &outcome)?,
    }
    Ok(Some(ingested(&facts, &outcome)))
}

/// What taking this in would come to. Nothing is kept of it.
pub(crate) fn weigh(
    connection: &Connection,
    source: Source,
    questions: &Questions,
    decide: impl FnOnce(Known) -> Outcome,
    now: UnixMs,
) -> Result<Option<Ingested>, StoreError> {
    let considered = consider(connection, source, questions, now)?;
    Ok(considered.map(|(facts, known)| ingested(&facts, &decide(known))))
}

fn consider(
    connection: &Connection,
    source: Source,
    questions: &Questions,
    now: UnixMs,
) -> Result<Option<(Facts, Known)>, StoreError> {
    let Some(facts) = facts(connection, source)? else { return Ok(None) };
    let mut known = answer(connection, &facts, questions, now)?;
    if let Source::Reparse(read) = source {
        known.record_waits = connection
            .prepare_cached("SELECT 1 FROM waiting_record WHERE read_id = ?1")?
            .exists([read.0])?;
    }
    Ok(Some((facts, known)))
}

fn ingested(facts: &Facts, outcome: &Outcome) -> Ingested {
    Ingested {
        read: facts.read,
        verdict: outcome.verdict,
        status: outcome.status,
        http_status: outcome.http_status,
        error: outcome.error.clone(),
        records: outcome.records,
        faults: outcome.faults.len(),
        new: outcome.replies.len(),
        owed: count_hours(outcome, HourState::Owed),
        given_up: count_hours(outcome, HourState::GivenUp),
        missing: outcome.missing,
        pause: match outcome.standing {
            Standing::Refused(_, pause) => Some(pause),
            _ => None,
        },
        told: outcome.events.iter().map(|event| event.event_type).collect(),
    }
}

fn count_hours(outcome: &Outcome, wanted: HourState) -> usize {
    let state = |change: &HourChange| match change {
        HourChange::Owe(_) => HourState::Owed,
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
        Source::Reparse(id) => (
            "SELECT id, account, hour, body_sha256 FROM read WHERE id = ?1 AND state = 'ingested' AND body IS NOT NULL",
            id.0,
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
    now: UnixMs,
) -> Result<Known, StoreError> {
    let mut known = Known { subscribers: routes(connection)?, ..Known::default() };
    known.tallies = tallies(connection, &questions.identities)?;
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
    known.previous_ended = connection
        .prepare_cached(
            "SELECT coalesce(ended_ms, started_ms) FROM read
             WHERE account = ?1 AND id < ?2 AND state != 'abandoned' AND verdict IS NOT 'refused'
             ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![facts.account, facts.read.0], |row| row.get(0).map(UnixMs))
        .optional()?;
    known.unannounced = unannounced_in_a_row(connection, facts)?;
    known.gaps = hours::gaps(connection, &facts.account)?;
    known.refusals = connection
        .prepare_cached("SELECT refusals FROM account WHERE name = ?1")?
        .query_row([&facts.account], |row| row.get(0))?;
    if let Some(hour) = facts.hour {
        known.hour = hours::row(connection, &facts.account, hour)?;
        known.copies_of_hour = copies_of_hour(connection, &facts.account, hour)?;
        known.hour_same_as_before = same_as_before(connection, facts, hour)?;
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

/// Whether the last read of the same hour brought this very body.
fn same_as_before(connection: &Connection, facts: &Facts, hour: Hour) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT body_sha256 IS ?4 AND ending IS 'connection' FROM read
         WHERE account = ?1 AND id < ?2 AND hour = ?3 AND state != 'abandoned' ORDER BY id DESC LIMIT 1",
    )?;
    let same = statement
        .query_row(params![facts.account, facts.read.0, hour.number(), facts.body_sha256], |row| {
            row.get(0)
        });
    Ok(same.optional()?.unwrap_or(false))
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

fn keep_tallies(
    connection: &Connection,
    facts: &Facts,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO tally (identity, account, hour, plain, seen) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (identity) DO UPDATE SET plain = excluded.plain, seen = excluded.seen",
    )?;
    // In the order of the key: neighbours lie on one page.
    let mut tallies: Vec<_> = outcome.tallies.iter().collect();
    tallies.sort_unstable_by_key(|(identity, ..)| *identity);
    for (identity, hour, tally) in tallies {
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

fn put_replies(
    connection: &Connection,
    read: ReadId,
    replies: &[NewReply],
    now: UnixMs,
) -> Result<(), StoreError> {
    let mut put = connection.prepare_cached(
        "INSERT INTO reply (id, identity, occurrence, account, mobile, replied_at, content, content_raw, gateway,
                            suspect, extension, read_id, kept_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    for NewReply { reply, identity, .. } in replies {
        put.execute(params![
            reply.id.as_str(),
            identity.0,
            reply.occurrence,
            reply.account,
            reply.mobile.as_str(),
            reply.replied_at.unix_seconds(),
            reply.content,
            reply.content_raw,
            reply.gateway,
            reply.suspect.map(Suspicion::as_str),
            reply.extension,
            read.0,
            now.0,
        ])?;
    }
    Ok(())
}

/// Puts the replies' events, and each to those who want it.
fn put_events(
    connection: &Connection,
    replies: &[NewReply],
    subscribers: &[String],
    now: UnixMs,
) -> Result<(), StoreError> {
    let mut put =
        connection.prepare_cached("INSERT INTO event (id, type, body) VALUES (?1, ?2, ?3)")?;
    let mut waiting = vec![Vec::new(); subscribers.len()];
    let mut held = waiting.clone();
    for new in replies {
        let event_type = EventType::ReplyReceived.as_str();
        let event = put.insert(params![new.reply.id.as_str(), event_type, new.event])?;
        for index in &new.subscribers {
            let events = if new.held.contains(index) { &mut held } else { &mut waiting };
            if let Some(events) = events.get_mut(*index) {
                events.push(event);
            }
        }
    }
    for (events, state) in [(&waiting, DeliveryState::Waiting), (&held, DeliveryState::Held)] {
        for (subscriber, events) in subscribers.iter().zip(events) {
            put_deliveries(connection, subscriber, events, state, now)?;
        }
    }
    Ok(())
}

/// Puts a subscriber's deliveries by one statement: what SQLite sets up to check a row is then
/// set up once, not for each.
fn put_deliveries(
    connection: &Connection,
    subscriber: &str,
    events: &[i64],
    state: DeliveryState,
    now: UnixMs,
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let events = serde_json::to_string(events).map_err(conversion)?;
    connection
        .prepare_cached(
            "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
             SELECT ?1, value, 'auto', ?4, ?3, ?3 FROM json_each(?2)",
        )?
        .execute(params![subscriber, events, now.0, state.as_str()])?;
    Ok(())
}

fn keep_hours(
    connection: &Connection,
    facts: &Facts,
    changes: &[HourChange],
) -> Result<(), StoreError> {
    for change in changes {
        match change {
            HourChange::Owe(owed) => hours::owe(connection, &facts.account, owed, facts.read)?,
            HourChange::Set(row) => hours::set(connection, &facts.account, row)?,
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
                reason = ?4, records = ?5, faults = ?6, replies_new = ?7, missed = ?8 WHERE id = ?1",
    )?
    .execute(params![
        facts.read.0,
        outcome.status.map(|status| status.0),
        outcome.verdict.as_str(),
        outcome.verdict.reason(),
        outcome.records,
        outcome.faults.len(),
        outcome.replies.len(),
        outcome.missed,
    ])?;
    // A late answer replaces what its read was taken for.
    replace_faults(connection, facts.read, outcome)?;
    if let Some(waiting) = &outcome.waiting {
        put_waiting(connection, waiting)?;
    }
    if outcome.events.iter().any(|event| event.event_type == EventType::SecondReader) {
        connection
            .prepare_cached("UPDATE account SET second_reader_ms = ?2 WHERE name = ?1")?
            .execute(params![facts.account, now.unix.0])?;
    }
    keep_standing(connection, &facts.account, outcome.standing, refusals, now.unix)
}

/// Writes what a read held in the eyes of a newer parser, and counts the replies that this made.
/// Its verdict stands: what followed from it has happened.
fn amend_read(connection: &Connection, facts: &Facts, outcome: &Outcome) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE read SET records = ?2, faults = ?3, replies_new = coalesce(replies_new, 0) + ?4 WHERE id = ?1",
        )?
        .execute(params![facts.read.0, outcome.records, outcome.faults.len(), outcome.replies.len()])?;
    replace_faults(connection, facts.read, outcome)
}

fn replace_faults(
    connection: &Connection,
    read: ReadId,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM fault WHERE read_id = ?1")?.execute([read.0])?;
    for fault in &outcome.faults {
        connection
            .prepare_cached(
                "INSERT INTO fault (read_id, offset, kind, bytes) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                read.0,
                i64::try_from(fault.offset).unwrap_or(i64::MAX),
                fault.kind,
                fault.bytes
            ])?;
    }
    Ok(())
}

/// Keeps events that are no replies, and their deliveries. One that nobody wants is not kept: it
/// was logged.
pub(super) fn keep_events(
    connection: &Connection,
    events: &[NewEvent],
    subscribers: &[String],
    now: UnixMs,
) -> Result<(), StoreError> {
    for event in events.iter().filter(|event| !event.subscribers.is_empty()) {
        connection
            .prepare_cached("INSERT INTO event (id, type, body) VALUES (?1, ?2, ?3)")?
            .execute(params![event.id, event.event_type.as_str(), event.body])?;
        let seq = connection.last_insert_rowid();
        let mut deliver = connection.prepare_cached(
            "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
             VALUES (?1, ?2, 'auto', 'waiting', ?3, ?3)",
        )?;
        for name in event.subscribers.iter().filter_map(|index| subscribers.get(*index)) {
            deliver.execute(params![name, seq, now.0])?;
        }
    }
    Ok(())
}

/// Counts refusals in a row and keeps until when the account is left alone.
pub(super) fn keep_standing(
    connection: &Connection,
    account: &str,
    standing: Standing,
    refusals: u32,
    now: UnixMs,
) -> Result<(), StoreError> {
    let (refusals, until, status) = match standing {
        Standing::Unknown => return Ok(()),
        Standing::Unclear => (refusals, None, None),
        Standing::Admitted => (0, None, None),
        Standing::Refused(status, pause) => {
            let probed = status.refuses_account().then_some(status.0);
            (refusals.saturating_add(1), Some(now.after(pause).0), probed)
        }
    };
    connection
        .prepare_cached(
            "UPDATE account SET refusals = ?2, refused_until_ms = ?3, refused_status = ?4 WHERE name = ?1",
        )?
        .execute(params![account, refusals, until, status])?;
    Ok(())
}

fn put_waiting(connection: &Connection, record: &WaitingRecord) -> Result<(), StoreError> {
    connection.prepare_cached(
        "INSERT INTO waiting_record (read_id, account, copies, release_ms, mobile, replied_at, content, gateway,
                                     suspect) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
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
        record.suspect.map(Suspicion::as_str),
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
                suspect
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
            suspect: row
                .get::<_, Option<String>>(9)?
                .map(|word| named(9, &word, Suspicion::parse))
                .transpose()?,
        };
        Ok((row.get(0)?, record))
    };
    let records = statement.query_map(params![account, now.0], read)?.collect::<Result<_, _>>()?;
    Ok(records)
}

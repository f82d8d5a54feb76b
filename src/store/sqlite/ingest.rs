//! Taking in: the questions answered and what was decided kept, in one transaction.

use rusqlite::{Connection, OptionalExtension, params};

use crate::clock::Moment;
use crate::event::EventType;
use crate::gateway::charset::Charset;
use crate::reply::{Mobile, Suspicion};
use crate::store::delivery::DeliveryState;
use crate::store::error::StoreError;
use crate::store::hour::{HourChange, HourState};
use crate::store::read::{
    Ingested, Known, NewEvent, NewReply, Outcome, Questions, ReadId, Source, Standing,
    WaitingRecord,
};
use crate::store::sqlite::erasure;
use crate::store::sqlite::hours;
use crate::store::sqlite::json;
use crate::store::sqlite::known::{Facts, answer};
use crate::store::sqlite::reads::named;
use crate::time::{BeijingTime, Hour, UnixMs};

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
    let masked: Vec<bool> = known.subscribers.iter().map(|(_, route)| route.mask).collect();
    let refusals = known.refusals;
    let outcome = decide(known);
    keep_tallies(connection, &facts, &outcome)?;
    put_replies(connection, facts.read, &outcome.replies, now.unix)?;
    let receivers = subscribers.iter().zip(masked).map(|(name, masked)| Receiver { name, masked });
    put_events(connection, &outcome.replies, &receivers.collect::<Vec<_>>(), now.unix)?;
    keep_hours(connection, &facts, &outcome.hours)?;
    keep_events(connection, &outcome.events, &subscribers, now.unix)?;
    match source {
        Source::Read { id, .. } => {
            close_read(connection, &facts, &outcome, refusals, now)?;
            erasure::redact_erased(connection, id, &questions.writers, now.unix)?;
        }
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
    let new = || outcome.replies.iter().map(|new| &new.reply);
    Ingested {
        read: facts.read,
        verdict: outcome.verdict,
        status: outcome.status,
        http_status: outcome.http_status,
        error: outcome.error.clone(),
        records: outcome.records,
        faults: outcome.faults.len(),
        new: outcome.replies.len(),
        lossy: new().filter(|reply| reply.lossy()).count(),
        suspect: new().filter(|reply| reply.suspect.is_some()).count(),
        owed: count_hours(outcome, HourState::Owed),
        given_up: count_hours(outcome, HourState::GivenUp),
        missing: outcome.missing,
        short_until: outcome.short_until,
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
            "SELECT id, account, hour, body_sha256 FROM read
             WHERE id = ?1 AND state = 'ingested' AND body IS NOT NULL AND redacted_ms IS NULL",
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
                            suspect, extension, in_reply_to, read_id, kept_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
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
            reply.in_reply_to,
            read.0,
            now.0,
        ])?;
    }
    Ok(())
}

/// A subscriber, and which of an event's bodies it gets.
#[derive(Clone, Copy)]
struct Receiver<'a> {
    name: &'a str,
    masked: bool,
}

/// Puts the replies' events, and each to those who want it.
fn put_events(
    connection: &Connection,
    replies: &[NewReply],
    receivers: &[Receiver<'_>],
    now: UnixMs,
) -> Result<(), StoreError> {
    let mut put = connection.prepare_cached(
        "INSERT INTO event (id, type, body, mobile, replied_at, masked_body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut waiting = vec![Vec::new(); receivers.len()];
    let mut held = waiting.clone();
    for new in replies {
        let event_type = EventType::ReplyReceived.as_str();
        let event = put.insert(params![
            new.reply.id.as_str(),
            event_type,
            new.event,
            new.reply.mobile.as_str(),
            new.reply.replied_at.unix_seconds(),
            new.masked_event,
        ])?;
        for index in &new.subscribers {
            let events = if new.held.contains(index) { &mut held } else { &mut waiting };
            if let Some(events) = events.get_mut(*index) {
                events.push(event);
            }
        }
    }
    for (events, state) in [(&waiting, DeliveryState::Waiting), (&held, DeliveryState::Held)] {
        for (receiver, events) in receivers.iter().zip(events) {
            put_deliveries(connection, *receiver, events, state, now)?;
        }
    }
    Ok(())
}

/// Puts a subscriber's deliveries by one statement: what SQLite sets up to check a row is then
/// set up once, not for each.
fn put_deliveries(
    connection: &Connection,
    receiver: Receiver<'_>,
    events: &[i64],
    state: DeliveryState,
    now: UnixMs,
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let events = json::write(events)?;
    connection
        .prepare_cached(
            "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms, mobile, replied_at, masked)
             SELECT ?1, value, 'auto', ?4, ?3, min(?3, coalesce(replied_at * 1000, ?3)), mobile, replied_at, ?5
             FROM json_each(?2) CROSS JOIN event ON event.seq = value",
        )?
        .execute(params![receiver.name, events, now.0, state.as_str(), receiver.masked])?;
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
        for name in event.subscribers.iter().filter_map(|index| subscribers.get(*index)) {
            // It has no number in it.
            let receiver = Receiver { name, masked: false };
            put_deliveries(connection, receiver, &[seq], DeliveryState::Waiting, now)?;
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

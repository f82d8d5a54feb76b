//! Messages that are sent, and what a reply answers.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::gateway::charset::Charset;
use crate::gateway::status::Status;
use crate::gateway::tx::{self, Outcome};
use crate::reply::{Mobile, ReplyId};
use crate::store::error::StoreError;
use crate::store::message::{
    Answers, AnswersSent, CallRow, MessageDetail, MessageSeq, NewMessage, WaitingMessage, Wish,
    Wished,
};
use crate::store::sqlite::reads::named;
use crate::time::{BeijingTime, UnixMs};

/// Longer than any call takes: who began one longer ago is no more.
const CALL_LOST: Duration = Duration::from_mins(2);
/// How far our clock may be ahead of the gateway's, by which replies are stamped.
const CLOCK_SLACK: Duration = Duration::from_mins(2);
const HOUR: Duration = Duration::from_hours(1);

pub(crate) fn put(
    connection: &Connection,
    message: &NewMessage,
    now: UnixMs,
) -> Result<Option<MessageSeq>, StoreError> {
    let answers = message.answers.as_ref();
    let made = connection
        .prepare_cached(
            "INSERT INTO message (id, account, text, charset, mid, send_at, created_ms, reply_id, subscriber)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (reply_id) DO NOTHING",
        )?
        .execute(params![
            message.id,
            message.account,
            message.text,
            message.charset.as_str(),
            message.mid,
            message.at.map(BeijingTime::unix_seconds),
            now.0,
            answers.map(|answers| &answers.reply),
            answers.map(|answers| &answers.subscriber),
        ])?;
    if made == 0 {
        return Ok(None);
    }
    let seq = connection.last_insert_rowid();
    let mut put_call = connection.prepare_cached(
        "INSERT INTO message_call (message, number, state) VALUES (?1, ?2, 'waiting')",
    )?;
    let mut put_recipient = connection
        .prepare_cached("INSERT INTO recipient (message, mobile, call) VALUES (?1, ?2, ?3)")?;
    for (call, numbers) in message.calls.iter().enumerate() {
        put_call.execute(params![seq, call])?;
        for number in numbers {
            put_recipient.execute(params![seq, number.as_str(), call])?;
        }
    }
    Ok(Some(MessageSeq(seq)))
}

/// Keeps a message that a receiver wants sent to whoever wrote the reply that a delivery brought:
/// at most one for each reply, whoever asks and however often. It goes out from the sub-extension
/// that was answered.
pub(super) fn put_answer(
    connection: &Connection,
    delivery: i64,
    text: &str,
    now: UnixMs,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT reply.id, reply.account, reply.mobile, reply.extension, subscriber
         FROM delivery CROSS JOIN event ON event.seq = event_seq
             CROSS JOIN reply ON reply.id = coalesce(event.replay_of, event.id)
         WHERE delivery.id = ?1",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let reply: String = row.get(0)?;
        Ok(NewMessage {
            // One reply has one answer, so that its id can be drawn from the reply's.
            id: format!("msg_{}", reply.strip_prefix(ReplyId::PREFIX).unwrap_or(&reply)),
            account: row.get(1)?,
            text: text.to_owned(),
            charset: tx::encode(text).charset,
            mid: row.get::<_, Option<String>>(3)?.filter(|mid| tx::is_mid(mid)),
            at: None,
            calls: vec![vec![named(2, row.get_ref(2)?.as_str()?, Mobile::parse)?]],
            answers: Some(Answers { reply, subscriber: row.get(4)? }),
        })
    };
    if let Some(message) = statement.query_row([delivery], read).optional()? {
        put(connection, &message, now)?;
    }
    Ok(())
}

pub(crate) fn begin_call(
    connection: &Connection,
    message: MessageSeq,
    call: usize,
    now: UnixMs,
) -> Result<bool, StoreError> {
    let begun = connection
        .prepare_cached(
            "UPDATE message_call SET state = 'sending', started_ms = ?3
             WHERE message = ?1 AND number = ?2 AND state = 'waiting'",
        )?
        .execute(params![message.0, call, now.0])?;
    Ok(begun == 1)
}

pub(crate) fn end_call(
    connection: &Connection,
    message: MessageSeq,
    call: usize,
    outcome: &Outcome,
    now: UnixMs,
) -> Result<(), StoreError> {
    let (state, status, detail) = match outcome {
        Outcome::Accepted => ("accepted", Some(100), None),
        Outcome::Refused(status) => ("refused", Some(status.0), None),
        Outcome::Unsent(detail) => ("unsent", None, Some(detail)),
        Outcome::Unclear(detail) => ("unclear", None, Some(detail)),
    };
    connection
        .prepare_cached(
            "UPDATE message_call SET state = ?3, status = ?4, detail = ?5, ended_ms = ?6
             WHERE message = ?1 AND number = ?2",
        )?
        .execute(params![message.0, call, state, status, detail, now.0])?;
    Ok(())
}

pub(crate) fn leave_unsent(
    connection: &Connection,
    message: MessageSeq,
    now: UnixMs,
) -> Result<usize, StoreError> {
    let left = connection
        .prepare_cached(
            "UPDATE message_call SET state = 'unsent', ended_ms = ?2 WHERE message = ?1 AND state = 'waiting'",
        )?
        .execute(params![message.0, now.0])?;
    Ok(left)
}

/// Lets a call that reached nobody be made again.
pub(crate) fn requeue(connection: &Connection, message: MessageSeq) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE message_call SET state = 'waiting' WHERE message = ?1 AND state IN ('refused', 'unsent')",
        )?
        .execute([message.0])?;
    Ok(())
}

pub(crate) fn withhold(
    connection: &Connection,
    message: MessageSeq,
    reason: &str,
    now: UnixMs,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE message_call SET state = 'withheld', detail = ?2, ended_ms = ?3
             WHERE message = ?1 AND state = 'waiting'",
        )?
        .execute(params![message.0, reason, now.0])?;
    Ok(())
}

pub(crate) fn close_lost_calls(connection: &Connection, now: UnixMs) -> Result<usize, StoreError> {
    let closed = connection
        .prepare_cached(
            "UPDATE message_call INDEXED BY message_call_open
             SET state = 'unclear', detail = 'the process that sent it has died', ended_ms = ?1
             WHERE state IN ('waiting', 'sending') AND state = 'sending' AND (started_ms < ?2 OR started_ms > ?1)",
        )?
        .execute(params![now.0, now.before(CALL_LOST).0])?;
    // Answers wait for the outbox, and for whoever starts it next. A message goes on only behind calls
    // that were answered.
    connection
        .prepare_cached(
            "UPDATE message_call INDEXED BY message_call_open
             SET state = 'unsent', detail = 'the process that was to send it has died', ended_ms = ?1
             WHERE state IN ('waiting', 'sending') AND state = 'waiting'
                 AND (SELECT reply_id IS NULL AND (created_ms < ?2 OR created_ms > ?1)
                      FROM message WHERE seq = message_call.message)
                 AND NOT EXISTS (SELECT 1 FROM message_call AS other WHERE other.message = message_call.message
                     AND (other.state = 'sending'
                          OR other.state IN ('accepted', 'refused') AND other.ended_ms BETWEEN ?2 AND ?1))",
        )?
        .execute(params![now.0, now.before(CALL_LOST).0])?;
    Ok(closed)
}

/// What came of a wish to send.
pub(crate) fn wished(connection: &Connection, wish: &Wish) -> Result<Option<Wished>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT id, request_sha256 = ?2 FROM message WHERE idempotency_key = ?1")?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(match row.get(1)? {
            true => Wished::Known(row.get(0)?),
            false => Wished::Other,
        })
    };
    Ok(statement.query_row(params![wish.key, wish.digest], read).optional()?)
}

/// Keeps a message for a wish, unless there was one of this name already.
pub(crate) fn put_wished(
    connection: &Connection,
    message: &NewMessage,
    wish: &Wish,
    now: UnixMs,
) -> Result<Wished, StoreError> {
    if let Some(known) = wished(connection, wish)? {
        return Ok(known);
    }
    let Some(seq) = put(connection, message, now)? else { return Ok(Wished::Other) };
    connection
        .prepare_cached(
            "UPDATE message SET idempotency_key = ?2, request_sha256 = ?3 WHERE seq = ?1",
        )?
        .execute(params![seq.0, wish.key, wish.digest])?;
    Ok(Wished::New(seq))
}

/// A message by its id.
pub(crate) fn detail(
    connection: &Connection,
    id: &str,
) -> Result<Option<MessageDetail>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, id, account, length(text), charset, mid, send_at FROM message WHERE id = ?1",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let message = MessageDetail {
            id: row.get(1)?,
            account: row.get(2)?,
            characters: row.get(3)?,
            charset: named(4, row.get_ref(4)?.as_str()?, Charset::from_name)?,
            mid: row.get(5)?,
            at: row.get::<_, Option<i64>>(6)?.map(BeijingTime::from_unix_seconds),
            calls: Vec::new(),
        };
        Ok((row.get::<_, i64>(0)?, message))
    };
    let Some((seq, mut message)) = statement.query_row([id], read).optional()? else {
        return Ok(None);
    };
    let mut calls = connection.prepare_cached(
        "SELECT number, state, status, detail FROM message_call WHERE message = ?1 ORDER BY number",
    )?;
    let mut to = connection.prepare_cached(
        "SELECT mobile FROM recipient WHERE message = ?1 AND call = ?2 ORDER BY mobile",
    )?;
    let mut rows = calls.query([seq])?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        let mobile = |row: &rusqlite::Row<'_>| named(0, row.get_ref(0)?.as_str()?, Mobile::parse);
        message.calls.push(CallRow {
            state: row.get(1)?,
            status: row.get::<_, Option<u16>>(2)?.map(Status),
            detail: row.get(3)?,
            to: to.query_map(params![seq, number], mobile)?.collect::<Result<_, _>>()?,
        });
    }
    Ok(Some(message))
}

pub(crate) fn waiting_answer(
    connection: &Connection,
    account: &str,
) -> Result<Option<WaitingMessage>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, id, text, mobile, mid, reply_id, subscriber, created_ms
         FROM message_call INDEXED BY message_call_open
             CROSS JOIN message ON message.seq = message_call.message
             CROSS JOIN recipient ON recipient.message = message.seq
         WHERE state IN ('waiting', 'sending') AND state = 'waiting' AND account = ?1 AND reply_id IS NOT NULL
             AND subscriber IS NOT NULL
         ORDER BY message_call.message LIMIT 1",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(WaitingMessage {
            seq: MessageSeq(row.get(0)?),
            id: row.get(1)?,
            text: row.get(2)?,
            mobile: named(3, row.get_ref(3)?.as_str()?, Mobile::parse)?,
            mid: row.get(4)?,
            answers: Answers { reply: row.get(5)?, subscriber: row.get(6)? },
            created: UnixMs(row.get(7)?),
        })
    };
    Ok(statement.query_row([account], read).optional()?)
}

/// Counts what went out or may have: what was refused or withheld reached nobody.
pub(crate) fn answers_sent(
    connection: &Connection,
    of: &WaitingMessage,
    per: Duration,
    now: UnixMs,
) -> Result<AnswersSent, StoreError> {
    let midnight = now.beijing().hour().day().first_hour().start().unix_ms();
    let mut of_subscriber = connection.prepare_cached(
        "SELECT count(*) FILTER (WHERE started_ms > ?2), count(*)
         FROM message INDEXED BY message_created CROSS JOIN message_call ON message_call.message = message.seq
         WHERE created_ms >= ?3 AND subscriber = ?1 AND started_ms >= ?3 AND state IN ('sending', 'accepted', 'unclear')",
    )?;
    // What was made before midnight and sent after it is of the day before.
    let subscriber = params![of.answers.subscriber, now.before(per).0, midnight.0];
    let (lately, today) =
        of_subscriber.query_row(subscriber, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let to_mobile = connection
        .prepare_cached(
            "SELECT count(*) FROM recipient CROSS JOIN message ON message.seq = recipient.message
                 CROSS JOIN message_call ON message_call.message = message.seq AND number = call
             WHERE mobile = ?1 AND reply_id IS NOT NULL AND started_ms > ?2
                 AND state IN ('sending', 'accepted', 'unclear')",
        )?
        .query_row(params![of.mobile.as_str(), now.before(HOUR).0], |row| row.get(0))?;
    Ok(AnswersSent { lately, today, to_mobile })
}

/// Whether anything was ever sent.
pub(super) fn any(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT 1 FROM message LIMIT 1")?.exists([])?)
}

/// The last message that went out to a mobile, or may have, before it wrote.
pub(super) fn answered(
    connection: &Connection,
    account: &str,
    mobile: &Mobile,
    replied_at: BeijingTime,
) -> Result<Option<String>, StoreError> {
    let until = replied_at.unix_ms().after(CLOCK_SLACK).0 / 1000;
    let mut statement = connection.prepare_cached(
        "SELECT message.id FROM recipient INDEXED BY recipient_mobile
             CROSS JOIN message ON message.seq = recipient.message
             CROSS JOIN message_call ON message_call.message = message.seq AND number = call
         WHERE mobile = ?1 AND account = ?2 AND state IN ('sending', 'accepted', 'unclear')
             AND coalesce(send_at, started_ms / 1000) <= ?3
         ORDER BY coalesce(send_at, started_ms / 1000) DESC, message.seq DESC LIMIT 1",
    )?;
    let found = statement.query_row(params![mobile.as_str(), account, until], |row| row.get(0));
    Ok(found.optional()?)
}

/// Takes a number out of all that was sent to it, and a message that went to nobody else whole.
/// What was about to go out to it does not. Says how many messages went to it.
pub(crate) fn erase(connection: &Connection, mobile: &Mobile) -> Result<usize, StoreError> {
    let mut of = connection.prepare_cached("SELECT message FROM recipient WHERE mobile = ?1")?;
    let messages: Vec<i64> =
        of.query_map([mobile.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    connection
        .prepare_cached("DELETE FROM recipient WHERE mobile = ?1")?
        .execute([mobile.as_str()])?;
    for message in &messages {
        let others = connection
            .prepare_cached("SELECT 1 FROM recipient WHERE message = ?1 LIMIT 1")?
            .exists([message])?;
        if !others {
            drop_message(connection, *message)?;
        }
    }
    Ok(messages.len())
}

/// Takes a message out of the store.
pub(super) fn drop_message(connection: &Connection, seq: i64) -> Result<usize, StoreError> {
    connection.prepare_cached("DELETE FROM recipient WHERE message = ?1")?.execute([seq])?;
    connection.prepare_cached("DELETE FROM message_call WHERE message = ?1")?.execute([seq])?;
    Ok(connection.prepare_cached("DELETE FROM message WHERE seq = ?1")?.execute([seq])?)
}

#[cfg(test)]
mod tests;

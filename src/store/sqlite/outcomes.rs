//! What attempts came to: recorded with fencing, and what follows for the delivery and for those of
//! the same person behind it.
//!
//! Most attempts deliver, so that the rows of a turn are put, and those deliveries ended, by one
//! statement each: what SQLite sets up for a statement costs more than the row that it changes.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, params};
use serde::Serialize;

use crate::store::attempt::{Attempt, GivenUp, Next, Trouble};
use crate::store::error::StoreError;
use crate::store::sqlite::accounts::conversion;
use crate::store::sqlite::claims::{HOLD, let_next_go, ready};
use crate::store::sqlite::messages;
use crate::store::turn::Returned;
use crate::time::{UnixMs, millis};

/// Records attempts. An outcome counts only while its claim is the last one: a sender whose lease
/// ended must not undo what a later one did. One whose delivery is gone meanwhile, because its
/// reply was erased, leaves nothing.
pub(crate) fn record(connection: &Connection, attempts: &[Attempt]) -> Result<(), StoreError> {
    if attempts.is_empty() {
        return Ok(());
    }
    put(connection, attempts)?;
    let mut delivered = BTreeMap::<i64, Vec<i64>>::new();
    for attempt in attempts {
        match attempt.next {
            Next::Delivered => delivered.entry(attempt.lease).or_default().push(attempt.delivery),
            _ => follow(connection, attempt)?,
        }
    }
    for (lease, deliveries) in delivered {
        end(connection, &deliveries, lease)?;
    }
    for attempt in attempts {
        if let Some(text) = &attempt.reply {
            messages::put_answer(connection, attempt.delivery, text, attempt.started)?;
        }
    }
    Ok(())
}

/// An attempt's row, in the order of the columns.
#[derive(Serialize)]
struct PutAttempt<'a>(
    i64,
    u32,
    i64,
    i64,
    Option<&'a str>,
    Option<u16>,
    Option<&'a Trouble>,
    Option<String>,
    &'a Next,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

impl<'a> From<&'a Attempt> for PutAttempt<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        let timings = &attempt.timings;
        Self(
            attempt.delivery,
            attempt.number,
            attempt.started.0,
            millis(attempt.took),
            attempt.address.as_deref(),
            attempt.http_status,
            attempt.trouble.as_ref(),
            (!attempt.answer.is_empty()).then(|| hex::encode(&attempt.answer)),
            &attempt.next,
            micros(timings.resolve),
            micros(timings.connect),
            micros(timings.tls),
            micros(timings.first_byte),
        )
    }
}

fn put(connection: &Connection, attempts: &[Attempt]) -> Result<(), StoreError> {
    let rows: Vec<PutAttempt<'_>> = attempts.iter().map(PutAttempt::from).collect();
    let rows = serde_json::to_string(&rows).map_err(conversion)?;
    connection
        .prepare_cached(
            "INSERT INTO attempt (delivery_id, number, started_ms, duration_ms, address, http_status, trouble, answer,
                                  next, resolve_us, connect_us, tls_us, first_byte_us)
             SELECT delivery.id, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                    unhex(value ->> 7), value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12
             FROM json_each(?1) CROSS JOIN delivery ON delivery.id = value ->> 0",
        )?
        .execute([rows])?;
    Ok(())
}

/// Ends deliveries that were delivered under claims of this number.
fn end(connection: &Connection, deliveries: &[i64], lease: i64) -> Result<(), StoreError> {
    let ids = serde_json::to_string(deliveries).map_err(conversion)?;
    connection
        .prepare_cached(concat!(
            "UPDATE delivery SET state = 'delivered', in_line = 0, due_ms = ",
            ready!(),
            " WHERE id IN (SELECT value FROM json_each(?1)) AND lease = ?2 AND state = 'sending'"
        ))?
        .execute(params![ids, lease])?;
    for delivery in with_others_behind(connection, &ids)? {
        let_next_go(connection, delivery, UnixMs(0))?;
    }
    Ok(())
}

/// Those of the delivered behind which another of the same person was put off.
fn with_others_behind(connection: &Connection, ids: &str) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT mine.id FROM json_each(?1) CROSS JOIN delivery AS mine ON mine.id = value
         WHERE mine.state = 'delivered' AND EXISTS (
             SELECT 1 FROM delivery AS next INDEXED BY delivery_line
             WHERE next.subscriber = mine.subscriber AND next.mobile = mine.mobile AND next.lane = mine.lane
                 AND next.in_line = 1 AND next.state = 'waiting')",
    )?;
    Ok(statement.query_map([ids], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// What follows of an attempt that did not deliver.
fn follow(connection: &Connection, attempt: &Attempt) -> Result<(), StoreError> {
    let ended = attempt.started.after(attempt.took);
    // Where a delivery waits for its subscriber, it is due as it was.
    let (state, due) = match &attempt.next {
        Next::Delivered => ("delivered", None),
        Next::Retry { at, .. } => ("waiting", Some(*at)),
        Next::Wait { .. } => ("waiting", None),
        // Nobody is to be told it again, and nothing of the subscriber's is missing.
        Next::Failed { why: GivenUp::Test } => ("cancelled", None),
        Next::Failed { .. } | Next::Told { .. } => ("failed", None),
    };
    let failing_since = matches!(attempt.next, Next::Retry { .. }).then_some(ended.0);
    let sql = concat!(
        "UPDATE delivery SET state = ?3, in_line = (?3 = 'waiting'), due_ms = coalesce(?4, ",
        ready!(),
        "), failing_since_ms = coalesce(failing_since_ms, ?5)
         WHERE id = ?1 AND lease = ?2 AND state = 'sending'"
    );
    let counts = connection.prepare_cached(sql)?.execute(params![
        attempt.delivery,
        attempt.lease,
        state,
        due.map(|due| due.0),
        failing_since,
    ])?;
    if counts == 0 {
        return Ok(());
    }
    let not_before = match attempt.next {
        Next::Retry { .. } => failing_since_of(connection, attempt.delivery)?.after(HOLD),
        _ => UnixMs(0),
    };
    let_next_go(connection, attempt.delivery, not_before)
}

fn failing_since_of(connection: &Connection, delivery: i64) -> Result<UnixMs, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT coalesce(failing_since_ms, 0) FROM delivery WHERE id = ?1")?;
    Ok(UnixMs(statement.query_row([delivery], |row| row.get(0))?))
}

/// Makes a claim that was not used due again.
pub(crate) fn give_back(connection: &Connection, claim: &Returned) -> Result<(), StoreError> {
    connection
        .prepare_cached(concat!(
            "UPDATE delivery SET state = 'waiting', attempts = attempts - 1, due_ms = ",
            ready!(),
            " WHERE id = ?1 AND lease = ?2 AND state = 'sending'"
        ))?
        .execute(params![claim.delivery, claim.lease])?;
    Ok(())
}

fn micros(span: Option<Duration>) -> Option<i64> {
    span.map(|span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

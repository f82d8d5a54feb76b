//! What attempts came to: recorded with fencing, and what follows for the delivery and for those of
//! the same person behind it.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::attempt::{Attempt, GivenUp, Next};
use crate::store::error::StoreError;
use crate::store::sqlite::accounts::conversion;
use crate::store::sqlite::claims::{HOLD, let_next_go};
use crate::store::turn::Returned;
use crate::time::{UnixMs, millis};

/// Records an attempt. Its outcome counts only while its claim is the last one: a sender whose
/// lease ended must not undo what a later one did. One whose delivery is gone meanwhile, because
/// its reply was erased, leaves nothing.
pub(crate) fn record(connection: &Connection, attempt: &Attempt) -> Result<(), StoreError> {
    connection.prepare_cached(
        "INSERT INTO attempt (delivery_id, number, started_ms, duration_ms, address, http_status, trouble, answer, next,
                              resolve_us, connect_us, tls_us, first_byte_us)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
         WHERE EXISTS (SELECT 1 FROM delivery WHERE id = ?1)",
    )?
    .execute(params![
        attempt.delivery,
        attempt.number,
        attempt.started.0,
        millis(attempt.took),
        attempt.address,
        attempt.http_status,
        attempt.trouble.as_ref().map(as_json).transpose()?,
        (!attempt.answer.is_empty()).then_some(&attempt.answer),
        as_json(&attempt.next)?,
        micros(attempt.timings.resolve),
        micros(attempt.timings.connect),
        micros(attempt.timings.tls),
        micros(attempt.timings.first_byte),
    ])?;
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
    let of = connection
        .prepare_cached(
            "UPDATE delivery SET state = ?3, due_ms = coalesce(?4, released_ms, created_ms),
                    failing_since_ms = coalesce(failing_since_ms, ?5)
             WHERE id = ?1 AND lease = ?2 AND state = 'sending'
             RETURNING subscriber, mobile, lane, failing_since_ms",
        )?
        .query_row(
            params![attempt.delivery, attempt.lease, state, due.map(|due| due.0), failing_since],
            |row| {
                let mobile: Option<String> = row.get(1)?;
                let since: Option<i64> = row.get(3)?;
                Ok((row.get::<_, String>(0)?, mobile, row.get::<_, i64>(2)?, since))
            },
        )
        .optional()?;
    let Some((subscriber, Some(mobile), lane, since)) = of else { return Ok(()) };
    let not_before = match (&attempt.next, since) {
        (Next::Retry { .. }, Some(since)) => UnixMs(since).after(HOLD),
        _ => UnixMs(0),
    };
    let_next_go(connection, &subscriber, &mobile, lane, not_before)
}

/// Makes a claim that was not used due again.
pub(crate) fn give_back(connection: &Connection, claim: &Returned) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE delivery SET state = 'waiting', attempts = attempts - 1, due_ms = coalesce(released_ms, created_ms)
             WHERE id = ?1 AND lease = ?2 AND state = 'sending'",
        )?
        .execute(params![claim.delivery, claim.lease])?;
    Ok(())
}

fn as_json(fact: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(fact).map_err(conversion)
}

fn micros(span: Option<Duration>) -> Option<i64> {
    span.map(|span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

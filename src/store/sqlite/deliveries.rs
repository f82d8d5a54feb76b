//! Deliveries: claimed by lease, recorded with fencing.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::attempt::{Attempt, Next};
use crate::store::delivery::{Claim, Trigger};
use crate::store::error::StoreError;
use crate::store::sqlite::accounts::conversion;
use crate::store::sqlite::reads::named;
use crate::time::UnixMs;

/// Claims up to `limit` of a subscriber's due deliveries until `lease_end`.
pub(crate) fn claim(
    connection: &Connection,
    subscriber: &str,
    now: UnixMs,
    lease_end: UnixMs,
    limit: usize,
) -> Result<Vec<Claim>, StoreError> {
    // A delivery whose sender died is due when its lease has ended.
    let mut due = connection.prepare_cached(
        "SELECT delivery.id, lease + 1, event.id, event.body, trigger, coalesce(released_ms, created_ms), attempts + 1
         FROM delivery JOIN event ON event.seq = event_seq
         WHERE subscriber = ?1 AND due_ms <= ?2 AND state IN ('waiting', 'sending')
         ORDER BY due_ms, delivery.id LIMIT ?3",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Claim {
            delivery: row.get(0)?,
            lease: row.get(1)?,
            event_id: row.get(2)?,
            body: row.get(3)?,
            trigger: named(4, &row.get::<_, String>(4)?, trigger)?,
            created: UnixMs(row.get(5)?),
            attempt: row.get(6)?,
        })
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let claims =
        due.query_map(params![subscriber, now.0, limit], read)?.collect::<Result<Vec<_>, _>>()?;
    let mut mark = connection
        .prepare_cached("UPDATE delivery SET state = 'sending', lease = ?2, due_ms = ?3, attempts = ?4 WHERE id = ?1")?;
    for claim in &claims {
        mark.execute(params![claim.delivery, claim.lease, lease_end.0, claim.attempt])?;
    }
    Ok(claims)
}

pub(super) fn trigger(name: &str) -> Option<Trigger> {
    Trigger::ALL.into_iter().find(|trigger| trigger.as_str() == name)
}

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
        crate::time::millis(attempt.took),
        attempt.address,
        attempt.http_status,
        attempt.trouble.as_ref().map(as_json).transpose()?,
        attempt.answer,
        as_json(&attempt.next)?,
        micros(attempt.timings.resolve),
        micros(attempt.timings.connect),
        micros(attempt.timings.tls),
        micros(attempt.timings.first_byte),
    ])?;
    let (state, due) = match &attempt.next {
        Next::Delivered => ("delivered", None),
        Next::Retry { at, .. } => ("waiting", Some(at.0)),
        Next::Wait { .. } => ("waiting", None),
        Next::Failed { .. } | Next::Told { .. } => ("failed", None),
    };
    connection
        .prepare_cached(
            "UPDATE delivery SET state = ?3, due_ms = coalesce(?4, due_ms)
         WHERE id = ?1 AND lease = ?2 AND state = 'sending'",
        )?
        .execute(params![attempt.delivery, attempt.lease, state, due])?;
    Ok(())
}

fn as_json(fact: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(fact).map_err(conversion)
}

fn micros(span: Option<Duration>) -> Option<i64> {
    span.map(|span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

/// When the subscriber's next delivery is due.
pub(crate) fn next_due(
    connection: &Connection,
    subscriber: &str,
) -> Result<Option<UnixMs>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT due_ms FROM delivery WHERE subscriber = ?1 AND state IN ('waiting', 'sending') ORDER BY due_ms LIMIT 1",
    )?;
    Ok(statement.query_row([subscriber], |row| row.get(0).map(UnixMs)).optional()?)
}

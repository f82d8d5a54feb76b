//! Deliveries as somebody looks at one of them and changes them by hand.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::store::attempt::Timings;
use crate::store::by_hand::{Act, AttemptRow, DeliveryDetail};
use crate::store::delivery::DeliveryState;
use crate::store::error::StoreError;
use crate::store::sqlite::claims::{HOLD, let_next_go};
use crate::store::sqlite::reads::named;
use crate::store::sqlite::{leases, search, subscribers};
use crate::time::UnixMs;

/// What [`attempt_row`] reads, of a table that is named so.
pub(super) const ATTEMPT_COLUMNS: &str = "attempt.delivery_id, attempt.number, attempt.started_ms, attempt.duration_ms, attempt.address, \
     attempt.http_status, attempt.trouble, attempt.answer, attempt.next, \
     attempt.resolve_us, attempt.connect_us, attempt.tls_us, attempt.first_byte_us";

/// All about one delivery.
pub(crate) fn detail(
    connection: &Connection,
    id: i64,
    now: UnixMs,
) -> Result<Option<DeliveryDetail>, StoreError> {
    let Some(row) = search::one(connection, id)? else { return Ok(None) };
    let Some(subscriber) = subscribers::row(connection, &row.subscriber)? else { return Ok(None) };
    let released: Option<i64> = connection
        .prepare_cached("SELECT released_ms FROM delivery WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    Ok(Some(DeliveryDetail {
        behind: ahead_of(connection, id, now)?,
        quiet_until: None,
        attempts: attempts(connection, id)?,
        released: released.map(UnixMs),
        row,
        subscriber,
    }))
}

/// The first of the same person's deliveries to the same subscriber that goes before this one: one
/// that fails for longer than it may hold others back does not.
fn ahead_of(connection: &Connection, id: i64, now: UnixMs) -> Result<Option<i64>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT ahead.id FROM delivery AS mine CROSS JOIN event ON event.mobile = mine.mobile
             CROSS JOIN delivery AS ahead
             ON ahead.event_seq = event.seq AND ahead.subscriber = mine.subscriber AND ahead.lane = mine.lane
         WHERE mine.id = ?1 AND mine.state = 'waiting'
             AND ahead.state = 'waiting'
             AND (ahead.replied_at, ahead.id) < (mine.replied_at, mine.id)
             AND (ahead.failing_since_ms IS NULL OR ahead.failing_since_ms > ?2 OR ahead.due_ms <= ?3)
         ORDER BY ahead.replied_at, ahead.id LIMIT 1",
    )?;
    let failing_since = now.before(HOLD);
    let row = statement.query_row([id, failing_since.0, now.0], |row| row.get(0));
    Ok(row.optional()?)
}

/// A delivery's last attempts, oldest first.
fn attempts(connection: &Connection, id: i64) -> Result<Vec<AttemptRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ATTEMPT_COLUMNS} FROM attempt WHERE delivery_id = ?1
         ORDER BY number DESC, started_ms DESC LIMIT ?2"
    ))?;
    let limit = i64::try_from(DeliveryDetail::ATTEMPTS_MAX).unwrap_or(i64::MAX);
    let mut attempts =
        statement.query_map([id, limit], attempt_row)?.collect::<Result<Vec<_>, _>>()?;
    attempts.reverse();
    Ok(attempts)
}

/// Reads [`ATTEMPT_COLUMNS`].
pub(super) fn attempt_row(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    let span = |column| {
        let micros: Option<i64> = row.get(column)?;
        Ok::<_, rusqlite::Error>(
            micros.map(|micros| Duration::from_micros(micros.max(0).unsigned_abs())),
        )
    };
    let trouble = row
        .get::<_, Option<String>>(6)?
        .map(|json| named(6, &json, |json| serde_json::from_str(json).ok()))
        .transpose()?;
    Ok(AttemptRow {
        delivery: row.get(0)?,
        number: row.get(1)?,
        started: UnixMs(row.get(2)?),
        took: Duration::from_millis(row.get::<_, i64>(3)?.max(0).unsigned_abs()),
        address: row.get(4)?,
        http_status: row.get(5)?,
        trouble,
        answer: row.get::<_, Option<Vec<u8>>>(7)?.unwrap_or_default(),
        next: named(8, &row.get::<_, String>(8)?, |json| serde_json::from_str(json).ok())?,
        timings: Timings {
            resolve: span(9)?,
            connect: span(10)?,
            tls: span(11)?,
            first_byte: span(12)?,
        },
    })
}

/// Where deliveries stand, by their numbers.
pub(crate) fn states(
    connection: &Connection,
    ids: &[i64],
) -> Result<Vec<(i64, Option<DeliveryState>)>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT state FROM delivery WHERE id = ?1")?;
    let in_hand = leases::all(connection)?;
    let mut states = Vec::with_capacity(ids.len());
    for id in ids {
        let read = |row: &Row<'_>| named(0, &row.get::<_, String>(0)?, DeliveryState::parse);
        let state = statement.query_row([id], read).optional()?;
        states.push((*id, state.map(|state| leases::seen(&in_hand, *id, state).0)));
    }
    Ok(states)
}

/// Does something to those of these deliveries to which it can be done, and says how many there
/// were: nothing to what a worker has in hand whose lease has not ended. From when it is released or
/// tried again by hand, a delivery's time to be given up counts anew; its attempts are numbered on.
pub(crate) fn act(
    connection: &Connection,
    ids: &[i64],
    act: Act,
    now: UnixMs,
) -> Result<usize, StoreError> {
    let changes: &[&str] = match act {
        Act::Release => &["UPDATE delivery SET state = 'waiting', released_ms = ?2,
                 due_ms = min(?2, coalesce(replied_at * 1000, ?2))
             WHERE id = ?1 AND state = 'held'"],
        Act::Retry => &[
            // One that is about to go needs no help, and stays what it is.
            "UPDATE delivery SET released_ms = iif(due_ms > ?2, ?2, released_ms),
                 trigger = iif(due_ms > ?2 AND trigger = 'auto', 'retry', trigger), due_ms = min(due_ms, ?2)
             WHERE id = ?1 AND state = 'waiting'",
            "UPDATE delivery SET state = 'waiting', trigger = 'retry', released_ms = ?2,
                 due_ms = min(?2, coalesce(replied_at * 1000, ?2)), failing_since_ms = NULL, lane = 0
             WHERE id = ?1 AND state IN ('failed', 'cancelled')",
        ],
        Act::Cancel => &["UPDATE delivery SET state = 'cancelled', in_line = 0
             WHERE id = ?1 AND state IN ('held', 'waiting') AND ?2 IS NOT NULL"],
    };
    let mut changed = 0;
    let in_hand = leases::all(connection)?;
    for id in ids {
        if in_hand.get(id).is_some_and(|end| *end > now) {
            continue;
        }
        for sql in changes {
            if connection.prepare_cached(sql)?.execute(params![id, now.0])? > 0 {
                changed += 1;
                if act == Act::Cancel {
                    // One of the same person may wait for it.
                    let_next_go(connection, *id, UnixMs(0))?;
                }
                break;
            }
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests;

//! Subscribers as somebody looks at them and changes them by hand.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::store::attempt::Disabled;
use crate::store::by_hand::AttemptRow;
use crate::store::delivery::Claim;
use crate::store::error::StoreError;
use crate::store::sqlite::by_hand::{ATTEMPT_COLUMNS, attempt_row};
use crate::store::sqlite::claims::ready;
use crate::store::sqlite::leases;
use crate::store::sqlite::reads::named;
use crate::store::subscribers::{Backlog, Removed, Renamed, SubscriberRow, TestOf};
use crate::time::UnixMs;

const COLUMNS: &str =
    "name, enabled, absent, disabled_ms, disabled_why, failing_since_ms, renamed_to, pace";
/// Deliveries that are handed on to another name in one act.
const HANDED_ON_AT_ONCE: i64 = 1_000;
/// How many attempts, of all subscribers, are looked at for one subscriber's last ones.
const ATTEMPTS_LOOKED_AT: i64 = 20_000;

/// The names of all subscribers, also of removed ones.
pub(crate) fn all_names(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT name FROM subscriber ORDER BY name")?;
    let names = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(names)
}

/// Every subscriber that was not removed, by name.
pub(crate) fn rows(connection: &Connection) -> Result<Vec<SubscriberRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM subscriber WHERE removed_ms IS NULL ORDER BY name"
    ))?;
    let rows = statement.query_map([], subscriber_row)?.collect::<Result<_, _>>()?;
    Ok(rows)
}

/// One subscriber, also one that was removed.
pub(super) fn row(
    connection: &Connection,
    name: &str,
) -> Result<Option<SubscriberRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM subscriber WHERE name = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([name], subscriber_row).optional()?)
}

fn subscriber_row(row: &Row<'_>) -> rusqlite::Result<SubscriberRow> {
    let disabled = match (row.get::<_, Option<i64>>(3)?, row.get::<_, Option<String>>(4)?) {
        (Some(since), Some(why)) => Some((UnixMs(since), named(4, &why, Disabled::parse)?)),
        _ => None,
    };
    Ok(SubscriberRow {
        name: row.get(0)?,
        enabled: row.get(1)?,
        absent: row.get(2)?,
        disabled,
        failing_since: row.get::<_, Option<i64>>(5)?.map(UnixMs),
        renamed_to: row.get(6)?,
        pace: row.get(7)?,
    })
}

/// What the subscriber's deliveries come to. Each is counted by the index of its state.
pub(crate) fn backlog(connection: &Connection, subscriber: &str) -> Result<Backlog, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*), min(created_ms),
             (SELECT count(*) FROM delivery INDEXED BY delivery_held WHERE subscriber = ?1 AND state = 'held'),
             (SELECT count(*) FROM delivery INDEXED BY delivery_ended
              WHERE subscriber = ?1 AND state = 'failed' AND state IN ('failed', 'cancelled'))
         FROM delivery INDEXED BY delivery_due WHERE subscriber = ?1 AND state = 'waiting'",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Backlog {
            waiting: row.get(0)?,
            oldest: row.get::<_, Option<i64>>(1)?.map(UnixMs),
            held: row.get(2)?,
            failed: row.get(3)?,
        })
    };
    Ok(statement.query_row([subscriber], read)?)
}

/// How many of the subscriber's deliveries wait or are being sent, counted up to `most`.
pub(super) fn open_up_to(
    connection: &Connection,
    subscriber: &str,
    most: i64,
) -> Result<i64, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_due
             WHERE subscriber = ?1 AND state = 'waiting' LIMIT ?2)",
    )?;
    Ok(statement.query_row(params![subscriber, most], |row| row.get(0))?)
}

/// The subscriber's last attempts, newest first, of the last ones that there were at all.
pub(crate) fn last_attempts(
    connection: &Connection,
    subscriber: &str,
    limit: usize,
) -> Result<Vec<AttemptRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ATTEMPT_COLUMNS}
         FROM (SELECT delivery_id, number, started_ms FROM attempt
               ORDER BY started_ms DESC LIMIT {ATTEMPTS_LOOKED_AT}) AS late
             CROSS JOIN attempt USING (delivery_id, number, started_ms)
             CROSS JOIN delivery ON delivery.id = attempt.delivery_id
         WHERE subscriber = ?1 ORDER BY attempt.started_ms DESC, attempt.delivery_id DESC, attempt.number DESC LIMIT ?2"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let attempts =
        statement.query_map(params![subscriber, limit], attempt_row)?.collect::<Result<_, _>>()?;
    Ok(attempts)
}

/// Lets a subscriber take deliveries again: nothing counts against it.
pub(crate) fn enable(
    connection: &Connection,
    subscriber: &str,
    now: UnixMs,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE subscriber SET disabled_ms = NULL, disabled_why = NULL, pace = NULL WHERE name = ?1",
        )?
        .execute([subscriber])?;
    resume(connection, subscriber, now)
}

/// What holds for a subscriber that takes deliveries again after it took none: the time of what waits
/// counts from now, failures of before count no more, and what failed or waited behind it is due, so
/// that each person's goes out in order.
pub(super) fn resume(
    connection: &Connection,
    subscriber: &str,
    now: UnixMs,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE subscriber SET failing_since_ms = NULL, failing_told = 0, resumed_ms = ?2 WHERE name = ?1",
        )?
        .execute(params![subscriber, now.0])?;
    connection
        .prepare_cached(concat!(
            "UPDATE delivery INDEXED BY delivery_line SET failing_since_ms = NULL, due_ms = ",
            ready!(),
            " WHERE subscriber = ?1 AND in_line = 1 AND state = 'waiting'"
        ))?
        .execute([subscriber])?;
    Ok(())
}

/// Makes a subscriber take nothing, unless it does already.
pub(crate) fn disable(
    connection: &Connection,
    subscriber: &str,
    now: UnixMs,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE subscriber SET disabled_ms = ?2, disabled_why = ?3
             WHERE name = ?1 AND disabled_ms IS NULL",
        )?
        .execute(params![subscriber, now.0, Disabled::ByHand.as_str()])?;
    Ok(())
}

/// Puts a test's event and a delivery of it that is in hand already.
pub(crate) fn begin_test(
    connection: &Connection,
    of: &TestOf,
) -> Result<Option<Claim>, StoreError> {
    if !rows(connection)?.iter().any(|row| row.name == of.subscriber) {
        return Ok(None);
    }
    connection
        .prepare_cached("INSERT INTO event (id, type, body) VALUES (?1, ?2, ?3)")?
        .execute(params![of.event_id, of.event_type, of.body])?;
    let event = connection.last_insert_rowid();
    let claim = of.claim();
    connection
        .prepare_cached(
            "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
             VALUES (?1, ?2, ?3, 'waiting', ?4, ?4)",
        )?
        .execute(params![of.subscriber, event, claim.trigger.as_str(), claim.created.0])?;
    let delivery = connection.last_insert_rowid();
    let lease = leases::renew(connection, None, &of.subscriber, (&[delivery], of.lease_end))?;
    Ok(lease.map(|lease| Claim { delivery, lease, ..claim }))
}

/// Begins to give a subscriber another name: the new one is as the old one was, and gets what
/// comes from now on. Says why it cannot be, where it cannot.
pub(crate) fn begin_rename(
    connection: &Connection,
    old: &str,
    new: &str,
) -> Result<Option<Renamed>, StoreError> {
    let rows = rows(connection)?;
    let named = |name: &str| rows.iter().find(|row| row.name == name);
    match (named(old), named(new)) {
        (None, _) => return Ok(Some(Renamed::Unknown)),
        (Some(row), _) if row.renamed_to.as_deref() == Some(new) => return Ok(None),
        (Some(_), Some(_)) => return Ok(Some(Renamed::Taken)),
        (Some(_), None) => {}
    }
    // Every column that there is, also one of a later version.
    let columns: String = connection
        .prepare_cached(
            "SELECT group_concat(name, ', ') FROM pragma_table_info('subscriber')
             WHERE name NOT IN ('name', 'removed_ms', 'renamed_to')",
        )?
        .query_row([], |row| row.get(0))?;
    // A removed one of that name may still be referred to.
    connection.execute(
        "INSERT INTO subscriber (name, route, enabled) VALUES (?1, '', 0) ON CONFLICT (name) DO UPDATE SET removed_ms = NULL",
        [new],
    )?;
    connection.execute(
        &format!(
            "UPDATE subscriber SET ({columns}) = (SELECT {columns} FROM subscriber WHERE name = ?1) WHERE name = ?2"
        ),
        [old, new],
    )?;
    connection
        .execute("UPDATE subscriber SET absent = 1, renamed_to = ?2 WHERE name = ?1", [old, new])?;
    connection.execute(
        "UPDATE replay_job_subscriber SET subscriber = ?2 WHERE subscriber = ?1",
        [old, new],
    )?;
    Ok(None)
}

/// Hands some of a renamed subscriber's deliveries on, and says how many. None when there was none
/// left: its old name is gone then.
pub(crate) fn hand_on(connection: &Connection, old: &str) -> Result<Option<usize>, StoreError> {
    leases::rename(connection, old)?;
    let moved = connection
        .prepare_cached(
            "UPDATE delivery SET subscriber = (SELECT renamed_to FROM subscriber WHERE name = ?1)
             WHERE id IN (SELECT id FROM delivery INDEXED BY delivery_made WHERE subscriber = ?1 LIMIT ?2)",
        )?
        .execute(params![old, HANDED_ON_AT_ONCE])?;
    if moved > 0 {
        return Ok(Some(moved));
    }
    connection
        .prepare_cached("DELETE FROM subscriber WHERE name = ?1 AND renamed_to IS NOT NULL")?
        .execute([old])?;
    Ok(None)
}

/// Removes a subscriber to which nothing waits. Its row stays while deliveries refer to it.
pub(crate) fn remove(
    connection: &Connection,
    subscriber: &str,
    now: UnixMs,
) -> Result<Removed, StoreError> {
    leases::let_go(connection, subscriber, None, now)?;
    if let Some(until) = leases::last_end(connection, subscriber)? {
        return Ok(Removed::Sending(until));
    }
    let backlog = backlog(connection, subscriber)?;
    if backlog.waiting + backlog.held > 0 {
        return Ok(Removed::Waiting(backlog.waiting + backlog.held));
    }
    connection
        .prepare_cached("DELETE FROM replay_job_subscriber WHERE subscriber = ?1")?
        .execute([subscriber])?;
    let is_referred_to = connection
        .prepare_cached("SELECT 1 FROM delivery INDEXED BY delivery_made WHERE subscriber = ?1")?
        .exists([subscriber])?;
    let sql = match is_referred_to {
        true => "UPDATE subscriber SET absent = 1, removed_ms = ?2 WHERE name = ?1",
        false => "DELETE FROM subscriber WHERE name = ?1 AND ?2 IS NOT NULL",
    };
    connection.prepare_cached(sql)?.execute(params![subscriber, now.0])?;
    Ok(Removed::Done)
}

#[cfg(test)]
mod tests;

//! Deliveries as somebody looks for them.
//!
//! A search begins where the least has to be looked at: at the event or the person that is named,
//! or, subscriber by subscriber, at the index of the states that are wanted, else at its newest
//! delivery. So a list of the newest looks at little more than it shows, unless hardly any delivery
//! fits.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::event::Told;
use crate::store::by_hand::{Counterpart, DeliveryFilter, DeliveryPlace, DeliveryRow};
use crate::store::delivery::{DeliveryState, Trigger};
use crate::store::error::StoreError;
use crate::store::sqlite::leases::{self, Ends};
use crate::store::sqlite::reads::named;
use crate::store::sqlite::subscribers;
use crate::time::UnixMs;

const COLUMNS: &str = "delivery.id, subscriber, event.id, type, trigger, state, attempts, created_ms, max(created_ms, due_ms), body, \
     (SELECT json_array(first.id, first.subscriber, delivery.in_doubt) FROM delivery AS first \
      WHERE first.id = delivery.stands_in_for), \
     iif(delivery.state = 'cancelled', \
         (SELECT json_array(second.id, second.subscriber, second.in_doubt) FROM delivery AS second INDEXED BY delivery_stand_in \
          WHERE second.stands_in_for = delivery.id ORDER BY second.id DESC LIMIT 1), NULL)";

/// Open deliveries up to which their own index is gone through, whatever their age: more of them,
/// and the newest are found sooner by when they were made.
const OPEN_FEW: i64 = 10_000;

/// Where a search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// At one event, or at one person's.
    Events,
    /// At a subscriber's deliveries, by this index.
    Index(&'static str),
}

/// One delivery.
pub(super) fn one(connection: &Connection, id: i64) -> Result<Option<DeliveryRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM delivery JOIN event ON event.seq = event_seq WHERE delivery.id = ?1"
    );
    let in_hand = leases::all(connection)?;
    let read = |row: &Row<'_>| delivery_row(row, &in_hand);
    Ok(connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// Lists the newest deliveries that the filter lets through, newest first.
pub(crate) fn list(
    connection: &Connection,
    filter: &DeliveryFilter,
    behind: Option<DeliveryPlace>,
    limit: usize,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let mut newest: Vec<DeliveryRow> = Vec::new();
    let in_hand = leases::all(connection)?;
    for (start, subscriber) in starts(connection, filter, true)? {
        let rest = "ORDER BY created_ms DESC, delivery.id DESC";
        let (sql, stretch) = (sql(COLUMNS, start, filter, rest), (behind, limit));
        run(connection, &sql, filter, subscriber, stretch, |row| {
            newest.push(delivery_row(row, &in_hand)?);
            Ok(())
        })?;
        newest.sort_by_key(|row| std::cmp::Reverse((row.created, row.id)));
        newest.truncate(limit);
    }
    Ok(newest)
}

/// The numbers of all deliveries that the filter lets through, by subscriber, oldest first.
pub(crate) fn matching(
    connection: &Connection,
    filter: &DeliveryFilter,
) -> Result<Vec<(String, Vec<i64>)>, StoreError> {
    let mut matching: Vec<(String, Vec<i64>)> = Vec::new();
    for (start, subscriber) in starts(connection, filter, false)? {
        let sql = sql("subscriber, delivery.id", start, filter, "ORDER BY subscriber, delivery.id");
        run(connection, &sql, filter, subscriber, (None, usize::MAX), |row| {
            let (name, id): (String, i64) = (row.get(0)?, row.get(1)?);
            match matching.last_mut() {
                Some((last, ids)) if *last == name => ids.push(id),
                _ => matching.push((name, vec![id])),
            }
            Ok(())
        })?;
    }
    Ok(matching)
}

/// Where the search begins, once for each subscriber that it goes through by itself.
fn starts(
    connection: &Connection,
    filter: &DeliveryFilter,
    newest: bool,
) -> Result<Vec<(Start, Option<String>)>, StoreError> {
    if filter.event_id.is_some() || filter.mobile.is_some() {
        return Ok(vec![(Start::Events, filter.subscriber.clone())]);
    }
    let names = match &filter.subscriber {
        Some(name) => vec![name.clone()],
        None => subscribers::all_names(connection)?,
    };
    let mut starts = Vec::with_capacity(names.len());
    for name in names {
        starts.push((Start::Index(index(connection, filter, &name, newest)?), Some(name)));
    }
    Ok(starts)
}

/// The index by which the subscriber's deliveries are found.
fn index(
    connection: &Connection,
    filter: &DeliveryFilter,
    subscriber: &str,
    newest: bool,
) -> Result<&'static str, StoreError> {
    use DeliveryState::{Cancelled, Failed, Held, Sending, Waiting};
    let only = |states: &[DeliveryState]| {
        !filter.states.is_empty() && filter.states.iter().all(|state| states.contains(state))
    };
    if only(&[Held]) {
        return Ok("delivery_held");
    }
    if only(&[Failed, Cancelled]) {
        return Ok("delivery_ended");
    }
    if only(&[Waiting, Sending])
        && (!newest || subscribers::open_up_to(connection, subscriber, OPEN_FEW)? < OPEN_FEW)
    {
        return Ok("delivery_due");
    }
    Ok("delivery_made")
}

/// The statement of a search. States stand in it as literals, else no partial index is used.
fn sql(columns: &str, start: Start, filter: &DeliveryFilter, order: &str) -> String {
    let (from, begin) = match start {
        Start::Events if filter.event_id.is_some() => {
            ("event CROSS JOIN delivery ON event_seq = event.seq".to_owned(), "event.id = ?5")
        }
        Start::Events => (
            "event INDEXED BY event_mobile CROSS JOIN delivery ON event_seq = event.seq".to_owned(),
            "event.mobile = ?4",
        ),
        Start::Index(index) => (
            format!("delivery INDEXED BY {index} CROSS JOIN event ON event.seq = event_seq"),
            match index {
                "delivery_due" => "subscriber = ?1 AND state = 'waiting'",
                "delivery_ended" => "subscriber = ?1 AND state IN ('failed', 'cancelled')",
                _ => "subscriber = ?1",
            },
        ),
    };
    let states = leases::is_seen_in(&filter.states);
    let states = states.map(|states| format!("AND {states}")).unwrap_or_default();
    format!(
        "SELECT {columns} FROM {from}
         WHERE {begin} AND (?1 IS NULL OR subscriber = ?1) {states}
             AND (?2 IS NULL OR json_extract(body, '$.data.account') = ?2)
             AND (?3 IS NULL OR type = ?3)
             AND (?4 IS NULL OR event.mobile = ?4)
             AND (?5 IS NULL OR event.id = ?5)
             AND (?6 IS NULL OR trigger = ?6)
             AND created_ms >= ?7 AND created_ms < ?8
             AND (created_ms < ?10 OR created_ms = ?10 AND delivery.id < ?11)
         {order} LIMIT ?9"
    )
}

/// Runs a search and hands on each row.
fn run(
    connection: &Connection,
    sql: &str,
    filter: &DeliveryFilter,
    subscriber: Option<String>,
    (behind, limit): (Option<DeliveryPlace>, usize),
    mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let until = filter.until.map_or(i64::MAX, |until| until.0);
    let nowhere = DeliveryPlace { created_ms: i64::MAX, id: i64::MAX };
    let behind = behind.unwrap_or(nowhere);
    let mut rows = statement.query(params![
        subscriber,
        filter.account,
        filter.event_type,
        filter.mobile.as_ref().map(|mobile| mobile.as_str()),
        filter.event_id,
        filter.trigger.map(Trigger::as_str),
        filter.since.map_or(i64::MIN, |since| since.0),
        // The index is gone into where the page begins, not at its end.
        until.min(behind.created_ms.saturating_add(1)),
        i64::try_from(limit).unwrap_or(i64::MAX),
        behind.created_ms,
        behind.id,
    ])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

fn delivery_row(row: &Row<'_>, in_hand: &Ends) -> rusqlite::Result<DeliveryRow> {
    let id = row.get(0)?;
    let state = named(5, &row.get::<_, String>(5)?, DeliveryState::parse)?;
    let (state, lease_end) = leases::seen(in_hand, id, state);
    Ok(DeliveryRow {
        id,
        subscriber: row.get(1)?,
        event_id: row.get(2)?,
        event_type: row.get(3)?,
        trigger: named(4, &row.get::<_, String>(4)?, Trigger::parse)?,
        state,
        attempts: row.get(6)?,
        created: UnixMs(row.get(7)?),
        due: lease_end.map_or_else(|| row.get(8).map(UnixMs), Ok)?,
        told: Told::read(&row.get::<_, String>(9)?),
        stands_in_for: counterpart(row, 10)?,
        taken_over_by: counterpart(row, 11)?,
    })
}

fn counterpart(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Counterpart>> {
    let json: Option<String> = row.get(column)?;
    let parse = |json: &str| {
        let (delivery, subscriber, in_doubt) =
            serde_json::from_str::<(i64, String, i64)>(json).ok()?;
        Some(Counterpart { delivery, subscriber, in_doubt: in_doubt != 0 })
    };
    json.map(|json| named(column, &json, parse)).transpose()
}

#[cfg(test)]
pub(super) mod tests;

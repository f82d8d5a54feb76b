//! Deliveries moved from a subscriber that is down to its fallback.
//!
//! What is moved waits, or its sender died: whatever a worker has in hand stays with it until its
//! outcome or the end of its lease. Then the lease is no more, so that an outcome which comes all the
//! same changes nothing. An event that the other has a delivery of is left alone: nobody is told
//! twice by one subscriber.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::event::masked;
use crate::route::Route;
use crate::store::attempt::Trouble;
use crate::store::delivery::DeliveryState;
use crate::store::error::StoreError;
use crate::store::fallback::{Relief, TakeOver, TakenOver};
use crate::store::sqlite::claims::let_next_go;
use crate::store::sqlite::json;
use crate::store::sqlite::reads::named;
use crate::store::sqlite::{leases, subscribers};
use crate::store::subscribers::SubscriberRow;
use crate::time::UnixMs;

/// Deliveries that are moved in one transaction, so that nobody else waits for long.
const MOVED_AT_ONCE: i64 = 200;

/// A delivery that may be moved.
struct Movable {
    id: i64,
    event: i64,
    attempts: i64,
    in_doubt: bool,
}

/// Whether anything is to be moved.
pub(crate) fn is_due(connection: &Connection, of: &TakeOver) -> Result<bool, StoreError> {
    let Some((relief, by)) = relief(connection, of)? else { return Ok(false) };
    Ok(!movable(connection, of, relief, (by, 1))?.is_empty())
}

/// Moves what is to be moved, some of it.
pub(crate) fn take_over(
    connection: &Connection,
    of: &TakeOver,
) -> Result<Option<TakenOver>, StoreError> {
    let Some((relief, by)) = relief(connection, of)? else { return Ok(None) };
    leases::let_go(connection, &of.subscriber, None, of.now)?;
    let most = if relief.is_trial { 1 } else { MOVED_AT_ONCE };
    let movable = movable(connection, of, relief, (by, most))?;
    let Some(route) = route(connection, by)? else { return Ok(None) };
    let mut taken = TakenOver { by: by.clone(), ..TakenOver::default() };
    for delivery in &movable {
        // It stays where it is rather than show a whole number.
        if route.mask && !is_masked(connection, delivery.event)? {
            continue;
        }
        let in_doubt = delivery.in_doubt || is_in_doubt(connection, of, delivery)?;
        hand_over(connection, delivery, (by, &route), (in_doubt, of.now))?;
        taken.deliveries += 1;
        taken.in_doubt += usize::from(in_doubt);
    }
    // Those behind them wait for them no longer.
    for delivery in &movable {
        let_next_go(connection, delivery.id, UnixMs(0))?;
    }
    Ok((taken.deliveries > 0).then_some(taken))
}

/// Who takes over what, if anybody does.
fn relief<'a>(
    connection: &Connection,
    of: &'a TakeOver,
) -> Result<Option<(Relief, &'a String)>, StoreError> {
    let Some(first) = subscribers::row(connection, &of.subscriber)? else { return Ok(None) };
    let chain: Vec<Option<SubscriberRow>> =
        of.chain.iter().map(|name| subscribers::row(connection, name)).collect::<Result<_, _>>()?;
    let Some(relief) = (of.judgement.relief)(&first, &chain, of.now) else { return Ok(None) };
    let Some(by) = of.chain.get(relief.by) else { return Ok(None) };
    // One on trial is enough.
    if relief.is_trial && subscribers::open_up_to(connection, by, 1)? > 0 {
        return Ok(None);
    }
    Ok(Some((relief, by)))
}

/// What may be moved, the longest due first: nothing that somebody asked to be told again, nothing
/// of which the other has a delivery, nothing about the other itself, and nothing behind what is
/// in hand of the same person, which may have to be moved before it.
fn movable(
    connection: &Connection,
    of: &TakeOver,
    relief: Relief,
    (by, most): (&str, i64),
) -> Result<Vec<Movable>, StoreError> {
    let mut statement = connection.prepare_cached(
        "WITH hand AS MATERIALIZED (
             SELECT delivery_id, end_ms > ?2 AS holds, iif(lane = 0 AND end_ms > ?2, mobile, NULL) AS mobile
             FROM in_hand CROSS JOIN delivery ON id = delivery_id WHERE in_hand.subscriber = ?1)
         SELECT delivery.id, event_seq, attempts, in_doubt
         FROM delivery INDEXED BY delivery_due CROSS JOIN event ON event.seq = event_seq
         WHERE subscriber = ?1 AND lane = 0 AND state = 'waiting'
             AND delivery.id NOT IN (SELECT delivery_id FROM hand WHERE holds)
             AND (?3 OR attempts > 0 OR delivery.id IN (SELECT delivery_id FROM hand))
             AND trigger IN ('auto', 'retry')
             AND NOT EXISTS (SELECT 1 FROM delivery AS own
                             WHERE own.event_seq = delivery.event_seq AND own.subscriber = ?4)
             AND NOT (type GLOB 'subscriber.*' AND coalesce(body ->> '$.data.subscriber', '') = ?4)
             AND NOT EXISTS (SELECT 1 FROM hand WHERE hand.mobile = delivery.mobile)
         ORDER BY due_ms, delivery.id LIMIT ?5",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Movable {
            id: row.get(0)?,
            event: row.get(1)?,
            attempts: row.get(2)?,
            in_doubt: row.get(3)?,
        })
    };
    let which = params![of.subscriber, of.now.0, relief.untried, by, most];
    Ok(statement.query_map(which, read)?.collect::<Result<_, _>>()?)
}

/// What a subscriber is told and how.
fn route(connection: &Connection, name: &str) -> Result<Option<Route>, StoreError> {
    let route: Option<String> = connection
        .prepare_cached("SELECT route FROM subscriber WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    route.map(|route| json::read(&route)).transpose()
}

/// Whether its first receiver may have it: by what went wrong in an attempt, or because what an
/// attempt came to is not known.
fn is_in_doubt(
    connection: &Connection,
    of: &TakeOver,
    delivery: &Movable,
) -> Result<bool, StoreError> {
    if delivery.attempts == 0 {
        return Ok(false);
    }
    let mut statement =
        connection.prepare_cached("SELECT number, trouble FROM attempt WHERE delivery_id = ?1")?;
    let mut rows = statement.query([delivery.id])?;
    let mut known = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let trouble: Option<Trouble> = row
            .get::<_, Option<String>>(1)?
            .map(|json| named(1, &json, |json| serde_json::from_str(json).ok()))
            .transpose()?;
        if (of.judgement.leaves_doubt)(trouble.as_ref()) {
            return Ok(true);
        }
        known.insert(row.get::<_, i64>(0)?);
    }
    Ok(i64::try_from(known.len()).unwrap_or(i64::MAX) < delivery.attempts)
}

/// Cancels a delivery and makes that of the other, as the other gets it: its numbers masked, and
/// held where it holds what is suspect.
fn hand_over(
    connection: &Connection,
    delivery: &Movable,
    (by, route): (&str, &Route),
    (in_doubt, now): (bool, UnixMs),
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE delivery SET state = 'cancelled', in_line = 0 WHERE id = ?1")?
        .execute([delivery.id])?;
    connection
        .prepare_cached(
            "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms, mobile, replied_at,
                                   masked, stands_in_for, in_doubt)
             SELECT ?2, event_seq, trigger, iif(?3 AND body ->> '$.data.suspect' IS NOT NULL, ?4, ?5), ?6,
                    min(?6, coalesce(delivery.replied_at * 1000, ?6)), delivery.mobile, delivery.replied_at,
                    ?7 AND masked_body IS NOT NULL, delivery.id, ?8
             FROM delivery CROSS JOIN event ON event.seq = event_seq WHERE delivery.id = ?1",
        )?
        .execute(params![
            delivery.id,
            by,
            route.hold_suspect,
            DeliveryState::Held.as_str(),
            DeliveryState::Waiting.as_str(),
            now.0,
            route.mask,
            in_doubt,
        ])?;
    Ok(())
}

/// Whether an event shows no whole number, after one of a reply was rendered so, where nobody wanted
/// that before.
fn is_masked(connection: &Connection, event: i64) -> Result<bool, StoreError> {
    let body: Option<String> = connection
        .prepare_cached(
            "SELECT body FROM event WHERE seq = ?1 AND masked_body IS NULL AND mobile IS NOT NULL",
        )?
        .query_row([event], |row| row.get(0))
        .optional()?;
    let Some(body) = body else { return Ok(true) };
    let Some(masked) = masked(&body) else { return Ok(false) };
    connection
        .prepare_cached("UPDATE event SET masked_body = ?2 WHERE seq = ?1")?
        .execute(params![event, masked])?;
    Ok(true)
}

#[cfg(test)]
mod tests;

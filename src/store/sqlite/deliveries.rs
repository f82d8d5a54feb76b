//! Deliveries: claimed by lease, recorded with fencing, and made again by a replay.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::reply::{Mobile, Reply, ReplyId};
use crate::route::Route;
use crate::store::attempt::{Attempt, Next};
use crate::store::delivery::{Claim, DeliveryState, ReplayRequest, Replayed, Selection, Trigger};
use crate::store::error::StoreError;
use crate::store::sqlite::accounts::{conversion, routes};
use crate::store::sqlite::reads::named;
use crate::time::{BeijingTime, UnixMs};

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

/// Makes new deliveries of an hour's replies, under the ids that they have.
pub(crate) fn replay(
    connection: &Connection,
    request: &ReplayRequest,
    now: UnixMs,
) -> Result<Replayed, StoreError> {
    let chosen = chosen_routes(connection, request)?;
    let replies = replies_of(connection, request)?;
    let mut replayed = Replayed {
        replies: replies.len(),
        deliveries: chosen.iter().map(|(name, _)| (name.clone(), 0)).collect(),
    };
    let mut deliver = connection.prepare_cached(
        "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms, lane, mobile, replied_at)
         SELECT ?1, seq, 'replay', 'waiting', ?3, ?3, 1, mobile, replied_at FROM event WHERE id = ?2",
    )?;
    for ((name, route), (_, count)) in chosen.iter().zip(&mut replayed.deliveries) {
        for reply in replies.iter().filter(|reply| route.wants(reply)) {
            if !is_chosen(connection, request, name, &reply.id)? {
                continue;
            }
            *count += match request.dry_run {
                true => 1,
                false => deliver.execute(params![name, reply.id.as_str(), now.0])?,
            };
        }
    }
    Ok(replayed)
}

/// Whether the subscriber is to be told of the reply again, by what became of telling it before.
fn is_chosen(
    connection: &Connection,
    request: &ReplayRequest,
    subscriber: &str,
    reply: &ReplyId,
) -> Result<bool, StoreError> {
    if request.selection == Selection::All && request.new_since.is_none() {
        return Ok(true);
    }
    let mut statement = connection.prepare_cached(
        "SELECT state, reply.read_id >= ?3 FROM reply JOIN event ON event.id = reply.id
             JOIN delivery ON event_seq = event.seq
         WHERE reply.id = ?1 AND subscriber = ?2 ORDER BY delivery.id",
    )?;
    let mut states = Vec::new();
    let since = request.new_since.map(|read| read.0);
    let mut rows = statement.query(params![reply.as_str(), subscriber, since])?;
    while let Some(row) = rows.next()? {
        let state = named(0, &row.get::<_, String>(0)?, DeliveryState::parse)?;
        let is_new: Option<bool> = row.get(1)?;
        // Its own delivery tells of a new reply; and what is on its way need not go twice.
        if is_new == Some(true) || since.is_some() && state.is_under_way() {
            return Ok(false);
        }
        states.push(state);
    }
    Ok(request.selection.chooses(&states))
}

fn chosen_routes(
    connection: &Connection,
    request: &ReplayRequest,
) -> Result<Vec<(String, Route)>, StoreError> {
    let mut routes = routes(connection)?;
    routes.retain(|(name, _)| request.subscribers.is_empty() || request.subscribers.contains(name));
    Ok(routes)
}

fn replies_of(connection: &Connection, request: &ReplayRequest) -> Result<Vec<Reply>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, account, mobile, content, replied_at, gateway, occurrence FROM reply
         WHERE replied_at BETWEEN ?1 AND ?2 AND (?3 IS NULL OR account = ?3) ORDER BY replied_at, seq",
    )?;
    let first = request.hour.start().unix_seconds();
    let last = request.hour.end().seconds() - 1;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Reply {
            id: named(0, &row.get::<_, String>(0)?, ReplyId::parse)?,
            account: row.get(1)?,
            mobile: named(2, &row.get::<_, String>(2)?, Mobile::parse)?,
            content: row.get(3)?,
            content_raw: None,
            replied_at: BeijingTime::from_unix_seconds(row.get(4)?),
            gateway: row.get(5)?,
            occurrence: row.get(6)?,
            suspect: None,
            extension: None,
        })
    };
    let replies = statement
        .query_map(params![first, last, request.account], read)?
        .collect::<Result<_, _>>()?;
    Ok(replies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::read::ReadId;
    use crate::store::sqlite::schema;

    /// A store with one reply, which read 5 brought, and a subscriber that was told it.
    fn told_once() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::bring_up_to_date(&mut connection).unwrap();
        let reply = "rpl_000102030405060708090a0b0c0d0e0f";
        let route = serde_json::to_string(&Route::default()).unwrap();
        let rows = format!(
            "INSERT INTO account (name, id_key, settings, login, box) VALUES ('main', x'00', '', x'00', x'00');
             INSERT INTO read (id, account, state, charset, started_ms, deadline_boot, deadline_boot_ms)
                 VALUES (5, 'main', 'ingested', 'gbk', 0, 'a', 0);
             INSERT INTO reply (id, identity, occurrence, account, mobile, replied_at, content, gateway, read_id, kept_ms)
                 VALUES ('{reply}', x'00', 1, 'main', '13900000001', 3600, 'a', '1069', 5, 0);
             INSERT INTO event (seq, id, type, body) VALUES (1, '{reply}', 'reply.received', '');
             INSERT INTO subscriber (name, route, enabled) VALUES ('crm', '{route}', 1);
             INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
                 VALUES ('crm', 1, 'auto', 'delivered', 0, 0);"
        );
        connection.execute_batch(&rows).unwrap();
        connection
    }

    #[test]
    fn a_reply_that_was_new_a_moment_ago_is_not_told_twice_though_it_was_delivered_since() {
        let connection = told_once();
        for (new_since, expected) in [(None, 1), (Some(6), 1), (Some(5), 0), (Some(4), 0)] {
            let request = ReplayRequest {
                hour: BeijingTime::from_unix_seconds(3600).hour(),
                account: None,
                subscribers: vec!["crm".to_owned()],
                selection: Selection::All,
                new_since: new_since.map(ReadId),
                dry_run: true,
            };
            let replayed = replay(&connection, &request, UnixMs(0)).unwrap();
            assert_eq!(replayed.deliveries, [("crm".to_owned(), expected)], "{new_since:?}");
        }
    }
}

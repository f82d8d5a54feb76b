//! Replays: deliveries made again of replies that are kept.

use rusqlite::{Connection, params};

use crate::reply::{Mobile, Reply, ReplyId};
use crate::route::Route;
use crate::store::delivery::DeliveryState;
use crate::store::error::StoreError;
use crate::store::replay::{ReplayRequest, Replayed, Selection};
use crate::store::sqlite::accounts::routes;
use crate::store::sqlite::reads::named;
use crate::time::{BeijingTime, UnixMs};

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

//! Replays: deliveries made again of replies that are kept, piece by piece.

mod jobs;

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params};

use crate::event::{EventType, as_new, reply_received_masked};
use crate::reply::{Mobile, Reply, ReplyId, Suspicion};
use crate::route::Route;
use crate::store::delivery::DeliveryState;
use crate::store::error::StoreError;
use crate::store::read::ReadId;
use crate::store::replay::{Cursor, Extent, Looked, ReplayRequest};
use crate::store::sqlite::accounts::routes;
use crate::store::sqlite::json;
use crate::store::sqlite::reads::named;
use crate::time::{BeijingTime, UnixMs};

pub(crate) use jobs::{advance, begin, cancel, job, jobs, leave, left};

/// Replies in one piece: some milliseconds of the writer's time.
const PIECE_REPLIES: usize = 500;
/// Deliveries that one piece may make: with many subscribers it has fewer replies.
const PIECE_DELIVERIES: usize = 2_000;

/// A reply of a piece.
struct Kept {
    seq: i64,
    reply: Reply,
    read: ReadId,
    /// When it was kept.
    at: UnixMs,
    /// The number of its event.
    event: Option<i64>,
}

/// What a subscriber is told of a piece.
struct Chosen {
    name: String,
    /// Whether it gets numbers masked.
    masked: bool,
    places: Vec<usize>,
}

/// What a piece chose: for each subscriber, by their order, the places of its replies.
struct Piece {
    replies: Vec<Kept>,
    subscribers: Vec<Chosen>,
    /// Where the next one begins; none where this was the last.
    next: Option<Cursor>,
}

/// Those of the names that are no subscribers in the store.
pub(crate) fn unknown(
    connection: &Connection,
    mut names: Vec<String>,
) -> Result<Vec<String>, StoreError> {
    let routes = routes(connection)?;
    names.retain(|name| !routes.iter().any(|(known, _)| known == name));
    Ok(names)
}

/// How far a request reaches now.
pub(crate) fn extent(
    connection: &Connection,
    request: &ReplayRequest,
) -> Result<Extent, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*), coalesce(max(seq), 0) FROM reply
         WHERE replied_at BETWEEN ?1 AND ?2 AND (?3 IS NULL OR account = ?3)",
    )?;
    let (first, last) = seconds(request);
    let read = |row: &Row<'_>| Ok(Extent { replies: row.get(0)?, newest: row.get(1)? });
    Ok(statement.query_row(params![first, last, request.account], read)?)
}

/// The first and the last second of the request's hours.
fn seconds(request: &ReplayRequest) -> (i64, i64) {
    (request.first.start().unix_seconds(), request.last.end().seconds() - 1)
}

/// Before the first of a request's replies.
fn start(request: &ReplayRequest) -> Cursor {
    Cursor { replied_at: seconds(request).0, account: String::new(), seq: 0 }
}

/// What the next piece of a request would deliver; nothing is made.
pub(crate) fn look(
    connection: &Connection,
    request: &ReplayRequest,
    extent: Extent,
    cursor: Option<Cursor>,
) -> Result<Looked, StoreError> {
    let cursor = cursor.unwrap_or_else(|| start(request));
    let piece = choose(connection, request, extent.newest, &cursor)?;
    let count = |chosen: Chosen| (chosen.name, chosen.places.len());
    Ok(Looked {
        replies: piece.replies.len(),
        deliveries: piece.subscribers.into_iter().map(count).collect(),
        next: piece.next,
    })
}

/// Chooses of the replies behind the cursor. A subscriber that is configured no longer gets none.
fn choose(
    connection: &Connection,
    request: &ReplayRequest,
    newest: i64,
    cursor: &Cursor,
) -> Result<Piece, StoreError> {
    let mut routes = routes(connection)?;
    routes.retain(|(name, _)| request.subscribers.contains(name));
    let limit = (PIECE_DELIVERIES / routes.len().max(1)).clamp(1, PIECE_REPLIES);
    let replies = replies_behind(connection, request, newest, cursor, limit)?;
    let mut subscribers = Vec::with_capacity(routes.len());
    for (name, route) in routes {
        let places = chosen(connection, request, (&name, &route), &replies)?;
        subscribers.push(Chosen { name, masked: route.mask, places });
    }
    let next = replies.last().filter(|_| replies.len() == limit).map(|last| Cursor {
        replied_at: last.reply.replied_at.unix_seconds(),
        account: last.reply.account.clone(),
        seq: last.seq,
    });
    Ok(Piece { replies, subscribers, next })
}

/// The places of the replies that a subscriber is told.
fn chosen(
    connection: &Connection,
    request: &ReplayRequest,
    (name, route): (&str, &Route),
    replies: &[Kept],
) -> Result<Vec<usize>, StoreError> {
    let mut chosen = Vec::new();
    for (place, kept) in replies.iter().enumerate() {
        if kept.event.is_none() || !route.wants(&kept.reply, kept.at) {
            continue;
        }
        let is_chosen = !request.looks_back()
            || request.chooses(kept.read, &states(connection, name, &kept.reply.id)?);
        if is_chosen {
            chosen.push(place);
        }
    }
    Ok(chosen)
}

/// Where a reply's deliveries to a subscriber stand, oldest first, also of those events that told
/// it again as new.
fn states(
    connection: &Connection,
    subscriber: &str,
    reply: &ReplyId,
) -> Result<Vec<DeliveryState>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT state FROM (SELECT seq FROM event WHERE id = ?1
                            UNION ALL SELECT seq FROM event WHERE replay_of = ?1) AS told
             CROSS JOIN delivery ON event_seq = told.seq
         WHERE subscriber = ?2 ORDER BY delivery.id",
    )?;
    let read = |row: &Row<'_>| named(0, &row.get::<_, String>(0)?, DeliveryState::parse);
    let states = statement
        .query_map(params![reply.as_str(), subscriber], read)?
        .collect::<Result<_, _>>()?;
    Ok(states)
}

/// Replies in the order of the index, which holds all that the order and the conditions need.
const REPLIES_BEHIND: &str =
    "SELECT reply.seq, reply.id, account, reply.mobile, content, content_raw, reply.replied_at, gateway, occurrence,
            suspect, extension, read_id, event.seq, kept_ms, in_reply_to
     FROM reply INDEXED BY reply_time LEFT JOIN event ON event.id = reply.id
     WHERE (reply.replied_at, account, reply.seq) > (?1, ?2, ?3) AND reply.replied_at <= ?4
         AND (?5 IS NULL OR account = ?5) AND reply.seq <= ?6
     ORDER BY reply.replied_at, account, reply.seq LIMIT ?7";

fn replies_behind(
    connection: &Connection,
    request: &ReplayRequest,
    newest: i64,
    cursor: &Cursor,
    limit: usize,
) -> Result<Vec<Kept>, StoreError> {
    let mut statement = connection.prepare_cached(REPLIES_BEHIND)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = params![
        cursor.replied_at,
        cursor.account,
        cursor.seq,
        seconds(request).1,
        request.account,
        newest,
        limit,
    ];
    let replies = statement.query_map(parameters, kept)?.collect::<Result<_, _>>()?;
    Ok(replies)
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        seq: row.get(0)?,
        reply: Reply {
            id: named(1, &row.get::<_, String>(1)?, ReplyId::parse)?,
            account: row.get(2)?,
            mobile: named(3, &row.get::<_, String>(3)?, Mobile::parse)?,
            content: row.get(4)?,
            content_raw: row.get(5)?,
            replied_at: BeijingTime::from_unix_seconds(row.get(6)?),
            gateway: row.get(7)?,
            occurrence: row.get(8)?,
            suspect: row
                .get::<_, Option<String>>(9)?
                .map(|word| named(9, &word, Suspicion::parse))
                .transpose()?,
            extension: row.get(10)?,
            in_reply_to: row.get(14)?,
        },
        read: ReadId(row.get(11)?),
        event: row.get(12)?,
        at: UnixMs(row.get(13)?),
    })
}

/// Makes what a piece chose, and says how many deliveries each subscriber got.
fn make(
    connection: &Connection,
    piece: &Piece,
    events: &[Option<i64>],
    now: UnixMs,
) -> Result<Vec<(String, usize)>, StoreError> {
    let mut deliver = connection.prepare_cached(
        "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms, lane, mobile, replied_at,
                               masked)
         SELECT ?1, value, 'replay', 'waiting', ?3, min(?3, coalesce(replied_at * 1000, ?3)), 1, mobile, replied_at, ?4
         FROM json_each(?2) CROSS JOIN event ON event.seq = value",
    )?;
    let mut made = Vec::with_capacity(piece.subscribers.len());
    for Chosen { name, masked, places } in &piece.subscribers {
        let of = |place: &usize| events.get(*place).copied().flatten();
        let seqs: Vec<i64> = places.iter().filter_map(of).collect();
        let seqs = json::write(&seqs)?;
        made.push((name.clone(), deliver.execute(params![name, seqs, now.0, masked])?));
    }
    Ok(made)
}

/// Renders the events of a piece for those that get numbers masked, where nobody wanted that before.
fn keep_masked(connection: &Connection, piece: &Piece) -> Result<(), StoreError> {
    let mut missing =
        connection.prepare_cached("SELECT 1 FROM event WHERE seq = ?1 AND masked_body IS NULL")?;
    let mut put = connection.prepare_cached("UPDATE event SET masked_body = ?2 WHERE seq = ?1")?;
    for chosen in piece.subscribers.iter().filter(|chosen| chosen.masked) {
        for kept in chosen.places.iter().filter_map(|place| piece.replies.get(*place)) {
            if missing.exists([kept.event])? {
                put.execute(params![kept.event, reply_received_masked(&kept.reply)])?;
            }
        }
    }
    Ok(())
}

/// The events by which a piece's replies are told under the ids that they have.
fn events_as_they_are(piece: &Piece) -> Vec<Option<i64>> {
    piece.replies.iter().map(|kept| kept.event).collect()
}

/// Puts an event of its own for each reply that somebody is told as new: what was told before, with
/// another id and with the one that it had.
fn events_as_new(
    connection: &Connection,
    piece: &Piece,
    (job, created): (i64, UnixMs),
) -> Result<Vec<Option<i64>>, StoreError> {
    let mut bodies =
        connection.prepare_cached("SELECT body, masked_body FROM event WHERE seq = ?1")?;
    let mut put = connection.prepare_cached(
        "INSERT INTO event (id, type, body, masked_body, mobile, replied_at, replay_of)
         SELECT ?2, ?3, ?4, ?5, mobile, replied_at, id FROM event WHERE seq = ?1",
    )?;
    let mut events = vec![None; piece.replies.len()];
    let told: BTreeSet<usize> =
        piece.subscribers.iter().flat_map(|chosen| &chosen.places).copied().collect();
    for (place, kept) in piece.replies.iter().enumerate().filter(|(place, _)| told.contains(place))
    {
        let Some(event) = kept.event else { continue };
        let (body, masked): (String, Option<String>) =
            bodies.query_row([event], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let id = kept.reply.id.as_new(job, created);
        let render = |body: &str| {
            as_new(body, &id, &kept.reply.id).ok_or_else(|| {
                StoreError::Refused(format!(
                    "the event of {} is not as it was rendered",
                    kept.reply.id
                ))
            })
        };
        let masked = masked.as_deref().map(render).transpose()?.map_or(Value::Null, Value::Text);
        let event_type = EventType::ReplyReceived.as_str();
        let new = put.insert(params![event, id, event_type, render(&body)?, masked])?;
        if let Some(place) = events.get_mut(place) {
            *place = Some(new);
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests;

//! Kept replies as somebody looks for them.
//!
//! A stretch of them begins behind a place in the order of the index `reply_time`, so that a list
//! of millions is gone through without a count of what was passed over. Where a person is named,
//! or states that few deliveries are in, the search begins there.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::reply::Mobile;
use crate::store::by_hand::DeliveryFilter;
use crate::store::delivery::DeliveryState;
use crate::store::error::StoreError;
use crate::store::read::ReadId;
use crate::store::replies::{
    Order, Page, Place, ReplyDetail, ReplyExtent, ReplyFilter, ReplyRow, Stretch, ToldRow,
};
use crate::store::sqlite::leases;
use crate::store::sqlite::reads::named;
use crate::store::sqlite::{journal, search};
use crate::time::{BeijingTime, UnixMs};

/// Bytes of texts past which a stretch ends: a hostile text may be as long as an answer.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Deliveries in the wanted states up to which a search begins at them.
const DELIVERIES_FEW: i64 = 10_000;
/// As many ids that begin alike are told.
const ALIKE_MAX: i64 = 3;

/// What [`reply_row`] reads.
const COLUMNS: &str = "reply.seq, reply.id, reply.account, reply.mobile, reply.content, reply.content_raw, \
     reply.replied_at, reply.gateway, reply.occurrence, reply.suspect, reply.extension, reply.read_id, reply.kept_ms, \
     reply.in_reply_to";

/// Where a search begins.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Start {
    /// At the replies in their order.
    Replies,
    /// At one person's events.
    Mobile,
    /// At the deliveries in the wanted states, by these statements.
    States(String),
}

/// A stretch of the replies that the filter lets through.
pub(crate) fn page(
    connection: &Connection,
    filter: &ReplyFilter,
    stretch: &Stretch,
) -> Result<Page, StoreError> {
    let start = start(connection, filter)?;
    let (from, to) = (filter.from.map_or(i64::MIN, seconds), filter.to.map_or(i64::MAX, seconds));
    // Before the first that may be in it: the index is gone into there, not at its end.
    let at = |replied_at| Place { replied_at, account: String::new(), seq: 0 };
    let behind = stretch.behind.clone();
    let behind = match stretch.order {
        Order::OldestFirst => behind.filter(|place| place.replied_at >= from).unwrap_or(at(from)),
        Order::NewestFirst => behind.filter(|place| place.replied_at < to).unwrap_or(at(to)),
    };
    let mut statement = connection.prepare_cached(&sql(&start, filter, stretch.order))?;
    let mut rows = statement.query(params![
        filter.account,
        filter.mobile.as_ref().map(Mobile::as_str),
        filter.text,
        from,
        to,
        filter.suspect,
        stretch.newest,
        behind.replied_at,
        behind.account,
        behind.seq,
        i64::try_from(stretch.limit).unwrap_or(i64::MAX),
    ])?;
    let mut page = Page { rows: Vec::new(), next: None };
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let mut row = reply_row(row)?;
        row.deliveries = deliveries(connection, &row.id)?;
        bytes += row.content.len() + row.content_raw.as_ref().map_or(0, Vec::len);
        page.rows.push(row);
        if bytes >= PAGE_BYTES || page.rows.len() >= stretch.limit {
            page.next = page.rows.last().map(ReplyRow::place);
            break;
        }
    }
    Ok(page)
}

/// The first whole second that is not before this instant.
fn seconds(instant: UnixMs) -> i64 {
    instant.0.saturating_add(999).div_euclid(1000)
}

fn start(connection: &Connection, filter: &ReplyFilter) -> Result<Start, StoreError> {
    if filter.mobile.is_some() {
        return Ok(Start::Mobile);
    }
    let Some(deliveries) = in_states(&filter.states) else { return Ok(Start::Replies) };
    let count = format!("SELECT count(*) FROM (SELECT 1 FROM ({deliveries}) LIMIT ?1)");
    let count: i64 =
        connection.prepare_cached(&count)?.query_row([DELIVERIES_FEW], |row| row.get(0))?;
    Ok(if count < DELIVERIES_FEW { Start::States(deliveries) } else { Start::Replies })
}

/// What finds the events of the deliveries in these states by their indexes; none where a state has
/// none, or no state is named.
fn in_states(states: &[DeliveryState]) -> Option<String> {
    use DeliveryState::{Cancelled, Delivered, Failed, Held, Sending, Waiting};
    let one = |state: &DeliveryState| {
        let (index, states) = match state {
            Delivered => return None,
            Held => ("delivery_held", "'held'"),
            Waiting | Sending => ("delivery_due", "'waiting'"),
            Failed | Cancelled => ("delivery_ended", "'failed', 'cancelled'"),
        };
        // The index's own condition is repeated, else a partial index is not used.
        let seen = leases::is_seen(*state);
        Some(format!(
            "SELECT event_seq FROM delivery INDEXED BY {index} WHERE state IN ({states}) AND {seen}"
        ))
    };
    let all: Vec<String> = states.iter().map(one).collect::<Option<_>>()?;
    (!all.is_empty()).then(|| all.join(" UNION ALL "))
}

/// The statement of a search. States stand in it as literals.
fn sql(start: &Start, filter: &ReplyFilter, order: Order) -> String {
    let (from, begin) = match start {
        Start::Replies => ("reply INDEXED BY reply_time".to_owned(), "TRUE"),
        Start::Mobile => (
            "event INDEXED BY event_mobile CROSS JOIN reply ON reply.id = event.id".to_owned(),
            "event.mobile = ?2",
        ),
        Start::States(deliveries) => (
            format!(
                "(SELECT DISTINCT coalesce(replay_of, id) AS id FROM ({deliveries}) CROSS JOIN event ON seq = event_seq)
                 AS told CROSS JOIN reply ON reply.id = told.id"
            ),
            "TRUE",
        ),
    };
    let (than, direction) = match order {
        Order::OldestFirst => (">", ""),
        Order::NewestFirst => ("<", "DESC"),
    };
    let states = match (leases::is_seen_in(&filter.states), start) {
        (None, _) | (_, Start::States(_)) => String::new(),
        (Some(states), _) => format!(
            "AND EXISTS (SELECT 1 FROM ({TOLD}) AS told CROSS JOIN delivery ON event_seq = told.seq
                         WHERE {states})"
        ),
    };
    format!(
        "SELECT {COLUMNS} FROM {from}
         WHERE {begin} AND (?1 IS NULL OR reply.account = ?1)
             AND (?2 IS NULL OR reply.mobile = ?2)
             AND (?3 IS NULL OR instr(reply.content, ?3) > 0)
             AND reply.replied_at >= ?4 AND reply.replied_at < ?5
             AND (NOT ?6 OR reply.suspect IS NOT NULL)
             AND (?7 IS NULL OR reply.seq <= ?7)
             AND (reply.replied_at, reply.account, reply.seq) {than} (?8, ?9, ?10)
             {states}
         ORDER BY reply.replied_at {direction}, reply.account {direction}, reply.seq {direction} LIMIT ?11"
    )
}

/// The events that tell the reply `reply`.
const TOLD: &str = "SELECT seq FROM event WHERE id = reply.id
    UNION ALL SELECT seq FROM event WHERE replay_of = reply.id";

fn reply_row(row: &Row<'_>) -> rusqlite::Result<ReplyRow> {
    Ok(ReplyRow {
        seq: row.get(0)?,
        id: row.get(1)?,
        account: row.get(2)?,
        mobile: named(3, &row.get::<_, String>(3)?, Mobile::parse)?,
        content: row.get(4)?,
        content_raw: row.get(5)?,
        replied_at: BeijingTime::from_unix_seconds(row.get(6)?),
        gateway: row.get(7)?,
        occurrence: row.get(8)?,
        suspect: row.get(9)?,
        extension: row.get(10)?,
        read: ReadId(row.get(11)?),
        kept: UnixMs(row.get(12)?),
        in_reply_to: row.get(13)?,
        deliveries: Vec::new(),
    })
}

/// How many deliveries of a reply stand where.
fn deliveries(
    connection: &Connection,
    reply: &str,
) -> Result<Vec<(DeliveryState, u64)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT iif(state = 'waiting' AND delivery.id IN (SELECT delivery_id FROM in_hand), 'sending', state) AS seen,
             count(*)
         FROM (SELECT seq FROM event WHERE id = ?1 UNION ALL SELECT seq FROM event WHERE replay_of = ?1) AS told
             CROSS JOIN delivery ON event_seq = told.seq GROUP BY seen",
    )?;
    let read = |row: &Row<'_>| {
        Ok((named(0, &row.get::<_, String>(0)?, DeliveryState::parse)?, row.get(1)?))
    };
    let mut counts =
        statement.query_map([reply], read)?.collect::<Result<Vec<(DeliveryState, u64)>, _>>()?;
    counts.sort_by_key(|(state, _)| DeliveryState::ALL.iter().position(|known| known == state));
    Ok(counts)
}

/// How many replies the filter may let through.
pub(crate) fn extent(
    connection: &Connection,
    filter: &ReplyFilter,
) -> Result<ReplyExtent, StoreError> {
    let newest = connection
        .prepare_cached("SELECT coalesce(max(seq), 0) FROM reply")?
        .query_row([], |row| row.get(0))?;
    let ReplyFilter { mobile, text, states, suspect, .. } = filter;
    if mobile.is_some() || text.is_some() || !states.is_empty() || *suspect {
        return Ok(ReplyExtent { newest, count: None });
    }
    let count: u64 = connection
        .prepare_cached(
            "SELECT count(*) FROM reply INDEXED BY reply_time
             WHERE replied_at >= ?1 AND replied_at < ?2 AND (?3 IS NULL OR account = ?3)",
        )?
        .query_row(
            params![
                filter.from.map_or(i64::MIN, seconds),
                filter.to.map_or(i64::MAX, seconds),
                filter.account
            ],
            |row| row.get(0),
        )?;
    Ok(ReplyExtent { newest, count: usize::try_from(count).ok() })
}

/// The ids of the replies whose own id begins so, or that of an event that tells them as new.
pub(crate) fn ids(connection: &Connection, beginning: &str) -> Result<Vec<String>, StoreError> {
    // Ids end with hex digits, so that all that begin so stand before what goes on with a `g`.
    let mut statement = connection.prepare_cached(
        "SELECT id FROM reply WHERE id >= ?1 AND id < ?1 || 'g'
         UNION SELECT replay_of FROM event WHERE id >= ?1 AND id < ?1 || 'g' AND replay_of IS NOT NULL
         ORDER BY 1 LIMIT ?2",
    )?;
    let ids = statement.query_map(params![beginning, ALIKE_MAX], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// One reply.
pub(crate) fn one(connection: &Connection, id: &str) -> Result<Option<ReplyRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM reply WHERE reply.id = ?1");
    let row = connection.prepare_cached(&sql)?.query_row([id], reply_row).optional()?;
    let Some(mut row) = row else { return Ok(None) };
    row.deliveries = deliveries(connection, id)?;
    Ok(Some(row))
}

/// All about one reply.
pub(crate) fn detail(connection: &Connection, id: &str) -> Result<Option<ReplyDetail>, StoreError> {
    let Some(row) = one(connection, id)? else { return Ok(None) };
    let mut events = connection.prepare_cached(
        "SELECT id, body FROM event WHERE id = ?1
         UNION ALL SELECT id, body FROM (SELECT id, body FROM event WHERE replay_of = ?1 ORDER BY seq)",
    )?;
    let events = events
        .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(String, String)>, _>>()?;
    let mut told = Vec::with_capacity(events.len());
    for (id, body) in events {
        let filter = DeliveryFilter { event_id: Some(id.clone()), ..DeliveryFilter::default() };
        let mut deliveries = search::list(connection, &filter, None, ReplyDetail::DELIVERIES_MAX)?;
        deliveries.reverse();
        told.push(ToldRow { id, body, deliveries });
    }
    let read = journal::entry(connection, row.read)?.map(|(read, _)| read);
    Ok(Some(ReplyDetail { row, read, told }))
}

#[cfg(test)]
mod tests;

//! The rows of replays: begun, carried on under a lease, cancelled, looked at.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{events_as_new, events_as_they_are, keep_masked};
use crate::store::error::StoreError;
use crate::store::read::ReadId;
use crate::store::replay::{
    Advance, Cursor, Extent, REPLAY_LEASE, ReplayJob, ReplayLease, ReplayRequest, ReplayState,
    Selection,
};
use crate::store::sqlite::reads::named;
use crate::time::{Hour, UnixMs};

const COLUMNS: &str =
    "id, first_hour, last_hour, account, selection, as_new, new_since, state, created_ms, ended_ms,
    replies, looked_at";

/// What only whoever carries a replay out needs of it.
struct Course {
    cursor: Cursor,
    newest: i64,
    lease: i64,
    lease_end: UnixMs,
}

/// Keeps a request as a job, and holds it.
pub(crate) fn begin(
    connection: &Connection,
    request: &ReplayRequest,
    extent: Extent,
    now: UnixMs,
) -> Result<ReplayLease, StoreError> {
    let start = super::start(request);
    let job = connection
        .prepare_cached(
            "INSERT INTO replay_job (state, first_hour, last_hour, account, selection, as_new, new_since, newest_seq,
                                     replies, created_ms, cursor_replied_at, lease_end_ms)
             VALUES ('running', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .insert(params![
            request.first.number(),
            request.last.number(),
            request.account,
            request.selection.as_str(),
            request.as_new,
            request.new_since.map(|read| read.0),
            extent.newest,
            extent.replies,
            now.0,
            start.replied_at,
            now.after(REPLAY_LEASE).0,
        ])?;
    let mut put = connection
        .prepare_cached("INSERT INTO replay_job_subscriber (job, subscriber) VALUES (?1, ?2)")?;
    for name in &request.subscribers {
        put.execute(params![job, name])?;
    }
    Ok(ReplayLease { job, number: 1 })
}

/// Does the next piece of a replay, if one may.
pub(crate) fn advance(
    connection: &Connection,
    id: i64,
    lease: Option<ReplayLease>,
    now: UnixMs,
) -> Result<Option<Advance>, StoreError> {
    let Some(mut job) = job(connection, id)? else { return Ok(None) };
    if job.state != ReplayState::Running {
        return Ok(Some(Advance::Over(job)));
    }
    let course = course(connection, id)?;
    let Some(lease) = hold(&course, id, lease, now) else {
        return Ok(Some(Advance::Elsewhere(job)));
    };
    let piece = super::choose(connection, &job.request, course.newest, &course.cursor)?;
    keep_masked(connection, &piece)?;
    let events = match job.request.as_new {
        true => events_as_new(connection, &piece, (id, job.created))?,
        false => events_as_they_are(&piece),
    };
    for (name, made) in super::make(connection, &piece, &events, now)? {
        connection
            .prepare_cached(
                "UPDATE replay_job_subscriber SET made = made + ?3 WHERE job = ?1 AND subscriber = ?2",
            )?
            .execute(params![id, name, made])?;
        let sum = job.deliveries.iter_mut().find(|(subscriber, _)| *subscriber == name);
        sum.into_iter().for_each(|(_, sum)| *sum += made);
    }
    job.looked_at += piece.replies.len();
    if piece.next.is_none() {
        (job.state, job.ended) = (ReplayState::Done, Some(now));
    }
    keep(connection, &job, piece.next.unwrap_or(course.cursor), lease, now)?;
    Ok(Some(match job.state {
        ReplayState::Running => Advance::Moved(job, lease),
        ReplayState::Done | ReplayState::Cancelled => Advance::Over(job),
    }))
}

/// The hold under which one may go on: the one that one has, while nobody took it up since, or a
/// new one where the last has ended.
fn hold(course: &Course, job: i64, lease: Option<ReplayLease>, now: UnixMs) -> Option<ReplayLease> {
    if let Some(lease) = lease.filter(|lease| lease.number == course.lease) {
        return Some(lease);
    }
    is_left(course.lease_end, now).then_some(ReplayLease { job, number: course.lease + 1 })
}

/// Whether a hold that ends then has ended. One that ends later than any that is taken now was
/// taken when the clock was wrong.
fn is_left(lease_end: UnixMs, now: UnixMs) -> bool {
    lease_end <= now || lease_end > now.after(REPLAY_LEASE)
}

/// Writes where a replay stands.
fn keep(
    connection: &Connection,
    job: &ReplayJob,
    cursor: Cursor,
    lease: ReplayLease,
    now: UnixMs,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE replay_job SET state = ?2, ended_ms = ?3, looked_at = ?4, cursor_replied_at = ?5,
                 cursor_account = ?6, cursor_seq = ?7, lease = ?8, lease_end_ms = ?9 WHERE id = ?1",
        )?
        .execute(params![
            job.id,
            job.state.as_str(),
            job.ended.map(|ended| ended.0),
            job.looked_at,
            cursor.replied_at,
            cursor.account,
            cursor.seq,
            lease.number,
            now.after(REPLAY_LEASE).0,
        ])?;
    Ok(())
}

fn course(connection: &Connection, job: i64) -> Result<Course, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT cursor_replied_at, cursor_account, cursor_seq, newest_seq, lease, lease_end_ms
         FROM replay_job WHERE id = ?1",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Course {
            cursor: Cursor { replied_at: row.get(0)?, account: row.get(1)?, seq: row.get(2)? },
            newest: row.get(3)?,
            lease: row.get(4)?,
            lease_end: UnixMs(row.get(5)?),
        })
    };
    Ok(statement.query_row([job], read)?)
}

/// Lets a replay go, while one holds it.
pub(crate) fn leave(
    connection: &Connection,
    lease: ReplayLease,
    now: UnixMs,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE replay_job SET lease_end_ms = ?3 WHERE id = ?1 AND lease = ?2")?
        .execute(params![lease.job, lease.number, now.0])?;
    Ok(())
}

/// The replays that are not over and that nobody holds.
pub(crate) fn left(connection: &Connection, now: UnixMs) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, lease_end_ms FROM replay_job WHERE state = 'running' ORDER BY id",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, UnixMs(row.get(1)?))))?;
    let mut left = Vec::new();
    for row in rows {
        let (id, lease_end) = row?;
        if is_left(lease_end, now) {
            left.push(id);
        }
    }
    Ok(left)
}

/// Ends a replay that is running, and says how it stood.
pub(crate) fn cancel(
    connection: &Connection,
    id: i64,
    now: UnixMs,
) -> Result<Option<ReplayState>, StoreError> {
    let stood = job(connection, id)?.map(|job| job.state);
    connection
        .prepare_cached(
            "UPDATE replay_job SET state = 'cancelled', ended_ms = ?2 WHERE id = ?1 AND state = 'running'",
        )?
        .execute(params![id, now.0])?;
    Ok(stood)
}

/// A replay by its number.
pub(crate) fn job(connection: &Connection, id: i64) -> Result<Option<ReplayJob>, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM replay_job WHERE id = ?1"))?;
    let job = statement.query_row([id], read_job).optional()?;
    job.map(|job| with_subscribers(connection, job)).transpose()
}

/// The newest replays before a number, newest first.
pub(crate) fn jobs(
    connection: &Connection,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<ReplayJob>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM replay_job WHERE ?2 IS NULL OR id < ?2 ORDER BY id DESC LIMIT ?1"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let jobs =
        statement.query_map(params![limit, before], read_job)?.collect::<Result<Vec<_>, _>>()?;
    jobs.into_iter().map(|job| with_subscribers(connection, job)).collect()
}

fn with_subscribers(connection: &Connection, mut job: ReplayJob) -> Result<ReplayJob, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT subscriber, made FROM replay_job_subscriber WHERE job = ?1 ORDER BY subscriber",
    )?;
    let rows = statement.query_map([job.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    job.deliveries = rows.collect::<Result<_, _>>()?;
    job.request.subscribers = job.deliveries.iter().map(|(name, _)| name.clone()).collect();
    Ok(job)
}

fn read_job(row: &Row<'_>) -> rusqlite::Result<ReplayJob> {
    Ok(ReplayJob {
        id: row.get(0)?,
        request: ReplayRequest {
            first: Hour::from_number(row.get(1)?),
            last: Hour::from_number(row.get(2)?),
            account: row.get(3)?,
            subscribers: Vec::new(),
            selection: named(4, &row.get::<_, String>(4)?, Selection::parse)?,
            as_new: row.get(5)?,
            new_since: row.get::<_, Option<i64>>(6)?.map(ReadId),
        },
        state: named(7, &row.get::<_, String>(7)?, ReplayState::parse)?,
        created: UnixMs(row.get(8)?),
        ended: row.get::<_, Option<i64>>(9)?.map(UnixMs),
        replies: row.get(10)?,
        looked_at: row.get(11)?,
        deliveries: Vec::new(),
    })
}

//! What keeps a store well over the years.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::store::error::StoreError;
use crate::time::UnixMs;

/// Longer than the longest wait between two attempts: seven days, and a fifth for jitter.
const DELIVERY_WAIT_MAX: Duration = Duration::from_hours(9 * 24);
/// Longer than any lease: the longest timeout is five minutes.
const LEASE_MAX: Duration = Duration::from_hours(1);
/// Longer than the longest wait for an hour: a day, or until an hour to come has settled.
const HOUR_WAIT_MAX: Duration = Duration::from_hours(27);
/// Further in the future no hour lies that is owed, however far ahead the clock may still be: as
/// far as the furthest read owes back. The rest was owed in a year that is not here yet.
const HOUR_AHEAD_MAX: Duration = Duration::from_hours(62 * 24);
/// How far apart two right clocks are at most.
const CLOCKS_APART_MAX: Duration = Duration::from_mins(5);
/// Longer than two of the longest intervals, for which a record waits.
const RECORD_WAIT_MAX: Duration = Duration::from_hours(15 * 24);

/// 2026-01-01 in Beijing. A clock that shows less is not set yet: it must not undo the waits that
/// a right one imposed.
pub(super) const CLOCK_IS_SET: UnixMs = UnixMs(1_767_196_800_000);

/// Sets to now every time that is further off than any wait that is ever imposed, and forgets the
/// owed hours of a far future. An hour to come keeps its time: nothing can be read of it yet. One
/// that was verified in the future, by a clock that was ahead, may not have been over then: it is
/// owed again, as a matter of course.
pub(crate) fn mend_times(connection: &Connection, now: UnixMs) -> Result<usize, StoreError> {
    if now < CLOCK_IS_SET {
        return Ok(0);
    }
    let mend = |sql: &str, longest: Duration| {
        connection.prepare_cached(sql)?.execute(params![now.0, now.after(longest).0])
    };
    // By the index of the open deliveries: without it every delivery that there ever was is looked
    // at, and the writer waits for that.
    let deliveries = mend(
        "UPDATE delivery INDEXED BY delivery_due SET due_ms = ?1 WHERE state = 'waiting' AND due_ms > ?2",
        DELIVERY_WAIT_MAX,
    )?;
    let leases = mend("UPDATE lease SET end_ms = ?1 WHERE end_ms > ?2", LEASE_MAX)?;
    let soon = now.beijing().hour().number() + 1;
    let hours = connection
        .prepare_cached(
            "UPDATE hour SET not_before_ms = ?1 WHERE state = 'owed' AND not_before_ms > ?2 AND hour <= ?3",
        )?
        .execute(params![now.0, now.after(HOUR_WAIT_MAX).0, soon])?;
    let ahead = connection
        .prepare_cached("DELETE FROM hour WHERE state = 'owed' AND hour > ?1")?
        .execute([now.after(HOUR_AHEAD_MAX).beijing().hour().number()])?;
    // Hours are counted from midnight in Beijing; a quarter of an hour after its end one is settled.
    let early = connection
        .prepare_cached(
            "UPDATE hour SET state = 'owed', cause = 'routine', doubts = 0, shorts = 0, gap = NULL,
                 verified_ms = NULL,
                 not_before_ms = max(?1, (hour * 3600 - 28800 + 4500) * 1000)
             WHERE state = 'verified' AND verified_ms > ?2",
        )?
        .execute(params![now.0, now.after(CLOCKS_APART_MAX).0])?;
    let records =
        mend("UPDATE waiting_record SET release_ms = ?1 WHERE release_ms > ?2", RECORD_WAIT_MAX)?;
    Ok(deliveries + leases + hours + ahead + early + records)
}

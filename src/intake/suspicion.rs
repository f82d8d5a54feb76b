//! Which records of a body may be forged by their text.
//!
//! Nothing is escaped in an answer, so a customer can type a record's end and the head of
//! another: `no||2026-11-22 09:59:58||1069001{&}13900000001||yes`. The gateway's own time and
//! number then stand behind the *second* half, and the first ends with those that were typed.
//! What was typed can be seen only where it does not fit: to the account, to its neighbours, to
//! the read. So this is a mark and no judgement: who types the account's own number and a time
//! that fits is not found, and an honest record can have a mark. It is kept and delivered all
//! the same, unless a subscriber holds what is suspect.
//!
//! Not seen are, above all, a typed time that fits and a gateway number that was not looked at
//! because the account's is not configured; then wrong times of a body's first and last record,
//! which have but one neighbour, and of two in a row, which are neighbours of each other.

use std::time::Duration;

use crate::reply::Suspicion;
use crate::time::{BeijingTime, Hour, UnixMs};

/// How far a record's time may lie on the wrong side of its neighbours'. A box is filled in the
/// order of arrival, and some carriers take minutes longer than others.
const ORDER_TOLERANCE: Duration = Duration::from_mins(10);
/// How far a record's time may lie behind the end of its read: the gateway's clock is not ours.
const CLOCKS_DIFFER: Duration = Duration::from_mins(10);
/// How long before the last proven plain read a record may be stamped that came only after it:
/// that read emptied the box, and carriers try for a day to deliver.
const LATE_MAX: Duration = Duration::from_hours(24);

/// What there is to judge of a record.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// The reply time at its end.
    pub replied_at: BeijingTime,
    /// The gateway number at its end.
    pub gateway: &'a str,
    /// Whether its content may hold the seam of two records.
    pub may_hold_two: bool,
}

/// What is known of the body.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The account's own gateway number, where it is configured.
    pub number: Option<&'a str>,
    /// The hour that was asked for; none in a plain read.
    pub hour: Option<Hour>,
    /// When the read began.
    pub started: UnixMs,
    /// When its answer ended.
    pub ended: UnixMs,
    /// When the last proven plain read before it began.
    pub last_proven: Option<UnixMs>,
    /// Whether the body was cut right behind its last record, whose gateway number may be cut too.
    pub cut_behind_last: bool,
}

/// Judges the records of one body, given in its order: one answer for each.
#[must_use]
pub fn judge(records: &[Trace<'_>], body: Surroundings<'_>) -> Vec<Option<Suspicion>> {
    let mut marks = Vec::with_capacity(records.len());
    let mut follows = false;
    for (place, record) in records.iter().enumerate() {
        let is_cut = body.cut_behind_last && place + 1 == records.len();
        let before = place.checked_sub(1).and_then(|place| records.get(place));
        let misfit = if is_foreign(record.gateway, is_cut, body.number) {
            Some(Suspicion::ForeignGateway)
        } else if is_out_of_order(before, record, records.get(place + 1)) {
            Some(Suspicion::TimeOutOfOrder)
        } else {
            is_far(record.replied_at, body).then_some(Suspicion::TimeFar)
        };
        let seam = record.may_hold_two.then_some(Suspicion::MayHoldTwo);
        marks.push(seam.or(misfit).or(follows.then_some(Suspicion::FollowsSuspect)));
        // A typed record is two halves, and the second shows nothing by itself, though it is the
        // one that puts words into another's mouth. So whichever rule saw the first half marks it,
        // also where the first is named for its seam. The neighbour of an honest record with an odd
        // time is marked for nothing: the cheaper error, and one record at most, because what
        // follows marks nothing further.
        follows = misfit.is_some();
    }
    marks
}

/// A number that the account does not have. None at all says nothing, and one that was cut may
/// lack digits at its end.
fn is_foreign(gateway: &str, is_cut: bool, number: Option<&str>) -> bool {
    number.is_some_and(|number| {
        let may_be_its_beginning = is_cut && number.starts_with(gateway);
        !gateway.is_empty() && !gateway.starts_with(number) && !may_be_its_beginning
    })
}

/// Earlier or later than both neighbours, which are in order themselves.
fn is_out_of_order(
    before: Option<&Trace<'_>>,
    record: &Trace<'_>,
    behind: Option<&Trace<'_>>,
) -> bool {
    let (Some(before), Some(behind)) = (before, behind) else { return false };
    let [first, time, last] = [before, record, behind].map(|record| record.replied_at.unix_ms());
    first <= last && (time.after(ORDER_TOLERANCE) < first || time > last.after(ORDER_TOLERANCE))
}

/// A time that this read should not have brought.
fn is_far(replied_at: BeijingTime, body: Surroundings<'_>) -> bool {
    let time = replied_at.unix_ms();
    let too_old = match (body.hour, body.last_proven) {
        (Some(hour), _) => replied_at.hour() != hour,
        // Where the clock was set back meanwhile, the earlier of both times counts.
        (None, Some(proven)) => time < proven.min(body.started).before(LATE_MAX),
        (None, None) => false,
    };
    too_old || time > body.ended.after(CLOCKS_DIFFER)
}

#[cfg(test)]
mod tests;

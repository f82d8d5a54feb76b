//! Hours: what a doubtful read or a pause owes, and what a read by `time` settles.
//!
//! An hour is verified when the gateway shows us, after it is over, all that we know of it. This
//! file decides; the store keeps the rows, and the planner chooses among those that are owed.

use std::time::Duration;

use crate::gateway::client::ReadMode;
use crate::store::hour::{Cause, Gap, HourChange, HourRow, HourState, OwedHour};
use crate::store::read::{ReadId, Verdict};
use crate::time::{Hour, UnixMs};

/// Carriers deliver late: how far before the last proven read a missing reply may be stamped, and
/// how long after an hour's end replies of it may still arrive.
const LATE: Duration = Duration::from_hours(2);
/// How far the gateway's clock may be ahead of ours: near an hour's end the next one may have begun
/// there.
const CLOCKS_APART: Duration = Duration::from_mins(5);
/// How long after its end an hour is settled at the gateway.
const SETTLED: Duration = Duration::from_mins(15);
/// Waits before an hour that lacks a known reply is read again; then it is given up.
const SHORT_WAITS: [Duration; 3] =
    [Duration::from_hours(1), Duration::from_hours(6), Duration::from_hours(24)];
/// The longest wait between doubtful reads of one hour.
const DOUBT_WAIT_MAX: Duration = Duration::from_hours(24);
/// Doubtful reads of an hour before it is given up: at the usual interval, three weeks.
const DOUBTS_MAX: u32 = 24;
/// Hours of records that one read may owe: a forged body must not fill the plan.
const RECORD_HOURS_MAX: usize = 1_000;
/// The furthest back that a read owes, however long ago the last proven one was: longer than
/// gateways keep replies, and a bound where the clock was wrong by decades.
const OWED_MAX: Duration = Duration::from_hours(62 * 24);
/// The least lateness of a read that is a pause: a restart of the machine is none.
const PAUSE_MIN: Duration = Duration::from_mins(2);
/// A time that never comes.
const NEVER: UnixMs = UnixMs(i64::MAX);

/// What a read leaves in doubt: replies that reached the gateway before it ended.
#[derive(Clone, Copy, Debug)]
pub struct Doubted {
    /// The read.
    pub read: ReadId,
    /// When it began.
    pub started: UnixMs,
    /// When its answer ended, or was given up.
    pub ended: UnixMs,
    /// When the last proven plain read before it began.
    pub last_proven: Option<UnixMs>,
    /// When the last plain read before it began, proven or not.
    pub previous_plain: Option<UnixMs>,
    /// How far back it owes at least where none was proven.
    pub recover: Duration,
}

impl Doubted {
    /// The hours from two before the last proven plain read to the end of this one; where none was
    /// proven, from two before the last one, and at least as far back as is to be recovered. Where the
    /// clock was set back meanwhile, both ends have theirs.
    fn hours(&self) -> Vec<Hour> {
        let mut hours: Vec<Hour> = self.hours_to(self.ended).collect();
        if self.ended < self.started {
            hours.extend(self.hours_to(self.started));
        }
        hours
    }

    fn hours_to(&self, end: UnixMs) -> impl Iterator<Item = Hour> + use<> {
        let begun = self.started.min(end);
        let first = match self.last_proven {
            Some(proven) if proven <= end => proven.min(begun).before(LATE),
            // By a clock that was ahead: nobody knows how long ago it was.
            Some(_) => self.since_previous(begun, self.recover.max(LATE)),
            None => self.since_previous(begun, self.recover),
        };
        let last = end.after(CLOCKS_APART).beijing().hour();
        first.max(end.before(OWED_MAX)).beijing().hour().through(last)
    }

    /// From when on replies may be missing where no plain read was proven: what had come when the
    /// one before this began, that one owed. That can be longer ago than what is owed at least.
    fn since_previous(&self, begun: UnixMs, at_least: Duration) -> UnixMs {
        let previous = self.previous_plain.filter(|previous| *previous <= begun);
        let since = begun.before(at_least);
        previous.map_or(since, |previous| since.min(previous.before(LATE)))
    }

    /// Whether the clock was ahead before: what it called over then may not have been.
    fn clock_was_ahead(&self) -> bool {
        let shown = [Some(self.started), self.last_proven, self.previous_plain];
        shown.into_iter().flatten().any(|shown| shown > self.ended)
    }

    /// An hour of which replies may be missing. A read of it that began two hours after its end
    /// showed all that was to come, by a clock that was right.
    fn owe(&self, hour: Hour, cause: Cause) -> OwedHour {
        OwedHour {
            hour,
            cause,
            gap: None,
            not_before: self.ended.max(hour.start().unix_ms()),
            again_not_before: self.ended,
            unless_verified_since: match self.clock_was_ahead() {
                true => NEVER,
                false => hour.end().after(LATE),
            },
        }
    }
}

/// The hours that a doubtful plain read owes: from two hours before the last proven one to its
/// own end, and those of the records and faults in it. They are owed at once; one that is not
/// over is owed again when it is, because a read before that verifies nothing.
#[must_use]
pub fn owed_by_doubt(
    read: &Doubted,
    of_records: impl Iterator<Item = Hour>,
    cause: Cause,
) -> Vec<OwedHour> {
    let hours = read.hours().into_iter();
    let mut hours: Vec<OwedHour> = hours.map(|hour| read.owe(hour, cause)).collect();
    let stamped = of_records.filter(|hour| is_near(*hour, read.ended)).take(RECORD_HOURS_MAX);
    // What comes later than anything should says that an hour was verified too early.
    let anew = |hour| OwedHour { unless_verified_since: NEVER, ..read.owe(hour, cause) };
    hours.extend(stamped.map(anew));
    hours.sort_by_key(|owed| (owed.hour, std::cmp::Reverse(owed.unless_verified_since)));
    hours.dedup_by_key(|owed| owed.hour);
    hours
}

/// The hours that a plain read owes where the host's way is to end every answer with its
/// connection: those that are over, once when they are settled and once when nothing more is to
/// come. The plain read before owed what was over when it began.
#[must_use]
pub fn owed_by_way_of_host(read: &Doubted, previous_plain: UnixMs) -> Vec<OwedHour> {
    let since = previous_plain.min(read.started).before(LATE + Duration::from_hours(1));
    let first = since.max(read.ended.before(OWED_MAX)).beijing().hour();
    let over = first.through(read.ended.beijing().hour()).filter(|hour| hour.end() <= read.ended);
    over.map(owe_twice).collect()
}

/// An hour that is read as a matter of course: when it is settled, and when nothing more is to
/// come.
fn owe_twice(hour: Hour) -> OwedHour {
    OwedHour {
        hour,
        cause: Cause::Routine,
        gap: None,
        not_before: settled(hour),
        again_not_before: hour.end().after(LATE),
        unless_verified_since: hour.end().after(LATE),
    }
}

/// The hours of plain copies that raised no count: such a copy may be one that was seen before,
/// or an equal text of the same second that was not. Only its hour can tell.
#[must_use]
pub fn owed_once_more(of_copies: impl Iterator<Item = Hour>, now: UnixMs) -> Vec<OwedHour> {
    let mut hours: Vec<Hour> =
        of_copies.filter(|hour| is_near(*hour, now)).take(RECORD_HOURS_MAX).collect();
    hours.sort_unstable();
    hours.dedup();
    let owe = |hour| OwedHour {
        hour,
        cause: Cause::Repeat,
        gap: None,
        not_before: now,
        again_not_before: now,
        unless_verified_since: NEVER,
    };
    hours.into_iter().map(owe).collect()
}

/// The hours from the first to the last, to look at as every hour that is over: once beside plain
/// reads; and twice in their place, those before the first once more.
#[must_use]
pub fn owed_for_reconciling(first: Hour, last: Hour, mode: ReadMode) -> Vec<OwedHour> {
    let earliest = last.end().before(OWED_MAX).beijing().hour();
    let since = |hour: Hour| hour.max(earliest).through(last);
    match mode {
        ReadMode::Plain => since(first).map(owe_once).collect(),
        ReadMode::Hour => {
            let still_to_come = first.start().unix_ms().before(LATE).beijing().hour();
            since(still_to_come).map(owe_twice).collect()
        }
    }
}

/// An hour that is looked at once, as every hour. One that was verified for a doubt before carriers
/// had brought all of it is so again.
fn owe_once(hour: Hour) -> OwedHour {
    OwedHour {
        hour,
        cause: Cause::Reconcile,
        gap: None,
        not_before: settled(hour),
        again_not_before: hour.end().after(LATE),
        unless_verified_since: hour.end().after(LATE),
    }
}

/// The last hour that is over and settled.
#[must_use]
pub fn last_settled(now: UnixMs) -> Hour {
    now.before(SETTLED).before(Duration::from_hours(1)).beijing().hour()
}

/// The last hour of the last day of which every hour is over and settled.
#[must_use]
pub fn last_of_settled_day(now: UnixMs) -> Hour {
    const HOURS: i64 = 24;
    let days = (last_settled(now).number() + 1).div_euclid(HOURS);
    Hour::from_number(days * HOURS - 1)
}

/// Whether an hour has begun, or soon will by a clock that is not quite ours.
fn is_near(hour: Hour, now: UnixMs) -> bool {
    hour.number() <= now.beijing().hour().number() + 1
}

fn settled(hour: Hour) -> UnixMs {
    hour.end().after(SETTLED)
}

/// Whether reading paused before a read: it began more than an interval later than it was due
/// after the one before it, so that two went by. A restored backup looks like a pause, and so
/// does a clock that was set back. `due` is when the schedule wanted the next read.
#[must_use]
pub fn is_pause(
    previous_ended: UnixMs,
    started: UnixMs,
    due: Option<UnixMs>,
    interval: Duration,
) -> bool {
    let free = previous_ended.after(interval);
    let expected = due.map_or(free, |due| due.max(free));
    let slack = interval.max(PAUSE_MIN);
    started > expected.after(slack) || started.after(slack) < previous_ended
}

/// Puts the hours that make a gap into one: an open one that they touch, or one of their own that
/// this read opens. Says which it opens.
pub fn join_gap(owed: &mut [OwedHour], gaps: &[Gap], read: ReadId) -> Option<Gap> {
    let making = || owed.iter().filter(|owed| owed.cause.makes_gap()).map(|owed| owed.hour);
    let (first, last) = (making().min()?, making().max()?);
    let count = making().count();
    let touches = |gap: &&Gap| {
        making().any(|hour| {
            hour.number() + 1 >= gap.first.number() && hour.number() <= gap.last.number() + 1
        })
    };
    let touched = gaps.iter().filter(touches).map(|gap| gap.id).min();
    let id = touched.unwrap_or(read);
    for owed in owed.iter_mut().filter(|owed| owed.cause.makes_gap()) {
        owed.gap = Some(id);
    }
    let opened = Gap {
        id,
        first,
        last,
        owed: u32::try_from(count).unwrap_or(u32::MAX),
        verified: 0,
        given_up: 0,
    };
    touched.is_none().then_some(opened)
}

/// The gap that is closed by what becomes of one of its hours, with its last counts.
#[must_use]
pub fn closed_gap(before: &HourRow, after: &HourRow, gaps: &[Gap]) -> Option<Gap> {
    let gap = gaps.iter().find(|gap| Some(gap.id) == before.gap)?;
    let was_owed = before.state == HourState::Owed && after.state != HourState::Owed;
    (was_owed && gap.owed <= 1).then_some(Gap {
        owed: 0,
        verified: gap.verified + u32::from(after.state == HourState::Verified),
        given_up: gap.given_up + u32::from(after.state == HourState::GivenUp),
        ..*gap
    })
}

/// A read of an hour by `time`.
#[derive(Clone, Copy, Debug)]
pub struct HourRead {
    /// Its number.
    pub id: ReadId,
    /// The hour.
    pub hour: Hour,
    /// When it began.
    pub started: UnixMs,
    /// When it is taken in.
    pub now: UnixMs,
    /// How far it is trusted.
    pub verdict: Verdict,
    /// Whether its end was announced by nothing, as is the host's way, and the read of this hour
    /// before it brought the same: better proof is not to be had there.
    pub confirmed: bool,
    /// The copies that it held.
    pub held: u32,
    /// The copies that were known of the hour before it.
    pub known: u32,
    /// How many of those it did not hold.
    pub missing: u32,
    /// The account's interval, from which the wait after a doubtful read grows.
    pub min_interval: Duration,
}

/// Whether the same answer to an earlier read of an hour, begun then, confirms one to a later.
/// What was read before the hour was over, or before the last read that may have lost replies of
/// it, knows nothing of those.
#[must_use]
pub fn confirms((read, started): (ReadId, UnixMs), hour: Hour, row: Option<&HourRow>) -> bool {
    let in_doubt = row.filter(|row| row.state == HourState::Owed && row.cause.makes_gap());
    started >= hour.end() && in_doubt.is_none_or(|row| row.owed_by < read)
}

/// What a read settles of an hour; none where it changes nothing: the account was turned away,
/// or the hour was owed anew while the read was under way.
#[must_use]
pub fn settle(row: Option<HourRow>, read: HourRead) -> Option<HourRow> {
    let proven = match read.verdict {
        Verdict::Proven => true,
        Verdict::Doubtful(_) => read.confirmed,
        Verdict::Refused(_) => return None,
    };
    let row = match row {
        Some(row) if row.state == HourState::Owed => row,
        other => return proven.then(|| asked_for(other, read)).flatten(),
    };
    if row.owed_by > read.id {
        return None;
    }
    let row = HourRow { tries: row.tries.saturating_add(1), ..row };
    if !proven {
        return Some(after_doubt(row, read));
    }
    let row = counted(row, read);
    Some(if read.started < settled(row.hour) {
        HourRow { not_before: settled(row.hour), ..row }
    } else if read.missing == 0 {
        verified(row, read)
    } else {
        after_short(row, read)
    })
}

/// An hour that was read though it was not owed: somebody asked for it.
fn asked_for(row: Option<HourRow>, read: HourRead) -> Option<HourRow> {
    let nothing = HourRow {
        hour: read.hour,
        state: HourState::Verified,
        owed_by: ReadId(0),
        not_before: read.now,
        tries: 1,
        doubts: 0,
        shorts: 0,
        cause: Cause::Reconcile,
        gap: None,
        verified: None,
        held: None,
        known: None,
    };
    let whole = read.started >= settled(read.hour) && read.missing == 0;
    whole.then(|| verified(counted(row.unwrap_or(nothing), read), read))
}

fn counted(row: HourRow, read: HourRead) -> HourRow {
    HourRow { held: Some(read.held), known: Some(read.known), ..row }
}

fn verified(row: HourRow, read: HourRead) -> HourRow {
    HourRow { state: HourState::Verified, verified: Some(read.started), ..row }
}

fn after_doubt(row: HourRow, read: HourRead) -> HourRow {
    let doubts = row.doubts.saturating_add(1);
    let doubled = read.min_interval.saturating_mul(1 << (doubts - 1).min(20));
    let state = if doubts >= DOUBTS_MAX { HourState::GivenUp } else { HourState::Owed };
    HourRow { state, doubts, not_before: read.now.after(doubled.min(DOUBT_WAIT_MAX)), ..row }
}

fn after_short(row: HourRow, read: HourRead) -> HourRow {
    let shorts = row.shorts.saturating_add(1);
    match SHORT_WAITS.get(row.shorts as usize) {
        Some(wait) => HourRow { shorts, not_before: read.now.after(*wait), ..row },
        None => HourRow { state: HourState::GivenUp, shorts, ..row },
    }
}

/// The changes that owe these hours.
#[must_use]
pub fn changes(owed: Vec<OwedHour>) -> Vec<HourChange> {
    owed.into_iter().map(HourChange::Owe).collect()
}

#[cfg(test)]
mod tests;

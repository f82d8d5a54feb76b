//! Hours: what a doubtful read owes, and what a read by `time` settles.
//!
//! An hour is verified when the gateway shows us, after it is over, all that we know of it. This
//! file decides; the store keeps the rows, and the planner chooses among those that are owed.

use std::time::Duration;

use crate::store::read::{HourChange, HourRow, HourState, ReadId, Verdict};
use crate::time::{Hour, UnixMs};

/// Carriers deliver late: how far before the last proven read a missing reply may be stamped.
const LATE: Duration = Duration::from_hours(2);
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

/// The plain read that owes hours.
#[derive(Clone, Copy, Debug)]
pub struct PlainRead {
    /// When it began.
    pub started: UnixMs,
    /// When its answer ended, or was given up.
    pub ended: UnixMs,
    /// When the last proven plain read before it began.
    pub last_proven: Option<UnixMs>,
    /// How far back it owes where there is none.
    pub recover: Duration,
}

/// The hours that a doubtful plain read owes: from two hours before the last proven one to its
/// own end, and those of the records and faults in it. They are owed at once; one that is not
/// over is owed again when it is, because a read before that verifies nothing.
#[must_use]
pub fn owed_by(read: PlainRead, of_records: impl Iterator<Item = Hour>) -> Vec<HourChange> {
    // Where the clock was set back meanwhile, the earlier of both ends counts.
    let started = read.started.min(read.ended);
    let first = match read.last_proven {
        Some(proven) => proven.min(started).before(LATE),
        None => started.before(read.recover),
    };
    let first = first.max(read.ended.before(OWED_MAX));
    let last = read.ended.beijing().hour();
    let mut hours: Vec<Hour> = first.beijing().hour().through(last).collect();
    let stamped = of_records.filter(|hour| is_near(*hour, read.ended)).take(RECORD_HOURS_MAX);
    hours.extend(stamped);
    hours.sort_unstable();
    hours.dedup();
    hours.into_iter().map(|hour| HourChange::Owe(hour, read.ended)).collect()
}

/// The hours of plain copies that raised no count: such a copy may be one that was seen before,
/// or an equal text of the same second that was not. Only its hour can tell.
#[must_use]
pub fn owed_once_more(of_copies: impl Iterator<Item = Hour>, now: UnixMs) -> Vec<HourChange> {
    let mut hours: Vec<Hour> =
        of_copies.filter(|hour| is_near(*hour, now)).take(RECORD_HOURS_MAX).collect();
    hours.dedup();
    hours.into_iter().map(|hour| HourChange::Owe(hour, now)).collect()
}

/// Whether an hour has begun, or soon will by a clock that is not quite ours.
fn is_near(hour: Hour, now: UnixMs) -> bool {
    hour.number() <= now.beijing().hour().number() + 1
}

fn settled(hour: Hour) -> UnixMs {
    hour.end().after(SETTLED)
}

/// A read of an hour by `time`.
#[derive(Clone, Copy, Debug)]
pub struct HourRead {
    /// Its number.
    pub id: ReadId,
    /// When it began.
    pub started: UnixMs,
    /// When it is taken in.
    pub now: UnixMs,
    /// How far it is trusted.
    pub verdict: Verdict,
    /// Whether it held every copy that was known of the hour.
    pub complete: bool,
    /// The account's interval, from which the wait after a doubtful read grows.
    pub min_interval: Duration,
}

/// What a read settles of an hour that was owed; none where the hour was owed anew while the
/// read was under way, or was not owed.
#[must_use]
pub fn settle(row: HourRow, read: HourRead) -> Option<HourChange> {
    if row.state != HourState::Owed || row.owed_by > read.id {
        return None;
    }
    let row = HourRow { tries: row.tries.saturating_add(1), ..row };
    let next = match read.verdict {
        // The account was turned away: nothing was tried.
        Verdict::Refused(_) => return None,
        Verdict::Doubtful(_) => after_doubt(row, read),
        Verdict::Proven if read.started < settled(row.hour) => {
            HourRow { not_before: settled(row.hour), ..row }
        }
        Verdict::Proven if read.complete => HourRow { state: HourState::Verified, ..row },
        Verdict::Proven => after_short(row, read),
    };
    Some(HourChange::Set(next))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMs {
        text.parse::<crate::time::BeijingTime>().unwrap().unix_ms()
    }

    fn owed(started: &str, last_proven: Option<&str>, records: &[&str]) -> Vec<String> {
        let read = PlainRead {
            started: at(started),
            ended: at(started).after(Duration::from_secs(30)),
            last_proven: last_proven.map(at),
            recover: Duration::from_hours(3),
        };
        let records = records.iter().map(|hour| hour.parse().unwrap());
        let hour = |change| match change {
            HourChange::Owe(hour, _) => hour.to_string(),
            HourChange::Set(_) => unreachable!("a plain read only owes"),
        };
        owed_by(read, records).into_iter().map(hour).collect()
    }

    #[test]
    fn a_doubtful_read_owes_from_before_the_last_proven_one() {
        assert_eq!(
            owed("2026-11-22 12:05:00", Some("2026-11-22 11:55:00"), &[]),
            ["2026-11-22_09", "2026-11-22_10", "2026-11-22_11", "2026-11-22_12"]
        );
        assert_eq!(
            owed("2026-11-22 01:10:00", None, &[]),
            ["2026-11-21_22", "2026-11-21_23", "2026-11-22_00", "2026-11-22_01"]
        );
        // A read over an hour's end owes both, and one begun before a clock was set back, too.
        assert_eq!(
            owed("2026-11-22 11:59:45", Some("2026-11-22 13:30:00"), &[]).last().unwrap(),
            "2026-11-22_12"
        );
    }

    #[test]
    fn it_owes_the_hours_of_its_records_within_reason() {
        let hours = owed(
            "2026-11-22 12:05:00",
            Some("2026-11-22 12:00:00"),
            &["2008-05-27_12", "2099-01-01_00", "2026-11-22_13"],
        );
        assert_eq!(
            hours,
            ["2008-05-27_12", "2026-11-22_10", "2026-11-22_11", "2026-11-22_12", "2026-11-22_13"]
        );
    }

    #[test]
    fn clocks_that_jump_owe_neither_nothing_nor_everything() {
        let back = PlainRead {
            started: at("2026-11-22 15:05:00"),
            ended: at("2026-11-22 10:05:00"),
            last_proven: Some(at("2026-11-22 15:00:00")),
            recover: Duration::from_hours(3),
        };
        let hours = owed_by(back, std::iter::empty());
        assert_eq!(
            hours.last(),
            Some(&HourChange::Owe("2026-11-22_10".parse().unwrap(), back.ended))
        );
        let decades = PlainRead { last_proven: Some(UnixMs(0)), started: back.ended, ..back };
        assert_eq!(owed_by(decades, std::iter::empty()).len(), 62 * 24 + 1);
        let forward = PlainRead { started: UnixMs(0), last_proven: None, ..decades };
        assert_eq!(owed_by(forward, std::iter::empty()).len(), 62 * 24 + 1);
    }

    #[test]
    fn plain_copies_that_raise_nothing_owe_their_hours_within_reason() {
        let hours =
            ["2026-11-22_10", "2026-11-22_10", "2099-01-01_00"].map(|hour| hour.parse().unwrap());
        let now = at("2026-11-22 10:30:00");
        assert_eq!(owed_once_more(hours.into_iter(), now), [HourChange::Owe(hours[0], now)]);
    }

    #[test]
    fn an_account_that_was_turned_away_tried_nothing() {
        assert_eq!(
            settle(row(), read("2026-11-22 12:00:00", Verdict::Refused("frozen"), false)),
            None
        );
    }

    fn row() -> HourRow {
        HourRow {
            hour: "2026-11-22_10".parse().unwrap(),
            state: HourState::Owed,
            owed_by: ReadId(7),
            not_before: at("2026-11-22 10:20:00"),
            tries: 0,
            doubts: 0,
            shorts: 0,
        }
    }

    fn read(started: &str, verdict: Verdict, complete: bool) -> HourRead {
        let started = at(started);
        HourRead {
            id: ReadId(8),
            started,
            now: started,
            verdict,
            complete,
            min_interval: Duration::from_mins(10),
        }
    }

    fn check(row: HourRow, read: HourRead, state: HourState, not_before: &str) -> HourRow {
        let Some(HourChange::Set(next)) = settle(row, read) else { panic!("nothing settled") };
        assert_eq!(next.state, state);
        assert_eq!(next.not_before.beijing().to_string(), not_before);
        next
    }

    #[test]
    fn an_hour_is_verified_when_it_is_settled_and_whole() {
        let early = read("2026-11-22 11:14:59", Verdict::Proven, true);
        check(row(), early, HourState::Owed, "2026-11-22 11:15:00");
        let settled = read("2026-11-22 11:15:00", Verdict::Proven, true);
        check(row(), settled, HourState::Verified, "2026-11-22 10:20:00");
    }

    #[test]
    fn an_hour_that_lacks_a_reply_is_given_up_in_the_end() {
        let short = |row, started| {
            check(
                row,
                read(started, Verdict::Proven, false),
                HourState::Owed,
                match started {
                    "2026-11-22 12:00:00" => "2026-11-22 13:00:00",
                    "2026-11-22 13:00:00" => "2026-11-22 19:00:00",
                    _ => "2026-11-23 19:00:00",
                },
            )
        };
        let row = short(
            short(short(row(), "2026-11-22 12:00:00"), "2026-11-22 13:00:00"),
            "2026-11-22 19:00:00",
        );
        check(
            row,
            read("2026-11-23 19:00:00", Verdict::Proven, false),
            HourState::GivenUp,
            "2026-11-23 19:00:00",
        );
    }

    #[test]
    fn doubtful_reads_of_an_hour_grow_rarer_and_end() {
        let doubt = Verdict::Doubtful("cut");
        let once = check(
            row(),
            read("2026-11-22 12:00:00", doubt, false),
            HourState::Owed,
            "2026-11-22 12:10:00",
        );
        let twice = check(
            once,
            read("2026-11-22 12:10:00", doubt, false),
            HourState::Owed,
            "2026-11-22 12:30:00",
        );
        assert_eq!((twice.tries, twice.doubts), (2, 2));
        let often = HourRow { doubts: DOUBTS_MAX - 2, ..row() };
        check(
            often,
            read("2026-11-22 12:00:00", doubt, true),
            HourState::Owed,
            "2026-11-23 12:00:00",
        );
        let last = HourRow { doubts: DOUBTS_MAX - 1, ..row() };
        check(
            last,
            read("2026-11-22 12:00:00", doubt, true),
            HourState::GivenUp,
            "2026-11-23 12:00:00",
        );
    }

    #[test]
    fn an_hour_owed_anew_is_not_settled_by_an_older_read() {
        let anew = HourRow { owed_by: ReadId(9), ..row() };
        assert_eq!(settle(anew, read("2026-11-22 12:00:00", Verdict::Proven, true)), None);
        let verified = HourRow { state: HourState::Verified, ..row() };
        assert_eq!(
            settle(verified, read("2026-11-22 12:00:00", Verdict::Doubtful("cut"), true)),
            None
        );
    }
}

//! What to ask an account's gateway next, and when.
//!
//! One slot serves due reads, which the schedule wants, and owed hours, which take any free slot. Where both want it they take turns, so that neither starves the other. Dues that
//! pile up are one: the gateway's box is emptied by a single read.

use std::time::Duration;

use crate::clock::Moment;
use crate::config::{Cron, Reconcile};
use crate::gateway::client::ReadMode;
use crate::gateway::status::Status;
use crate::intake::hours;
use crate::store::read::AccountView;
use crate::time::{Hour, UnixMs};

/// Waits after an account was turned away: repeating a refused login gets it locked.
const REFUSAL_WAITS: [Duration; 3] =
    [Duration::from_mins(30), Duration::from_hours(2), Duration::from_hours(6)];
/// The gateway's lock lasts ten minutes; one more for its clock.
const LOCK_WAIT: Duration = Duration::from_mins(11);
/// The longest rest: a schedule or a clock that changed is noticed after it at the latest.
const REST_MAX: Duration = Duration::from_mins(1);

/// How an account's reads are planned, by its configuration.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'a> {
    /// When due reads are made.
    pub schedule: &'a Cron,
    /// By what reads new replies are fetched.
    pub read: ReadMode,
    /// When hours that are over are looked at once.
    pub reconcile: Reconcile,
}

/// The next step for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the box, which empties it.
    Plain,
    /// Read the hour that runs by `time`, in place of the box.
    Running(Hour),
    /// Read an owed hour by `time`.
    Hour(Hour),
    /// Owe the hours from the first to the last that were never looked at.
    Reconcile(Hour, Hour),
    /// Ask whether the account is let in again, by a call that reads nothing.
    Probe,
    /// Ask nothing for so long.
    Rest(Duration),
}

/// Decides the next step. `first` says that no due read was made since the start.
#[must_use]
pub fn next_step(view: &AccountView, wishes: &Wishes<'_>, first: bool, now: &Moment) -> Step {
    if let Some((first, last)) = unreconciled(view, wishes, now.unix) {
        return Step::Reconcile(first, last);
    }
    if is_probe_due(view, now) {
        return Step::Probe;
    }
    let wait = blocked_for(view, now);
    if !wait.is_zero() {
        return Step::Rest(wait.min(REST_MAX));
    }
    let due = due_at(view, wishes.schedule, first, now.unix);
    let is_due = due.is_some_and(|due| due <= now.unix);
    let running = now.unix.beijing().hour();
    match view.owed {
        // Where no read is plain, one of the hour that runs is the due one, also when it is owed.
        Some(hour) if is_due && wishes.read == ReadMode::Hour && hour == running => {
            Step::Running(hour)
        }
        Some(hour) if !is_due || view.last_was_due => Step::Hour(hour),
        _ if is_due => match wishes.read {
            ReadMode::Plain => Step::Plain,
            ReadMode::Hour => Step::Running(running),
        },
        _ => {
            let next = [due, view.next_owed].into_iter().flatten().min();
            Step::Rest(next.map_or(REST_MAX, |next| next.since(now.unix)).min(REST_MAX))
        }
    }
}

/// The hours that are over and were not yet owed for reconciling, from the account's first read
/// on. Where no read is plain, every hour needs its look, and the one before the first too. Where
/// the box was read under another name before, only the next hour is all of this one: what the
/// former name has of an hour would come anew, under other ids.
fn unreconciled(view: &AccountView, wishes: &Wishes<'_>, now: UnixMs) -> Option<(Hour, Hour)> {
    let settled = hours::last_settled(now);
    let (last, before_first) = match (wishes.read, wishes.reconcile) {
        (ReadMode::Hour, _) => (settled, 1),
        (ReadMode::Plain, Reconcile::Hourly) => (settled, 0),
        (ReadMode::Plain, Reconcile::Nightly) => (hours::last_of_settled_day(now), 0),
        (ReadMode::Plain, Reconcile::Off) => return None,
    };
    let begun_in = view.first_read?.min(now).beijing().hour().number();
    let begun = if view.had_other_name { begun_in + 1 } else { begun_in - before_first };
    let first = match view.reconciled {
        // One in the future comes of a clock that was wrong.
        Some(done) if done <= now.beijing().hour() => begun.max(done.number() + 1),
        Some(_) => begun.max(last.number() - 24),
        None => begun,
    };
    (first <= last.number()).then(|| (Hour::from_number(first), last))
}

/// Whether a refused account is to be probed now. No other call is made until a probe has told.
#[must_use]
pub fn is_probe_due(view: &AccountView, now: &Moment) -> bool {
    view.refused_status.is_some() && refused_for(view, now).is_zero()
}

/// How long nothing may be asked: for the slot, or because the account was turned away.
#[must_use]
pub fn blocked_for(view: &AccountView, now: &Moment) -> Duration {
    slot_for(view, now).max(refused_for(view, now))
}

fn slot_for(view: &AccountView, now: &Moment) -> Duration {
    view.slot.as_ref().map_or(Duration::ZERO, |slot| slot.wait(now))
}

fn refused_for(view: &AccountView, now: &Moment) -> Duration {
    let refused = view.refused_until.map_or(Duration::ZERO, |until| until.since(now.unix));
    // A wait longer than any that we impose comes of a clock that was wrong.
    let longest = REFUSAL_WAITS.last().copied().unwrap_or_default();
    if refused > longest { Duration::ZERO } else { refused }
}

/// When the next due read is to be made: by the schedule after the last one. A last one in the
/// future comes of a clock that was wrong, and must not silence us until then.
fn due_at(view: &AccountView, schedule: &Cron, first: bool, now: UnixMs) -> Option<UnixMs> {
    match view.last_due {
        Some(last) if !first && last <= now => schedule.next_after(last),
        _ => Some(now),
    }
}

/// When the read after one that ended then is due, by the schedule and by the least time between
/// two; none where the schedule ends.
#[must_use]
pub fn due_after(ended: UnixMs, schedule: &Cron, min_interval: Duration) -> Option<UnixMs> {
    Some(schedule.next_after(ended)?.max(ended.after(min_interval)))
}

/// How long an account's gateway is left alone after a status, given how many reads in a row
/// were refused before.
#[must_use]
pub fn pause_after(status: Status, refusals: u32) -> Option<Duration> {
    if status == Status::LOCKED {
        return Some(LOCK_WAIT);
    }
    let step = (refusals as usize).min(REFUSAL_WAITS.len() - 1);
    status.refuses_account().then(|| REFUSAL_WAITS.get(step).copied()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::slot::Slot;
    use std::sync::Arc;

    const TEN_MINUTES: Duration = Duration::from_mins(10);

    fn at(text: &str) -> Moment {
        let unix = text.parse::<crate::time::BeijingTime>().unwrap().unix_ms();
        Moment { unix, boot_ms: unix.0, boot: Arc::from("a") }
    }

    fn view(last_plain: &str) -> AccountView {
        let last = at(last_plain);
        AccountView {
            slot: Some(Slot::taken(&last, TEN_MINUTES)),
            last_due: Some(last.unix),
            last_was_due: true,
            ..AccountView::default()
        }
    }

    fn step(view: &AccountView, schedule: &str, first: bool, now: &str) -> Step {
        let schedule = Cron::parse(schedule).unwrap();
        let wishes =
            Wishes { schedule: &schedule, read: ReadMode::Plain, reconcile: Reconcile::Nightly };
        next_step(view, &wishes, first, &at(now))
    }

    fn check(view: &AccountView, now: &str, expected: Step) {
        assert_eq!(step(view, "0 */10 * * * *", false, now), expected, "at {now}");
    }

    #[test]
    fn a_plain_read_waits_for_its_schedule_and_its_slot() {
        let last = view("2026-11-22 10:00:05");
        check(&last, "2026-11-22 10:09:00", Step::Rest(REST_MAX));
        // Due by the schedule at 10:10:00, free at 10:10:05.
        check(&last, "2026-11-22 10:10:00", Step::Rest(Duration::from_secs(5)));
        check(&last, "2026-11-22 10:10:05", Step::Plain);
        // Dues that piled up are one.
        check(&last, "2026-11-22 15:00:00", Step::Plain);
        check(&AccountView::default(), "2026-11-22 10:10:05", Step::Plain);
    }

    #[test]
    fn the_next_read_is_due_by_schedule_and_interval() {
        let check = |schedule: &str, expected: &str| {
            let schedule = Cron::parse(schedule).unwrap();
            let ended = at("2026-11-22 10:00:05").unix;
            let due = due_after(ended, &schedule, TEN_MINUTES).unwrap();
            assert_eq!(due, at(expected).unix, "{schedule}");
        };
        check("0 */10 * * * *", "2026-11-22 10:10:05");
        check("0 0 * * * *", "2026-11-22 11:00:00");
        check("* * * * * *", "2026-11-22 10:10:05");
    }

    #[test]
    fn the_first_read_comes_at_start() {
        let last = view("2026-11-22 10:00:00");
        let check = |first, expected| {
            assert_eq!(step(&last, "0 0 3 * * *", first, "2026-11-22 10:30:00"), expected);
        };
        check(true, Step::Plain);
        check(false, Step::Rest(REST_MAX));
    }

    #[test]
    fn owed_hours_take_free_slots_and_turns() {
        let hour: Hour = "2026-11-22_08".parse().unwrap();
        let owed = AccountView { owed: Some(hour), ..view("2026-11-22 10:00:00") };
        check(&owed, "2026-11-22 10:05:00", Step::Rest(REST_MAX));
        check(&owed, "2026-11-22 10:10:00", Step::Hour(hour));
        let after_an_hour = AccountView { last_was_due: false, ..owed };
        check(&after_an_hour, "2026-11-22 10:20:00", Step::Plain);
        let not_due = AccountView { last_was_due: false, ..view("2026-11-22 10:00:00") };
        let not_due = AccountView { owed: Some(hour), slot: None, ..not_due };
        check(&not_due, "2026-11-22 10:05:00", Step::Hour(hour));
    }

    #[test]
    fn hours_are_looked_at_once_a_night_or_as_they_end() {
        let schedule = Cron::parse("0 */10 * * * *").unwrap();
        let check = |read,
                     reconcile,
                     reconciled: Option<&str>,
                     now: &str,
                     expected: Option<(&str, &str)>| {
            let hour = |text: &str| text.parse::<Hour>().unwrap();
            let account = AccountView {
                first_read: Some(at("2026-11-20 10:05:00").unix),
                reconciled: reconciled.map(hour),
                ..AccountView::default()
            };
            let wishes = Wishes { schedule: &schedule, read, reconcile };
            let found = unreconciled(&account, &wishes, at(now).unix);
            assert_eq!(found, expected.map(|(first, last)| (hour(first), hour(last))), "at {now}");
        };
        let nightly = |reconciled, now, expected| {
            check(ReadMode::Plain, Reconcile::Nightly, reconciled, now, expected);
        };
        nightly(None, "2026-11-21 00:14:59", None);
        nightly(None, "2026-11-21 00:15:00", Some(("2026-11-20_10", "2026-11-20_23")));
        nightly(Some("2026-11-20_23"), "2026-11-21 23:59:00", None);
        nightly(
            Some("2026-11-20_23"),
            "2026-11-22 00:15:00",
            Some(("2026-11-21_00", "2026-11-21_23")),
        );
        // A clock that was wrong went too far.
        nightly(
            Some("2036-01-01_00"),
            "2026-11-22 10:00:00",
            Some(("2026-11-20_23", "2026-11-21_23")),
        );
        check(ReadMode::Plain, Reconcile::Off, None, "2026-11-22 10:00:00", None);
        let ended = Some(("2026-11-20_10", "2026-11-20_10"));
        check(ReadMode::Plain, Reconcile::Hourly, None, "2026-11-20 11:14:59", None);
        check(ReadMode::Plain, Reconcile::Hourly, None, "2026-11-20 11:15:00", ended);
        let with_one_before = Some(("2026-11-20_09", "2026-11-20_10"));
        check(ReadMode::Hour, Reconcile::Off, None, "2026-11-20 11:15:00", with_one_before);
    }

    #[test]
    fn what_was_read_under_another_name_is_not_looked_at_under_this_one() {
        let schedule = Cron::parse("0 */10 * * * *").unwrap();
        let account = AccountView {
            first_read: Some(at("2026-11-20 10:05:00").unix),
            had_other_name: true,
            ..AccountView::default()
        };
        for (read, reconcile) in
            [(ReadMode::Plain, Reconcile::Hourly), (ReadMode::Hour, Reconcile::Off)]
        {
            let wishes = Wishes { schedule: &schedule, read, reconcile };
            let found = |now: &str| unreconciled(&account, &wishes, at(now).unix);
            let next: Hour = "2026-11-20_11".parse().unwrap();
            assert_eq!(found("2026-11-20 12:14:59"), None, "{read:?}");
            assert_eq!(found("2026-11-20 12:15:00"), Some((next, next)), "{read:?}");
        }
    }

    #[test]
    fn where_no_read_is_plain_the_running_hour_is_due() {
        let schedule = Cron::parse("0 */10 * * * *").unwrap();
        let wishes =
            Wishes { schedule: &schedule, read: ReadMode::Hour, reconcile: Reconcile::Off };
        let hour = |text: &str| text.parse::<Hour>().unwrap();
        let now = at("2026-11-22 10:10:05");
        let running = Step::Running(hour("2026-11-22_10"));
        assert_eq!(next_step(&AccountView::default(), &wishes, true, &now), running);
        let owed = AccountView { owed: Some(hour("2026-11-22_09")), ..view("2026-11-22 10:00:00") };
        assert_eq!(next_step(&owed, &wishes, false, &now), Step::Hour(hour("2026-11-22_09")));
        // One that is owed itself is read once for both.
        let owed = AccountView { owed: Some(hour("2026-11-22_10")), ..owed };
        assert_eq!(next_step(&owed, &wishes, false, &now), running);
    }

    #[test]
    fn a_refused_account_is_probed_before_it_is_read() {
        let refused = AccountView {
            refused_until: Some(at("2026-11-22 10:00:00").unix),
            refused_status: Some(Status::LOGIN_FAILED),
            ..AccountView::default()
        };
        check(&refused, "2026-11-22 09:59:59", Step::Rest(Duration::from_secs(1)));
        check(&refused, "2026-11-22 10:00:00", Step::Probe);
        let locked = AccountView { refused_status: None, ..refused };
        check(&locked, "2026-11-22 10:00:00", Step::Plain);
    }

    #[test]
    fn a_clock_that_was_wrong_does_not_silence_us() {
        let future = AccountView { slot: None, ..view("2036-01-01 00:00:00") };
        check(&future, "2026-11-22 10:00:00", Step::Plain);
        let refused = AccountView {
            refused_until: Some(at("2036-01-01 00:00:00").unix),
            ..AccountView::default()
        };
        check(&refused, "2026-11-22 10:00:00", Step::Plain);
    }

    #[test]
    fn a_refused_account_is_left_alone() {
        let refused = AccountView {
            refused_until: Some(at("2026-11-22 10:00:30").unix),
            ..AccountView::default()
        };
        check(&refused, "2026-11-22 10:00:00", Step::Rest(Duration::from_secs(30)));
        let minutes =
            |status, refusals| pause_after(status, refusals).map(|wait| wait.as_secs() / 60);
        for status in
            [Status::LOGIN_FAILED, Status::FROZEN, Status::FORBIDDEN, Status::WRONG_ADDRESS]
        {
            assert_eq!(
                [0, 1, 2, 9].map(|refusals| minutes(status, refusals)),
                [Some(30), Some(120), Some(360), Some(360)]
            );
        }
        assert_eq!(minutes(Status::LOCKED, 5), Some(11));
        assert_eq!(minutes(Status::OK, 0), None);
        assert_eq!(minutes(Status::TOO_FREQUENT, 0), None);
    }
}

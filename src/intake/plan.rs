//! What to ask an account's gateway next, and when.
//!
//! One slot serves plain reads, which the schedule makes due, and owed hours, which take any
//! free slot. Where both want it they take turns, so that neither starves the other. Dues that
//! pile up are one: the gateway's box is emptied by a single read.

use std::time::Duration;

use crate::clock::Moment;
use crate::config::Cron;
use crate::gateway::status::Status;
use crate::store::read::AccountView;
use crate::time::{Hour, UnixMs};

/// Waits after an account was turned away: repeating a refused login gets it locked.
const REFUSAL_WAITS: [Duration; 3] =
    [Duration::from_mins(30), Duration::from_hours(2), Duration::from_hours(6)];
/// The gateway's lock lasts ten minutes; one more for its clock.
const LOCK_WAIT: Duration = Duration::from_mins(11);
/// The longest rest: a schedule or a clock that changed is noticed after it at the latest.
const REST_MAX: Duration = Duration::from_mins(1);

/// The next step for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the box, which empties it.
    Plain,
    /// Read an owed hour by `time`.
    Hour(Hour),
    /// Ask nothing for so long.
    Rest(Duration),
}

/// Decides the next step. `first` says that no plain read was made since the start.
#[must_use]
pub fn next_step(view: &AccountView, schedule: &Cron, first: bool, now: &Moment) -> Step {
    let wait = blocked_for(view, now);
    if !wait.is_zero() {
        return Step::Rest(wait.min(REST_MAX));
    }
    let due = due_at(view, schedule, first, now.unix);
    let plain_is_due = due.is_some_and(|due| due <= now.unix);
    match view.owed {
        Some(hour) if !plain_is_due || view.last_was_plain => Step::Hour(hour),
        _ if plain_is_due => Step::Plain,
        _ => {
            let next = [due, view.next_owed].into_iter().flatten().min();
            Step::Rest(next.map_or(REST_MAX, |next| next.since(now.unix)).min(REST_MAX))
        }
    }
}

/// How long nothing may be asked: for the slot, or because the account was turned away.
#[must_use]
pub fn blocked_for(view: &AccountView, now: &Moment) -> Duration {
    let slot = view.slot.as_ref().map_or(Duration::ZERO, |slot| slot.wait(now));
    let refused = view.refused_until.map_or(Duration::ZERO, |until| until.since(now.unix));
    // A wait longer than any that we impose comes of a clock that was wrong.
    let longest = REFUSAL_WAITS.last().copied().unwrap_or_default();
    if refused > longest { slot } else { slot.max(refused) }
}

/// When the next plain read is due: by the schedule after the last one. A last one in the future
/// comes of a clock that was wrong, and must not silence us until then.
fn due_at(view: &AccountView, schedule: &Cron, first: bool, now: UnixMs) -> Option<UnixMs> {
    match view.last_plain {
        Some(last) if !first && last <= now => schedule.next_after(last),
        _ => Some(now),
    }
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
            last_plain: Some(last.unix),
            last_was_plain: true,
            ..AccountView::default()
        }
    }

    fn check(view: &AccountView, now: &str, expected: Step) {
        let schedule = Cron::parse("0 */10 * * * *").unwrap();
        assert_eq!(next_step(view, &schedule, false, &at(now)), expected, "at {now}");
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
    fn the_first_read_comes_at_start() {
        let schedule = Cron::parse("0 0 3 * * *").unwrap();
        let last = view("2026-11-22 10:00:00");
        let now = at("2026-11-22 10:30:00");
        assert_eq!(next_step(&last, &schedule, true, &now), Step::Plain);
        assert_eq!(next_step(&last, &schedule, false, &now), Step::Rest(REST_MAX));
    }

    #[test]
    fn owed_hours_take_free_slots_and_turns() {
        let hour: Hour = "2026-11-22_08".parse().unwrap();
        let owed = AccountView { owed: Some(hour), ..view("2026-11-22 10:00:00") };
        check(&owed, "2026-11-22 10:05:00", Step::Rest(REST_MAX));
        check(&owed, "2026-11-22 10:10:00", Step::Hour(hour));
        let after_an_hour = AccountView { last_was_plain: false, ..owed };
        check(&after_an_hour, "2026-11-22 10:20:00", Step::Plain);
        let not_due = AccountView { last_was_plain: false, ..view("2026-11-22 10:00:00") };
        let not_due = AccountView { owed: Some(hour), slot: None, ..not_due };
        check(&not_due, "2026-11-22 10:05:00", Step::Hour(hour));
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

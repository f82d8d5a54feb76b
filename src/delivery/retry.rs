//! When a failed delivery is tried again, and when it is given up.

use std::time::Duration;

use crate::store::delivery::Next;
use crate::time::{UnixMs, format_duration};

/// The most that jitter adds to a wait: it spreads the load after an outage, and never shortens.
const JITTER: f64 = 0.2;

/// A subscriber's rules for failures.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The waits after the first failure, the second, and so on; the last repeats.
    pub waits: &'a [Duration],
    /// How long after it was made a delivery is given up.
    pub give_up: Duration,
}

/// A failure.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// The number of the attempt that failed, from 1.
    pub attempt: u32,
    /// When the delivery was made, or released where it was held.
    pub created: UnixMs,
    /// When the attempt ended.
    pub now: UnixMs,
    /// A throw of the dice, from 0 up to 1.
    pub dice: f64,
}

/// Decides what follows a failure, and says it in plain words.
#[must_use]
pub fn after_failure(rules: Rules<'_>, failure: Failure) -> (Next, String) {
    let index = (failure.attempt as usize).saturating_sub(1);
    let wait = rules.waits.get(index).or(rules.waits.last()).copied().unwrap_or_default();
    let due = failure.now.after(wait.mul_f64(1.0 + JITTER * failure.dice.clamp(0.0, 1.0)));
    // Never at the first failure: the machine may have been off for longer than that.
    if failure.attempt > 1 && due > failure.created.after(rules.give_up) {
        let words = format!(
            "given up after {} attempts: the next would come more than {} after the delivery was made",
            failure.attempt,
            format_duration(rules.give_up)
        );
        return (Next::Failed, words);
    }
    (
        Next::RetryAt(due),
        format!("tried again at {} (wait {})", due.beijing(), format_duration(wait)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: [Duration; 3] =
        [Duration::from_secs(5), Duration::from_secs(300), Duration::from_secs(1800)];
    const RULES: Rules<'_> = Rules { waits: &WAITS, give_up: Duration::from_hours(1) };

    fn check(attempt: u32, age_s: i64, dice: f64, expected_s: Option<i64>) {
        let now = UnixMs(age_s * 1000);
        let (next, words) =
            after_failure(RULES, Failure { attempt, created: UnixMs(0), now, dice });
        let expected =
            expected_s.map_or(Next::Failed, |wait| Next::RetryAt(UnixMs((age_s + wait) * 1000)));
        assert_eq!(next, expected, "{words}");
    }

    #[test]
    fn waits_follow_the_schedule_and_the_last_repeats() {
        check(1, 0, 0.0, Some(5));
        check(2, 5, 0.0, Some(300));
        check(3, 305, 0.0, Some(1800));
        check(4, 1_700, 0.0, Some(1800));
    }

    #[test]
    fn jitter_adds_up_to_a_fifth_and_never_shortens() {
        check(2, 0, 0.5, Some(330));
        check(2, 0, 1.0, Some(360));
        check(2, 0, 7.0, Some(360));
        check(2, 0, -7.0, Some(300));
    }

    #[test]
    fn a_delivery_is_given_up_when_its_time_is_over() {
        check(4, 1_800, 0.0, Some(1_800));
        check(4, 1_801, 0.0, None);
        check(4, 1_800, 0.1, None);
        check(1, 1_000_000, 0.0, Some(5));
    }
}

//! When a failed delivery is tried again, and when it is given up.

use std::time::Duration;

use crate::delivery::target::{Verdict, Wish};
use crate::store::attempt::{GivenUp, Next};
use crate::time::UnixMs;

/// The most that jitter adds to a wait: it spreads the load after an outage, and never shortens.
const JITTER: f64 = 0.2;
/// The longest wait that a receiver can ask for: one that asks for years must not be forgotten.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// A subscriber's rules for failures.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The waits after the first failure, the second, and so on; the last repeats.
    pub waits: &'a [Duration],
    /// How long after it was made a delivery is given up.
    pub give_up: Duration,
}

/// An attempt, should it have failed.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// Its number, from 1.
    pub attempt: u32,
    /// When the delivery was made, or released where it was held.
    pub created: UnixMs,
    /// When the attempt ended.
    pub now: UnixMs,
    /// A throw of the dice, from 0 up to 1.
    pub dice: f64,
}

/// The wait that a `Retry-After` header asks for: seconds or a date (RFC 9110, 10.2.3), a day at
/// most, nothing where the date is past. None where it is neither: such a header says nothing.
#[must_use]
pub fn retry_after(value: &str, now: UnixMs) -> Option<Duration> {
    let value = value.trim_ascii();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are more than a day, too.
        value.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(value).ok()?;
        let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
        UnixMs(crate::time::millis(since_epoch)).since(now)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Decides what follows an attempt of which this is the verdict.
#[must_use]
pub fn after(verdict: &Verdict, rules: Rules<'_>, failure: Failure) -> Next {
    if verdict.trouble.is_none() {
        return Next::Delivered;
    }
    match verdict.wish {
        Wish::None => again(rules, failure, None),
        Wish::Wait(asked) => again(rules, failure, Some(asked)),
        Wish::Abort => Next::Failed { why: GivenUp::Aborted },
        Wish::Disable(why) => Next::Wait { why },
    }
}

/// Decides what follows an attempt of a test: nothing, however it ended. It is somebody's look at
/// the receiver, not something that the receiver has to be told.
#[must_use]
pub fn after_test(verdict: &Verdict) -> Next {
    match verdict.trouble {
        None => Next::Delivered,
        Some(_) => Next::Failed { why: GivenUp::Test },
    }
}

/// The next try after a failure, if there is one.
fn again(rules: Rules<'_>, failure: Failure, asked: Option<Duration>) -> Next {
    let index = (failure.attempt as usize).saturating_sub(1);
    let wait = rules.waits.get(index).or(rules.waits.last()).copied().unwrap_or_default();
    let jittered = wait.mul_f64(1.0 + JITTER * failure.dice.clamp(0.0, 1.0));
    let asked = asked.filter(|asked| *asked > jittered);
    let at = failure.now.after(asked.unwrap_or(jittered));
    // Never at the first failure: the machine may have been off for longer than that.
    if failure.attempt > 1 && at > failure.created.after(rules.give_up) {
        return Next::Failed { why: GivenUp::TooOld { give_up_ms: whole_ms(rules.give_up) } };
    }
    Next::Retry { at, wait_ms: whole_ms(asked.unwrap_or(wait)), asked: asked.is_some() }
}

fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: [Duration; 3] =
        [Duration::from_secs(5), Duration::from_secs(300), Duration::from_secs(1800)];
    const RULES: Rules<'_> = Rules { waits: &WAITS, give_up: Duration::from_hours(1) };

    fn check(attempt: u32, age_s: i64, dice: f64, expected_s: Option<i64>) {
        check_asked(attempt, age_s, (dice, None), expected_s);
    }

    fn check_asked(
        attempt: u32,
        age_s: i64,
        (dice, asked_s): (f64, Option<u64>),
        expected_s: Option<i64>,
    ) {
        let now = UnixMs(age_s * 1000);
        let retry_after = asked_s.map(Duration::from_secs);
        let failure = Failure { attempt, created: UnixMs(0), now, dice };
        let at = match again(RULES, failure, retry_after) {
            Next::Retry { at, .. } => Some(at),
            Next::Failed { .. } => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(at, expected_s.map(|wait| UnixMs((age_s + wait) * 1000)));
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

    #[test]
    fn what_the_receiver_asked_for_is_a_minimum() {
        check_asked(1, 0, (0.0, Some(60)), Some(60));
        check_asked(1, 0, (1.0, Some(60)), Some(60));
        check_asked(2, 0, (0.0, Some(60)), Some(300));
        check_asked(2, 0, (1.0, Some(310)), Some(360));
        check_asked(1, 0, (0.0, Some(0)), Some(5));
        check_asked(1, 0, (0.0, Some(86_400)), Some(86_400));
        check_asked(2, 0, (0.0, Some(3_600)), Some(3_600));
        check_asked(2, 0, (0.0, Some(3_601)), None);
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_is_a_day_at_most() {
        // 1994-11-06 08:49:37 UTC, the date of RFC 9110's examples.
        let date = UnixMs(784_111_777_000);
        for (value, asked_s) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 120\t", Some(120)),
            ("86401", Some(86_400)),
            ("99999999999999999999999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
            ("Mon, 07 Nov 1994 08:50:37 GMT", Some(86_400)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("120s", None),
            ("soon", None),
            ("Sun, 06 Nov 1994", None),
        ] {
            assert_eq!(retry_after(value, date), asked_s.map(Duration::from_secs), "{value:?}");
        }
    }
}

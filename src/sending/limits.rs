//! Whether a receiver's answer goes out now: pure.
//!
//! What answers by itself may meet what answers by itself. So no mobile gets more than a few
//! answers an hour, whatever the receivers say, besides each subscriber's own rate and budget.

use std::time::Duration;

use crate::config::AnswerLimits;
use crate::store::message::AnswersSent;
use crate::time::UnixMs;

/// Answers to one mobile within an hour: as many as two people write, fewer than two machines.
const TO_MOBILE_MAX: u32 = 5;
/// How old an answer may be: later it is none any more.
const AGE_MAX: Duration = Duration::from_hours(1);
/// How soon is looked again where a rate is used up.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes out.
    Send,
    /// It waits so long.
    Wait(Duration),
    /// It never goes out, for this reason.
    Withhold(&'static str),
}

/// Decides. `limits` are those of the subscriber whose receiver answered, if it may answer.
#[must_use]
pub fn decide(
    limits: Option<AnswerLimits>,
    sent: AnswersSent,
    created: UnixMs,
    now: UnixMs,
) -> Decision {
    let Some(limits) = limits else {
        return Decision::Withhold("its subscriber may not answer any more");
    };
    if now.since(created) > AGE_MAX {
        return Decision::Withhold("it is older than an hour");
    }
    if sent.to_mobile >= TO_MOBILE_MAX {
        return Decision::Withhold(
            "its mobile got five answers within an hour: this may be a loop",
        );
    }
    if sent.today as usize >= limits.budget {
        return Decision::Withhold("the subscriber's budget of the day is used up");
    }
    match sent.lately >= limits.rate.count {
        true => Decision::Wait(LOOK_AGAIN),
        false => Decision::Send,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RateLimit;

    #[test]
    fn answers_go_out_within_rate_and_budget_and_in_no_loop() {
        let rate = RateLimit { count: 2, per: Duration::from_mins(1) };
        let limits = Some(AnswerLimits { rate, budget: 10 });
        let hour = 3_600_000;
        let sent = |lately, today, to_mobile| AnswersSent { lately, today, to_mobile };
        let is_withheld = |decision| matches!(decision, Decision::Withhold(_));
        let decide = |limits, sent, age| super::decide(limits, sent, UnixMs(0), UnixMs(age));
        assert_eq!(decide(limits, sent(1, 9, 4), hour), Decision::Send);
        assert_eq!(decide(limits, sent(2, 9, 4), 0), Decision::Wait(LOOK_AGAIN));
        assert!(is_withheld(decide(limits, sent(2, 10, 4), 0)));
        assert!(is_withheld(decide(limits, sent(0, 0, 5), 0)));
        assert!(is_withheld(decide(limits, sent(0, 0, 0), hour + 1)));
        assert!(is_withheld(decide(None, sent(0, 0, 0), 0)));
        let nothing = Some(AnswerLimits { rate, budget: 0 });
        assert!(is_withheld(decide(nothing, sent(0, 0, 0), 0)));
    }
}

//! What attempts say of their subscriber: whether it does well, fails, is to be left alone or
//! disabled, and what the others are told of that.

use std::time::Duration;

use crate::delivery::pace::{Limits, Pace, Sign};
use crate::store::attempt::{Attempt, Disabled, Next, Refusal, Trouble};
use crate::store::turn::Standing;
use crate::time::UnixMs;

/// The so-manieth part of the time after which a failing subscriber is disabled is over when the
/// others are told that it fails.
const TOLD_AFTER: u32 = 10;

/// A subscriber's rules.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Its pace.
    pub limits: Limits,
    /// After how long of nothing but failures it is disabled.
    pub disable_after: Duration,
}

/// What the other subscribers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It fails, and will be disabled then if that goes on.
    Failing {
        /// Since when.
        since: UnixMs,
        /// When it will be disabled.
        disables: UnixMs,
    },
    /// It was disabled.
    Disabled {
        /// Why.
        why: Disabled,
        /// Since when it had failed, if it had.
        since: Option<UnixMs>,
    },
}

/// How a subscriber does after these attempts, its pace, and what is told of it.
#[must_use]
pub fn after(
    mut standing: Standing,
    outcomes: &[Attempt],
    rules: Rules,
    now: UnixMs,
    dice: f64,
) -> (Standing, Pace, Vec<News>) {
    let mut pace = pace_of(&standing);
    let was_disabled = standing.disabled.is_some();
    for outcome in outcomes {
        let sign = sign(outcome);
        pace.learn(sign, outcome.started, now, dice, rules.limits.concurrency);
        match sign {
            Sign::Well => {
                standing.failing_since = None;
                standing.failing_told = false;
            }
            // It answers, and may take the next.
            Sign::Alive if matches!(outcome.next, Next::Failed { .. }) => {}
            _ => {
                let began = outcome.started.after(outcome.took);
                standing.failing_since = standing.failing_since.or(Some(began));
            }
        }
        standing.disabled = standing.disabled.or(outcome.disable);
    }
    let mut news = Vec::new();
    if let Some(since) = standing.failing_since.filter(|_| standing.disabled.is_none()) {
        let disables = since.after(rules.disable_after);
        if now >= disables {
            standing.disabled = Some(Disabled::Failing);
        } else if !standing.failing_told && now >= since.after(rules.disable_after / TOLD_AFTER) {
            standing.failing_told = true;
            news.push(News::Failing { since, disables });
        }
    }
    if let Some(why) = standing.disabled.filter(|_| !was_disabled) {
        news.push(News::Disabled { why, since: standing.failing_since });
    }
    (standing, pace, news)
}

/// The pace that a standing holds.
#[must_use]
pub fn pace_of(standing: &Standing) -> Pace {
    Pace::kept(standing.pace.as_deref())
}

/// What an attempt says of the receiver. A status that speaks of the one request, such as 422, says
/// that it is alive; one that speaks of the whole URL, such as 404, does not.
fn sign(outcome: &Attempt) -> Sign {
    let asked = match outcome.next {
        Next::Retry { wait_ms, asked: true, .. } => Some(Duration::from_millis(wait_ms)),
        _ => None,
    };
    match outcome.trouble.as_ref().map(Trouble::itself) {
        None => Sign::Well,
        Some(Trouble::Product { refusal, .. }) => match refusal {
            Refusal::Throttled => Sign::Throttled(asked),
            Refusal::Refused => Sign::Alive,
            Refusal::Busy | Refusal::Gone | Refusal::Unreadable => Sign::Down,
        },
        Some(Trouble::Status { status: 429 }) => Sign::Throttled(asked),
        Some(Trouble::Status { status: 503 }) if asked.is_some() => Sign::Throttled(asked),
        Some(Trouble::Status { status: 401 | 403 | 404 | 405 | 407 | 408 | 410 }) => Sign::Down,
        Some(Trouble::Status { status: 400..=499 }) => Sign::Alive,
        Some(_) => Sign::Down,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::attempt::{GivenUp, Timings};

    const RULES: Rules = Rules {
        limits: Limits { concurrency: 8, rate: None },
        disable_after: Duration::from_secs(100),
    };

    fn tried(
        at_s: i64,
        trouble: Option<Trouble>,
        next: Next,
        disable: Option<Disabled>,
    ) -> Attempt {
        Attempt {
            delivery: 1,
            lease: 1,
            number: 1,
            started: UnixMs(at_s * 1000),
            took: Duration::ZERO,
            address: None,
            timings: Timings::default(),
            http_status: None,
            trouble,
            answer: Vec::new(),
            next,
            disable,
            reply: None,
        }
    }

    fn again() -> Next {
        Next::Retry { at: UnixMs(0), wait_ms: 0, asked: false }
    }

    fn failed(at_s: i64) -> Attempt {
        tried(at_s, Some(Trouble::Status { status: 500 }), again(), None)
    }

    fn delivered(at_s: i64) -> Attempt {
        tried(at_s, None, Next::Delivered, None)
    }

    /// Goes through attempts, one a turn, and gives what was told at which.
    fn told(attempts: &[(i64, Attempt)]) -> (Standing, Vec<(i64, News)>) {
        let (mut standing, mut told) = (Standing::default(), Vec::new());
        for (at_s, attempt) in attempts {
            let now = UnixMs(at_s * 1000);
            let (after, pace, news) =
                after(standing, std::slice::from_ref(attempt), RULES, now, 0.0);
            standing = Standing { pace: pace.keep(), ..after };
            told.extend(news.into_iter().map(|news| (*at_s, news)));
        }
        (standing, told)
    }

    #[test]
    fn days_of_nothing_but_failures_are_told_and_then_disable() {
        let attempts: Vec<_> = (10..130).map(|at| (at, failed(at))).collect();
        let (standing, told) = told(&attempts);
        let since = UnixMs(10_000);
        let disables = UnixMs(110_000);
        assert_eq!(
            told,
            [
                (20, News::Failing { since, disables }),
                (110, News::Disabled { why: Disabled::Failing, since: Some(since) }),
            ]
        );
        assert_eq!(standing.disabled, Some(Disabled::Failing));
    }

    #[test]
    fn one_success_among_them_begins_the_time_anew() {
        let attempt = |at| if at == 100 { delivered(at) } else { failed(at) };
        let attempts: Vec<_> = (10..190).map(|at| (at, attempt(at))).collect();
        let (standing, told) = told(&attempts);
        let times: Vec<i64> = told.iter().map(|(at, _)| *at).collect();
        assert_eq!((times, standing.disabled), (vec![20, 111], None));
    }

    #[test]
    fn what_a_receiver_refuses_for_good_is_no_failure_of_its_own() {
        let given_up = Next::Failed { why: GivenUp::Aborted };
        let refused = tried(1, Some(Trouble::Status { status: 422 }), given_up, None);
        let attempts: Vec<_> = (1..300).map(|at| (at, refused.clone())).collect();
        assert_eq!(told(&attempts).1, []);
    }

    #[test]
    fn a_receiver_can_be_gone_or_ask_to_be_disabled_and_is_told_of_once() {
        for why in [Disabled::Gone, Disabled::Asked] {
            let asked =
                tried(5, Some(Trouble::Status { status: 410 }), Next::Wait { why }, Some(why));
            let since = Some(UnixMs(5_000));
            let (standing, told) = told(&[(5, asked.clone()), (6, asked)]);
            assert_eq!(told, [(5, News::Disabled { why, since })]);
            assert_eq!(standing.disabled, Some(why));
        }
        let done_and_asked = tried(5, None, Next::Delivered, Some(Disabled::Asked));
        let (_, told) = told(&[(5, done_and_asked)]);
        assert_eq!(told, [(5, News::Disabled { why: Disabled::Asked, since: None })]);
    }

    #[test]
    fn attempts_say_how_the_receiver_does() {
        let asked = Next::Retry { at: UnixMs(0), wait_ms: 7_000, asked: true };
        let status = |status| Some(Trouble::Status { status });
        let seven = Some(Duration::from_secs(7));
        let product = |refusal| {
            let (product, code) = ("wecom".to_owned(), String::new());
            Some(Trouble::Product { product, code, message: String::new(), refusal })
        };
        for (trouble, next, expected) in [
            (None, Next::Delivered, Sign::Well),
            (status(400), again(), Sign::Alive),
            (status(422), asked.clone(), Sign::Alive),
            (status(404), again(), Sign::Down),
            (status(500), asked.clone(), Sign::Down),
            (status(503), again(), Sign::Down),
            (status(503), asked.clone(), Sign::Throttled(seven)),
            (status(429), asked, Sign::Throttled(seven)),
            (status(429), again(), Sign::Throttled(None)),
            (Some(Trouble::Connect { detail: String::new() }), again(), Sign::Down),
            (product(Refusal::Throttled), again(), Sign::Throttled(None)),
            (product(Refusal::Refused), Next::Failed { why: GivenUp::Aborted }, Sign::Alive),
            (product(Refusal::Busy), again(), Sign::Down),
            (product(Refusal::Unreadable), again(), Sign::Down),
        ] {
            assert_eq!(sign(&tried(1, trouble.clone(), next, None)), expected, "{trouble:?}");
        }
    }
}

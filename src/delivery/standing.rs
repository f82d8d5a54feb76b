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
/// Failures that lie further apart have nothing to do with each other: nobody tried in between.
/// Longer than the longest wait by default, and than any that a receiver can ask for.
const APART_MIN: Duration = Duration::from_hours(2 * 24);

/// A subscriber's rules.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Its pace.
    pub limits: Limits,
    /// After how long of nothing but failures it is disabled.
    pub disable_after: Duration,
    /// Its longest wait between two attempts of one delivery.
    pub wait_max: Duration,
}

impl Rules {
    /// How far apart two failures lie at most between which it was tried.
    fn apart_max(&self) -> Duration {
        self.wait_max.saturating_mul(2).max(APART_MIN)
    }

    /// When one is disabled that has failed since then, and the others were told of it then: they
    /// have their time, however late they were told.
    fn disables(&self, since: UnixMs, told: UnixMs) -> UnixMs {
        let told_after = self.disable_after / TOLD_AFTER;
        since.after(self.disable_after).max(told.after(self.disable_after - told_after))
    }
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

/// How a subscriber does after these attempts, its pace, and what is told of it. Only an attempt
/// that fails disables it, and only after the others were told: time in which nothing was tried is
/// no failure.
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
    let mut failed = None;
    for outcome in outcomes {
        let sign = sign(outcome);
        let ended = outcome.started.after(outcome.took);
        let before = pace.failed();
        pace.learn(sign, outcome.started, now, dice, rules.limits.concurrency);
        match sign {
            Sign::Well => (standing.failing_since, standing.failing_told) = (None, None),
            // It answers, and may take the next.
            Sign::Alive if matches!(outcome.next, Next::Failed { .. }) => {}
            _ => {
                if before.is_some_and(|before| outcome.started.since(before) > rules.apart_max()) {
                    (standing.failing_since, standing.failing_told) = (None, None);
                }
                standing.failing_since = standing.failing_since.or(Some(ended));
                failed = failed.max(Some(ended));
            }
        }
        standing.disabled = standing.disabled.or(outcome.disable);
    }
    let mut news = Vec::new();
    if let (Some(since), Some(failed), None) = (standing.failing_since, failed, standing.disabled) {
        match standing.failing_told {
            Some(told) if failed >= rules.disables(since, told) => {
                standing.disabled = Some(Disabled::Failing);
            }
            None if failed >= since.after(rules.disable_after / TOLD_AFTER) => {
                standing.failing_told = Some(now);
                news.push(News::Failing { since, disables: rules.disables(since, now) });
            }
            _ => {}
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
    // To be asked again at once is to ask for nothing.
    let asked = outcome.asked.filter(|asked| !asked.is_zero());
    let down = asked.map_or(Sign::Down, Sign::Away);
    match outcome.trouble.as_ref().map(Trouble::itself) {
        None => Sign::Well,
        Some(Trouble::Product { refusal, .. }) => match refusal {
            Refusal::Throttled => Sign::Throttled(asked),
            Refusal::Refused => Sign::Alive,
            Refusal::Busy => down,
            Refusal::Gone | Refusal::Unreadable => Sign::Down,
        },
        Some(Trouble::Status { status: 429 }) => Sign::Throttled(asked),
        Some(Trouble::Status { status: 503 }) => down,
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
        wait_max: Duration::from_secs(1),
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
            asked: None,
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
    fn whoever_is_told_late_of_failures_has_their_time_all_the_same() {
        let attempts: Vec<_> = [10, 200, 289, 290].map(|at| (at, failed(at))).into();
        let since = UnixMs(10_000);
        assert_eq!(
            told(&attempts).1,
            [
                (200, News::Failing { since, disables: UnixMs(290_000) }),
                (290, News::Disabled { why: Disabled::Failing, since: Some(since) }),
            ]
        );
    }

    #[test]
    fn time_in_which_nobody_tried_is_no_failure() {
        let (standing, _) = told(&[(10, failed(10)), (30, failed(30))]);
        assert!(standing.failing_told.is_some());
        // A turn that records nothing, or only a success, long afterwards.
        let later = UnixMs(1_000_000);
        for outcomes in [vec![], vec![delivered(1_000)]] {
            let (after, _, news) = after(standing.clone(), &outcomes, RULES, later, 0.0);
            assert_eq!((after.disabled, news), (None, vec![]));
        }
        // The next failure is another one, where it is days later.
        let days = 10 + 2 * 24 * 60 * 60;
        let (standing, told) =
            told(&[(10, failed(10)), (30, failed(30)), (days + 21, failed(days + 21))]);
        assert_eq!((standing.failing_since, told.len()), (Some(UnixMs((days + 21) * 1000)), 1));
        let rules = Rules { wait_max: Duration::from_hours(48), ..RULES };
        assert_eq!(rules.apart_max(), Duration::from_hours(96));
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
        let status = |status| Some(Trouble::Status { status });
        let seven = Some(Duration::from_secs(7));
        let product = |refusal| {
            let (product, code) = ("wecom".to_owned(), String::new());
            Some(Trouble::Product { product, code, message: String::new(), refusal })
        };
        let away = Sign::Away(Duration::from_secs(7));
        for (trouble, asked, expected) in [
            (None, None, Sign::Well),
            (status(400), None, Sign::Alive),
            (status(422), seven, Sign::Alive),
            (status(404), None, Sign::Down),
            (status(500), seven, Sign::Down),
            (status(503), None, Sign::Down),
            (status(503), seven, away),
            (status(503), Some(Duration::ZERO), Sign::Down),
            (status(429), seven, Sign::Throttled(seven)),
            (status(429), Some(Duration::ZERO), Sign::Throttled(None)),
            (status(429), None, Sign::Throttled(None)),
            (Some(Trouble::Connect { detail: String::new() }), None, Sign::Down),
            (product(Refusal::Throttled), None, Sign::Throttled(None)),
            (product(Refusal::Throttled), seven, Sign::Throttled(seven)),
            (product(Refusal::Refused), None, Sign::Alive),
            (product(Refusal::Busy), None, Sign::Down),
            (product(Refusal::Busy), seven, away),
            (product(Refusal::Unreadable), None, Sign::Down),
        ] {
            // Whatever becomes of the delivery: its own wait can be longer than what is asked for.
            for next in [again(), Next::Failed { why: GivenUp::TooOld { give_up_ms: 1 } }] {
                let tried = Attempt { asked, ..tried(1, trouble.clone(), next, None) };
                assert_eq!(sign(&tried), expected, "{trouble:?} {asked:?}");
            }
        }
    }
}

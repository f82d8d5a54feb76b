use super::*;

const LIMITS: Limits = Limits { concurrency: 8, rate: None };
const ROOM: Lanes = Lanes { new: 100, replays: 25 };

fn allowed(pace: &Pace, at: i64) -> usize {
    pace.allows(LIMITS, 0, ROOM, UnixMs(at)).new
}

fn learn(pace: &mut Pace, sign: Sign, at: i64) {
    pace.learn(sign, UnixMs(at), UnixMs(at), 0.0, LIMITS.concurrency);
}

#[test]
fn five_failures_in_a_row_leave_it_alone_for_ever_longer_up_to_a_minute() {
    let mut pace = Pace::default();
    for at in 1..5 {
        learn(&mut pace, Sign::Down, at);
        assert_eq!(allowed(&pace, at), 100);
    }
    let mut at = 5;
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        learn(&mut pace, Sign::Down, at);
        assert_eq!(allowed(&pace, at + seconds * 1000 - 1), 0, "{seconds}");
        at += seconds * 1000;
        assert_eq!(allowed(&pace, at), 1, "one tries whether it is there again");
    }
}

#[test]
fn what_was_under_way_when_the_outage_was_seen_prolongs_it_not() {
    let mut pace = Pace::default();
    for at in 1..=5 {
        learn(&mut pace, Sign::Down, at);
    }
    for _ in 0..50 {
        pace.learn(Sign::Down, UnixMs(5), UnixMs(900), 0.0, 8);
    }
    assert_eq!(allowed(&pace, 1_005), 1);
}

#[test]
fn an_answer_that_refuses_one_reply_is_no_outage() {
    let mut pace = Pace::default();
    for at in 1..100 {
        learn(&mut pace, if at % 5 == 0 { Sign::Alive } else { Sign::Down }, at);
    }
    assert_eq!(allowed(&pace, 100), 100);
}

#[test]
fn after_an_outage_it_starts_slowly() {
    let mut pace = Pace::default();
    for at in 1..=5 {
        learn(&mut pace, Sign::Down, at);
    }
    let mut windows = Vec::new();
    for at in 2_000..2_005 {
        windows.push(allowed(&pace, at));
        learn(&mut pace, Sign::Well, at);
    }
    assert_eq!(windows, [1, 2, 4, 100, 100]);
    assert_eq!(pace.keep(), Pace { not_before_ms: 1_005, imposed_ms: 5, ..Pace::default() }.keep());
    let half = Pace { window: 4, ..Pace::default() };
    assert_eq!(half.allows(LIMITS, 3, ROOM, UnixMs(0)).new, 1);
    assert_eq!(half.allows(LIMITS, 5, ROOM, UnixMs(0)).new, 0);
}

#[test]
fn one_that_fails_and_says_for_how_long_is_left_alone_and_is_down_all_the_same() {
    let mut pace = Pace::default();
    let away = Sign::Away(Duration::from_secs(70));
    learn(&mut pace, away, 1_000);
    assert_eq!((allowed(&pace, 70_999), allowed(&pace, 71_000)), (0, 1));
    assert!(!pace.is_outage());
    learn(&mut pace, away, 71_000);
    assert!(pace.is_outage(), "nothing but failures for more than a minute");
    learn(&mut pace, Sign::Throttled(None), 150_000);
    assert!(!pace.is_outage());
}

#[test]
fn the_last_attempt_that_failed_is_remembered_until_one_goes_well() {
    let mut pace = Pace::default();
    assert_eq!(pace.failed(), None);
    for (sign, at) in [(Sign::Down, 5), (Sign::Alive, 7), (Sign::Throttled(None), 6)] {
        learn(&mut pace, sign, at);
    }
    assert_eq!(pace.failed(), Some(UnixMs(7)));
    learn(&mut pace, Sign::Well, 8);
    assert_eq!(pace.failed(), None);
}

#[test]
fn throttling_is_heeded_as_long_as_it_asks() {
    let mut pace = Pace::default();
    learn(&mut pace, Sign::Throttled(Some(Duration::from_secs(90))), 1);
    assert_eq!((allowed(&pace, 90_000), allowed(&pace, 90_001)), (0, 1));
    // A shorter wait does not end a longer one.
    learn(&mut pace, Sign::Throttled(Some(Duration::from_secs(1))), 10);
    assert_eq!(allowed(&pace, 89_999), 0);
    let mut pace = Pace::default();
    learn(&mut pace, Sign::Throttled(None), 1);
    assert_eq!((allowed(&pace, 1_000), allowed(&pace, 1_001)), (0, 1));
    learn(&mut pace, Sign::Throttled(None), 1_001);
    assert_eq!((allowed(&pace, 3_000), allowed(&pace, 3_001)), (0, 1));
}

#[test]
fn a_time_that_only_a_wrong_clock_can_have_set_is_not_waited_for() {
    let mut pace = Pace::default();
    learn(&mut pace, Sign::Throttled(Some(Duration::from_secs(90))), 1_000_000_000_000);
    assert_eq!(allowed(&pace, 0), 1);
}

/// Sends whatever is allowed at each moment at which something is, and says when each went out.
fn sent(rate: RateLimit, room: Lanes, until: i64) -> Vec<i64> {
    let limits = Limits { concurrency: 64, rate: Some(rate) };
    let (mut pace, mut now, mut sent) = (Pace::default(), UnixMs(1_000_000), Vec::new());
    while now.0 < 1_000_000 + until {
        let claimed = pace.allows(limits, 0, room, now);
        pace.spend(claimed, limits, now);
        sent.extend(std::iter::repeat_n(now.0, claimed.new + claimed.replays));
        let opens = pace.opens(limits, now).map_or(now.0 + 1, |opens| opens.0);
        now = UnixMs(opens.max(now.0 + 1));
    }
    sent
}

fn check_rate(count: u32, per: Duration, periods: i64) {
    let per_ms = i64::try_from(per.as_millis()).unwrap();
    let rate = RateLimit { count, per };
    let sent = sent(rate, Lanes { new: 1_000_000, replays: 0 }, per_ms * periods);
    let count = count as usize;
    for (index, began) in sent.iter().enumerate() {
        let within = sent[index..].iter().take_while(|time| **time < began + per_ms).count();
        assert!(within <= count, "{within} of {count} in one period");
    }
    let whole = count * usize::try_from(periods).unwrap();
    assert!(sent.len() * 10 >= whole * 9 || count == 1, "only {} of {whole}", sent.len());
}

#[test]
fn no_stretch_of_a_rate_limits_time_holds_more_than_it_says_and_little_is_wasted() {
    check_rate(1, Duration::from_secs(1), 20);
    check_rate(2, Duration::from_secs(1), 40);
    check_rate(20, Duration::from_mins(1), 30);
    check_rate(100, Duration::from_secs(1), 10);
    check_rate(1_000, Duration::from_secs(1), 5);
    check_rate(7, Duration::from_hours(1), 30);
}

#[test]
fn replays_get_a_quarter_at_most_and_what_is_new_goes_first() {
    let rate = RateLimit { count: 100, per: Duration::from_secs(1) };
    let replays = sent(rate, Lanes { new: 0, replays: 1_000 }, 20_000).len();
    assert!((440..=500).contains(&replays), "{replays} in 20 s");
    let limits = Limits { concurrency: 8, rate: Some(rate) };
    let both = Pace::default().allows(limits, 0, ROOM, UnixMs(0));
    assert_eq!(both, Lanes { new: 5, replays: 0 });
    assert_eq!((replays_of(1), replays_of(7), replays_of(8), replays_of(64)), (1, 1, 2, 16));
}

#[test]
fn a_pace_is_kept_as_it_is() {
    let mut pace = Pace::default();
    assert_eq!(pace.keep(), None);
    learn(&mut pace, Sign::Throttled(None), 7);
    assert_eq!(Pace::kept(pace.keep().as_deref()), pace);
    assert_eq!(Pace::kept(Some("{")), Pace::default());
}

#[test]
fn a_minute_of_nothing_but_failures_is_an_outage() {
    let outage = |signs: &[(i64, Sign)]| {
        let mut pace = Pace::default();
        for (second, sign) in signs {
            learn(&mut pace, *sign, second * 1000);
        }
        pace.is_outage()
    };
    let down = |second| (second, Sign::Down);
    assert!(!outage(&[]));
    // Many at once, and one after a while that nothing was tried in.
    assert!(!outage(&(10..69).map(down).collect::<Vec<_>>()));
    assert!(!outage(&[down(10)]));
    assert!(outage(&[down(10), down(70)]));
    assert!(outage(&[down(10), down(15), down(315)]));
    // Whoever answers is there.
    for sign in [Sign::Well, Sign::Alive, Sign::Throttled(None)] {
        assert!(!outage(&[down(10), down(70), (71, sign)]), "{sign:?}");
        assert!(!outage(&[down(10), (30, sign), down(70)]), "{sign:?}");
        assert!(outage(&[down(10), (30, sign), down(70), down(130)]), "{sign:?}");
    }
    // It is kept.
    let mut pace = Pace::default();
    learn(&mut pace, Sign::Down, 10_000);
    learn(&mut pace, Sign::Down, 70_000);
    assert!(Pace::kept(pace.keep().as_deref()).is_outage());
}

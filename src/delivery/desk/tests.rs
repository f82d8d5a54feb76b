use std::path::Path;

use super::*;
use crate::clock::Clock;
use crate::config::{Config, Secrets};
use crate::store::attempt::{Disabled, Next};
use crate::store::delivery::{Person, Trigger};
use crate::store::turn::Standing;

pub(in crate::delivery) const CONCURRENCY: usize = 8;

/// A desk whose subscriber takes nothing: its port is the one at which nobody listens.
pub(in crate::delivery) fn desk() -> Desk {
    let text = "[[account]]\nname = \"main\"\nbase_url = \"http://127.0.0.1\"\nuid = \"1\"\npassword = \"word\"\n\
         [[subscriber]]\nname = \"crm\"\nurl = \"http://127.0.0.1:1/\"\nallow_private = true\n\
         secret = \"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n";
    let config = Config::parse(text, Path::new("config.toml"), (&Secrets::Read, &[])).unwrap();
    let sender = Sender::new(config.subscribers.into_iter().next().unwrap(), Clock::system());
    let limits = Limits { concurrency: CONCURRENCY, rate: None };
    Desk::new(Arc::new(sender.ok().unwrap()), limits)
}

pub(in crate::delivery) fn claims(count: usize) -> Vec<Claim> {
    (1..).map(|delivery| Claim::first(delivery, "rpl_a", "{}")).take(count).collect()
}

/// Brings a turn's claims to a desk.
pub(in crate::delivery) fn bring(desk: &mut Desk, claims: Vec<Claim>, began: UnixMs) {
    let turned = Turned { claims, lease: Some(1), next: None, standing: Standing::default() };
    let now = desk.now();
    desk.turned(turned, usize::MAX, (began, now));
}

/// A desk with so many claims that were just made, and when that is.
fn desk_with(count: usize) -> (Desk, UnixMs) {
    let mut desk = desk();
    let now = desk.now();
    bring(&mut desk, claims(count), now);
    (desk, now)
}

/// Takes a turn's claims, and delivers all that may be begun.
fn deliver(desk: &mut Desk, count: usize) {
    let now = desk.now();
    bring(desk, claims(count), now);
    while let Some(Begun { number, claims }) = desk.begin() {
        let attempts = Some(claims.iter().map(|claim| delivered(claim, now)).collect());
        desk.end(Ended { number, attempts });
    }
}

pub(in crate::delivery) fn delivered(claim: &Claim, now: UnixMs) -> Attempt {
    Attempt::under(claim, now, Next::Delivered)
}

#[test]
fn as_many_again_are_claimed_as_were_begun_and_no_more_than_the_limit() {
    let mut desk = desk();
    assert_eq!(desk.hand_over().room.new, CONCURRENCY);
    for (sent, room) in
        [(8, 16), (16, 32), (100, 200), (UNRECORDED_MAX, CLAIMS_MAX), (2, CONCURRENCY)]
    {
        deliver(&mut desk, sent);
        let handed = desk.hand_over();
        assert_eq!((handed.outcomes.len(), handed.room.new), (sent, room));
    }
}

#[test]
fn no_more_is_sent_while_as_much_as_may_be_waits_to_be_recorded() {
    let mut desk = desk();
    deliver(&mut desk, UNRECORDED_MAX + 1);
    assert!(desk.is_at_rest() && !desk.is_idle(), "one is left, and may not be begun");
    let handed = desk.hand_over();
    assert_eq!((handed.outcomes.len(), handed.under_way), (UNRECORDED_MAX, 1));
    assert!(desk.is_at_rest(), "they are not recorded yet");
    let now = desk.now();
    bring(&mut desk, Vec::new(), now);
    assert!(!desk.is_at_rest());
}

#[test]
fn no_more_is_under_way_at_once_than_may_be_and_of_replays_no_more_than_their_part() {
    let mut desk = desk();
    let now = desk.now();
    let mut replays = claims(2 * CONCURRENCY);
    for claim in &mut replays {
        claim.trigger = Trigger::Replay;
    }
    bring(&mut desk, replays, now);
    let mut begun = 0;
    while desk.begin().is_some() {
        begun += 1;
    }
    assert_eq!(begun, replays_of(CONCURRENCY));
    bring(&mut desk, claims(2 * CONCURRENCY), now);
    while desk.begin().is_some() {
        begun += 1;
    }
    assert_eq!(begun, CONCURRENCY);
}

#[test]
fn the_worker_is_told_of_the_first_that_ended_and_of_enough_and_not_of_each() {
    let (mut desk, now) = desk_with(GROUP + 1);
    let mut told = Vec::new();
    for number in 1..=GROUP + 1 {
        let Begun { number: of, claims } = desk.begin().unwrap();
        let attempts = Some(vec![delivered(&claims[0], now)]);
        if desk.end(Ended { number: of, attempts }) {
            told.push(number);
        }
    }
    assert_eq!(told, [1, GROUP]);
}

#[test]
fn what_ended_while_others_are_under_way_is_recorded_when_other_workers_record_theirs() {
    for (first, by) in [(100, 120), (109, 120), (110, 140), (119, 140), (120, 140)] {
        let (mut desk, now) = desk_with(2);
        let Begun { number, claims } = desk.begin().unwrap();
        desk.begin().unwrap();
        desk.end(Ended { number, attempts: Some(vec![delivered(&claims[0], now)]) });
        desk.since = UnixMs(first);
        assert_eq!(desk.rest(UnixMs(first)), UnixMs(by).since(UnixMs(first)));
        assert!(desk.rest(UnixMs(by)).is_zero());
    }
}

#[test]
fn what_was_claimed_too_long_ago_is_given_back_and_not_begun() {
    let mut desk = desk();
    let began = desk.now().before(STARTED_WITHIN + Duration::from_secs(1));
    bring(&mut desk, claims(3), began);
    assert!(desk.begin().is_none());
    let handed = desk.hand_over();
    assert!(handed.gives_back && handed.in_hand.is_empty());
}

fn in_hand(desk: &mut Desk) -> Vec<i64> {
    numbers(desk.hand_over().in_hand)
}

fn numbers(in_hand: Vec<Holding>) -> Vec<i64> {
    let mut numbers: Vec<i64> = in_hand.iter().map(|one| one.delivery).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn the_store_is_told_in_whose_line_is_what_is_in_hand() {
    let mut desk = desk();
    let now = desk.now();
    let of = |delivery, mobile: &str| {
        let person = Some(Person { lane: 0, mobile: mobile.into() });
        Claim { person, ..Claim::first(delivery, "rpl_a", "{}") }
    };
    bring(&mut desk, vec![of(1, "13900000001"), of(2, "13900000002")], now);
    desk.begin().unwrap();
    let in_hand = desk.hand_over().in_hand;
    let of = |one: &Holding| one.person.as_ref().map(|person| person.mobile.to_string());
    let mut mobiles: Vec<_> = in_hand.iter().filter_map(of).collect();
    mobiles.sort();
    assert_eq!(mobiles, ["13900000001", "13900000002"]);
}

#[test]
fn in_hand_is_what_is_claimed_until_it_ended_or_is_given_back() {
    let (mut desk, now) = desk_with(3);
    let Begun { number, claims } = desk.begin().unwrap();
    desk.begin().unwrap();
    assert_eq!(in_hand(&mut desk), [1, 2, 3]);
    desk.end(Ended { number, attempts: Some(vec![delivered(&claims[0], now)]) });
    assert_eq!(in_hand(&mut desk), [2, 3]);
    desk.close();
    let handed = desk.hand_over();
    assert_eq!((handed.gives_back, handed.lease), (true, Some(1)));
    assert_eq!(numbers(handed.in_hand), [2]);
}

#[test]
fn what_an_attempt_was_to_bring_that_panicked_stays_in_hand_as_long_as_a_dead_senders() {
    let (mut desk, now) = desk_with(1);
    let number = desk.begin().unwrap().number;
    desk.end(Ended { number, attempts: None });
    assert_eq!((in_hand(&mut desk), desk.failures()), (vec![1], 1));
    assert!(desk.rest(now) > STARTED_WITHIN, "it is looked for when its time is over");
    desk.lost[0].until = now;
    assert!(desk.rest(now).is_zero());
    let handed = desk.hand_over();
    assert!(handed.gives_back && handed.in_hand.is_empty());
}

#[test]
fn what_was_claimed_under_a_lease_that_is_no_more_is_not_begun() {
    let (mut desk, now) = desk_with(3);
    let number = desk.begin().unwrap().number;
    let turned =
        Turned { claims: Vec::new(), lease: None, next: None, standing: Standing::default() };
    desk.turned(turned, usize::MAX, (now, now));
    assert!(desk.begin().is_none());
    // What is under way ends, and is in hand no more.
    assert!(in_hand(&mut desk).is_empty());
    desk.end(Ended { number, attempts: Some(vec![delivered(&claims(1)[0], now)]) });
    assert_eq!(desk.hand_over().outcomes.len(), 1);
}

#[test]
fn a_subscriber_that_is_disabled_is_not_sent_what_was_claimed_before() {
    let (mut desk, now) = desk_with(3);
    let standing = Standing { disabled: Some(Disabled::Gone), ..Standing::default() };
    let turned = Turned { claims: Vec::new(), lease: Some(1), next: None, standing };
    desk.turned(turned, usize::MAX, (now, now));
    assert!(desk.begin().is_none());
    let handed = desk.hand_over();
    assert!(handed.gives_back && handed.in_hand.is_empty());
}

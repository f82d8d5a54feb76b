//! A subscriber that is down, its fallback, and its return: turns, takeovers and pace with a real
//! store, in virtual time.

use std::collections::BTreeMap;

use super::*;
use crate::delivery::pace::Limits;
use crate::delivery::standing::{self, Rules};
use crate::route::Route;
use crate::store::attempt::{Attempt, Next, Trouble};
use crate::store::delivery::{Claim, SubscriberSpec};
use crate::store::turn::{Decided, Lanes, Line, Turn};
use crate::time::UnixMs;
use std::sync::Arc;

/// 2026-11-22 10:00:00 in Beijing.
const TEN: i64 = 1_795_312_800_000;
const RULES: Rules = Rules {
    limits: Limits { concurrency: 8, rate: None },
    disable_after: Duration::from_hours(5 * 24),
    wait_max: Duration::from_hours(24),
};

/// Two subscribers, in a time that a test sets.
struct World {
    store: Store,
    now: UnixMs,
    replies: usize,
    is_down: bool,
    /// What each was told, by its name.
    told: BTreeMap<&'static str, Vec<String>>,
}

impl World {
    async fn new() -> Self {
        let store = Store::in_memory().unwrap();
        let route = |events: bool| match events {
            true => Route::default(),
            false => Route { events: Vec::new(), ..Route::default() },
        };
        let spec = |name: &str, events| SubscriberSpec {
            name: name.to_owned(),
            route: route(events),
            enabled: true,
        };
        let specs = vec![spec("crm", true), spec("duty", false)];
        store.put_configuration(Vec::new(), specs, Clock::system().now()).await.unwrap();
        Self { store, now: UnixMs(TEN), replies: 0, is_down: false, told: BTreeMap::new() }
    }

    /// A reply is kept.
    async fn reply(&mut self) {
        self.replies += 1;
        let (number, now) = (self.replies, self.now.0);
        self.store
            .execute(&format!(
                "INSERT INTO event (id, type, body, mobile, replied_at)
                     VALUES ('rpl_{number}', 'reply.received', '{{}}', '139{number}', {now} / 1000);
                 INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms, mobile, replied_at)
                     SELECT 'crm', seq, 'auto', 'waiting', {now}, {now}, mobile, replied_at FROM event
                     WHERE id = 'rpl_{number}'"
            ))
            .await;
    }

    /// A turn of a subscriber's worker.
    async fn turn(&self, name: &str, outcomes: Vec<Attempt>, room: usize) -> Vec<Claim> {
        let now = self.now;
        let room = Lanes { new: room, replays: 0 };
        let lease_end = now.after(Duration::from_secs(20));
        let turn = Turn {
            // All of it has ended.
            lease: outcomes.first().map(|outcome| outcome.lease),
            outcomes,
            ..Turn::first(name, now, lease_end, Line::OneByOne)
        };
        let decide = move |standing, outcomes: &[Attempt]| {
            let (standing, mut pace, _) = standing::after(standing, outcomes, RULES, now, 0.0);
            let allowed = match standing.disabled {
                Some(_) => Lanes::default(),
                None => pace.allows(RULES.limits, 0, room, now),
            };
            let spend = Box::new(move |claims: &[Claim]| {
                pace.spend(Lanes { new: claims.len(), replays: 0 }, RULES.limits, now);
                pace.keep()
            });
            Decided { standing, allowed, spend, tell: None }
        };
        self.store.turn(Arc::new(turn), decide).await.unwrap().claims
    }

    /// What is due goes out, and ends at once.
    async fn work(&mut self, name: &'static str) {
        let claims = self.turn(name, Vec::new(), 100).await;
        let outcome = |claim: &Claim| {
            let fails = name == "crm" && self.is_down;
            let wait = match claim.attempt {
                1 => Duration::from_secs(5),
                2 => Duration::from_mins(5),
                _ => Duration::from_mins(30),
            };
            let retry = Next::Retry { at: self.now.after(wait), wait_ms: 0, asked: false };
            let trouble = fails.then(|| Trouble::Connect { detail: String::new() });
            let next = if fails { retry } else { Next::Delivered };
            Attempt { trouble, ..Attempt::under(claim, self.now, next) }
        };
        let outcomes: Vec<Attempt> = claims.iter().map(outcome).collect();
        let done = claims.iter().zip(&outcomes).filter(|(_, outcome)| outcome.trouble.is_none());
        let told = done.map(|(claim, _)| claim.event_id.clone());
        self.told.entry(name).or_default().extend(told);
        self.turn(name, outcomes, 0).await;
    }

    async fn take_over(&self) -> usize {
        let mut moved = 0;
        for _ in 0..100 {
            let of = TakeOver {
                subscriber: "crm".to_owned(),
                chain: vec!["duty".to_owned()],
                judgement: JUDGEMENT,
                now: self.now,
            };
            match self.store.take_over(of).await.unwrap() {
                Some(taken) => moved += taken.deliveries,
                None => break,
            }
        }
        moved
    }

    /// Goes on second by second; after every so many a reply comes.
    async fn go(&mut self, seconds: i64, each: i64) {
        for second in 0..seconds {
            if each > 0 && second % each == 0 {
                self.reply().await;
            }
            self.work("crm").await;
            self.take_over().await;
            self.work("duty").await;
            self.now = UnixMs(self.now.0 + 1_000);
        }
    }

    fn told(&self, name: &str) -> usize {
        self.told.get(name).map_or(0, Vec::len)
    }

    /// Each reply was told to one of the two.
    fn is_complete(&self) -> bool {
        let mut all: Vec<&String> = self.told.values().flatten().collect();
        all.sort();
        let count = all.len();
        all.dedup();
        (count, all.len()) == (self.replies, self.replies)
    }
}

#[tokio::test]
async fn a_hiccup_moves_nothing() {
    let mut world = World::new().await;
    world.go(10, 1).await;
    world.is_down = true;
    world.go(50, 1).await;
    world.is_down = false;
    world.go(600, 0).await;
    assert_eq!((world.told("crm"), world.told("duty")), (60, 0));
}

#[tokio::test]
async fn in_an_outage_all_goes_to_the_fallback_and_after_it_to_the_first_again() {
    let mut world = World::new().await;
    world.go(10, 1).await;
    world.is_down = true;
    world.go(600, 1).await;
    assert_eq!(world.told("crm"), 10);
    // All but what waits for the next look at the first.
    let told = world.told("duty");
    assert!((595..=600).contains(&told), "{told}");
    world.is_down = false;
    world.go(120, 1).await;
    world.go(600, 0).await;
    // It gets its own again at the end of the last pause, of a minute at most.
    let told = world.told("crm");
    assert!((10 + 50..=10 + 125).contains(&told), "{told}");
    assert!(world.is_complete());
}

#[tokio::test]
async fn a_few_replies_an_hour_do_not_wait_for_days_either() {
    let mut world = World::new().await;
    world.is_down = true;
    world.go(1, 1).await;
    world.go(299, 0).await;
    assert_eq!(world.told("duty"), 0, "it was tried twice within five seconds, and not since");
    world.go(10, 0).await;
    assert_eq!(world.told("duty"), 1);
    world.go(3600, 1200).await;
    world.is_down = false;
    world.go(3600, 1200).await;
    assert_eq!((world.told("duty"), world.told("crm")), (4, 3));
    assert!(world.is_complete());
}

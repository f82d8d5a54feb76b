//! Two services on one store and one gateway, one of which dies.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use replyd::gateway::simulator::{Chaos, Ending, Habits, NewReply, Simulator};
use replyd::time::BeijingTime;
use tokio::task::JoinSet;

use crate::chance::{self, Dice, figure};
use crate::intake::count;
use crate::support::{Home, PATIENCE, Receiver, Settings, UID, gateway, now, until};

/// Stores that two services share one after the other, some at once, in CI.
const STORES: usize = 8;
const AT_ONCE: usize = 4;
const INTERVAL: Duration = Duration::from_millis(150);
/// Replies that arrive while both live, and again after one was killed.
const REPLIES: usize = 60;
/// How long ago the customers wrote: their hours are over, and read for good at once.
const LATE_S: i64 = 110 * 60;
/// Deliveries that a service has under way at once: what dies with it may be told twice.
const CONCURRENCY: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_services_on_one_store_one_dies_and_the_other_goes_on() {
    let (seed, stores) = (chance::seed(), chance::size("REPLYD_TEST_SHARED", STORES));
    let mut running = JoinSet::new();
    let mut all = Shared::default();
    let mut left = (seed..).take(stores);
    loop {
        while running.len() < AT_ONCE
            && let Some(seed) = left.next()
        {
            running.spawn(goes_on(seed));
        }
        let Some(shared) = running.join_next().await else { break };
        let again = format!("again with REPLYD_TEST_SHARED={stores} REPLYD_TEST_SEED={seed}");
        let shared = shared.unwrap_or_else(|error| panic!("{error}\n{again}"));
        all.replies += shared.replies;
        all.requests += shared.requests;
        all.repeats += shared.repeats;
    }
    figure(
        "two services on one store and one gateway, one killed by `kill -9`",
        &format!("{stores} stores, seed {seed}"),
        &format!(
            "{} replies in {} reads: 0 lost, 0 twice in the store, 0 reads too early; {} webhooks \
             repeated, all under way when one died",
            all.replies, all.requests, all.repeats
        ),
    );
}

#[derive(Default)]
struct Shared {
    replies: usize,
    requests: usize,
    repeats: usize,
}

/// Both make the store at the same moment, and read and deliver; one is killed while it has
/// something under way; the other goes on, also with what the dead one had claimed.
async fn goes_on(seed: u64) -> Shared {
    let habits = Habits { min_interval: INTERVAL, ..Habits::default() };
    let (gateway, receiver) = (gateway(habits).await, Receiver::start().await);
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        min_interval: "150ms",
        timeout: "500ms",
        account: "recover = \"2h\"",
        subscriber: "allow_private = true\ntimeout = \"400ms\"",
        ..Settings::default()
    });
    let mut dice = Dice::new(seed);
    gateway.set_chaos(Some(Chaos { seed, percent: 20 }));
    let (first, second) = (home.serve(), home.serve());
    until("both services", || home.log().matches("replyd runs").count() == 2).await;
    arrive(&gateway, &mut dice).await;
    // In a read, or a moment after one, when it is taken in and delivered.
    let is_in_a_read = || gateway.requests().last().is_some_and(|read| read.ending == Ending::Open);
    let (moment, started) = (dice.below(40), Instant::now());
    while !is_in_a_read() && started.elapsed() < Duration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(moment)).await;
    let (dead, alive) = if dice.below(2) == 0 { (first, second) } else { (second, first) };
    dead.kill();
    let asked = gateway.requests().len();
    arrive(&gateway, &mut dice).await;
    gateway.set_chaos(None);
    let expected = gateway.ledger().len();
    is_told(&home, &receiver, expected).await;
    until("the other to read", || gateway.requests().len() > asked + 3).await;
    assert_eq!(alive.stop(), Some(0), "{}", home.log());
    let repeats = is_right(&home, &gateway, &receiver);
    let requests = gateway.requests().len();
    gateway.stop().await;
    Shared { replies: expected, requests, repeats }
}

async fn arrive(gateway: &Simulator, dice: &mut Dice) {
    for number in 0..REPLIES {
        let written = BeijingTime::from_unix_seconds(now().unix_seconds() - LATE_S);
        let mobile = format!("1390000{:04}", number % 7);
        gateway.arrive(UID, NewReply::text(&mobile, "好的", written, "1068112227282"));
        tokio::time::sleep(Duration::from_millis(dice.below(50))).await;
    }
}

async fn is_told(home: &Home, receiver: &Receiver, expected: usize) {
    let started = Instant::now();
    loop {
        let ids: HashSet<String> =
            receiver.webhooks().iter().map(|webhook| webhook.id().to_owned()).collect();
        let delivered = count(home, "delivery WHERE state = 'delivered'");
        if ids.len() >= expected && usize::try_from(delivered).unwrap() >= expected {
            return;
        }
        let log = || home.log();
        assert!(started.elapsed() < PATIENCE, "{} of {expected} told\n{}", ids.len(), log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Nothing is lost, doubled or asked too early; how many webhooks came twice, which no more did
/// than one service has under way.
fn is_right(home: &Home, gateway: &Simulator, receiver: &Receiver) -> usize {
    let arrived = gateway.ledger().len();
    assert_eq!(count(home, "reply"), i64::try_from(arrived).unwrap(), "{}", home.log());
    assert_eq!(gateway.early_reads(), 0, "asked too early");
    assert_eq!(count(home, "read WHERE state IN ('started', 'received')"), 0);
    let webhooks = receiver.webhooks();
    let mut bodies: HashMap<String, Bytes> = HashMap::new();
    for webhook in &webhooks {
        let first = bodies.entry(webhook.id().to_owned()).or_insert_with(|| webhook.body.clone());
        assert_eq!(*first, webhook.body, "one id with two bodies");
    }
    assert_eq!(bodies.len(), arrived, "ids");
    let repeats = webhooks.len() - arrived;
    assert!(repeats <= CONCURRENCY, "{repeats} webhooks came twice");
    repeats
}

//! `kill -9` at random moments loses no reply, and gives none a second id.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use replyd::clock::Clock;
use replyd::gateway::simulator::{Habits, LedgerReply, NewReply, Simulator};
use tokio::task::JoinSet;

use crate::support::{Home, PATIENCE, Receiver, Settings, UID, Webhook, gateway, query};

/// Kills for each habit of the gateway: over all 18 habits, more than fifty.
const KILLS: usize = 3;
/// Habits that are tried at once: most of their time is waiting.
const AT_ONCE: usize = 6;
/// The longest that the service lives between two kills: reads come once a second.
const LIFE_MS_MAX: u64 = 1_300;

/// A small generator of numbers for moments: what it gives depends on its seed alone.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_at_random_moments_loses_nothing_and_gives_no_second_id() {
    let seed = std::env::var("REPLYD_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| Clock::system().now().unix.0.unsigned_abs());
    let mut running = JoinSet::new();
    let mut habits = Habits::all().into_iter().enumerate();
    loop {
        while running.len() < AT_ONCE
            && let Some((index, habits)) = habits.next()
        {
            running.spawn(survives(habits, seed.wrapping_add(index as u64)));
        }
        match running.join_next().await {
            Some(survived) => survived
                .unwrap_or_else(|error| panic!("{error}\nagain with REPLYD_TEST_SEED={seed}")),
            None => return,
        }
    }
}

async fn survives(habits: Habits, seed: u64) {
    let habits = Habits { min_interval: Duration::from_millis(50), ..habits };
    let (gateway, receiver) = (gateway(habits).await, Receiver::start().await);
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        timeout: "300ms",
        ..Settings::default()
    });
    let customers = tokio::spawn(write(gateway.clone(), seed));
    let mut dice = Dice(seed);
    for _ in 0..KILLS {
        let service = home.serve();
        tokio::time::sleep(Duration::from_millis(dice.below(LIFE_MS_MAX))).await;
        service.kill();
    }
    customers.abort();
    drop(customers.await);
    let service = home.serve();
    let started = Instant::now();
    while !all_told(&gateway, &receiver) {
        let lost = missing(&gateway, &receiver);
        assert!(started.elapsed() < PATIENCE, "lost with {habits:?}: {lost:?}\n{}", home.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(service.stop(), Some(0));
    let kept: i64 = query(&home, "SELECT count(*) FROM reply");
    assert_eq!(
        kept,
        i64::try_from(gateway.ledger().len()).unwrap(),
        "kept more than arrived, with {habits:?}"
    );
    assert_eq!(gateway.early_reads(), 0, "asked too early, with {habits:?}");
    let mut bodies: HashMap<String, Webhook> = HashMap::new();
    for webhook in receiver.webhooks() {
        let first = bodies.entry(webhook.id().to_owned()).or_insert_with(|| webhook.clone());
        assert_eq!(first.body, webhook.body, "one id with two bodies");
    }
    gateway.stop().await;
}

/// Customers write all the time, now and then the same words twice within a second.
async fn write(gateway: Simulator, seed: u64) {
    let (clock, mut dice) = (Clock::system(), Dice(!seed));
    for number in 0_u64.. {
        let mobile = format!("139000{:05}", number % 100_000);
        let now = clock.now().unix.beijing();
        for _ in 0..=dice.below(5) / 4 {
            gateway.arrive(
                UID,
                NewReply::text(&mobile, &format!("回复||{number}"), now, "1068112227282"),
            );
        }
        tokio::time::sleep(Duration::from_millis(dice.below(30))).await;
    }
}

type Text = (String, String, String);

fn arrived(gateway: &Simulator) -> BTreeMap<Text, usize> {
    let mut texts = BTreeMap::new();
    for LedgerReply { mobile, content, replied_at, .. } in gateway.ledger() {
        let (content, _) = encoding_rs::GBK.decode_without_bom_handling(&content);
        *texts.entry((mobile, content.into_owned(), replied_at.rfc3339())).or_default() += 1;
    }
    texts
}

/// How often each text was told, under ids of its own.
fn told(receiver: &Receiver) -> BTreeMap<Text, usize> {
    let ids: HashMap<String, Webhook> =
        receiver.webhooks().into_iter().map(|webhook| (webhook.id().to_owned(), webhook)).collect();
    let mut texts = BTreeMap::new();
    for webhook in ids.values() {
        let data = &webhook.json()["data"];
        let field = |name: &str| data[name].as_str().unwrap().to_owned();
        *texts.entry((field("from"), field("content"), field("replied_at"))).or_default() += 1;
    }
    texts
}

fn all_told(gateway: &Simulator, receiver: &Receiver) -> bool {
    arrived(gateway) == told(receiver)
}

fn missing(gateway: &Simulator, receiver: &Receiver) -> Vec<Text> {
    let told = told(receiver);
    arrived(gateway)
        .into_iter()
        .filter(|(text, count)| told.get(text) != Some(count))
        .map(|(text, _)| text)
        .collect()
}

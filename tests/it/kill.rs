//! `kill -9` at random moments loses no reply and gives none a second id, while the gateway and
//! the lines to the receivers are bad now and then.
//!
//! `REPLYD_TEST_KILLS` says how many kills there are over all habits of the gateway, and
//! `REPLYD_TEST_SEED` repeats the moments of a run.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use replyd::clock::Clock;
use replyd::gateway::simulator::{Chaos, Ending, Fault, Habits, LedgerReply, NewReply, Simulator};
use replyd::gateway::status::Status;
use tokio::task::JoinSet;

use crate::chance::{self, Dice, figure};
use crate::flaky::Line;
use crate::intake::count;
use crate::support::{Home, PATIENCE, Receiver, Settings, UID, gateway, until};

/// Kills over all 18 habits of the gateway, in CI.
const KILLS: usize = 200;
/// Kills that one store lives through: then another begins, for stores are also made.
const KILLS_PER_STORE_MAX: usize = 20;
/// Stores that are tried at once: most of their time is waiting.
const AT_ONCE: usize = 9;
/// The longest that the service lives between two kills: reads come once a second.
const LIFE_MS_MAX: u64 = 1_200;
/// The longest of the short lives: the kill falls into the start.
const SHORT_LIFE_MS_MAX: u64 = 80;
/// How long a kill that is to fall into a read waits for one.
const IN_A_READ_MAX: Duration = Duration::from_millis(600);
/// Longer than a start, so that a service that forgets its slot reads too early.
const INTERVAL: Duration = Duration::from_millis(150);
/// How long a trouble lasts at most.
const TROUBLE_MS_MAX: u64 = 400;
/// How long ago customers wrote what arrives: as late as carriers may be, so that a lost reply's
/// hour is over for long and can be read for good at once.
const LATE: Duration = Duration::from_mins(110);
/// How long an attempt to deliver may take, and how long a late answer takes.
const ATTEMPT: &str = "allow_private = true\ntimeout = \"400ms\"";
const LATE_ANSWER: Duration = Duration::from_millis(600);

/// What a store lived through.
#[derive(Default)]
struct Survived {
    kills: usize,
    replies: usize,
    requests: usize,
    broken_reads: usize,
    webhooks: usize,
    broken_lines: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_at_random_moments_loses_nothing_and_gives_no_second_id() {
    let (seed, kills) = (chance::seed(), chance::size("REPLYD_TEST_KILLS", KILLS));
    let habits = Habits::all();
    let kills_per_habit = kills.div_ceil(habits.len());
    let stores = kills_per_habit.div_ceil(KILLS_PER_STORE_MAX);
    let kills_per_store = kills_per_habit.div_ceil(stores);
    let mut left = (0..stores).flat_map(|_| habits.clone()).zip(seed..);
    let (mut running, mut all) = (JoinSet::new(), Survived::default());
    loop {
        while running.len() < AT_ONCE
            && let Some((habits, seed)) = left.next()
        {
            running.spawn(survives(habits, seed, kills_per_store));
        }
        let Some(survived) = running.join_next().await else { break };
        let again = format!("again with REPLYD_TEST_KILLS={kills} REPLYD_TEST_SEED={seed}");
        all.add(&survived.unwrap_or_else(|error| panic!("{error}\n{again}")));
    }
    figure(
        "`kill -9` at random moments, bad gateway and bad receivers",
        &format!("{} kills, {} stores, seed {seed}", all.kills, stores * habits.len()),
        &format!(
            "{} replies in {} reads ({} broken) and {} webhooks ({} broken): 0 lost, \
             0 second ids, 0 second bodies, 0 reads too early",
            all.replies, all.requests, all.broken_reads, all.webhooks, all.broken_lines
        ),
    );
}

impl Survived {
    fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.replies += other.replies;
        self.requests += other.requests;
        self.broken_reads += other.broken_reads;
        self.webhooks += other.webhooks;
        self.broken_lines += other.broken_lines;
    }
}

async fn survives(habits: Habits, seed: u64, kills: usize) -> Survived {
    let habits = Habits { min_interval: INTERVAL, ..habits };
    let gateway = gateway(habits).await;
    let (crm, erp) = (Receiver::start().await, Receiver::start().await);
    let line = Line::to(&crm.url, seed, LATE_ANSWER).await;
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &line.url()), ("erp", &erp.url)],
        min_interval: "150ms",
        // Far longer than any answer takes: when an answer ended that was given up before its end, we
        // and the gateway see otherwise.
        timeout: "1s",
        subscriber: ATTEMPT,
        ..Settings::default()
    });
    let customers = tokio::spawn(write(gateway.clone(), seed));
    let troubles = tokio::spawn(trouble(gateway.clone(), line.clone(), seed));
    let mut dice = Dice::new(seed);
    for _ in 0..kills {
        let service = home.serve();
        live(&gateway, &mut dice).await;
        service.kill();
    }
    for task in [customers, troubles] {
        task.abort();
        drop(task.await);
    }
    bring_peace(&gateway, &line);
    let service = home.serve();
    let started = Instant::now();
    while !(has_all(&gateway, &crm) && has_all(&gateway, &erp)) {
        let lost = missing(&gateway, &[&crm, &erp]);
        let log = || home.log();
        assert!(started.elapsed() < PATIENCE, "lost with {habits:?}: {lost:?}\n{}", log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // What could be doubled is read again.
    let asked = gateway.requests().len();
    until("more reads", || gateway.requests().len() > asked + 3).await;
    assert_eq!(service.stop(), Some(0));
    is_right(&home, &gateway, &[&crm, &erp], habits);
    let requests = gateway.requests();
    let survived = Survived {
        kills,
        replies: gateway.ledger().len(),
        requests: requests.len(),
        broken_reads: requests.iter().filter(|read| read.ending == Ending::Broken).count(),
        webhooks: crm.webhooks().len() + erp.webhooks().len(),
        broken_lines: line.broken(),
    };
    gateway.stop().await;
    survived
}

/// Waits for the moment of the next kill: any, one in the start, or one in a read, which is the
/// moment when only the gateway and one process's memory know of what the box held.
async fn live(gateway: &Simulator, dice: &mut Dice) {
    let (kind, life_ms) = (dice.below(4), dice.below(LIFE_MS_MAX));
    if kind == 0 {
        return tokio::time::sleep(Duration::from_millis(life_ms % SHORT_LIFE_MS_MAX)).await;
    }
    tokio::time::sleep(Duration::from_millis(life_ms)).await;
    let is_in_a_read = || gateway.requests().last().is_some_and(|read| read.ending == Ending::Open);
    let started = Instant::now();
    while kind == 1 && !is_in_a_read() && started.elapsed() < IN_A_READ_MAX {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Each reply is kept once and told to each receiver under one id with one body, and no read
/// came too early.
fn is_right(home: &Home, gateway: &Simulator, receivers: &[&Receiver], habits: Habits) {
    let expected = arrived(gateway);
    let arrived = gateway.ledger().len();
    for receiver in receivers {
        assert_eq!(told(receiver), expected, "told otherwise, with {habits:?}");
    }
    let kept = usize::try_from(count(home, "reply")).unwrap();
    assert_eq!(kept, arrived, "kept more or less than arrived, with {habits:?}");
    assert_eq!(gateway.early_reads(), 0, "asked too early, with {habits:?}");
    assert_eq!(count(home, "hour WHERE state = 'given_up'"), 0, "with {habits:?}");
    let mut bodies: HashMap<String, axum::body::Bytes> = HashMap::new();
    for webhook in receivers.iter().flat_map(|receiver| receiver.webhooks()) {
        let first = bodies.entry(webhook.id().to_owned()).or_insert_with(|| webhook.body.clone());
        assert_eq!(*first, webhook.body, "one id with two bodies, with {habits:?}");
    }
    assert_eq!(bodies.len(), arrived, "ids, with {habits:?}");
}

/// Customers write all the time, now and then the same words twice within a second.
async fn write(gateway: Simulator, seed: u64) {
    let (clock, mut dice) = (Clock::system(), Dice::new(!seed));
    for number in 0_u64.. {
        let mobile = format!("139000{:05}", number % 100_000);
        let written = clock.unix().before(LATE).beijing();
        for _ in 0..=dice.below(5) / 4 {
            gateway.arrive(
                UID,
                NewReply::text(&mobile, &format!("回复||{number}"), written, "1068112227282"),
            );
        }
        tokio::time::sleep(Duration::from_millis(dice.below(60))).await;
    }
}

/// Troubles come and go: broken answers, codes in place of answers, bad lines.
async fn trouble(gateway: Simulator, line: Line, seed: u64) {
    let mut dice = Dice::new(seed.rotate_left(32));
    loop {
        let seed = dice.below(u64::MAX);
        gateway.set_chaos((dice.below(3) > 0).then_some(Chaos { seed, percent: 40 }));
        let code = [103, 107, 115, 120].get(usize::try_from(dice.below(12)).unwrap()).copied();
        gateway.set_status(UID, code.map(Status));
        line.set_bad(dice.below(2) > 0);
        // What harms nobody but takes its time, so that more kills fall into a read.
        if dice.below(2) > 0 {
            let pause = Duration::from_millis(dice.below(25));
            gateway.fault_next(Fault::Dribble { piece: 4_000, pause });
        }
        tokio::time::sleep(Duration::from_millis(dice.below(TROUBLE_MS_MAX))).await;
    }
}

fn bring_peace(gateway: &Simulator, line: &Line) {
    gateway.set_chaos(None);
    gateway.set_status(UID, None);
    line.set_bad(false);
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
    let mut ids = HashSet::new();
    let mut texts = BTreeMap::new();
    for webhook in receiver.webhooks() {
        if ids.insert(webhook.id().to_owned()) {
            let data = &webhook.json()["data"];
            let field = |name: &str| data[name].as_str().unwrap().to_owned();
            *texts.entry((field("from"), field("content"), field("replied_at"))).or_default() += 1;
        }
    }
    texts
}

/// Whether a receiver was told as many replies as arrived.
fn has_all(gateway: &Simulator, receiver: &Receiver) -> bool {
    let ids: HashSet<String> =
        receiver.webhooks().iter().map(|webhook| webhook.id().to_owned()).collect();
    ids.len() >= gateway.ledger().len()
}

fn missing(gateway: &Simulator, receivers: &[&Receiver]) -> Vec<Text> {
    let told: Vec<_> = receivers.iter().map(|receiver| told(receiver)).collect();
    arrived(gateway)
        .into_iter()
        .filter(|(text, count)| told.iter().any(|told| told.get(text) != Some(count)))
        .map(|(text, _)| text)
        .collect()
}

//! `kill -9` between claim, request and record: what was claimed and not recorded when the process
//! died may come again, with the same id and the same bytes, and nothing else does. No more of it
//! comes again than a worker may have told and not recorded, and what one person wrote comes for
//! the first time in the order in which it was written, across the deaths too.
//!
//! `REPLYD_TEST_CRASHES` says how many kills there are, and `REPLYD_TEST_SEED` repeats the moments
//! of a run.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use replyd::gateway::simulator::{Habits, NewReply};
use replyd::time::BeijingTime;
use tokio::task::JoinSet;

use crate::chance::{self, Dice, figure};
use crate::intake::count;
use crate::support::{Home, Receiver, Settings, UID, Webhook, execute, gateway, now, query, until};

/// Kills in CI.
const CRASHES: usize = 20;
/// Kills that one store lives through.
const CRASHES_PER_STORE: usize = 5;
/// Stores that are tried at once.
const AT_ONCE: usize = 4;
/// How long the receiver takes, so that kills fall between request and record.
const ANSWER: Duration = Duration::from_millis(3);
/// Deliveries that are under way at once.
const CONCURRENCY: usize = 16;
/// The most outcomes that a worker leaves unrecorded (`UNRECORDED_MAX` in `src/delivery/desk.rs`).
const UNRECORDED_MAX: usize = 512;

/// Who writes in a store, and how long the service may go on with it.
struct Crowd {
    /// Persons that write in turn, each so many times in a row.
    persons: usize,
    in_a_row: usize,
    /// Replies that wait to be delivered before each kill.
    replies: usize,
    /// The longest that the service lives once it delivers.
    life_ms_max: u64,
}

/// A few who write much, whose order is looked at: one reply of each is under way at a time.
const FEW: Crowd = Crowd { persons: 40, in_a_row: 4, replies: 300, life_ms_max: 120 };
/// Many who write once: so many, and for so long, that a worker's turns grow to where more would
/// come twice than may, were there no bound.
const MANY: Crowd = Crowd { persons: usize::MAX, in_a_row: 1, replies: 2_500, life_ms_max: 1_500 };

/// What the crashes showed.
#[derive(Default)]
struct Seen {
    replies: usize,
    /// Claimed and not recorded at the kills.
    under_way: usize,
    repeats: usize,
    /// The most that came twice of one kill.
    repeats_max: usize,
    /// Replies whose person had written before.
    in_order: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_repeats_nothing_but_what_was_under_way() {
    let (seed, crashes) = (chance::seed(), chance::size("REPLYD_TEST_CRASHES", CRASHES));
    let stores = crashes.div_ceil(CRASHES_PER_STORE);
    let mut left = (seed..).take(stores);
    let (mut running, mut all) = (JoinSet::new(), Seen::default());
    loop {
        while running.len() < AT_ONCE
            && let Some(seed) = left.next()
        {
            running.spawn(crash(seed));
        }
        let Some(seen) = running.join_next().await else { break };
        let again = format!("again with REPLYD_TEST_CRASHES={crashes} REPLYD_TEST_SEED={seed}");
        let seen = seen.unwrap_or_else(|error| panic!("{error}\n{again}"));
        all.replies += seen.replies;
        all.under_way += seen.under_way;
        all.repeats += seen.repeats;
        all.repeats_max = all.repeats_max.max(seen.repeats_max);
        all.in_order += seen.in_order;
    }
    assert!(all.under_way > 0, "no kill came between a claim and its record");
    assert!(all.in_order > 0 || stores < 2, "nobody wrote twice");
    figure(
        "`kill -9` between claim, request and record",
        &format!("{} kills, {} replies, seed {seed}", stores * CRASHES_PER_STORE, all.replies),
        &format!(
            "0 lost, 0 second bodies; {} came twice, all of the {} that were under way, at most {} of one \
             kill; 0 of {} overtook what their person had written before",
            all.repeats, all.under_way, all.repeats_max, all.in_order
        ),
    );
}

async fn crash(seed: u64) -> Seen {
    let mut dice = Dice::new(seed);
    // Neighbouring seeds are of either kind.
    let crowd = if seed.is_multiple_of(2) { FEW } else { MANY };
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    let crm = Receiver::start().await;
    crm.take(ANSWER);
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &crm.url)],
        subscriber: &format!("allow_private = true\nconcurrency = {CONCURRENCY}"),
        ..Settings::default()
    });
    let (mut seen, mut told) = (Seen::default(), HashSet::new());
    // Each second one reply, and the last one's is over. Those of the few are of one hour: of hours
    // that a kill leaves owed the newest is read first, and what it brings is told when it is found.
    let latest = now().unix_seconds() - (crowd.replies * CRASHES_PER_STORE) as i64;
    let begin = BeijingTime::from_unix_seconds(latest).hour().start().unix_seconds();
    for _ in 0..CRASHES_PER_STORE {
        for _ in 0..crowd.replies {
            let at = BeijingTime::from_unix_seconds(begin + seen.replies as i64);
            let mobile = format!("139{:08}", seen.replies / crowd.in_a_row % crowd.persons);
            seen.replies += 1;
            gateway.arrive(UID, NewReply::text(&mobile, "好的", at, "1068112227282"));
        }
        let before = crm.webhooks().len();
        let service = home.serve();
        until("the first of them", || crm.webhooks().len() > before).await;
        tokio::time::sleep(Duration::from_millis(dice.below(crowd.life_ms_max))).await;
        service.kill();
        let claimed: String = query(
            &home,
            "SELECT coalesce(group_concat(event.id, ' '), '')
             FROM delivery JOIN event ON seq = event_seq
             WHERE state = 'waiting' AND delivery.id IN (SELECT delivery_id FROM in_hand)",
        );
        let claimed: HashSet<&str> = claimed.split_whitespace().collect();
        seen.under_way += claimed.len();
        // As if the dead process's lease had ended.
        execute(&home, "UPDATE lease SET end_ms = 0");
        let survived = crm.webhooks().len();
        let service = home.serve();
        let open = "delivery WHERE state != 'delivered'";
        until("all", || {
            count(&home, "delivery") as usize == seen.replies && count(&home, open) == 0
        })
        .await;
        assert_eq!(service.stop(), Some(0));
        let webhooks = crm.webhooks();
        told.extend(webhooks.iter().take(survived).map(|webhook| webhook.id().to_owned()));
        let mut repeats = 0;
        for webhook in webhooks.iter().skip(survived) {
            if !told.insert(webhook.id().to_owned()) {
                repeats += 1;
                assert!(claimed.contains(webhook.id()), "{} was not under way", webhook.id());
            }
        }
        assert!(repeats <= UNRECORDED_MAX + CONCURRENCY, "{repeats} came twice");
        seen.repeats += repeats;
        seen.repeats_max = seen.repeats_max.max(repeats);
    }
    seen.in_order = in_order(&crm.webhooks());
    let mut bodies = HashMap::new();
    for webhook in crm.webhooks() {
        let first = bodies.entry(webhook.id().to_owned()).or_insert_with(|| webhook.body.clone());
        assert_eq!(*first, webhook.body, "one id with two bodies");
    }
    assert_eq!(bodies.len(), seen.replies, "lost");
    gateway.stop().await;
    seen
}

/// Each person's replies come for the first time in the order in which they were written; how many
/// came behind another of their person.
fn in_order(webhooks: &[Webhook]) -> usize {
    let (mut told, mut last, mut in_order) = (HashSet::new(), HashMap::new(), 0);
    for webhook in webhooks.iter().filter(|webhook| told.insert(webhook.id().to_owned())) {
        let (mobile, written) = (webhook.field("from"), webhook.field("replied_at"));
        let before = last.insert(mobile.clone(), written.clone());
        let Some(before) = before else { continue };
        assert!(before < written, "{mobile} was overtaken: {written} came behind {before}");
        in_order += 1;
    }
    in_order
}

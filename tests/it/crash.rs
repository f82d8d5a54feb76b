//! `kill -9` between claim, request and record: what was claimed and not recorded when the process
//! died may come again, with the same id and the same bytes, and nothing else does.
//!
//! `REPLYD_TEST_CRASHES` says how many kills there are, and `REPLYD_TEST_SEED` repeats the moments
//! of a run.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use replyd::gateway::simulator::{Habits, NewReply};
use tokio::task::JoinSet;

use crate::chance::{self, Dice, figure};
use crate::intake::count;
use crate::support::{Home, Receiver, Settings, UID, execute, gateway, now, query, until};

/// Kills in CI.
const CRASHES: usize = 20;
/// Kills that one store lives through.
const CRASHES_PER_STORE: usize = 5;
/// Stores that are tried at once.
const AT_ONCE: usize = 4;
/// Replies that wait to be delivered before each kill.
const REPLIES: u64 = 300;
/// How long the receiver takes, so that kills fall between request and record.
const ANSWER: Duration = Duration::from_millis(3);
/// The longest that the service lives once it delivers.
const LIFE_MS_MAX: u64 = 60;

/// What the crashes showed.
#[derive(Default)]
struct Seen {
    replies: usize,
    /// Claimed and not recorded at the kills.
    under_way: usize,
    repeats: usize,
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
    }
    assert!(all.under_way > 0, "no kill came between a claim and its record");
    figure(
        "`kill -9` between claim, request and record",
        &format!("{} kills, {} replies, seed {seed}", stores * CRASHES_PER_STORE, all.replies),
        &format!(
            "0 lost, 0 second bodies; {} came twice, all of the {} that were under way",
            all.repeats, all.under_way
        ),
    );
}

async fn crash(seed: u64) -> Seen {
    let mut dice = Dice::new(seed);
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    let crm = Receiver::start().await;
    crm.take(ANSWER);
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &crm.url)],
        subscriber: "allow_private = true\nconcurrency = 16",
        ..Settings::default()
    });
    let (mut seen, mut told) = (Seen::default(), HashSet::new());
    for _ in 0..CRASHES_PER_STORE {
        let begin = now().unix_ms().before(Duration::from_secs(REPLIES));
        for number in 0..REPLIES {
            let at = begin.after(Duration::from_secs(number)).beijing();
            let mobile = format!("139{:08}", seen.replies);
            seen.replies += 1;
            gateway.arrive(UID, NewReply::text(&mobile, "好的", at, "1068112227282"));
        }
        let before = crm.webhooks().len();
        let service = home.serve();
        until("the first of them", || crm.webhooks().len() > before).await;
        tokio::time::sleep(Duration::from_millis(dice.below(LIFE_MS_MAX))).await;
        service.kill();
        let claimed: String = query(
            &home,
            "SELECT coalesce(group_concat(event.id, ' '), '')
             FROM delivery JOIN event ON seq = event_seq WHERE state = 'sending'",
        );
        let claimed: HashSet<&str> = claimed.split_whitespace().collect();
        seen.under_way += claimed.len();
        // As if the claims of the dead process had ended.
        execute(&home, "UPDATE delivery SET due_ms = 0 WHERE state = 'sending'");
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
        for webhook in webhooks.iter().skip(survived) {
            if !told.insert(webhook.id().to_owned()) {
                seen.repeats += 1;
                assert!(claimed.contains(webhook.id()), "{} was not under way", webhook.id());
            }
        }
    }
    let mut bodies = HashMap::new();
    for webhook in crm.webhooks() {
        let first = bodies.entry(webhook.id().to_owned()).or_insert_with(|| webhook.body.clone());
        assert_eq!(*first, webhook.body, "one id with two bodies");
    }
    assert_eq!(bodies.len(), seen.replies, "lost");
    gateway.stop().await;
    seen
}

//! A fallback takes over: the real binary, a subscriber that is down, and another.

use std::collections::HashMap;
use std::time::Duration;

use replyd::gateway::simulator::{Habits, Simulator};
use serde_json::Value;

use crate::bots::{Bot, Product};
use crate::chance::{self, Dice};
use crate::intake::count;
use crate::pacing::count_or_none;
use crate::support::{
    Home, Receiver, Settings, UID, Webhook, config, ends, gateway, query, reply, subscriber, until,
};

const DONE: &str = "delivery WHERE state IN ('waiting', 'held')";
/// Kills of a service while its fallback takes over.
const KILLS: usize = 4;

struct Stage {
    gateway: Simulator,
    crm: Receiver,
    duty: Receiver,
    home: Home,
}

fn text(gateway: &Simulator, subscribers: &[String]) -> String {
    let base_url = gateway.base_url();
    let settings = Settings { base_url: &base_url, min_interval: "300ms", ..Settings::default() };
    config(&settings) + &subscribers.concat()
}

/// crm, and duty which is nothing but its fallback.
async fn stage(of_crm: &str) -> Stage {
    let habits = Habits { min_interval: Duration::from_millis(300), ..Habits::default() };
    let (gateway, crm, duty) =
        (gateway(habits).await, Receiver::start().await, Receiver::start().await);
    let of_crm = format!("allow_private = true\nfallback = \"duty\"\n{of_crm}");
    let subscribers = [
        subscriber("crm", &crm.url, &of_crm),
        subscriber("duty", &duty.url, "allow_private = true\nevents = []\ntimeout = \"500ms\""),
    ];
    let home = Home::with(&text(&gateway, &subscribers));
    Stage { gateway, crm, duty, home }
}

fn arrive(gateway: &Simulator, numbers: std::ops::Range<usize>) {
    for number in numbers {
        gateway.arrive(UID, reply(&format!("1390000{:04}", number % 17), &format!("={number}=")));
    }
}

/// How often each event was told.
fn times(webhooks: &[Webhook]) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for webhook in webhooks {
        *times.entry(webhook.id().to_owned()).or_default() += 1;
    }
    times
}

async fn done(home: &Home, replies: usize) {
    until("all to be done", || {
        count_or_none(home, "reply") == replies as i64 && count_or_none(home, DONE) == 0
    })
    .await;
}

fn shown(home: &Home, id: i64, lang: &str) -> String {
    ends(home, &["deliveries", "show", &id.to_string(), "--lang", lang], 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_one_that_is_gone_arrives_at_its_fallback_once_and_then_at_it_again() {
    let Stage { gateway, crm, duty, home } = stage("").await;
    crm.answer_with(410, "");
    arrive(&gateway, 0..40);
    let service = home.serve();
    done(&home, 40).await;
    let webhooks = duty.webhooks();
    assert_eq!(webhooks.len(), 40);
    assert_eq!(times(&webhooks).len(), 40);
    let for_whom = |webhook: &Webhook| webhook.headers["replyd-stands-in-for"] == "crm";
    assert!(webhooks.iter().all(for_whom), "{webhooks:?}");
    assert!(webhooks.iter().all(|webhook| webhook.headers["replyd-in-doubt"] == "false"));
    // One person's come in their order, with the bytes that were for crm.
    for person in 0..17 {
        let from = format!("1390000{person:04}");
        let of_person = webhooks.iter().filter(|webhook| webhook.field("from") == from);
        let numbers: Vec<usize> =
            of_person.map(|it| it.field("content").trim_matches('=').parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
    // Somebody enables it: what comes now is its own.
    crm.answer_well();
    crm.answer_with(204, "");
    let refused = crm.webhooks().len();
    ends(&home, &["subscribers", "enable", "crm"], 0);
    arrive(&gateway, 40..60);
    done(&home, 60).await;
    assert_eq!((crm.webhooks().len() - refused, duty.webhooks().len()), (20, 40));
    assert_eq!(service.stop(), Some(0));
    let log = home.log();
    assert!(
        log.contains("taken over by its fallback") && log.contains("fallback=\"duty\""),
        "{log}"
    );
    // Both ends tell of the other.
    let first: i64 = query(
        &home,
        "SELECT id FROM delivery WHERE subscriber = 'crm' AND state = 'cancelled' LIMIT 1",
    );
    let second: i64 =
        query(&home, &format!("SELECT id FROM delivery WHERE stands_in_for = {first}"));
    for (id, lang, words) in [
        (first, "en", format!("taken over by  the fallback duty: delivery {second}")),
        (first, "zh", format!("备用订阅方 duty：投递 {second}")),
        (second, "en", format!("delivery {first} to crm, which is down")),
        (second, "zh", format!("投递 {first}（crm 不可用）")),
    ] {
        let shown = shown(&home, id, lang);
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(&words.replace("  ", " ")), "{words}: {shown}");
    }
    let list = ends(
        &home,
        &["deliveries", "list", "--subscriber", "crm", "--state", "cancelled", "--json"],
        0,
    );
    let one: Value = serde_json::from_str(list.lines().next().unwrap()).unwrap();
    assert_eq!(one["taken_over_by"]["subscriber"], "duty");
    let list = ends(&home, &["deliveries", "list", "--subscriber", "duty", "--limit", "1"], 0);
    assert!(list.contains("for crm"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_may_have_is_told_to_the_fallback_in_doubt_and_never_a_third_time() {
    // Nothing but failures for a millisecond is as good as for days.
    let Stage { gateway, crm, duty, home } =
        stage("timeout = \"150ms\"\ndisable_after = \"1ms\"").await;
    crm.take(Duration::from_secs(3));
    arrive(&gateway, 0..3);
    let service = home.serve();
    done(&home, 3).await;
    assert_eq!(service.stop(), Some(0));
    let (first, second) = (times(&crm.webhooks()), times(&duty.webhooks()));
    assert!(second.len() == 3 && second.values().all(|times| *times == 1), "{second:?}");
    for webhook in duty.webhooks() {
        let may_have = first.contains_key(webhook.id());
        assert_eq!(webhook.headers["replyd-in-doubt"], may_have.to_string());
    }
    assert!(!first.is_empty(), "crm had none");
    let in_doubt = "SELECT id FROM delivery WHERE in_doubt = 1 LIMIT 1";
    let en = shown(&home, query(&home, in_doubt), "en");
    assert!(en.contains("so crm may have it already"), "{en}");
    let in_doubt = "SELECT stands_in_for FROM delivery WHERE in_doubt = 1 LIMIT 1";
    let zh = shown(&home, query(&home, in_doubt), "zh");
    assert!(zh.contains("两边可能都收到"), "{zh}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_says_for_whom_it_is_told_and_what_it_gets_itself_comes_once() {
    let habits = Habits { min_interval: Duration::from_millis(300), ..Habits::default() };
    let (gateway, crm, duty) =
        (gateway(habits).await, Receiver::start().await, Bot::start(Product::WeCom).await);
    let of_duty = "match = { content = \"both\" }\nmask = true\nrate_limit = \"\"";
    let subscribers = [
        subscriber("crm", &crm.url, "allow_private = true\nenabled = false\nfallback = \"duty\""),
        duty.subscription("duty", of_duty),
    ];
    let home = Home::with(&text(&gateway, &subscribers));
    gateway.arrive(UID, reply("13900000001", "both"));
    gateway.arrive(UID, reply("13900000002", "other"));
    // It needs no service that stays.
    ends(&home, &["run", "--once"], 0);
    let mut texts = duty.texts();
    texts.sort_by_key(|text| !text.contains("both"));
    let [own, taken_over] = &texts[..] else { panic!("{texts:?}") };
    assert!(own.contains("both") && !own.contains("crm"), "{own}");
    assert!(
        taken_over.contains("other") && taken_over.ends_with("（代 crm 接收）"),
        "{taken_over}"
    );
    assert!(taken_over.contains("139****0002"), "{taken_over}");
    // What the fallback gets by itself waits for the one that is down: it is its own there.
    assert_eq!(count(&home, "delivery WHERE subscriber = 'crm' AND state = 'waiting'"), 1);
    ends(&home, &["run", "--once"], 0);
    assert_eq!(duty.texts().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_while_it_takes_over_loses_nothing_and_moves_nothing_twice() {
    let Stage { gateway, crm, duty, home } = stage("").await;
    let mut dice = Dice::new(chance::seed());
    ends(&home, &["run", "--once"], 0);
    let output = home.run(&["subscribers", "disable", "crm", "--lang", "en"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("its fallback duty takes over what waits"), "{told}");
    let mut arrived = 0;
    for _ in 0..KILLS {
        // Two at once, of which both take over.
        let services = [home.serve(), home.serve()];
        arrive(&gateway, arrived..arrived + 60);
        arrived += 60;
        let before = duty.webhooks().len();
        until("something at the fallback", || duty.webhooks().len() > before).await;
        tokio::time::sleep(Duration::from_millis(dice.below(60))).await;
        for service in services {
            service.kill();
        }
    }
    let service = home.serve();
    done(&home, arrived).await;
    assert_eq!(service.stop(), Some(0));
    let told = times(&duty.webhooks());
    assert_eq!((told.len(), crm.webhooks().len()), (arrived, 0));
    // Of each there is one at either.
    let twice = "(SELECT 1 FROM delivery GROUP BY subscriber, event_seq HAVING count(*) > 1)";
    assert_eq!(count(&home, twice), 0);
    assert_eq!(
        count(&home, "delivery WHERE subscriber = 'crm' AND state = 'cancelled'"),
        arrived as i64
    );
    // What was under way when they were killed, eight of each, came again.
    let repeats = duty.webhooks().len() - arrived;
    assert!(repeats <= KILLS * 2 * 8, "{repeats} came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_who_takes_over_and_what_is_not_taken_over() {
    let Stage { gateway, crm, duty, home } = stage("").await;
    let checked = ends(&home, &["check"], 0);
    assert!(checked.contains("subscriber  crm: 127.0.0.1, else duty"), "{checked}");
    let both = [
        subscriber("crm", &crm.url, "allow_private = true\nenabled = false\nfallback = \"duty\""),
        subscriber("duty", &duty.url, "allow_private = true"),
    ];
    home.write("config.toml", &text(&gateway, &both));
    let output = home.run(&["check"]);
    let (out, told) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (out, told) = (out.unwrap(), told.unwrap());
    assert!(out.contains("crm: 127.0.0.1, disabled: duty takes over"), "{out}");
    assert!(
        told.contains("\"duty\" is the fallback of \"crm\" and gets replies of its own"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_is_refused_and_so_is_one_that_gets_nothing() {
    let Stage { gateway, crm, duty, home } = stage("").await;
    let wrong = [
        subscriber("crm", &crm.url, "allow_private = true\nfallback = \"duty\""),
        subscriber("duty", &duty.url, "allow_private = true\nfallback = \"crm\""),
        subscriber("lone", &duty.url, "allow_private = true\nevents = []"),
    ];
    home.write("config.toml", &text(&gateway, &wrong));
    let output = home.run(&["check"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(told.contains("leads back to the subscriber itself: crm → duty → crm"), "{told}");
    assert!(
        told.contains("may be empty only where the subscriber is another's fallback"),
        "{told}"
    );
}

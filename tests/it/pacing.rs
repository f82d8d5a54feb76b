//! How a subscriber is sent to: in order, at its rate, and not at all when it wants no more.

use std::time::Duration;

use replyd::gateway::simulator::{Habits, NewReply, Simulator};

use crate::intake::count;
use crate::support::{
    Home, Receiver, Settings, UID, config, ends, execute, gateway, now, query, reply, subscriber,
    until,
};

const NUMBER: &str = "1068112227282";

async fn a_gateway() -> Simulator {
    gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await
}

/// A home whose subscriber `crm` has these further keys.
fn home(gateway: &Simulator, crm: &Receiver, further: &str) -> Home {
    let base_url = gateway.base_url();
    let text = config(&Settings { base_url: &base_url, ..Settings::default() });
    Home::with(&(text + &subscriber("crm", &crm.url, &format!("allow_private = true\n{further}"))))
}

/// The same, with waits that no test lives through.
fn patient_home(gateway: &Simulator, crm: &Receiver, further: &str) -> Home {
    let home = home(gateway, crm, further);
    let text = std::fs::read_to_string(home.path("config.toml")).unwrap();
    let patient = text.replace("retry = [\"50ms\"]", "retry = [\"1h\"]");
    assert_ne!(patient, text);
    home.write("config.toml", &patient);
    home
}

/// So many replies, a second apart, by as many people.
fn arrive(gateway: &Simulator, people: u64, replies: u64) {
    let begin = now().unix_ms().before(Duration::from_secs(replies));
    for number in 0..replies {
        let at = begin.after(Duration::from_secs(number)).beijing();
        let mobile = format!("1390000{:04}", number % people);
        gateway.arrive(UID, NewReply::text(&mobile, &format!("{number}"), at, NUMBER));
    }
}

fn contents(receiver: &Receiver) -> Vec<u64> {
    receiver.webhooks().iter().map(|webhook| webhook.field("content").parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_persons_replies_come_in_order_one_at_a_time() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    // Some fail on the way and are tried again: nothing overtakes them.
    crm.answer_next(&[500, 204, 503, 500, 204, 204, 500]);
    let home = home(&gateway, &crm, "concurrency = 64");
    arrive(&gateway, 1, 60);
    let service = home.serve();
    until("all", || count_or_none(&home, "delivery WHERE state = 'delivered'") == 60).await;
    assert_eq!(service.stop(), Some(0));
    let mut told = contents(&crm);
    told.dedup();
    assert_eq!(told, (0..60).collect::<Vec<_>>());
    assert_eq!(crm.webhooks().len(), 64);
}

pub(crate) fn count_or_none(home: &Home, rows: &str) -> i64 {
    if home.path("replyd.db").exists() && home.log().contains("replyd runs") {
        count(home, rows)
    } else {
        0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_order_a_failing_one_holds_nobody() {
    for (order, expected) in [("mobile", vec![0, 0]), ("none", vec![0, 1])] {
        let (gateway, crm) = (a_gateway().await, Receiver::start().await);
        crm.answer_next(&[500]);
        let home = home(&gateway, &crm, &format!("concurrency = 1\norder = \"{order}\""));
        arrive(&gateway, 1, 2);
        let service = home.serve();
        let first: Vec<u64> = {
            crm.wait_for(3).await;
            contents(&crm).into_iter().take(2).collect()
        };
        assert_eq!(service.stop(), Some(0));
        assert_eq!(first, expected, "{order}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_kept_and_used() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    let home = home(&gateway, &crm, "rate_limit = \"20/s\"\nconcurrency = 64");
    arrive(&gateway, 1_000, 60);
    let service = home.serve();
    until("all", || count_or_none(&home, "delivery WHERE state = 'delivered'") == 60).await;
    assert_eq!(service.stop(), Some(0));
    // By when they were begun: how long they took on the way is not ours.
    let most: i64 = query(
        &home,
        "SELECT max(n) FROM (SELECT (SELECT count(*) FROM attempt AS b
             WHERE b.started_ms >= a.started_ms AND b.started_ms < a.started_ms + 950) AS n FROM attempt AS a)",
    );
    assert!(most <= 20, "{most} in one second");
    assert!(most > 2, "{most} in one second: the limit is not used");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_are_under_way_than_may_be() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    crm.take(Duration::from_millis(30));
    let home = home(&gateway, &crm, "concurrency = 3");
    arrive(&gateway, 1_000, 40);
    let service = home.serve();
    until("all", || count_or_none(&home, "delivery WHERE state = 'delivered'") == 40).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(crm.most_at_once(), 3);
}

/// What `crm` answers, what else it says, and why it is then disabled.
async fn is_disabled_by(status: u16, header: Option<&str>, why: &str, delivered: i64) {
    let (gateway, crm, ops) = (a_gateway().await, Receiver::start().await, Receiver::start().await);
    crm.answer_next(&[status; 20]);
    if let Some(header) = header {
        crm.say("webhook-delivery", header);
    }
    let home = home(&gateway, &crm, "concurrency = 1");
    let text = std::fs::read_to_string(home.path("config.toml")).unwrap();
    let of_ops = "allow_private = true\nevents = [\"subscriber.disabled\"]";
    home.write("config.toml", &(text + &subscriber("ops", &ops.url, of_ops)));
    arrive(&gateway, 10, 10);
    let service = home.serve();
    let told = ops.wait_for(1).await;
    assert_eq!(told[0].json()["type"], "subscriber.disabled");
    assert_eq!(told[0].json()["data"]["subscriber"], "crm");
    assert_eq!(told[0].json()["data"]["reason"], why);
    let disabled = "SELECT disabled_why FROM subscriber WHERE name = 'crm'";
    assert_eq!(query::<String>(&home, disabled), why);
    // It is asked no more, and keeps what it has not got.
    let asked = crm.webhooks().len();
    gateway.arrive(UID, reply("13900000099", "99"));
    until("the next reply", || count(&home, "reply") == 11).await;
    let waiting = "delivery WHERE subscriber = 'crm' AND state = 'waiting'";
    until("all to wait", || count(&home, waiting) == 11 - delivered).await;
    assert_eq!(crm.webhooks().len(), asked);
    // Enabled again, it gets everything, in order.
    crm.answer_well();
    execute(
        &home,
        "UPDATE subscriber SET disabled_why = NULL, disabled_ms = NULL, failing_since_ms = NULL",
    );
    let all = "delivery WHERE subscriber = 'crm' AND state = 'delivered'";
    until("the rest", || count(&home, all) == 11).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(ops.webhooks().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_or_asks_for_it_is_disabled_and_loses_nothing() {
    is_disabled_by(410, None, "gone", 0).await;
    is_disabled_by(500, Some("disable"), "asked", 0).await;
    is_disabled_by(200, Some("disable"), "asked", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_receiver_aborts_is_not_sent_again() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    crm.answer_next(&[422]);
    crm.say("webhook-delivery", "abort-message");
    let home = home(&gateway, &crm, "concurrency = 1");
    arrive(&gateway, 1, 3);
    let service = home.serve();
    until("the others", || count_or_none(&home, "delivery WHERE state = 'delivered'") == 2).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(contents(&crm), [0, 1, 2]);
    assert_eq!(count(&home, "delivery WHERE state = 'failed' AND attempts = 1"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_failures_is_told_of_and_then_disables() {
    let (gateway, crm, ops) = (a_gateway().await, Receiver::start().await, Receiver::start().await);
    crm.answer_next(&[500; 1000]);
    let home = home(&gateway, &crm, "disable_after = \"3s\"");
    let text = std::fs::read_to_string(home.path("config.toml")).unwrap();
    let of_ops = "allow_private = true\nevents = [\"subscriber.failing\", \"subscriber.disabled\"]";
    home.write("config.toml", &(text + &subscriber("ops", &ops.url, of_ops)));
    arrive(&gateway, 1, 1);
    let service = home.serve();
    let told = ops.wait_for(2).await;
    assert_eq!(told[0].json()["type"], "subscriber.failing");
    assert_eq!(told[1].json()["type"], "subscriber.disabled");
    assert_eq!(told[1].json()["data"]["reason"], "failing");
    assert_eq!(service.stop(), Some(0));
    assert_eq!(count(&home, "delivery WHERE subscriber = 'crm' AND state = 'waiting'"), 1);
    assert_eq!(crm.webhooks().iter().filter(|webhook| webhook.id().starts_with("evt_")).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_sounded_out_by_few_requests_and_ends_well() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    crm.answer_next(&[500; 10_000]);
    let home = home(&gateway, &crm, "concurrency = 8");
    arrive(&gateway, 1_000, 100);
    let service = home.serve();
    // Each failure is due again after 50 ms: by that alone it were thousands.
    let outage = "SELECT coalesce(max(started_ms) - min(started_ms), 0) FROM attempt";
    until("some seconds of it", || {
        count_or_none(&home, "attempt") > 0 && query::<i64>(&home, outage) > 3_000
    })
    .await;
    let asked = count(&home, "attempt");
    assert!(asked < 60, "asked {asked} times");
    crm.answer_well();
    let delivered = "delivery WHERE state = 'delivered'";
    until("all", || count(&home, delivered) == 100).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(query::<String>(&home, "SELECT coalesce(disabled_why, 'on') FROM subscriber"), "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_throttled_waits_as_a_whole() {
    // Also where the delivery's own wait is far longer than what is asked for.
    for (status, patient, delivered) in [(429, false, 20), (429, true, 19), (503, true, 19)] {
        let (gateway, crm) = (a_gateway().await, Receiver::start().await);
        crm.answer_next(&[status]);
        crm.ask_to_wait("2");
        let home = if patient { patient_home } else { home };
        let home = home(&gateway, &crm, "concurrency = 1");
        arrive(&gateway, 1_000, 20);
        let service = home.serve();
        let done = "delivery WHERE state = 'delivered'";
        until("all", || count_or_none(&home, done) == delivered).await;
        assert_eq!(service.stop(), Some(0));
        let pause: i64 = query(
            &home,
            &format!(
                "SELECT min(started_ms) - (SELECT max(started_ms + duration_ms) FROM attempt WHERE http_status = {status})
                 FROM attempt WHERE http_status != {status}"
            ),
        );
        assert!(pause >= 1_990, "{status}: another one went out after {pause} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_goes_first_when_its_subscriber_is_enabled_again() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    crm.answer_next(&[500]);
    let home = patient_home(&gateway, &crm, "");
    arrive(&gateway, 1, 1);
    ends(&home, &["run", "--once"], 1);
    ends(&home, &["subscribers", "disable", "crm"], 0);
    gateway.arrive(UID, reply("13900000000", "1"));
    ends(&home, &["run", "--once"], 0);
    assert_eq!(contents(&crm), [0]);
    ends(&home, &["subscribers", "enable", "crm"], 0);
    ends(&home, &["run", "--once"], 0);
    assert_eq!(contents(&crm), [0, 0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_in_which_nothing_was_tried_disables_nobody() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    crm.answer_next(&[500]);
    let home = home(&gateway, &crm, "disable_after = \"50ms\"");
    arrive(&gateway, 1, 1);
    ends(&home, &["run", "--once"], 1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    ends(&home, &["run", "--once"], 0);
    assert_eq!(contents(&crm), [0, 0]);
    assert_eq!(query::<String>(&home, "SELECT coalesce(disabled_why, 'on') FROM subscriber"), "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_is_off_or_absent_keeps_what_waits() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    let home = home(&gateway, &crm, "enabled = false\ngive_up = \"1ms\"");
    arrive(&gateway, 1, 5);
    ends(&home, &["run", "--once"], 0);
    let waiting = "delivery WHERE subscriber = 'crm' AND state = 'waiting'";
    assert_eq!((count(&home, waiting), crm.webhooks().len()), (5, 0));
    let base_url = gateway.base_url();
    let text = config(&Settings { base_url: &base_url, ..Settings::default() });
    home.write("config.toml", &text);
    ends(&home, &["run", "--once"], 0);
    assert_eq!((count(&home, waiting), crm.webhooks().len()), (5, 0));
    assert_eq!(count(&home, "subscriber WHERE absent"), 1);
    home.write("config.toml", &(text + &subscriber("crm", &crm.url, "allow_private = true")));
    ends(&home, &["run", "--once"], 0);
    assert_eq!(contents(&crm), [0, 1, 2, 3, 4]);
    assert!(query::<i64>(&home, "SELECT resumed_ms FROM subscriber") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_heeds_disable_and_enable() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    let home = home(&gateway, &crm, "");
    let service = home.serve();
    arrive(&gateway, 1, 1);
    crm.wait_for(1).await;
    ends(&home, &["subscribers", "disable", "crm"], 0);
    // Whatever was claimed before it was disabled is given back within a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    arrive(&gateway, 1, 3);
    let waiting = "delivery WHERE state = 'waiting'";
    until("what waits", || count(&home, waiting) == 3).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((crm.webhooks().len(), count(&home, waiting)), (1, 3));
    ends(&home, &["subscribers", "enable", "crm"], 0);
    let enabled = now().unix_ms();
    crm.wait_for(4).await;
    // It looks at the store every second; left to itself a worker rests for a minute.
    let first: i64 = query(&home, "SELECT min(started_ms) FROM attempt WHERE delivery_id > 1");
    assert!(first - enabled.0 < 30_000, "{} ms", first - enabled.0);
    assert_eq!(service.stop(), Some(0));
}

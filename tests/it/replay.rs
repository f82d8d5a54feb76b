//! `replay`: an hour's replies again, under the ids that they have.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use replyd::gateway::simulator::{Habits, NewReply, Simulator};
use serde_json::{Value, json};

use crate::support::{
    Home, Receiver, SECRET, Settings, UID, Webhook, ends, gateway, query, stderr, until,
};

/// Two replies of the hour that is replayed, and one of the next.
const REPLIES: [(&str, &str); 3] = [
    ("13900000001", "2008-05-27 12:00:00"),
    ("13900000002", "2008-05-27 12:59:59"),
    ("13900000003", "2008-05-27 13:00:00"),
];
const HOUR: &str = "2008-05-27_12";
/// Far more than the second that it should take, far less than the minute of a worker at rest.
const NOTICED_MAX: Duration = Duration::from_secs(20);

struct Stage {
    _gateway: Simulator,
    crm: Receiver,
    erp: Receiver,
    home: Home,
}

/// Both subscribers have been told every reply.
async fn stage() -> Stage {
    let (gateway, crm, erp) =
        (gateway(Habits::default()).await, Receiver::start().await, Receiver::start().await);
    for (mobile, time) in REPLIES {
        gateway.arrive(UID, NewReply::text(mobile, "回复", time.parse().unwrap(), "1069"));
    }
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &crm.url), ("erp", &erp.url)],
        min_interval: "10m",
        ..Settings::default()
    });
    ends(&home, &["run", "--once"], 0);
    assert_eq!((crm.webhooks().len(), erp.webhooks().len()), (3, 3));
    Stage { _gateway: gateway, crm, erp, home }
}

/// The webhooks of a replay, each of which must be one that was told before, signed anew.
#[track_caller]
fn check_replayed(webhooks: &[Webhook], mobiles: &[&str]) {
    let (first, again) = webhooks.split_at(REPLIES.len());
    let replayed: BTreeSet<String> = again.iter().map(|webhook| webhook.field("from")).collect();
    assert_eq!(replayed.iter().map(String::as_str).collect::<Vec<_>>(), mobiles);
    assert_eq!(again.len(), mobiles.len());
    for webhook in again {
        let before = first.iter().find(|before| before.id() == webhook.id()).unwrap();
        assert_eq!(before.body, webhook.body);
        assert_eq!(before.headers["replyd-trigger"], "auto");
        assert_eq!(webhook.headers["replyd-trigger"], "replay");
        assert_eq!(webhook.headers["replyd-attempt"], "1");
        webhook.verify(SECRET);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_needs_a_store_and_makes_none() {
    let home = Home::new(&Settings::default());
    let output = home.run(&["replay", HOUR]);
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("no store at"), "{}", stderr(&output));
    assert!(!home.path("replyd.db").exists(), "replay made a store");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_is_replayed_with_the_same_ids_and_bytes() {
    let Stage { crm, erp, home, .. } = stage().await;
    let out = ends(&home, &["replay", HOUR], 0);
    assert!(out.contains("2008-05-27_12: 2 replies"), "{out}");
    assert!(out.contains("crm: 2 will be") && out.contains("erp: 2 will be"), "{out}");
    ends(&home, &["run", "--once"], 0);
    for receiver in [&crm, &erp] {
        check_replayed(&receiver.webhooks(), &["13900000001", "13900000002"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_named_subscriber_is_told_again() {
    let Stage { crm, erp, home, .. } = stage().await;
    let arguments = ["replay", "2008-05-27_13", "--subscriber", "erp", "--json"];
    let replayed: Value = serde_json::from_str(&ends(&home, &arguments, 0)).unwrap();
    let expected = json!({
        "hour": "2008-05-27_13", "dry_run": false, "replies": 1, "deliveries": { "erp": 1 },
    });
    assert_eq!(replayed, expected);
    ends(&home, &["run", "--once"], 0);
    check_replayed(&erp.webhooks(), &["13900000003"]);
    check_replayed(&crm.webhooks(), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_and_makes_nothing() {
    let Stage { crm, erp, home, .. } = stage().await;
    let deliveries = || query::<i64>(&home, "SELECT count(*) FROM delivery");
    assert_eq!(deliveries(), 6);
    let out = ends(&home, &["replay", HOUR, "--dry-run"], 0);
    assert!(out.contains("crm: 2 would be") && out.contains("erp: 2 would be"), "{out}");
    let empty = ends(&home, &["replay", "2008-05-27_11", "--dry-run", "--json"], 0);
    assert!(empty.contains(r#""replies":0"#), "{empty}");
    assert_eq!(deliveries(), 6);
    ends(&home, &["run", "--once"], 0);
    assert_eq!((crm.webhooks().len(), erp.webhooks().len()), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_no_hour_is_refused() {
    let Stage { home, .. } = stage().await;
    for (arguments, expected, words) in [
        (&["replay", HOUR, "--subscriber", "nobody"][..], 66, "no subscriber \"nobody\""),
        (&["replay", HOUR, "--account", "nobody"], 66, "no account \"nobody\""),
        (&["replay", "2008-05-27_24"], 2, "2008-05-27_24"),
        (&["replay", "2008-05-27 12"], 2, "2008-05-27 12"),
        (&["replay", "yesterday"], 2, "yesterday"),
    ] {
        let output = home.run(arguments);
        assert_eq!(output.status.code(), Some(expected), "{arguments:?}");
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    // Configured, and not in the store before the next run.
    let config = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &config.replace("name = \"erp\"", "name = \"bi\""));
    let output = home.run(&["replay", HOUR]);
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("\"bi\" is not in the store yet"), "{}", stderr(&output));
    assert_eq!(query::<i64>(&home, "SELECT count(*) FROM delivery"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_sends_what_a_replay_beside_it_made() {
    let Stage { crm, home, .. } = stage().await;
    let service = home.serve();
    // The service is up and has nothing to send: all it can notice is what others write.
    until("the service", || home.log().contains("replyd runs")).await;
    ends(&home, &["replay", HOUR, "--subscriber", "crm"], 0);
    let replayed = Instant::now();
    check_replayed(&crm.wait_for(5).await, &["13900000001", "13900000002"]);
    // It notices within a second. Without that, a worker looks for itself once a minute.
    assert!(replayed.elapsed() < NOTICED_MAX, "noticed only after {:?}", replayed.elapsed());
    assert_eq!(service.stop(), Some(0));
}

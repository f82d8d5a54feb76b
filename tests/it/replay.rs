//! `replay`: an hour's replies again, under the ids that they have.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use replyd::gateway::simulator::{Fault, Habits, NewReply, Simulator};
use replyd::gateway::status::Status;
use serde_json::{Value, json};

use crate::support::{
    Home, Receiver, SECRET, Settings, UID, Webhook, ends, execute, gateway, query, stderr, until,
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
        "hour": "2008-05-27_13", "to": null, "only": null, "as_new": false, "dry_run": false, "refetched": null,
        "replies": 1, "deliveries": { "erp": 1 }, "jobs": [{ "job": 1, "state": "done" }],
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
    assert!(empty.contains(r#""replies":0"#) && empty.contains(r#""jobs":[]"#), "{empty}");
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
        (&["replay", HOUR, "--to", "2008-05-27_11"], 2, "out of order"),
        (&["replay", HOUR, "--to", "2008-08-01_00", "--refetch"], 2, "62 days"),
        (&["replay", "2998-05-27_12"], 2, "has not begun"),
        (&["replay", HOUR, "--to", "2998-05-27_12"], 2, "has not begun"),
        (&["replay", HOUR, "--only", "lost"], 2, "missing"),
        (&["replay", HOUR, "--wait", "10m"], 2, "--refetch"),
        (&["replay", HOUR, "--refetch", "--wait", "10"], 2, "a duration like"),
        (&["replay", HOUR, "--refetch", "--dry-run"], 2, "cannot be used with"),
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

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_replayed_with_both_its_ends() {
    let Stage { crm, home, .. } = stage().await;
    // A range may be as long as there have been replies.
    let years = ["replay", "2001-01-01_00", "--to", "2026-01-01_00", "--dry-run"];
    assert!(ends(&home, &years, 0).contains("erp: 3 would be"));
    let arguments = ["replay", HOUR, "--to", "2008-05-27_13", "--subscriber", "crm"];
    let out = ends(&home, &arguments, 0);
    assert!(out.contains("2008-05-27_12 to 2008-05-27_13: 3 replies"), "{out}");
    assert!(out.contains("crm: 3 will be") && !out.contains("erp"), "{out}");
    // Where there is nothing to look at there is no job.
    ends(&home, &["replay", "2008-05-27_14"], 0);
    assert_eq!(query::<i64>(&home, "SELECT count(*) FROM replay_job"), 1);
    ends(&home, &["run", "--once"], 0);
    check_replayed(&crm.webhooks(), &["13900000001", "13900000002", "13900000003"]);
}

/// How many replies of the hour a replay to crm would deliver.
fn chosen(home: &Home, only: &str) -> Value {
    let arguments = ["replay", HOUR, "--subscriber", "crm", "--only", only, "--dry-run", "--json"];
    let replayed: Value = serde_json::from_str(&ends(home, &arguments, 0)).unwrap();
    assert_eq!((&replayed["only"], &replayed["replies"]), (&json!(only), &json!(2)));
    replayed["deliveries"]["crm"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_subscriber_lacks_is_replayed() {
    let Stage { crm, home, .. } = stage().await;
    let of = "subscriber = 'crm' AND event_seq = (SELECT event.seq FROM event JOIN reply USING (id)
              WHERE event.mobile = '13900000001')";
    assert_eq!((chosen(&home, "missing"), chosen(&home, "failed")), (json!(0), json!(0)));
    for (state, missing, failed) in [("failed", 1, 1), ("cancelled", 1, 0), ("waiting", 0, 0)] {
        execute(&home, &format!("UPDATE delivery SET state = '{state}' WHERE {of}"));
        let found = (chosen(&home, "missing"), chosen(&home, "failed"));
        assert_eq!(found, (json!(missing), json!(failed)), "{state}");
    }
    // Another subscriber's delivery is none to this one.
    execute(&home, &format!("DELETE FROM attempt; DELETE FROM delivery WHERE {of}"));
    assert_eq!((chosen(&home, "missing"), chosen(&home, "failed")), (json!(1), json!(0)));
    let out = ends(&home, &["replay", HOUR, "--only", "missing"], 0);
    assert!(out.contains("crm: 1 will be") && out.contains("erp: 0 will be"), "{out}");
    assert_eq!(chosen(&home, "missing"), json!(0), "one that waits is not missing");
    ends(&home, &["run", "--once"], 0);
    check_replayed(&crm.webhooks(), &["13900000001"]);
}

/// The same, on a gateway that may be asked again at once, with a reply of the hour that only a
/// read by hour brings: another reader took it out of the box.
async fn refetch_stage(interval: &str) -> Stage {
    let mut stage = stage().await;
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    for (mobile, time) in REPLIES.into_iter().chain([("13900000009", "2008-05-27 12:30:00")]) {
        gateway.arrive(UID, NewReply::text(mobile, "回复", time.parse().unwrap(), "1069"));
    }
    stage.home.configure(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &stage.crm.url), ("erp", &stage.erp.url)],
        min_interval: interval,
        ..Settings::default()
    });
    execute(&stage.home, "UPDATE account SET slot_boot = NULL");
    stage._gateway = gateway;
    stage
}

fn refetched(home: &Home, arguments: &[&str], expected: i32) -> Value {
    let arguments = [&["replay", HOUR, "--refetch", "--json"], arguments].concat();
    serde_json::from_str(&ends(home, &arguments, expected)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refetched_hour_says_what_was_new_and_delivers_each_reply_once() {
    let Stage { crm, erp, home, .. } = refetch_stage("10m").await;
    let replayed = refetched(&home, &[], 0);
    let expected = json!([{
        "account": "main", "hour": HOUR, "read": 2, "verdict": "proven", "reason": null, "status": 100,
        "http_status": 200, "error": null, "records": 3, "faults": 0, "new": 1, "known": 2, "missing": 0,
    }]);
    assert_eq!(replayed["refetched"], expected);
    // The new one goes out by its own delivery.
    assert_eq!(
        (&replayed["replies"], &replayed["deliveries"]),
        (&json!(3), &json!({ "crm": 2, "erp": 2 }))
    );
    ends(&home, &["run", "--once"], 0);
    for receiver in [&crm, &erp] {
        let webhooks = receiver.webhooks();
        assert_eq!(webhooks.len(), 6);
        let new: Vec<&Webhook> =
            webhooks.iter().filter(|webhook| webhook.field("from") == "13900000009").collect();
        assert_eq!(new.len(), 1, "the new reply was told twice");
        assert_eq!(new[0].headers["replyd-trigger"], "auto");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_reply_that_the_gateway_lacks_is_said_to_be_missing() {
    let Stage { home, _gateway: gateway, .. } = refetch_stage("1ms").await;
    gateway.fault_next(Fault::Answer {
        http_status: 200,
        content_type: "text/plain".to_owned(),
        body: b"100".to_vec(),
    });
    let out = ends(&home, &["replay", HOUR, "--refetch"], 0);
    assert!(out.starts_with("2008-05-27_12 main: 0 new, 0 known, 2 missing\n"), "{out}");
    assert!(out.contains("2008-05-27_12: 2 replies") && out.contains("crm: 2 will be"), "{out}");
    // What waits already is not sent twice.
    let out = ends(&home, &["replay", HOUR, "--refetch", "--subscriber", "crm"], 0);
    assert!(out.contains("1 new, 2 known, 0 missing") && out.contains("crm: 0 will be"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refetch_obeys_the_slot_and_waits_for_it_only_when_told() {
    let Stage { home, _gateway: gateway, .. } = refetch_stage("10m").await;
    let deliveries =
        || query::<i64>(&home, "SELECT count(*) FROM delivery WHERE trigger = 'replay'");
    let replayed = refetched(&home, &["--to", "2008-05-27_13"], 75);
    assert_eq!(replayed["refetched"][0]["new"], 1);
    assert_eq!(replayed["refetched"][1]["verdict"], "not_now");
    assert!(
        replayed["refetched"][1]["next_at"].as_str().unwrap().ends_with("+08:00"),
        "{replayed}"
    );
    // The hour that was read is delivered; the one that was not is left.
    assert_eq!((&replayed["replies"], deliveries()), (&json!(3), 4));
    let output = home.run(&["replay", HOUR, "--refetch", "--wait", "1s"]);
    assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
    assert!(stderr(&output).contains("nothing is delivered"), "{}", stderr(&output));
    assert_eq!(
        (gateway.requests().len(), deliveries()),
        (1, 4),
        "it asked, or delivered, all the same"
    );
    // Two slots of a moment each.
    let Stage { home, _gateway: gateway, .. } = refetch_stage("300ms").await;
    let output = home.run(&["replay", HOUR, "--to", "2008-05-27_14", "--refetch", "--wait", "60s"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("waits for the gateway's slot"), "{}", stderr(&output));
    assert!(!stderr(&output).contains('\r'), "progress where there is no terminal");
    assert_eq!(gateway.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_with_a_refetch_is_its_exit_and_the_hour_is_delivered_all_the_same() {
    let Stage { home, _gateway: gateway, .. } = refetch_stage("1ms").await;
    gateway.fault_next(Fault::CutBody { after: 60 });
    let replayed = refetched(&home, &["--subscriber", "crm"], 1);
    let found = &replayed["refetched"][0];
    assert_eq!((&found["verdict"], &found["reason"]), (&json!("doubtful"), &json!("cut")));
    assert_eq!(replayed["deliveries"]["crm"], 2);
    gateway.set_status(UID, Some(Status::LOGIN_FAILED));
    let replayed = refetched(&home, &["--subscriber", "erp", "--to", "2008-05-27_13"], 77);
    assert_eq!(replayed["refetched"].as_array().unwrap().len(), 1, "a refused login was repeated");
    assert_eq!(replayed["refetched"][0]["reason"], "login_failed");
    let Stage { home, _gateway: gateway, .. } = refetch_stage("1ms").await;
    gateway.stop().await;
    let out = ends(&home, &["replay", HOUR, "--refetch"], 69);
    assert!(out.contains("doubtful (never_answered)") && out.contains("crm: 2 will be"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refetch_reads_nothing_where_no_store_or_account_is() {
    let gateway = gateway(Habits::default()).await;
    let crm = Receiver::start().await;
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &crm.url)],
        ..Settings::default()
    });
    let output = home.run(&["replay", HOUR, "--refetch"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(!home.path("replyd.db").exists(), "replay made a store");
    ends(&home, &["run", "--once"], 0);
    let config = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &config.replace("name = \"main\"", "name = \"other\""));
    let output = home.run(&["replay", HOUR, "--refetch"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("\"other\" is not in the store yet"), "{}", stderr(&output));
    assert_eq!(gateway.requests().len(), 1);
}

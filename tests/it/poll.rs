//! `poll`: one read by hand, and all the ways in which it is refused.

use std::time::Duration;

use replyd::clock::Clock;
use replyd::gateway::simulator::{Asked, Fault, Habits, Simulator};
use replyd::gateway::status::Status;
use serde_json::{Value, json};

use crate::support::{Home, Settings, UID, ends, execute, gateway, query, reply, stderr};

/// A gateway that does not mind how often it is asked, and a home whose store is there: its
/// account has been read once, long enough ago.
async fn stage() -> (Simulator, Home) {
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    let base_url = gateway.base_url();
    let settings = Settings { base_url: &base_url, min_interval: "1ms", ..Settings::default() };
    let home = Home::new(&settings);
    ends(&home, &["run", "--once"], 0);
    home.configure(&Settings { min_interval: "10m", ..settings });
    (gateway, home)
}

fn as_json(home: &Home, expected: i32) -> Value {
    serde_json::from_str(&ends(home, &["poll", "--json"], expected)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_needs_a_store_and_makes_none() {
    let gateway = gateway(Habits::default()).await;
    let home = Home::new(&Settings { base_url: &gateway.base_url(), ..Settings::default() });
    let output = home.run(&["poll"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("no store at"), "{}", stderr(&output));
    assert!(stderr(&output).contains("replyd run"), "{}", stderr(&output));
    assert!(!home.path("replyd.db").exists(), "poll made a store");
    assert_eq!(gateway.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_of_an_unknown_account_is_refused() {
    let (gateway, home) = stage().await;
    let output = home.run(&["poll", "--account", "nobody"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("no account \"nobody\""), "{}", stderr(&output));
    // One that is configured but that no `run` has put into the store is refused as well.
    let text = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &text.replace("\"main\"", "\"other\""));
    let output = home.run(&["poll"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("\"other\" is not in the store yet"), "{}", stderr(&output));
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_counts_and_the_next_says_when_it_may_be() {
    let (gateway, home) = stage().await;
    gateway.arrive(UID, reply("13900000001", "a"));
    gateway.arrive(UID, reply("13900000002", "b"));
    let before = Clock::system().unix();
    assert_eq!(ends(&home, &["poll", "--account", "main"], 0), "main: 2 records, 2 new replies\n");
    let out = ends(&home, &["poll"], 75);
    assert!(out.starts_with("main: not now: the gateway may be asked again at 2"), "{out}");
    let later = as_json(&home, 75);
    assert_eq!(later["verdict"], "not_now");
    let next_at = later["next_at"].as_str().unwrap();
    let next_at = next_at.strip_suffix("+08:00").unwrap().replace('T', " ");
    let wait = next_at.parse::<replyd::time::BeijingTime>().unwrap().unix_ms().since(before);
    assert!(wait > Duration::from_mins(9), "{wait:?}");
    assert_eq!(gateway.requests().len(), 2, "a refused poll asked the gateway");
    assert_eq!(query::<i64>(&home, "SELECT count(*) FROM reply"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_in_json_is_one_documented_object() {
    let (gateway, home) = stage().await;
    gateway.arrive(UID, reply("13900000001", "a"));
    let expected = json!({
        "account": "main", "read": 2, "verdict": "proven", "reason": null, "status": 100,
        "http_status": 200, "error": null, "records": 1, "faults": 0, "new": 1, "hours_owed": 0,
    });
    assert_eq!(as_json(&home, 0), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_77_and_is_not_tried_again() {
    let (gateway, home) = stage().await;
    gateway.set_status(UID, Some(Status::LOGIN_FAILED));
    let out = ends(&home, &["poll"], 77);
    assert!(out.contains("refused by the gateway (login_failed)"), "{out}");
    gateway.set_status(UID, None);
    ends(&home, &["poll"], 75);
    assert_eq!(gateway.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_account_is_probed_before_it_is_read_again() {
    let (gateway, home) = stage().await;
    gateway.set_status(UID, Some(Status::FROZEN));
    ends(&home, &["poll"], 77);
    assert_eq!(gateway.requests().len(), 2);
    // As if half an hour had passed: the probe by `/mm` is refused, and nothing is read.
    let half_an_hour_later = || {
        execute(&home, "UPDATE account SET refused_until_ms = 0, slot_boot = NULL");
    };
    half_an_hour_later();
    let out = ends(&home, &["poll"], 75);
    assert!(out.contains("refused the account with 109"), "{out}");
    assert_eq!(as_json(&home, 75)["refused_status"], 109);
    assert_eq!(gateway.requests().len(), 2, "it was read before the probe had told");
    gateway.set_status(UID, None);
    half_an_hour_later();
    gateway.arrive(UID, reply("13900000001", "a"));
    assert_eq!(ends(&home, &["poll"], 0), "main: 1 record, 1 new reply\n");
    let out = ends(&home, &["poll"], 75);
    assert!(out.starts_with("main: not now: the gateway may be asked again at 2"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_by_hour_empties_no_box_and_obeys_the_slot() {
    let (gateway, home) = stage().await;
    let settings = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &settings.replace("min_interval", "read = \"hour\"\nmin_interval"));
    gateway.arrive(UID, reply("13900000001", "a"));
    let found = as_json(&home, 0);
    assert_eq!(found["verdict"], "proven");
    assert_eq!(gateway.waiting(UID), 1, "the box was emptied");
    let asked = gateway.requests();
    assert!(matches!(asked[1].asked, Asked::Hour(_)), "{asked:?}");
    let later = as_json(&home, 75);
    assert_eq!((&later["verdict"], &later["refused_status"]), (&json!("not_now"), &Value::Null));
    assert_eq!(gateway.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubtful_poll_is_1_and_an_unanswered_one_69() {
    let (gateway, home) = stage().await;
    gateway.fault_next(Fault::NoLength);
    let out = ends(&home, &["poll"], 1);
    assert!(out.contains("doubtful (ended_with_connection)"), "{out}");
    assert!(out.contains("will be read again"), "{out}");
    let (gateway, home) = stage().await;
    gateway.stop().await;
    let polled = as_json(&home, 69);
    assert_eq!(
        (&polled["verdict"], &polled["reason"]),
        (&json!("doubtful"), &json!("never_answered"))
    );
    assert!(polled["error"].as_str().unwrap().contains("refused"), "says not why: {polled}");
    assert!(polled["hours_owed"].as_i64().unwrap() > 0, "{polled}");
}

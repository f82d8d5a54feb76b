//! `deliveries`: suspect replies that are held, what is listed of them, and how they go on.

use std::time::{Duration, Instant};

use replyd::gateway::simulator::{Habits, NewReply, Simulator};
use serde_json::{Value, json};

use crate::intake::{count, told};
use crate::support::{
    Home, Receiver, SECRET, Settings, UID, config, ends, gateway, now, query, reply, stderr,
    stdout, subscriber, until,
};

const NUMBER: &str = "1068112227282";
/// Far more than the second that it should take, far less than the minute of a worker at rest.
const NOTICED_MAX: Duration = Duration::from_secs(20);

struct Stage {
    gateway: Simulator,
    /// It holds what is suspect; the other does not.
    crm: Receiver,
    erp: Receiver,
    home: Home,
}

fn configured(gateway: &Simulator, crm: &Receiver, erp: &Receiver, hold: &str) -> String {
    let text = config(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("erp", &erp.url)],
        account: &format!("number = \"{NUMBER}\""),
        ..Settings::default()
    });
    text + &subscriber("crm", &crm.url, &format!("allow_private = true\n{hold}"))
}

/// A record that a customer types: it reads as two, of which the second is in another's name.
fn typed() -> NewReply {
    let text = format!("好的||{}||1069001{{&}}13900000003||同意", now());
    NewReply::text("13900000001", &text, now(), NUMBER)
}

/// One reply is honest and two are suspect; all went out that are not held. Deliveries are
/// numbered by reply, and crm's come before erp's.
async fn stage() -> Stage {
    let habits = Habits { min_interval: Duration::ZERO, ..Habits::default() };
    let (gateway, crm, erp) =
        (gateway(habits).await, Receiver::start().await, Receiver::start().await);
    let home = Home::with(&configured(&gateway, &crm, &erp, "hold_suspect = true"));
    gateway.arrive(UID, reply("13900000002", "收到"));
    gateway.arrive(UID, typed());
    ends(&home, &["run", "--once"], 0);
    assert_eq!(told(&erp), ["同意", "好的", "收到"]);
    assert_eq!(told(&crm), ["收到"]);
    Stage { gateway, crm, erp, home }
}

fn held(home: &Home) -> i64 {
    count(home, "delivery WHERE state = 'held'")
}

/// The lines of `deliveries list --json` with these further arguments.
fn list(home: &Home, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["deliveries", "list", "--json"], arguments].concat();
    let out = ends(home, &arguments, 0);
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn numbers(deliveries: &[Value]) -> Vec<String> {
    deliveries.iter().map(|delivery| delivery["id"].to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn suspect_replies_are_held_until_they_are_released_and_go_out_as_they_are() {
    let Stage { crm, erp, home, .. } = stage().await;
    let marks: Vec<Value> =
        erp.webhooks().iter().map(|webhook| webhook.json()["data"]["suspect"].clone()).collect();
    assert!(marks.contains(&json!("foreign_gateway")) && marks.contains(&json!("follows_suspect")));
    // A service that runs has nothing to send, whatever else it is told meanwhile.
    let service = home.serve();
    until("the service", || home.log().contains("replyd runs")).await;
    let dry = ends(&home, &["deliveries", "release", "--all", "--dry-run"], 0);
    assert_eq!(dry, "2 deliveries held, 2 for crm\nnone released: this was a dry run\n");
    assert_eq!((held(&home), crm.webhooks().len()), (2, 1));
    let oldest = numbers(&list(&home, &["--state", "held"])).pop().unwrap();
    let out = ends(&home, &["deliveries", "release", &oldest], 0);
    assert!(out.starts_with("1 delivery held of 1 named\n1 released: "), "{out}");
    let released = Instant::now();
    crm.wait_for(2).await;
    assert!(released.elapsed() < NOTICED_MAX, "noticed only after {:?}", released.elapsed());
    assert_eq!((held(&home), told(&crm)), (1, vec!["好的".to_owned(), "收到".to_owned()]));
    let out = ends(&home, &["deliveries", "release", "--subscriber", "crm", "--json"], 0);
    let expected = json!({ "dry_run": false, "count": 1, "released": 1, "others": [] });
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected);
    let webhooks = crm.wait_for(3).await;
    until("the outcomes", || count(&home, "delivery WHERE state = 'delivered'") == 6).await;
    assert_eq!(service.stop(), Some(0));
    for webhook in &webhooks {
        webhook.verify(SECRET);
        let erps = erp.webhooks();
        let other = erps.iter().find(|other| other.id() == webhook.id()).unwrap();
        assert_eq!(other.body, webhook.body);
        assert_eq!(webhook.headers["replyd-trigger"], "auto");
        assert_eq!(webhook.headers["replyd-attempt"], "1");
    }
    assert_eq!((webhooks.len(), erp.webhooks().len()), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_stays_held_whatever_is_configured_later() {
    let Stage { gateway, crm, erp, home } = stage().await;
    home.write("config.toml", &configured(&gateway, &crm, &erp, ""));
    gateway.arrive(UID, typed());
    ends(&home, &["run", "--once"], 0);
    // The next suspect ones go out; the held ones wait for whoever was to look at them.
    assert_eq!(told(&crm), ["同意", "好的", "收到"]);
    assert_eq!(held(&home), 2);
    let out = ends(&home, &["deliveries", "release", "--all"], 0);
    assert!(out.contains("2 released"), "{out}");
    ends(&home, &["run", "--once"], 0);
    assert_eq!(crm.webhooks().len(), 5);
    let none = ends(&home, &["deliveries", "release", "--all"], 0);
    assert_eq!(none, "0 deliveries held\n0 released\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_cannot_be_is_refused_and_says_why() {
    let home = Home::new(&Settings::default());
    for arguments in [&["list"][..], &["release", "--all"], &["release", "1"], &["cancel", "1"]] {
        ends(&home, &[&["deliveries"], arguments].concat(), 66);
        assert!(!home.path("replyd.db").exists(), "{arguments:?} made a store");
    }
    let Stage { home, .. } = stage().await;
    let held_ids = numbers(&list(&home, &["--state", "held"]));
    let sent = numbers(&list(&home, &["--state", "delivered", "--limit", "1"])).remove(0);
    let (one, two) = (held_ids[0].as_str(), held_ids[1].as_str());
    let refused = |arguments: &[&str], expected: i32, words: &str| {
        let output = home.run(&[&["deliveries"], arguments].concat());
        assert_eq!(output.status.code(), Some(expected), "{arguments:?} {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{arguments:?} {}", stderr(&output));
        stdout(&output)
    };
    let nobody = "no subscriber \"nobody\" in the store; there is crm, erp";
    refused(&["release", "--subscriber", "nobody"], 66, nobody);
    refused(&["list", "--subscriber", "nobody"], 66, nobody);
    refused(&["release", one, "999"], 66, "there is no delivery 999; nothing was changed");
    refused(&["cancel", one, "999"], 66, "there is no delivery 999; nothing was changed");
    refused(&["release"], 2, "required");
    refused(&["release", one, "--all"], 2, "cannot be used with");
    refused(&["release", "first"], 2, "invalid value");
    refused(&["cancel"], 2, "required");
    refused(&["release", "--state", "waiting"], 2, "done to what is held, not to what is waiting");
    refused(&["list", "--state", "lost"], 2, "possible values: held, waiting, sending");
    refused(&["list", "--limit", "0"], 2, "not in 1..=10000");
    assert_eq!(held(&home), 2);
    // One that is not held keeps no other from going out.
    let words = format!("delivery {sent} is not held: it is delivered");
    assert!(
        refused(&["release", &sent, "--dry-run"], 1, &words).contains("0 deliveries held of 1")
    );
    let out = refused(&["release", one, &sent, one, "--json"], 1, &words);
    let sent: i64 = sent.parse().unwrap();
    let expected = json!({
        "dry_run": false, "count": 1, "released": 1,
        "others": [{ "id": sent, "state": "delivered" }],
    });
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected);
    let words = format!("delivery {one} is not held: it is waiting");
    assert!(refused(&["release", one, two], 1, &words).contains("1 released"));
    assert_eq!(count(&home, "delivery WHERE state = 'waiting'"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_never_goes_out() {
    let Stage { gateway, crm, erp, home } = stage().await;
    crm.answer_next(&[500]);
    gateway.arrive(UID, reply("13900000004", "later"));
    home.write(
        "config.toml",
        &configured(&gateway, &crm, &erp, "hold_suspect = true")
            .replace("retry = [\"50ms\"]", "retry = [\"1h\"]"),
    );
    ends(&home, &["run", "--once"], 1);
    let waiting = numbers(&list(&home, &["--state", "waiting"])).remove(0);
    let suspect = numbers(&list(&home, &["--state", "held"])).remove(0);
    assert_eq!(
        ends(&home, &["deliveries", "cancel", &waiting, &suspect], 0),
        "2 deliveries to cancel of 2 named\n2 cancelled\n"
    );
    let again = home.run(&["deliveries", "cancel", &waiting, "--json"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("is not held or waiting: it is cancelled"));
    assert!(stdout(&again).contains(r#""cancelled":0"#));
    let out = ends(&home, &["deliveries", "release", "--all"], 0);
    assert!(out.contains("1 released"), "{out}");
    ends(&home, &["run", "--once"], 0);
    assert_eq!(told(&crm), ["later", "好的", "收到"]);
    assert_eq!(count(&home, "delivery WHERE state = 'cancelled'"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_to_be_given_up_counts_from_the_release() {
    let Stage { crm, home, .. } = stage().await;
    // They have been held for a month, and give_up is a week.
    let store = rusqlite::Connection::open(home.path("replyd.db")).unwrap();
    let age = "created_ms = created_ms - 2592000000, due_ms = due_ms - 2592000000";
    store.execute(&format!("UPDATE delivery SET {age} WHERE state = 'held'"), []).unwrap();
    drop(store);
    crm.answer_next(&[500, 500, 500, 500]);
    ends(&home, &["deliveries", "release", "--all"], 0);
    let service = home.serve();
    crm.wait_for(1 + 4 + 2).await;
    until("the outcomes", || count(&home, "delivery WHERE state = 'delivered'") == 6).await;
    assert_eq!(service.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_asked_for_by_hand_and_goes_out() {
    let Stage { crm, home, .. } = stage().await;
    let hour = query::<i64>(&home, "SELECT min(replied_at) FROM reply");
    let hour = replyd::time::BeijingTime::from_unix_seconds(hour).hour().to_string();
    ends(&home, &["replay", &hour, "--subscriber", "crm"], 0);
    ends(&home, &["run", "--once"], 0);
    let replayed = crm
        .webhooks()
        .iter()
        .filter(|webhook| webhook.headers["replyd-trigger"] == "replay")
        .count();
    assert!(replayed >= 1, "nothing was replayed");
    assert_eq!(count(&home, "delivery WHERE state = 'waiting'"), 0);
    assert_eq!(held(&home), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_neither_numbers_nor_contents_and_steers_no_terminal() {
    let Stage { gateway, home, .. } = stage().await;
    let hostile = "\u{1b}[2J\u{1b}]0;x\u{7} 再见\r\n";
    gateway.arrive(UID, reply("13900000004", hostile));
    ends(&home, &["run", "--once"], 0);
    let newest = list(&home, &["--subscriber", "crm", "--limit", "2"]);
    let expected = json!({
        "id": newest[0]["id"], "event_id": newest[0]["event_id"], "type": "reply.received",
        "subscriber": "crm", "state": "delivered", "trigger": "auto", "attempts": 1,
        "created_at": newest[0]["created_at"], "due_at": null, "suspect": null,
        "from": "139****0004", "account": "main", "stands_in_for": null, "taken_over_by": null,
    });
    assert_eq!(newest[0], expected);
    assert!(newest[0]["id"].as_i64() > newest[1]["id"].as_i64());
    assert_eq!(newest[1]["suspect"], "follows_suspect");
    assert_eq!(newest[1]["state"], "held");
    let with_content = list(&home, &["--subscriber", "crm", "--limit", "1", "--content"]);
    assert_eq!(with_content[0]["content"], hostile);
    let table = ends(&home, &["deliveries", "list"], 0);
    assert_eq!(table.lines().count(), 1 + 8);
    assert!(table.contains("139****0003") && table.contains("foreign_gateway"), "{table}");
    assert!(!table.contains("13900000") && !table.contains("再见"), "{table}");
    let table = ends(&home, &["deliveries", "list", "--content"], 0);
    assert!(table.contains(r"\u{1b}[2J\u{1b}]0;x\u{7} 再见\r\n"), "{table}");
    let json = ends(&home, &["deliveries", "list", "--content", "--json"], 0);
    for out in [table, json] {
        assert!(out.chars().all(|letter| letter == '\n' || !letter.is_control()), "{out:?}");
        assert!(!out.contains("13900000"), "{out}");
    }
    assert_eq!(list(&home, &["--state", "failed"]), Vec::<Value>::new());
}

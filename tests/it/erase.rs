//! `replies erase`: nothing of a person is left in the store's files, nothing of others is gone,
//! and nothing comes back.

use std::time::Duration;

use replyd::gateway::simulator::{Fault, Habits, NewReply, Simulator};
use serde_json::{Value, json};

use crate::intake::{count, told};
use crate::support::{
    Home, Receiver, Settings, UID, ends, execute, gateway, query, reply, stderr, stdout, until,
};

const MINE: &str = "13900000001";
const HERS: &str = "13900000002";
const TIME: &str = "2008-05-27 12:00:00";
const HOUR: &str = "2008-05-27_12";

/// What of the person must not be found: the number, and the text in both charsets.
fn needles() -> Vec<Vec<u8>> {
    let gbk = NewReply::text(MINE, "秘密甲", TIME.parse().unwrap(), "").content;
    vec![MINE.into(), b"secretword".to_vec(), "秘密甲".into(), gbk]
}

/// The home's files that hold something of the person.
fn files_with_traces(home: &Home) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(home.path(".")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&path).unwrap();
        for needle in needles() {
            let is_there = bytes.windows(needle.len()).any(|window| window == needle);
            found.extend(is_there.then(|| format!("{name}: {}", String::from_utf8_lossy(&needle))));
        }
    }
    found
}

fn at(mobile: &str, text: &str, second: usize) -> NewReply {
    let time = format!("2008-05-27 12:{:02}:{:02}", second / 60, second % 60);
    NewReply::text(mobile, text, time.parse().unwrap(), "1068112227282")
}

async fn home(subscribers: &[(&str, &str)]) -> (Simulator, Home) {
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers,
        account: "recover = \"1h\"",
        ..Settings::default()
    });
    let text = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &text.replace("retry = [\"50ms\"]", "retry = [\"1h\"]"));
    (gateway, home)
}

/// All that can be of a person, among others' of the same kind.
async fn full() -> (Simulator, Receiver, Home) {
    let receiver = Receiver::start().await;
    let down = "http://127.0.0.1:9/";
    let (gateway, home) = home(&[("crm", &receiver.url), ("down", down)]).await;
    for number in 0..240 {
        let mobile = ["13900000001", "13900000002", "+8613900000001", "13900000003"][number % 4];
        let length = number * 37 % 1_900;
        let words = if number % 2 == 0 { "秘密甲 secretword" } else { "hello" };
        gateway
            .arrive(UID, at(mobile, &format!("{words} {number} {}", "x".repeat(length)), number));
    }
    gateway.arrive(UID, at(MINE, &"秘密甲 secretword ".repeat(1_000), 300));
    ends(&home, &["run", "--once"], 1);
    let rubbish =
        format!("100{{&}}x 8613900000001 secretword||{TIME}||1069{{&}}{HERS}||fine||{TIME}||1069");
    gateway.fault_next(Fault::Answer {
        http_status: 200,
        content_type: "text/plain".to_owned(),
        body: rubbish.into_bytes(),
    });
    ends(&home, &["poll"], 1);
    ends(&home, &["replay", HOUR, "--as-new", "--subscriber", "crm"], 0);
    execute(
        &home,
        &format!(
            "INSERT INTO waiting_record (read_id, account, copies, release_ms, mobile, replied_at, content, gateway)
                 VALUES (1, 'main', 1, 9000000000000, '{MINE}', 1211861411, CAST('secretword' AS BLOB), '10');
             INSERT INTO message (seq, id, account, text, charset, created_ms) VALUES
                 (1, 'msg_1', 'main', '秘密甲', 'gbk', 1), (2, 'msg_2', 'main', 'to all', 'gbk', 1);
             INSERT INTO message_call (message, number, state) VALUES (1, 0, 'waiting'), (2, 0, 'accepted');
             INSERT INTO recipient (message, mobile, call) VALUES
                 (1, '{MINE}', 0), (2, '{MINE}', 0), (2, '{HERS}', 0);
             UPDATE attempt SET answer = CAST('last: {MINE}' AS BLOB) WHERE number = 1 AND delivery_id =
                 (SELECT min(id) FROM delivery WHERE mobile = '{HERS}')"
        ),
    );
    (gateway, receiver, home)
}

fn erase(home: &Home, arguments: &[&str]) -> Value {
    let arguments =
        [&["replies", "erase", "--mobile", "+8613900000001", "--json"], arguments].concat();
    serde_json::from_str(&ends(home, &arguments, 0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_person_is_left_and_nothing_comes_back() {
    let (gateway, receiver, home) = full().await;
    assert!(files_with_traces(&home).len() >= 4, "{:?}", files_with_traces(&home));
    let others = "reply WHERE mobile != '13900000001'";
    // What an upgrade would have left beside it.
    std::fs::copy(home.path("replyd.db"), home.path("replyd.db.before-v2")).unwrap();
    let before = count(&home, others);
    let expected = json!({
        "dry_run": true, "from": "139****0001", "replies": 121, "deliveries": 363, "under_way": 242,
        "attempts": 122, "waiting_records": 1, "bodies": 2, "faults": 1, "answers": 1, "messages": 2,
        "mentions": 0, "not_taken_in": 0, "log_emptied": false, "left": 0, "copies": 1,
    });
    let mut dry = erase(&home, &["--dry-run"]);
    // How many of the deliveries to the one that is down were tried is a matter of its pace.
    let attempts = dry["attempts"].as_i64().unwrap();
    assert!(attempts >= 121);
    dry["attempts"] = json!(122);
    assert_eq!(dry, expected);
    assert_eq!(count(&home, "reply"), before + 121);
    let mut done = erase(&home, &["--yes"]);
    assert_eq!(done["attempts"], json!(attempts));
    assert_eq!((&done["log_emptied"], &done["left"]), (&json!(true), &json!(0)));
    for key in ["dry_run", "attempts", "log_emptied"] {
        done[key] = expected[key].clone();
    }
    assert_eq!(done, expected);
    assert_eq!(files_with_traces(&home), [""; 0]);
    assert_eq!((count(&home, "reply"), count(&home, others)), (before, before));
    assert_eq!(query::<String>(&home, "SELECT group_concat(id) FROM message"), "msg_2");
    assert_eq!(count(&home, "read WHERE redacted_ms IS NOT NULL AND length(body) > 0"), 2);
    assert_eq!(query::<String>(&home, "PRAGMA integrity_check"), "ok");
    // Neither by parsing again, nor by the hour, nor by a start.
    let parsed = ends(&home, &["reads", "reparse"], 0);
    assert_eq!(parsed, "0 answers parsed again: 0 new replies\n");
    let refused = home.run(&["reads", "reparse", "1"]);
    assert_eq!(refused.status.code(), Some(66));
    assert!(stderr(&refused).contains("a person was erased from its answer"));
    assert!(ends(&home, &["reads", "show", "1"], 0).contains("redacted "));
    let webhooks = receiver.webhooks().len();
    ends(&home, &["replay", HOUR, "--refetch", "--subscriber", "crm", "--only", "missing"], 0);
    assert_eq!((count(&home, "reply"), count(&home, others)), (before, before));
    assert_eq!(count(&home, "read WHERE hour IS NOT NULL AND redacted_ms IS NOT NULL"), 1);
    let traces = files_with_traces(&home);
    assert!(!traces.iter().any(|trace| trace.starts_with("replyd.db:")), "{traces:?}");
    gateway.arrive(UID, reply(MINE, "a new one"));
    ends(&home, &["run", "--once"], 1);
    let new: Vec<String> = receiver.webhooks()[webhooks..]
        .iter()
        .filter(|webhook| webhook.field("from") == MINE)
        .map(|webhook| webhook.field("content"))
        .collect();
    assert_eq!(new, ["a new one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_sent_while_it_is_erased_leaves_nothing() {
    let receiver = Receiver::start().await;
    let (gateway, home) = home(&[("crm", &receiver.url)]).await;
    receiver.take(Duration::from_secs(3));
    let service = home.serve();
    gateway.arrive(UID, reply(MINE, "secretword"));
    receiver.wait_for(1).await;
    assert_eq!(count(&home, "in_hand"), 1);
    let done = erase(&home, &["--yes"]);
    assert_eq!((&done["replies"], &done["under_way"]), (&json!(1), &json!(1)));
    receiver.take(Duration::ZERO);
    gateway.arrive(UID, reply(HERS, "hello"));
    until("the next to be delivered", || count(&home, "delivery WHERE state = 'delivered'") == 1)
        .await;
    // The first was answered before that, or is waited for by the stop.
    assert_eq!(service.stop(), Some(0));
    assert_eq!(told(&receiver), ["hello", "secretword"]);
    for rows in ["reply", "event WHERE id != 'none'", "delivery", "attempt"] {
        assert_eq!(count(&home, rows), 1, "{rows}");
    }
    assert_eq!(files_with_traces(&home), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_is_agreed_to_and_says_what_it_does_without_the_number() {
    let empty = Home::new(&Settings::default());
    ends(&empty, &["replies", "erase", "--mobile", MINE, "--yes"], 66);
    assert!(!empty.path("replyd.db").exists());
    let receiver = Receiver::start().await;
    let (gateway, home) = home(&[("crm", &receiver.url)]).await;
    gateway.arrive(UID, at(MINE, "secretword", 1));
    gateway.arrive(UID, at(HERS, "ask 13900000001", 2));
    ends(&home, &["run", "--once"], 0);
    for (arguments, words) in [
        (&["--mobile", MINE][..], "add --yes"),
        (&["--mobile", "139*", "--yes"], "not a number"),
        (&["--yes"], "required"),
    ] {
        let output = home.run(&[&["replies", "erase"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    let dry = ends(&home, &["replies", "erase", "--mobile", MINE, "--dry-run"], 0);
    assert_eq!(
        dry,
        "of 139****0001: 1 reply, 1 delivery, 1 attempt, 1 kept answer\nnothing erased: this was a dry run\n"
    );
    assert_eq!(count(&home, "reply"), 2);
    let output = home.run(&["replies", "erase", "--mobile", MINE, "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).ends_with("\nerased: 1 reply, 1 delivery, 1 attempt, 1 kept answer\n"));
    assert!(
        stderr(&output).contains("1 reply of others mention the number"),
        "{}",
        stderr(&output)
    );
    assert!(!stdout(&output).contains(MINE) && !stderr(&output).contains(MINE));
    assert_eq!(query::<String>(&home, "SELECT content FROM reply"), "ask 13900000001");
    let again = ends(&home, &["replies", "erase", "--mobile", MINE, "--yes"], 0);
    assert_eq!(again, "of 139****0001: nothing\nerased: nothing\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_over_in_unused_pages_is_found_and_made_an_end_of() {
    let receiver = Receiver::start().await;
    let (gateway, home) = home(&[("crm", &receiver.url)]).await;
    gateway.arrive(UID, at(HERS, "hello", 1));
    ends(&home, &["run", "--once"], 0);
    // As a program left it that does not overwrite what it deletes.
    execute(
        &home,
        &format!(
            "PRAGMA secure_delete = OFF; CREATE TABLE former (text TEXT);
             INSERT INTO former VALUES (printf('%.9000c', 'x') || '{MINE} secretword'); DROP TABLE former"
        ),
    );
    let found = files_with_traces(&home);
    assert!(found.contains(&"replyd.db: secretword".to_owned()), "{found:?}");
    let done = erase(&home, &["--yes"]);
    assert_eq!((&done["replies"], &done["left"]), (&json!(0), &json!(0)));
    assert_eq!(files_with_traces(&home), [""; 0]);
    assert_eq!((count(&home, "reply"), receiver.webhooks().len()), (1, 1));
}

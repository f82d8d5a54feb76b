//! `reads`: the journal, a read with its faults, and its very bytes.

use std::time::Duration;

use replyd::gateway::simulator::{Fault, Habits, NewReply, Simulator};
use serde_json::{Value, json};

use crate::support::{Home, Receiver, Settings, UID, ends, execute, gateway, query, stderr};

const TIME: &str = "2008-05-27 12:00:00";

/// A gateway that does not mind how often it is asked, and a home that asks as often.
async fn stage() -> (Simulator, Home) {
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        min_interval: "1ms",
        account: "recover = \"1h\"",
        ..Settings::default()
    });
    (gateway, home)
}

fn answer(body: &[u8]) -> Fault {
    Fault::Answer { http_status: 200, content_type: "text/plain".to_owned(), body: body.to_vec() }
}

fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Three reads: proven with a reply, of rubbish with a fault and an escape sequence, unanswered.
async fn three_reads() -> (Simulator, Home) {
    let (gateway, home) = stage().await;
    gateway.arrive(UID, NewReply::text("13900000001", "secretword", TIME.parse().unwrap(), "1069"));
    ends(&home, &["run", "--once"], 0);
    let rubbish = format!(
        "100{{&}}\x1b[2J no number||{TIME}||1069{{&}}13900000002||secretword||{TIME}||1069"
    );
    gateway.fault_next(answer(rubbish.as_bytes()));
    ends(&home, &["poll"], 1);
    gateway.fault_next(Fault::CloseWithoutReading);
    ends(&home, &["poll"], 69);
    (gateway, home)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_lists_the_newest_reads_first() {
    let (_gateway, home) = three_reads().await;
    let out = ends(&home, &["reads", "list"], 0);
    let rows: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    let numbers: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(numbers, ["read", "3", "2", "1"], "{out}");
    assert_eq!(
        rows[1][4..],
        ["plain", "ingested", "doubtful", "(never_answered)", "-", "-", "0", "0", "0", "0"]
    );
    assert_eq!(
        rows[2][4..12],
        ["plain", "ingested", "doubtful", "(fault)", "200", "100", "1", "1"]
    );
    assert_eq!(rows[3][4..11], ["plain", "ingested", "proven", "200", "100", "1", "0"]);
    let numbers = |arguments: &[&str]| -> Vec<i64> {
        let arguments = [&["reads", "list", "--json"], arguments].concat();
        lines(&ends(&home, &arguments, 0))
            .iter()
            .map(|read| read["read"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(numbers(&["--limit", "2"]), [3, 2]);
    assert_eq!(numbers(&["--doubtful"]), [3, 2]);
    assert_eq!(numbers(&["--account", "main", "--since", "1h"]), [3, 2, 1]);
    execute(&home, "UPDATE read SET started_ms = started_ms - 7200000 WHERE id = 1");
    assert_eq!(numbers(&["--since", "1h"]), [3, 2]);
    assert_eq!(numbers(&["--since", "2008-05-27_12"]), [3, 2, 1]);
    for hidden in ["secretword", "1390000"] {
        assert!(!out.contains(hidden), "{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_shown_with_its_faults_and_nothing_personal() {
    let (_gateway, home) = three_reads().await;
    let out = ends(&home, &["reads", "show", "2"], 0);
    for words in ["doubtful (fault)", "new replies   1", "no_number", "100 (success)"] {
        assert!(out.contains(words), "{words} is not in {out}");
    }
    let shown: Value =
        serde_json::from_str(&ends(&home, &["reads", "show", "2", "--json"], 0)).unwrap();
    for (key, expected) in [
        ("read", json!(2)),
        ("account", json!("main")),
        ("hour", Value::Null),
        ("state", json!("ingested")),
        ("verdict", json!("doubtful")),
        ("reason", json!("fault")),
        ("status", json!(100)),
        ("http_status", json!(200)),
        ("ending", json!("announced")),
        ("error", Value::Null),
        ("records", json!(1)),
        ("faults", json!(1)),
        ("new", json!(1)),
        ("missed", json!(0)),
        ("charset", json!("gbk")),
    ] {
        assert_eq!(shown[key], expected, "{key}: {shown}");
    }
    assert_eq!(shown["faults_found"], json!([{ "offset": 6, "kind": "no_number", "bytes": 41 }]));
    assert!(ends(&home, &["reads", "show", "3"], 0).contains("never_answered"));
    for hidden in ["secretword", "1390000", "\u{1b}"] {
        assert!(!out.contains(hidden) && !shown.to_string().contains(hidden), "{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_raw_body_is_byte_for_byte_what_came() {
    let (gateway, home) = stage().await;
    let body: Vec<u8> = (0..=255).chain(*b"\r\n\0").collect();
    gateway.fault_next(answer(&body));
    ends(&home, &["run", "--once"], 1);
    let output = home.run(&["reads", "show", "1", "--raw"]);
    assert_eq!((output.status.code(), output.stdout), (Some(0), body));
    // Retention drops bodies, not reads.
    execute(&home, "UPDATE read SET body = NULL");
    let output = home.run(&["reads", "show", "1", "--raw"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(
        output.stdout.is_empty() && stderr(&output).contains("kept no longer"),
        "{}",
        stderr(&output)
    );
    assert!(ends(&home, &["reads", "show", "1"], 0).contains("body bytes    -"));
    execute(&home, "UPDATE read SET ending = NULL, state = 'unanswered'");
    let output = home.run(&["reads", "show", "1", "--raw"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("no answer to it came"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_makes_no_sense_is_refused() {
    let empty = Home::new(&Settings::default());
    for arguments in [&["reads", "list"][..], &["reads", "show", "1"]] {
        let output = empty.run(arguments);
        assert_eq!(output.status.code(), Some(66));
        assert!(stderr(&output).contains("no store at"), "{}", stderr(&output));
        assert!(!empty.path("replyd.db").exists(), "reads made a store");
    }
    let (_gateway, home) = stage().await;
    ends(&home, &["run", "--once"], 0);
    for (arguments, expected, words) in [
        (&["reads", "list", "--account", "nobody"][..], 66, "no account \"nobody\""),
        (&["reads", "show", "2"], 66, "no read 2"),
        (&["reads", "show", "one"], 2, "one"),
        (&["reads", "show", "1", "--raw", "--json"], 2, "cannot be used with"),
        (&["reads", "list", "--limit", "0"], 2, "0"),
        (&["reads", "list", "--since", "yesterday"], 2, "a duration like"),
        (&["reads"], 2, "Usage"),
    ] {
        let output = home.run(arguments);
        assert_eq!(output.status.code(), Some(expected), "{arguments:?}");
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    // A word that a stranger sent, printed by the terminal's leave only.
    execute(&home, "UPDATE read SET error = char(27) || '[2J'");
    let out = ends(&home, &["reads", "show", "1"], 0);
    assert!(out.contains(r"\u{1b}[2J") && !out.contains('\u{1b}'), "{out}");
    let none = home.run(&["reads", "list", "--doubtful"]);
    assert!(none.stdout.is_empty() && stderr(&none).contains("no such read"));
}

/// A receiver that was told three replies, the first two of which are equal.
async fn told_three() -> (Simulator, Receiver, Home) {
    let (gateway, receiver) = (gateway(Habits::default()).await, Receiver::start().await);
    for text in ["twice", "twice", "once"] {
        gateway.arrive(UID, NewReply::text("13900000001", text, TIME.parse().unwrap(), "1069"));
    }
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        min_interval: "10m",
        ..Settings::default()
    });
    ends(&home, &["run", "--once"], 0);
    assert_eq!(receiver.webhooks().len(), 3);
    (gateway, receiver, home)
}

/// As if an older version's parser had not seen one reply: it is nowhere.
fn plant_parser_miss(home: &Home, content: &str, occurrence: i64) {
    execute(
        home,
        &format!(
            "CREATE TEMP TABLE missed AS SELECT reply.id, identity, event.seq FROM reply JOIN event USING (id)
                 WHERE content = '{content}' AND occurrence = {occurrence};
             DELETE FROM attempt WHERE delivery_id IN
                 (SELECT id FROM delivery WHERE event_seq IN (SELECT seq FROM missed));
             DELETE FROM delivery WHERE event_seq IN (SELECT seq FROM missed);
             DELETE FROM event WHERE seq IN (SELECT seq FROM missed);
             DELETE FROM reply WHERE id IN (SELECT id FROM missed);
             UPDATE tally SET plain = plain - 1 WHERE identity IN (SELECT identity FROM missed);
             DELETE FROM tally WHERE plain = 0;
             UPDATE read SET records = records - 1, replies_new = replies_new - 1, faults = 1;
             INSERT INTO fault (read_id, offset, kind, bytes) VALUES (1, 7, 'no_number', x'00');"
        ),
    );
}

/// Everything that a reparse must leave as it is.
fn settled(home: &Home) -> String {
    query(
        home,
        "SELECT (SELECT group_concat(concat_ws('|', id, state, verdict, reason, missed, status), ';') FROM read)
             || (SELECT count(*) FROM hour) || (SELECT group_concat(plain) FROM tally ORDER BY identity)
             || (SELECT count(*) FROM waiting_record)",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_parser_missed_comes_back_under_its_own_id_and_is_delivered() {
    for (content, occurrence) in [("once", 1), ("twice", 2)] {
        let (gateway, receiver, home) = told_three().await;
        let all = "SELECT group_concat(id || occurrence) FROM (SELECT * FROM reply ORDER BY id)";
        let before: String = query(&home, all);
        plant_parser_miss(&home, content, occurrence);
        let kept = settled(&home);
        let dry = ends(&home, &["reads", "reparse", "--dry-run"], 0);
        assert!(dry.contains("1 answer parsed again: 1 new reply would be added"), "{dry}");
        assert_eq!(
            query::<i64>(&home, "SELECT count(*) FROM reply"),
            2,
            "a dry run kept something"
        );
        assert_eq!(query::<i64>(&home, "SELECT count(*) FROM fault"), 1);
        let out = ends(&home, &["reads", "reparse", "1", "--json"], 0);
        let expected = json!({
            "read": 1, "account": "main", "dry_run": false, "records": 3, "records_before": 2, "faults": 0,
            "faults_before": 1, "new": 1,
        });
        assert_eq!(lines(&out), [expected]);
        assert_eq!(query::<String>(&home, all), before);
        let counts = "SELECT records || ',' || faults || ',' || replies_new FROM read";
        assert_eq!(query::<String>(&home, counts), "3,0,3");
        assert_eq!(query::<i64>(&home, "SELECT count(*) FROM fault"), 0);
        if content == "twice" {
            assert_eq!(settled(&home), kept, "more than the reply was changed");
        }
        // Once more finds nothing.
        let out = ends(&home, &["reads", "reparse", "--account", "main", "--since", "1d"], 0);
        assert_eq!(out, "1 answer parsed again: 0 new replies\n");
        ends(&home, &["run", "--once"], 0);
        let webhooks = receiver.wait_for(4).await;
        assert_eq!(webhooks[3].field("content"), content);
        assert_eq!(webhooks[3].headers["replyd-trigger"], "auto");
        let first = webhooks[..3].iter().find(|webhook| webhook.id() == webhooks[3].id()).unwrap();
        assert_eq!(first.body, webhooks[3].body);
        assert_eq!(gateway.requests().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn purged_replies_do_not_come_back() {
    let (_gateway, receiver, home) = told_three().await;
    execute(
        &home,
        "DELETE FROM attempt; DELETE FROM delivery; DELETE FROM event; DELETE FROM reply",
    );
    let out = ends(&home, &["reads", "reparse"], 0);
    assert_eq!(out, "1 answer parsed again: 0 new replies\n");
    assert_eq!(query::<i64>(&home, "SELECT count(*) FROM reply"), 0);
    ends(&home, &["run", "--once"], 0);
    assert_eq!(receiver.webhooks().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_taken_in_and_is_kept_is_parsed_again() {
    let (_gateway, _receiver, home) = told_three().await;
    plant_parser_miss(&home, "once", 1);
    for (arguments, expected, words) in [
        (&["reads", "reparse", "1", "2"][..], 66, "no read 2"),
        (&["reads", "reparse", "--account", "nobody"], 66, "no account \"nobody\""),
        (&["reads", "reparse", "1", "--since", "1h"], 2, "cannot be used with"),
        (&["reads", "reparse", "0"], 2, "0"),
    ] {
        let output = home.run(arguments);
        assert_eq!(output.status.code(), Some(expected), "{arguments:?}");
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    execute(&home, "UPDATE read SET state = 'received'");
    let output = home.run(&["reads", "reparse", "1"]);
    assert_eq!(output.status.code(), Some(75));
    assert!(stderr(&output).contains("not taken in yet"), "{}", stderr(&output));
    assert_eq!(ends(&home, &["reads", "reparse"], 0), "0 answers parsed again: 0 new replies\n");
    execute(&home, "UPDATE read SET state = 'ingested', body = NULL");
    let output = home.run(&["reads", "reparse", "1"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("kept no longer"), "{}", stderr(&output));
    assert_eq!(ends(&home, &["reads", "reparse"], 0), "0 answers parsed again: 0 new replies\n");
    assert_eq!(query::<i64>(&home, "SELECT count(*) FROM reply"), 2);
}

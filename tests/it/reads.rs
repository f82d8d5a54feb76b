//! `reads`: the journal, a read with its faults, and its very bytes.

use std::time::Duration;

use replyd::gateway::simulator::{Fault, Habits, NewReply, Simulator};
use serde_json::{Value, json};

use crate::support::{Home, Settings, UID, ends, execute, gateway, stderr};

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

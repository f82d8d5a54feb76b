//! `coverage`: the grid of hours, what stands below it, and its JSON.

use replyd::gateway::simulator::{Fault, Habits, NewReply};
use serde_json::{Value, json};

use crate::support::{Home, Settings, UID, ends, execute, gateway, now, stderr};

/// Two replies of an hour long past, and none since; the account was read once.
async fn stage() -> Home {
    let gateway = gateway(Habits::default()).await;
    for time in ["2008-05-27 12:00:00", "2008-05-27 12:59:59"] {
        gateway.arrive(
            UID,
            NewReply::text("13900000001", "secretword", time.parse().unwrap(), "1069"),
        );
    }
    let home = Home::new(&Settings { base_url: &gateway.base_url(), ..Settings::default() });
    ends(&home, &["run", "--once"], 0);
    home
}

/// Puts an hour of 2008-05-27 into the store, as if it had been owed and read.
fn put_hour(home: &Home, of_day: i64, state: &str, gap: &str, counts: &str) {
    let hour = "2008-05-27_00".parse::<replyd::time::Hour>().unwrap().number() + of_day;
    execute(
        home,
        &format!(
            "INSERT INTO hour (account, hour, state, owed_by, not_before_ms, tries, cause, gap, held, known)
             VALUES ('main', {hour}, '{state}', 1, 1211900000000, 4, 'doubt', {gap}, {counts})"
        ),
    );
}

const DAY: [&str; 3] = ["coverage", "--from=2008-05-26", "--to=2008-05-27"];

#[tokio::test(flavor = "multi_thread")]
async fn the_grid_shows_each_hours_state_and_count() {
    let home = stage().await;
    put_hour(&home, 10, "owed", "1", "NULL, NULL");
    put_hour(&home, 11, "verified", "1", "2, 2");
    put_hour(&home, 12, "given_up", "1", "1, 2");
    let out = ends(&home, &DAY, 0);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "main: 2008-05-26 to 2008-05-27, hours in Beijing time");
    assert_eq!(lines[2], "2008-05");
    let dots = |count: usize| "   .".repeat(count);
    assert_eq!(lines[4], format!("26 {}", dots(24)));
    assert_eq!(lines[5], format!("27 {}   ?   =  2!{}", dots(10), dots(11)));
    assert!(out.contains("= verified   ? owed   ! given up   . not asked for"), "{out}");
    assert!(out.contains("1 hour is owed"), "{out}");
    let row =
        |cells: &[&str]| lines.iter().any(|line| line.split_whitespace().eq(cells.iter().copied()));
    assert!(row(&["2008-05-27_10", "2008-05-27_12", "1", "1", "1", "1"]), "{out}");
    assert!(row(&["2008-05-27_12", "1", "2", "4", "doubt"]), "{out}");
    assert!(!out.contains("Another program") && !out.contains('\u{1b}'), "{out}");
    assert!(!out.contains("Lacking:"), "{out}");
    assert!(lines.iter().all(|line| line.len() <= 100), "{out}");
    execute(&home, "UPDATE hour SET shorts = 1, held = 1, known = 2 WHERE state = 'owed'");
    let lacking = ends(&home, &DAY, 0);
    let (_, listed) = lacking.split_once("Lacking:").unwrap();
    let row = ["2008-05-27_10", "1", "2", "4", "2008-05-27", "22:53:20"];
    assert!(listed.lines().any(|line| line.split_whitespace().eq(row)), "{lacking}");
    execute(&home, "UPDATE account SET second_reader_ms = 1211900000000");
    let out = ends(&home, &DAY, 0);
    assert!(
        out.contains("Another program") && out.contains("told at 2008-05-27 22:53:20"),
        "{out}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hours_are_one_documented_object_per_account() {
    let home = stage().await;
    put_hour(&home, 12, "owed", "1", "1, 2");
    put_hour(&home, 13, "verified", "NULL", "0, 0");
    let arguments = [&DAY[..], &["--json", "--account", "main"]].concat();
    let out = ends(&home, &arguments, 0);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown["hours"].as_array().unwrap().len(), 48);
    let expected = json!({
        "hour": "2008-05-27_12", "state": "owed", "cause": "doubt", "replies": 2, "held": 1, "known": 2,
        "tries": 4, "next_try_at": "2008-05-27T22:53:20+08:00", "verified_at": null,
    });
    assert_eq!(shown["hours"][36], expected);
    assert_eq!(shown["hours"][37]["state"], "verified");
    assert_eq!(shown["hours"][37]["next_try_at"], Value::Null);
    let nothing = json!({
        "hour": "2008-05-26_00", "state": "nothing", "cause": null, "replies": 0, "held": null, "known": null,
        "tries": 0, "next_try_at": null, "verified_at": null,
    });
    assert_eq!(shown["hours"][0], nothing);
    let gap = json!({
        "read": 1, "first": "2008-05-27_12", "last": "2008-05-27_12", "owed": 1, "verified": 0, "given_up": 0,
    });
    assert_eq!(shown["gaps"], json!([gap]));
    let rest = (
        &shown["account"],
        &shown["from"],
        &shown["to"],
        &shown["owed"],
        &shown["second_reader_told_at"],
    );
    assert_eq!(
        rest,
        (&json!("main"), &json!("2008-05-26"), &json!("2008-05-27"), &json!(1), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_days_end_with_the_hour_that_runs() {
    let home = stage().await;
    let out = ends(&home, &["coverage"], 0);
    assert!(out.contains("Nothing is owed."), "{out}");
    let days = out
        .lines()
        .filter(|line| line.len() > 6 && line.as_bytes()[2] == b' ' && line.ends_with('.'));
    assert_eq!(
        days.filter(|line| line.starts_with(|first: char| first.is_ascii_digit())).count(),
        7,
        "{out}"
    );
    let before = now().hour().to_string();
    let shown: Value =
        serde_json::from_str(&ends(&home, &["coverage", "--days", "1", "--json"], 0)).unwrap();
    let last = shown["hours"].as_array().unwrap().last().unwrap()["hour"].clone();
    assert!([before, now().hour().to_string()].contains(&last.as_str().unwrap().to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubtful_read_shows_as_a_gap() {
    let gateway = gateway(Habits::default()).await;
    gateway.fault_next(Fault::CloseWithoutReading);
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        account: "recover = \"1h\"",
        ..Settings::default()
    });
    ends(&home, &["run", "--once"], 1);
    let shown: Value = serde_json::from_str(&ends(&home, &["coverage", "--json"], 0)).unwrap();
    // Two, or three where an hour ended meanwhile.
    let owed = shown["owed"].as_u64().unwrap();
    assert!((2..=3).contains(&owed), "{shown}");
    assert_eq!((&shown["gaps"][0]["read"], &shown["gaps"][0]["owed"]), (&json!(1), &json!(owed)));
    assert!(ends(&home, &["coverage"], 0).contains(&format!("{owed} hours are owed")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_makes_no_sense_is_refused() {
    let empty = Home::new(&Settings::default());
    let output = empty.run(&["coverage"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("no store at"), "{}", stderr(&output));
    assert!(!empty.path("replyd.db").exists(), "coverage made a store");
    let home = stage().await;
    for (arguments, expected, words) in [
        (&["coverage", "--account", "nobody"][..], 66, "no account \"nobody\""),
        (
            &["coverage", "--from", "2008-05-27", "--to", "2008-05-26"],
            2,
            "2008-05-27 is after 2008-05-26",
        ),
        (&["coverage", "--from", "2008-01-01", "--to", "2008-05-26"], 2, "more than 62"),
        (&["coverage", "--to", "2008-05-26"], 2, "--from"),
        (&["coverage", "--from", "2008-05-26", "--days", "2"], 2, "cannot be used with"),
        (&["coverage", "--days", "63"], 2, "63"),
        (&["coverage", "--from", "27.5.2008"], 2, "a day like"),
    ] {
        let output = home.run(arguments);
        assert_eq!(output.status.code(), Some(expected), "{arguments:?}");
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    // Configured, and not in the store before the next run; the former one is still shown by name.
    let config = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &config.replace("name = \"main\"", "name = \"other\""));
    let output = home.run(&["coverage"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("\"other\" is not in the store yet"), "{}", stderr(&output));
    ends(&home, &["coverage", "--account", "main"], 0);
}

//! `check`, and what a wrong configuration keeps from happening.

use replyd::gateway::simulator::Habits;
use serde_json::Value;

use crate::support::{Home, SECRET, Settings, ends, gateway, stderr, stdout};

/// Wrong in five places, and holding what must never be shown.
const WRONG: &str = r#"[server]
listen = "0.0.0.0"
[[account]]
name = "main"
base_url = "http://user:word-of-user@http.c123.com"
uid = "9999"
password = "word-of-account"
min_intervall = "10m"
[[subscriber]]
name = "crm"
url = "https://crm.example.com/token-in-path#x"
secret = "whsec_c2VjcmV0LXRvby1zaG9ydA=="
accounts = ["mian"]
headers = { authorization = "Bearer word-of-header" }
"#;
/// What `WRONG` and `BROKEN` hold and nobody may see.
const SECRETS: [&str; 6] = [
    "word-of-user",
    "word-of-account",
    "word-of-header",
    "token-in-path",
    "c2VjcmV0LXRvby1zaG9ydA",
    "word-of-line",
];
/// Not TOML, on a line with a secret.
const BROKEN: &str = "[[account]]\npassword = \"word-of-line\" oops\n";
/// Right, but its secrets are in the environment.
const ENV: &str = r#"
[[account]]
name = "main"
base_url = "http://http.c123.com"
uid = "9999"
password = { env = "REPLYD_TEST_PASSWORD" }
[[subscriber]]
name = "crm"
url = "https://crm.example.com/hooks/sms"
secret = { env = "REPLYD_TEST_SECRET" }
"#;

#[test]
fn a_right_configuration_is_summed_up() {
    let subscribers = &[("crm", "https://crm.example.com/hooks/sms?key=word-of-url")];
    let home = Home::new(&Settings { subscribers, ..Settings::default() });
    let out = ends(&home, &["check"], 0);
    for part in ["config.toml: right", "replyd.db", "main: 127.0.0.1", "crm: crm.example.com"] {
        assert!(out.contains(part), "{part:?} is not in {out}");
    }
    assert!(!out.contains("word-of-url") && !out.contains(SECRET), "{out}");
    let report: Value = serde_json::from_str(&ends(&home, &["check", "--json"], 0)).unwrap();
    assert_eq!(report, serde_json::json!({ "ok": true, "problems": [] }));
    assert!(!home.path("replyd.db").exists(), "check made a store");
}

#[test]
fn what_a_proxy_keeps_from_being_vetted_is_told() {
    let check = |url: &str, keys: &str, is_told: bool| {
        let text = ENV.replace("https://crm.example.com/hooks/sms", url) + keys;
        let home = Home::with(&text);
        for arguments in [&["check", "--offline"][..], &["check", "--offline", "--json"]] {
            let output = home.run(arguments);
            assert_eq!(output.status.code(), Some(0), "{keys}: {}", stderr(&output));
            let note = "note: subscriber \"crm\": crm.example.com is resolved by the proxy";
            assert_eq!(stderr(&output).contains(note), is_told, "{keys}: {}", stderr(&output));
            assert_eq!(stderr(&output).lines().count(), usize::from(is_told));
        }
    };
    let (name, address) = ("https://crm.example.com/?key=word-of-url", "https://8.8.8.8/");
    check(name, "", false);
    check(name, "proxy = \"http://user:word-of-user@proxy:3128\"", true);
    check(name, "proxy = \"http://proxy:3128\"\nallow_private = true", false);
    check(address, "proxy = \"http://proxy:3128\"", false);
    // What a SOCKS proxy is asked for is resolved here.
    check(name, "proxy = \"socks5://proxy:1080\"", false);
}

#[test]
fn everything_wrong_is_told_at_once_by_line_and_key() {
    let home = Home::with(WRONG);
    let output = home.run(&["check"]);
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(stdout(&output), "");
    let talk = stderr(&output);
    for expected in [
        "config.toml:2:10: server.listen: not an address and port like 127.0.0.1:8480",
        "config.toml:5:12: account \"main\": base_url: must not hold a user name or password",
        "config.toml:8:1: account \"main\": min_intervall: unknown key; did you mean min_interval?",
        "config.toml:11:7: subscriber \"crm\": url: must not have a fragment",
        "config.toml:12:10: subscriber \"crm\": secret: must hold 24 to 64 bytes, not 16",
        "config.toml:13:13: subscriber \"crm\": accounts[0]: no [[account]] has the name \"mian\"; did you mean \"main\"?",
    ] {
        assert!(talk.contains(expected), "{expected:?} is not in\n{talk}");
    }
    assert_eq!(talk.lines().count(), 6, "{talk}");
    let report: Value = serde_json::from_str(&ends(&home, &["check", "--json"], 78)).unwrap();
    assert_eq!(report["ok"], false);
    let lines: Vec<i64> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["line"].as_i64().unwrap())
        .collect();
    assert_eq!(lines, [2, 5, 8, 11, 12, 13]);
    assert_eq!(report["problems"][2]["key"], "account \"main\": min_intervall");
}

#[test]
fn secrets_in_the_environment_are_needed_but_offline() {
    let home = Home::with(ENV);
    let output = home.run(&["check"]);
    assert_eq!(output.status.code(), Some(78));
    let talk = stderr(&output);
    for name in ["REPLYD_TEST_PASSWORD", "REPLYD_TEST_SECRET"] {
        assert!(talk.contains(name), "{talk}");
    }
    ends(&home, &["check", "--offline"], 0);
    let mut command = home.command(&["check"]);
    command.env("REPLYD_TEST_PASSWORD", "word").env("REPLYD_TEST_SECRET", SECRET);
    assert_eq!(command.output().unwrap().status.code(), Some(0));
}

#[test]
fn no_secret_is_shown_whatever_is_wrong() {
    for text in [WRONG, BROKEN] {
        let home = Home::with(text);
        for arguments in
            [&["check"][..], &["check", "--json"], &["check", "--offline"], &["run"], &["poll"]]
        {
            let output = home.command(arguments).env("RUST_LOG", "trace").output().unwrap();
            assert_eq!(output.status.code(), Some(78), "{arguments:?}");
            let said = stdout(&output) + &stderr(&output);
            assert!(said.contains("config.toml") || said.contains("\"ok\":false"), "{said}");
            let shown = SECRETS.iter().find(|secret| said.contains(**secret));
            assert_eq!(shown, None, "{arguments:?} shows it: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_asks_and_makes_nothing() {
    let gateway = gateway(Habits::default()).await;
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        account: "colour = \"red\"",
        ..Settings::default()
    });
    for arguments in [&["run"][..], &["run", "--once"], &["poll"], &["replay", "2008-05-27_12"]] {
        assert!(ends(&home, arguments, 78).is_empty());
    }
    assert_eq!(gateway.requests(), []);
    assert!(!home.path("replyd.db").exists(), "a store was made");
}

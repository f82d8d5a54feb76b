//! What is logged: lines that programs can read, through a whole run, and nothing secret or personal
//! in them, also where everything is logged that can be.

use std::collections::BTreeSet;
use std::time::Duration;

use replyd::gateway::simulator::{Fault, Habits};
use serde_json::Value;

use crate::intake::count;
use crate::support::{Home, Receiver, SECRET, Settings, UID, gateway, reply, until};

/// What must be in no line: numbers, texts, secrets, URLs with what is behind their host.
const NEVER: [&str; 12] = [
    "13900000001",
    "13900000002",
    "8613900000001",
    "secretword",
    "私密的话",
    "fa246d0262c3925617b0c72bb20eeb1d",
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "header-value",
    "hooks/sms",
    "query-key",
    "pwd=",
    "{\"error\":",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_json_and_none_holds_a_secret_or_a_person() {
    assert!(SECRET.contains(NEVER[6]));
    let habits = Habits { min_interval: Duration::ZERO, ..Habits::default() };
    let (gateway, crm) = (gateway(habits).await, Receiver::start().await);
    crm.answer_next(&[503, 400, 200]);
    let settings = Settings {
        base_url: &gateway.base_url(),
        subscribers: &[
            ("crm", &format!("{}?key=query-key", crm.url)),
            ("down", "http://127.0.0.1:9/hooks/sms?key=query-key"),
        ],
        account: "balance_low = 100000\nrecover = \"1h\"",
        subscriber: "allow_private = true\nheaders = { authorization = \"header-value\" }",
        ..Settings::default()
    };
    let home = Home::new(&settings);
    let config = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &format!("[log]\nformat = \"json\"\n{config}"));
    let mut command = home.command(&["run"]);
    command.env("RUST_LOG", "trace");
    let service = home.spawn(command);
    gateway.arrive(UID, reply("13900000001", "secretword 私密的话"));
    until("the first delivery", || home.path("replyd.db").exists() && !crm.webhooks().is_empty())
        .await;
    gateway.fault_next(Fault::CutBody { after: 20 });
    gateway.arrive(UID, reply("13900000002", "secretword"));
    until("the second", || count(&home, "delivery WHERE state = 'delivered'") >= 1).await;
    until("a failure", || count(&home, "attempt WHERE http_status IS NULL") >= 2).await;
    assert_eq!(service.stop(), Some(0));
    let log = home.log();
    let mut messages = BTreeSet::new();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        for key in ["timestamp", "level", "message"] {
            assert!(line[key].is_string(), "{key}: {line}");
        }
        assert!(line["timestamp"].as_str().unwrap().ends_with("+08:00"), "{line}");
        messages.insert(line["message"].as_str().unwrap().to_owned());
    }
    for expected in ["replyd runs", "read the gateway", "not delivered", "replyd has stopped"] {
        assert!(messages.contains(expected), "{expected}: {messages:#?}");
    }
    for never in NEVER {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(never)).take(3).collect();
        assert!(lines.is_empty(), "{never} is in {lines:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_says_what_is_logged_and_else_the_configuration() {
    let home = Home::new(&Settings::default());
    let config = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &format!("[log]\nlevel = \"warn\"\n{config}"));
    // One read, which fails: nobody listens.
    for (filter, is_warned) in [
        (None, true),
        // Nothing is no wish.
        (Some(""), true),
        (Some("replyd=error"), false),
        (Some("off"), false),
        (Some("replyd=loud"), true),
    ] {
        drop(std::fs::remove_file(home.path("log")));
        let mut command = home.command(&["run", "--once"]);
        if let Some(filter) = filter {
            command.env("RUST_LOG", filter);
        }
        assert!(home.spawn(command).ended().await.is_some());
        let log = home.log();
        assert_eq!(log.contains(" WARN "), is_warned, "{filter:?}: {log}");
        assert!(!log.contains(" INFO "), "{filter:?}: {log}");
        let is_told = log.contains("RUST_LOG is not understood");
        assert_eq!(is_told, filter == Some("replyd=loud"), "{log}");
    }
}

//! `doctor`: what is wrong, what to do, and never a read.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use replyd::gateway::simulator::{Habits, Simulator};
use replyd::gateway::status::Status;
use serde_json::Value;

use crate::support::{
    Home, Receiver, SECRET, Settings, UID, ends, execute, gateway, reply, stderr, stdout, until,
};
use crate::terminal::Terminal;

/// What it finds: its exit code and its report.
#[track_caller]
fn doctor(home: &Home, expected: i32) -> Vec<Value> {
    let report: Value = serde_json::from_str(&ends(home, &["doctor", "--json"], expected)).unwrap();
    let findings = report["findings"].as_array().unwrap().clone();
    let is_wrong = findings.iter().any(|finding| finding["level"] == "bad");
    assert_eq!(report["ok"], !is_wrong);
    assert_eq!(expected != 0, is_wrong, "{report}");
    for finding in &findings {
        // Whatever is not as it is to be comes with what to do.
        assert_eq!(finding["level"] == "ok", finding["mend"].is_null(), "{finding}");
    }
    findings
}

/// The one finding that says this.
#[track_caller]
fn found(findings: &[Value], words: &str) -> Value {
    let says = |finding: &&Value| finding["what"].as_str().unwrap().contains(words);
    let all: Vec<&Value> = findings.iter().filter(says).collect();
    assert_eq!(all.len(), 1, "{words:?} in {findings:#?}");
    all[0].clone()
}

fn settings<'a>(base_url: &'a str, subscribers: &'a [(&'a str, &'a str)]) -> Settings<'a> {
    Settings { base_url, subscribers, min_interval: "10m", ..Settings::default() }
}

async fn stage() -> (Simulator, Receiver, Home) {
    let (gateway, receiver) = (gateway(Habits::default()).await, Receiver::start().await);
    let home = Home::new(&settings(&gateway.base_url(), &[("crm", &receiver.url)]));
    (gateway, receiver, home)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_right_is_said_and_nothing_is_read_or_sent() {
    let (gateway, receiver, home) = stage().await;
    // Before the first start there is no store, which is no fault.
    let findings = doctor(&home, 0);
    assert_eq!(found(&findings, "there is none at")["level"], "warn");
    assert!(!home.path("replyd.db").exists(), "doctor made a store");
    gateway.arrive(UID, reply("13900000001", "收到"));
    ends(&home, &["run", "--once"], 0);
    assert_eq!((gateway.requests().len(), receiver.webhooks().len()), (1, 1));
    let findings = doctor(&home, 0);
    for (words, about) in [
        ("config.toml is right", "configuration"),
        ("in Beijing it is", "clock"),
        ("an answer may need 128", "disk"),
        ("opens and is whole; 1 reply kept, 1 of 1 deliveries done", "store"),
        ("the login is right; 22348 messages are left", "account main"),
        ("no hour is in doubt", "account main"),
        ("is reached in", "subscriber crm"),
        ("nothing works on the store", "service"),
        ("may be open", "open files"),
    ] {
        let finding = found(&findings, words);
        assert_eq!(
            (&finding["about"], &finding["level"]),
            (&about.into(), &"ok".into()),
            "{finding}"
        );
    }
    assert_eq!((gateway.requests().len(), receiver.webhooks().len()), (1, 1), "it read or sent");
    let output = home.run(&["doctor"]);
    let (out, talk) = (stdout(&output), stderr(&output));
    assert!(out.contains("ok    account main") && !out.contains('\u{1b}'), "{out}");
    assert_eq!(talk, "0 things are wrong, 0 warnings\n");
    for secret in [SECRET, "fa246d0262c3925617b0c72bb20eeb1d"] {
        assert!(!out.contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_terminals_that_want_them() {
    let (_gateway, _receiver, home) = stage().await;
    let mut terminal = Terminal::start(&home, &["doctor"]);
    assert_eq!(terminal.ended().await, Some(0), "{}", terminal.shown());
    until("a colour", || terminal.shown().contains("\u{1b}[32mok")).await;
    until("the end", || terminal.shown().contains("0 things are wrong")).await;
    let mut terminal = Terminal::with(&home, &["doctor"], &[("NO_COLOR", "1")]);
    assert_eq!(terminal.ended().await, Some(0), "{}", terminal.shown());
    until("the end", || terminal.shown().contains("0 things are wrong")).await;
    assert!(terminal.shown().contains("ok    account main"), "{}", terminal.shown());
    assert!(!terminal.shown().contains("\u{1b}[3"), "{}", terminal.shown());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_is_seen() {
    let (gateway, _receiver, home) = stage().await;
    let service = home.serve();
    until("the first read", || !gateway.requests().is_empty()).await;
    assert_eq!(found(&doctor(&home, 0), "works on the store")["level"], "ok");
    assert_eq!(service.stop(), Some(0));
    found(&doctor(&home, 0), "nothing works on the store");
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_thing_has_its_code() {
    // A refused login: told, and not asked again while the service leaves it alone.
    let (gateway, receiver, home) = stage().await;
    gateway.set_status(UID, Some(Status(109)));
    let finding = found(&doctor(&home, 77), "the gateway answers 109");
    assert_eq!(finding["about"], "account main");
    ends(&home, &["run", "--once"], 1);
    gateway.set_status(UID, None);
    let finding = found(&doctor(&home, 77), "refused it with 109");
    assert!(finding["mend"].as_str().unwrap().contains("with another login"), "{finding}");
    // Nobody at the gateway's address.
    let home = Home::new(&settings("http://127.0.0.1:9", &[("crm", &receiver.url)]));
    found(&doctor(&home, 69), "the gateway is not reached");
    // Nobody at the receiver's, and no TLS there.
    let tls = receiver.url.replace("http://", "https://");
    let base_url = gateway.base_url();
    let home = Home::new(&settings(&base_url, &[("a", "http://127.0.0.1:9/token"), ("b", &tls)]));
    let findings = doctor(&home, 69);
    let finding = found(&findings, "cannot connect");
    assert!(!finding.to_string().contains("token"), "{finding}");
    found(&findings, "cannot encrypt");
    // A name that leads inside.
    let home = Home::new(&Settings {
        subscriber: "",
        ..settings(&base_url, &[("a", "https://localhost/")])
    });
    found(&doctor(&home, 78), "is an inside address");
    // Two kinds are some of it.
    let home = Home::new(&Settings {
        subscriber: "",
        ..settings("http://127.0.0.1:9", &[("a", "https://localhost/")])
    });
    doctor(&home, 1);
    // A wrong configuration: nothing else can be looked at.
    let home = Home::with("[server]\nlisten = \"nowhere\"\ncolour = 1\n");
    let findings = doctor(&home, 78);
    assert!(findings.iter().all(|finding| finding["about"] == "configuration"), "{findings:#?}");
    found(&findings, "config.toml:2:10: server.listen");
    found(&findings, "config.toml:3:1: server.colour: unknown key");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_and_what_waits_in_it_are_looked_at() {
    let (gateway, receiver, home) = stage().await;
    gateway.arrive(UID, reply("13900000001", "收到"));
    receiver.answer_next(&[410]);
    ends(&home, &["run", "--once"], 1);
    let store = home.path("replyd.db");
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o644)).unwrap();
    execute(&home, "UPDATE delivery SET created_ms = created_ms - 7200000");
    let findings = doctor(&home, 0);
    let finding = found(&findings, "other users of this machine may read replies");
    assert!(finding["mend"].as_str().unwrap().starts_with("chmod 600 "), "{finding}");
    let finding = found(&findings, "takes nothing since");
    assert!(finding["mend"].as_str().unwrap().contains("subscribers enable crm"), "{finding}");
    found(&findings, "the oldest for 2h");
    // Damage.
    let mut bytes = std::fs::read(&store).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    std::fs::write(&store, bytes).unwrap();
    let output = home.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("damaged"), "{}", stdout(&output));
    home.write("replyd.db", "something else altogether, and no database at all");
    assert_ne!(home.run(&["doctor"]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&store).unwrap().len(), 49, "it was changed");
}

/// A gateway that says what time it is, and what it is told to say beside.
fn server(date: &'static str, body: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 4096];
            drop(stream.read(&mut request));
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            drop(stream.write_all(head.as_bytes()));
        }
    });
    url
}

#[test]
fn a_wrong_clock_and_a_wrong_server_are_told() {
    let home =
        |date, body| Home::new(&Settings { base_url: &server(date, body), ..Settings::default() });
    let findings = doctor(&home("Mon, 26 May 2008 04:10:11 GMT", "100||5"), 1);
    found(&findings, "ahead of the gateway of main: receivers refuse signatures");
    let findings = doctor(&home("whenever", "<html>"), 1);
    found(&findings, "does not speak the gateway's protocol");
}

//! What strangers say is shown on a terminal and not obeyed: texts of replies, answers of receivers
//! and of the gateway, names and paths, in every command that shows them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use axum::http::StatusCode;
use axum::routing::any;
use replyd::gateway::simulator::Habits;

use crate::process::Process;
use crate::support::{Home, Settings, UID, ends, gateway, reply, stderr, stdout};

/// Clears the screen, sets the title, turns text round, rings.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\u{8}\r";

/// A receiver that answers everything with this.
async fn receiver() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(any(|| async { (StatusCode::BAD_REQUEST, EVIL) }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A gateway that answers everything with this.
fn evil_gateway() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 4096];
            drop(stream.read(&mut request));
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{EVIL}", EVIL.len());
            drop(stream.write_all(head.as_bytes()));
        }
    });
    url
}

/// Whether a terminal would be steered.
fn is_plain(text: &str) -> bool {
    !text.contains("\u{202e}") && !text.chars().any(|letter| letter.is_control() && letter != '\n')
}

#[track_caller]
fn shows(home: &Home, arguments: &[&str]) -> String {
    let output = home.run(arguments);
    let said = stdout(&output) + &stderr(&output);
    assert!(is_plain(&said), "{arguments:?}: {said:?}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_lets_a_stranger_steer_the_terminal() {
    let (gateway, url) = (gateway(Habits::default()).await, receiver().await);
    gateway.arrive(UID, reply("13900000001", EVIL));
    gateway.arrive(UID, reply("13900000002", &format!("{EVIL}TD")));
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &url)],
        min_interval: "10m",
        ..Settings::default()
    });
    shows(&home, &["run", "--once"]);
    let listed = ends(&home, &["replies", "list", "--json"], 0);
    let first: serde_json::Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let id = first["id"].as_str().unwrap().to_owned();
    let written_out = "\\u{1b}[2J";
    for (arguments, is_shown) in [
        (&["deliveries", "list", "--content"][..], true),
        (&["deliveries", "show", "1"], true),
        (&["replies", "list"], true),
        (&["replies", "show", &id], false),
        (&["subscribers", "show", "crm"], false),
        (&["subscribers", "test", "crm"], true),
        (&["reads", "list"], false),
        (&["reads", "show", "1"], false),
        (&["coverage"], false),
        (&["doctor"], false),
        (&["balance"], false),
        (&["deliveries", "retry", "1"], false),
        (&["subscribers", "show", "\u{1b}[2J"], false),
        (&["man", "\u{1b}[2J"], false),
        (&["--config", "\u{1b}[2J", "check"], false),
    ] {
        let said = shows(&home, arguments);
        assert!(!is_shown || said.contains(written_out), "{arguments:?}: {said}");
    }
    for arguments in [
        &["deliveries", "list", "--content", "--json"][..],
        &["deliveries", "show", "1", "--json"],
        &["replies", "list", "--json"],
    ] {
        let said = shows(&home, arguments);
        assert!(said.contains("\\u001b[2J"), "{arguments:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_does_a_gateway_or_a_sender() {
    let url = evil_gateway();
    let home = Home::new(&Settings { base_url: &url, ..Settings::default() });
    for arguments in
        [&["run", "--once"][..], &["poll"], &["doctor"], &["balance"], &["reads", "list"]]
    {
        shows(&home, arguments);
    }
    // Whoever posts to `listen`, or asks `sim`, says what he likes.
    let listen =
        ["listen", "--listen", "127.0.0.1:0", "--content", "--secret", crate::support::SECRET];
    for (name, arguments) in
        [("listen", &listen[..]), ("sim", &["sim", "--listen", "127.0.0.1:0", "--content"])]
    {
        let process = Process::start(&home, name, arguments);
        let url = process.url().await;
        let body = r#"{"type":"\u001b[2J","data":{"content":"\u001b[2J"}}"#;
        let mut stream =
            std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        write!(
            stream,
            "POST /tx/\u{9b}31m?uid=%1b[2J HTTP/1.1\r\nhost: a\r\nwebhook-id: \u{9b}31m\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let answered = stream.read(&mut [0; 100]).unwrap();
        assert!(answered > 0, "{name} gave no answer");
        let (_, out, talk) = process.ended_by("INT").await;
        assert!(is_plain(&out) && is_plain(&talk), "{name}: {out:?} {talk:?}");
        assert!(!out.is_empty(), "{name} showed nothing: {talk}");
    }
}

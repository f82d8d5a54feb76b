//! `listen`: a receiver that verifies, answers as it is told, and explains what it sees.

use std::process::{Child, Output, Stdio};
use std::time::Duration;

use axum::http::Method;
use replyd::clock::Clock;
use replyd::config::WebhookSecret;
use replyd::delivery::sign::{Signed, sign};
use replyd::gateway::simulator::{Habits, Simulator};
use serde_json::{Value, json};

use crate::support::{
    Home, SECRET, Settings, UID, answer_to_large, ends, gateway, reply, stderr, stdout, until,
};

/// A listening receiver. Dropped, it is killed.
struct Listener {
    child: Option<Child>,
    url: String,
}

impl Listener {
    /// Starts it on a free port, of which it tells.
    async fn start(home: &Home, arguments: &[&str]) -> Self {
        let talk = std::fs::File::create(home.path("talk")).unwrap();
        let out = std::fs::File::create(home.path("out")).unwrap();
        let mut command = home.command(&["listen", "--listen", "127.0.0.1:0"]);
        command.args(arguments).env("REPLYD_SECRET", SECRET);
        command.stdin(Stdio::null()).stdout(out).stderr(talk);
        let mut listener = Self { child: Some(command.spawn().unwrap()), url: String::new() };
        let said = || std::fs::read_to_string(home.path("talk")).unwrap();
        until("the receiver to listen", || said().contains("http://127.0.0.1:")).await;
        let said = said();
        let (_, rest) = said.split_once("http://").unwrap();
        let (address, _) = rest.split_once('/').unwrap();
        listener.url = format!("http://{address}/any/path");
        listener
    }

    /// Waits until it ends by itself: its exit code, what it printed and what it said.
    async fn ended(mut self, home: &Home) -> (Option<i32>, String, String) {
        let mut child = self.child.take().unwrap();
        until("the receiver to end", || child.try_wait().unwrap().is_some()).await;
        let read = |name| std::fs::read_to_string(home.path(name)).unwrap();
        (child.wait().unwrap().code(), read("out"), read("talk"))
    }

    /// Presses Ctrl-C.
    fn interrupt(&self) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let killed = std::process::Command::new("kill").args(["-s", "INT", &id]).status();
        assert!(killed.unwrap().success());
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Posts a body under an id, signed by the secret of every test; the answer's status.
async fn post(url: &str, id: &str, body: &str) -> u16 {
    let timestamp = Clock::system().unix().seconds();
    let secret = WebhookSecret::parse(SECRET).unwrap();
    let signature = sign(&[secret], Signed { id, timestamp, body: body.as_bytes() });
    let timestamp = timestamp.to_string();
    let headers =
        [("webhook-id", id), ("webhook-timestamp", &timestamp), ("webhook-signature", &signature)];
    request(url, Method::POST, &headers, body).await
}

async fn request(url: &str, method: Method, headers: &[(&str, &str)], body: &str) -> u16 {
    replyd::tls::install_provider();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method, url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status().as_u16()
}

fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A gateway with one reply, and a home whose service delivers to a receiver.
async fn stage(url: &str) -> (Simulator, Home) {
    let gateway = gateway(Habits::default()).await;
    gateway.arrive(UID, reply("13900000001", "收到\n\u{1b}[2J谢谢"));
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", url)],
        min_interval: "10m",
        ..Settings::default()
    });
    (gateway, home)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_sends_is_verified_and_shown_after_failures_on_purpose() {
    let ear = Home::new(&Settings::default());
    let listener = Listener::start(&ear, &["--fail", "2", "--count", "3", "--json"]).await;
    let (_gateway, home) = stage(&listener.url).await;
    let service = home.serve();
    let (code, out, talk) = listener.ended(&ear).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(code, Some(0), "{out}{talk}");
    let seen = lines(&out);
    let pick = |field: &str| seen.iter().map(|line| line[field].clone()).collect::<Vec<_>>();
    assert_eq!(pick("answered"), [503, 503, 204]);
    assert_eq!(pick("attempt"), [1, 2, 3]);
    assert_eq!(pick("seen"), ["new", "again", "again"]);
    assert_eq!(pick("verified"), [true, true, true]);
    let first = &seen[0];
    assert_eq!(first["reason"], "holds");
    assert_eq!(first["from"], "139****0001");
    assert_eq!((&first["type"], &first["trigger"]), (&json!("reply.received"), &json!("auto")));
    assert_eq!((&first["account"], &first["suspect"]), (&json!("main"), &Value::Null));
    assert!(first.get("content").is_none(), "shown unasked: {first}");
    assert!(!out.contains("13900000001"), "{out}");
    assert!(talk.contains("3 webhooks: 1 new, 2 seen before, 0 not verified"), "{talk}");
    assert!(talk.contains("2 answered with a failure"), "{talk}");
    // What it answered is what the service saw: nothing is to be sent again.
    ends(&home, &["run", "--once"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_for_people_what_steers_no_terminal() {
    for (arguments, content, from) in [
        (&["--count", "1"][..], "9 characters (--content shows it)", "139****0001"),
        (&["--count", "1", "--content"], r"收到\n\u{1b}[2J谢谢", "13900000001"),
        (&["--count", "1", "--lang", "zh"], "9 个字符（加 --content 显示）", "139****0001"),
    ] {
        let ear = Home::new(&Settings::default());
        let listener = Listener::start(&ear, arguments).await;
        let (_gateway, home) = stage(&listener.url).await;
        ends(&home, &["run", "--once"], 0);
        let (code, out, talk) = listener.ended(&ear).await;
        assert_eq!(code, Some(0), "{out}{talk}");
        for text in [content, from, "rpl_", "1 (auto)", "reply.received", "→ 204", "main"] {
            assert!(out.contains(text), "{text} is not in\n{out}");
        }
        assert!(!out.contains('\u{1b}'), "{out:?}");
        let stands = if arguments.contains(&"zh") { "已验证，新" } else { "verified, new" };
        assert!(out.contains(stands), "{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_is_refused_and_explained() {
    let ear = Home::new(&Settings::default());
    let listener = Listener::start(&ear, &["--json"]).await;
    let url = listener.url.clone();
    let body = r#"{"type":"x","data":{"id":"rpl_1"}}"#;
    assert_eq!(post(&url, "rpl_1", body).await, 204);
    assert_eq!(post(&url, "rpl_1", body).await, 204);
    assert_eq!(post(&url, "rpl_1", &format!("{body} ")).await, 409);
    assert_eq!(post(&url, "rpl_2", body).await, 204, "the id is the header's");
    assert_eq!(request(&url, Method::POST, &[], body).await, 401);
    let forged = [
        ("webhook-id", "rpl_1"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    assert_eq!(request(&url, Method::POST, &forged, "{}").await, 401);
    let known = forged.map(|(name, value)| match name {
        "webhook-id" => (name, "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        _ => (name, value),
    });
    assert_eq!(request(&url, Method::POST, &known, r#"{"test": 2432232314}"#).await, 401);
    assert_eq!(request(&url, Method::POST, &known, r#"{"test":2432232314}"#).await, 401);
    assert_eq!(request(&url, Method::GET, &known, "").await, 405);
    assert_eq!(answer_to_large(&url), "HTTP/1.1 413 Payload Too Large");
    listener.interrupt();
    let (code, out, talk) = listener.ended(&ear).await;
    assert_eq!(code, Some(1), "not all could be believed: {talk}");
    let seen = lines(&out);
    let pick = |field: &str| seen.iter().map(|line| line[field].clone()).collect::<Vec<_>>();
    let null = Value::Null;
    assert_eq!(
        pick("seen"),
        [
            json!("new"),
            json!("again"),
            json!("other_bytes"),
            json!("new"),
            null.clone(),
            null.clone(),
            null.clone(),
            null
        ]
    );
    let reasons =
        ["holds", "holds", "holds", "holds", "header_missing", "no_match", "clock", "body_changed"];
    assert_eq!(pick("reason"), reasons);
    assert!(talk.contains("GET /any/path → 405") && talk.contains("→ 413"), "{talk}");
    let summary =
        "8 webhooks: 2 new, 1 seen before, 4 not verified, 1 with the same id and other bytes";
    assert!(talk.contains(summary), "{talk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn same_id_and_other_bytes_is_loud_for_people_too() {
    let ear = Home::new(&Settings::default());
    let listener = Listener::start(&ear, &["--count", "3"]).await;
    let url = listener.url.clone();
    assert_eq!(post(&url, "rpl_1", "{}").await, 204);
    assert_eq!(post(&url, "rpl_1", "[]").await, 409);
    let unsigned = [("webhook-id", "rpl_\u{7f}1")];
    assert_eq!(request(&url, Method::POST, &unsigned[..0], "{}").await, 401);
    let (code, out, talk) = listener.ended(&ear).await;
    assert_eq!(code, Some(1), "{out}{talk}");
    assert!(out.contains("SAME ID, OTHER BYTES"), "{out}");
    assert!(out.contains("NOT VERIFIED → 401"), "{out}");
    assert!(out.contains("why       The header webhook-id is not there"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_can_be_a_failure() {
    let ear = Home::new(&Settings::default());
    for (arguments, expected) in [
        (&["--status", "500", "--count", "3"][..], [500, 500, 500]),
        (&["--status", "429", "--fail", "1", "--count", "3"], [429, 204, 204]),
        (&["--status", "200", "--count", "3"], [200, 200, 200]),
    ] {
        let listener = Listener::start(&ear, arguments).await;
        let url = listener.url.clone();
        for (number, status) in expected.into_iter().enumerate() {
            let id = format!("rpl_{number}");
            assert_eq!(post(&url, &id, "{}").await, status, "{arguments:?}");
        }
        assert_eq!(listener.ended(&ear).await.0, Some(0), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_at_ctrl_c_though_somebody_holds_a_connection() {
    let ear = Home::new(&Settings::default());
    let listener = Listener::start(&ear, &[]).await;
    let address = listener.url.replace("http://", "").replace("/any/path", "");
    let mut held = std::net::TcpStream::connect(address).unwrap();
    held.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    std::io::Write::write_all(&mut held, b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n").unwrap();
    listener.interrupt();
    let (code, out, talk) = listener.ended(&ear).await;
    assert_eq!((code, out.as_str()), (Some(0), ""), "{talk}");
    assert!(talk.contains("0 webhooks: "), "{talk}");
}

#[test]
fn what_cannot_listen_is_refused() {
    let home = Home::new(&Settings::default());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let refused = |arguments: &[&str]| -> Output { home.run(&[&["listen"], arguments].concat()) };
    for (arguments, code, expected) in [
        (&[][..], 2, "no secret: give --secret-file"),
        (&["--secret", "whsec_AAAA"], 2, "--secret: must hold 24 to 64 bytes, not 3"),
        (&["--secret", "AAAA"], 2, "must begin with whsec_"),
        (&["--secret", SECRET, "--listen", "8000"], 2, "invalid value"),
        (&["--secret", SECRET, "--status", "100"], 2, "invalid value"),
        (&["--secret", SECRET, "--count", "0"], 2, "invalid value"),
        (&["--secret", SECRET, "--listen", &taken], 1, "cannot listen on 127.0.0.1:"),
        (&["--subscriber", "crm"], 66, "no subscriber \"crm\""),
        (&["--secret-file", "absent"], 66, "absent cannot be used"),
    ] {
        let output = refused(arguments);
        let talk = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{talk}");
        assert!(talk.contains(expected), "{arguments:?}\n{talk}");
        assert!(stdout(&output).is_empty(), "{arguments:?}");
    }
}

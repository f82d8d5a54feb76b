//! Sending by the API: once, whatever happens; and what is left to send.

use std::time::Duration;

use replyd::gateway::simulator::{Habits, Simulator};
use serde_json::{Value, json};

use super::{Answer, Client, client};
use crate::send::{answering, forget_refusal};
use crate::support::{Home, Service, Settings, ends, execute, gateway, query, until};

const TO: &str = "13900000001";

async fn sending(account: &str) -> (Simulator, Home, Service, Client) {
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    let (home, service, api) = sending_by(&gateway.base_url(), account).await;
    (gateway, home, service, api)
}

async fn sending_by(base_url: &str, account: &str) -> (Home, Service, Client) {
    let home =
        Home::new(&Settings { base_url, schedule: "0 0 0 1 1 *", account, ..Settings::default() });
    let service = home.serve();
    let api = client(&home).await;
    (home, service, api)
}

fn send(api: &Client, key: &str, body: &Value) -> Answer {
    let headers = [("idempotency-key", key)];
    let headers = if key.is_empty() { &headers[..0] } else { &headers[..] };
    api.ask("POST", "/api/v1/messages", headers, body.to_string().as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_once_however_often_it_is_asked_for() {
    let (gateway, home, service, api) = sending("").await;
    let wish = json!({ "to": ["13900000001,13900000002", TO], "text": "您好", "mid": "00" });
    let planned = send(&api, "", &json!({ "to": [TO], "text": "您好", "dry_run": true }));
    assert_eq!((planned.status, &planned.json()["calls"][0]["state"]), (200, &json!("planned")));
    assert_eq!(gateway.sent().len(), 0);
    let sent = send(&api, "8f14e45f-ceea-467f", &wish);
    assert_eq!(sent.status, 201, "{}", sent.json());
    let told = sent.json();
    assert_eq!(
        (&told["accepted"], &told["numbers"], &told["repeated"]),
        (&json!(2), &json!(2), &json!(1))
    );
    let id = told["id"].as_str().unwrap();
    assert_eq!(sent.header("location"), Some(format!("/api/v1/messages/{id}").as_str()));
    for _ in 0..3 {
        let again = send(&api, "8f14e45f-ceea-467f", &wish);
        assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
        assert_eq!(again.json()["id"], told["id"]);
    }
    let mut shown = api.get(&format!("/api/v1/messages/{id}"));
    shown["repeated"] = json!(1);
    assert_eq!(shown, told);
    let other = send(&api, "8f14e45f-ceea-467f", &json!({ "to": [TO], "text": "other" }));
    assert_eq!((other.status, other.code()), (422, "idempotency_key_reused".to_owned()));
    assert_eq!(gateway.sent().len(), 1);
    // Also after a restart, and after the time at which it was to be sent.
    let later = json!({ "to": [TO], "text": "later", "at": "2099-12-01 09:30" });
    assert_eq!(send(&api, "later-is-later", &later).status, 201);
    assert_eq!(service.stop(), Some(0));
    std::fs::remove_file(home.path("log")).unwrap();
    let service = home.serve();
    until("the address", || crate::recovery::address(&home).is_some()).await;
    let api = Client { address: crate::recovery::address(&home).unwrap(), ..api };
    assert_eq!(send(&api, "8f14e45f-ceea-467f", &wish).status, 200);
    assert_eq!(send(&api, "later-is-later", &later).status, 200);
    assert_eq!(gateway.sent().len(), 2);
    let audit = api.get("/api/v1/audit?token=all&since=1h");
    let targets: Vec<&Value> =
        audit["items"].as_array().unwrap().iter().map(|entry| &entry["target"]).collect();
    assert_eq!(targets, [&json!("1 numbers by main"), &json!("2 numbers by main")]);
    let by_command = ends(&home, &["audit", "list", "--json"], 0);
    assert_eq!(
        serde_json::from_str::<Value>(by_command.lines().next().unwrap()).unwrap(),
        audit["items"][0]
    );
    for text in [audit.to_string(), home.log()] {
        assert!(!text.contains(TO) && !text.contains("您好"), "{text}");
    }
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_gone_out_is_never_sent_again() {
    let (gateway, home, service, api) = sending("").await;
    // Somebody died over it: nobody knows.
    let wish = json!({ "to": [TO], "text": "hello" });
    let first = send(&api, "unclear-unclear", &wish).json();
    execute(&home, "UPDATE message_call SET state = 'sending', started_ms = 1, ended_ms = NULL");
    let again = send(&api, "unclear-unclear", &wish);
    assert_eq!((again.status, &again.json()["calls"][0]["state"]), (202, &json!("sending")));
    let id = first["id"].as_str().unwrap();
    execute(&home, "INSERT INTO message_call (message, number, state) SELECT seq, 1, 'waiting' FROM message;
                    INSERT INTO recipient (message, mobile, call) SELECT seq, '13900000002', 1 FROM message;
                    UPDATE message SET created_ms = 1");
    assert_eq!(service.stop(), Some(0));
    std::fs::remove_file(home.path("log")).unwrap();
    let service = home.serve();
    until("the address", || crate::recovery::address(&home).is_some()).await;
    let api = Client { address: crate::recovery::address(&home).unwrap(), ..api };
    let shown = api.get(&format!("/api/v1/messages/{id}"));
    assert_eq!(
        (&shown["calls"][0]["state"], &shown["calls"][0]["to"]),
        (&json!("unclear"), &json!([TO])),
        "{shown}"
    );
    assert_eq!(
        (&shown["calls"][1]["state"], &shown["calls"][1]["to"]),
        (&json!("unsent"), &json!(["13900000002"])),
        "{shown}"
    );
    assert_eq!(send(&api, "unclear-unclear", &wish).status, 200);
    assert_eq!(gateway.sent().len(), 1);
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_said_and_nothing_is_sent() {
    let (gateway, _home, service, api) = sending("").await;
    for (key, wish, status, code) in [
        ("", json!({ "to": [TO], "text": "a" }), 400, "idempotency_key_missing"),
        ("short", json!({ "to": [TO], "text": "a" }), 400, "header_invalid"),
        ("long-enough", json!({ "to": [], "text": "a" }), 422, "body_invalid"),
        ("long-enough", json!({ "to": ["139"], "text": "a" }), 422, "body_invalid"),
        ("long-enough", json!({ "to": [TO], "text": " " }), 422, "body_invalid"),
        ("long-enough", json!({ "to": [TO], "text": "a", "mid": "x" }), 422, "body_invalid"),
        (
            "long-enough",
            json!({ "to": [TO], "text": "a", "at": "2008-05-27 12:00" }),
            422,
            "body_invalid",
        ),
        ("long-enough", json!({ "to": [TO], "text": "a", "at": "tomorrow" }), 422, "body_invalid"),
        (
            "long-enough",
            json!({ "to": [TO], "text": "a", "account": "other" }),
            422,
            "name_unknown",
        ),
        ("long-enough", json!({ "to": TO, "text": "a" }), 422, "body_invalid"),
        ("long-enough", json!({ "to": [TO], "text": "a", "txt": "b" }), 422, "body_invalid"),
    ] {
        let answer = send(&api, key, &wish);
        assert_eq!((answer.status, answer.code()), (status, code.to_owned()), "{wish}");
        assert!(!answer.json().to_string().contains(TO), "{}", answer.json());
    }
    let large = vec![b'a'; 1024 * 1024 + 1];
    let answer = api.ask("POST", "/api/v1/messages", &[], &large);
    assert_eq!((answer.status, answer.code()), (413, "body_too_large".to_owned()));
    let typed = api.ask("POST", "/api/v1/messages", &[("content-type", "text/plain")], b"{}");
    assert_eq!((typed.status, typed.code()), (415, "media_type_unsupported".to_owned()));
    let cut = api.ask("POST", "/api/v1/messages", &[], b"{\"to\":");
    assert_eq!((cut.status, cut.code()), (400, "body_unparsable".to_owned()));
    assert_eq!(
        api.refused("/api/v1/messages/msg_0123456789abcdef0123456789abcdef"),
        (404, "not_found".to_owned())
    );
    assert_eq!(gateway.sent().len(), 0);
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_refuses_is_told_and_the_balance_is_asked_for_seldom() {
    let (gateway, home, service, api) = sending("").await;
    assert_eq!(
        api.get("/api/v1/balance"),
        json!({ "items": [{ "account": "main", "balance": 22348, "status": 100, "error": null }] })
    );
    let sent = api.get("/api/v1/balance?account=main&sent=true");
    assert!(sent["items"][0]["sent"].is_u64(), "{sent}");
    assert_eq!(api.refused("/api/v1/balance?account=other"), (422, "name_unknown".to_owned()));
    gateway.stop().await;
    // It was asked a moment ago.
    assert_eq!(api.get("/api/v1/balance")["items"][0]["balance"], 22348);
    let wish = json!({ "to": [TO], "text": "a" });
    let unsent = send(&api, "nobody-there", &wish);
    assert_eq!((unsent.status, &unsent.json()["calls"][0]["state"]), (201, &json!("unsent")));
    assert_eq!(unsent.json()["calls"][0]["to"], json!([TO]));
    assert_eq!(query::<i64>(&home, "SELECT count(*) FROM audit_entry"), 1);
    assert_eq!(service.stop(), Some(0));
}

/// A service whose first read was refused, which is forgotten again; and the requests that come from
/// then on, each of which is refused, too.
async fn refused_by(
    answer: &'static [u8],
) -> (std::sync::mpsc::Receiver<String>, Home, Service, Client) {
    let (url, requests) = answering(answer);
    let (home, service, api) = sending_by(&url, "").await;
    until("the refusal of the first read", || refused_status(&home).is_some()).await;
    forget_refusal(&home);
    requests.try_iter().for_each(drop);
    (requests, home, service, api)
}

fn refused_status(home: &Home) -> Option<i64> {
    query(home, "SELECT max(refused_status) FROM account")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_the_gateway_refuses_is_left_alone() {
    let (requests, home, service, api) =
        refused_by(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n101").await;
    let state = |key| {
        let sent = send(&api, key, &json!({ "to": [TO], "text": "a" }));
        assert_eq!(sent.status, 201, "{}", sent.json());
        let call = &sent.json()["calls"][0];
        (call["state"].clone(), call["status"].clone())
    };
    // The first of them is refused, and no other call is made.
    assert_eq!(state("the-first-of-them"), (json!("refused"), json!(101)));
    assert_eq!(requests.try_iter().count(), 1);
    assert_eq!(refused_status(&home), Some(101));
    assert_eq!(state("the-second-of-them"), (json!("unsent"), Value::Null));
    assert_eq!(api.get("/api/v1/balance")["items"][0]["status"], 101);
    assert_eq!(requests.try_iter().count(), 0, "it was called all the same");
    assert_eq!(service.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_that_is_refused_counts_as_a_refusal() {
    let (requests, home, service, api) =
        refused_by(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n109").await;
    assert_eq!(api.get("/api/v1/balance")["items"][0]["status"], 109);
    assert_eq!(requests.try_iter().count(), 1);
    assert_eq!(refused_status(&home), Some(109));
    assert_eq!(service.stop(), Some(0));
}

//! Deliveries, replays and subscribers, looked at and changed by the API as by the commands.

use std::collections::BTreeSet;
use std::time::Duration;

use replyd::gateway::simulator::{Habits, Simulator};
use serde_json::{Value, json};

use super::{Client, client, idle, token};
use crate::support::{
    Home, Receiver, Service, Settings, UID, ends, execute, gateway, query, reply, until,
};

/// A service with a receiver that refuses all, and so many failed deliveries.
async fn failed(count: usize) -> (Simulator, Receiver, Home, Service, Client) {
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    let crm = Receiver::start().await;
    crm.answer_with(500, "no");
    let base_url = gateway.base_url();
    let home = Home::new(&Settings {
        base_url: &base_url,
        subscribers: &[("crm", &crm.url)],
        subscriber: "allow_private = true\ngive_up = \"1s\"",
        ..Settings::default()
    });
    let service = home.serve();
    let api = client(&home).await;
    for number in 0..count {
        gateway.arrive(UID, reply(&format!("1390000{number:04}"), "退订"));
    }
    until("as many deliveries", || {
        query::<i64>(&home, "SELECT count(*) FROM delivery") == count as i64
    })
    .await;
    // None is waited for that the subscriber's pace holds back.
    until("failures", || {
        execute(&home, "UPDATE delivery SET state = 'failed' WHERE state = 'waiting' AND attempts > 0 OR state = 'waiting' AND id > 1");
        states(&home, "failed") == count
    })
    .await;
    (gateway, crm, home, service, api)
}

fn states(home: &Home, state: &str) -> usize {
    let sql = format!("SELECT count(*) FROM delivery WHERE state = '{state}'");
    query::<i64>(home, &sql).try_into().unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_retried_by_number_and_by_as_many_as_were_seen() {
    let (gateway, crm, home, service, api) = failed(5).await;
    let listed =
        api.get("/api/v1/deliveries?state=failed&subscriber=crm&type=reply.received&limit=2");
    assert_eq!(listed["items"][0]["content"], "退订");
    assert!(listed["items"][0]["from"].as_str().unwrap().starts_with("1390000"), "{listed}");
    let (mut seen, mut path) = (BTreeSet::new(), "/api/v1/deliveries?limit=2".to_owned());
    loop {
        let page = api.get(&path);
        for row in page["items"].as_array().unwrap() {
            assert!(seen.insert(row["id"].as_i64().unwrap()), "{row} came twice");
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/deliveries?limit=2&cursor={next}");
    }
    assert_eq!(seen, (1..=5).collect());
    let shown = api.get("/api/v1/deliveries/1");
    let by_command: Value =
        serde_json::from_str(&ends(&home, &["deliveries", "show", "1", "--json"], 0)).unwrap();
    assert_eq!(shown["attempts"], by_command["attempts"]);
    assert_eq!(shown["delivery"]["event_id"], by_command["delivery"]["event_id"]);

    crm.answer_with(204, "");
    // Nothing that it did before counts against it.
    assert_eq!(api.post("/api/v1/subscribers/crm/enable", &Value::Null).status, 200);
    let retry = |body: &Value| api.post("/api/v1/deliveries/retry", body);
    for (body, status, code) in [
        (json!({}), 422, "body_invalid"),
        (json!({ "ids": [1], "filter": {} }), 422, "body_invalid"),
        (json!({ "ids": [] }), 422, "body_invalid"),
        (json!({ "ids": [1], "expect": 1 }), 422, "body_invalid"),
        (json!({ "ids": [1, 99] }), 404, "not_found"),
        (json!({ "ids": ["13900000001"] }), 422, "body_invalid"),
        (json!({ "filter": {} }), 422, "body_invalid"),
        (json!({ "filter": { "subscriber": "other" }, "dry_run": true }), 422, "name_unknown"),
        (json!({ "filter": { "state": ["delivered"] }, "dry_run": true }), 422, "body_invalid"),
        (json!({ "filter": { "mobile": "abc" }, "dry_run": true }), 422, "body_invalid"),
        (json!({ "filter": { "mobil": "abc" }, "dry_run": true }), 422, "body_invalid"),
        (json!({ "filter": {}, "expect": 4 }), 409, "expect_differs"),
        (json!([]), 422, "body_invalid"),
    ] {
        let answer = retry(&body);
        assert_eq!((answer.status, answer.code()), (status, code.to_owned()), "{body}");
    }
    assert_eq!(states(&home, "failed"), 5);
    let counted = retry(&json!({ "filter": { "subscriber": "crm" }, "dry_run": true })).json();
    assert_eq!(counted, json!({ "dry_run": true, "count": 5, "retried": 0, "others": [] }));
    let one = api.post("/api/v1/deliveries/1/retry", &Value::Null).json();
    assert_eq!(one, json!({ "dry_run": false, "count": 1, "retried": 1, "others": [] }));
    until("one delivered", || states(&home, "delivered") == 1).await;
    assert_eq!(api.post("/api/v1/deliveries/1/retry", &Value::Null).code(), "state_conflict");
    assert_eq!(api.post("/api/v1/deliveries/99/retry", &Value::Null).code(), "not_found");
    let stale = retry(&json!({ "filter": {}, "expect": 5 }));
    assert_eq!(stale.code(), "expect_differs");
    let named = retry(&json!({ "ids": [1, 2, 2] })).json();
    assert_eq!(
        named,
        json!({ "dry_run": false, "count": 1, "retried": 1, "others": [{ "id": 1, "state": "delivered" }] })
    );
    let rest =
        retry(&json!({ "filter": { "since": "1h", "mobile": "13900000004" }, "expect": 1 })).json();
    assert_eq!(rest["retried"], 1);
    until("three delivered", || states(&home, "delivered") == 3).await;
    let audit: String = query(
        &home,
        "SELECT group_concat(token || ' ' || action || ' ' || target || ' ' || outcome, '; ' ORDER BY id) FROM audit_entry",
    );
    assert_eq!(
        audit,
        "all subscribers.enable subscriber crm enabled; all deliveries.retry delivery 1 1 changed; all deliveries.retry 1 deliveries by number 1 changed; \
         all deliveries.retry 1 deliveries by filter 1 changed"
    );
    assert!(home.log().contains("changed by the API"), "{}", home.log());
    let reader = Client { token: Some(token(&home, "reader", &["read"])), ..api.clone() };
    assert_eq!(reader.post("/api/v1/deliveries/2/retry", &Value::Null).code(), "scope_missing");
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_cancelled_and_what_is_held_released() {
    let (home, service, api) = idle().await;
    execute(
        &home,
        "INSERT INTO subscriber (name, route, enabled, absent) VALUES ('crm', '{}', 1, 1);
         INSERT INTO event (seq, id, type, body) VALUES (1, 'evt_0123456789abcdef0123456789abcdef', 'gap.opened', '{\"data\":{}}');
         INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
         VALUES ('crm', 1, 'auto', 'waiting', 1, 4102444800000), ('crm', 1, 'auto', 'held', 2, 2), ('crm', 1, 'auto', 'held', 3, 3);",
    );
    let cancelled =
        api.post("/api/v1/deliveries/cancel", &json!({ "ids": [1], "dry_run": true })).json();
    assert_eq!(cancelled, json!({ "dry_run": true, "count": 1, "cancelled": 0, "others": [] }));
    assert_eq!(api.post("/api/v1/deliveries/1/cancel", &json!({})).json()["cancelled"], 1);
    assert_eq!(api.post("/api/v1/deliveries/1/release", &json!({})).code(), "state_conflict");
    assert_eq!(api.post("/api/v1/deliveries/2/release", &json!({ "x": 1 })).code(), "body_invalid");
    assert_eq!(api.post("/api/v1/deliveries/2/release", &Value::Null).json()["released"], 1);
    let released = api.post("/api/v1/deliveries/release", &json!({ "filter": {}, "expect": 1 }));
    assert_eq!(released.json()["released"], 1);
    assert_eq!((states(&home, "cancelled"), states(&home, "waiting")), (1, 2));
    let by_event =
        api.get("/api/v1/deliveries?event_id=evt_0123456789abcdef0123456789abcdef&trigger=auto");
    assert_eq!(by_event["items"].as_array().unwrap().len(), 3);
    assert_eq!(service.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_counted_started_followed_and_ended() {
    let (gateway, crm, home, service, api) = failed(3).await;
    crm.answer_with(204, "");
    // Nothing that it did before counts against it.
    assert_eq!(api.post("/api/v1/subscribers/crm/enable", &Value::Null).status, 200);
    let hour: String = query(
        &home,
        "SELECT strftime('%Y-%m-%d_%H', max(replied_at) + 28800, 'unixepoch') FROM reply",
    );
    let first: String = query(
        &home,
        "SELECT strftime('%Y-%m-%d_%H', min(replied_at) + 28800, 'unixepoch') FROM reply",
    );
    let wish = json!({ "hour": first, "to": hour, "dry_run": true, "only": "failed" });
    let counted = api.post("/api/v1/replays", &wish);
    assert_eq!(counted.status, 200);
    let by_command = ends(
        &home,
        &["replay", &first, "--to", &hour, "--dry-run", "--only", "failed", "--json"],
        0,
    );
    assert_eq!(counted.json(), serde_json::from_str::<Value>(&by_command).unwrap());
    let started =
        api.post("/api/v1/replays", &json!({ "hour": first, "to": hour, "subscribers": ["crm"] }));
    assert_eq!((started.status, started.header("location")), (202, Some("/api/v1/replays/1")));
    until("the replay", || api.get("/api/v1/replays/1")["state"] == "done").await;
    let job = api.get("/api/v1/replays/1");
    assert_eq!((&job["looked_at"], &job["deliveries"]), (&json!(3), &json!({ "crm": 3 })));
    until("three delivered", || states(&home, "delivered") == 3).await;
    assert_eq!(lines(&ends(&home, &["replay", "list", "--json"], 0)), [job]);
    assert_eq!(api.get("/api/v1/replays?limit=1")["items"].as_array().unwrap().len(), 1);
    assert_eq!(api.post("/api/v1/replays/1/cancel", &Value::Null).code(), "state_conflict");
    assert_eq!(api.post("/api/v1/replays/7/cancel", &Value::Null).code(), "not_found");
    assert_eq!(api.refused("/api/v1/replays/7"), (404, "not_found".to_owned()));
    let nothing = api.post("/api/v1/replays", &json!({ "hour": "2008-05-27_12" }));
    assert_eq!((nothing.status, &nothing.json()["jobs"]), (200, &json!([])));
    for (wish, code) in [
        (json!({}), "body_invalid"),
        (json!({ "hour": "2008-05-27" }), "body_invalid"),
        (json!({ "hour": "2099-05-27_12" }), "body_invalid"),
        (json!({ "hour": hour, "to": "2008-05-27_12" }), "body_invalid"),
        (json!({ "hour": hour, "subscribers": ["other"] }), "name_unknown"),
        (json!({ "hour": hour, "account": "other" }), "name_unknown"),
        (json!({ "hour": hour, "only": "all" }), "body_invalid"),
        (json!({ "hour": hour, "refetch": true }), "body_invalid"),
    ] {
        assert_eq!(api.post("/api/v1/replays", &wish).code(), code, "{wish}");
    }
    // One that nobody carries out is ended.
    execute(
        &home,
        "INSERT INTO replay_job (id, state, first_hour, last_hour, selection, as_new, newest_seq, replies, created_ms,
             cursor_replied_at, lease_end_ms)
         VALUES (9, 'running', 0, 0, 'all', 0, 0, 5, 1, 0, (unixepoch() + 4) * 1000)",
    );
    assert_eq!(api.post("/api/v1/replays/9/cancel", &Value::Null).json()["state"], "cancelled");
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_are_shown_tested_and_switched() {
    let (gateway, crm, home, service, api) = failed(1).await;
    let listed = api.get("/api/v1/subscribers");
    let by_command = lines(&ends(&home, &["subscribers", "list", "--json"], 0));
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["failed"], by_command[0]["failed"]);
    let shown = api.get("/api/v1/subscribers/crm");
    let by_command: Value =
        serde_json::from_str(&ends(&home, &["subscribers", "show", "crm", "--json"], 0)).unwrap();
    assert_eq!(
        (&shown["attempts"], &shown["configuration"]),
        (&by_command["attempts"], &by_command["configuration"])
    );
    assert!(!shown.to_string().contains("whsec_"), "{shown}");
    let tested = api.post("/api/v1/subscribers/crm/test", &Value::Null).json();
    assert_eq!(
        (&tested["delivered"], &tested["attempt"]["http_status"]),
        (&json!(false), &json!(500))
    );
    crm.answer_with(204, "");
    let tested = api.post("/api/v1/subscribers/crm/test", &json!({})).json();
    assert_eq!((&tested["delivered"], &tested["name"]), (&json!(true), &json!("crm")));
    let delivery = tested["delivery"].as_i64().unwrap();
    assert_eq!(api.get(&format!("/api/v1/deliveries/{delivery}"))["delivery"]["trigger"], "test");
    let disabled = api.post("/api/v1/subscribers/crm/disable", &Value::Null).json();
    assert_eq!(disabled["state"], "disabled");
    assert!(disabled["why"]["en"].is_string() && disabled["why"]["zh"].is_string(), "{disabled}");
    let enabled = api.post("/api/v1/subscribers/crm/enable", &Value::Null).json();
    assert_eq!(enabled, json!({ "name": "crm", "state": "enabled", "why": null }));
    for act in ["", "/test", "/enable", "/disable"] {
        let method = if act.is_empty() { "GET" } else { "POST" };
        let answer = api.ask(method, &format!("/api/v1/subscribers/other{act}"), &[], b"");
        assert_eq!(answer.code(), "not_found", "{act}");
    }
    let replayer = Client { token: Some(token(&home, "replayer", &["replay"])), ..api.clone() };
    assert_eq!(
        replayer.post("/api/v1/subscribers/crm/enable", &Value::Null).code(),
        "scope_missing"
    );
    let actions: String =
        query(&home, "SELECT group_concat(action, ' ' ORDER BY id) FROM audit_entry");
    assert_eq!(actions, "subscribers.test subscribers.test subscribers.disable subscribers.enable");
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_hours_are_shown_as_the_commands_show_them() {
    let (gateway, _crm, home, service, api) = failed(1).await;
    until("some reads", || query::<i64>(&home, "SELECT count(*) FROM read") > 5).await;
    assert_eq!(service.stop(), Some(0));
    let settings = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &settings.replace("* * * * * *", "0 0 0 1 1 *"));
    std::fs::remove_file(home.path("log")).unwrap();
    let service = home.serve();
    until("the address", || crate::recovery::address(&home).is_some()).await;
    let api = Client { address: crate::recovery::address(&home).unwrap(), ..api };
    // One is made at each start.
    let by_command = || lines(&ends(&home, &["reads", "list", "--limit", "3", "--json"], 0));
    let by_api = || api.get("/api/v1/reads?limit=3")["items"].as_array().unwrap().clone();
    until("the last read", || by_api() == by_command() && by_api()[0]["state"] == "ingested").await;
    let listed = api.get("/api/v1/reads?limit=3");
    let id = listed["items"][0]["read"].as_i64().unwrap();
    let shown: Value =
        serde_json::from_str(&ends(&home, &["reads", "show", &id.to_string(), "--json"], 0))
            .unwrap();
    assert_eq!(api.get(&format!("/api/v1/reads/{id}")), shown);
    let next = listed["next_cursor"].as_str().unwrap();
    let page = api.get(&format!("/api/v1/reads?limit=500&cursor={next}"));
    assert!(page["items"][0]["read"].as_i64().unwrap() < id - 2, "{page}");
    assert_eq!(api.refused("/api/v1/reads/999999999"), (404, "not_found".to_owned()));
    let by_command = lines(&ends(&home, &["coverage", "--json"], 0));
    assert_eq!(api.get("/api/v1/coverage")["items"].as_array().unwrap(), &by_command);
    assert_eq!(api.get("/api/v1/coverage?account=main&days=1")["items"][0]["account"], "main");
    assert_eq!(
        api.get("/api/v1/coverage?from=2008-05-01&to=2008-05-31")["items"][0]["to"],
        "2008-05-31"
    );
    for wrong in
        ["from=2008-05-01", "to=2008-05-01", "days=2&from=2008-05-01", "days=63", "from=2099-01-01"]
    {
        let (status, code) = api.refused(&format!("/api/v1/coverage?{wrong}"));
        assert_eq!((status, code.as_str()), (400, "query_invalid"), "{wrong}");
    }
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

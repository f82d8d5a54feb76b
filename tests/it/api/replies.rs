//! Replies by the API: filters, pages, one whole.

use std::collections::BTreeSet;
use std::time::Duration;

use replyd::gateway::simulator::Habits;
use serde_json::json;

use super::{client, fill, idle};
use crate::support::{Home, Receiver, Settings, UID, ends, execute, gateway, query, reply, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_listed_and_shown_as_the_commands_show_it_and_its_number_whole() {
    let gateway = gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await;
    let crm = Receiver::start().await;
    let base_url = gateway.base_url();
    let home = Home::new(&Settings {
        base_url: &base_url,
        subscribers: &[("crm", &crm.url)],
        ..Settings::default()
    });
    let service = home.serve();
    let api = client(&home).await;
    gateway.arrive(UID, reply("13900000001", "退订"));
    gateway.arrive(UID, reply("13900000002", "好"));
    crm.wait_for(2).await;
    until("both delivered", || {
        query::<i64>(&home, "SELECT count(*) FROM delivery WHERE state = 'delivered'") == 2
    })
    .await;
    let listed = api.get("/api/v1/replies?mobile=13900000001");
    let line =
        ends(&home, &["replies", "list", "--mobile", "13900000001", "--numbers", "--json"], 0);
    let as_listed: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(listed, json!({ "items": [as_listed], "next_cursor": null }));
    assert_eq!(listed["items"][0]["from"], "13900000001");
    let id = listed["items"][0]["id"].as_str().unwrap();
    let shown = api.get(&format!("/api/v1/replies/{id}"));
    let mut as_shown: serde_json::Value =
        serde_json::from_str(&ends(&home, &["replies", "show", id, "--json"], 0)).unwrap();
    as_shown["events"][0]["deliveries"][0]["from"] = json!("13900000001");
    assert_eq!(shown, as_shown);
    for (filter, expected) in [
        ("", 2),
        ("?text=%E9%80%80", 1),
        ("?account=main&state=delivered&state=failed", 2),
        ("?state=failed", 0),
        ("?from=1h&to=2099-01-01", 2),
        ("?to=1h", 0),
        ("?suspect=true", 0),
        ("?suspect=false", 2),
        ("?limit=1", 1),
        ("?order=oldest&limit=2", 2),
    ] {
        let found = api.get(&format!("/api/v1/replies{filter}"))["items"].as_array().unwrap().len();
        assert_eq!(found, expected, "{filter}");
    }
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_said() {
    let (_home, service, api) = idle().await;
    for (path, status, code) in [
        ("/api/v1/replies?mobil=139", 400, "query_unknown"),
        ("/api/v1/replies?mobile=abc", 400, "query_invalid"),
        ("/api/v1/replies?limit=501", 400, "query_invalid"),
        ("/api/v1/replies?limit=0", 400, "query_invalid"),
        ("/api/v1/replies?state=lost", 400, "query_invalid"),
        ("/api/v1/replies?from=yesterday", 400, "query_invalid"),
        ("/api/v1/replies?text=%ff", 400, "query_invalid"),
        ("/api/v1/replies?text=a&text=b", 400, "query_invalid"),
        ("/api/v1/replies?cursor=abc", 400, "cursor_invalid"),
        ("/api/v1/replies?account=other", 422, "name_unknown"),
        ("/api/v1/replies/rpl_1", 400, "path_invalid"),
        ("/api/v1/replies/%ff", 400, "path_invalid"),
        ("/api/v1/replies/rpl_0123456789abcdef0123456789abcdef", 404, "not_found"),
        ("/api/v1/replys", 404, "path_unknown"),
        ("/", 404, "path_unknown"),
    ] {
        assert_eq!(api.refused(path), (status, code.to_owned()), "{path}");
    }
    let answer = api.ask("POST", "/api/v1/replies", &[], b"{}");
    assert_eq!((answer.status, answer.code()), (405, "method_not_allowed".to_owned()));
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    assert_eq!(service.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_miss_nothing_and_double_nothing_while_replies_come_in() {
    let (home, service, api) = idle().await;
    until("the account", || query::<i64>(&home, "SELECT count(*) FROM account") == 1).await;
    fill(&home, 3_000);
    let all = |home: &Home| {
        let ids: String = query(home, "SELECT group_concat(id) FROM reply");
        ids.split(',').map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let there = all(&home);
    for order in ["newest", "oldest"] {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = api.get(&format!("/api/v1/replies?limit=250&order={order}{cursor}"));
            seen.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|row| row["id"].as_str().unwrap().to_owned()),
            );
            pages += 1;
            // More come in, before, between and behind what was seen.
            execute(
                &home,
                &format!("UPDATE read SET started_ms = started_ms + {pages} WHERE id = 900000"),
            );
            fill(&home, 40);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
            assert!(pages < 100);
        }
        let distinct: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(distinct.len(), seen.len(), "{order}: some came twice");
        assert!(there.is_subset(&distinct), "{order}: some are missing");
    }
    assert_eq!(service.stop(), Some(0));
}

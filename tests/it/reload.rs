//! A reload by SIGHUP, and what those are told who watch over the service: all of the new
//! configuration, or nothing of it.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use replyd::gateway::simulator::{Fault, Habits, Simulator};

use crate::recovery::{address, get};
use crate::support::{
    Home, PATIENCE, Receiver, Service, Settings, UID, Webhook, config, gateway, query, reply,
    subscriber, until,
};

async fn quick_gateway() -> Simulator {
    gateway(Habits { min_interval: Duration::ZERO, ..Habits::default() }).await
}

/// A configuration of these subscribers.
fn configured(gateway: &Simulator, subscribers: &[(&str, &Receiver)], account: &str) -> String {
    let base_url = gateway.base_url();
    let text = config(&Settings { base_url: &base_url, account, ..Settings::default() });
    let section =
        |(name, to): &(&str, &Receiver)| subscriber(name, &to.url, "allow_private = true");
    text + &subscribers.iter().map(section).collect::<String>()
}

/// Has the service read this configuration; waits until it says this for the `times`-th time.
async fn reload(home: &Home, service: &Service, text: &str, (says, times): (&str, usize)) {
    home.write("config.toml", text);
    service.signal("HUP");
    until(says, || home.log().matches(says).count() >= times).await;
}

const DONE: &str = "reloaded begun=";
const REFUSED: &str = "the former configuration stays in force";

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_come_go_and_come_back() {
    let gateway = quick_gateway().await;
    let (crm, erp) = (Receiver::start().await, Receiver::start().await);
    let home = Home::with(&configured(&gateway, &[("crm", &crm)], ""));
    let service = home.serve();
    gateway.arrive(UID, reply("13900000001", "一"));
    crm.wait_for(1).await;
    // This one waits for crm when crm goes.
    crm.answer_next(&[500; 100]);
    gateway.arrive(UID, reply("13900000001", "二"));
    crm.wait_for(2).await;
    reload(&home, &service, &configured(&gateway, &[("erp", &erp)], ""), (DONE, 1)).await;
    gateway.arrive(UID, reply("13900000002", "三"));
    assert_eq!(erp.wait_for(1).await[0].field("content"), "三");
    let waiting = "SELECT count(*) FROM delivery WHERE subscriber = 'crm' AND state = 'waiting'";
    assert_eq!(query::<i64>(&home, waiting), 1);
    crm.answer_well();
    let both = configured(&gateway, &[("crm", &crm), ("erp", &erp)], "");
    reload(&home, &service, &both, (DONE, 2)).await;
    until("what waited", || query::<i64>(&home, waiting) == 0).await;
    gateway.arrive(UID, reply("13900000003", "四"));
    assert_eq!(erp.wait_for(2).await[1].field("content"), "四");
    until("the fourth", || crm.webhooks().iter().any(|one| one.field("content") == "四")).await;
    let told = crm.webhooks();
    assert!(told.iter().all(|one| one.field("content") != "三"), "told while it was absent");
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_changes_nothing() {
    let gateway = quick_gateway().await;
    let (crm, erp) = (Receiver::start().await, Receiver::start().await);
    let home = Home::with(&configured(&gateway, &[("crm", &crm)], ""));
    let service = home.serve();
    gateway.arrive(UID, reply("13900000001", "一"));
    crm.wait_for(1).await;
    let both = configured(&gateway, &[("crm", &crm), ("erp", &erp)], "");
    // What the configuration's reader refuses, and what only the store can.
    let wrong = [
        (both.replace("[server]", "[server]\nlisen = \"127.0.0.1:0\""), "server.lisen"),
        (format!("[store]\nid_key = \"another key of enough bytes\"\n{both}"), "store.id_key"),
        (String::new(), "account"),
    ];
    for (times, (text, names)) in wrong.iter().enumerate() {
        reload(&home, &service, text, (REFUSED, times + 1)).await;
        let log = home.log();
        let told = log.lines().rfind(|line| line.contains("not reloaded")).unwrap();
        assert!(told.contains(names), "{names}: {told}");
        assert!(!log.contains("another key"), "a secret is in the log");
    }
    assert_eq!(query::<i64>(&home, "SELECT count(*) FROM subscriber"), 1);
    gateway.arrive(UID, reply("13900000001", "二"));
    assert_eq!(crm.wait_for(2).await[1].field("content"), "二");
    reload(&home, &service, &both, (DONE, 1)).await;
    gateway.arrive(UID, reply("13900000001", "三"));
    erp.wait_for(1).await;
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_differs_begins_anew_and_a_restart_is_named_where_it_is_needed() {
    let gateway = quick_gateway().await;
    let (crm, erp) = (Receiver::start().await, Receiver::start().await);
    let both = configured(&gateway, &[("crm", &crm), ("erp", &erp)], "");
    let home = Home::with(&both);
    let service = home.serve();
    until("the service", || address(&home).is_some()).await;
    let changed = both.replace(&erp.url, &format!("{}?a=b", erp.url));
    let changed = changed.replace("127.0.0.1:0", "127.0.0.1:1");
    reload(&home, &service, &changed, (DONE, 1)).await;
    let log = home.log();
    assert!(log.contains("reloaded begun=\"subscriber erp\" ended=\"\""), "{log}");
    assert!(log.contains("only a restart can change it") && log.contains("server.listen"), "{log}");
    service.signal("HUP");
    let unchanged = "reloaded: no account and no subscriber has changed";
    until(unchanged, || home.log().contains(unchanged)).await;
    let ready = get(address(&home).unwrap(), "/readyz").unwrap();
    let (_, body) = ready.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let checks = ["account main", "heartbeat", "store", "subscriber crm", "subscriber erp"];
    let all: serde_json::Map<_, _> =
        checks.iter().map(|name| ((*name).to_owned(), "ok".into())).collect();
    let expected = serde_json::json!({ "status": "ready", "reasons": [], "checks": all });
    assert_eq!(body, expected);
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_under_way_is_not_cut_by_a_reload() {
    let gateway = quick_gateway().await;
    let crm = Receiver::start().await;
    let home = Home::with(&configured(&gateway, &[("crm", &crm)], ""));
    gateway.arrive(UID, reply("13900000001", "一"));
    gateway.fault_next(Fault::Dribble { piece: 4, pause: Duration::from_millis(40) });
    let service = home.serve();
    let reads = "SELECT count(*) FROM read WHERE state = 'started'";
    until("a read under way", || {
        home.path("replyd.db").exists()
            && home.log().contains("replyd runs")
            && query::<i64>(&home, reads) == 1
    })
    .await;
    let changed = configured(&gateway, &[("crm", &crm)], "number = \"10681122\"");
    reload(&home, &service, &changed, (DONE, 1)).await;
    assert_eq!(query::<i64>(&home, reads), 1, "the read was over before the reload");
    assert_eq!(crm.wait_for(1).await[0].field("content"), "一");
    let doubtful = "SELECT count(*) FROM read WHERE verdict = 'doubtful'";
    assert_eq!(query::<i64>(&home, doubtful), 0);
    // The reader that takes its place knows what is configured now.
    gateway.arrive(UID, reply("13900000001", "二"));
    assert_eq!(crm.wait_for(2).await[1].field("extension"), "27282");
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

/// Waits for a message of the service to its manager that holds these lines.
fn hears(manager: &UnixDatagram, lines: &[&str]) {
    let mut buffer = [0; 4096];
    loop {
        let length = manager.recv(&mut buffer).unwrap();
        let message = std::str::from_utf8(&buffer[..length]).unwrap();
        if lines.iter().all(|line| message.lines().any(|found| found.starts_with(line))) {
            return;
        }
        assert_eq!(message, "WATCHDOG=1\n", "instead of {lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told_what_the_service_does() {
    let gateway = quick_gateway().await;
    let right = configured(&gateway, &[], "");
    let home = Home::with(&right);
    let manager = UnixDatagram::bind(home.path("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = home.command(&["run"]);
    command.env("NOTIFY_SOCKET", home.path("notify")).env("WATCHDOG_USEC", "20000");
    let service = home.spawn(command);
    tokio::task::block_in_place(|| {
        hears(&manager, &["READY=1", "STATUS=running"]);
        hears(&manager, &["WATCHDOG=1"]);
        hears(&manager, &["WATCHDOG=1"]);
        service.signal("HUP");
        hears(&manager, &["RELOADING=1", "MONOTONIC_USEC="]);
        hears(&manager, &["READY=1", "STATUS=running"]);
        home.write("config.toml", "what = 1");
        service.signal("HUP");
        hears(&manager, &["RELOADING=1", "MONOTONIC_USEC="]);
        hears(&manager, &["READY=1", "STATUS=running with the former configuration"]);
        service.signal("TERM");
        hears(&manager, &["STOPPING=1"]);
    });
    assert_eq!(service.ended().await, Some(0));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_password_lets_the_account_in_at_once_and_it_is_told() {
    let gateway = quick_gateway().await;
    let ops = Receiver::start().await;
    let events = r#"events = ["reply.received", "account.login_failed", "account.recovered"]"#;
    let right = configured(&gateway, &[("ops", &ops)], "")
        .replace("allow_private = true", &format!("allow_private = true\n{events}"));
    let home = Home::with(&right.replace("fa246d0262c3925617b0c72bb20eeb1d", &"0".repeat(32)));
    gateway.arrive(UID, reply("13900000001", "一"));
    let service = home.serve();
    let told = || -> Vec<String> {
        let kind = |webhook: &Webhook| webhook.json()["type"].as_str().unwrap().to_owned();
        ops.webhooks().iter().map(kind).collect()
    };
    until("the refusal", || told() == ["account.login_failed"]).await;
    // Half an hour of quiet follows, which the new password ends.
    reload(&home, &service, &right, (DONE, 1)).await;
    ops.wait_for(3).await;
    let mut told = told();
    told.sort_unstable();
    assert_eq!(told, ["account.login_failed", "account.recovered", "reply.received"]);
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;
}

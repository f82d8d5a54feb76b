//! `subscribers`: how they stand, and what somebody changes of that.

use replyd::gateway::simulator::{Habits, Simulator};
use serde_json::Value;

use crate::intake::count;
use crate::support::{
    Home, Receiver, SECRET, Settings, UID, config, ends, execute, gateway, query, reply, stderr,
    stdout, subscriber, until,
};

struct Stage {
    gateway: Simulator,
    crm: Receiver,
    erp: Receiver,
    home: Home,
}

/// The configuration of these subscribers, each with these further lines.
fn configured(gateway: &Simulator, subscribers: &[(&str, &Receiver, &str)]) -> String {
    let text = config(&Settings { base_url: &gateway.base_url(), ..Settings::default() });
    let section = |(name, receiver, further): &(&str, &Receiver, &str)| {
        subscriber(name, &receiver.url, &format!("allow_private = true\n{further}"))
            .replace("retry = [\"50ms\"]", "retry = [\"1h\"]")
    };
    text + &subscribers.iter().map(section).collect::<String>()
}

/// Two subscribers. One reply was delivered to crm and not to erp, to which it waits.
async fn stage() -> Stage {
    let habits = Habits { min_interval: std::time::Duration::ZERO, ..Habits::default() };
    let (gateway, crm, erp) =
        (gateway(habits).await, Receiver::start().await, Receiver::start().await);
    erp.answer_next(&[500]);
    gateway.arrive(UID, reply("13900000001", "收到"));
    let home = Home::with(&configured(&gateway, &[("crm", &crm, ""), ("erp", &erp, "")]));
    ends(&home, &["run", "--once"], 1);
    Stage { gateway, crm, erp, home }
}

fn refused(home: &Home, arguments: &[&str], expected: i32, words: &str) -> String {
    let output = home.run(&[&["subscribers"], arguments].concat());
    assert_eq!(output.status.code(), Some(expected), "{arguments:?} {}", stderr(&output));
    assert!(stderr(&output).contains(words), "{arguments:?} {}", stderr(&output));
    stdout(&output)
}

fn json(home: &Home, arguments: &[&str]) -> Vec<Value> {
    let out = ends(home, &[&["subscribers"], arguments, &["--json"]].concat(), 0);
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_are_listed_and_shown_without_secrets() {
    let Stage { gateway, crm, erp, home } = stage().await;
    execute(
        &home,
        "UPDATE subscriber SET disabled_ms = 1790000000000, disabled_why = 'failing', failing_since_ms = 1780000000000
         WHERE name = 'erp'",
    );
    let key = crm.url.replace("/hooks/sms", "/hooks/sms?key=CANARY");
    let text = configured(
        &gateway,
        &[("crm", &crm, "headers = { authorization = \"CANARY\" }"), ("new", &erp, "")],
    );
    home.write("config.toml", &text.replace(&crm.url, &key));
    let list = json(&home, &["list"]);
    let names: Vec<_> = list.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["crm", "new", "erp"]);
    let states: Vec<_> = list.iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["enabled", "new", "absent"]);
    let waiting: Vec<_> = list.iter().map(|one| one["waiting"].as_i64().unwrap()).collect();
    assert_eq!(waiting, [0, 0, 1]);
    let origin = crm.url.replace("/hooks/sms", "/…");
    assert_eq!(list[0]["url"], origin.as_str());
    assert_eq!((&list[0]["why"], &list[2]["url"]), (&Value::Null, &Value::Null));
    assert_eq!(list[2]["failing_since"], "2026-05-29T04:26:40+08:00");
    assert_eq!(list[2]["why"]["zh"], "配置中没有它");
    let table = ends(&home, &["subscribers", "list", "--lang", "en"], 0);
    assert!(table.contains(&origin) && table.contains("it is not in the configuration"), "{table}");
    let shown = ends(&home, &["subscribers", "show", "crm", "--lang", "en"], 0);
    for words in [
        "state       enabled",
        &format!("url            {origin}"),
        "headers        authorization",
        "last attempts",
        "delivered",
    ] {
        assert!(shown.contains(words), "{words:?} is not in\n{shown}");
    }
    let erps = ends(&home, &["subscribers", "show", "erp", "--lang", "zh"], 0);
    assert!(erps.contains("HTTP 500：接收方出错"), "{erps}");
    let whole = json(&home, &["show", "crm"]);
    assert_eq!(whole[0]["configuration"]["secret"], "one");
    assert_eq!(whole[0]["attempts"][0]["http_status"], 204);
    for out in [table, shown, whole[0].to_string(), list[0].to_string()] {
        assert!(
            !out.contains("CANARY") && !out.contains(SECRET) && !out.contains("/hooks"),
            "{out}"
        );
    }
    refused(&home, &["show", "nobody"], 66, "no subscriber \"nobody\"; there is crm, new, erp");
    // Disabled is said of one that is configured.
    home.write("config.toml", &configured(&gateway, &[("erp", &erp, "")]));
    execute(&home, "UPDATE subscriber SET pace = json_object('not_before_ms', 4102444800000)");
    let erp = &json(&home, &["list"])[0];
    assert_eq!(erp["left_alone_until"], "2100-01-01T08:00:00+08:00");
    assert_eq!(erp["state"], "disabled");
    assert_eq!(erp["why"]["en"], "since 2026-09-21 22:13:20: for days every attempt has failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn enabling_and_disabling_is_written_and_said() {
    let Stage { gateway, crm, erp, home } = stage().await;
    let out = ends(&home, &["subscribers", "disable", "crm", "--lang", "en"], 0);
    assert!(
        out.starts_with("crm is disabled: since ") && out.ends_with("it was disabled by hand\n"),
        "{out}"
    );
    let by_hand =
        "subscriber WHERE name = 'crm' AND disabled_why = 'by_hand' AND disabled_ms IS NOT NULL";
    assert_eq!(count(&home, by_hand), 1);
    let since: i64 = query(&home, "SELECT disabled_ms FROM subscriber WHERE name = 'crm'");
    assert_eq!(json(&home, &["disable", "crm"])[0]["state"], "disabled");
    assert_eq!(query::<i64>(&home, "SELECT disabled_ms FROM subscriber WHERE name = 'crm'"), since);
    assert_eq!(ends(&home, &["subscribers", "enable", "crm"], 0), "crm is enabled\n");
    let enabled = "subscriber WHERE name = 'crm' AND disabled_ms IS NULL AND disabled_why IS NULL AND resumed_ms > 0";
    assert_eq!(count(&home, enabled), 1);
    for command in ["enable", "disable", "show", "test"] {
        refused(&home, &[command, "nobody"], 66, "no subscriber \"nobody\"; there is crm, erp");
    }
    // What the configuration switches off is switched on there.
    home.write(
        "config.toml",
        &configured(&gateway, &[("crm", &crm, "enabled = false"), ("new", &erp, "")]),
    );
    refused(&home, &["enable", "new"], 66, "is not in the store yet");
    ends(&home, &["run", "--once"], 0);
    let out = ends(&home, &["subscribers", "enable", "crm", "--lang", "en"], 1);
    assert_eq!(out, "crm is disabled: `enabled = false` in the configuration\n");
    assert_eq!(
        ends(&home, &["subscribers", "enable", "erp", "--lang", "zh"], 1),
        "erp is absent: 配置中没有它\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_subscriber_gets_what_waited_for_it() {
    let Stage { gateway, crm, erp, home } = stage().await;
    refused(&home, &["rename", "erp", "crm"], 2, "there is a subscriber \"crm\" already");
    refused(&home, &["rename", "erp", "a b"], 2, "must be 1 to 64 characters");
    refused(&home, &["rename", "nobody", "new"], 66, "there is crm, erp");
    let output = home.run(&["subscribers", "rename", "erp", "new"]);
    assert_eq!(stdout(&output), "erp is new now, with 1 delivery\n");
    assert!(
        stderr(&output).contains("rename it in config.toml as well: name = \"new\""),
        "{}",
        stderr(&output)
    );
    home.write("config.toml", &configured(&gateway, &[("crm", &crm, ""), ("new", &erp, "")]));
    ends(&home, &["deliveries", "retry", "--subscriber", "new", "--state", "waiting", "--yes"], 0);
    gateway.arrive(UID, reply("13900000002", "later"));
    ends(&home, &["run", "--once"], 0);
    assert_eq!(erp.webhooks().len(), 3);
    assert_eq!(count(&home, "delivery WHERE subscriber = 'new' AND state = 'delivered'"), 2);
    assert_eq!(count(&home, "subscriber"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_configuration_lacks_is_removed_and_what_waits_for_it_is_told() {
    let Stage { gateway, crm, home, .. } = stage().await;
    refused(
        &home,
        &["remove", "erp", "--yes"],
        2,
        "is in the configuration: take it out there first",
    );
    home.write("config.toml", &configured(&gateway, &[("crm", &crm, "")]));
    let counted = "1 delivery to erp to cancel\n";
    assert_eq!(refused(&home, &["remove", "erp"], 2, "add --yes"), counted);
    let dry = ends(&home, &["subscribers", "remove", "erp", "--dry-run"], 0);
    assert_eq!(dry, format!("{counted}nothing changed: this was a dry run\n"));
    assert_eq!(count(&home, "delivery WHERE state = 'waiting'"), 1);
    let out = ends(&home, &["subscribers", "remove", "erp", "--yes"], 0);
    assert_eq!(out, format!("{counted}1 cancelled, erp removed\n"));
    refused(&home, &["remove", "erp", "--yes"], 66, "no subscriber \"erp\"; there is crm");
    assert_eq!(json(&home, &["list"]).len(), 1);
    // What there was can still be looked for, and nothing comes for it.
    let past = ends(&home, &["deliveries", "list", "--subscriber", "erp", "--json"], 0);
    assert!(past.lines().count() == 1 && past.contains("cancelled"), "{past}");
    gateway.arrive(UID, reply("13900000002", "later"));
    ends(&home, &["run", "--once"], 0);
    assert_eq!(count(&home, "delivery WHERE subscriber = 'erp'"), 1);
}

#[test]
fn a_new_secret_is_all_that_is_printed() {
    let home = Home::with("not even a configuration");
    let secret = |arguments: &[&str]| {
        let output = home.run(&[&["subscribers", "secret", "new"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains("put the new one first"), "{}", stderr(&output));
        stdout(&output)
    };
    let (one, other) = (secret(&[]), secret(&[]));
    assert_ne!(one, other);
    for (text, length) in
        [(one, 44), (secret(&["--bytes", "24"]), 32), (secret(&["--bytes", "64"]), 88)]
    {
        let encoded = text.strip_prefix("whsec_").unwrap().strip_suffix('\n').unwrap();
        assert_eq!(encoded.len(), length);
        replyd::config::WebhookSecret::parse(text.trim_end()).unwrap();
    }
    let json: Value = serde_json::from_str(&secret(&["--json"])).unwrap();
    assert!(json["secret"].as_str().unwrap().starts_with("whsec_"));
    for wrong in ["23", "65", "many"] {
        ends(&home, &["subscribers", "secret", "new", "--bytes", wrong], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_goes_the_real_way_once_and_is_told_from_a_reply() {
    let Stage { crm, home, .. } = stage().await;
    // Beside a service, which leaves it alone.
    let service = home.serve();
    until("the service", || home.log().contains("replyd runs")).await;
    let out = ends(&home, &["subscribers", "test", "crm", "--lang", "en"], 0);
    assert!(
        out.contains("attempt 1")
            && out.contains("status   204")
            && out.contains("next     delivered"),
        "{out}"
    );
    crm.answer_next(&[503]);
    let out = ends(&home, &["subscribers", "test", "crm", "--lang", "zh"], 1);
    assert!(out.contains("HTTP 503") && out.contains("测试只发送一次"), "{out}");
    execute(
        &home,
        "UPDATE subscriber SET disabled_ms = 1, disabled_why = 'failing' WHERE name = 'crm'",
    );
    let output = home.run(&["subscribers", "test", "crm", "--json"]);
    assert!(stderr(&output).contains("replyd subscribers enable crm"), "{}", stderr(&output));
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&json["delivered"], &json["attempt"]["http_status"]), (&true.into(), &204.into()));
    let delivery = json["delivery"].as_i64().unwrap();
    let shown = ends(&home, &["deliveries", "show", &delivery.to_string()], 0);
    assert!(shown.contains("subscriber.test") && shown.contains("100****0000"), "{shown}");
    assert_eq!(service.stop(), Some(0));
    let tests: Vec<_> = crm
        .webhooks()
        .into_iter()
        .filter(|webhook| webhook.headers["replyd-trigger"] == "test")
        .collect();
    assert_eq!((tests.len(), crm.webhooks().len()), (3, 4));
    for webhook in &tests {
        webhook.verify(SECRET);
        assert_eq!(webhook.json()["type"], "subscriber.test");
        assert!(webhook.id().starts_with("evt_") && webhook.id() == webhook.field("id"));
        assert_eq!(webhook.field("from"), "10000000000");
        assert!(
            webhook.field("content").contains("测试") && webhook.field("content").contains("TEST")
        );
    }
    // One that failed is not tried again, not even with all that failed.
    assert_eq!(
        count(&home, "delivery WHERE trigger = 'test' AND state = 'delivered' AND attempts = 1"),
        2
    );
    assert_eq!(
        count(&home, "delivery WHERE trigger = 'test' AND state = 'cancelled' AND attempts = 1"),
        1
    );
    assert_eq!(
        count(&home, "attempt JOIN delivery ON delivery.id = delivery_id WHERE trigger = 'test'"),
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masking_subscriber_is_tested_with_a_masked_number() {
    let Stage { gateway, crm, home, .. } = stage().await;
    home.write("config.toml", &configured(&gateway, &[("crm", &crm, "mask = true")]));
    ends(&home, &["subscribers", "test", "crm"], 0);
    assert_eq!(crm.webhooks().last().unwrap().field("from"), "100****0000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_can_be_tested_before_the_first_start_and_once_it_is_gone_from_the_configuration_not()
 {
    let Stage { gateway, crm, erp, home } = stage().await;
    home.write("config.toml", &configured(&gateway, &[("crm", &crm, "")]));
    refused(&home, &["test", "erp"], 66, "is not in the configuration, so it has no URL");
    let fresh = Home::with(&configured(&gateway, &[("erp", &erp, "")]));
    let output = fresh.run(&["subscribers", "test", "erp", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("not recorded"), "{}", stderr(&output));
    assert!(stdout(&output).contains(r#""delivery":null"#));
    assert!(!fresh.path("replyd.db").exists(), "it made a store");
    assert_eq!(erp.webhooks().len(), 2);
    // A receiver that is not there is explained.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text =
        configured(&gateway, &[("erp", &erp, "")]).replace(&erp.url, &format!("http://{gone}/"));
    let away = Home::with(&text);
    let out = ends(&away, &["subscribers", "test", "erp", "--lang", "en"], 1);
    assert!(out.contains("cannot connect"), "{out}");
}

//! `deliveries list`, `show`, `retry` and `cancel`: what became of deliveries, and what somebody
//! makes of them.

use std::time::Instant;

use replyd::gateway::simulator::{Habits, Simulator};
use serde_json::{Value, json};

use crate::intake::count;
use crate::support::{
    Home, PATIENCE, Receiver, SECRET, Settings, UID, config, ends, execute, gateway, now, query,
    reply, stderr, stdout, until,
};

struct Stage {
    gateway: Simulator,
    receiver: Receiver,
    home: Home,
}

/// A home with one subscriber, whose section has these further lines and these waits.
async fn stage(further: &str, retry: &str) -> Stage {
    let habits = Habits { min_interval: std::time::Duration::ZERO, ..Habits::default() };
    let (gateway, receiver) = (gateway(habits).await, Receiver::start().await);
    let text = config(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        subscriber: &format!("allow_private = true\n{further}"),
        ..Settings::default()
    });
    let home = Home::with(&text.replace("retry = [\"50ms\"]", &format!("retry = [{retry}]")));
    Stage { gateway, receiver, home }
}

fn lines(home: &Home, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["deliveries", "list", "--json"], arguments].concat();
    let out = ends(home, &arguments, 0);
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn refused(home: &Home, arguments: &[&str], expected: i32, words: &str) -> String {
    let output = home.run(&[&["deliveries"], arguments].concat());
    assert_eq!(output.status.code(), Some(expected), "{arguments:?} {}", stderr(&output));
    assert!(stderr(&output).contains(words), "{arguments:?} {}", stderr(&output));
    stdout(&output)
}

fn states(home: &Home) -> String {
    query(home, "SELECT group_concat(state, ' ' ORDER BY id) FROM delivery")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_explained_with_every_attempt_in_both_languages() {
    let Stage { gateway, receiver, home } = stage("", "\"1h\"").await;
    receiver.answer_next(&[500]);
    gateway.arrive(UID, reply("13900000001", "\u{1b}[2J退订"));
    ends(&home, &["run", "--once"], 1);
    execute(&home, "UPDATE attempt SET answer = x'1b5d303b780720e5a5bd0d0a', tls_us = 1250");
    let address = receiver.url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let english = ends(&home, &["deliveries", "show", "1", "--lang", "en"], 0);
    for words in [
        "state       waiting",
        "for its next attempt, at",
        "attempt 1  ",
        &format!("address  {address}"),
        "TLS 1.2 ms",
        "status   500",
        r"\u{1b}]0;x\u{7} 好\r\n",
        "HTTP 500: the receiver failed",
        "tried again at",
        "wait 1h",
        "139****0001",
    ] {
        assert!(english.contains(words), "{words:?} is not in\n{english}");
    }
    let chinese = ends(&home, &["deliveries", "show", "1", "--lang", "zh"], 0);
    for words in ["第 1 次投递", "HTTP 500：接收方出错", "重试（等待 1h）", "等待到"]
    {
        assert!(chinese.contains(words), "{words:?} is not in\n{chinese}");
    }
    for (name, locale, expected) in [
        ("LC_ALL", "zh_CN.UTF-8", &chinese),
        ("LC_MESSAGES", "zh_CN", &chinese),
        ("LANG", "zh_TW.UTF-8", &chinese),
        ("LANG", "en_GB.UTF-8", &english),
    ] {
        let mut command = home.command(&["deliveries", "show", "1"]);
        for other in ["LC_ALL", "LC_MESSAGES", "LANG"] {
            command.env_remove(other);
        }
        let output = tokio::task::block_in_place(|| command.env(name, locale).output().unwrap());
        assert_eq!(&stdout(&output), expected, "{name}={locale}");
    }
    for out in [&english, &chinese] {
        assert!(!out.contains("13900000001") && !out.contains("退订"), "{out}");
        assert!(out.chars().all(|letter| letter == '\n' || !letter.is_control()), "{out:?}");
    }
    let content = ends(&home, &["deliveries", "show", "1", "--content"], 0);
    assert!(content.contains(r"\u{1b}[2J退订") && !content.contains("13900000001"), "{content}");
    let out = ends(&home, &["deliveries", "show", "1", "--json"], 0);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown["delivery"], lines(&home, &[])[0]);
    assert_eq!((&shown["waits"]["for"], &shown["waits"]["behind"]), (&json!("time"), &Value::Null));
    assert_eq!(shown["waits"]["until"], shown["delivery"]["due_at"]);
    let attempt = &shown["attempts"][0];
    assert_eq!(attempt["trouble"]["kind"], "status");
    assert_eq!(attempt["trouble"]["zh"], "HTTP 500：接收方出错");
    assert_eq!(
        (&attempt["next"]["then"], &attempt["next"]["wait_ms"]),
        (&json!("retry"), &json!(3_600_000))
    );
    assert_eq!((&attempt["tls_us"], &attempt["address"]), (&json!(1_250), &json!(address)));
    assert_eq!(attempt["answer"], "\u{1b}]0;x\u{7} 好\r\n");
    refused(&home, &["show", "999"], 66, "there is no delivery 999");
    refused(&home, &["show", "0"], 2, "invalid value");
    refused(&home, &["show", "1", "--lang", "fr"], 2, "possible values: zh, en");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_found_by_all_that_is_known_of_them() {
    let Stage { gateway, receiver, home } = stage("", "\"1h\"").await;
    receiver.answer_next(&[500]);
    gateway.arrive(UID, reply("13900000001", "a"));
    gateway.arrive(UID, reply("13900000002", "b"));
    ends(&home, &["run", "--once"], 1);
    let all = lines(&home, &[]);
    assert_eq!(all.len(), 2);
    let of = |arguments: &[&str]| {
        lines(&home, arguments).iter().map(|line| line["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let mine = query::<i64>(&home, "SELECT id FROM delivery WHERE mobile = '13900000001'");
    assert_eq!(of(&["--mobile", "+86 13900000001".replace(' ', "").as_str()]), [mine]);
    assert_eq!(of(&["--mobile", "1390000000"]), [0; 0]);
    let event = all[0]["event_id"].as_str().unwrap();
    assert_eq!(of(&["--id-of-event", event]), [all[0]["id"].as_i64().unwrap()]);
    for everything in [
        &["--account", "main", "--since", "1h"][..],
        &["--event-type", "reply.received", "--trigger", "auto"],
        &["--state", "delivered", "--state", "waiting"],
        &["--until", &now().to_string()[..10]],
    ] {
        assert_eq!(of(everything), [2, 1], "{everything:?}");
    }
    for nothing in [
        &["--state", "held"][..],
        &["--event-type", "gap.opened"],
        &["--trigger", "replay"],
        &["--until", "1h"],
        &["--since", "2999-01-01"],
    ] {
        assert_eq!(of(nothing), [0; 0], "{nothing:?}");
    }
    refused(
        &home,
        &["list", "--account", "other"],
        66,
        "no account \"other\" in the store; there is main",
    );
    refused(&home, &["list", "--mobile", "139*"], 2, "not a number");
    refused(&home, &["list", "--event-type", "reply"], 2, "reply.received, account.login_failed");
    refused(&home, &["list", "--since", "yesterday"], 2, "a duration like 24h");
    // On 80 columns, with names that are not too long.
    let table = ends(&home, &["deliveries", "list"], 0);
    assert!(table.lines().all(|line| line.len() <= 80), "{table}");
    // Either may have been the one that failed.
    let waiting = table.lines().find(|line| line.contains("waiting")).unwrap();
    assert!(waiting.contains(" 1h  139****000"), "{table}");
}

/// A home whose one delivery was given up after two attempts.
async fn given_up() -> Stage {
    let stage = stage("give_up = \"1ms\"", "\"50ms\"").await;
    stage.receiver.answer_next(&[500, 503]);
    stage.gateway.arrive(UID, reply("13900000001", "收到"));
    let service = stage.home.serve();
    until("the delivery to be given up", || {
        stage.home.path("replyd.db").exists() && stage.home.log().contains("given up")
    })
    .await;
    until("that to be written", || count(&stage.home, "delivery WHERE state = 'failed'") == 1)
        .await;
    assert_eq!(service.stop(), Some(0));
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_tried_again_by_hand_and_told_so() {
    let Stage { receiver, home, .. } = given_up().await;
    let shown = ends(&home, &["deliveries", "show", "1", "--lang", "en"], 0);
    assert!(shown.contains("given up") && shown.contains("can be retried by hand"), "{shown}");
    // A running service notices.
    let service = home.serve();
    until("the service", || home.log().matches("replyd runs").count() == 2).await;
    let out = ends(&home, &["deliveries", "retry", "1"], 0);
    assert!(out.starts_with("1 delivery to retry of 1 named\n1 retried: "), "{out}");
    let retried = Instant::now();
    let webhooks = receiver.wait_for(3).await;
    assert!(retried.elapsed() < PATIENCE / 3, "noticed only after {:?}", retried.elapsed());
    until("the outcome", || states(&home) == "delivered").await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(webhooks[2].headers["replyd-trigger"], "retry");
    assert_eq!(webhooks[2].headers["replyd-attempt"], "3");
    assert_eq!(webhooks[2].body, webhooks[0].body);
    webhooks[2].verify(SECRET);
    refused(
        &home,
        &["retry", "1"],
        1,
        "delivery 1 is not failed, cancelled or waiting: it is delivered",
    );
    refused(&home, &["retry", "1", "999"], 66, "there is no delivery 999; nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_fails_again_has_its_whole_time_to_be_given_up() {
    let Stage { receiver, home, .. } = given_up().await;
    // A week of it, of which a year is over.
    let text = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &text.replace("give_up = \"1ms\"", "give_up = \"7d\""));
    execute(&home, "UPDATE delivery SET created_ms = created_ms - 31536000000");
    receiver.answer_next(&[500, 500]);
    ends(&home, &["deliveries", "retry", "1"], 0);
    let service = home.serve();
    receiver.wait_for(5).await;
    until("the outcome", || states(&home) == "delivered").await;
    assert_eq!(service.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn by_filter_the_count_comes_first_and_a_script_has_to_say_yes() {
    let Stage { gateway, receiver, home } = stage("", "\"1h\"").await;
    for number in 1..=3 {
        gateway.arrive(UID, reply(&format!("1390000000{number}"), "a"));
    }
    receiver.answer_next(&[500, 500, 500]);
    ends(&home, &["run", "--once"], 1);
    execute(&home, "UPDATE delivery SET state = 'failed' WHERE id != 2");
    let of_crm = &["retry", "--subscriber", "crm"];
    let out = refused(&home, of_crm, 2, "add --yes");
    assert_eq!(out, "2 deliveries to retry, 2 for crm\n");
    let dry = ends(&home, &["deliveries", "retry", "--all", "--dry-run"], 0);
    assert_eq!(dry, "2 deliveries to retry, 2 for crm\nnone retried: this was a dry run\n");
    assert_eq!(states(&home), "failed waiting failed");
    refused(&home, &["retry"], 2, "required");
    refused(&home, &["retry", "1", "--all"], 2, "cannot be used with");
    refused(
        &home,
        &["retry", "--state", "held"],
        2,
        "failed, cancelled or waiting, not to what is held",
    );
    refused(&home, &["retry", "--subscriber", "nobody"], 66, "there is crm");
    let none = ends(&home, &["deliveries", "retry", "--state", "cancelled"], 0);
    assert_eq!(none, "0 deliveries to retry\n0 retried\n");
    let out = ends(&home, &["deliveries", "retry", "--subscriber", "crm", "--yes", "--json"], 0);
    let expected = json!({ "dry_run": false, "count": 2, "retried": 2, "others": [] });
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected);
    assert_eq!(states(&home), "waiting waiting waiting");
    // The third waits for its hour until somebody says otherwise.
    ends(&home, &["run", "--once"], 0);
    assert_eq!(states(&home), "delivered waiting delivered");
    ends(&home, &["deliveries", "retry", "--state", "waiting", "--yes"], 0);
    ends(&home, &["run", "--once"], 0);
    assert_eq!(states(&home), "delivered delivered delivered");
    let triggers: Vec<String> = receiver
        .webhooks()
        .iter()
        .map(|webhook| webhook.headers["replyd-trigger"].clone())
        .collect();
    assert_eq!(triggers, ["auto", "auto", "auto", "retry", "retry", "retry"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_by_filter_never_goes_out_until_it_is_wanted_again() {
    let Stage { gateway, receiver, home } = stage("", "\"1h\"").await;
    for number in 1..=2 {
        gateway.arrive(UID, reply(&format!("1390000000{number}"), "a"));
    }
    receiver.answer_next(&[500, 500]);
    ends(&home, &["run", "--once"], 1);
    assert_eq!(
        refused(&home, &["cancel", "--all"], 2, "add --yes"),
        "2 deliveries to cancel, 2 for crm\n"
    );
    let mine = ends(&home, &["deliveries", "cancel", "--mobile", "13900000001", "--yes"], 0);
    assert_eq!(mine, "1 delivery to cancel, 1 for crm\n1 cancelled\n");
    ends(&home, &["deliveries", "cancel", "--all", "--yes"], 0);
    assert_eq!(states(&home), "cancelled cancelled");
    ends(&home, &["run", "--once"], 0);
    assert_eq!(receiver.webhooks().len(), 2);
    ends(&home, &["deliveries", "retry", "--state", "cancelled", "--yes"], 0);
    ends(&home, &["run", "--once"], 0);
    assert_eq!(states(&home), "delivered delivered");
}

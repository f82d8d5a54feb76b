//! What a subscriber wants: `match`, `since` and `mask`, each beside one that wants all.

use std::time::Duration;

use replyd::gateway::simulator::{Habits, NewReply, Simulator};

use crate::intake::{count, told};
use crate::support::{
    Home, Receiver, SECRET, Settings, UID, config, ends, gateway, now, query, reply, subscriber,
    until,
};

const NUMBER: &str = "1068112227282";

async fn a_gateway() -> Simulator {
    gateway(Habits { min_interval: Duration::from_millis(300), ..Habits::default() }).await
}

/// A configuration whose account has a number, with subscribers of whom each has a line of its
/// own.
fn configured(gateway: &Simulator, subscribers: &[(&str, &Receiver, &str)]) -> String {
    let base_url = gateway.base_url();
    let account = format!("number = \"{NUMBER}\"");
    let settings = Settings {
        base_url: &base_url,
        min_interval: "300ms",
        account: &account,
        ..Settings::default()
    };
    let section = |(name, receiver, line): &(&str, &Receiver, &str)| {
        subscriber(name, &receiver.url, &format!("allow_private = true\n{line}"))
    };
    config(&settings) + &subscribers.iter().map(section).collect::<String>()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_match_keeps_from_a_subscriber_what_it_does_not_want() {
    let gateway = a_gateway().await;
    let lines = [
        "",
        r#"match = { from = "138*" }"#,
        r#"match = { from = ["137*", "1380000000?"] }"#,
        r#"match = { content = "退订|^TD$" }"#,
        r#"match = { gateway = "1068112227282?*" }"#,
        r#"match = { extension = "8?" }"#,
        r#"match = { from = "139*", content = "退订" }"#,
    ];
    let expected: [&[&str]; 7] = [
        &["TD", "TD 1", "好", "我要退订"],
        &["TD", "我要退订"],
        &["TD", "我要退订"],
        &["TD", "我要退订"],
        &["TD 1", "好", "我要退订"],
        &["我要退订"],
        &[],
    ];
    let mut receivers = Vec::new();
    for _ in lines {
        receivers.push(Receiver::start().await);
    }
    let names: Vec<String> = (0..lines.len()).map(|number| format!("crm-{number}")).collect();
    let subscribers: Vec<_> = names
        .iter()
        .zip(&receivers)
        .zip(lines)
        .map(|((name, receiver), line)| (name.as_str(), receiver, line))
        .collect();
    let home = Home::with(&configured(&gateway, &subscribers));
    let at = now();
    for (mobile, text, extension) in [
        ("+8613800000001", "TD", ""),
        ("13900000001", "TD 1", "9"),
        ("13900000002", "好", "8"),
        ("13800000002", "我要退订", "81"),
    ] {
        let to = format!("{NUMBER}{extension}");
        gateway.arrive(UID, NewReply::text(mobile, text, at, &to));
    }
    ends(&home, &["run", "--once"], 0);
    for ((receiver, expected), line) in receivers.iter().zip(expected).zip(lines) {
        assert_eq!(told(receiver), expected, "{line}");
    }
    // They are kept all the same, and a replay asks the same of them.
    assert_eq!(count(&home, "reply"), 4);
    ends(&home, &["replay", &at.hour().to_string()], 0);
    ends(&home, &["run", "--once"], 0);
    for ((receiver, expected), line) in receivers.iter().zip(expected).zip(lines) {
        let twice: Vec<&str> = expected.iter().flat_map(|text| [*text; 2]).collect();
        assert_eq!(told(receiver), twice, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_older_than_since_is_kept_and_not_sent() {
    let (gateway, all, new) = (a_gateway().await, Receiver::start().await, Receiver::start().await);
    let subscribers = [("all", &all, "since = \"\""), ("new", &new, "since = \"24h\"")];
    let home = Home::with(&configured(&gateway, &subscribers));
    let long_ago = "2008-05-27 12:00:00".parse().unwrap();
    gateway.arrive(UID, NewReply::text("13900000001", "old", long_ago, NUMBER));
    gateway.arrive(UID, reply("13900000001", "new"));
    ends(&home, &["run", "--once"], 0);
    assert_eq!((told(&all), told(&new)), (vec!["new".into(), "old".into()], vec!["new".into()]));
    assert_eq!(count(&home, "reply"), 2);
    ends(&home, &["replay", "2008-05-27_12"], 0);
    ends(&home, &["run", "--once"], 0);
    assert_eq!((all.webhooks().len(), new.webhooks().len()), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masking_subscriber_gets_the_same_masked_bytes_at_every_attempt_and_replay() {
    let (gateway, whole, masked) =
        (a_gateway().await, Receiver::start().await, Receiver::start().await);
    masked.answer_next(&[500, 503]);
    let subscribers = [("whole", &whole, ""), ("masked", &masked, "mask = true")];
    let home = Home::with(&configured(&gateway, &subscribers));
    let at = now();
    gateway.arrive(UID, NewReply::text("+8613912345678", "打 13912345678 找我", at, NUMBER));
    let service = home.serve();
    masked.wait_for(3).await;
    let done = "delivery WHERE state = 'delivered'";
    until("both deliveries", || count(&home, done) == 2).await;
    ends(&home, &["replay", &at.hour().to_string()], 0);
    let (whole, masked) = (whole.wait_for(2).await, masked.wait_for(4).await);
    until("both replays", || count(&home, done) == 4).await;
    assert_eq!(service.stop(), Some(0));
    for webhook in &masked {
        webhook.verify(SECRET);
        assert_eq!(webhook.body, masked[0].body);
        assert_eq!(webhook.id(), whole[0].id());
    }
    assert_eq!(whole[0].body, whole[1].body);
    // What was typed is what was typed; all else is the same.
    let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
    let (shown, hidden) = (r#""from":"13912345678""#, r#""from":"139****5678""#);
    assert_eq!(text(&masked[0].body), text(&whole[0].body).replace(shown, hidden));
    assert_eq!(masked[0].field("from"), "139****5678");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_to_one_that_masks_since_is_masked_and_nothing_is_rendered_for_nobody() {
    let (gateway, crm) = (a_gateway().await, Receiver::start().await);
    let home = Home::with(&configured(&gateway, &[("crm", &crm, "")]));
    let at = now();
    gateway.arrive(UID, NewReply::text("13912345678", "好", at, &format!("{NUMBER}7")));
    ends(&home, &["run", "--once"], 0);
    assert_eq!(count(&home, "event WHERE masked_body IS NULL"), 1);
    home.write("config.toml", &configured(&gateway, &[("crm", &crm, "mask = true")]));
    // The configuration is the service's: a replay goes by what it wrote last.
    ends(&home, &["run", "--once"], 0);
    ends(&home, &["replay", &at.hour().to_string()], 0);
    ends(&home, &["run", "--once"], 0);
    let told = crm.webhooks();
    let mut whole = told[0].json();
    assert_eq!((told.len(), told[0].id()), (2, told[1].id()));
    whole["data"]["from"] = "139****5678".into();
    assert_eq!(told[1].json(), whole);
    assert_eq!(whole["data"]["extension"], "7");
    let stored: String = query(&home, "SELECT masked_body FROM event");
    assert_eq!(stored.as_bytes(), told[1].body);
}

//! Replies in chats: the real binary against a stand-in for each product.

use std::collections::BTreeMap;
use std::time::Duration;

use replyd::gateway::simulator::{Habits, Simulator};
use replyd::time::BeijingTime;
use serde_json::Value;

use crate::bots::{Bot, Limit, Product, SECRET, TOKEN};
use crate::intake::count;
use crate::pacing::count_or_none;
use crate::proxy::Proxy;
use crate::support::{Home, Settings, UID, config, ends, gateway, now, query, reply, until};

pub(crate) async fn a_gateway() -> Simulator {
    gateway(Habits { min_interval: Duration::from_millis(300), ..Habits::default() }).await
}

/// A configuration with these subscribers.
pub(crate) fn home(gateway: &Simulator, subscribers: &[String]) -> Home {
    let base_url = gateway.base_url();
    let settings = Settings { base_url: &base_url, min_interval: "300ms", ..Settings::default() };
    Home::with(&(config(&settings) + &subscribers.concat()))
}

pub(crate) fn bare(text: &str) -> String {
    text.replace('\\', "")
}

/// That no token is seen in anything that is shown or kept.
pub(crate) fn nothing_is_given_away(home: &Home) {
    let mut seen = home.log();
    for arguments in [&["check"][..], &["subscribers", "list"], &["deliveries", "list", "--json"]] {
        seen += &ends(home, arguments, 0);
    }
    for product in Product::ALL {
        let output = home.run(&["subscribers", "show", product.word(), "--json"]);
        seen += &String::from_utf8_lossy(&output.stdout);
    }
    seen += &query::<String>(
        home,
        "SELECT coalesce(group_concat(CAST(coalesce(answer, '') AS TEXT) || coalesce(trouble, '')), '') FROM attempt",
    );
    assert!(!seen.contains(TOKEN) && !seen.contains(SECRET), "a token is seen in:\n{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_product_shows_a_reply_as_plain_text_and_a_test_as_one() {
    let gateway = a_gateway().await;
    let mut bots = Vec::new();
    for product in Product::ALL {
        bots.push((product, Bot::start(product).await));
    }
    let section = |(product, bot): &(Product, Bot)| {
        let lang = if *product == Product::Slack { "en" } else { "zh" };
        // What tells customers apart by their numbers gets them whole.
        let mask = *product != Product::Chatwoot;
        bot.subscription(product.word(), &format!("lang = \"{lang}\"\nmask = {mask}"))
    };
    let home = home(&gateway, &bots.iter().map(section).collect::<Vec<_>>());
    gateway.arrive(UID, reply("13900000001", "<at id=all> @all [a](http://evil.example)"));
    let service = home.serve();
    for (product, bot) in &bots {
        let text = bare(&bot.wait_for(1).await[0]);
        let typed = "＜at id=all＞ ＠all [a](http：//evil．example)";
        assert!(text.contains(typed), "{product:?}: {text}");
        let from = if *product == Product::Chatwoot { "13900000001" } else { "139****0001" };
        assert!(text.contains(from) && text.contains("1068112227282"), "{text}");
        let head = if *product == Product::Slack { "SMS reply from" } else { "【短信回复】" };
        assert!(text.starts_with(head), "{product:?}: {text}");
    }
    until("all", || count(&home, "delivery WHERE state = 'delivered'") == 15).await;
    assert_eq!(service.stop(), Some(0));
    for (product, bot) in &bots {
        let out = ends(&home, &["subscribers", "test", product.word(), "--json"], 0);
        let json: Value = serde_json::from_str(&out).unwrap();
        let answer = json["attempt"]["answer"].as_str().unwrap();
        assert_eq!(answer.is_empty(), *product == Product::Teams, "{answer}");
        let text = bot.texts().pop().unwrap();
        assert!(text.contains("测试") || text.contains("TEST"), "{text}");
    }
    nothing_is_given_away(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_inside_a_200_is_told_in_the_products_words_with_what_to_do() {
    let (gateway, bot) = (a_gateway().await, Bot::start(Product::DingTalk).await);
    let section = bot.subscription("dingtalk", "").replace(SECRET, "SECwrong0000");
    let home = home(&gateway, &[section]);
    gateway.arrive(UID, reply("13900000001", "收到"));
    let service = home.serve();
    let failed = "delivery WHERE state = 'failed'";
    until("a refusal", || count_or_none(&home, failed) == 1).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!((count(&home, "attempt"), bot.texts().len()), (1, 0));
    let shown = ends(&home, &["deliveries", "show", "1", "--lang", "zh"], 0);
    assert!(shown.contains("钉钉 310000：sign not match") && shown.contains("加签"), "{shown}");
    let shown = ends(&home, &["deliveries", "show", "1", "--lang", "en"], 0);
    assert!(shown.contains("DingTalk 310000: sign not match, at ***; check keyword"), "{shown}");
    let out = ends(&home, &["subscribers", "test", "dingtalk"], 1);
    assert!(out.contains("310000"), "{out}");
    nothing_is_given_away(&home);
    // With the right secret it is brought by hand.
    let text = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &text.replace("SECwrong0000", SECRET));
    ends(&home, &["deliveries", "retry", "1"], 0);
    ends(&home, &["run", "--once"], 0);
    assert_eq!(bot.texts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_no_product_gives_is_no_success() {
    let (gateway, bot) = (a_gateway().await, Bot::start(Product::WeCom).await);
    bot.wall(true);
    let home = home(&gateway, &[bot.subscription("wecom", "rate_limit = \"\"")]);
    gateway.arrive(UID, reply("13900000001", "收到"));
    let service = home.serve();
    let unreadable = "attempt WHERE http_status = 200 AND trouble LIKE '%unreadable%'";
    until("two", || count_or_none(&home, unreadable) >= 2).await;
    bot.wall(false);
    bot.wait_for(1).await;
    until("all", || count(&home, "delivery WHERE state = 'delivered'") == 1).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(bot.texts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_ones_own_arrives_whole_and_is_judged_by_what_success_looks_like() {
    let (gateway, bot) = (a_gateway().await, Bot::start(Product::WeCom).await);
    let own = "template = '{\"msgtype\":\"text\",\"text\":{\"content\":\"{{ from }}: {{ content }}\"}}'\n\
               success = { json = \"/errcode\", equals = 0 }";
    let section = bot.subscription("own", own).replace("\"wecom\"", "\"template\"");
    let home = home(&gateway, &[section]);
    bot.remove(true);
    gateway.arrive(UID, reply("13900000001", "\"}}, {{ secret }} \\"));
    let service = home.serve();
    let refused = "attempt WHERE http_status = 200 AND trouble LIKE '%93000%'";
    until("a refusal", || count_or_none(&home, refused) >= 1).await;
    bot.remove(false);
    assert_eq!(bot.wait_for(1).await, ["13900000001: \"}}, {{ secret }} \\"]);
    assert_eq!(service.stop(), Some(0));
    nothing_is_given_away(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_of_ones_own_is_a_file() {
    let (gateway, bot) = (a_gateway().await, Bot::start(Product::WeCom).await);
    let section = bot
        .subscription("own", "lang = \"en\"")
        .replace("format = \"wecom\"", "format = { file = \"formats/acme.json\" }");
    let home = home(&gateway, &[section]);
    std::fs::create_dir(home.path("formats")).unwrap();
    let file = r#"{
        "name": ["甲乙", "Acme"], "form": "json", "max": { "bytes": 2048 },
        "body": { "msgtype": "text", "text": { "content": "{{ text }}" } },
        "success": { "json": "/errcode", "equals": 0 },
        "cases": [{ "json": "/errcode", "equals": 93000, "means": "gone" }],
        "rate_limit": "2/s", "message": "/errmsg"
    }"#;
    for (wrong, words) in [
        (file.replace("{{ text }}", "{{ txt }}"), "its file is wrong: "),
        (file.replace("\"text\",", "\"text\""), "its file is wrong: is no JSON at line 3"),
    ] {
        home.write("formats/acme.json", &wrong);
        let output = home.run(&["check", "--offline"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(78) && told.contains(words), "{told}");
    }
    // The one that the manual shows is right.
    for manual in ["docs/chat.md", "docs/chat.zh-CN.md"] {
        let manual = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(manual);
        let manual = std::fs::read_to_string(manual).unwrap();
        let (_, shown) = manual.split_once("```json\n").unwrap();
        home.write("formats/acme.json", shown.split_once("```").unwrap().0);
        let output = home.run(&["check", "--offline"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        // It wants a token, which nothing else is wrong for.
        assert!(
            told.contains("the product's token is needed") && !told.contains("its file"),
            "{told}"
        );
    }
    home.write("formats/acme.json", file);
    let checked = ends(&home, &["check"], 0);
    assert!(checked.contains("(formats/acme.json)"), "{checked}");
    for number in 0..30 {
        gateway.arrive(UID, reply(&format!("1390000{number:04}"), "\"} @all"));
    }
    let service = home.serve();
    until("all", || count_or_none(&home, "delivery WHERE state = 'delivered'") == 30).await;
    assert_eq!(service.stop(), Some(0));
    let texts = bot.texts();
    assert!(texts.len() < 20 && texts.concat().matches("\"} ＠all").count() == 30, "{texts:?}");
    bot.remove(true);
    gateway.arrive(UID, reply("13900000001", "二"));
    ends(&home, &["run", "--once"], 1);
    assert_eq!(query::<String>(&home, "SELECT disabled_why FROM subscriber"), "gone");
    let shown = ends(&home, &["subscribers", "show", "own", "--lang", "en"], 0);
    assert!(shown.contains("Acme 93000: invalid webhook url"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_reached_through_a_plain_proxy() {
    let (gateway, bot) = (a_gateway().await, Bot::start(Product::DingTalk).await);
    let crm = Bot::start(Product::Chatwoot).await;
    let proxy = Proxy::start("user", "word").await;
    let through = format!("proxy = \"http://user:word@{}\"\nrate_limit = \"\"", proxy.address);
    let sections = [bot.subscription("ding", &through), crm.subscription("crm", &through)];
    let home = home(&gateway, &sections);
    gateway.arrive(UID, reply("13900000001", "一"));
    let service = home.serve();
    bot.wait_for(1).await;
    crm.wait_for(1).await;
    until("both", || count(&home, "delivery WHERE state = 'delivered'") == 2).await;
    assert_eq!(service.stop(), Some(0));
    // It was asked for the whole URL, with what it wants to know; the products saw nothing of that.
    let asked = proxy.asked();
    assert_eq!(asked.len(), 1 + 4, "{asked:?}");
    assert!(asked[0].starts_with("POST http://127.0.0.1:"), "{asked:?}");
    // Without its password nothing comes through, and that is told.
    let text = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &text.replace("user:word@", "user:other@"));
    gateway.arrive(UID, reply("13900000001", "二"));
    ends(&home, &["run", "--once"], 1);
    assert_eq!((bot.texts().len(), crm.texts().len()), (1, 1));
    let statuses: i64 = query(&home, "SELECT count(*) FROM attempt WHERE http_status = 407");
    assert!(statuses >= 2, "{}", home.log());
    nothing_is_given_away(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_goes_out_as_digests_and_keeps_within_the_limit() {
    let (gateway, bot) = (a_gateway().await, Bot::start(Product::WeCom).await);
    let (per, blocked) = (Duration::from_secs(1), Duration::from_secs(600));
    // The way to it may squeeze two together that were sent apart.
    bot.limit(Limit { count: 3, per, blocked });
    let home = home(&gateway, &[bot.subscription("wecom", "rate_limit = \"2/s\"")]);
    for number in 0..100 {
        let mobile = format!("1390000000{}", number % 3);
        gateway.arrive(UID, reply(&mobile, &format!("={number}=")));
    }
    let service = home.serve();
    let delivered = "delivery WHERE state = 'delivered'";
    until("all", || count_or_none(&home, delivered) == 100).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(bot.too_many(), 0);
    let texts = bot.texts();
    assert!(texts.len() <= 10, "{} messages", texts.len());
    let text = texts.join("\n");
    let mut numbers = BTreeMap::<usize, Vec<usize>>::new();
    for part in text.split('=').skip(1).step_by(2) {
        let number: usize = part.parse().unwrap();
        numbers.entry(number % 3).or_default().push(number);
    }
    let all: usize = numbers.values().map(Vec::len).sum();
    assert_eq!(all, 100);
    assert!(numbers.values().all(|numbers| numbers.is_sorted()), "{numbers:?}");
    // Each is a delivery of its own, with the attempt that it shared.
    assert_eq!(count(&home, "attempt WHERE http_status = 200"), 100);
    let requests: i64 = query(&home, "SELECT count(DISTINCT started_ms) FROM attempt");
    assert_eq!(requests as usize, texts.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_defer_and_drop_nothing() {
    let (gateway, bot) = (a_gateway().await, Bot::start(Product::Slack).await);
    // An hour ago until in an hour, whatever o'clock it is in Beijing.
    let minutes = |off: i64| {
        let at = BeijingTime::from_unix_seconds(now().unix_seconds() + off * 60).to_string();
        at[11..16].to_owned()
    };
    let quiet = format!("quiet_hours = \"{}-{}\"\nrate_limit = \"\"", minutes(-60), minutes(60));
    let home = home(&gateway, &[bot.subscription("slack", &quiet)]);
    gateway.arrive(UID, reply("13900000001", "一"));
    let service = home.serve();
    let waiting = "delivery WHERE state = 'waiting' AND attempts = 0";
    until("what waits", || count_or_none(&home, waiting) == 1).await;
    gateway.arrive(UID, reply("13900000001", "二"));
    until("what waits", || count_or_none(&home, waiting) == 2).await;
    assert_eq!(service.stop(), Some(0));
    ends(&home, &["run", "--once"], 0);
    assert_eq!((bot.texts().len(), count(&home, waiting)), (0, 2));
    // Whoever asks is told what it waits for, and until when.
    let end = minutes(60);
    for (lang, words) in
        [("en", "for the end of its subscriber's quiet hours, at"), ("zh", "免打扰")]
    {
        let shown = ends(&home, &["deliveries", "show", "1", "--lang", lang], 0);
        assert!(shown.contains(words) && shown.contains(&format!("{end}:00")), "{shown}");
    }
    let json = ends(&home, &["deliveries", "show", "1", "--json"], 0);
    let waits = &serde_json::from_str::<Value>(&json).unwrap()["waits"];
    assert_eq!(waits["for"], "quiet_hours");
    assert!(waits["until"].as_str().unwrap().contains(&format!("T{end}:00+08:00")), "{waits}");
    // Somebody's look at it is not deferred.
    ends(&home, &["subscribers", "test", "slack"], 0);
    assert_eq!(bot.texts().len(), 1);
    let text = std::fs::read_to_string(home.path("config.toml")).unwrap();
    let over = format!("quiet_hours = \"{}-{}\"", minutes(-120), minutes(-60));
    let (before, behind) = text.split_once("quiet_hours").unwrap();
    let (_, behind) = behind.split_once('\n').unwrap();
    home.write("config.toml", &format!("{before}{over}\n{behind}"));
    ends(&home, &["run", "--once"], 0);
    let texts = bot.texts();
    assert!(texts.len() == 3 && texts[1].contains('一') && texts[2].contains('二'), "{texts:?}");
}

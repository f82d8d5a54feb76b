//! Replies in chats: the real binary against a stand-in for each product.

use std::collections::BTreeMap;
use std::time::Duration;

use replyd::gateway::simulator::{Habits, Simulator};
use replyd::time::BeijingTime;
use serde_json::Value;

use crate::bots::{Bot, Limit, Product, SECRET, TOKEN};
use crate::intake::count;
use crate::pacing::count_or_none;
use crate::support::{Home, Settings, UID, config, ends, gateway, now, query, reply, until};

async fn a_gateway() -> Simulator {
    gateway(Habits { min_interval: Duration::from_millis(300), ..Habits::default() }).await
}

/// A configuration with these subscribers.
fn home(gateway: &Simulator, subscribers: &[String]) -> Home {
    let base_url = gateway.base_url();
    let settings = Settings { base_url: &base_url, min_interval: "300ms", ..Settings::default() };
    Home::with(&(config(&settings) + &subscribers.concat()))
}

fn bare(text: &str) -> String {
    text.replace('\\', "")
}

/// That no token is seen in anything that is shown or kept.
fn nothing_is_given_away(home: &Home) {
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
        let says_nothing = matches!(product, Product::Teams | Product::Chatwoot);
        assert_eq!(answer.is_empty(), says_nothing, "{answer}");
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
async fn a_dead_hook_is_disabled_and_loses_nothing() {
    for product in [Product::WeCom, Product::Slack, Product::Telegram] {
        let (gateway, bot) = (a_gateway().await, Bot::start(product).await);
        bot.remove(true);
        let home = home(&gateway, &[bot.subscription(product.word(), "")]);
        for text in ["一", "二"] {
            gateway.arrive(UID, reply("13900000001", text));
        }
        ends(&home, &["run", "--once"], 1);
        assert_eq!(query::<String>(&home, "SELECT disabled_why FROM subscriber"), "gone");
        assert_eq!(count(&home, "delivery WHERE state = 'waiting'"), 2);
        let shown = ends(&home, &["subscribers", "show", product.word(), "--lang", "en"], 0);
        assert!(shown.contains("subscribers enable"), "{shown}");
        bot.remove(false);
        ends(&home, &["subscribers", "enable", product.word()], 0);
        ends(&home, &["run", "--once"], 0);
        let text = bot.texts().join("\n");
        assert!(text.find('一') < text.find('二') && text.contains('一'), "{text}");
        nothing_is_given_away(&home);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_is_blocked_is_left_alone_as_long_as_it_wants() {
    for product in [Product::Discord, Product::Telegram, Product::Slack] {
        let (gateway, bot) = (a_gateway().await, Bot::start(product).await);
        let home = home(&gateway, &[bot.subscription(product.word(), "rate_limit = \"\"")]);
        bot.block(Duration::from_secs(60));
        for number in 0..20 {
            gateway.arrive(UID, reply(&format!("1390000{number:04}"), "收到"));
        }
        ends(&home, &["run", "--once"], 1);
        let asked = "attempt WHERE next LIKE '%\"asked\":true%' AND trouble LIKE '%throttled%'";
        assert!(count(&home, asked) >= 1 && bot.too_many() == 1, "{product:?}");
        assert_eq!(count(&home, "delivery WHERE state = 'waiting'"), 20);
        ends(&home, &["run", "--once"], 0);
        assert_eq!(bot.too_many(), 1, "{product:?} was asked while it was blocked");
    }
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

//! Every product through what it may do to a message: refuse it, want fewer, be gone, and have it
//! shorter. The real binary, with a subscriber for each at once.

use std::time::Duration;

use replyd::gateway::simulator::Simulator;
use serde_json::Value;

use crate::bots::{Bot, Product};
use crate::chat::{a_gateway, bare, home, nothing_is_given_away};
use crate::intake::count;
use crate::pacing::count_or_none;
use crate::support::{Home, UID, ends, query, reply, until};

/// Longer than any product takes.
const LONG: usize = 42_000;
/// Replies that wait together, of so many letters each.
const BACKLOG: usize = 40;
const LETTERS: usize = 150;

struct Stage {
    gateway: Simulator,
    bots: Vec<(Product, Bot)>,
    home: Home,
}

/// A subscriber of each product, with these further lines.
async fn stage(further: impl Fn(Product) -> String) -> Stage {
    let gateway = a_gateway().await;
    let mut bots = Vec::new();
    for product in Product::ALL {
        bots.push((product, Bot::start(product).await));
    }
    let section =
        |(product, bot): &(Product, Bot)| bot.subscription(product.word(), &further(*product));
    let home = home(&gateway, &bots.iter().map(section).collect::<Vec<_>>());
    Stage { gateway, bots, home }
}

/// What is told of the last attempt to this product, in a language.
fn told(home: &Home, product: Product, lang: &str) -> String {
    let id: i64 = query(
        home,
        &format!(
            "SELECT delivery_id FROM attempt JOIN delivery ON delivery.id = delivery_id
             WHERE subscriber = '{}' AND trouble IS NOT NULL ORDER BY attempt.started_ms DESC LIMIT 1",
            product.word()
        ),
    );
    let whole = ends(home, &["deliveries", "show", &id.to_string(), "--json"], 0);
    let whole: Value = serde_json::from_str(&whole).unwrap();
    let attempts = whole["attempts"].as_array().unwrap();
    let troubled = attempts.iter().rfind(|attempt| !attempt["trouble"].is_null()).unwrap();
    troubled["trouble"][lang].as_str().unwrap().to_owned()
}

fn state(home: &Home, product: Product) -> String {
    let word = product.word();
    let states = "SELECT group_concat(DISTINCT state) FROM delivery WHERE subscriber";
    query(home, &format!("{states} = '{word}'"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_fails_at_once_and_is_told_in_the_products_words() {
    let Stage { gateway, bots, home } = stage(|_| "rate_limit = \"\"".to_owned()).await;
    for (_, bot) in &bots {
        bot.refuse_next();
    }
    gateway.arrive(UID, reply("13900000001", "收到"));
    ends(&home, &["run", "--once"], 1);
    for (product, bot) in &bots {
        let (en, zh) = (told(&home, *product, "en"), told(&home, *product, "zh"));
        let words = match product {
            Product::DingTalk => "DingTalk 40035: 缺少参数",
            Product::Feishu => "Feishu 9499: Bad Request",
            Product::WeCom => "WeCom 40058: invalid Request Parameter",
            Product::Slack => "Slack invalid_payload",
            Product::Discord => "Discord 50035: Invalid Form Body",
            Product::Teams => "Teams",
            Product::Telegram => "Telegram 400: Bad Request",
            Product::Chatwoot => "the message: Chatwoot 422",
            Product::Mattermost => "Mattermost 400",
            // It has one code for all, which does not say that it is for good.
            Product::ServerChan => "HTTP 400",
            Product::PushPlus => "pushplus 999: 服务端验证错误",
            Product::Bark => "Bark 400: request bind failed",
            Product::Ntfy => "ntfy 400: no",
            Product::Gotify => "Gotify 400: no",
            Product::Apprise => "Apprise 400: no",
        };
        assert!(en.contains(words), "{product:?}: {en}");
        assert!(!zh.is_empty() && zh != en, "{product:?}: {zh}");
        let expected = if *product == Product::ServerChan { "waiting" } else { "failed" };
        assert_eq!(state(&home, *product), expected, "{product:?}: {en}");
        assert!(bot.texts().is_empty());
    }
    // Somebody sends them again.
    ends(&home, &["deliveries", "retry", "--all", "--yes"], 0);
    let service = home.serve();
    until("all", || count(&home, "delivery WHERE state = 'delivered'") == 15).await;
    assert_eq!(service.stop(), Some(0));
    nothing_is_given_away(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_wants_fewer_is_left_alone_and_loses_nothing() {
    let Stage { gateway, bots, home } = stage(|_| "rate_limit = \"\"".to_owned()).await;
    for (_, bot) in &bots {
        bot.block(Duration::from_secs(300));
    }
    for number in 0..5 {
        gateway.arrive(UID, reply(&format!("1390000{number:04}"), "收到"));
    }
    ends(&home, &["run", "--once"], 1);
    for (product, bot) in &bots {
        let (en, zh) = (told(&home, *product, "en"), told(&home, *product, "zh"));
        let throttled =
            ["wants fewer", "too fast", "sent too much", "too many", "frequen", "limit"];
        assert!(throttled.iter().any(|words| en.contains(words)), "{product:?}: {en}");
        assert_ne!(en, zh);
        assert_eq!(
            (state(&home, *product).as_str(), bot.too_many()),
            ("waiting", 1),
            "{product:?}"
        );
    }
    ends(&home, &["run", "--once"], 0);
    for (product, bot) in &bots {
        assert_eq!(bot.too_many(), 1, "{product:?} was asked while it was blocked");
    }
    nothing_is_given_away(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_hook_is_disabled_and_loses_nothing() {
    let Stage { gateway, bots, home } = stage(|_| "rate_limit = \"\"".to_owned()).await;
    for (_, bot) in &bots {
        bot.remove(true);
    }
    for text in ["一", "二"] {
        gateway.arrive(UID, reply("13900000001", text));
    }
    ends(&home, &["run", "--once"], 1);
    for (product, bot) in &bots {
        let word = product.word();
        let why =
            format!("SELECT coalesce(disabled_why, '-') FROM subscriber WHERE name = '{word}'");
        assert_eq!(query::<String>(&home, &why), "gone", "{product:?}");
        assert_eq!(state(&home, *product), "waiting");
        let shown = ends(&home, &["subscribers", "show", word, "--lang", "en"], 0);
        assert!(shown.contains("subscribers enable"), "{shown}");
        bot.remove(false);
        ends(&home, &["subscribers", "enable", word], 0);
    }
    let service = home.serve();
    until("all", || count_or_none(&home, "delivery WHERE state = 'delivered'") == 30).await;
    assert_eq!(service.stop(), Some(0));
    for (product, bot) in &bots {
        let text = bot.texts().join("\n");
        assert!(text.find('一') < text.find('二') && text.contains('一'), "{product:?}: {text}");
    }
    nothing_is_given_away(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_cut_and_what_is_too_much_is_split_by_each_products_measure() {
    // One message now, and then one in a while, so that the rest waits together.
    let limit = |product| match product {
        // In each customer's conversation there is a message for each.
        Product::Chatwoot => "rate_limit = \"\"".to_owned(),
        _ => "rate_limit = \"2/s\"".to_owned(),
    };
    let Stage { gateway, bots, home } = stage(limit).await;
    // What markup is made of is escaped, and longer then.
    let long = "长*[".repeat(LONG / 3);
    gateway.arrive(UID, reply("13900000001", &long));
    for number in 0..BACKLOG {
        let text = format!("={number}={}", "字_".repeat(LETTERS / 2));
        gateway.arrive(UID, reply(&format!("1390000{:04}", 2 + number % 3), &text));
    }
    let service = home.serve();
    let replies = (BACKLOG + 1) * bots.len();
    until("all", || count_or_none(&home, "delivery WHERE state = 'delivered'") as usize == replies)
        .await;
    assert_eq!(service.stop(), Some(0));
    let troubles = "SELECT coalesce(group_concat(subscriber || ' ' || trouble), '') FROM attempt
        JOIN delivery ON delivery.id = delivery_id WHERE trouble IS NOT NULL";
    assert_eq!(query::<String>(&home, troubles), "");
    for (product, bot) in &bots {
        let texts = bot.texts();
        let text = bare(&texts.join("\n"));
        assert!(text.contains("过长，已截断"), "{product:?}");
        let numbers: Vec<usize> =
            text.split('=').skip(1).step_by(2).map(|part| part.parse().unwrap()).collect();
        assert_eq!(numbers.len(), BACKLOG, "{product:?}");
        assert_eq!(text.matches('字').count(), BACKLOG * LETTERS / 2, "{product:?}: whole ones");
        let is_digest = texts.len() <= BACKLOG / 2;
        assert_eq!(is_digest, *product != Product::Chatwoot, "{product:?}: {}", texts.len());
    }
}

#[test]
fn each_product_has_a_configuration_to_copy_in_both_languages() {
    for manual in ["docs/chat.md", "docs/chat.zh-CN.md"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(manual);
        let text = std::fs::read_to_string(path).unwrap();
        let sections: Vec<&str> =
            text.split("```toml\n").skip(1).map(|part| part.split("```").next().unwrap()).collect();
        let account = "[[account]]\nname = \"main\"\nbase_url = \"http://http.c123.com\"\nuid = \"9999\"\n\
                       password = { env = \"REPLYD_PASSWORD\" }\n";
        let home = Home::with(&(account.to_owned() + &sections.concat()));
        let checked = ends(&home, &["check", "--offline"], 0);
        for product in Product::ALL {
            assert!(checked.contains(&format!("({})", product.word())), "{manual}: {product:?}");
        }
    }
}

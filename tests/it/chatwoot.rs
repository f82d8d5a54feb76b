//! Chatwoot as it behaves: contacts by their source, their conversations and messages, an inbox that
//! wants its contacts proven. And replies in it, through every step that can fail.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{Method, StatusCode, Uri};
use hmac::{Hmac, KeyInit, Mac};
use replyd::gateway::simulator::{Habits, Simulator};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::bots::{Bot, Product, SECRET, TOKEN};
use crate::chat::bare;
use crate::intake::count;
use crate::pacing::count_or_none;
use crate::support::{Home, Settings, UID, config, ends, gateway, query, reply, until};

/// So many of a conversation's messages are given at once.
const PAGE: usize = 20;

/// What one request does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It answers so, and does nothing.
    Status(u16),
    /// It does what it is asked, and never answers.
    Silent,
    /// It does what it is asked, and its front answers so.
    Unclear(u16),
}

/// A contact's source, and what is in its conversation: ids and texts.
type Conversation = (String, Vec<(u64, String)>);

/// What it holds.
#[derive(Default)]
pub(crate) struct Desk {
    /// Names by source.
    contacts: BTreeMap<String, String>,
    conversations: Vec<Conversation>,
    messages: u64,
    /// What it was asked for, in order.
    pub(crate) asked: Vec<&'static str>,
    /// What a request of a step meets, after so many others of that step.
    pub(crate) trouble: Option<(&'static str, usize, Trouble)>,
}

/// What it answers: nothing where it stays silent.
pub(crate) type Answer = Option<(StatusCode, String)>;

fn identifier_hash(identifier: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(identifier.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

impl Desk {
    /// Takes a request of its public interface; texts that it shows go to `texts`.
    pub(crate) fn take(
        &mut self,
        (method, uri, body): (&Method, &Uri, &[u8]),
        texts: &mut Vec<String>,
    ) -> Answer {
        let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8().unwrap();
        let Some(path) = path.strip_prefix(&format!("/public/api/v1/inboxes/{TOKEN}/contacts"))
        else {
            return Some(missing());
        };
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let step = match (method, &parts[..]) {
            (&Method::POST, []) => "contact",
            (&Method::GET, [_, "conversations"]) => "conversation",
            (&Method::POST, [_, "conversations"]) => "new_conversation",
            (&Method::GET, [_, "conversations", _, "messages"]) => "look",
            (&Method::POST, [_, "conversations", _, "messages"]) => "message",
            _ => return Some(missing()),
        };
        self.asked.push(step);
        let before = self.asked.iter().filter(|asked| **asked == step).count() - 1;
        let is_met = |(of, after, _): &mut (&str, usize, Trouble)| (*of, *after) == (step, before);
        let trouble = self.trouble.take_if(is_met).map(|(_, _, trouble)| trouble);
        if let Some(Trouble::Status(status)) = trouble {
            let body = json!({ "error": format!("no, at {TOKEN}") }).to_string();
            return Some((StatusCode::from_u16(status).unwrap(), body));
        }
        let answer = match step {
            "contact" => self.contact(&body),
            _ => self.of_contact(step, &parts, (uri, &body), texts),
        };
        match trouble {
            Some(Trouble::Silent) => None,
            Some(Trouble::Unclear(status)) => {
                Some((StatusCode::from_u16(status).unwrap(), "<html>bad gateway</html>".to_owned()))
            }
            _ => Some(answer),
        }
    }

    fn contact(&mut self, body: &Value) -> (StatusCode, String) {
        let source = body["source_id"].as_str().unwrap().to_owned();
        let identifier = body["identifier"].as_str().unwrap();
        if body["identifier_hash"] != identifier_hash(identifier) {
            return (StatusCode::INTERNAL_SERVER_ERROR, "<html>We're sorry</html>".to_owned());
        }
        if body.get("phone_number").is_some_and(|phone| !phone.as_str().unwrap().starts_with('+')) {
            return (StatusCode::UNPROCESSABLE_ENTITY, "{}".to_owned());
        }
        let name = body["name"].as_str().unwrap().to_owned();
        let name = self.contacts.entry(source.clone()).or_insert(name);
        (StatusCode::OK, json!({ "source_id": source, "id": 1, "name": name }).to_string())
    }

    fn of_contact(
        &mut self,
        step: &str,
        parts: &[&str],
        (uri, body): (&Uri, &Value),
        texts: &mut Vec<String>,
    ) -> (StatusCode, String) {
        let source = parts[0];
        if !self.contacts.contains_key(source) {
            return missing();
        }
        let shown = |(number, (_, messages)): (usize, &Conversation)| {
            let messages: Vec<Value> = messages.iter().map(message).collect();
            json!({ "id": number + 1, "status": "open", "messages": messages }).to_string()
        };
        match step {
            "conversation" => {
                let own =
                    self.conversations.iter().enumerate().filter(|(_, (whose, _))| whose == source);
                let own: Vec<String> = own.map(shown).collect();
                return (StatusCode::OK, format!("[{}]", own.join(",")));
            }
            "new_conversation" => {
                self.conversations.push((source.to_owned(), Vec::new()));
                let new = self.conversations.iter().enumerate().next_back().unwrap();
                return (StatusCode::OK, shown(new));
            }
            _ => {}
        }
        let number: usize = parts[2].parse().unwrap();
        let own = self.conversations.get_mut(number - 1).filter(|(whose, _)| whose == source);
        let Some((_, messages)) = own else { return missing() };
        if step == "look" {
            let before = uri.query().and_then(|query| query.strip_prefix("before="));
            let before = before.map_or(u64::MAX, |before| before.parse().unwrap());
            let older: Vec<_> = messages.iter().filter(|(id, _)| *id < before).collect();
            let page = older.iter().skip(older.len().saturating_sub(PAGE));
            let page: Vec<Value> = page.map(|one| message(one)).collect();
            return (StatusCode::OK, json!(page).to_string());
        }
        let content = body["content"].as_str().unwrap();
        assert!(body["echo_id"].as_str().is_some_and(|id| id.contains('_')));
        if content.is_empty() || content.encode_utf16().count() > 10_000 {
            return (StatusCode::UNPROCESSABLE_ENTITY, "{}".to_owned());
        }
        self.messages += 1;
        let new = (self.messages, content.to_owned());
        texts.push(content.to_owned());
        let answer = message(&new).to_string();
        messages.push(new);
        (StatusCode::OK, answer)
    }
}

/// What it tells of a message: nothing by which its sender would know it again.
fn message((id, content): &(u64, String)) -> Value {
    json!({ "id": id, "content": content, "message_type": 0, "sender": { "name": "a".repeat(900) } })
}

pub(crate) fn missing() -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, json!({ "error": "Resource could not be found" }).to_string())
}

async fn stage(further: &str) -> (Simulator, Bot, Home) {
    let habits = Habits { min_interval: Duration::from_millis(300), ..Habits::default() };
    let (gateway, bot) = (gateway(habits).await, Bot::start(Product::Chatwoot).await);
    let base_url = gateway.base_url();
    let settings = Settings { base_url: &base_url, min_interval: "300ms", ..Settings::default() };
    let home = Home::with(&(config(&settings) + &bot.subscription("chatwoot", further)));
    (gateway, bot, home)
}

async fn delivered(home: &Home, replies: i64) {
    let delivered = "delivery WHERE state = 'delivered'";
    until("all to be delivered", || count_or_none(home, delivered) == replies).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_customer_has_a_contact_and_a_conversation() {
    let (gateway, bot, home) = stage("rate_limit = \"\"").await;
    let service = home.serve();
    for (replies, (mobile, text)) in
        (1..).zip([("13900000001", "一"), ("13900000002", "二"), ("13900000001", "三")])
    {
        gateway.arrive(UID, reply(mobile, text));
        delivered(&home, replies).await;
    }
    assert_eq!(service.stop(), Some(0));
    bot.desk(|desk| {
        let sources: Vec<&String> = desk.contacts.keys().collect();
        assert_eq!(sources, ["+8613900000001", "+8613900000002"]);
        let talks = |(whose, messages): &Conversation| {
            let texts: Vec<char> = messages
                .iter()
                .map(|(_, text)| text.lines().nth(1).unwrap().chars().next().unwrap())
                .collect();
            (whose.clone(), texts)
        };
        let talks: Vec<_> = desk.conversations.iter().map(talks).collect();
        assert_eq!(
            talks,
            [("+8613900000001".into(), vec!['一', '三']), ("+8613900000002".into(), vec!['二'])]
        );
        let first = ["contact", "conversation", "new_conversation", "message"];
        assert_eq!(
            desk.asked,
            [&first[..], &first[..], &["contact", "conversation", "message"]].concat()
        );
    });
    // Nothing of the customer is kept of its answers.
    assert_eq!(count(&home, "attempt WHERE answer IS NOT NULL"), 0);
    let out = ends(&home, &["subscribers", "test", "chatwoot"], 0);
    assert!(out.contains("200"), "{out}");
    assert!(bot.texts().pop().unwrap().contains("测试"));
    bot.desk(|desk| assert!(desk.contacts.contains_key("replyd")));
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_step_fails_is_named_and_the_message_comes_once() {
    // A silent one is waited for.
    for trouble in [Trouble::Status(503), Trouble::Silent, Trouble::Unclear(504)] {
        for (step, en, zh) in [
            ("contact", "the contact: ", "查找或建立联系人："),
            ("conversation", "looking for the conversation: ", "查找会话："),
            ("new_conversation", "beginning a conversation: ", "建立会话："),
            ("message", "the message: ", "发送消息："),
        ] {
            let (gateway, bot, home) = stage("rate_limit = \"\"\ntimeout = \"400ms\"").await;
            bot.desk(|desk| desk.trouble = Some((step, 0, trouble)));
            gateway.arrive(UID, reply("13900000001", "一"));
            let service = home.serve();
            delivered(&home, 1).await;
            assert_eq!(service.stop(), Some(0));
            assert_eq!(bot.texts().len(), 1, "{step} {trouble:?}: {:?}", bot.texts());
            for (lang, words) in [("en", en), ("zh", zh)] {
                let shown = ends(&home, &["deliveries", "show", "1", "--lang", lang], 0);
                assert!(shown.contains(words), "{step} {trouble:?}: {shown}");
                assert!(!shown.contains("13900000001") && !shown.contains(TOKEN), "{shown}");
            }
            bot.desk(|desk| {
                assert_eq!(desk.conversations.len(), 1, "{step} {trouble:?}");
                let looks = desk.asked.iter().filter(|step| **step == "look").count();
                let has_conversation = step == "message"
                    || step == "new_conversation" && trouble != Trouble::Status(503);
                assert_eq!(
                    looks,
                    usize::from(has_conversation),
                    "{step} {trouble:?}: {:?}",
                    desk.asked
                );
            });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_replies_are_told_apart_when_an_answer_is_lost() {
    let (gateway, bot, home) = stage("rate_limit = \"\"\ntimeout = \"400ms\"").await;
    // The second is not taken, when the first is in the conversation, and nobody says so.
    bot.desk(|desk| desk.trouble = Some(("message", 1, Trouble::Status(502))));
    let same = reply("13900000001", "好");
    gateway.arrive(UID, same.clone());
    gateway.arrive(UID, same);
    let service = home.serve();
    delivered(&home, 2).await;
    assert_eq!(service.stop(), Some(0));
    let texts = bot.texts();
    assert!(texts.len() == 2 && texts[0] != texts[1], "{texts:?}");
    assert!(texts.iter().all(|text| bare(text).contains("\n好\n")), "{texts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_and_a_removed_inbox_are_told_with_what_to_do() {
    let (gateway, bot, home) = stage("rate_limit = \"\"").await;
    let text = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &text.replace(SECRET, "another key").replace("50ms", "1h"));
    gateway.arrive(UID, reply("13900000001", "一"));
    ends(&home, &["run", "--once"], 1);
    let shown = ends(&home, &["deliveries", "show", "1", "--lang", "zh"], 0);
    assert!(shown.contains("Chatwoot 500") && shown.contains("HMAC 令牌"), "{shown}");
    home.write("config.toml", &text);
    bot.remove(true);
    ends(&home, &["deliveries", "retry", "1"], 0);
    ends(&home, &["run", "--once"], 1);
    assert_eq!(query::<String>(&home, "SELECT disabled_why FROM subscriber"), "gone");
    let shown = ends(&home, &["deliveries", "show", "1", "--lang", "en"], 0);
    assert!(shown.contains("copy the API inbox's identifier"), "{shown}");
    bot.remove(false);
    ends(&home, &["subscribers", "enable", "chatwoot"], 0);
    ends(&home, &["run", "--once"], 0);
    assert_eq!(bot.texts().len(), 1);
    // Customers could not be told apart.
    home.write("config.toml", &(text + "mask = true\n"));
    let output = home.run(&["check"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("mask: cannot be: this product tells customers apart"), "{told}");
}

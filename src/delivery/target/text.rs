//! What people read of an event: who wrote what, when (in Beijing) and through which number, in
//! Chinese or English. Made from the stored bytes when it is sent.
//!
//! Every text holds the word 短信 or SMS, so that a robot which wants a keyword can have that one.

use serde_json::{Map, Value};

use crate::delivery::target::{TextRules, answer, plain};
use crate::event::{EventType, TEST_TYPE};
use crate::language::Language;
use crate::store::delivery::{Claim, StandsIn};
use crate::template::{Escape, Field, Template};

mod digest;

pub use digest::{digest, fitting};

/// A message as a product is to show it.
pub struct Message {
    /// The id of the event, or of the first of several.
    pub id: String,
    /// What it is, in a few words.
    pub title: String,
    /// All of it, no longer than the product takes.
    pub text: String,
    /// The event, where it is one.
    pub event: Option<Event>,
}

impl Message {
    /// One of its event's own fields, harmless; empty where it brings several.
    #[must_use]
    pub fn word(&self, key: &str) -> String {
        self.event.as_ref().map(|event| event.neutral(key)).unwrap_or_default()
    }

    /// Whether it brings one customer's reply.
    #[must_use]
    pub fn is_reply(&self) -> bool {
        self.event.as_ref().is_some_and(|event| event.is(EventType::ReplyReceived))
    }
}

/// An event as it is read back from its stored bytes. No `Debug`: it holds what a stranger wrote.
#[derive(Clone)]
pub struct Event {
    kind: String,
    /// When, without the offset, which is always Beijing's.
    at: String,
    data: Map<String, Value>,
    /// For whom a fallback is told of it.
    stands_in: Option<StandsIn>,
}

impl Event {
    /// Reads an event; what is none tells nothing.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let event: Value = serde_json::from_slice(body).unwrap_or_default();
        let data = event.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
        let kind = answer::text(&event, "type");
        let at = time(&answer::text(&event, "timestamp"));
        Self { kind, at, data, stands_in: None }
    }

    /// The event that a claim is to bring.
    #[must_use]
    pub fn of(claim: &Claim) -> Self {
        Self { stands_in: claim.stands_in.clone(), ..Self::read(&claim.body) }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.data.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// When, in Beijing: for a reply it is the reply's own time.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    /// The day of it.
    fn day(&self) -> &str {
        self.at.get(..10).unwrap_or(&self.at)
    }

    /// Its hour and minute.
    fn minute(&self) -> &str {
        self.at.get(11..16).unwrap_or_default()
    }

    /// Its hour, minute and second.
    fn clock(&self) -> &str {
        self.at.get(11..).unwrap_or_default()
    }

    fn is(&self, event_type: EventType) -> bool {
        self.kind == event_type.as_str()
    }

    /// One of its data, harmless, as it may stand in a product's text.
    fn word(&self, key: &str, rules: &TextRules) -> String {
        (rules.escape)(&self.neutral(key))
    }

    /// One of its data, its type or its time, harmless.
    fn neutral(&self, key: &str) -> String {
        let word = match (key, self.data.get(key)) {
            ("type", _) => self.kind.clone(),
            ("timestamp", _) => self.at.clone(),
            (_, Some(Value::String(text))) => text.clone(),
            (_, Some(Value::Number(number))) => number.to_string(),
            _ => String::new(),
        };
        plain::neutral(&word)
    }

    /// One of its times.
    fn time(&self, key: &str) -> String {
        time(self.data.get(key).and_then(Value::as_str).unwrap_or_default())
    }
}

/// `2008-05-27T12:10:11+08:00` as people write it.
fn time(rfc3339: &str) -> String {
    plain::neutral(rfc3339.get(..19).unwrap_or(rfc3339)).replace('T', " ")
}

/// The message that brings one event: what was typed is cut where the whole would be too long.
#[must_use]
pub fn message(event: &Event, teller: Teller<'_>) -> Message {
    Message {
        id: event.id().to_owned(),
        title: teller.title(event),
        text: teller.within(event, teller.rules.max),
        event: Some(event.clone()),
    }
}

/// Puts events into words for one product.
#[derive(Clone, Copy)]
pub struct Teller<'a> {
    /// In which language.
    pub language: Language,
    /// What the product's texts may be.
    pub rules: &'a TextRules,
    /// What is said of a reply instead.
    pub own: Option<&'a Template>,
}

impl Teller<'_> {
    fn pick<T>(self, zh: T, en: T) -> T {
        self.language.pick(zh, en)
    }

    fn title(self, event: &Event) -> String {
        let from = plain::neutral(event.data.get("from").and_then(Value::as_str).unwrap_or(""));
        if event.is(EventType::ReplyReceived) {
            self.pick(format!("短信回复 {from}"), format!("SMS reply from {from}"))
        } else if event.kind == TEST_TYPE {
            self.pick("短信回复测试", "SMS reply test").to_owned()
        } else {
            self.pick("短信回复告警", "SMS reply alert").to_owned()
        }
    }

    /// The event's text, no longer than so much.
    fn within(self, event: &Event, max: usize) -> String {
        let fits = |text: &str| (self.rules.measure)(text) <= max;
        let typed = event.data.get("content").and_then(Value::as_str).unwrap_or_default();
        let whole = self.tell(event, &self.typed(typed));
        if fits(&whole) {
            return whole;
        }
        let mark = self.pick(plain::CUT[0], plain::CUT[1]);
        let cut = |typed: &str| self.tell(event, &(self.typed(typed) + mark));
        let text = cut(plain::longest(typed, |typed| fits(&cut(typed))));
        // It is the rest that is too long: then all of it is cut.
        plain::longest(&text, fits).to_owned()
    }

    /// What was typed, harmless.
    fn typed(self, typed: &str) -> String {
        (self.rules.escape)(&plain::neutral(typed))
    }

    /// The event in words, with what was typed in it, and for whom it is told here.
    fn tell(self, event: &Event, typed: &str) -> String {
        let text = self.tell_itself(event, typed);
        match &event.stands_in {
            Some(stands_in) => format!("{text}\n{}", self.instead(stands_in)),
            None => text,
        }
    }

    /// For whom an event is told here.
    fn instead(self, stands_in: &StandsIn) -> String {
        let subscriber = (self.rules.escape)(&stands_in.subscriber);
        match stands_in.in_doubt {
            true => self.pick(
                format!("（代 {subscriber} 接收；{subscriber} 可能已经收到）"),
                format!("(instead of {subscriber}, which may have it already)"),
            ),
            false => {
                self.pick(format!("（代 {subscriber} 接收）"), format!("(instead of {subscriber})"))
            }
        }
    }

    fn tell_itself(self, event: &Event, typed: &str) -> String {
        if event.is(EventType::ReplyReceived) {
            match self.own {
                Some(own) => self.in_own_words(own, event, typed),
                None => self.reply(event, typed),
            }
        } else if event.kind == TEST_TYPE {
            self.test(event)
        } else {
            self.notice(event)
        }
    }

    /// A reply in the subscriber's words.
    fn in_own_words(self, own: &Template, event: &Event, typed: &str) -> String {
        own.fill(Escape::Text, |field| match field {
            Field::Text => self.reply(event, typed),
            Field::Title => (self.rules.escape)(&self.title(event)),
            Field::Id => (self.rules.escape)(event.id()),
            Field::OfEvent("content") => typed.to_owned(),
            Field::OfEvent(key) => event.word(key, self.rules),
            Field::Secret | Field::Option(_) => String::new(),
        })
    }

    fn reply(self, event: &Event, typed: &str) -> String {
        let word = |key| event.word(key, self.rules);
        let (from, gateway, at) = (word("from"), word("gateway"), &event.at);
        let typed = if typed.is_empty() { self.pick("（空）", "(empty)") } else { typed };
        let mut text = self.pick(
            format!("【短信回复】{from}\n{typed}\n时间：{at}"),
            format!("SMS reply from {from}\n{typed}\nat {at} (Beijing)"),
        );
        if !gateway.is_empty() {
            text += &self.pick(format!("\n号码：{gateway}"), format!("\nto {gateway}"));
        }
        let extension = word("extension");
        if !extension.is_empty() {
            text +=
                &self.pick(format!("（扩展 {extension}）"), format!(" (extension {extension})"));
        }
        let suspect = word("suspect");
        if !suspect.is_empty() {
            text += &self.pick(
                format!("\n可疑：{suspect}，内容可能是伪造的"),
                format!("\nsuspect: {suspect}; it may be forged"),
            );
        }
        text
    }

    fn test(self, event: &Event) -> String {
        let at = &event.at;
        self.pick(
            format!("【测试】短信回复会送到这里。这是 replyd 的测试消息，不是客户的回复。\n时间：{at}"),
            format!(
                "TEST: SMS replies come to this chat. This is a test message from replyd, not a customer's reply.\nat {at} (Beijing)"
            ),
        )
    }

    /// What an operator is told.
    fn notice(self, event: &Event) -> String {
        let about = self.about(event);
        let at = &event.at;
        self.pick(
            format!("【短信回复告警】{about}\n时间：{at}"),
            format!("SMS reply alert: {about}\nat {at} (Beijing)"),
        )
    }

    fn about(self, event: &Event) -> String {
        let word = |key| event.word(key, self.rules);
        let account = word("account");
        let kind = EventType::WORDS.into_iter().find(|(word, _)| *word == event.kind);
        match kind.map(|(_, kind)| kind) {
            Some(EventType::LoginFailed) => {
                let (status, meaning, next) =
                    (word("status"), word("meaning"), event.time("next_try_at"));
                self.pick(
                    format!("账号 {account} 被网关拒绝：{status} {meaning}；下次尝试：{next}"),
                    format!("the gateway refuses account {account}: {status} {meaning}; tried again at {next}"),
                )
            }
            Some(EventType::Recovered) => self.pick(
                format!("账号 {account} 已恢复"),
                format!("the gateway lets account {account} in again"),
            ),
            Some(EventType::SecondReader) => {
                let replies = word("replies");
                self.pick(
                    format!("账号 {account} 的回复可能正被另一个程序读走：有 {replies} 条晚到"),
                    format!("another program seems to read account {account}: {replies} replies came late"),
                )
            }
            Some(EventType::GapOpened) => {
                let (first, last) = (word("first_hour"), word("last_hour"));
                let reason = word("reason");
                self.pick(
                    format!("账号 {account} 在 {first} 到 {last} 可能缺少回复（{reason}），正在补读"),
                    format!("account {account}: replies of {first} to {last} may be missing ({reason}); they are read again"),
                )
            }
            Some(EventType::GapClosed) => {
                let (first, last) = (word("first_hour"), word("last_hour"));
                let (verified, given_up) = (word("verified"), word("given_up"));
                self.pick(
                    format!("账号 {account} 在 {first} 到 {last} 的补读结束：{verified} 小时已核实，{given_up} 小时放弃"),
                    format!("account {account}: {first} to {last} was read again: {verified} hours verified, {given_up} given up"),
                )
            }
            Some(EventType::RecordUnparsed) => {
                let (faults, read) = (word("faults"), word("read"));
                self.pick(
                    format!("账号 {account} 的应答有 {faults} 处无法解析（读取 {read}），原文已保留"),
                    format!("account {account}: {faults} stretches of read {read} are no records; they are kept"),
                )
            }
            Some(EventType::SubscriberFailing) => {
                let (subscriber, since) = (word("subscriber"), event.time("since"));
                let (disables, last) = (event.time("disables_at"), word("last_trouble"));
                self.pick(
                    format!("订阅方 {subscriber} 自 {since} 起一直失败（{last}），到 {disables} 仍失败将停用"),
                    format!("subscriber {subscriber} has failed since {since} ({last}) and is disabled at {disables} if that goes on"),
                )
            }
            Some(EventType::SubscriberDisabled) => {
                let (subscriber, reason) = (word("subscriber"), word("reason"));
                self.pick(
                    format!("订阅方 {subscriber} 已停用（{reason}），它的回复保留等待"),
                    format!("subscriber {subscriber} is disabled ({reason}); what is for it waits"),
                )
            }
            Some(EventType::BalanceLow) => {
                let (balance, threshold) = (word("balance"), word("threshold"));
                self.pick(
                    format!("账号 {account} 只剩 {balance} 条短信（低于 {threshold}）"),
                    format!(
                        "account {account} has {balance} messages left, fewer than {threshold}"
                    ),
                )
            }
            _ => self.unknown(event),
        }
    }

    /// An event of which only its data are known.
    fn unknown(self, event: &Event) -> String {
        let kind = (self.rules.escape)(&plain::neutral(&event.kind));
        let fact = |key: &String| {
            let word = event.word(key, self.rules);
            (key != "id" && !word.is_empty()).then(|| format!("{key} {word}"))
        };
        let facts: Vec<String> = event.data.keys().filter_map(fact).collect();
        self.pick(format!("{kind}：{}", facts.join("，")), format!("{kind}: {}", facts.join(", ")))
    }
}

#[cfg(test)]
mod tests;

//! What a delivery looks like to each kind of receiver, and what its answer means: pure.
//!
//! The [`webhook`] is one kind. Each chat product is a file of its own that says what the product
//! takes and how it answers; what is common to them stands in [`text`] (what people read),
//! [`plain`] (a stranger's words made harmless, and cut) and [`answer`]. A new product is one file
//! here and its name in the two lists below; one that needs no code is a file in `presets/`,
//! and users bring files of that kind themselves.

use std::sync::LazyLock;
use std::time::Duration;

use url::Url;

use crate::config::{Format, FormatFacts, ProductConfig};
use crate::language::Language;
use crate::store::attempt::{Disabled, Step, Trouble};
use crate::template::Definition;
use crate::time::UnixMs;
use text::Message;

pub mod answer;
mod chatwoot;
mod dingtalk;
mod discord;
mod feishu;
mod own;
pub mod plain;
mod preset;
pub mod redaction;
mod slack;
mod teams;
mod telegram;
mod template;
pub mod text;
pub mod webhook;
mod wecom;

/// Every product that needs code.
static TARGETS: [&Target; 9] = [
    &dingtalk::TARGET,
    &feishu::TARGET,
    &wecom::TARGET,
    &slack::TARGET,
    &discord::TARGET,
    &teams::TARGET,
    &telegram::TARGET,
    &chatwoot::TARGET,
    &template::TARGET,
];

/// Every product.
fn all() -> impl Iterator<Item = &'static Target> {
    TARGETS.into_iter().chain(preset::PRESETS.iter().copied())
}

/// A product: what it takes, and what it answers.
pub struct Target {
    /// What the configuration knows of it.
    pub facts: FormatFacts,
    /// Its name in Chinese and English.
    pub name: [&'static str; 2],
    /// What its texts may be.
    pub rules: TextRules,
    /// The request that brings a message.
    pub request: fn(&Message, Recipient<'_>) -> Request,
    /// What an answer means.
    pub judge: fn(Answer<'_>) -> Verdict,
    /// What to do about one of its codes, in Chinese and English.
    pub advice: fn(&str) -> Option<[&'static str; 2]>,
    /// The request and its meaning, where they are made of templates.
    pub definition: Option<Definition>,
    /// How a message is brought where one request is not enough.
    pub flow: Option<Flow>,
}

/// Says what comes next on the way of one message that is brought by several requests.
pub type Flow = fn(&Bringing<'_>) -> Move;

/// What a flow decides by.
pub struct Bringing<'a> {
    /// The message, which is of one event.
    pub message: &'a Message,
    /// To whom it goes.
    pub to: Recipient<'a>,
    /// Whether it was tried before, so that the product may have it.
    pub is_again: bool,
    /// What the requests of this attempt were answered, in their order.
    pub answered: &'a [Answered],
}

/// The answer to one request of several.
pub struct Answered {
    /// What it was asked for.
    pub step: Step,
    /// Its status.
    pub status: u16,
    /// How long to wait, by its `Retry-After` header.
    pub retry_after: Option<Duration>,
    /// The first of its body.
    pub body: Vec<u8>,
}

impl Answered {
    /// The same to be judged, with its `webhook-delivery` header.
    #[must_use]
    pub fn as_answer<'a>(&'a self, webhook_delivery: Option<&'a str>) -> Answer<'a> {
        let Self { status, retry_after, body, .. } = self;
        Answer { status: *status, retry_after: *retry_after, webhook_delivery, body }
    }
}

/// What a flow decides.
pub enum Move {
    /// This is asked next.
    Ask(Step, Request),
    /// That is what came of it.
    End(Verdict),
}

/// What a product's texts may be.
pub struct TextRules {
    /// How long a text is by the product's own measure.
    pub measure: fn(&str) -> usize,
    /// The longest text, by that measure.
    pub max: usize,
    /// Takes from words that are harmless in plain text what they mean in the product's markup.
    pub escape: fn(&str) -> String,
}

/// To whom a message goes, and when.
#[derive(Clone, Copy)]
pub struct Recipient<'a> {
    /// The configured URL.
    pub url: &'a Url,
    /// The product's secret, options and language.
    pub product: &'a ProductConfig,
    /// When it is sent.
    pub now: UnixMs,
}

/// A request. No `Debug`: where it goes may be a secret.
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub path_and_query: String,
    /// Its own headers, their names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: String,
    /// How much of its answer is read.
    pub reads: Reads,
}

/// How much of an answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// As much as is kept.
    First,
    /// A list, from which something is looked up.
    List,
}

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// It brings something.
    Post,
    /// It only looks.
    Get,
}

impl Request {
    /// Posts JSON.
    #[must_use]
    pub fn json(path_and_query: String, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
        let (method, reads) = (Method::Post, Reads::First);
        Self { method, path_and_query, headers, body: body.to_string(), reads }
    }

    /// Looks something up in a list.
    #[must_use]
    pub fn list(path_and_query: String) -> Self {
        let (method, reads) = (Method::Get, Reads::List);
        Self { method, path_and_query, headers: Vec::new(), body: String::new(), reads }
    }
}

/// A URL's path and query as they stand, with further query behind them.
#[must_use]
pub fn path_and_query(url: &Url, further: &str) -> String {
    let query = [url.query().unwrap_or_default(), further];
    let query = query.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}{mark}{query}", url.path())
}

/// The formats that the configuration may name beside the webhook.
#[must_use]
pub fn formats() -> &'static [&'static FormatFacts] {
    static FORMATS: LazyLock<Vec<&'static FormatFacts>> =
        LazyLock::new(|| all().map(|target| &target.facts).collect());
    &FORMATS
}

/// The product of a format; none of the webhook.
#[must_use]
pub fn of(format: Format) -> Option<&'static Target> {
    let facts = format.facts()?;
    all().find(|target| std::ptr::eq(&target.facts, facts)).or_else(|| own::of(facts))
}

/// The product that has this word, or that was read last from the file that has this path.
#[must_use]
pub fn named(word: &str) -> Option<&'static Target> {
    all().find(|target| target.facts.word == word).or_else(|| own::named(word))
}

impl Target {
    /// What requests are made of where they are made of templates: a preset's, or the subscriber's
    /// own.
    fn definition<'a>(&'a self, product: &'a ProductConfig) -> Option<&'a Definition> {
        self.definition.as_ref().or(product.definition.as_ref())
    }

    /// The request that brings a message.
    #[must_use]
    pub fn bring(&self, message: &Message, to: Recipient<'_>) -> Request {
        match self.definition(to.product) {
            Some(definition) => template::request(definition, message, to),
            None => (self.request)(message, to),
        }
    }

    /// What an answer means to a subscriber.
    #[must_use]
    pub fn meaning(&self, product: &ProductConfig, answer: Answer<'_>) -> Verdict {
        let verdict = match self.definition(product) {
            Some(definition) => template::judge(definition, self.facts.word, answer),
            None => (self.judge)(answer),
        };
        answer::heeding(verdict, answer)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self, language: Language) -> &'static str {
        let [zh, en] = self.name;
        language.pick(zh, en)
    }
}

/// What of an answer is judged.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// How long to wait, by its `Retry-After` header.
    pub retry_after: Option<Duration>,
    /// Its `webhook-delivery` header.
    pub webhook_delivery: Option<&'a str>,
    /// The first of its body.
    pub body: &'a [u8],
}

/// What an answer means for the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why the receiver does not have it; none where it has it.
    pub trouble: Option<Trouble>,
    /// What the receiver wants.
    pub wish: Wish,
}

/// What a receiver wants besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    None,
    /// To be told of this event no earlier than so much later.
    Wait(Duration),
    /// Never to be told of this event again.
    Abort,
    /// To be told of nothing any more.
    Disable(Disabled),
}

#[cfg(test)]
pub(crate) mod tests;

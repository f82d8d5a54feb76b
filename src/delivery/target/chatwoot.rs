//! Chatwoot's API inboxes: each customer is a contact with a conversation, in which agents work.
//!
//! A message takes several requests: its contact is made, or found by its source, which is the
//! customer's number; then its newest conversation, or a new one; then the message is brought. None
//! of them but the last does harm when it is made twice, and so nothing is kept between attempts.
//! The last has no protection against that: the product keeps no id of ours. So the text ends with
//! the last of the reply's id, and an attempt that is not the first reads the conversation before it
//! brings anything.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::Duration;
use url::Url;

use crate::config::{FormatFacts, RateLimit};
use crate::delivery::target::answer::{self, Refused};
use crate::delivery::target::text::Message;
use crate::delivery::target::{
    Answered, Bringing, Move, Reads, Recipient, Request, Target, TextRules, Verdict, plain,
    template,
};
use crate::language::Language;
use crate::store::attempt::{Step, Trouble};

const WORD: &str = "chatwoot";
const INBOXES: &str = "/public/api/v1/inboxes/";
/// What of the text is left for the end of it.
const MARK_UNITS_MAX: usize = 40;
/// How much of an id tells it from all others of one conversation.
const MARK_LETTERS: usize = 12;
/// The product gives so many of a conversation's messages at once, the newest first.
const PAGE: usize = 20;
/// How many of these are looked through: an attempt is soon followed by the next.
const PAGES_MAX: usize = 5;
/// Who tells what no customer wrote.
const OURSELVES: &str = "replyd";

pub(super) static TARGET: Target = Target {
    facts: FormatFacts {
        word: WORD,
        url,
        options: &[],
        // Installations limit requests by address; each message takes three.
        rate: Some(RateLimit { count: 60, per: Duration::from_mins(1) }),
        needs_number: true,
        read: None,
    },
    name: ["Chatwoot", "Chatwoot"],
    rules: TextRules {
        measure: plain::utf16,
        max: 10_000 - MARK_UNITS_MAX,
        escape: plain::no_markdown,
    },
    request: template::nothing,
    judge: answer::by_status,
    advice,
    definition: None,
    flow: Some(next),
};

fn url(url: &Url, _: bool) -> Result<(), &'static str> {
    let inbox = url.path().split_once(INBOXES).map(|(_, inbox)| inbox.trim_end_matches('/'));
    match inbox {
        Some(inbox) if !inbox.is_empty() && !inbox.contains('/') => Ok(()),
        _ => Err("is not …/public/api/v1/inboxes/IDENTIFIER, with the API inbox's identifier"),
    }
}

/// What is asked next, or what came of it.
fn next(of: &Bringing<'_>) -> Move {
    let Some(last) = of.answered.last() else {
        return Move::Ask(Step::Contact, contact(of.message, of.to));
    };
    if let Err(verdict) = judge(last) {
        return Move::End(verdict);
    }
    let conversation = conversation(of.answered);
    match (last.step, conversation) {
        (Step::Contact, _) => {
            Move::Ask(Step::Conversation, Request::list(conversations(of.message, of.to)))
        }
        (Step::Conversation, None) => {
            Move::Ask(Step::NewConversation, quoted(conversations(of.message, of.to), &json!({})))
        }
        (Step::Conversation, Some(id)) if of.is_again => look(of, id, None),
        (Step::Conversation | Step::NewConversation, Some(id)) => bring(of, id),
        (Step::Look, Some(id)) => looked(of, &last.body, id),
        (Step::Message, _) => Move::End(answer::delivered()),
        (_, None) => Move::End(in_step(last.step, unreadable(last))),
    }
}

/// The contact: whoever has this source is given, and else made.
fn contact(message: &Message, to: Recipient<'_>) -> Request {
    let source = source(message);
    let name = if message.is_reply() { message.word("from") } else { OURSELVES.to_owned() };
    let mut body = json!({ "source_id": source, "identifier": source, "name": name });
    if let Some(fields) = body.as_object_mut() {
        if source.starts_with('+') {
            fields.insert("phone_number".to_owned(), json!(source));
        }
        if let Some(token) = &to.product.secret {
            let hash = identifier_hash(token.expose_secret(), &source);
            fields.insert("identifier_hash".to_owned(), json!(hash));
        }
    }
    Request::json(format!("{}/contacts", inbox(to)), &body)
}

fn identifier_hash(token: &str, identifier: &str) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("any key");
    mac.update(identifier.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Who wrote: a mainland mobile as the world writes it, and any other number as it came.
fn source(message: &Message) -> String {
    if !message.is_reply() {
        return OURSELVES.to_owned();
    }
    let from = message.word("from");
    let is_mobile = from.len() == 11 && from.starts_with('1');
    if is_mobile && from.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("+86{from}");
    }
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    match from.strip_prefix('+') {
        Some(digits) if digits.len() >= 7 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            from
        }
        _ => from.chars().map(plain).collect(),
    }
}

fn inbox(to: Recipient<'_>) -> &str {
    to.url.path().trim_end_matches('/')
}

fn conversations(message: &Message, to: Recipient<'_>) -> String {
    let source = source(message);
    let source = utf8_percent_encode(&source, NON_ALPHANUMERIC);
    format!("{}/contacts/{source}/conversations", inbox(to))
}

fn messages(of: &Bringing<'_>, conversation: u64) -> String {
    format!("{}/{conversation}/messages", conversations(of.message, of.to))
}

/// The conversation that was found or begun.
fn conversation(answered: &[Answered]) -> Option<u64> {
    answered.iter().rev().find_map(|answer| match answer.step {
        Step::Conversation => objects(&answer.body).filter_map(id).max(),
        Step::NewConversation => id(&answer.body),
        _ => None,
    })
}

/// Whether the conversation has the message, as far as it was looked through.
fn looked(of: &Bringing<'_>, page: &[u8], conversation: u64) -> Move {
    let mark = mark(of.message, of.to.product.lang);
    let found: Vec<&[u8]> = objects(page).collect();
    let has_it = |message: &&&[u8]| {
        let message: Value = serde_json::from_slice(message).unwrap_or_default();
        answer::text(&message, "content").ends_with(&mark)
    };
    if found.iter().any(|message| has_it(&message)) {
        return Move::End(answer::delivered());
    }
    let pages = of.answered.iter().filter(|answer| answer.step == Step::Look).count();
    let oldest = found.iter().filter_map(|message| id(message)).min();
    match oldest {
        Some(oldest) if found.len() >= PAGE && pages < PAGES_MAX => {
            look(of, conversation, Some(oldest))
        }
        _ => bring(of, conversation),
    }
}

fn look(of: &Bringing<'_>, conversation: u64, before: Option<u64>) -> Move {
    let before = before.map(|before| format!("?before={before}")).unwrap_or_default();
    Move::Ask(Step::Look, Request::list(format!("{}{before}", messages(of, conversation))))
}

fn bring(of: &Bringing<'_>, conversation: u64) -> Move {
    let message = of.message;
    let text = format!("{}\n{}", message.text, mark(message, of.to.product.lang));
    let body = json!({ "content": text, "echo_id": message.id });
    Move::Ask(Step::Message, quoted(messages(of, conversation), &body))
}

/// Posts what is answered with all that there is of it now.
fn quoted(path: String, body: &Value) -> Request {
    Request { reads: Reads::List, ..Request::json(path, body) }
}

/// What a message ends with, by which it is known again.
fn mark(message: &Message, language: Language) -> String {
    let at = message.id.len().saturating_sub(MARK_LETTERS);
    let tail = message.id.get(at..).unwrap_or(&message.id);
    language.pick(format!("（编号 {tail}）"), format!("(no. {tail})"))
}

/// What an answer means, where it is no success.
fn judge(answer: &Answered) -> Result<(), Verdict> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let message = ["message", "error"].into_iter().map(|key| answer::text(&body, key));
    let message = message.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let code = answer.status.to_string();
    let refused = Refused { product: WORD, code: &code, message: &message };
    let verdict = match (answer.status, answer.step) {
        (200..=299, Step::Message) if id(&answer.body).is_none() => unreadable(answer),
        (200..=299, _) => return Ok(()),
        // The inbox, where it is the product that says so; what else is not there was removed a
        // moment ago.
        (404, Step::Contact) if body.is_object() => refused.gone(),
        (400 | 413 | 422, _) => refused.for_good(),
        (429, _) => refused.throttled(answer.retry_after),
        (502 | 504, Step::Message) => unreadable(answer),
        _ => refused.busy(),
    };
    Err(in_step(answer.step, verdict))
}

/// An answer that does not say whether the message was taken.
fn unreadable(answer: &Answered) -> Verdict {
    // What the product itself answers may quote the customer.
    let is_its_own = serde_json::from_slice::<Value>(&answer.body).is_ok();
    let text = if is_its_own { "".into() } else { String::from_utf8_lossy(&answer.body) };
    let code = if answer.status == 200 { String::new() } else { answer.status.to_string() };
    Refused { product: WORD, code: &code, message: &text }.unreadable()
}

fn in_step(step: Step, verdict: Verdict) -> Verdict {
    let of_step = |trouble| Trouble::Step { step, of: Box::new(trouble) };
    Verdict { trouble: verdict.trouble.map(of_step), ..verdict }
}

/// The objects of a list, each as it stands. One that was read only in part ends the list, and is
/// part of it.
fn objects(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list.trim_ascii_start().strip_prefix(b"[").unwrap_or_default();
    std::iter::from_fn(move || {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        if !rest.starts_with(b"{") {
            return None;
        }
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        let whole = matches!(values.next(), Some(Ok(_)));
        let end = if whole { values.byte_offset() } else { rest.len() };
        let (object, behind) = rest.split_at_checked(end)?;
        rest = behind;
        Some(object)
    })
}

/// The id of an object, which stands first in it, also where its end was not read.
fn id(object: &[u8]) -> Option<u64> {
    if let Ok(value) = serde_json::from_slice::<Value>(object) {
        return value.get("id")?.as_u64();
    }
    let behind = object.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
    let behind = behind.strip_prefix(b"\"id\"")?.trim_ascii_start().strip_prefix(b":")?;
    let digits = behind.trim_ascii_start();
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

fn advice(code: &str) -> Option<[&'static str; 2]> {
    Some(match code {
        "404" => [
            "没有这个收件箱；请重新复制 API 收件箱的标识到 url，再 `replyd subscribers enable`",
            "there is no such inbox: copy the API inbox's identifier into url anew, then `replyd subscribers enable`",
        ],
        "401" | "403" | "500" => [
            "请检查 secret 是否为该收件箱的 HMAC 令牌，以及 Chatwoot 的日志",
            "see whether secret is this inbox's HMAC token, and what Chatwoot's log says",
        ],
        "400" | "413" | "422" => ["平台不接受这条内容", "the product does not take what is in it"],
        "429" => [
            "请求过多；请调小 rate_limit，或放宽 Chatwoot 的限制",
            "too many requests: lower rate_limit, or raise Chatwoot's own limit",
        ],
        "502" | "504" => [
            "不清楚是否已收到；下次会先查看会话",
            "whether it has it is unclear: the conversation is read before the next attempt",
        ],
        _ => return None,
    })
}

#[cfg(test)]
mod tests;

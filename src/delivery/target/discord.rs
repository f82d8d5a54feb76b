//! Discord's webhooks.
//!
//! The URL is all that is asked for. With `wait=true` the answer says whether the message was kept.
//! Texts are Markdown and of at most 2,000 characters; mentions are switched off.

use std::time::Duration;

use serde_json::json;
use url::Url;

use crate::config::{FormatFacts, RateLimit};
use crate::delivery::target::answer::{self, Refused};
use crate::delivery::target::text::Message;
use crate::delivery::target::{
    Answer, Recipient, Request, Target, TextRules, Verdict, path_and_query, plain,
};

const WORD: &str = "discord";
/// No previews of links.
const SUPPRESS_EMBEDS: u32 = 1 << 2;

pub(super) static TARGET: Target = Target {
    facts: FormatFacts {
        word: WORD,
        url,
        options: &[],
        rate: Some(RateLimit { count: 30, per: Duration::from_mins(1) }),
        needs_number: false,
        read: None,
    },
    name: ["Discord", "Discord"],
    rules: TextRules { measure: plain::utf16, max: 2_000, escape: plain::no_markdown },
    request,
    judge,
    advice,
    definition: None,
    flow: None,
};

fn url(url: &Url, _: bool) -> Result<(), &'static str> {
    let has_token = url.path().split_once("/webhooks/").is_some_and(|(_, rest)| rest.contains('/'));
    if has_token { Ok(()) } else { Err("has no …/webhooks/ID/TOKEN: copy the whole webhook URL") }
}

fn request(message: &Message, to: Recipient<'_>) -> Request {
    let has_wait = to.url.query_pairs().any(|(key, _)| key == "wait");
    let further = if has_wait { "" } else { "wait=true" };
    let body = json!({
        "content": message.text,
        "allowed_mentions": { "parse": [] },
        "flags": SUPPRESS_EMBEDS,
    });
    Request::json(path_and_query(to.url, further), &body)
}

fn judge(answer: Answer<'_>) -> Verdict {
    if answer.status == 204 {
        return answer::delivered();
    }
    let Some(body) = answer::object(answer) else {
        return match answer.status {
            404 => Refused { product: WORD, code: "", message: "" }.gone(),
            429 => Refused { product: WORD, code: "", message: "" }.throttled(answer.retry_after),
            _ => answer::unreadable(WORD, answer),
        };
    };
    let (code, message) = (answer::text(&body, "code"), answer::text(&body, "message"));
    let refused = Refused { product: WORD, code: &code, message: &message };
    match answer.status {
        200 if body.get("id").is_some() => answer::delivered(),
        200..=299 => answer::unreadable(WORD, answer),
        429 => {
            let asked = answer::seconds(body.get("retry_after"));
            refused.throttled(asked.max(answer.retry_after))
        }
        404 | 410 => refused.gone(),
        401 | 403 if matches!(code.as_str(), "50027" | "10015") => refused.gone(),
        400 | 413 => refused.for_good(),
        _ => answer::by_status(answer),
    }
}

fn advice(code: &str) -> Option<[&'static str; 2]> {
    Some(match code {
        "10015" | "50027" | "10003" => [
            "这个 webhook 已被删除；请在频道设置里新建，更新 url，再 `replyd subscribers enable`",
            "this webhook was removed: make a new one in the channel's settings, put its URL into url, then `replyd subscribers enable`",
        ],
        "50035" | "50006" => {
            ["平台不接受这条消息的格式", "the product does not take the message's form"]
        }
        "220001" | "220003" => {
            ["论坛频道需要在 url 里加 thread_id", "a forum channel wants thread_id in the URL"]
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::target::tests::{Expected, judged, recipient, sent};

    #[test]
    fn nobody_is_mentioned() {
        let url = "https://discord.com/api/webhooks/1/t0ken";
        let request = sent(&TARGET, "a", &recipient(url, None, &[], 0));
        assert_eq!(request.path_and_query, "/api/webhooks/1/t0ken?wait=true");
        assert_eq!(request.body, r#"{"allowed_mentions":{"parse":[]},"content":"a","flags":4}"#);
        let url = format!("{url}?thread_id=2&wait=true");
        let request = sent(&TARGET, "a", &recipient(&url, None, &[], 0));
        assert_eq!(request.path_and_query, "/api/webhooks/1/t0ken?thread_id=2&wait=true");
    }

    #[test]
    fn answers_mean_what_the_product_says() {
        let ms = |ms| Some(Duration::from_millis(ms));
        for (status, body, expected) in [
            (200, r#"{"id":"1","type":0,"content":"a"}"#, Expected::Delivered),
            (204, "", Expected::Delivered),
            (200, "<html>", Expected::Unreadable),
            (200, "{}", Expected::Unreadable),
            (
                429,
                r#"{"message":"You are being rate limited.","retry_after":9.25,"global":false}"#,
                Expected::Throttled("", ms(9_250)),
            ),
            (
                429,
                r#"{"message":"You are being rate limited.","retry_after":0.25,"global":false}"#,
                Expected::Throttled("", ms(7_000)),
            ),
            (404, r#"{"message":"Unknown Webhook","code":10015}"#, Expected::Gone("10015")),
            (401, r#"{"message":"Invalid Webhook Token","code":50027}"#, Expected::Gone("50027")),
            (400, r#"{"message":"Invalid Form Body","code":50035}"#, Expected::Refused("50035")),
            (500, "", Expected::Status(500)),
        ] {
            judged(&TARGET, status, body, expected);
        }
    }
}

//! Slack's incoming webhooks.
//!
//! The URL is all that is asked for. The answer is `ok` or a word for what is wrong, as plain text.
//! One message a second.

use std::time::Duration;

use serde_json::json;
use url::Url;

use crate::config::{FormatFacts, RateLimit};
use crate::delivery::target::answer::{self, Refused};
use crate::delivery::target::text::Message;
use crate::delivery::target::{
    Answer, Recipient, Request, Target, TextRules, Verdict, path_and_query, plain,
};

const WORD: &str = "slack";

pub(super) static TARGET: Target = Target {
    facts: FormatFacts {
        word: WORD,
        url,
        options: &[],
        rate: Some(RateLimit { count: 1, per: Duration::from_secs(1) }),
        needs_number: false,
        read: None,
    },
    name: ["Slack", "Slack"],
    // Longer ones are shown in pieces.
    rules: TextRules { measure: plain::utf16, max: 4_000, escape },
    request,
    judge,
    advice,
    definition: None,
    flow: None,
};

fn url(url: &Url, _: bool) -> Result<(), &'static str> {
    if url.path().len() > 1 { Ok(()) } else { Err("has no path: copy the whole webhook URL") }
}

/// The three signs of its markup that have a meaning even where it is switched off.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn request(message: &Message, to: Recipient<'_>) -> Request {
    let body = json!({
        "text": message.text,
        "mrkdwn": false,
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
    });
    Request::json(path_and_query(to.url, ""), &body)
}

fn judge(answer: Answer<'_>) -> Verdict {
    let text = String::from_utf8_lossy(answer.body);
    let code = text.trim();
    let is_word = code.len() <= 40
        && !code.is_empty()
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let code = if is_word { code } else { "" };
    let refused = Refused { product: WORD, code, message: text.trim() };
    match answer.status {
        200 if code == "ok" => answer::delivered(),
        200..=299 => answer::unreadable(WORD, answer),
        429 => refused.throttled(answer.retry_after),
        404 | 410 => refused.gone(),
        403 if matches!(code, "invalid_token" | "action_prohibited") => refused.gone(),
        400 | 413 => refused.for_good(),
        _ => answer::by_status(answer),
    }
}

fn advice(code: &str) -> Option<[&'static str; 2]> {
    Some(match code {
        "no_service" | "no_service_id" | "no_team" | "no_active_hooks" | "invalid_token" => [
            "这个 webhook 已被删除或停用；请新建一个，更新 url，再 `replyd subscribers enable`",
            "this webhook was removed or switched off: make a new one, put its URL into url, then `replyd subscribers enable`",
        ],
        "channel_not_found" | "channel_is_archived" => [
            "频道已不存在或已归档；请换一个频道新建 webhook，更新 url，再 `replyd subscribers enable`",
            "its channel is gone or archived: make a webhook for another, put its URL into url, then `replyd subscribers enable`",
        ],
        "action_prohibited" => {
            ["工作区管理员禁止了它", "an administrator of the workspace forbids it"]
        }
        "invalid_payload" | "no_text" => {
            ["平台不接受这条消息的格式", "the product does not take the message's form"]
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::target::tests::{Expected, judged, recipient, sent};

    #[test]
    fn nothing_of_the_text_is_markup() {
        let url = "https://hooks.slack.com/services/T0/B0/XX";
        let request = sent(&TARGET, "a", &recipient(url, None, &[], 0));
        assert_eq!(request.path_and_query, "/services/T0/B0/XX");
        assert_eq!(
            request.body,
            r#"{"link_names":false,"mrkdwn":false,"text":"a","unfurl_links":false,"unfurl_media":false}"#
        );
        assert_eq!(escape("a & b <!here>"), "a &amp; b &lt;!here&gt;");
    }

    #[test]
    fn answers_mean_what_the_product_says() {
        for (status, body, expected) in [
            (200, "ok", Expected::Delivered),
            (200, "", Expected::Unreadable),
            (200, "<html>sign in</html>", Expected::Unreadable),
            (429, "", Expected::Throttled("", Some(Duration::from_secs(7)))),
            (404, "no_service", Expected::Gone("no_service")),
            (410, "channel_is_archived", Expected::Gone("channel_is_archived")),
            (400, "invalid_payload", Expected::Refused("invalid_payload")),
            (403, "action_prohibited", Expected::Gone("action_prohibited")),
            (500, "rollup_error", Expected::Status(500)),
        ] {
            judged(&TARGET, status, body, expected);
        }
    }
}

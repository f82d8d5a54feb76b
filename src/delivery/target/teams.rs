//! Microsoft Teams, by a Workflows URL.
//!
//! The message is an Adaptive Card; its text is a kind of Markdown. 28 KB for the whole request,
//! four requests a second. A workflow answers 202 before it posts; the connectors that came before
//! it answer 200 and tell of failures in the text.

use std::time::Duration;

use serde_json::json;
use url::Url;

use crate::config::{FormatFacts, RateLimit};
use crate::delivery::target::answer::{self, Refused};
use crate::delivery::target::text::Message;
use crate::delivery::target::{
    Answer, Recipient, Request, Target, TextRules, Verdict, path_and_query, plain,
};

const WORD: &str = "teams";

pub(super) static TARGET: Target = Target {
    facts: FormatFacts {
        word: WORD,
        url,
        options: &[],
        rate: Some(RateLimit { count: 4, per: Duration::from_secs(1) }),
        needs_number: false,
        read: None,
    },
    name: ["Teams", "Teams"],
    rules: TextRules { measure: plain::json_bytes, max: 24_000, escape: plain::no_markdown },
    request,
    judge,
    advice,
    definition: None,
    flow: None,
};

fn url(url: &Url, _: bool) -> Result<(), &'static str> {
    if url.path().len() > 1 { Ok(()) } else { Err("has no path: copy the whole workflow URL") }
}

/// Each line is a block of its own: within one, a line's end is only a blank.
fn request(message: &Message, to: Recipient<'_>) -> Request {
    let block =
        |line: &str| json!({ "type": "TextBlock", "text": line, "wrap": true, "spacing": "None" });
    let blocks: Vec<_> = message.text.lines().map(block).collect();
    let body = json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": blocks,
            },
        }],
    });
    Request::json(path_and_query(to.url, ""), &body)
}

fn judge(answer: Answer<'_>) -> Verdict {
    let text = String::from_utf8_lossy(answer.body);
    let body = answer::object(answer);
    let error = body.as_ref().and_then(|body| body.get("error"));
    let code = error.map(|error| answer::text(error, "code")).unwrap_or_default();
    let message = error.map(|error| answer::text(error, "message")).unwrap_or_default();
    let message = if message.is_empty() { text.trim() } else { &message };
    let refused = Refused { product: WORD, code: &code, message };
    match answer.status {
        200 | 202 if text.contains("HTTP error 429") => refused.throttled(answer.retry_after),
        200 | 202 if text.contains("delivery failed") => refused.busy(),
        202 => answer::delivered(),
        200 if is_taken(&text, error.is_some()) => answer::delivered(),
        200..=299 => answer::unreadable(WORD, answer),
        429 => refused.throttled(answer.retry_after),
        404 | 410 => refused.gone(),
        400 | 413 => refused.for_good(),
        _ => answer::by_status(answer),
    }
}

/// A workflow that answers itself says what its author wants; a page is nobody's answer.
fn is_taken(text: &str, has_error: bool) -> bool {
    !has_error && !text.trim_start().starts_with('<')
}

fn advice(code: &str) -> Option<[&'static str; 2]> {
    Some(match code {
        "WorkflowNotFound" | "WorkflowTriggerIsNotEnabled" => [
            "工作流已被删除或停用；请新建，更新 url，再 `replyd subscribers enable`",
            "the workflow was removed or switched off: make a new one, put its URL into url, then `replyd subscribers enable`",
        ],
        "DirectApiAuthorizationRequired" | "AuthorizationFailed" => [
            "工作流要求登录；请把触发器设为“任何人”，并复制带 sig 的完整地址",
            "the workflow wants a login: let its trigger take anyone, and copy the whole URL with sig",
        ],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::target::tests::{Expected, judged, recipient, sent};

    #[test]
    fn each_line_is_a_block_of_a_card() {
        let url = "https://example.logic.azure.com/workflows/1/triggers/manual/paths/invoke?sig=x";
        let request = sent(&TARGET, "a\nb", &recipient(url, None, &[], 0));
        assert_eq!(request.path_and_query, "/workflows/1/triggers/manual/paths/invoke?sig=x");
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        let card = &body["attachments"][0];
        assert_eq!(body["type"], "message");
        assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
        assert_eq!(card["content"]["type"], "AdaptiveCard");
        assert_eq!(card["content"]["body"][1]["text"], "b");
        assert_eq!(card["content"]["body"][1]["wrap"], true);
    }

    #[test]
    fn answers_mean_what_the_product_says() {
        let seven = Some(Duration::from_secs(7));
        for (status, body, expected) in [
            (202, "", Expected::Delivered),
            (200, "1", Expected::Delivered),
            (200, "", Expected::Delivered),
            (200, "<html>sign in</html>", Expected::Unreadable),
            (
                200,
                "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId",
                Expected::Throttled("", seven),
            ),
            (
                200,
                "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 500",
                Expected::Busy(""),
            ),
            (429, "", Expected::Throttled("", seven)),
            (
                404,
                r#"{"error":{"code":"WorkflowNotFound","message":"gone"}}"#,
                Expected::Gone("WorkflowNotFound"),
            ),
            (
                400,
                r#"{"error":{"code":"TriggerInputSchemaMismatch","message":"no"}}"#,
                Expected::Refused("TriggerInputSchemaMismatch"),
            ),
            (
                401,
                r#"{"error":{"code":"DirectApiAuthorizationRequired","message":"no"}}"#,
                Expected::Status(401),
            ),
            (503, "", Expected::Status(503)),
        ] {
            judged(&TARGET, status, body, expected);
        }
    }
}

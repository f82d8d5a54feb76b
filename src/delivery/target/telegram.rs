//! Telegram's bots.
//!
//! The token stands in the path: in the URL, or as the subscriber's secret behind the URL of the
//! API. Plain text, no Markdown, of at most 4,096 characters; twenty messages a minute to a group.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use url::Url;

use crate::config::{FormatFacts, OptionFacts, RateLimit};
use crate::delivery::target::answer::{self, Refused};
use crate::delivery::target::text::Message;
use crate::delivery::target::{
    Answer, Recipient, Request, Target, TextRules, Verdict, path_and_query, plain,
};

const WORD: &str = "telegram";
const METHOD: &str = "/sendMessage";
const CHAT: &str = "chat_id";
const THREAD: &str = "message_thread_id";

pub(super) static TARGET: Target = Target {
    facts: FormatFacts {
        word: WORD,
        url,
        options: &[
            OptionFacts { name: CHAT, is_required: true },
            OptionFacts { name: THREAD, is_required: false },
        ],
        rate: Some(RateLimit { count: 20, per: Duration::from_mins(1) }),
        needs_number: false,
        read: None,
    },
    name: ["Telegram", "Telegram"],
    rules: TextRules { measure: plain::utf16, max: 4_096, escape: plain::as_it_is },
    request,
    judge,
    advice,
    definition: None,
    flow: None,
};

fn url(url: &Url, has_secret: bool) -> Result<(), &'static str> {
    if has_secret || url.path().ends_with(METHOD) {
        Ok(())
    } else {
        Err("is not …/botTOKEN/sendMessage: give that, or the token as secret")
    }
}

fn request(message: &Message, to: Recipient<'_>) -> Request {
    let option = |name: &str| to.product.options.get(name).map(|value| value.expose_secret());
    let mut body = Map::new();
    body.insert(CHAT.to_owned(), json!(option(CHAT).unwrap_or_default()));
    let thread = option(THREAD).and_then(|thread| thread.parse::<i64>().ok());
    body.extend(thread.map(|thread| (THREAD.to_owned(), json!(thread))));
    body.insert("text".to_owned(), json!(message.text));
    body.insert("link_preview_options".to_owned(), json!({ "is_disabled": true }));
    Request::json(target(to), &Value::Object(body))
}

fn target(to: Recipient<'_>) -> String {
    match &to.product.secret {
        Some(token) if !to.url.path().ends_with(METHOD) => {
            let base = to.url.path().trim_end_matches('/');
            format!("{base}/bot{}{METHOD}", token.expose_secret())
        }
        _ => path_and_query(to.url, ""),
    }
}

fn judge(answer: Answer<'_>) -> Verdict {
    let Some(body) = answer::object(answer) else { return answer::unreadable(WORD, answer) };
    let is_ok = body.get("ok").and_then(Value::as_bool);
    let (code, message) = (answer::text(&body, "error_code"), answer::text(&body, "description"));
    let parameters = body.get("parameters");
    let refused = Refused { product: WORD, code: &code, message: &message };
    match (is_ok, code.as_str()) {
        (Some(true), _) if (200..300).contains(&answer.status) => answer::delivered(),
        (Some(true) | None, _) => answer::unreadable(WORD, answer),
        (_, "429") => {
            let asked = parameters.and_then(|parameters| parameters.get("retry_after"));
            refused.throttled(answer::seconds(asked).or(answer.retry_after))
        }
        // The token is none, or was revoked.
        (_, "401" | "403" | "404") => refused.gone(),
        (_, "400") if is_chat_gone(&message, parameters) => refused.gone(),
        (_, "400" | "413") => refused.for_good(),
        _ => refused.busy(),
    }
}

fn is_chat_gone(message: &str, parameters: Option<&Value>) -> bool {
    let message = message.to_ascii_lowercase();
    let is_said = ["chat not found", "chat was deleted", "peer_id_invalid", "chat_id is empty"]
        .into_iter()
        .any(|words| message.contains(words));
    let has_moved = parameters.is_some_and(|it| it.get("migrate_to_chat_id").is_some());
    is_said || has_moved
}

fn advice(code: &str) -> Option<[&'static str; 2]> {
    Some(match code {
        "400" => [
            "请检查 options.chat_id：机器人须在该群里；群升级为超级群后编号会变",
            "check options.chat_id: the bot must be in that chat, and a group that becomes a supergroup has a new id",
        ],
        "401" | "404" => [
            "token 不对或已作废；请向 BotFather 取新的，再 `replyd subscribers enable`",
            "the token is wrong or revoked: get a new one from BotFather, then `replyd subscribers enable`",
        ],
        "403" => [
            "机器人被移出群或被屏蔽；请重新加入，再 `replyd subscribers enable`",
            "the bot was removed or blocked: add it again, then `replyd subscribers enable`",
        ],
        "429" => ["发送过快，将按要求等待", "sent too fast; it waits as long as it was asked to"],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::target::tests::{Expected, judged, recipient, sent};

    #[test]
    fn the_token_is_in_the_path() {
        let options = [("chat_id", "-100"), ("message_thread_id", "7")];
        let whole = "https://api.telegram.org/bot1:A/sendMessage";
        let request = sent(&TARGET, "a", &recipient(whole, None, &options, 0));
        assert_eq!(request.path_and_query, "/bot1:A/sendMessage");
        assert_eq!(
            request.body,
            r#"{"chat_id":"-100","link_preview_options":{"is_disabled":true},"message_thread_id":7,"text":"a"}"#
        );
        for base in ["https://api.telegram.org", "https://api.telegram.org/"] {
            let request = sent(&TARGET, "a", &recipient(base, Some("1:A"), &options, 0));
            assert_eq!(request.path_and_query, "/bot1:A/sendMessage");
        }
    }

    #[test]
    fn answers_mean_what_the_product_says() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (status, body, expected) in [
            (200, r#"{"ok":true,"result":{"message_id":1}}"#, Expected::Delivered),
            (
                429,
                r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}"#,
                Expected::Throttled("429", seconds(35)),
            ),
            (
                400,
                r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
                Expected::Gone("400"),
            ),
            (
                400,
                r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001}}"#,
                Expected::Gone("400"),
            ),
            (
                400,
                r#"{"ok":false,"error_code":400,"description":"Bad Request: message is too long"}"#,
                Expected::Refused("400"),
            ),
            (
                403,
                r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked from the group chat"}"#,
                Expected::Gone("403"),
            ),
            (
                401,
                r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#,
                Expected::Gone("401"),
            ),
            (
                500,
                r#"{"ok":false,"error_code":500,"description":"Internal"}"#,
                Expected::Busy("500"),
            ),
            (200, "<html>", Expected::Unreadable),
            (200, r#"{"result":1}"#, Expected::Unreadable),
            (502, "", Expected::Status(502)),
        ] {
            judged(&TARGET, status, body, expected);
        }
    }
}

//! Feishu's and Lark's custom bots.
//!
//! The signature is in the body, over the time in seconds: secret and time are the key, and what
//! is signed is empty. A hundred messages a minute and five a second; full and half hours are
//! crowded.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde_json::json;
use sha2::Sha256;
use url::Url;

use crate::config::{FormatFacts, RateLimit};
use crate::delivery::target::answer;
use crate::delivery::target::text::Message;
use crate::delivery::target::{
    Answer, Recipient, Request, Target, TextRules, Verdict, path_and_query, plain,
};

const WORD: &str = "feishu";

pub(super) static TARGET: Target = Target {
    facts: FormatFacts {
        word: WORD,
        url,
        options: &[],
        rate: Some(RateLimit { count: 100, per: Duration::from_mins(1) }),
        needs_number: false,
        read: None,
    },
    name: ["飞书", "Feishu"],
    // 20 KB are the whole request's.
    rules: TextRules { measure: plain::json_bytes, max: 19_000, escape: plain::as_it_is },
    request,
    judge,
    advice,
    definition: None,
    flow: None,
};

fn url(url: &Url, _: bool) -> Result<(), &'static str> {
    let is_hook = url.path().split_once("/hook/").is_some_and(|(_, id)| !id.is_empty());
    if is_hook { Ok(()) } else { Err("has no …/hook/ID: copy the bot's whole webhook URL") }
}

fn request(message: &Message, to: Recipient<'_>) -> Request {
    let mut body = json!({ "msg_type": "text", "content": { "text": message.text } });
    if let (Some(secret), Some(fields)) = (&to.product.secret, body.as_object_mut()) {
        let seconds = to.now.seconds();
        let sign = signature(seconds, secret.expose_secret());
        fields.insert("timestamp".to_owned(), json!(seconds.to_string()));
        fields.insert("sign".to_owned(), json!(sign));
    }
    Request::json(path_and_query(to.url, ""), &body)
}

fn signature(seconds: i64, secret: &str) -> String {
    let key = format!("{seconds}\n{secret}");
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any key");
    STANDARD.encode(mac.finalize().into_bytes())
}

fn judge(answer: Answer<'_>) -> Verdict {
    answer::coded(WORD, answer, &["code", "StatusCode"], "msg", |refused| match refused.code {
        // Jitter is added to the wait where none is asked for.
        "11232" => refused.throttled(answer.retry_after),
        "19021" | "19022" | "19024" | "9499" | "19002" | "11246" => refused.for_good(),
        "19001" => refused.gone(),
        _ if answer.status == 429 => refused.throttled(answer.retry_after),
        _ => refused.busy(),
    })
}

fn advice(code: &str) -> Option<[&'static str; 2]> {
    Some(match code {
        "11232" => ["发送过快，将稍后重试", "sent too fast; it is tried again later"],
        "19021" => [
            "请检查机器人的签名校验（secret）和本机时间；再用 `replyd deliveries retry` 重发",
            "check the bot's signature secret, and this machine's clock; then `replyd deliveries retry`",
        ],
        "19022" => [
            "请把本机的出口 IP 加入机器人的 IP 白名单",
            "put this machine's address into the bot's IP list",
        ],
        "19024" => {
            ["请检查机器人的关键词（可填“短信”）", "check the bot's keyword (短信 or SMS fits)"]
        }
        "9499" | "19002" | "11246" => {
            ["平台不接受这条消息的格式", "the product does not take the message's form"]
        }
        "19001" => [
            "机器人已不存在；请重新添加，更新 url，再 `replyd subscribers enable`",
            "the bot is gone: add one anew, put its URL into url, then `replyd subscribers enable`",
        ],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::target::tests::{Expected, judged, recipient, sent};

    #[test]
    fn a_known_signature_is_made() {
        assert_eq!(
            signature(1_599_360_473, "demo"),
            "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="
        );
    }

    #[test]
    fn the_signature_is_in_the_body() {
        let url = "https://open.feishu.cn/open-apis/bot/v2/hook/1234";
        let request = sent(&TARGET, "收到", &recipient(url, Some("demo"), &[], 1_599_360_473_999));
        assert_eq!(request.path_and_query, "/open-apis/bot/v2/hook/1234");
        assert_eq!(
            request.body,
            r#"{"content":{"text":"收到"},"msg_type":"text","sign":"l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=","timestamp":"1599360473"}"#
        );
        let plain = sent(&TARGET, "收到", &recipient(url, None, &[], 0));
        assert_eq!(plain.body, r#"{"content":{"text":"收到"},"msg_type":"text"}"#);
    }

    #[test]
    fn answers_mean_what_the_product_says() {
        for (status, body, expected) in [
            (200, r#"{"code":0,"msg":"success","data":{}}"#, Expected::Delivered),
            (
                200,
                r#"{"Extra":null,"StatusCode":0,"StatusMessage":"success"}"#,
                Expected::Delivered,
            ),
            (
                200,
                r#"{"code":11232,"msg":"frequency limited psm[lark.oapi.app_platform_runtime]"}"#,
                Expected::Throttled("11232", None),
            ),
            (
                200,
                r#"{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}"#,
                Expected::Refused("19021"),
            ),
            (200, r#"{"code":19022,"msg":"Ip Not Allowed"}"#, Expected::Refused("19022")),
            (200, r#"{"code":19024,"msg":"Key Words Not Found"}"#, Expected::Refused("19024")),
            (400, r#"{"code":9499,"msg":"Bad Request","data":{}}"#, Expected::Refused("9499")),
            (
                200,
                r#"{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}"#,
                Expected::Gone("19001"),
            ),
            (200, r#"{"code":19999,"msg":"new"}"#, Expected::Busy("19999")),
            (200, "ok", Expected::Unreadable),
            (504, "", Expected::Status(504)),
        ] {
            judged(&TARGET, status, body, expected);
        }
    }
}

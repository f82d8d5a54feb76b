//! DingTalk's custom robots.
//!
//! The signature is in the URL, over the time in milliseconds, and holds for an hour. A robot may
//! want a keyword in the text instead, or an address of a list. Twenty messages a minute; whoever
//! sends more is blocked for ten.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
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

const WORD: &str = "dingtalk";
/// How long a robot that sent too much is blocked.
const BLOCKED: Duration = Duration::from_mins(10);

pub(super) static TARGET: Target = Target {
    facts: FormatFacts {
        word: WORD,
        url,
        options: &[],
        rate: Some(RateLimit { count: 20, per: Duration::from_mins(1) }),
        needs_number: false,
        read: None,
    },
    name: ["钉钉", "DingTalk"],
    // 20,000 bytes are the whole request's.
    rules: TextRules { measure: plain::json_bytes, max: 19_000, escape: plain::as_it_is },
    request,
    judge,
    advice,
    definition: None,
    flow: None,
};

fn url(url: &Url, _: bool) -> Result<(), &'static str> {
    let has_token =
        url.query_pairs().any(|(key, value)| key == "access_token" && !value.is_empty());
    if has_token { Ok(()) } else { Err("has no access_token: copy the robot's whole Webhook URL") }
}

fn request(message: &Message, to: Recipient<'_>) -> Request {
    let signed = to.product.secret.as_ref().map(|secret| {
        let signature = signature(to.now.0, secret.expose_secret());
        let signature = utf8_percent_encode(&signature, NON_ALPHANUMERIC);
        format!("timestamp={}&sign={signature}", to.now.0)
    });
    let target = path_and_query(to.url, &signed.unwrap_or_default());
    Request::json(target, &json!({ "msgtype": "text", "text": { "content": message.text } }))
}

fn signature(now_ms: i64, secret: &str) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
    mac.update(format!("{now_ms}\n{secret}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn judge(answer: Answer<'_>) -> Verdict {
    answer::coded(WORD, answer, &["errcode"], "errmsg", |refused| match refused.code {
        "130101" | "410100" => refused.throttled(Some(BLOCKED)),
        "310000" | "460101" | "101002" | "400105" | "40035" | "430101" | "430102" | "430103"
        | "430104" => refused.for_good(),
        // The token is none, the robot is off or gone, the group is.
        "300001" | "400101" | "400102" | "400106" | "400013" => refused.gone(),
        _ => refused.busy(),
    })
}

fn advice(code: &str) -> Option<[&'static str; 2]> {
    Some(match code {
        "130101" | "410100" => [
            "发送过快，机器人被封 10 分钟；请检查是否有别的程序也在用它",
            "sent too fast: the robot is blocked for ten minutes; see whether another program uses it too",
        ],
        "310000" => [
            "请检查机器人安全设置里的关键词（可填“短信”）、加签（secret）或 IP 地址段；再用 `replyd deliveries retry` 重发",
            "check keyword (短信 or SMS fits), signature (secret) and IP list in the robot's settings; then `replyd deliveries retry`",
        ],
        "460101" | "101002" => ["消息太长", "the message is too long"],
        "430101" | "430102" | "430103" | "430104" => {
            ["平台认为内容不合适", "the product finds the content unfit"]
        }
        "-1" => ["平台繁忙", "the product is busy"],
        "300001" | "400101" | "400102" | "400106" | "400013" => [
            "机器人或群已不存在；请在群里重新添加机器人，更新 url，再 `replyd subscribers enable`",
            "the robot or its group is gone: add a robot anew, put its URL into url, then `replyd subscribers enable`",
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
        let signature = signature(1_599_360_473_000, "SEC000000000000000000000");
        assert_eq!(signature, "kjOV9n/gRl1AeeXnxqNB9wcQisVPOw+8ce62niAcJZ4=");
    }

    #[test]
    fn the_signature_is_in_the_url() {
        let url = "https://oapi.dingtalk.com/robot/send?access_token=abc";
        let signed = recipient(url, Some("SEC000000000000000000000"), &[], 1_599_360_473_000);
        let request = sent(&TARGET, "收到", &signed);
        assert_eq!(
            request.path_and_query,
            "/robot/send?access_token=abc&timestamp=1599360473000\
             &sign=kjOV9n%2FgRl1AeeXnxqNB9wcQisVPOw%2B8ce62niAcJZ4%3D"
        );
        assert_eq!(request.body, r#"{"msgtype":"text","text":{"content":"收到"}}"#);
        let plain = sent(&TARGET, "收到", &recipient(url, None, &[], 0));
        assert_eq!(plain.path_and_query, "/robot/send?access_token=abc");
    }

    #[test]
    fn answers_mean_what_the_product_says() {
        let ten = Some(Duration::from_mins(10));
        for (status, body, expected) in [
            (200, r#"{"errcode":0,"errmsg":"ok"}"#, Expected::Delivered),
            (
                200,
                r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#,
                Expected::Throttled("130101", ten),
            ),
            (
                200,
                r#"{"errcode":310000,"errmsg":"keywords not in content, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]"}"#,
                Expected::Refused("310000"),
            ),
            (200, r#"{"errcode":460101,"errmsg":"message too long"}"#, Expected::Refused("460101")),
            (200, r#"{"errcode":-1,"errmsg":"系统繁忙"}"#, Expected::Busy("-1")),
            (200, r#"{"errcode":300001,"errmsg":"token is not exist"}"#, Expected::Gone("300001")),
            (200, r#"{"errcode":999999,"errmsg":"new"}"#, Expected::Busy("999999")),
            (200, "<html>login</html>", Expected::Unreadable),
            (200, r#"{"ok":true}"#, Expected::Unreadable),
            (200, "", Expected::Unreadable),
            (200, "[0]", Expected::Unreadable),
            (500, r#"{"errcode":0}"#, Expected::Status(500)),
            (502, "<html>", Expected::Status(502)),
        ] {
            judged(&TARGET, status, body, expected);
        }
    }
}

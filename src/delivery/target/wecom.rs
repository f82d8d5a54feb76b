//! WeCom's group robots.
//!
//! The key in the URL is all that is asked for. Twenty messages a minute, each of at most 2,048
//! bytes.

use std::time::Duration;

use serde_json::json;
use url::Url;

use crate::config::{FormatFacts, RateLimit};
use crate::delivery::target::answer;
use crate::delivery::target::text::Message;
use crate::delivery::target::{
    Answer, Recipient, Request, Target, TextRules, Verdict, path_and_query, plain,
};

const WORD: &str = "wecom";
/// The limit is by the minute; a little more, because clocks differ.
const PAUSE: Duration = Duration::from_secs(65);

pub(super) static TARGET: Target = Target {
    facts: FormatFacts {
        word: WORD,
        url,
        options: &[],
        rate: Some(RateLimit { count: 20, per: Duration::from_mins(1) }),
        needs_number: false,
        read: None,
    },
    name: ["企业微信", "WeCom"],
    rules: TextRules { measure: plain::bytes, max: 2_048, escape: plain::as_it_is },
    request,
    judge,
    advice,
    definition: None,
    flow: None,
};

fn url(url: &Url, _: bool) -> Result<(), &'static str> {
    let has_key = url.query_pairs().any(|(key, value)| key == "key" && !value.is_empty());
    if has_key { Ok(()) } else { Err("has no key: copy the robot's whole Webhook URL") }
}

fn request(message: &Message, to: Recipient<'_>) -> Request {
    let body = json!({ "msgtype": "text", "text": { "content": message.text } });
    Request::json(path_and_query(to.url, ""), &body)
}

fn judge(answer: Answer<'_>) -> Verdict {
    answer::coded(WORD, answer, &["errcode"], "errmsg", |refused| match refused.code {
        "45009" | "45033" => refused.throttled(Some(PAUSE)),
        "40008" | "40058" | "44004" | "45002" => refused.for_good(),
        "93000" => refused.gone(),
        _ => refused.busy(),
    })
}

fn advice(code: &str) -> Option<[&'static str; 2]> {
    Some(match code {
        "45009" | "45033" => [
            "发送过快，等待约一分钟；请检查是否有别的程序也在用这个机器人",
            "sent too fast: it waits for about a minute; see whether another program uses the robot too",
        ],
        "45002" => ["消息太长", "the message is too long"],
        "40008" | "40058" | "44004" => {
            ["平台不接受这条消息的格式", "the product does not take the message's form"]
        }
        "93000" => [
            "机器人已不存在或 key 不对；请重新复制 Webhook 地址到 url，再 `replyd subscribers enable`",
            "the robot is gone or its key is wrong: copy its Webhook URL into url anew, then `replyd subscribers enable`",
        ],
        "-1" => ["平台繁忙", "the product is busy"],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::target::tests::{Expected, judged, recipient, sent};

    #[test]
    fn the_key_stays_in_the_url() {
        let url = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1-2";
        let request = sent(&TARGET, "收到", &recipient(url, None, &[], 0));
        assert_eq!(request.path_and_query, "/cgi-bin/webhook/send?key=1-2");
        assert_eq!(request.body, r#"{"msgtype":"text","text":{"content":"收到"}}"#);
    }

    #[test]
    fn answers_mean_what_the_product_says() {
        for (status, body, expected) in [
            (200, r#"{"errcode":0,"errmsg":"ok"}"#, Expected::Delivered),
            (
                200,
                r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#,
                Expected::Throttled("45009", Some(PAUSE)),
            ),
            (
                200,
                r#"{"errcode":40058,"errmsg":"invalid Request Parameter"}"#,
                Expected::Refused("40058"),
            ),
            (
                200,
                r#"{"errcode":93000,"errmsg":"invalid webhook url, hint: [1], from ip: 203.0.113.1"}"#,
                Expected::Gone("93000"),
            ),
            (200, r#"{"errcode":-1,"errmsg":"system busy"}"#, Expected::Busy("-1")),
            (200, "", Expected::Unreadable),
            (503, "", Expected::Status(503)),
        ] {
            judged(&TARGET, status, body, expected);
        }
    }
}

//! What came of an attempt, in plain words: what went wrong, what comes next and when.

use std::time::Duration;

use crate::delivery::target;
use crate::language::Language;
use crate::store::attempt::{Disabled, GivenUp, Next, Phase, Refusal, Step, Trouble};
use crate::time::format_duration;

/// What went wrong, and what to do about it where somebody can.
#[must_use]
pub fn trouble(trouble: &Trouble, language: Language) -> String {
    let both = |zh: String, en: String| language.pick(zh, en);
    match trouble {
        Trouble::Inside { address } => both(
            format!("{address} 是内网地址；要允许，请在该订阅方上设置 allow_private = true"),
            format!(
                "{address} is an inside address; `allow_private = true` on the subscriber permits it"
            ),
        ),
        Trouble::Resolve { detail } => {
            because(["域名解析失败", "the name cannot be resolved"], detail, language)
        }
        Trouble::Connect { detail } => because(["无法连接", "cannot connect"], detail, language),
        Trouble::Tls { detail } => because(["TLS 握手失败", "cannot encrypt"], detail, language),
        Trouble::Proxy { detail } => {
            because(["代理不通", "the proxy does not connect"], detail, language)
        }
        Trouble::Timeout { phase, within_ms } => {
            let within = format_duration(Duration::from_millis(*within_ms));
            both(
                format!("{within} 内没有完成（停在：{}）", part(*phase, Language::Zh)),
                format!("no answer within {within} (while {})", part(*phase, Language::En)),
            )
        }
        Trouble::Broken { detail } => {
            because(["收到应答之前连接断开", "the request failed"], detail, language)
        }
        Trouble::Status { status } => status_in_words(*status, language),
        Trouble::Product { product, code, message, refusal } => {
            in_its_words((product, code, message), *refusal, language)
        }
        Trouble::Step { step, of } => {
            let of = self::trouble(of, language);
            both(
                format!("{}：{of}", step_in_words(*step, Language::Zh)),
                format!("{}: {of}", step_in_words(*step, Language::En)),
            )
        }
        Trouble::Told { words } => words.clone(),
    }
}

/// What the system or a library says where something common is wrong, in small letters, and that in
/// plain words.
const COMMON: [(&str, [&str; 2]); 17] = [
    ("connection refused", ["对方的这个端口没有程序在监听", "nothing listens there"]),
    ("no route to host", ["到不了对方的网络", "there is no way to its network"]),
    ("network is unreachable", ["到不了对方的网络", "there is no way to its network"]),
    ("connection reset", ["对方断开了连接", "the other side broke off"]),
    ("broken pipe", ["对方断开了连接", "the other side broke off"]),
    ("closed before message completed", ["对方断开了连接", "the other side broke off"]),
    ("timed out", ["对方没有回应", "the other side does not answer"]),
    ("name or service not known", ["没有这个域名", "there is no such name"]),
    ("no address associated", ["这个域名没有地址", "the name has no address"]),
    (
        "temporary failure in name resolution",
        ["域名服务器暂时没有回应", "the name servers do not answer just now"],
    ),
    ("invalidcontenttype", ["对方在这个端口上说的不是 TLS", "the other side speaks no TLS there"]),
    ("certificate expired", ["对方的证书已过期", "its certificate has expired"]),
    ("not valid yet", ["对方的证书尚未生效", "its certificate is not valid yet"]),
    ("not valid for name", ["对方的证书不是给这个域名的", "its certificate is for another name"]),
    (
        "unknownissuer",
        ["对方的证书不是公认机构签发的", "its certificate is of no authority that is known here"],
    ),
    ("causedasendentity", ["对方用了自签名证书", "its certificate is signed by nobody but itself"]),
    (
        "handshake failure",
        ["双方没有共同的 TLS 版本或算法", "the two sides share no way to encrypt"],
    ),
];

/// What failed, why in plain words where that is known, and what was said of it.
fn because(what: [&str; 2], detail: &str, language: Language) -> String {
    let [zh, en] = what;
    let said = detail.to_ascii_lowercase();
    match COMMON.iter().find(|(sign, _)| said.contains(sign)) {
        Some((_, [why_zh, why_en])) => language
            .pick(format!("{zh}：{why_zh}（{detail}）"), format!("{en}: {why_en} ({detail})")),
        None => language.pick(format!("{zh}：{detail}"), format!("{en}: {detail}")),
    }
}

/// One of several requests.
fn step_in_words(step: Step, language: Language) -> &'static str {
    match step {
        Step::Contact => language.pick("查找或建立联系人", "the contact"),
        Step::Conversation => language.pick("查找会话", "looking for the conversation"),
        Step::NewConversation => language.pick("建立会话", "beginning a conversation"),
        Step::Look => {
            language.pick("查看会话中是否已有这条", "looking whether the conversation has it")
        }
        Step::Message => language.pick("发送消息", "the message"),
    }
}

/// A trouble in English, without what a library said of it, which may name an address.
#[must_use]
pub fn in_few_words(what: &Trouble) -> String {
    match what {
        Trouble::Status { .. } | Trouble::Timeout { .. } => trouble(what, Language::En),
        Trouble::Inside { .. } => "an inside address".to_owned(),
        Trouble::Resolve { .. } => "the name cannot be resolved".to_owned(),
        Trouble::Connect { .. } => "cannot connect".to_owned(),
        Trouble::Tls { .. } => "cannot encrypt".to_owned(),
        Trouble::Proxy { .. } => "the proxy does not connect".to_owned(),
        Trouble::Product { product, code, .. } if is_code(code) => {
            format!("{product} refused it: {code}")
        }
        Trouble::Product { product, .. } => format!("{product} refused it"),
        Trouble::Step { of, .. } => in_few_words(of),
        Trouble::Broken { .. } | Trouble::Told { .. } => "the request failed".to_owned(),
    }
}

/// Whether a product's code is a number or a word, and not something that it quotes.
fn is_code(code: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=40).contains(&code.len()) && code.bytes().all(is_letter)
}

/// A product's refusal: who, its code, what it said, and what to do.
fn in_its_words(
    (product, code, message): (&str, &str, &str),
    refusal: Refusal,
    language: Language,
) -> String {
    let known = target::named(product);
    let name = known.map_or(product, |target| target.name(language));
    let code = if code.is_empty() { String::new() } else { format!(" {code}") };
    let said = match message {
        "" => String::new(),
        message => language.pick(format!("：{message}"), format!(": {message}")),
    };
    let advice = known.and_then(|target| (target.advice)(code.trim_start()));
    let [zh, en] = advice.unwrap_or(match refusal {
        Refusal::Throttled => ["发送过快", "it was sent too much"],
        Refusal::Busy => ["暂时无法接收", "it cannot take it now"],
        Refusal::Refused => ["不接受这条消息", "it does not take this message"],
        Refusal::Gone => [
            "已不存在；请检查 url，再 `replyd subscribers enable`",
            "it is gone: check url, then `replyd subscribers enable`",
        ],
        Refusal::Unreadable => [
            "应答无法识别，可能没有收到；请检查 url",
            "its answer is not the product's, so it may not have it; check url",
        ],
    });
    language.pick(format!("{name}{code}{said}；{zh}"), format!("{name}{code}{said}; {en}"))
}

fn part(phase: Phase, language: Language) -> &'static str {
    match phase {
        Phase::Resolve => language.pick("解析域名", "resolving the name"),
        Phase::Connect => language.pick("建立连接", "connecting"),
        Phase::Tls => language.pick("TLS 握手", "encrypting"),
        Phase::Answer => language.pick("等待应答", "waiting for the answer"),
    }
}

fn status_in_words(status: u16, language: Language) -> String {
    let (zh, en) = match status {
        300..=399 => (
            "重定向，从不跟随；请配置最终的 URL",
            "a redirect, which is never followed; configure the final URL",
        ),
        401 | 403 => (
            "接收方拒绝了我们；请检查它的密钥和访问规则",
            "the receiver refuses us; check its secret and its access rules",
        ),
        404 | 405 => ("该 URL 不接收 webhook", "nothing at this URL takes webhooks"),
        410 => ("接收方已永久下线", "the receiver is gone"),
        413 => ("接收方认为事件太大", "the receiver finds the event too large"),
        429 => ("接收方要求减少请求", "the receiver wants fewer requests"),
        400..=499 => ("接收方不接受", "the receiver did not accept it"),
        503 => ("接收方暂时无法接收", "the receiver cannot take it just now"),
        502 | 504 => {
            ("接收方的网关连不上其后端", "the receiver's server is not reached by its own front")
        }
        _ => ("接收方出错", "the receiver failed"),
    };
    language.pick(format!("HTTP {status}：{zh}"), format!("HTTP {status}: {en}"))
}

/// What comes next, when and why.
#[must_use]
pub fn next(next: &Next, language: Language) -> String {
    let both = |zh: String, en: String| language.pick(zh, en);
    match next {
        Next::Delivered => language.pick("已送达", "delivered").to_owned(),
        Next::Retry { at, wait_ms, asked } => {
            let wait = format_duration(Duration::from_millis(*wait_ms));
            let (zh, en) = match asked {
                true => (
                    format!("接收方要求等待 {wait}"),
                    format!("the receiver asked for a wait of {wait}"),
                ),
                false => (format!("等待 {wait}"), format!("wait {wait}")),
            };
            let at = at.beijing();
            both(format!("将于 {at} 重试（{zh}）"), format!("tried again at {at} ({en})"))
        }
        Next::Wait { why } => {
            let why = disabled(*why, language);
            both(
                format!("保留等待：{why}"),
                format!("kept until the subscriber is enabled again: {why}"),
            )
        }
        Next::Failed { why: GivenUp::TooOld { give_up_ms } } => {
            let give_up = format_duration(Duration::from_millis(*give_up_ms));
            both(
                format!("已放弃：下一次重试会晚于投递建立后 {give_up}；可手动重试"),
                format!(
                    "given up: the next attempt would come more than {give_up} after the delivery was made; \
                     it can be retried by hand"
                ),
            )
        }
        Next::Failed { why: GivenUp::Aborted } => language
            .pick(
                "已放弃：接收方不接受这一条，或要求不再发送（webhook-delivery: abort-message）；可手动重试",
                "given up: the receiver does not take it, or asked not to be told of it again (webhook-delivery: abort-message); it can be retried by hand",
            )
            .to_owned(),
        Next::Failed { why: GivenUp::Test } => {
            language.pick("测试只发送一次", "nothing: a test is made once").to_owned()
        }
        Next::Told { words } => words.clone(),
    }
}

/// Why a subscriber takes no deliveries.
#[must_use]
pub fn disabled(why: Disabled, language: Language) -> &'static str {
    match why {
        Disabled::ByHand => language.pick("已手动停用", "it was disabled by hand"),
        Disabled::Gone => language.pick(
            "接收方已永久下线（应答 410，或平台称已不存在）",
            "its receiver is gone: it answered 410, or its product knows it no more",
        ),
        Disabled::Asked => language.pick(
            "接收方要求停用（webhook-delivery: disable）",
            "its receiver asked for it (webhook-delivery: disable)",
        ),
        Disabled::Failing => language.pick("连续多日全部失败", "for days every attempt has failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_common_is_said_in_plain_words_with_what_was_said_behind() {
        let refused = "Connection refused (os error 111)".to_owned();
        let expired = "invalid peer certificate: certificate expired: verification time 5";
        let no_tls = "received corrupt message of type InvalidContentType";
        for (what, zh, en) in [
            (
                Trouble::Connect { detail: refused.clone() },
                format!("无法连接：对方的这个端口没有程序在监听（{refused}）"),
                format!("cannot connect: nothing listens there ({refused})"),
            ),
            (
                Trouble::Tls { detail: expired.to_owned() },
                format!("TLS 握手失败：对方的证书已过期（{expired}）"),
                format!("cannot encrypt: its certificate has expired ({expired})"),
            ),
            (
                Trouble::Tls { detail: no_tls.to_owned() },
                format!("TLS 握手失败：对方在这个端口上说的不是 TLS（{no_tls}）"),
                format!("cannot encrypt: the other side speaks no TLS there ({no_tls})"),
            ),
            (
                Trouble::Broken { detail: "something rare".to_owned() },
                "收到应答之前连接断开：something rare".to_owned(),
                "the request failed: something rare".to_owned(),
            ),
        ] {
            assert_eq!(trouble(&what, Language::Zh), zh);
            assert_eq!(trouble(&what, Language::En), en);
        }
    }

    #[test]
    fn what_libraries_say_of_certificates_is_known() {
        use rustls::CertificateError as Certificate;
        let time = rustls::pki_types::UnixTime::since_unix_epoch(Duration::ZERO);
        let expected = "a.example".try_into().unwrap();
        for error in [
            Certificate::ExpiredContext { time, not_after: time },
            Certificate::NotValidYetContext { time, not_before: time },
            Certificate::NotValidForNameContext { expected, presented: Vec::new() },
            Certificate::UnknownIssuer,
        ] {
            let said = rustls::Error::InvalidCertificate(error).to_string().to_ascii_lowercase();
            assert!(COMMON.iter().any(|(sign, _)| said.contains(sign)), "{said}");
        }
        let refused = std::io::Error::from_raw_os_error(111).to_string().to_ascii_lowercase();
        assert!(refused.contains(COMMON[0].0), "{refused}");
    }
}

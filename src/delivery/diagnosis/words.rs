//! A diagnosis in words: how the signature stands, why, and what to do about it.

use super::{
    BEIJING_SECONDS, Change, Diagnosis, Header, Hint, KeyText, Match, Parts, SecretFault,
    SignatureFault, TimestampFault, Twist, is_near,
};
use crate::delivery::sign::TOLERANCE_SECONDS;
use crate::language::Language;

/// So much of an id is shown.
const SHOWN_MAX: usize = 80;

/// The one word for why a signature does not hold, for programs.
#[must_use]
pub fn reason(diagnosis: &Diagnosis) -> &'static str {
    let is_faulty = |secret: usize| diagnosis.secrets.iter().any(|(at, _)| *at == secret);
    match &diagnosis.found {
        _ if diagnosis.holds => "holds",
        _ if diagnosis.missing.contains(&Header::Signature)
            || diagnosis.missing.contains(&Header::Timestamp)
            || diagnosis.missing.contains(&Header::Id) =>
        {
            "header_missing"
        }
        None if diagnosis.signature.is_empty() && diagnosis.secrets.is_empty() => "no_match",
        None if diagnosis.signature.is_empty() => "secret",
        None => "signature_malformed",
        Some(found) => match &found.twist {
            Twist::Swapped => "swapped",
            Twist::Id(_) => "id_changed",
            Twist::Timestamp(_) if diagnosis.timestamp.is_some() => "timestamp_malformed",
            Twist::Timestamp(_) => "timestamp_changed",
            Twist::Body(_) => "body_changed",
            Twist::Key(_) => "key_not_decoded",
            Twist::Parts(_) => "other_parts_signed",
            Twist::None if is_faulty(found.secret) => "secret",
            Twist::None if !diagnosis.signature.is_empty() => "signature_malformed",
            Twist::None if diagnosis.timestamp.is_some() => "timestamp_malformed",
            Twist::None => "clock",
        },
    }
}

/// The diagnosis as sentences, the verdict first. `names` says in the same language which secret
/// each one is.
#[must_use]
pub fn sentences(diagnosis: &Diagnosis, names: &[String], language: Language) -> Vec<String> {
    let both = |zh: String, en: String| language.pick(zh, en);
    let name = |at: usize| names.get(at).map_or("?", String::as_str);
    let mut said = Vec::new();
    said.push(match (&diagnosis.found, diagnosis.holds) {
        (Some(found), true) => both(
            format!("签名有效（{}）。", name(found.secret)),
            format!("The signature holds, by {}.", name(found.secret)),
        ),
        _ => both("签名无效。".to_owned(), "The signature does not hold.".to_owned()),
    });
    for header in &diagnosis.missing {
        said.push(missing(*header, language));
    }
    for (at, fault) in &diagnosis.secrets {
        said.push(secret(name(*at), *fault, language));
    }
    said.extend(diagnosis.timestamp.map(|fault| timestamp(fault, language)));
    said.extend(diagnosis.signature.iter().map(|fault| signature(*fault, language)));
    match &diagnosis.found {
        Some(found) => {
            said.extend(twist(found, name(found.secret), language));
            if names.len() > 1 && diagnosis.holds {
                said.push(which(found, names.len(), language));
            }
        }
        None if diagnosis.tried > 0 => said.extend(nothing(diagnosis, names, language)),
        None => {}
    }
    said.extend(diagnosis.ahead.filter(|ahead| !is_near(*ahead)).map(|ahead| {
        let is_right = diagnosis.found.as_ref().is_some_and(|found| found.twist == Twist::None);
        clock(ahead, is_right, language)
    }));
    said
}

fn missing(header: Header, language: Language) -> String {
    let name = header.as_str();
    language.pick(
        format!("缺少请求头 {name}：检查前面的代理是否丢弃了它，以及代码读取的名称。"),
        format!(
            "The header {name} is not there: see whether a proxy drops it, and which name is read."
        ),
    )
}

fn secret(name: &str, fault: SecretFault, language: Language) -> String {
    let (zh, en) = match fault {
        SecretFault::Empty => ("是空的".to_owned(), "is empty".to_owned()),
        SecretFault::Surrounded => (
            "前后有空白或引号，须去掉".to_owned(),
            "has white space or quotes around it, which are no part of it".to_owned(),
        ),
        SecretFault::Prefix => {
            ("不以 whsec_ 开头".to_owned(), "does not begin with whsec_".to_owned())
        }
        SecretFault::Base64 => (
            "在 whsec_ 之后不是标准字母表的 base64".to_owned(),
            "is not base64 of the standard alphabet behind whsec_".to_owned(),
        ),
        SecretFault::Length(bytes) => (
            format!("解码后是 {bytes} 字节，应为 24 至 64 字节：可能没有复制完整"),
            format!("holds {bytes} bytes, not 24 to 64: perhaps not all of it was copied"),
        ),
    };
    language.pick(format!("密钥（{name}）{zh}。"), format!("The secret ({name}) {en}."))
}

fn timestamp(fault: TimestampFault, language: Language) -> String {
    let what = match fault {
        TimestampFault::Finer => language.pick(
            "是毫秒或更小的单位，应为秒",
            "counts milliseconds or something finer, not seconds",
        ),
        TimestampFault::Fraction => language.pick("带小数", "has a fraction"),
        TimestampFault::Date => {
            language.pick("是日期，应为 Unix 秒数", "is a date, not seconds of the Unix epoch")
        }
        TimestampFault::NoTime => language.pick(
            "不是写成普通十进制的 Unix 秒数",
            "is not seconds of the Unix epoch as plain digits",
        ),
    };
    language.pick(
        format!("webhook-timestamp {what}；签名所用的是收到的原文。"),
        format!("webhook-timestamp {what}; what is signed is its text as it was sent."),
    )
}

fn signature(fault: SignatureFault, language: Language) -> String {
    let what = match fault {
        SignatureFault::Version => {
            language.pick("有一项不以 v1, 开头", "has an entry that does not begin with \"v1,\"")
        }
        SignatureFault::Asymmetric => language.pick(
            "有一项 v1a, 是密钥对签名，replyd 不使用",
            "has an entry \"v1a,\", by a key pair, which replyd does not use",
        ),
        SignatureFault::Hex => language.pick(
            "有一项是十六进制，应为 base64",
            "has an entry in hexadecimal digits, not in base64",
        ),
        SignatureFault::OtherBase64 => language.pick(
            "有一项是 URL 字母表的 base64 或缺少末尾的 =，应为标准 base64",
            "has an entry in base64 for URLs or without its \"=\", not in standard base64",
        ),
        SignatureFault::Base64 => {
            language.pick("有一项不是 base64", "has an entry that is not base64")
        }
        SignatureFault::Length(bytes) => {
            return language.pick(
                format!("webhook-signature 有一项是 {bytes} 字节，应为 32 字节：可能被截断。"),
                format!(
                    "webhook-signature has an entry of {bytes} bytes, not 32: it may have been cut."
                ),
            );
        }
    };
    language.pick(format!("webhook-signature {what}。"), format!("webhook-signature {what}."))
}

fn which(found: &Match, secrets: usize, language: Language) -> String {
    let (number, entry) = (found.secret + 1, found.entry + 1);
    language.pick(
        format!(
            "签名用的是 {secrets} 个密钥中的第 {number} 个（签名头的第 {entry} 项）；只知道其他密钥的接收方会拒绝。"
        ),
        format!(
            "It is by secret {number} of {secrets} (entry {entry} of the header); a receiver that knows only the others refuses it."
        ),
    )
}

fn twist(found: &Match, name: &str, language: Language) -> Vec<String> {
    let both = |zh: &str, en: &str| language.pick(zh.to_owned(), en.to_owned());
    match &found.twist {
        Twist::None => Vec::new(),
        Twist::Swapped => vec![both(
            "webhook-id 与 webhook-timestamp 互换了：应签名“id.timestamp.正文”。",
            "webhook-id and webhook-timestamp have changed places: signed is \"id.timestamp.body\".",
        )],
        Twist::Id(id) => {
            let id: String = id.chars().take(SHOWN_MAX).collect();
            vec![language.pick(
            format!("签名属于正文里的编号 {id:?}，不是给出的 webhook-id。"),
            format!("It is right for the id {id:?} that the body names, not for the webhook-id given."),
            )]
        }
        Twist::Timestamp(seconds) => vec![language.pick(
            format!("签名对应的 webhook-timestamp 是 {seconds}，不是给出的值：请用收到的请求头，不要用自己的时间。"),
            format!("It is right for the webhook-timestamp {seconds}, not for the one given: take the header as it came, no time of your own."),
        )],
        Twist::Body(changes) => changed(changes, language),
        Twist::Key(text) => {
            let what = match text {
                KeyText::Whole => language.pick("整个密钥文本", "the whole text of it"),
                KeyText::BehindPrefix => {
                    language.pick("whsec_ 之后的文本", "the text behind whsec_")
                }
            };
            vec![language.pick(
                format!("签名时把{what}（{name}）直接当作密钥：须先去掉 whsec_，再做 base64 解码。"),
                format!("It was made with {what} as the key ({name}): take whsec_ away and decode the rest as base64 first."),
            )]
        }
        Twist::Parts(parts) => {
            let what = match parts {
                Parts::Body => language.pick("正文", "the body alone"),
                Parts::TimestampBody => language.pick("“timestamp.正文”", "\"timestamp.body\""),
                Parts::IdBody => language.pick("“id.正文”", "\"id.body\""),
                Parts::Undotted => {
                    language.pick("没有点分隔的三部分", "the three parts without dots")
                }
            };
            vec![language.pick(
                format!("签名的内容是{what}，应为“id.timestamp.正文”。"),
                format!("It was made over {what}, not over \"id.timestamp.body\"."),
            )]
        }
    }
}

fn changed(changes: &[Change], language: Language) -> Vec<String> {
    let all: Vec<String> = changes.iter().map(|change| phrase(*change, language)).collect();
    let all = all.join(language.pick("，并且", ", and "));
    vec![language.pick(
        format!("正文在途中被改动：把它{all}，签名就对了。"),
        format!("The body was changed on its way: the signature is right when it is {all}."),
    ),
    language.pick(
        "请用请求正文的原始字节验证，不要先解码、去空白或解析后重新生成 JSON。".to_owned(),
        "Verify the raw bytes of the request, before anything decodes, trims or parses them and prints them again.".to_owned(),
    )]
}

fn phrase(change: Change, language: Language) -> String {
    let (zh, en) = match change {
        Change::HeadRemoved => ("去掉前面的请求头", "without the header lines before it"),
        Change::FromUtf16 => ("从 UTF-16 转为 UTF-8", "UTF-8, not UTF-16"),
        Change::FromGbk => ("从 GBK 转为 UTF-8", "UTF-8, not GBK"),
        Change::DecodedOnceMore => {
            ("再解码一次（UTF-8 被编码了两次）", "decoded once more: its UTF-8 was encoded twice")
        }
        Change::Unquoted => {
            ("从 JSON 字符串里取出来", "taken out of the JSON string in which it stands")
        }
        Change::MarkRemoved => ("去掉开头的 BOM", "without the byte order mark before it"),
        Change::MarkAdded => ("在开头加上 BOM", "with a byte order mark before it"),
        Change::LineEndAdded => ("在末尾加上换行", "with a line end behind it"),
        Change::CrlfAdded => ("在末尾加上 CR LF", "with CR LF behind it"),
        Change::LineEndRemoved => ("去掉末尾的换行", "without the line end behind it"),
        Change::Trimmed => ("去掉首尾的空白", "without the white space around it"),
        Change::ToLf => ("把 CR LF 换成 LF", "with LF in the place of CR LF"),
        Change::ToCrlf => ("把 LF 换成 CR LF", "with CR LF in the place of LF"),
        Change::Compact => ("去掉 JSON 里的空白", "JSON without white space between its parts"),
        Change::Spaced => {
            ("在每个逗号和冒号后加空格", "JSON with a blank behind each \",\" and \":\"")
        }
        Change::Tabbed => ("按制表符缩进", "JSON indented by tabs"),
        Change::Indented(blanks) => {
            return language.pick(
                format!("按 {blanks} 个空格缩进"),
                format!("JSON indented by {blanks} blanks"),
            );
        }
        Change::Unescaped => (
            r"把 \uXXXX 和 \/ 等转义换回字符本身",
            r"written with its characters in the place of \uXXXX, \/ and other escapes",
        ),
        Change::AsciiOnly => (
            r"把非 ASCII 字符写成 \uXXXX",
            r"written with \uXXXX in the place of its characters beyond ASCII",
        ),
        Change::SlashesEscaped => (r"把 / 写成 \/", r"written with \/ in the place of /"),
        Change::KeysOrdered => (
            "恢复 JSON 键的原有顺序和写法",
            "JSON with its keys in the order in which they were sent",
        ),
    };
    language.pick(zh, en).to_owned()
}

fn nothing(diagnosis: &Diagnosis, names: &[String], language: Language) -> Vec<String> {
    let (tried, secrets) = (diagnosis.tried, names.join(language.pick("、", ", ")));
    let mut said = vec![language.pick(
        format!("所给的密钥（{secrets}）都得不出这个签名，共试了 {tried} 种方式：正文加减换行、空白、BOM，CRLF 与 LF，其他编码，重新生成的 JSON；互换的 id 与 timestamp；一小时内和相差 8 小时的 timestamp；未解码的密钥。"),
        format!("No secret given ({secrets}) makes this signature. Tried in {tried} ways: the body with line ends, white space and a byte order mark more and less, CRLF and LF, other encodings, JSON printed again; id and timestamp swapped; timestamps within an hour and 8 hours off; secrets not decoded."),
    )];
    for hint in &diagnosis.hints {
        let (zh, en) = match hint {
            Hint::EmptyBody => (
                "正文是空的：可能框架已经读取并解析过它。",
                "The body is empty: a framework may have read and parsed it before.",
            ),
            Hint::NoJson => (
                "正文不是完整的 JSON：可能被截断或改写。",
                "The body is no whole JSON: it may have been cut or rewritten.",
            ),
            Hint::OtherEvent => (
                "正文里的编号与 webhook-id 不同：请求头和正文可能来自两个不同的 Webhook。",
                "The body names another id than webhook-id: headers and body may be of two webhooks.",
            ),
            Hint::Large => {
                ("正文很大，没有全部试完。", "The body is large, so not all of that was tried.")
            }
        };
        said.push(language.pick(zh, en).to_owned());
    }
    said.push(language.pick(
        "最可能是密钥不同：与发送方该订阅者的 secret 对照。其他 Webhook 的 id 无法靠尝试找出。".to_owned(),
        "Most likely the secret is another: compare it with the sender's for this subscriber. The id of another webhook cannot be found by trying.".to_owned(),
    ));
    said
}

fn clock(ahead: i64, is_right: bool, language: Language) -> String {
    let by = ahead.saturating_abs();
    let minutes = TOLERANCE_SECONDS / 60;
    let right = if is_right {
        language.pick("签名本身是对的。", " The signature itself is right.")
    } else {
        ""
    };
    let direction = match ahead > 0 {
        true => language.pick("快", "ahead of"),
        false => language.pick("慢", "behind"),
    };
    let beijing = if (by - BEIJING_SECONDS).abs() <= TOLERANCE_SECONDS {
        language.pick(
            "恰好约 8 小时：时钟可能把北京时间当成了 UTC。",
            " That is 8 hours: a clock may show Beijing's time as UTC.",
        )
    } else {
        ""
    };
    language.pick(
        format!("本机时钟比 webhook-timestamp {direction} {by} 秒，超出了 {minutes} 分钟。{beijing}{right}请校准时钟；如果是以前的请求，则是正常的（--at 可指定当时的时间）。"),
        format!("This clock is {by} s {direction} webhook-timestamp, more than {minutes} minutes.{beijing}{right} Set the clock; for a webhook of the past this is as it should be (--at says when it came)."),
    )
}

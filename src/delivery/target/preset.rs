//! Products of which a file says all: body, headers, limits, and what success looks like. A new one
//! is its file below `presets/`, and its line here.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::config::{FormatFacts, OptionFacts, RateLimit};
use crate::delivery::target::{Target, TextRules, answer, plain, template};
use crate::template::{BodyForm, Case, Definition, Field, Means, Says, Template, is_sound};
use crate::time::parse_duration;

/// Every preset: its word and its file.
const FILES: [(&str, &str); 7] = [
    ("mattermost", include_str!("presets/mattermost.json")),
    ("serverchan", include_str!("presets/serverchan.json")),
    ("pushplus", include_str!("presets/pushplus.json")),
    ("bark", include_str!("presets/bark.json")),
    ("ntfy", include_str!("presets/ntfy.json")),
    ("gotify", include_str!("presets/gotify.json")),
    ("apprise", include_str!("presets/apprise.json")),
];

/// The products of the presets. A file that is wrong has none; a test sees that there is no such.
pub(super) static PRESETS: LazyLock<Vec<&'static Target>> = LazyLock::new(|| {
    let read = |(word, text)| read(word, text).ok().map(|target| &*Box::leak(Box::new(target)));
    FILES.into_iter().filter_map(read).collect()
});

/// A preset as its file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The product's name in Chinese and English.
    name: [String; 2],
    /// `json`, `form` or `text`.
    form: String,
    /// The body: of a form its fields, else JSON or a text.
    body: Value,
    /// Headers beside; one all of whose fields are empty is left out.
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    /// Whether nothing goes without the subscriber's secret.
    #[serde(default)]
    needs_secret: bool,
    /// The longest text.
    max: Max,
    /// Whether its texts are Markdown.
    #[serde(default)]
    markdown: bool,
    /// As the configuration has it.
    rate_limit: Option<String>,
    success: Option<Condition>,
    /// Answers that mean something else than their status says.
    #[serde(default)]
    cases: Vec<FileCase>,
    /// Where in its answer it says in words what is wrong.
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Max {
    Bytes(usize),
    Characters(usize),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Condition {
    Json { json: String, equals: Value },
    Text { text: String },
}

/// An answer and what it means: `throttled`, perhaps for so long, `refused` or `gone`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileCase {
    status: Option<u16>,
    json: Option<String>,
    equals: Option<Value>,
    words: Option<String>,
    means: String,
    wait: Option<String>,
}

impl FileCase {
    fn read(self) -> Result<Case, String> {
        let says = match (self.json, self.equals, self.words) {
            (Some(pointer), Some(equals), None) => Some(Says::Json { pointer, equals }),
            (None, None, words) => words.map(Says::Words),
            _ => return Err("a case has json with equals, or words".to_owned()),
        };
        if self.status.is_none() && says.is_none() {
            return Err("a case has status, json with equals, or words".to_owned());
        }
        let wait = self.wait.as_deref().map(parse_duration).transpose();
        let wait = wait.map_err(|error| format!("wait: {error}"))?;
        let means = match (self.means.as_str(), wait) {
            ("throttled", wait) => Means::Throttled(wait.map(|wait| wait.min(template::WAIT_MAX))),
            ("refused", None) => Means::Refused,
            ("gone", None) => Means::Gone,
            ("refused" | "gone", Some(_)) => return Err("wait is for throttled".to_owned()),
            _ => return Err("means is throttled, refused or gone".to_owned()),
        };
        Ok(Case { status: self.status, says, means })
    }
}

impl From<Condition> for Says {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Json { json: pointer, equals } => Self::Json { pointer, equals },
            Condition::Text { text } => Self::Text(text),
        }
    }
}

fn is_header_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(is_letter)
}

/// Reads a product. What is wrong is said without the values that stand in the file, which may be
/// another one than was meant.
pub(super) fn read(word: &'static str, text: &str) -> Result<Target, String> {
    let file: File = serde_json::from_str(text).map_err(|error| in_words(&error))?;
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let form = BodyForm::WORDS.into_iter().find(|(word, _)| *word == file.form);
    let (_, form) = form.ok_or("no form")?;
    let body = Template::parse(&body_text(&file.body, form)).map_err(|error| words(&error))?;
    if !is_sound(&body, form) {
        return Err(words(&"its body is not of its form"));
    }
    let mut headers = Vec::new();
    for (name, value) in file.headers {
        if !is_header_name(&name) {
            return Err("a header's name is of a-z, 0-9 and -".to_owned());
        }
        let value = Template::parse(&value).map_err(|error| words(&error))?;
        headers.push((&*name.leak(), value));
    }
    let cases: Result<Vec<Case>, String> = file.cases.into_iter().map(FileCase::read).collect();
    let definition = Definition {
        body,
        form,
        headers,
        is_typed: false,
        success: file.success.map(Says::from),
        cases: cases.map_err(|error| words(&error))?,
        message: file.message,
    };
    let rate = file.rate_limit.as_deref().map(RateLimit::parse).transpose();
    let (measure, max): (fn(&str) -> usize, usize) = match file.max {
        Max::Bytes(max) => (plain::bytes, max),
        Max::Characters(max) => (plain::utf16, max),
    };
    let escape = if file.markdown { plain::no_markdown } else { plain::as_it_is };
    Ok(Target {
        facts: FormatFacts {
            word,
            url: if file.needs_secret { with_secret } else { template::any_url },
            options: options(&definition),
            rate: rate.map_err(|error| words(&error))?,
            needs_number: false,
            read: None,
        },
        name: file.name.map(|name| &*name.leak()),
        rules: TextRules { measure, max, escape },
        request: template::nothing,
        judge: answer::by_status,
        advice: |_| None,
        definition: Some(definition),
        flow: None,
    })
}

fn in_words(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let is_of_keys = ["unknown field", "missing field"].iter().any(|said| text.starts_with(said));
    match error.classify() {
        serde_json::error::Category::Data if is_of_keys => text,
        serde_json::error::Category::Data => {
            format!("a value is of the wrong kind at line {line} column {column}")
        }
        _ => format!("is no JSON at line {line} column {column}"),
    }
}

fn with_secret(_: &Url, has_secret: bool) -> Result<(), &'static str> {
    if has_secret { Ok(()) } else { Err("is not enough: the product's token is needed as secret") }
}

/// A body as the text that it is sent as.
fn body_text(body: &Value, form: BodyForm) -> String {
    match (form, body) {
        (BodyForm::Form, Value::Object(fields)) => {
            let field = |(name, value): (&String, &Value)| {
                format!("{name}={}", value.as_str().unwrap_or_default())
            };
            fields.iter().map(field).collect::<Vec<_>>().join("&")
        }
        (_, Value::String(text)) => text.clone(),
        (_, body) => body.to_string(),
    }
}

/// The options for which a definition asks.
fn options(definition: &Definition) -> &'static [OptionFacts] {
    let templates = definition.headers.iter().map(|(_, template)| template);
    let fields = templates.chain([&definition.body]).flat_map(Template::fields);
    let option = |field: &Field| match field {
        Field::Option(name) => Some(OptionFacts { name: name.clone().leak(), is_required: false }),
        _ => None,
    };
    fields.filter_map(option).collect::<Vec<_>>().leak()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::target::tests::{Expected, judged, preset};

    const DAY: Option<Duration> = Some(Duration::from_hours(24));
    const HALF_A_DAY: Option<Duration> = Some(Duration::from_hours(12));

    #[test]
    fn every_file_is_right() {
        for (word, text) in FILES {
            assert_eq!(read(word, text).err(), None, "{word}");
        }
        assert_eq!(PRESETS.len(), FILES.len());
        let wrong =
            r#"{"name":["a","a"],"form":"json","body":"{\"a\":{{ text }}}","max":{"bytes":9}}"#;
        assert!(read("wrong", wrong).is_err(), "text where a value is to stand");
        assert!(read("wrong", "{}").is_err());
    }

    #[test]
    fn requests_are_what_the_products_take() {
        let text = "a\"b&c\n收到";
        let (url, token) = ("https://push.example.com/x", Some("t0ken"));
        for (word, secret, body, header) in [
            ("mattermost", None, r#"{"text":"a\"b&c\n收到"}"#, None),
            ("serverchan", None, "desp=a%22b%26c%0A%E6%94%B6%E5%88%B0&title=SMS", None),
            (
                "pushplus",
                token,
                r#"{"content":"a\"b&c\n收到","template":"txt","title":"SMS","token":"t0ken"}"#,
                None,
            ),
            (
                "bark",
                token,
                r#"{"body":"a\"b&c\n收到","device_key":"t0ken","group":"SMS","title":"SMS"}"#,
                None,
            ),
            ("ntfy", token, text, Some(("authorization", "Bearer t0ken"))),
            ("ntfy", None, text, None),
            (
                "gotify",
                token,
                r#"{"message":"a\"b&c\n收到","title":"SMS"}"#,
                Some(("x-gotify-key", "t0ken")),
            ),
            ("apprise", None, r#"{"body":"a\"b&c\n收到","title":"SMS","type":"info"}"#, None),
        ] {
            let request = preset(word, (url, secret), text);
            assert_eq!((request.path_and_query.as_str(), request.body.as_str()), ("/x", body));
            let found = request.headers.get(1).map(|(name, value)| (*name, value.as_str()));
            assert_eq!(found, header, "{word}");
        }
    }

    #[test]
    fn answers_mean_what_the_products_say() {
        let of = |word: &str| *PRESETS.iter().find(|target| target.facts.word == word).unwrap();
        for (word, status, body, expected) in [
            ("mattermost", 200, "ok", Expected::Delivered),
            ("mattermost", 200, "<html>", Expected::Busy("")),
            ("mattermost", 404, r#"{"id":"x","status_code":404}"#, Expected::Gone("404")),
            // What stands before a server of one's own says this while that starts.
            ("mattermost", 404, "404 page not found", Expected::Status(404)),
            ("gotify", 404, "404 page not found", Expected::Status(404)),
            (
                "mattermost",
                400,
                r#"{"id":"web.incoming_webhook.invalid.app_error","message":"Invalid webhook."}"#,
                Expected::Gone("400"),
            ),
            (
                "mattermost",
                400,
                r#"{"id":"web.incoming_webhook.text.app_error"}"#,
                Expected::Refused("400"),
            ),
            ("mattermost", 429, "", Expected::Status(429)),
            ("mattermost", 502, "", Expected::Status(502)),
            ("serverchan", 200, r#"{"code":0,"message":"","data":{}}"#, Expected::Delivered),
            ("serverchan", 200, r#"{"code":40003,"message":"?"}"#, Expected::Busy("40003")),
            (
                "serverchan",
                400,
                r#"{"message":"[AUTH]错误的Key","code":40001,"info":"错误的Key","scode":461}"#,
                Expected::Gone("40001"),
            ),
            (
                "serverchan",
                400,
                r#"{"message":"[INPUT]超过当天的发送次数限制","code":40001}"#,
                Expected::Throttled("40001", HALF_A_DAY),
            ),
            ("pushplus", 200, r#"{"code":200,"msg":"请求成功"}"#, Expected::Delivered),
            (
                "pushplus",
                200,
                r#"{"code":900,"msg":"用户账号使用受限"}"#,
                Expected::Throttled("900", DAY),
            ),
            ("pushplus", 200, r#"{"code":903,"msg":"无效的用户令牌"}"#, Expected::Gone("903")),
            ("pushplus", 200, r#"{"code":999,"msg":"服务端验证错误"}"#, Expected::Refused("999")),
            ("pushplus", 200, r#"{"code":500,"msg":"系统异常"}"#, Expected::Busy("500")),
            ("bark", 200, r#"{"code":200,"message":"success"}"#, Expected::Delivered),
            ("bark", 200, "", Expected::Unreadable),
            ("bark", 429, "", Expected::Status(429)),
            (
                "bark",
                400,
                r#"{"code":400,"message":"failed to get device token: failed to get [k] device token from database"}"#,
                Expected::Gone("400"),
            ),
            ("bark", 400, r#"{"code":400,"message":"bad request"}"#, Expected::Refused("400")),
            ("ntfy", 200, r#"{"id":"x"}"#, Expected::Delivered),
            ("ntfy", 429, r#"{"code":42901}"#, Expected::Status(429)),
            (
                "ntfy",
                403,
                r#"{"code":40301,"http":403,"error":"forbidden"}"#,
                Expected::Gone("403"),
            ),
            ("ntfy", 413, r#"{"code":41301,"error":"too large"}"#, Expected::Refused("413")),
            ("gotify", 200, r#"{"id":1}"#, Expected::Delivered),
            ("gotify", 401, r#"{"error":"Unauthorized","errorCode":401}"#, Expected::Gone("401")),
            ("gotify", 400, "{}", Expected::Refused("400")),
            ("gotify", 429, "", Expected::Status(429)),
            ("apprise", 200, "", Expected::Delivered),
            // It has nothing under that key, so nobody was told.
            ("apprise", 204, "", Expected::Gone("204")),
            ("apprise", 400, "", Expected::Refused("400")),
            ("apprise", 429, "", Expected::Status(429)),
            ("apprise", 424, "", Expected::Status(424)),
        ] {
            judged(of(word), status, body, expected);
        }
    }
}

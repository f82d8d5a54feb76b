//! Products of which a file says all: body, headers, limits, and what success looks like. A new one
//! is its file below `presets/`, and its line here.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::config::{FormatFacts, OptionFacts, RateLimit};
use crate::delivery::target::{Target, TextRules, answer, plain, template};
use crate::template::{BodyForm, Definition, Field, Says, Template, is_sound};
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
    throttled: Option<Throttled>,
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

#[derive(Deserialize)]
struct Throttled {
    json: String,
    equals: Value,
    wait: String,
}

impl From<Condition> for Says {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Json { json: pointer, equals } => Self::Json { pointer, equals },
            Condition::Text { text } => Self::Text(text),
        }
    }
}

fn read(word: &'static str, text: &str) -> Result<Target, String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let words = |error: &dyn std::fmt::Display| format!("{word}: {error}");
    let form = BodyForm::WORDS.into_iter().find(|(word, _)| *word == file.form);
    let (_, form) = form.ok_or("no form")?;
    let body = Template::parse(&body_text(&file.body, form)).map_err(|error| words(&error))?;
    if !is_sound(&body, form) {
        return Err(words(&"its body is not of its form"));
    }
    let mut headers = Vec::new();
    for (name, value) in file.headers {
        let value = Template::parse(&value).map_err(|error| words(&error))?;
        headers.push((&*name.leak(), value));
    }
    let throttled = file.throttled.map(|it| {
        let wait = parse_duration(&it.wait).unwrap_or(template::WAIT_MAX);
        (Says::Json { pointer: it.json, equals: it.equals }, wait.min(template::WAIT_MAX))
    });
    let definition = Definition {
        body,
        form,
        headers,
        is_typed: false,
        success: file.success.map(Says::from),
        throttled,
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
            ("mattermost", 404, r#"{"message":"gone"}"#, Expected::Status(404)),
            ("serverchan", 200, r#"{"code":0,"message":"","data":{}}"#, Expected::Delivered),
            ("serverchan", 200, r#"{"code":40001,"message":"bad key"}"#, Expected::Busy("40001")),
            ("pushplus", 200, r#"{"code":200,"msg":"请求成功"}"#, Expected::Delivered),
            (
                "pushplus",
                200,
                r#"{"code":900,"msg":"用户账号使用受限"}"#,
                Expected::Throttled("900", DAY),
            ),
            ("pushplus", 200, r#"{"code":903,"msg":"无效的用户令牌"}"#, Expected::Busy("903")),
            ("bark", 200, r#"{"code":200,"message":"success"}"#, Expected::Delivered),
            ("bark", 200, "", Expected::Unreadable),
            ("ntfy", 200, r#"{"id":"x"}"#, Expected::Delivered),
            ("ntfy", 429, r#"{"code":42901}"#, Expected::Status(429)),
            ("gotify", 200, r#"{"id":1}"#, Expected::Delivered),
            ("gotify", 401, "", Expected::Status(401)),
            ("apprise", 200, "", Expected::Delivered),
            ("apprise", 424, "", Expected::Status(424)),
        ] {
            judged(of(word), status, body, expected);
        }
    }
}

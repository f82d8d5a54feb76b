//! Texts with fields in them, `{{ from }}`, and requests made of such texts.
//!
//! There is nothing in them but words and fields: no condition, no loop, no file. What a field is
//! worth is escaped by where it stands, so that no value can be more than a value.

use std::fmt::Write as _;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands for itself in a URL and in a form.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What may be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The whole message, as a chat shows it.
    Text,
    /// What it is, in a few words.
    Title,
    /// The event's id, or that of the first of several.
    Id,
    /// One of an event's own, by its name in the event.
    OfEvent(&'static str),
    /// The subscriber's secret.
    Secret,
    /// One of the subscriber's options.
    Option(String),
}

/// The fields that an event has, by the names by which a template asks for them and that they have
/// in the event.
const OF_EVENT: [(&str, &str); 8] = [
    ("type", "type"),
    ("account", "account"),
    ("from", "from"),
    ("content", "content"),
    ("at", "timestamp"),
    ("gateway", "gateway"),
    ("extension", "extension"),
    ("suspect", "suspect"),
];
const OPTION: &str = "options.";

impl Field {
    /// Every name but those of options.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ["text", "title", "id", "secret"].into_iter().chain(OF_EVENT.map(|(name, _)| name))
    }

    fn named(name: &str) -> Option<Self> {
        let of_event = || {
            let found = OF_EVENT.into_iter().find(|(word, _)| *word == name);
            found.map(|(_, key)| Self::OfEvent(key))
        };
        match name {
            "text" => Some(Self::Text),
            "title" => Some(Self::Title),
            "id" => Some(Self::Id),
            "secret" => Some(Self::Secret),
            _ => match name.strip_prefix(OPTION) {
                Some(option) if !option.is_empty() => Some(Self::Option(option.to_owned())),
                Some(_) => None,
                None => of_event(),
            },
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Words(String),
    Field(Field),
}

/// A text with fields. `Debug` shows it: no secret stands in it, only where one goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A field that does not end.
    #[error("has {{{{ without }}}} behind it")]
    Unclosed,
    /// A field that nobody knows: its name.
    #[error("asks for a field that there is not")]
    Unknown(String),
}

impl Template {
    /// Reads a text in which `{{ name }}` is a field.
    ///
    /// # Errors
    /// When a field does not end or is none.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((words, field)) = rest.split_once("{{") {
            let (name, behind) = field.split_once("}}").ok_or(TemplateError::Unclosed)?;
            let name = name.trim();
            let field =
                Field::named(name).ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            pieces.push(Piece::Words(words.to_owned()));
            pieces.push(Piece::Field(field));
            rest = behind;
        }
        pieces.push(Piece::Words(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The text with its fields filled in.
    pub fn fill(&self, escape: Escape, value: impl Fn(&Field) -> String) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Words(words) => filled.push_str(words),
                Piece::Field(field) => escape.put(&value(field), &mut filled),
            }
        }
        filled
    }

    /// Its fields.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Field(field) => Some(field),
            Piece::Words(_) => None,
        })
    }

    /// Whether it is about one event: several cannot go out in one such text.
    #[must_use]
    pub fn is_of_one(&self) -> bool {
        self.fields().any(|field| matches!(field, Field::OfEvent(_)))
    }
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// In a text that is read as it is.
    Text,
    /// Within the quotes of a JSON string.
    Json,
    /// In a form, or in a URL.
    Url,
    /// In a header: printable ASCII.
    Header,
}

impl Escape {
    fn put(self, value: &str, into: &mut String) {
        match self {
            Self::Text => into.push_str(value),
            Self::Json => {
                for letter in value.chars() {
                    match letter {
                        '"' => into.push_str("\\\""),
                        '\\' => into.push_str("\\\\"),
                        '\n' => into.push_str("\\n"),
                        // Writing to a string does not fail.
                        '\0'..='\u{1f}' => drop(write!(into, "\\u{:04x}", u32::from(letter))),
                        other => into.push(other),
                    }
                }
            }
            Self::Url => into.extend(utf8_percent_encode(value, PLAIN)),
            Self::Header => {
                into.extend(value.chars().filter(|letter| matches!(letter, ' '..='~')));
            }
        }
    }
}

/// In which form a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// JSON.
    Json,
    /// A form, as browsers send it.
    Form,
    /// Plain text.
    Text,
}

impl BodyForm {
    /// Every form and its word.
    pub const WORDS: [(&str, Self); 3] =
        [("json", Self::Json), ("form", Self::Form), ("text", Self::Text)];

    /// What a body is by its look: JSON where it begins with a brace or a bracket.
    #[must_use]
    pub fn of(body: &str) -> Self {
        let body = body.trim_start();
        let is_field = body.starts_with("{{");
        if body.starts_with(['{', '[']) && !is_field { Self::Json } else { Self::Text }
    }

    /// How fields are escaped in it.
    #[must_use]
    pub fn escape(self) -> Escape {
        match self {
            Self::Json => Escape::Json,
            Self::Form => Escape::Url,
            Self::Text => Escape::Text,
        }
    }

    /// The header `content-type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

/// What of an answer says something.
#[derive(Clone, Debug, PartialEq)]
pub enum Says {
    /// A place in JSON (RFC 6901) that holds this value.
    Json {
        /// The place.
        pointer: String,
        /// The value.
        equals: serde_json::Value,
    },
    /// The whole body, without blanks around it.
    Text(String),
    /// These words stand somewhere in the body.
    Words(String),
}

impl Says {
    /// Whether an answer says it. None where it is not in that form at all.
    #[must_use]
    pub fn is_said(&self, body: &[u8]) -> Option<bool> {
        match self {
            Self::Text(text) => Some(body.trim_ascii() == text.as_bytes()),
            Self::Words(words) => Some(String::from_utf8_lossy(body).contains(words.as_str())),
            Self::Json { pointer, equals } => {
                let json: serde_json::Value = serde_json::from_slice(body).ok()?;
                Some(json.pointer(pointer)? == equals)
            }
        }
    }
}

/// A request made of templates, and what its answer means.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The body.
    pub body: Template,
    /// Its form.
    pub form: BodyForm,
    /// Headers beside, by lower-case name; the body's form says `content-type`.
    pub headers: Vec<(&'static str, Template)>,
    /// Whether the subscriber's own headers say `content-type`.
    pub is_typed: bool,
    /// What of a 2xx is a success; none where every one is.
    pub success: Option<Says>,
    /// Answers that mean something else than their status says; the first that fits counts.
    pub cases: Vec<Case>,
    /// Where an answer says in words what is wrong.
    pub message: Option<String>,
}

/// An answer, and what it means. All that is given must be so.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its status.
    pub status: Option<u16>,
    /// What it says.
    pub says: Option<Says>,
    /// What that means.
    pub means: Means,
}

/// What an answer means that is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// It was sent too much, and is to be left alone for so long, where it is known how long.
    Throttled(Option<Duration>),
    /// It never takes this message.
    Refused,
    /// Nobody is there any more to whom it could be told.
    Gone,
}

/// Whether a body is of its form whatever is filled in.
#[must_use]
pub fn is_sound(body: &Template, form: BodyForm) -> bool {
    let filled = body.fill(form.escape(), |_| "\"x\\\n".to_owned());
    form != BodyForm::Json || serde_json::from_str::<serde_json::Value>(&filled).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, escape: Escape) -> String {
        let value = |field: &Field| match field {
            Field::Text => "a\"b\\c\n\u{1}中&{{ from }}".to_owned(),
            other => format!("{other:?}"),
        };
        Template::parse(text).unwrap().fill(escape, value)
    }

    #[test]
    fn a_value_is_never_more_than_a_value() {
        assert_eq!(filled("<{{text}}>", Escape::Text), "<a\"b\\c\n\u{1}中&{{ from }}>");
        let json = filled(r#"{"a":"{{ text }}"}"#, Escape::Json);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["a"], "a\"b\\c\n\u{1}中&{{ from }}");
        assert_eq!(
            filled("x={{text}}&y=1", Escape::Url),
            "x=a%22b%5Cc%0A%01%E4%B8%AD%26%7B%7B%20from%20%7D%7D&y=1"
        );
        assert_eq!(filled("{{text}}", Escape::Header), "a\"b\\c&{{ from }}");
    }

    #[test]
    fn fields_are_those_that_there_are() {
        for name in Field::names() {
            assert!(Template::parse(&format!("{{{{ {name} }}}}")).is_ok(), "{name}");
        }
        let unknown = |name: &str| Err(TemplateError::Unknown(name.to_owned()));
        assert_eq!(Template::parse("{{ frm }}"), unknown("frm"));
        assert_eq!(Template::parse("{{ options. }}"), unknown("options."));
        assert_eq!(Template::parse("{{ a | b }}"), unknown("a | b"));
        assert_eq!(Template::parse("{{}}"), unknown(""));
        assert_eq!(Template::parse("a {{ from"), Err(TemplateError::Unclosed));
        assert_eq!(filled("a } { }} b", Escape::Text), "a } { }} b");
        assert_eq!(filled("{{options.topic}}", Escape::Text), "Option(\"topic\")");
        let is_of_one = |text| Template::parse(text).unwrap().is_of_one();
        assert!(is_of_one("{{ text }}{{from}}") && !is_of_one("{{ text }}{{ id }}{{ title }}"));
    }

    #[test]
    fn an_answer_says_something_or_nothing_at_all() {
        let code = Says::Json { pointer: "/code".to_owned(), equals: 200.into() };
        let ok = Says::Text("ok".to_owned());
        for (says, body, expected) in [
            (&code, r#"{"code":200}"#, Some(true)),
            (&code, r#"{"code":900}"#, Some(false)),
            (&code, r#"{"code":"200"}"#, Some(false)),
            (&code, "{}", None),
            (&code, "<html>", None),
            (&ok, "ok\n", Some(true)),
            (&ok, "okay", Some(false)),
        ] {
            assert_eq!(says.is_said(body.as_bytes()), expected, "{body}");
        }
    }
}

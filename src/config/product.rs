//! What a subscriber of a chat product's format has beside one of the webhook: the product's own
//! secret, its options, and the language of its texts.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::Value as Json;
use toml::de::DeValue;
use url::Url;

use super::format::{Format, FormatFacts, Formats, OptionFacts};
use super::reader::{Section, Value};
use super::report::{Fault, nearest};
use super::secret::{PLACEHOLDER_HOST, Purpose, Secret, Vault};
use super::source::read_file;
use crate::language::Language;
use crate::template::{BodyForm, Definition, Field, Says, Template, TemplateError, is_sound};

/// A format says little: more is some other file.
const FORMAT_BYTES_MAX: u64 = 64 * 1024;
/// The longest value of an option: ids and tokens are far shorter.
const OPTION_BYTES_MAX: usize = 1_024;

/// What only subscribers of a product's format have. `Debug` shows no secret.
#[derive(Clone, PartialEq)]
pub struct ProductConfig {
    /// With what the product signs, or its token; none where its URL is all that it gives.
    pub secret: Option<Secret>,
    /// What it needs beside: which chat, for instance.
    pub options: BTreeMap<String, Secret>,
    /// The language of the texts.
    pub lang: Language,
    /// What is said of a reply instead of the product's default.
    pub text: Option<Arc<Template>>,
    /// The subscriber's own requests: with `format = "template"`.
    pub definition: Option<Definition>,
}

impl Default for ProductConfig {
    fn default() -> Self {
        Self {
            secret: None,
            options: BTreeMap::new(),
            lang: Language::Zh,
            text: None,
            definition: None,
        }
    }
}

impl fmt::Debug for ProductConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProductConfig")
            .field("has_secret", &self.secret.is_some())
            .field("options", &self.options.keys())
            .field("lang", &self.lang)
            .field("has_template", &(self.text.is_some() || self.definition.is_some()))
            .finish()
    }
}

/// The format; one that nobody knows is reported with the nearest that there is. `folder` is what
/// the path of one of the user's own is relative to.
pub(super) fn format(
    section: &mut Section<'_, '_>,
    (formats, folder): (&Formats, &Path),
) -> Option<Format> {
    if !section.has("format") {
        section.read("format", Value::text);
        return Some(Format::STANDARD);
    }
    section.read("format", |value| {
        if let DeValue::Table(_) = value.toml() {
            return own_format(value, (formats, folder));
        }
        let text = value.text()?;
        Format::find(text, formats).ok_or_else(|| {
            let known: Vec<_> = Format::words(formats).map(|word| format!("\"{word}\"")).collect();
            let known = known.join(" or ");
            match nearest(text, Format::words(formats)) {
                Some(near) => {
                    value.fault(format_args!("did you mean \"{near}\"? It must be {known}"))
                }
                None => value.fault(format_args!("must be {known}")),
            }
        })
    })
}

/// A format of the user's own: `{ file = "PATH" }`.
fn own_format(value: &Value<'_>, (formats, folder): (&Formats, &Path)) -> Result<Format, Fault> {
    let must_be = || value.fault("must be a word, or { file = \"PATH\" }");
    let mut entries = value.entries()?;
    let (Some(("file", path)), None) = (entries.pop(), entries.pop()) else {
        return Err(must_be());
    };
    let path = path.text().map_err(|_| must_be())?;
    let unreadable = |error: &dyn fmt::Display| value.fault(format_args!("its file {error}"));
    let bytes = read_file(&folder.join(path), FORMAT_BYTES_MAX)
        .map_err(|error| unreadable(&format_args!("cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable(&"is not UTF-8"))?;
    let Some(read) = formats.iter().find_map(|facts| facts.read) else { return Err(must_be()) };
    let read = read(path, &text).map(Format::of);
    read.map_err(|error| unreadable(&format_args!("is wrong: {error}")))
}

/// The product's secret, if there is one.
pub(super) fn secret(section: &mut Section<'_, '_>, vault: &Vault<'_>) -> Option<Secret> {
    section.read("secret", |value| vault.open(value, Purpose::Text))
}

/// What is wrong with a URL that leads to this product.
pub(super) fn vet_url(
    section: &mut Section<'_, '_>,
    facts: &FormatFacts,
    (url, has_secret): (&Url, bool),
) {
    // A secret that is not read stands for a URL that nobody has seen.
    if url.host_str() == Some(PLACEHOLDER_HOST) {
        return;
    }
    if let Err(lacks) = (facts.url)(url, has_secret) {
        section.wrong("url", lacks);
    }
}

/// The options, each a secret or a number: some products want a token there.
pub(super) fn options(
    section: &mut Section<'_, '_>,
    facts: Option<&FormatFacts>,
    vault: &Vault<'_>,
) -> BTreeMap<String, Secret> {
    let known = facts.map_or(&[][..], |facts| facts.options);
    let entries = section.read("options", Value::entries);
    if entries.is_none() && section.has("options") {
        return BTreeMap::new();
    }
    let mut options = BTreeMap::new();
    for (name, value) in entries.unwrap_or_default() {
        let is_known =
            |option: &&OptionFacts| option.name == name || option.name == OptionFacts::ANY;
        let option = match known.iter().find(is_known) {
            Some(option) => {
                read_option(value.named(option.name), vault).map(|value| (name.to_owned(), value))
            }
            None => Err(unknown(&value, name, facts)),
        };
        options.extend(section.note(option));
    }
    for option in known.iter().filter(|option| option.is_required) {
        if !options.contains_key(option.name) {
            section.missing(&format!("options.{}", option.name), "missing");
        }
    }
    options
}

fn read_option(value: Value<'_>, vault: &Vault<'_>) -> Result<Secret, Fault> {
    let text: Secret = match value.toml() {
        DeValue::Integer(number) => number.to_string().into(),
        _ => vault.open(&value, Purpose::Text)?,
    };
    if text.expose_secret().len() > OPTION_BYTES_MAX {
        return Err(value.fault(format_args!("must be at most {OPTION_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// The key is not shown where it is near no other: it may be a value without its key.
fn unknown(value: &Value<'_>, name: &str, facts: Option<&FormatFacts>) -> Fault {
    let Some(facts) = facts else {
        return value.fault("are for chat products: format = \"standard\" has none");
    };
    let names: Vec<_> = facts.options.iter().map(|option| option.name).collect();
    let word = facts.word;
    match (nearest(name, names.iter().copied()), names.is_empty()) {
        (Some(near), _) => value.fault(format_args!("unknown key; did you mean {near}?")),
        (None, true) => {
            value.fault(format_args!("unknown key: format = \"{word}\" has no options"))
        }
        (None, false) => {
            value.fault(format_args!("unknown key: format = \"{word}\" has {}", names.join(", ")))
        }
    }
}

/// What `template` makes of a reply: a text of one's own in a product's message, or the whole
/// request. `headers` are the subscriber's own.
pub(super) fn template(
    section: &mut Section<'_, '_>,
    facts: Option<&FormatFacts>,
    headers: &[(String, Secret)],
    vault: &Vault<'_>,
) -> (Option<Arc<Template>>, Option<Definition>) {
    let own_form = form_of(headers);
    let is_own = facts.is_some_and(|facts| facts.word == FormatFacts::TEMPLATE);
    let found = section.read("template", |value| {
        let text = vault.open(value, Purpose::Text)?;
        let text = text.expose_secret();
        let template = Template::parse(text).map_err(|error| value.fault(in_words(&error)))?;
        let form = own_form.unwrap_or_else(|| BodyForm::of(text));
        match is_own && !is_sound(&template, form) {
            true => {
                Err(value.fault("is no JSON where its fields are filled in: put each in quotes"))
            }
            false => Ok((template, form)),
        }
    });
    let success = success(section.section("success", "[subscriber.success]"));
    if !is_own {
        section.wrong("success", "is for format = \"template\"");
    }
    match (facts, found) {
        (None, _) => {
            section.wrong("template", "is for chat products and format = \"template\"");
            (None, None)
        }
        (Some(_), None) => {
            if is_own && !section.has("template") {
                section.missing("template", "missing: it is the body that is sent");
            }
            (None, None)
        }
        (Some(_), Some((body, form))) if is_own => {
            let is_typed = own_form.is_some();
            let headers = Vec::new();
            let (cases, message) = (Vec::new(), None);
            (None, Some(Definition { body, form, headers, is_typed, success, cases, message }))
        }
        (Some(_), Some((text, _))) => {
            if text.fields().any(|field| matches!(field, Field::Secret | Field::Option(_))) {
                section.wrong("template", "asks for a secret, which nobody in the chat is to see");
            }
            (Some(Arc::new(text)), None)
        }
    }
}

/// The form that a header `content-type` names.
fn form_of(headers: &[(String, Secret)]) -> Option<BodyForm> {
    let (_, value) = headers.iter().find(|(name, _)| name == "content-type")?;
    let value = value.expose_secret().to_ascii_lowercase();
    Some(match value {
        _ if value.contains("json") => BodyForm::Json,
        _ if value.contains("x-www-form-urlencoded") => BodyForm::Form,
        _ => BodyForm::Text,
    })
}

/// The field that is wrong is not shown where it is near none: it may be anything.
fn in_words(error: &TemplateError) -> String {
    let near = match error {
        TemplateError::Unknown(name) => nearest(name, Field::names()),
        TemplateError::Unclosed => None,
    };
    match near {
        Some(near) => format!("{error}; did you mean {{{{ {near} }}}}?"),
        None => error.to_string(),
    }
}

fn success(mut section: Section<'_, '_>) -> Option<Says> {
    let pointer = section.read("json", |value| match value.text()? {
        text if text.starts_with('/') => Ok(text.to_owned()),
        _ => Err(value.fault("must be a place like /errcode")),
    });
    let equals = section.read("equals", |value| match value.toml() {
        DeValue::String(text) => Ok(Json::from(text.as_ref())),
        DeValue::Boolean(flag) => Ok(Json::from(*flag)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Json::from)
            .map_err(|_| value.fault("is too large")),
        _ => Err(value.fault("must be a string, a whole number, true or false")),
    });
    let text = section.read("text", |value| value.text().map(str::to_owned));
    if section.has("json") != section.has("equals") {
        section.missing("equals", "and json go together");
    }
    if section.has("json") {
        section.wrong("text", "and json are two ways to say it: give one");
    }
    section.finish();
    match (pointer, equals, text) {
        (Some(pointer), Some(equals), _) => Some(Says::Json { pointer, equals }),
        (_, _, text) => text.map(Says::Text),
    }
}

//! What a subscriber of a chat product's format has beside one of the webhook: the product's own
//! secret, its options, and the language of its texts.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use toml::de::DeValue;
use url::Url;

use super::format::{Format, FormatFacts, Formats};
use super::reader::{Section, Value};
use super::report::{Fault, nearest};
use super::secret::{PLACEHOLDER_HOST, Purpose, Vault};
use crate::language::Language;

/// The longest value of an option: ids and tokens are far shorter.
const OPTION_BYTES_MAX: usize = 1_024;

/// What only subscribers of a product's format have. `Debug` shows no secret.
#[derive(Clone)]
pub struct ProductConfig {
    /// With what the product signs, or its token; none where its URL is all that it gives.
    pub secret: Option<SecretString>,
    /// What it needs beside: which chat, for instance.
    pub options: BTreeMap<String, SecretString>,
    /// The language of the texts.
    pub lang: Language,
}

impl Default for ProductConfig {
    fn default() -> Self {
        Self { secret: None, options: BTreeMap::new(), lang: Language::Zh }
    }
}

impl fmt::Debug for ProductConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProductConfig")
            .field("has_secret", &self.secret.is_some())
            .field("options", &self.options.keys())
            .field("lang", &self.lang)
            .finish()
    }
}

/// The format; one that nobody knows is reported with the nearest that there is.
pub(super) fn format(section: &mut Section<'_, '_>, formats: &Formats) -> Option<Format> {
    if !section.has("format") {
        section.read("format", Value::text);
        return Some(Format::STANDARD);
    }
    section.read("format", |value| {
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

/// The product's secret, if there is one.
pub(super) fn secret(section: &mut Section<'_, '_>, vault: &Vault<'_>) -> Option<SecretString> {
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
) -> BTreeMap<String, SecretString> {
    let known = facts.map_or(&[][..], |facts| facts.options);
    let entries = section.read("options", Value::entries);
    if entries.is_none() && section.has("options") {
        return BTreeMap::new();
    }
    let mut options = BTreeMap::new();
    for (name, value) in entries.unwrap_or_default() {
        let option = match known.iter().find(|option| option.name == name) {
            Some(option) => read_option(value.named(option.name), vault)
                .map(|value| (option.name.to_owned(), value)),
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

fn read_option(value: Value<'_>, vault: &Vault<'_>) -> Result<SecretString, Fault> {
    let text: SecretString = match value.toml() {
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

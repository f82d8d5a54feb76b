//! Facts, and the words for them in both languages.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::language::Language;

/// Facts, and the words for them in both languages. The words may change; the facts are for
/// programs.
#[derive(Serialize, JsonSchema)]
pub struct Explained {
    /// The facts, by their names.
    #[serde(flatten)]
    facts: Map<String, Value>,
    /// In Chinese.
    zh: String,
    /// In English.
    en: String,
}

impl Explained {
    /// These facts, said in these words.
    #[must_use]
    pub fn new(facts: impl Serialize, words: impl Fn(Language) -> String) -> Self {
        let facts = match json!(facts) {
            Value::Object(facts) => facts,
            _ => Map::new(),
        };
        Self { facts, zh: words(Language::Zh), en: words(Language::En) }
    }

    /// One fact more.
    #[must_use]
    pub(super) fn and(mut self, name: &str, value: Value) -> Self {
        self.facts.insert(name.to_owned(), value);
        self
    }
}

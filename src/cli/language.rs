//! In which language a command explains.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::language::Language;

/// `--lang`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct LanguageArgument {
    /// The language of explanations; without it, the one of LC_ALL, LC_MESSAGES or LANG
    #[arg(long, value_name = "LANG", value_parser = parser())]
    lang: Option<Language>,
}

fn parser() -> impl TypedValueParser<Value = Language> {
    PossibleValuesParser::new(Language::WORDS.map(|(word, _)| word)).try_map(|given| {
        let known = Language::WORDS.into_iter().find(|(word, _)| *word == given);
        known.map(|(_, language)| language).ok_or("no such language")
    })
}

impl LanguageArgument {
    /// The language that was asked for, or that the locale speaks.
    pub(super) fn language(self) -> Language {
        self.lang.unwrap_or_else(|| of_locale(|name| std::env::var(name).ok()))
    }
}

/// The first of the three variables that says anything decides, as everywhere.
fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Language {
    let mut said = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable);
    let locale = said.find(|locale| !locale.is_empty());
    Language::of_locale(&locale.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_says_anything_decides() {
        for (all, messages, lang, expected) in [
            (None, None, None, Language::En),
            (None, None, Some("zh_CN.UTF-8"), Language::Zh),
            (None, Some("en_US.UTF-8"), Some("zh_CN.UTF-8"), Language::En),
            (Some(""), Some("zh_TW"), Some("C"), Language::Zh),
            (Some("C"), Some("zh_TW"), Some("zh_CN"), Language::En),
        ] {
            let variable = |name: &str| {
                let value = match name {
                    "LC_ALL" => all,
                    "LC_MESSAGES" => messages,
                    _ => lang,
                };
                value.map(str::to_owned)
            };
            assert_eq!(of_locale(variable), expected, "{all:?} {messages:?} {lang:?}");
        }
    }
}

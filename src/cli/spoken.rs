//! In which language a command explains.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::language::Language;

/// The argument that chooses a language.
#[derive(Debug, clap::Args)]
pub(super) struct Spoken {
    /// Explain in this language; else in that of LC_ALL, LC_MESSAGES or LANG
    #[arg(long, value_name = "LANGUAGE", value_parser = parser())]
    lang: Option<Language>,
}

fn parser() -> impl TypedValueParser<Value = Language> {
    PossibleValuesParser::new(Language::WORDS.map(|(word, _)| word)).try_map(|word| {
        let known = Language::WORDS.into_iter().find(|(known, _)| *known == word);
        known.map(|(_, language)| language).ok_or("no such language")
    })
}

impl Spoken {
    /// The language that was asked for, or else the locale's.
    pub(super) fn language(&self) -> Language {
        self.lang.unwrap_or_else(|| of_environment(|name| std::env::var(name).ok()))
    }
}

/// The language of the first of the locale's variables that says something, as POSIX has it.
fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Language {
    let said = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable);
    let mut said = said.filter(|locale| !locale.is_empty());
    said.next().map_or(Language::En, |locale| Language::of_locale(&locale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_says_something_counts() {
        for (variables, expected) in [
            (&[][..], Language::En),
            (&[("LANG", "zh_CN.UTF-8")], Language::Zh),
            (&[("LANG", "C")], Language::En),
            (&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")], Language::En),
            (&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "")], Language::Zh),
            (&[("LANG", "en_US.UTF-8"), ("LC_MESSAGES", "zh_TW")], Language::Zh),
            (&[("LC_MESSAGES", "zh_TW"), ("LC_ALL", "en_GB")], Language::En),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(of_environment(variable), expected, "{variables:?}");
        }
    }
}

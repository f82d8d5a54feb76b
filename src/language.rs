//! The two languages in which people are told things.

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
}

impl Language {
    /// Both and their words in the configuration, in JSON and on the command line.
    pub const WORDS: [(&str, Self); 2] = [("zh", Self::Zh), ("en", Self::En)];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.pick("zh", "en")
    }

    /// The language of a locale such as `zh_CN.UTF-8`: Chinese, or else English.
    #[must_use]
    pub fn of_locale(locale: &str) -> Self {
        if locale.starts_with("zh") { Self::Zh } else { Self::En }
    }

    /// The one of two texts that is in this language.
    #[must_use]
    pub fn pick<T>(self, zh: T, en: T) -> T {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

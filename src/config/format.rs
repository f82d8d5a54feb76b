//! Formats as the configuration knows them: their words, and what each needs of a subscriber.
//!
//! What a format makes of a reply is not known here: `delivery/target` hands its facts in.

use std::fmt;

use url::Url;

use super::RateLimit;

/// What the configuration has to know of a format beside the signed webhook.
pub struct FormatFacts {
    /// Its word: `format = "…"`.
    pub word: &'static str,
    /// What a URL lacks to be one of the product's, given whether there is a secret. What it says
    /// is shown, and must hold nothing of the URL.
    pub url: fn(&Url, bool) -> Result<(), &'static str>,
    /// The keys of `options`.
    pub options: &'static [OptionFacts],
    /// How many messages the product takes, where that is known.
    pub rate: Option<RateLimit>,
    /// Whether it tells people apart by their numbers, so that it cannot get them masked.
    pub needs_number: bool,
    /// What reads the formats that users bring; one of all has it.
    pub read: Option<ReadFormat>,
}

impl FormatFacts {
    /// The word of the format whose requests a subscriber makes itself.
    pub const TEMPLATE: &str = "template";
}

impl OptionFacts {
    /// A name for all: whatever a subscriber's own template asks for.
    pub const ANY: &str = "*";
}

/// One key of `options`.
pub struct OptionFacts {
    /// The key.
    pub name: &'static str,
    /// Whether it must be there.
    pub is_required: bool,
}

/// Every format but the webhook.
pub type Formats = [&'static FormatFacts];

/// Reads a format of a user's own, given the path by which it is called and what the file holds.
/// What is wrong with it is said without its values.
pub type ReadFormat = fn(&str, &str) -> Result<&'static FormatFacts, String>;

/// What a delivery looks like. `Debug` shows its word.
#[derive(Clone, Copy)]
pub struct Format(Option<&'static FormatFacts>);

impl Format {
    /// The event as JSON, signed by Standard Webhooks.
    pub const STANDARD: Self = Self(None);
    const STANDARD_WORD: &str = "standard";

    /// The format of a product.
    #[must_use]
    pub const fn of(facts: &'static FormatFacts) -> Self {
        Self(Some(facts))
    }

    /// What the configuration knows of it; none of the webhook.
    #[must_use]
    pub fn facts(self) -> Option<&'static FormatFacts> {
        self.0
    }

    /// Whether it is the signed webhook.
    #[must_use]
    pub fn is_standard(self) -> bool {
        self.0.is_none()
    }

    /// The format's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0.map_or(Self::STANDARD_WORD, |facts| facts.word)
    }

    /// The format that has this word.
    pub(super) fn find(word: &str, formats: &Formats) -> Option<Self> {
        if word == Self::STANDARD_WORD {
            return Some(Self::STANDARD);
        }
        formats.iter().find(|facts| facts.word == word).map(|facts| Self(Some(facts)))
    }

    /// Every word.
    pub(super) fn words(formats: &Formats) -> impl Iterator<Item = &'static str> {
        std::iter::once(Self::STANDARD_WORD).chain(formats.iter().map(|facts| facts.word))
    }
}

/// The same is only what was read as the same: a file of a user's own may have changed.
impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        match (self.0, other.0) {
            (Some(one), Some(other)) => std::ptr::eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! Patterns of numbers and of texts, kept as they were written.
//!
//! What is compared with them was typed by strangers, and every reply is: so both take time that
//! grows with the text and no faster, whatever the pattern.

use std::fmt;
use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// Bytes that a compiled expression may take: a list of thousands of words fits.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;
/// Characters of an expression: more is a list that belongs elsewhere.
const EXPRESSION_CHARACTERS_MAX: usize = 4096;
/// Characters of a glob: no number is as long.
const GLOB_CHARACTERS_MAX: usize = 64;

/// A pattern of a number: `*` is any characters, `?` one, and everything else itself. It may be
/// somebody's whole number, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    /// Checks a pattern of 1 to 64 characters.
    ///
    /// # Errors
    /// What is wrong with it, without the pattern.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if (1..=GLOB_CHARACTERS_MAX).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be a pattern of 1 to 64 characters like 139* or *00?")
        }
    }

    /// Whether the whole text is of this pattern.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut text) = (self.0.chars(), text.chars());
        // What follows the last star, and from where the text is tried again when that fails: an
        // earlier star need not take more, because the last one can.
        let mut retry = None;
        loop {
            let (mut pattern_rest, mut text_rest) = (pattern.clone(), text.clone());
            match (pattern_rest.next(), text_rest.next()) {
                (Some('*'), _) => {
                    retry = Some((pattern_rest.clone(), text.clone()));
                    pattern = pattern_rest;
                    continue;
                }
                (None, None) => return true,
                (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                    (pattern, text) = (pattern_rest, text_rest);
                    continue;
                }
                _ => {}
            }
            let Some((behind_star, mut taken)) = retry else { return false };
            if taken.next().is_none() {
                return false;
            }
            (pattern, text) = (behind_star.clone(), taken.clone());
            retry = Some((behind_star, taken));
        }
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Glob(…)")
    }
}

/// A regular expression that is looked for anywhere in a text, in time linear in the text.
///
/// It is compiled when it is first used: routes are read for every answer of a gateway, and most
/// answers bring nothing. It may hold a number, so `Debug` does not show it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Expression {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Expression {
    /// Checks and compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it, without the expression.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > EXPRESSION_CHARACTERS_MAX {
            return Err(format!("must be at most {EXPRESSION_CHARACTERS_MAX} characters"));
        }
        let compiled = compile(text).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "must be a smaller regular expression: this takes more than 1 MiB".to_owned()
            }
            error => {
                // The error quotes the expression; its last line says only what is wrong.
                let text = error.to_string();
                let (_, what) = text.rsplit_once("\nerror: ").unwrap_or_default();
                let colon = if what.is_empty() { "" } else { ": " };
                format!("not a regular expression like 退订|TD{colon}{what}")
            }
        })?;
        Ok(Self { text: text.to_owned(), compiled: OnceLock::from(Some(compiled)) })
    }

    /// Whether it is found in a text. One that a newer version kept and this cannot read is found
    /// everywhere: rather a reply too many than one lost.
    #[must_use]
    pub fn is_found_in(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| compile(&self.text).ok());
        compiled.as_ref().is_none_or(|compiled| compiled.is_match(text))
    }
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(COMPILED_BYTES_MAX).build()
}

impl From<String> for Expression {
    /// One that was checked when it was kept.
    fn from(text: String) -> Self {
        Self { text, compiled: OnceLock::new() }
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.text
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expression(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_texts() {
        for (pattern, matching, others) in [
            ("139*", &["139", "13900000001"][..], &["", "13", "213900000001"][..]),
            ("*00", &["00", "100", "0000"], &["0", "001"]),
            ("1?9", &["109", "1中9"], &["19", "1009"]),
            ("*", &["", "1"], &[]),
            ("?*", &["1", "12"], &[""]),
            ("1*2*3", &["123", "1x2x3", "1223123"], &["132", "1234"]),
            ("**1**", &["1", "010"], &["", "0"]),
            ("*1?", &["111", "012"], &["1", "0"]),
            ("13900000001", &["13900000001"], &["1390000000", "139000000011"]),
        ] {
            let glob = Glob::parse(pattern).unwrap();
            for text in matching {
                assert!(glob.matches(text), "{pattern} {text}");
            }
            for text in others {
                assert!(!glob.matches(text), "{pattern} {text}");
            }
        }
        let of = |length| Glob::parse(&"*".repeat(length)).is_ok();
        assert_eq!([0, 1, 64, 65].map(of), [false, true, true, false]);
    }

    /// Globs that try everything take exponential time here.
    #[test]
    fn a_glob_of_many_stars_is_no_trap() {
        let glob = Glob::parse(&"*1".repeat(32)).unwrap();
        assert!(!glob.matches(&("1".repeat(100_000) + "2")));
    }

    #[test]
    fn expressions_are_found_anywhere() {
        let found =
            |expression: &str, text| Expression::parse(expression).unwrap().is_found_in(text);
        assert!(found("退订|TD", "我要退订!") && found("退订|TD", "TD") && !found("退订|TD", "td"));
        assert!(found("(?i)td", "Td") && found("^TD$", "TD") && !found("^TD$", "TD "));
        assert!(found(r"\p{Han}{4}", "中国短信") && found(r"\d{6}", "1234567"));
        assert!(found("", "") && found("", "x"));
    }

    #[test]
    fn what_is_wrong_is_told_without_the_expression() {
        for (text, expected) in [
            ("CANARY(", "not a regular expression like 退订|TD: unclosed group"),
            (
                "(?=CANARY)",
                "not a regular expression like 退订|TD: look-around, including look-ahead and look-behind, is not supported",
            ),
            (
                "CANARY\nerror: CANARY[",
                "not a regular expression like 退订|TD: unclosed character class",
            ),
            (
                r"(?:\w{100}CANARY){100}",
                "must be a smaller regular expression: this takes more than 1 MiB",
            ),
            (&"C".repeat(4097), "must be at most 4096 characters"),
        ] {
            assert_eq!(Expression::parse(text).unwrap_err(), expected);
        }
        assert!(Expression::parse(&"订".repeat(4096)).is_ok());
    }

    /// Engines that try everything take exponential time here.
    #[test]
    fn an_expression_takes_linear_time() {
        let expression = Expression::parse("(a|aa)+$").unwrap();
        assert!(!expression.is_found_in(&("a".repeat(100_000) + "b")));
    }

    #[test]
    fn one_that_cannot_be_read_any_more_keeps_nothing_back() {
        let expression: Expression = serde_json::from_str("\"(\"").unwrap();
        assert!(expression.is_found_in("anything"));
    }

    #[test]
    fn debug_shows_no_pattern() {
        let expression = Expression::parse("13900000001").unwrap();
        let shown = format!("{:?} {expression:?}", Glob::parse("13900000001").unwrap());
        assert!(!shown.contains("139"), "{shown}");
    }
}

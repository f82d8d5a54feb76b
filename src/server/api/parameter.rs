//! What may stand in a query, a path or a header: one list for the check of it and for the document
//! that describes it. Pure.

use serde_json::{Value, json};

use super::page::{CURSOR_LETTERS_MAX, LIMIT_MAX};
use crate::config;
use crate::reply::Mobile;
use crate::time::{Day, Since, Until};

/// The longest text that is looked for.
const TEXT_LETTERS_MAX: usize = 500;

/// A parameter.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether it may be there several times.
    pub(super) many: bool,
    pub(super) about: &'static str,
}

/// A parameter that may be there once.
pub(super) const fn one(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, many: false, about }
}

/// A parameter that may be there several times.
pub(super) const fn many(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, many: true, about }
}

/// Which page of a list is wanted.
pub(super) const LIMIT: Parameter = one("limit", Kind::Limit, "How many at most. Fewer may come.");
pub(super) const CURSOR: Parameter =
    one("cursor", Kind::Cursor, "`next_cursor` of the page before, as it came.");

/// What a parameter holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// The name of an account or a subscriber.
    Name,
    /// Somebody's number.
    Mobile,
    /// Any text.
    Text,
    /// Since when.
    Since,
    /// Until when.
    Until,
    Day,
    /// One of these words.
    Word(&'static [&'static str]),
    Flag,
    Limit,
    Cursor,
    /// A number by which the store knows something.
    Number,
    /// Days, up to so many.
    Days(u16),
    /// The id of a reply or of another event.
    ReplyId,
    EventId,
    MessageId,
    /// A place in the stream of events.
    Place,
    /// What a client calls its wish to send.
    Key,
}

const TIME: &str = r"^([0-9]{1,9}(ms|s|m|h|d)|[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(_([01][0-9]|2[0-3])|T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2}))?)$";
const HEX_32: &str = "[0-9a-f]{32}$";

impl Kind {
    /// What JSON Schema says of it.
    pub(super) fn schema(self) -> Value {
        let pattern = |pattern: String| json!({ "type": "string", "pattern": pattern });
        match self {
            Self::Name => pattern("^[a-zA-Z0-9._-]{1,64}$".to_owned()),
            Self::Mobile => pattern(r"^\+?[0-9]{3,20}$".to_owned()),
            Self::Text => {
                json!({ "type": "string", "minLength": 1, "maxLength": TEXT_LETTERS_MAX })
            }
            Self::Since | Self::Until => json!({
                "type": "string",
                "pattern": TIME,
                "description": "A while ago (24h), a day (2008-05-27) or an hour (2008-05-27_12) in Beijing, or an instant (2008-05-27T12:10:11+08:00).",
            }),
            Self::Day => pattern("^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$".to_owned()),
            Self::Word(words) => json!({ "type": "string", "enum": words }),
            Self::Flag => json!({ "type": "boolean" }),
            Self::Limit => {
                json!({ "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": super::page::LIMIT_DEFAULT })
            }
            Self::Cursor => {
                json!({ "type": "string", "minLength": 1, "maxLength": CURSOR_LETTERS_MAX })
            }
            Self::Number => json!({ "type": "integer", "minimum": 1, "maximum": i64::MAX }),
            Self::Days(most) => json!({ "type": "integer", "minimum": 1, "maximum": most }),
            Self::ReplyId => pattern(format!("^rp[ln]_{HEX_32}")),
            Self::EventId => pattern(format!("^(rpl|rpn|evt)_{HEX_32}")),
            Self::MessageId => pattern(format!("^msg_{HEX_32}")),
            Self::Place => json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
            Self::Key => pattern("^[!-~]{8,128}$".to_owned()),
        }
    }

    /// What is wrong with a value, in words that do not repeat it.
    pub(super) fn check(self, value: &str) -> Result<(), String> {
        let in_range = |range: std::ops::RangeInclusive<i64>| {
            let plain = value.bytes().all(|byte| byte.is_ascii_digit());
            let number = value.parse::<i64>().ok().filter(|_| plain);
            number.is_some_and(|number| range.contains(&number))
        };
        let (is_right, expected) = match self {
            Self::Name => {
                (config::name(value).is_ok(), "1 to 64 letters of a-z A-Z 0-9 . _ -".to_owned())
            }
            Self::Mobile => (
                Mobile::parse(value).is_some(),
                "a number of 3 to 20 digits, perhaps behind a +".to_owned(),
            ),
            Self::Text => {
                let letters = value.chars().count();
                (
                    (1..=TEXT_LETTERS_MAX).contains(&letters),
                    format!("1 to {TEXT_LETTERS_MAX} letters"),
                )
            }
            Self::Since => (value.parse::<Since>().is_ok(), WHEN.to_owned()),
            Self::Until => (value.parse::<Until>().is_ok(), WHEN.to_owned()),
            Self::Day => (value.parse::<Day>().is_ok(), "a day like 2008-05-27".to_owned()),
            Self::Word(words) => (words.contains(&value), format!("one of {}", words.join(", "))),
            Self::Flag => (["true", "false"].contains(&value), "true or false".to_owned()),
            Self::Limit => {
                let most = i64::try_from(LIMIT_MAX).unwrap_or(i64::MAX);
                (in_range(1..=most), format!("a number from 1 to {LIMIT_MAX}"))
            }
            Self::Cursor => (
                (1..=CURSOR_LETTERS_MAX).contains(&value.chars().count()),
                "`next_cursor` of the page before".to_owned(),
            ),
            Self::Number => (in_range(1..=i64::MAX), "a number from 1 on".to_owned()),
            Self::Days(most) => {
                (in_range(1..=i64::from(most)), format!("a number from 1 to {most}"))
            }
            Self::ReplyId => {
                (is_id(value, &["rpl_", "rpn_"]), "rpl_ or rpn_ and 32 hex digits".to_owned())
            }
            Self::EventId => (
                is_id(value, &["rpl_", "rpn_", "evt_"]),
                "rpl_, rpn_ or evt_ and 32 hex digits".to_owned(),
            ),
            Self::MessageId => (is_id(value, &["msg_"]), "msg_ and 32 hex digits".to_owned()),
            Self::Place => {
                (in_range(0..=i64::MAX), "the id of an event of the stream, or 0".to_owned())
            }
            Self::Key => (
                (8..=128).contains(&value.len())
                    && value.bytes().all(|byte| byte.is_ascii_graphic()),
                "8 to 128 visible ASCII letters, such as a UUID".to_owned(),
            ),
        };
        if is_right { Ok(()) } else { Err(format!("must be {expected}")) }
    }
}

const WHEN: &str = "a while ago (24h), a day (2008-05-27), an hour (2008-05-27_12) or an instant (2008-05-27T12:10:11+08:00)";

fn is_id(value: &str, prefixes: &[&str]) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let digits = prefixes.iter().find_map(|prefix| value.strip_prefix(prefix));
    digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(is_hex))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_right_or_said_what_they_must_be() {
        let id = "0123456789abcdef0123456789abcdef";
        for (kind, right, wrong) in [
            (Kind::Name, "a.B_-9", "a b"),
            (Kind::Mobile, "+8613900000001", "139-0000"),
            (Kind::Text, "退订", ""),
            (Kind::Since, "24h", "yesterday"),
            (Kind::Until, "2008-05-27T12:10:11+08:00", "2008-05-27T12:10"),
            (Kind::Day, "2008-02-29", "2009-02-29"),
            (Kind::Word(&["a", "b"]), "b", "c"),
            (Kind::Flag, "true", "1"),
            (Kind::Limit, "500", "501"),
            (Kind::Limit, "1", "0"),
            (Kind::Cursor, "abc", ""),
            (Kind::Number, "17", "-1"),
            (Kind::Number, "9223372036854775807", "9223372036854775808"),
            (Kind::Number, "1", "+1"),
            (Kind::Days(62), "62", "63"),
            (Kind::ReplyId, &format!("rpn_{id}"), "rpl_0123"),
            (Kind::EventId, &format!("evt_{id}"), &format!("evt_{}", id.to_uppercase())),
            (Kind::MessageId, &format!("msg_{id}"), &format!("rpl_{id}")),
            (Kind::Place, "0", "x"),
            (Kind::Key, "8f14e45f-ceea", "short"),
            (Kind::Key, "8f14e45f-ceea", "with a blank"),
        ] {
            if !right.contains(' ') {
                assert_eq!(kind.check(right), Ok(()), "{kind:?} {right}");
            }
            let said = kind.check(wrong).unwrap_err();
            assert!(said.starts_with("must be ") && !said.contains("-0000"), "{said}");
        }
    }
}

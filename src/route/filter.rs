//! `match`: which replies a subscriber wants, by what is in them.

use serde::{Deserialize, Serialize};

use super::pattern::{Expression, Glob};
use crate::reply::Reply;

/// What a reply must be for a subscriber to get it: all that is given. Of several patterns of one
/// thing, one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Of these patterns is the number that it came from; none means any number.
    pub from: Vec<Glob>,
    /// This is found in what was typed.
    pub content: Option<Expression>,
    /// Of these patterns is the gateway number; none means any.
    pub gateway: Vec<Glob>,
    /// Of these patterns is the extension; none means any. A reply without an extension, or
    /// whose extension is not known, is of no pattern.
    pub extension: Vec<Glob>,
}

impl Filter {
    /// Whether it lets every reply through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a reply is what is wanted.
    #[must_use]
    pub fn admits(&self, reply: &Reply) -> bool {
        is_of_one(&self.from, Some(reply.mobile.as_str()))
            && is_of_one(&self.gateway, Some(&reply.gateway))
            && is_of_one(&self.extension, reply.extension.as_deref())
            && self.content.as_ref().is_none_or(|content| content.is_found_in(&reply.content))
    }
}

fn is_of_one(globs: &[Glob], text: Option<&str>) -> bool {
    globs.is_empty() || text.is_some_and(|text| globs.iter().any(|glob| glob.matches(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::{Fingerprint, IdKey, Mobile};

    fn reply(from: &str, content: &str, gateway: &str, extension: Option<&str>) -> Reply {
        let mobile = Mobile::parse(from).unwrap();
        let replied_at = "2008-05-27 12:10:11".parse().unwrap();
        let of = Fingerprint { account: "main", mobile: &mobile, replied_at, content: b"" };
        Reply {
            id: IdKey::from_secret(b"a key").reply_id(of, 1),
            account: "main".into(),
            content: content.into(),
            content_raw: None,
            gateway: gateway.into(),
            occurrence: 1,
            suspect: None,
            extension: extension.map(Into::into),
            in_reply_to: None,
            replied_at,
            mobile: mobile.clone(),
        }
    }

    #[test]
    fn all_that_is_given_must_be_so() {
        let globs = |patterns: &[&str]| {
            patterns.iter().map(|pattern| Glob::parse(pattern).unwrap()).collect::<Vec<_>>()
        };
        let all = Filter {
            from: globs(&["138*", "139*"]),
            content: Some(Expression::parse("退订|TD").unwrap()),
            gateway: globs(&["1069*"]),
            extension: globs(&["8?"]),
        };
        let fits = reply("+8613900000001", "TD", "106981", Some("81"));
        assert!(all.admits(&fits) && Filter::default().admits(&fits));
        for other in [
            reply("13700000001", "TD", "106981", Some("81")),
            reply("13900000001", "td", "106981", Some("81")),
            reply("13900000001", "TD", "106881", Some("81")),
            reply("13900000001", "TD", "106981", Some("9")),
            reply("13900000001", "TD", "106981", None),
        ] {
            assert!(!all.admits(&other) && Filter::default().admits(&other), "{other:?}");
        }
        let any_extension = Filter { extension: globs(&["*"]), ..Filter::default() };
        assert!(!any_extension.admits(&reply("13900000001", "", "1069", None)));
    }

    #[test]
    fn it_is_kept_as_it_was_written() {
        let written = r#"{"from":["139*"],"content":"退订|TD","gateway":[],"extension":["8?"]}"#;
        let filter: Filter = serde_json::from_str(written).unwrap();
        assert_eq!(serde_json::to_string(&filter).unwrap(), written);
        assert!(!filter.is_empty() && serde_json::from_str::<Filter>("{}").unwrap().is_empty());
    }
}

//! The text of a new configuration: that of every key and its explanation, in which the keys that
//! were chosen are set and the others are left to their defaults, behind a `# `.
//!
//! It knows how the example is written and nothing of what its keys mean.

/// What stands above everything else, in the place of the example's own words.
const HEAD: &str = "\
# replyd's configuration, written by `replyd init`. Every key stands here: what was chosen is set,
# and what stands behind a \"# \" is the value that a key has when it is left out.
";
/// Where the example's own words end: what follows is true of every configuration.
const COMMON: &str = "# `replyd check`";

/// A key that is set: its section as it is written in the file, its name, its value as TOML.
pub(super) type Set<'a> = ((&'a str, &'a str), String);

/// The configuration in which these keys are set.
pub(super) fn filled(example: &str, set: &[Set<'_>]) -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for line in example.lines().skip_while(|line| !line.starts_with(COMMON)) {
        if line.starts_with('[') {
            section = line.trim_end();
        }
        let key = line.split_once(" = ").map(|(key, _)| key).filter(|key| is_key(key));
        let value = key.and_then(|key| set.iter().find(|(of, _)| *of == (section, key)));
        match (key, value) {
            (Some(key), Some((_, value))) => text += &format!("{key} = {value}"),
            (Some(_), None) => text += &format!("# {line}"),
            (None, _) => text += line,
        }
        text.push('\n');
    }
    text
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
}

/// A text as a TOML string.
pub(super) fn quoted(text: &str) -> String {
    // JSON's escapes are TOML's too, but for one character that JSON leaves as it is.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, EXAMPLE, Secrets};
    use crate::delivery::target;

    #[test]
    fn every_key_stands_there_and_only_what_was_chosen_is_set() {
        let set = [
            (("[server]", "listen"), quoted("127.0.0.1:0")),
            (("[[account]]", "name"), quoted("one")),
            (("[[account]]", "base_url"), quoted("http://127.0.0.1:1")),
            (("[[account]]", "uid"), quoted("a\"b\\c好")),
            (("[[account]]", "password"), quoted("word")),
            (("[[subscriber]]", "name"), quoted("two")),
            (("[[subscriber]]", "url"), quoted("https://example.com/")),
            (("[[subscriber]]", "secret"), r#"{ file = "two.secret" }"#.to_owned()),
        ];
        let text = filled(EXAMPLE, &set);
        let config =
            Config::parse(&text, Path::new("config.toml"), (&Secrets::Skip, target::formats()))
                .unwrap();
        assert_eq!((config.accounts.len(), config.subscribers.len()), (1, 1));
        assert_eq!(config.accounts[0].uid, "a\"b\\c好");
        assert_eq!(config.subscribers[0].name, "two");
        let keys = |text: &str| {
            let key = |line: &str| {
                let line = line.strip_prefix("# ").unwrap_or(line);
                let (key, _) = line.split_once(" = ")?;
                is_key(key).then(|| key.to_owned())
            };
            text.lines().filter_map(key).collect::<Vec<_>>()
        };
        assert_eq!(keys(&text), keys(EXAMPLE));
        let is_set = |line: &&str| line.contains(" = ") && !line.starts_with('#');
        assert_eq!(text.lines().filter(is_set).count(), set.len(), "{text}");
        assert!(text.starts_with(HEAD) && text.contains("# `replyd check` tells everything"));
    }

    #[test]
    fn a_string_reads_back_as_it_was() {
        for text in ["", "a b", "\"\\\n\t\r\u{0}\u{1b}\u{7f}'", "好\u{202e}😀"] {
            let document = format!("a = {}", quoted(text));
            let table = toml::de::DeTable::parse(&document).unwrap();
            let found = table.get_ref().get("a").unwrap().get_ref().as_str().map(str::to_owned);
            assert_eq!(found.as_deref(), Some(text));
        }
    }
}

//! Products that users bring themselves: files of the same kind as the presets, named by
//! `format = { file = "PATH" }`.
//!
//! What was read once is kept for as long as the process lives, like the presets, so that a format
//! is a reference to it; a file that is read again unchanged is not kept again.

use std::sync::{Mutex, PoisonError};

use crate::config::FormatFacts;
use crate::delivery::target::{Target, preset};

/// What was read, by path and text; the last read of a path stands last.
static READ: Mutex<Vec<(String, String, &'static Target)>> = Mutex::new(Vec::new());
/// Headers that delivery sets, or that would break the request's framing.
const RESERVED: [&str; 6] =
    ["content-type", "content-length", "host", "user-agent", "transfer-encoding", "connection"];

fn locked<T>(look: impl FnOnce(&mut Vec<(String, String, &'static Target)>) -> T) -> T {
    look(&mut READ.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Reads a product from the text of the file that has this path.
///
/// # Errors
/// What is wrong with it, without its values.
pub(super) fn read(path: &str, text: &str) -> Result<&'static FormatFacts, String> {
    let known = |read: &mut Vec<(String, String, &'static Target)>| {
        let at = read.iter().position(|(of, held, _)| of == path && held == text)?;
        let found = read.remove(at);
        let target = found.2;
        read.push(found);
        Some(target)
    };
    if let Some(target) = locked(known) {
        return Ok(&target.facts);
    }
    let target = preset::read(path.to_owned().leak(), text)?;
    vet_headers(&target)?;
    let target: &'static Target = Box::leak(Box::new(target));
    locked(|read| read.push((path.to_owned(), text.to_owned(), target)));
    Ok(&target.facts)
}

fn vet_headers(target: &Target) -> Result<(), String> {
    let headers = target.definition.iter().flat_map(|definition| &definition.headers);
    for (name, _) in headers {
        let is_ours = name.starts_with("webhook-") || name.starts_with("replyd-");
        if RESERVED.contains(name) || is_ours {
            return Err(format!("the header {name} is reserved: replyd sets it"));
        }
    }
    Ok(())
}

/// The product that has these facts.
pub(super) fn of(facts: &FormatFacts) -> Option<&'static Target> {
    locked(|read| {
        let found = read.iter().find(|(_, _, target)| std::ptr::eq(&target.facts, facts));
        found.map(|(_, _, target)| *target)
    })
}

/// The product that was read last from the file that has this path.
pub(super) fn named(path: &str) -> Option<&'static Target> {
    locked(|read| {
        let found = read.iter().rev().find(|(of, _, _)| of == path);
        found.map(|(_, _, target)| *target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Format;

    const FILE: &str = r#"{"name":["甲","Acme"],"form":"json","body":{"text":"{{ text }}"},"max":{"bytes":100},"success":{"json":"/ok","equals":true}}"#;

    #[test]
    fn a_file_is_read_once_for_each_text_and_found_by_its_path() {
        let first = read("acme.json", FILE).unwrap();
        assert!(std::ptr::eq(first, read("acme.json", FILE).unwrap()));
        let other = read("acme.json", &FILE.replace("100", "200")).unwrap();
        assert!(!std::ptr::eq(first, other));
        assert_ne!(Format::of(first), Format::of(other), "a changed file is another format");
        assert_eq!(named("acme.json").unwrap().rules.max, 200);
        assert_eq!(of(first).unwrap().rules.max, 100);
        read("acme.json", FILE).unwrap();
        assert_eq!(named("acme.json").unwrap().rules.max, 100, "the last that was read");
        assert!(named("other.json").is_none());
    }

    #[test]
    fn what_is_wrong_is_said_without_values() {
        for (text, expected) in [
            ("t0ken", "is no JSON at line 1 column 2"),
            ("{}", "missing field `name` at line 1 column 2"),
            (&FILE.replace("100", "\"t0ken\""), "a value is of the wrong kind at line 1 column 88"),
            (&FILE.replace("\"json\",", "\"t0ken\","), "no form"),
            (&FILE.replace("\"max\"", "\"mx\":1,\"max\""), "unknown field `mx`"),
            (&FILE.replace("{{ text }}", "{{ txt }}"), "asks for a field that there is not"),
            (
                &FILE.replace("\"max\"", "\"headers\":{\"Host\":\"a\"},\"max\""),
                "a header's name is of a-z",
            ),
            (
                &FILE.replace("\"max\"", "\"headers\":{\"host\":\"a\"},\"max\""),
                "the header host is reserved",
            ),
            (
                &FILE.replace("\"max\"", "\"cases\":[{\"means\":\"gone\"}],\"max\""),
                "a case has status",
            ),
            (
                &FILE.replace("\"max\"", "\"cases\":[{\"status\":404,\"means\":\"done\"}],\"max\""),
                "means is throttled, refused or gone",
            ),
        ] {
            let error = read("wrong.json", text).err().unwrap_or_default();
            assert!(error.contains(expected) && !error.contains("t0ken"), "{text}: {error}");
        }
    }
}

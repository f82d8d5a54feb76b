//! The names of accounts and subscribers: unique, and safe in paths, labels and terminals.

use std::collections::BTreeMap;

use super::reader::Section;

const NAME_BYTES_MAX: usize = 64;

/// The names of one kind of section, with the places of their first use.
#[derive(Default)]
pub(super) struct Names(BTreeMap<String, usize>);

impl Names {
    /// Reads the section's name, by which messages call it from then on.
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) -> Option<String> {
        let (name, at) = section.required("name", |value| {
            let name = value.parse(name)?;
            Ok((name, value.at()))
        })?;
        section.call(&name);
        if let Some(first) = self.0.get(&name) {
            let line = section.line(*first);
            section.wrong("name", &format!("is taken by the one of line {line}"));
        } else {
            self.0.insert(name.clone(), at);
        }
        Some(name)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// A name, or what is wrong with it.
///
/// # Errors
/// What a name must be.
pub fn name(text: &str) -> Result<String, &'static str> {
    let is_of_alphabet =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_of_alphabet) {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 64 characters of a-z A-Z 0-9 . _ -")
    }
}

//! Collects what is wrong while the sections are read.
//!
//! A file that is not TOML is still read as far as it can be understood, so that its other
//! problems are told too. What is missing from such a file may have been lost with the broken
//! line, so absences are not told then; nor is anything that stands on a broken line.

use std::collections::BTreeSet;

use super::error::{Place, Problem};

/// More problems than this are counted and not listed: a file of another kind altogether would
/// give one for every line.
const PROBLEMS_MAX: usize = 100;
/// An unknown key longer than this, or of other characters than a bare key has, is not shown:
/// it may be a secret that lost its quotes.
const SHOWN_KEY_BYTES_MAX: usize = 40;
/// Shorter parts of a name are parts of many.
const PART_BYTES_MIN: usize = 4;

/// Something wrong at a byte of the file.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) key: String,
    pub(super) message: String,
}

/// A key that no section asked for. What it may have meant is known only when all are read.
struct Unknown<'d> {
    at: usize,
    prefix: String,
    key: &'d str,
    known: Vec<&'static str>,
}

/// The problems found so far, and the keys that were asked for.
pub(super) struct Report<'d> {
    lines: Lines<'d>,
    broken: Vec<(usize, usize)>,
    problems: Vec<Problem>,
    unknown: Vec<Unknown<'d>>,
    omitted: usize,
    asked: BTreeSet<(&'static str, &'static str)>,
}

impl<'d> Report<'d> {
    pub(super) fn new(text: &'d str) -> Self {
        Self {
            lines: Lines::new(text),
            broken: Vec::new(),
            problems: Vec::new(),
            unknown: Vec::new(),
            omitted: 0,
            asked: BTreeSet::new(),
        }
    }

    /// A place where the file is not TOML. The parser's own rendering would quote the line; its
    /// message names only what was expected.
    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let span = error.span();
        if let Some(span) = &span {
            self.broken.push((self.lines.line(span.start), self.lines.line(span.end)));
        }
        let place = span.map(|span| self.lines.place(span.start));
        self.push(place, String::new(), format!("not TOML: {}", error.message()));
    }

    /// A value that cannot be used.
    pub(super) fn fault(&mut self, fault: Fault) {
        let line = self.lines.line(fault.at);
        if !self.broken.iter().any(|(first, last)| (*first..=*last).contains(&line)) {
            self.push(Some(self.lines.place(fault.at)), fault.key, fault.message);
        }
    }

    /// Something that is not there.
    pub(super) fn absence(&mut self, fault: Fault) {
        if self.broken.is_empty() {
            self.fault(fault);
        }
    }

    /// Something that the file as a whole lacks.
    pub(super) fn absence_in_file(&mut self, message: &str) {
        if self.broken.is_empty() {
            self.push(None, String::new(), message.to_owned());
        }
    }

    /// The keys of one section: those that its reader asked for, and those that nobody took.
    pub(super) fn keys(
        &mut self,
        (kind, prefix): (&'static str, &str),
        known: &[&'static str],
        found: impl Iterator<Item = (usize, &'d str)>,
    ) {
        self.asked.extend(known.iter().map(|key| (kind, *key)));
        for (at, key) in found.filter(|(_, key)| !known.contains(key)) {
            if self.unknown.len() < PROBLEMS_MAX {
                let (prefix, known) = (prefix.to_owned(), known.to_vec());
                self.unknown.push(Unknown { at, prefix, key, known });
            } else {
                self.omitted += 1;
            }
        }
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.lines.line(at)
    }

    /// Every key that some reader asked for, with the section as it is written in the file.
    #[cfg(test)]
    pub(super) fn asked(&self) -> &BTreeSet<(&'static str, &'static str)> {
        &self.asked
    }

    /// All problems in the order of the file, and how many more there were.
    pub(super) fn finish(mut self) -> (Vec<Problem>, usize) {
        for unknown in std::mem::take(&mut self.unknown) {
            let hint = self.hint(&unknown);
            // Pieces of a broken line can look like keys, and be pieces of a secret; and after a
            // broken header, keys stand in another section.
            if hint.is_none() && !self.broken.is_empty() {
                continue;
            }
            let message = format!("unknown key{}", hint.unwrap_or_default());
            let shown = if may_be_shown(unknown.key) { unknown.key } else { "" };
            let key = format!("{}{shown}", unknown.prefix);
            let key = key.trim_end_matches([':', ' ', '.']).to_owned();
            self.fault(Fault { at: unknown.at, key, message });
        }
        self.problems.sort_by_key(|problem| problem.place);
        (self.problems, self.omitted)
    }

    /// What an unknown key probably is: a key of another section, or one mistyped.
    fn hint(&self, unknown: &Unknown<'d>) -> Option<String> {
        let elsewhere: Vec<&str> = self
            .asked
            .iter()
            .filter(|(_, key)| *key == unknown.key)
            .map(|(kind, _)| if kind.is_empty() { "the top of the file" } else { *kind })
            .collect();
        if !elsewhere.is_empty() && self.broken.is_empty() {
            return Some(format!(" here; it belongs in {}", elsewhere.join(" or ")));
        }
        let near = nearest(unknown.key, unknown.known.iter().copied())?;
        Some(format!("; did you mean {near}?"))
    }

    fn push(&mut self, place: Option<Place>, key: String, message: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { place, key, message });
        } else {
            self.omitted += 1;
        }
    }
}

fn may_be_shown(key: &str) -> bool {
    key.len() <= SHOWN_KEY_BYTES_MAX
        && !key.starts_with("whsec_")
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The known name that a mistyped one is nearest to, when it is near at all: a third of its
/// characters may be wrong, or it is a longer name shortened.
pub(super) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    if name.len() > SHOWN_KEY_BYTES_MAX {
        return None;
    }
    let is_part = |candidate: &str| name.len() >= PART_BYTES_MIN && candidate.contains(name);
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1) || is_part(known))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Finds the line and column of a byte.
pub(super) struct Lines<'d> {
    text: &'d str,
    starts: Vec<usize>,
}

impl<'d> Lines<'d> {
    pub(super) fn new(text: &'d str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    pub(super) fn place(&self, at: usize) -> Place {
        let line = self.line(at);
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).unwrap_or(&0);
        let before = self.text.get(*start..at).map_or(0, |before| before.chars().count());
        Place { line, column: before + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let lines = Lines::new("a = 1\n中国 = 2\r\n\nlast");
        for (at, line, column) in
            [(0, 1, 1), (4, 1, 5), (6, 2, 1), (12, 2, 3), (19, 4, 1), (23, 4, 5)]
        {
            assert_eq!(lines.place(at), Place { line, column }, "{at}");
        }
    }

    #[test]
    fn only_near_names_are_proposed() {
        let known = ["min_interval", "timeout", "uid", "url"];
        for (name, near) in [
            ("mininterval", Some("min_interval")),
            ("interval", Some("min_interval")),
            ("tiemout", Some("timeout")),
            ("udi", Some("uid")),
            ("ur", Some("url")),
            ("password", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known.into_iter()), near, "{name}");
        }
    }
}

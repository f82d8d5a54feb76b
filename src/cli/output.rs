//! Where commands write: data to stdout, talk to stderr.
//!
//! A reader that has gone (`replyd … | head`) is no error of the command.

use std::io::Write;

/// Writes a line of data.
pub(super) fn data(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// Writes a line of talk.
pub(super) fn talk(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// A count and its noun: `1 reply`, `2 replies`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

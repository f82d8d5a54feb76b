//! Where commands write: data to stdout, talk to stderr.
//!
//! A reader that has gone (`replyd … | head`) is no error of the command.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::time::format_duration;

/// Writes a line of data.
pub(super) fn data(line: &str) {
    drop(writeln!(io::stdout(), "{line}"));
}

/// Writes bytes of data as they are, all of them.
pub(super) fn bytes(bytes: &[u8]) -> io::Result<()> {
    all_of(bytes).map(drop)
}

/// The same; says whether somebody still reads, and wants more.
pub(super) fn all_of(bytes: &[u8]) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        done => done.map(|()| true),
    }
}

/// Writes a line of JSON, in which whatever is not simply seen is escaped: it may stand on a
/// terminal, and it reads back as it was.
pub(super) fn json(value: &serde_json::Value) {
    data(&escaped(&value.to_string()));
}

/// JSON in which whatever is not simply seen is escaped.
pub(super) fn escaped(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for letter in json.chars() {
        // Such letters stand inside of strings alone.
        if is_seen(letter) {
            line.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    line
}

/// Whether a letter is simply seen: no control character, no mark that changes its neighbours
/// or their order.
pub(super) fn is_seen(letter: char) -> bool {
    // Quotes and backslash are seen; the blank of Chinese text is but a wide one.
    matches!(letter, '"' | '\'' | '\\' | '\u{3000}') || letter.escape_debug().len() == 1
}

/// Writes talk, in one line or more. What is not simply seen is written out: it may name what a
/// stranger, or a file, made up.
pub(super) fn talk(lines: &str) {
    drop(writeln!(io::stderr(), "{}", written_out(lines)));
}

fn written_out(lines: &str) -> String {
    let mut written = String::with_capacity(lines.len());
    for letter in lines.chars() {
        if letter == '\n' || is_seen(letter) {
            written.push(letter);
        } else {
            written.extend(letter.escape_debug());
        }
    }
    written
}

/// Writes a question, to be answered on its line.
pub(super) fn ask(question: &str) {
    let mut out = io::stderr().lock();
    drop(write!(out, "{question}").and_then(|()| out.flush()));
}

/// A count and its noun: `1 reply`, `2 replies`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// What there is, or a dash.
pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A span in its largest unit: what a list has room for.
pub(super) fn short(span: Duration) -> String {
    const UNITS: [u64; 3] = [86_400, 3_600, 60];
    let seconds = span.as_secs().max(1);
    let unit = UNITS.into_iter().find(|unit| seconds >= *unit).unwrap_or(1);
    format_duration(Duration::from_secs(seconds / unit * unit))
}

/// How many columns the terminal has to which data goes; none where that is no terminal.
pub(super) fn columns() -> Option<usize> {
    let stdout = io::stdout();
    let size = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok())??;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Whether data may be coloured: on a terminal, where `NO_COLOR` is not set.
pub(super) fn is_coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A text as a shell takes it back as one word.
pub(super) fn shell(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/@%+=,".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_reads_back_and_steers_no_terminal() {
        let text = "好\u{3000}\"\\\n\u{1b}[2J\u{7f}\u{9b}31m\u{202e}\u{feff}😀\u{e0001}";
        let value = serde_json::json!({ "content": text });
        let line = escaped(&value.to_string());
        let expected = concat!(
            "{\"content\":\"好\u{3000}",
            r#"\"\\\n\u001b[2J\u007f\u009b31m\u202e\ufeff😀\udb40\udc01"}"#
        );
        assert_eq!(line, expected);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }

    #[test]
    fn talk_keeps_its_lines_and_steers_no_terminal() {
        let shown = written_out("a → 好\n\"b\" \\\u{1b}[2J\r\t\u{202e}");
        assert_eq!(shown, "a → 好\n\"b\" \\\\u{1b}[2J\\r\\t\\u{202e}");
    }

    #[test]
    fn a_list_has_room_for_one_unit() {
        for (seconds, expected) in
            [(0, "1s"), (59, "59s"), (61, "1m"), (3_599, "59m"), (93_000, "1d"), (172_800, "2d")]
        {
            assert_eq!(short(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_shell_takes_a_word_back_as_it_was() {
        for (text, expected) in
            [("9999", "9999"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'")]
        {
            assert_eq!(shell(text), expected);
        }
    }
}

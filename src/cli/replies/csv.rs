//! Rows for spreadsheets, none of whose cells a spreadsheet executes or reads as a number.
//!
//! What customers type is hostile: a cell that begins with `=` is a formula, wherever it came from.
//! Such a cell gets an apostrophe before it, which makes it text; so do numbers that people are
//! called by, which would lose their zeros or their last digits. A formula may hide behind blanks
//! and quotes, and in the middle of a cell where another separator than the comma is taken for one.
//! So this form is for looking at; JSON lines have every text exactly as it was typed.

/// What a cell holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    /// A text of anybody's.
    Text(&'a str),
    /// A telephone number, or a part of one: text, though all of it is digits.
    Number(&'a str),
}

/// How formulas begin, in narrow and in wide letters: Chinese spreadsheets take both.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// What some spreadsheets end a cell at, though it stands in quotes: where the comma is not their
/// separator they see no quotes.
const MAY_END_CELL: [char; 3] = [';', '\t', '\n'];

/// Writes a row behind `out`, as RFC 4180 has it.
pub(super) fn row(out: &mut String, cells: &[Cell<'_>]) {
    for (number, cell) in cells.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        let text = match cell {
            Cell::Text(text) => harmless(text),
            Cell::Number("") => String::new(),
            Cell::Number(text) => format!("'{}", harmless(text).trim_start_matches('\'')),
        };
        if text.contains([',', '"', '\n', ';', '\t', '\'', ' ']) {
            out.push('"');
            out.push_str(&text.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&text);
        }
    }
    out.push_str("\r\n");
}

/// The text with line ends as `\n`, marks that steer a terminal or turn the order of letters round
/// written out, and an apostrophe before whatever may be taken for a formula.
fn harmless(text: &str) -> String {
    let mut seen = String::with_capacity(text.len() + 1);
    for letter in text.replace("\r\n", "\n").replace('\r', "\n").chars() {
        if is_steering(letter) {
            seen.extend(letter.escape_unicode());
        } else {
            seen.push(letter);
        }
    }
    let mut safe = String::with_capacity(seen.len() + 1);
    let mut is_start = true;
    for (at, letter) in seen.char_indices() {
        let rest = seen.get(at..).unwrap_or_default();
        if is_start && (letter == '\t' || letter == '\n' || is_formula(rest)) {
            safe.push('\'');
        }
        safe.push(letter);
        is_start = MAY_END_CELL.contains(&letter)
            && is_formula(rest.get(letter.len_utf8()..).unwrap_or_default());
    }
    safe
}

/// Whether this may be taken for a formula, once what may be left out before it is left out.
fn is_formula(text: &str) -> bool {
    let is_left_out = |letter: char| {
        letter.is_whitespace()
            || matches!(letter, '"' | '\'' | '`' | '“' | '”' | '‘' | '’' | '\u{200b}' | '\u{feff}')
    };
    text.trim_start_matches(is_left_out).starts_with(FORMULA)
}

/// Control characters, and the marks that turn the order of letters round.
fn is_steering(letter: char) -> bool {
    letter.is_control() && !matches!(letter, '\n' | '\t')
        || matches!(letter,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(cell: Cell<'_>, expected: &str) {
        let mut line = String::new();
        row(&mut line, &[cell]);
        assert_eq!(line, format!("{expected}\r\n"), "{cell:?}");
    }

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        for text in ["", "好的", "TD", "1+1=2", "a-b", "http://example.com/?a=b", "C:\\new", "❤️"]
        {
            check(Cell::Text(text), text);
        }
        check(Cell::Text("a, b"), "\"a, b\"");
        check(Cell::Text("他说\"好\""), "\"他说\"\"好\"\"\"");
        check(Cell::Text("a\r\nb\rc"), "\"a\nb\nc\"");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (text, expected) in [
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("＝1", "\"'＝1\""),
            ("\t=1", "\"'\t'=1\""),
            ("\tok", "\"'\tok\""),
            ("\r\nok", "\"'\nok\""),
            ("  =1", "\"'  =1\""),
            ("\"=1", "\"'\"\"=1\""),
            (" \" ' =1", "\"' \"\" ' =1\""),
            ("\u{feff}=1", "\"'\u{feff}=1\""),
            ("a;=1", "\"a;'=1\""),
            ("a\n =1", "\"a\n' =1\""),
            ("a;b\t-c", "\"a;b\t'-c\""),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
        ] {
            check(Cell::Text(text), expected);
        }
    }

    #[test]
    fn numbers_are_text() {
        check(Cell::Number("13900000001"), "\"'13900000001\"");
        check(Cell::Number("+85291234567"), "\"'+85291234567\"");
        check(Cell::Number(""), "");
    }

    #[test]
    fn nothing_steers_a_terminal_or_turns_letters_round() {
        check(Cell::Text("\u{1b}[2J\u{7}"), r"\u{1b}[2J\u{7}");
        check(Cell::Text("a\u{202e}b\u{2066}"), r"a\u{202e}b\u{2066}");
    }

    /// The cells of a line as a spreadsheet with this separator reads them.
    fn cells(line: &str, separator: char) -> Vec<String> {
        let (mut cells, mut cell) = (Vec::new(), String::new());
        let (mut is_quoted, mut is_new) = (false, true);
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '"' if is_new => is_quoted = true,
                '"' if is_quoted && letters.peek() == Some(&'"') => {
                    letters.next();
                    cell.push('"');
                }
                '"' if is_quoted => is_quoted = false,
                '\r' | '\n' if !is_quoted => cells.push(std::mem::take(&mut cell)),
                _ if letter == separator && !is_quoted => cells.push(std::mem::take(&mut cell)),
                _ => cell.push(letter),
            }
            is_new = cell.is_empty() && !is_quoted;
        }
        cells
    }

    proptest! {
        #[test]
        fn whatever_is_typed_no_spreadsheet_finds_a_formula(
            texts in prop::collection::vec("[a=+\\-@＝;,\t\r\n\"' 好\u{feff}]{0,8}", 1..4),
        ) {
            let mut line = String::new();
            let typed: Vec<Cell<'_>> = texts.iter().map(|text| Cell::Text(text)).collect();
            let first = [Cell::Text("rpl_0")];
            row(&mut line, &[&first[..], &typed].concat());
            for separator in [',', ';', '\t'] {
                for cell in cells(&line, separator) {
                    let bare = cell.trim_start_matches([' ', '\u{feff}', '"']);
                    prop_assert!(!bare.starts_with(FORMULA), "{cell:?} of {line:?} by {separator:?}");
                }
            }
            let read = cells(&line, ',');
            for (text, cell) in texts.iter().zip(read.iter().skip(1)) {
                let text = text.replace("\r\n", "\n").replace('\r', "\n");
                prop_assert_eq!(cell.replace('\'', ""), text.replace('\'', ""));
            }
        }
    }
}

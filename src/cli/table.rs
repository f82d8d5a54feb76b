//! Tables for the terminal: columns as wide as their widest cell, two blanks apart. A column with
//! nothing in its cells is left out. On a terminal, what stands in the last one is cut to what room
//! there is.
//!
//! Whatever a cell holds, nothing of it can steer the terminal: cells are made [`visible`] here,
//! and nowhere else. This file knows nothing of what stands in the cells.

use crate::cli::output;

/// As much of the last column is shown however narrow the terminal is.
const CUT_WIDTH_MIN: usize = 12;

/// On which side the cells of a column are filled up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table: its columns' heads, then rows of as many cells.
#[derive(Debug)]
pub(super) struct Table<const COLUMNS: usize> {
    aligns: [Align; COLUMNS],
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table of these columns, with no rows yet.
    pub(super) fn new(columns: [(&str, Align); COLUMNS]) -> Self {
        let heads = columns.map(|(head, _)| visible(head));
        Self { aligns: columns.map(|(_, align)| align), rows: vec![heads] }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells.map(|cell| visible(&cell)));
    }

    /// Writes it to stdout, the heads first. With no rows nothing is written.
    pub(super) fn print(&self) {
        for line in self.lines(output::columns()) {
            output::data(&line);
        }
    }

    /// The lines, no wider than `room` as far as cutting the last column makes them so.
    fn lines(&self, room: Option<usize>) -> Vec<String> {
        let Some((heads, rows)) = self.rows.split_first().filter(|(_, rows)| !rows.is_empty())
        else {
            return Vec::new();
        };
        let mut widths = [0; COLUMNS];
        for row in rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = width(cell).max(*widest);
            }
        }
        for (widest, head) in widths.iter_mut().zip(heads).filter(|(widest, _)| **widest > 0) {
            *widest = width(head).max(*widest);
        }
        let mut rows = self.rows.clone();
        if let (Some(room), Some(Align::Left)) = (room, self.aligns.last())
            && let Some((last, others)) = widths.split_last_mut()
        {
            let before: usize =
                others.iter().filter(|width| **width > 0).map(|width| width + 2).sum();
            let room = room.saturating_sub(before).max(CUT_WIDTH_MIN);
            *last = room.min(*last);
            for cell in rows.iter_mut().filter_map(|row| row.last_mut()) {
                *cell = cut(cell, room);
            }
        }
        rows.iter().map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
        let mut line = String::new();
        let columns = row.iter().zip(self.aligns).zip(widths);
        for ((cell, align), widest) in columns.filter(|(_, widest)| **widest > 0) {
            let fill = " ".repeat(widest.saturating_sub(width(cell)));
            match align {
                Align::Left => line.extend([cell, fill.as_str(), "  "]),
                Align::Right => line.extend([fill.as_str(), cell, "  "]),
            }
        }
        line.truncate(line.trim_end_matches(' ').len());
        line
    }
}

/// The text with everything that is not simply seen written out, as `\n` or `\u{202e}`: control
/// characters can rewrite a terminal's lines, and others turn the order of its text round.
/// A backslash is doubled, so that nobody can type what looks like one of these.
pub(super) fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for letter in text.chars() {
        if output::is_seen(letter) && letter != '\\' {
            seen.push(letter);
        } else {
            seen.extend(letter.escape_debug());
        }
    }
    seen
}

/// As much of a text that is [`visible`] as fits into so many columns, with an ellipsis where some
/// of it is left out.
fn cut(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut filled = 1;
    for letter in text.chars() {
        filled += letter_width(letter);
        if filled > room {
            break;
        }
        shown.push(letter);
    }
    shown + "…"
}

/// The columns that a terminal gives to a text that is [`visible`]: two for an ideograph, a full
/// width letter or a pictograph, one for anything else.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

fn letter_width(letter: char) -> usize {
    if is_wide(letter) { 2 } else { 1 }
}

/// The blocks of Unicode whose letters are wide, without the few narrow ones among them: a table
/// that is out of line by one is no harm.
fn is_wide(letter: char) -> bool {
    matches!(letter,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff01}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let columns = [
            ("id", Align::Right),
            ("content", Align::Left),
            ("never there", Align::Left),
            ("state", Align::Left),
        ];
        let mut table = Table::new(columns);
        assert_eq!(table.lines(None), Vec::<String>::new());
        for (id, content, state) in
            [("7", "好的，TD", "held"), ("1234", "no", "waiting"), ("9", "", "")]
        {
            table.row([id, content, "", state].map(str::to_owned));
        }
        let expected =
            ["  id  content   state", "   7  好的，TD  held", "1234  no        waiting", "   9"];
        assert_eq!(table.lines(None), expected);
    }

    #[test]
    fn the_last_column_is_cut_to_the_terminal() {
        let mut table = Table::new([("id", Align::Right), ("content", Align::Left)]);
        table.row(["7".to_owned(), "好的，请尽快回复我 ok".to_owned()]);
        table.row(["8".to_owned(), "short".to_owned()]);
        let lines = |room| table.lines(Some(room));
        assert_eq!(lines(80)[1], " 7  好的，请尽快回复我 ok");
        assert_eq!(lines(20), ["id  content", " 7  好的，请尽快回…", " 8  short"]);
        assert_eq!(lines(18)[1], " 7  好的，请尽快…");
        assert_eq!(lines(1)[1], " 7  好的，请尽…");
    }

    #[test]
    fn nothing_in_a_cell_steers_the_terminal() {
        for (text, expected) in [
            ("好的 \"TD\"，'谢谢'\u{3000}😀", "好的 \"TD\"，'谢谢'\u{3000}😀"),
            ("a\nb\tc\r", r"a\nb\tc\r"),
            ("\u{1b}[2J\u{7}\0", r"\u{1b}[2J\u{7}\0"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("\u{202e}txt.\u{200b}", r"\u{202e}txt.\u{200b}"),
            ("\u{2028}\u{feff}", r"\u{2028}\u{feff}"),
            (r"\n", r"\\n"),
        ] {
            assert_eq!(visible(text), expected);
            let mut table = Table::new([("text", Align::Left)]);
            table.row([text.to_owned()]);
            assert_eq!(table.lines(None)[1], expected.trim_end_matches(' '));
        }
    }
}

//! The hour grid: a line per day, a column per hour. Pure.
//!
//! It fits 100 columns, and says all that it says without colour.

use crate::time::Day;

/// What an hour shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It has not begun.
    ToCome,
    /// It was never owed nor asked for.
    Nothing,
    /// It is to be read by `time`.
    Owed,
    /// The gateway showed all that is known of it.
    Verified,
    /// It was asked for often enough.
    GivenUp,
}

impl Mark {
    /// Its sign, which a screen reader and a monochrome terminal tell as well.
    fn sign(self) -> char {
        match self {
            Self::ToCome => ' ',
            Self::Nothing => '.',
            Self::Owed => '?',
            Self::Verified => '=',
            Self::GivenUp => '!',
        }
    }

    /// The terminal's code for its colour: dim, yellow, green, red.
    fn colour(self) -> Option<u8> {
        match self {
            Self::ToCome => None,
            Self::Nothing => Some(2),
            Self::Owed => Some(33),
            Self::Verified => Some(32),
            Self::GivenUp => Some(31),
        }
    }
}

/// What the signs mean.
pub(super) const LEGEND: &str =
    "= verified   ? owed   ! given up   . not asked for   before the sign: replies kept";

/// An hour of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) mark: Mark,
    /// Replies kept of it.
    pub(super) replies: u64,
}

/// Whether the signs are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Coloured,
}

/// The grid's lines. Each month has a head of its own, so that a day's line needs only its number.
pub(super) fn lines(days: &[(Day, Vec<Cell>)], paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    let mut month = String::new();
    for (day, cells) in days {
        let (name, number) = split(*day);
        if name != month {
            lines.push(name.clone());
            lines.push(head());
            month = name;
        }
        let line: String = cells.iter().map(|cell| shown(*cell, paint)).collect();
        lines.push(format!("{number} {line}").trim_end_matches(' ').to_owned());
    }
    lines
}

/// The month of a day, and its number in it.
fn split(day: Day) -> (String, String) {
    let text = day.to_string();
    let (month, number) = text.rsplit_once('-').unwrap_or_default();
    (month.to_owned(), number.to_owned())
}

fn head() -> String {
    let hours: String = (0..24).map(|hour| format!(" {hour:02} ")).collect();
    format!("   {}", hours.trim_end_matches(' '))
}

fn shown(cell: Cell, paint: Paint) -> String {
    let count = if cell.replies == 0 { String::new() } else { short(cell.replies) };
    let sign = cell.mark.sign();
    match cell.mark.colour() {
        Some(colour) if paint == Paint::Coloured => {
            format!("\u{1b}[{colour}m{count:>3}{sign}\u{1b}[0m")
        }
        _ => format!("{count:>3}{sign}"),
    }
}

/// A count in three columns: thousands are rounded down.
fn short(count: u64) -> String {
    if count < 1_000 { count.to_string() } else { format!("{}k", count / 1_000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Cell = Cell { mark: Mark::Nothing, replies: 0 };

    fn cells(first: &[(Mark, u64)], rest: Mark) -> Vec<Cell> {
        let mut cells: Vec<Cell> =
            first.iter().map(|(mark, replies)| Cell { mark: *mark, replies: *replies }).collect();
        cells.resize(24, Cell { mark: rest, replies: 0 });
        cells
    }

    #[test]
    fn every_state_has_its_sign_and_hours_to_come_are_blank() {
        let first = [
            (Mark::Verified, 0),
            (Mark::Verified, 12),
            (Mark::Owed, 3),
            (Mark::GivenUp, 999),
            (Mark::Nothing, 1_234),
        ];
        let lines =
            lines(&[("2026-11-22".parse().unwrap(), cells(&first, Mark::ToCome))], Paint::Plain);
        assert_eq!(lines[0], "2026-11");
        assert_eq!(&lines[1][..23], "    00  01  02  03  04 ");
        assert_eq!(lines[2], "22    = 12=  3?999! 1k.");
        for mark in [Mark::Verified, Mark::Owed, Mark::GivenUp, Mark::Nothing] {
            assert!(LEGEND.contains(mark.sign()), "{mark:?}");
        }
    }

    #[test]
    fn months_have_heads_and_nothing_is_wider_than_100_columns() {
        let day =
            |text: &str| (text.parse().unwrap(), vec![Cell { replies: 99_999, ..NOTHING }; 24]);
        let lines = lines(&[day("2026-10-31"), day("2026-11-01"), day("2026-11-02")], Paint::Plain);
        let begins: Vec<&str> = lines.iter().map(|line| line[..7].trim_end()).collect();
        assert_eq!(
            begins,
            ["2026-10", "    00", "31 99k.", "2026-11", "    00", "01 99k.", "02 99k."]
        );
        assert!(lines.iter().all(|line| line.len() <= 100) && LEGEND.len() <= 100);
    }

    #[test]
    fn colour_adds_to_the_signs_and_replaces_none() {
        let days = [(
            "2026-11-22".parse().unwrap(),
            cells(&[(Mark::Owed, 3), (Mark::GivenUp, 1)], Mark::ToCome),
        )];
        let coloured = lines(&days, Paint::Coloured);
        assert!(
            coloured[2].starts_with("22 \u{1b}[33m  3?\u{1b}[0m\u{1b}[31m  1!\u{1b}[0m"),
            "{coloured:?}"
        );
        let mut bare = coloured[2].clone();
        for code in ["\u{1b}[33m", "\u{1b}[31m", "\u{1b}[0m"] {
            bare = bare.replace(code, "");
        }
        assert_eq!(bare, lines(&days, Paint::Plain)[2]);
    }
}

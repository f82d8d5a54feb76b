//! The grammar of an answer to `/rx`, read in the plainest way there is: slowly, from the wording
//! of the protocol and not from the parser's code, so that both cannot err alike.

use std::ops::Range;

/// What stands in a stretch of the body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A reply: its number as it came, its content, time and gateway number.
    Record {
        number: Range<usize>,
        content: Range<usize>,
        date: Range<usize>,
        gateway: Range<usize>,
    },
    /// Anything else, and the parser's word for what is wrong with it.
    Fault(Range<usize>, &'static str),
}

/// The status, and the pieces in their order; none when there is nothing in the body.
pub(crate) fn read(body: &[u8]) -> Option<(Option<u16>, Vec<Piece>)> {
    let mut at = skip_white(body, 0);
    if body[at..].starts_with(b"\xef\xbb\xbf") {
        at = skip_white(body, at + 3);
    }
    if at == body.len() {
        return None;
    }
    let mut status = None;
    let behind_digits = skip_digits(body, at);
    let behind_status = skip_white(body, behind_digits);
    let is_ended = behind_status == body.len() || body[behind_status..].starts_with(b"{&}");
    if (1..=4).contains(&(behind_digits - at)) && is_ended {
        let code = std::str::from_utf8(&body[at..behind_digits]).unwrap();
        status = Some(code.parse().unwrap());
        at = (behind_status + 3).min(body.len());
    } else if number_at(body, at).is_none() {
        return Some((None, vec![Piece::Fault(0..body.len(), "not_protocol")]));
    }
    let mut pieces = Vec::new();
    while skip_white(body, at) < body.len() {
        let end =
            (at..body.len()).find_map(|place| record_end(body, place).map(|end| (place, end)));
        let Some((date, end)) = end else {
            pieces.push(Piece::Fault(at..without_white_end(body), "no_end"));
            break;
        };
        pieces.push(piece(body, at, date, end));
        at = (end + 3).min(body.len());
    }
    Some((status, pieces))
}

/// Where the gateway's digits end, when the end of a record begins here: `||`, a date, `||`,
/// digits, and `{&}`, or nothing but white space and the end of the body.
fn record_end(body: &[u8], at: usize) -> Option<usize> {
    let shape = b"||dddd-dd-dd dd:dd:dd||";
    for (offset, want) in shape.iter().enumerate() {
        let byte = body.get(at + offset)?;
        let is_right = if *want == b'd' { byte.is_ascii_digit() } else { byte == want };
        if !is_right {
            return None;
        }
    }
    let end = skip_digits(body, at + shape.len());
    let is_end = body[end..].starts_with(b"{&}") || skip_white(body, end) == body.len();
    is_end.then_some(end)
}

fn piece(body: &[u8], start: usize, date: usize, end: usize) -> Piece {
    let Some(number_end) = number_at(&body[..date], start) else {
        return Piece::Fault(start..end, "no_number");
    };
    let when = date + 2..date + 21;
    if !exists(&body[when.clone()]) {
        return Piece::Fault(start..end, "no_such_date");
    }
    Piece::Record {
        number: start..number_end,
        content: number_end + 2..date,
        date: when,
        gateway: date + 23..end,
    }
}

/// Where the number ends that stands here before `||`: perhaps a `+`, and 3 to 20 digits.
fn number_at(body: &[u8], at: usize) -> Option<usize> {
    let digits = at + usize::from(body.get(at) == Some(&b'+'));
    let end = skip_digits(body, digits);
    ((3..=20).contains(&(end - digits.min(end))) && body[end..].starts_with(b"||")).then_some(end)
}

/// The last second that the library of times knows, in Beijing.
const LAST: &[u8] = b"9999-12-31 06:00:00";

/// Whether there is such a second, in the years 0 to 9999.
fn exists(date: &[u8]) -> bool {
    let number = |range: Range<usize>| -> u32 {
        std::str::from_utf8(&date[range]).unwrap().parse().unwrap()
    };
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    let is_time = number(11..13) < 24 && number(14..16) < 60 && number(17..19) < 60;
    (1..=days).contains(&day) && is_time && date <= LAST
}

fn skip_digits(body: &[u8], mut at: usize) -> usize {
    while body.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

fn skip_white(body: &[u8], mut at: usize) -> usize {
    while body.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

fn without_white_end(body: &[u8]) -> usize {
    let mut end = body.len();
    while end > 0 && body[end - 1].is_ascii_whitespace() {
        end -= 1;
    }
    end
}

//! The answer to `/rx`: `STATUS{&}RECORD{&}RECORD…`, read from its raw bytes.
//!
//! Nothing in this format is escaped and a record has no length, so a customer can type every
//! separator; and in GBK the bytes of `|`, `{` and `}` occur inside characters. Hence the order
//! of work: the records are found in the *bytes*, by the one thing no character can reach into,
//! the date at a record's end; only then is each content decoded, by itself and by others. A
//! record ends at `||dddd-dd-dd dd:dd:dd||`, digits, and `{&}` or the end of the body, whatever
//! comes next. What stands before that must begin with a number and `||`, or that stretch alone
//! is a fault.
//!
//! An answer never fails whole: it is records and faults. This file knows nothing of accounts,
//! charsets or of how the body's end was reached.

mod without;

use crate::gateway::status::Status;
use crate::reply::Mobile;
use crate::time::BeijingTime;

pub use without::{holds, without};

const SEPARATOR: &[u8] = b"{&}";
const FIELD: &[u8] = b"||";
const DATE: &[u8] = b"dddd-dd-dd dd:dd:dd";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Digits of a status code; a longer run of digits is a telephone number.
const STATUS_DIGITS_MAX: usize = 4;
/// Digits of a record's number, after an optional `+`.
const NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 3..=20;
/// How far behind a typed `{&}` a `||` makes it look like the head of a second record: room for
/// the longest number.
const SEAM_BYTES_MAX: usize = 24;

/// What an answer holds, borrowed from its body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The code at its head; some relatives of the provider leave it out before records.
    pub status: Option<Status>,
    /// Whether there is nothing in the body, which is how the gateway says "no replies".
    pub is_empty: bool,
    /// The records, in their order.
    pub records: Vec<Record<'a>>,
    /// The stretches that are no records, in their order.
    pub faults: Vec<Fault<'a>>,
}

/// One reply as the gateway wrote it.
#[derive(PartialEq, Eq)]
pub struct Record<'a> {
    /// Who wrote, normalised.
    pub mobile: Mobile,
    /// What was typed, undecoded.
    pub content: &'a [u8],
    /// The gateway's reply time.
    pub replied_at: BeijingTime,
    /// The number that was answered: digits, perhaps none.
    pub gateway: &'a str,
    /// Whether the content may hold the seam of two records, the first of which lost its date.
    pub may_hold_two: bool,
    /// Whether the body ends right behind the gateway's digits: in a body that was cut, some of
    /// them may be missing.
    pub ends_body: bool,
}

impl std::fmt::Debug for Record<'_> {
    /// Without the content, which is personal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("mobile", &self.mobile)
            .field("replied_at", &self.replied_at)
            .field("gateway", &self.gateway)
            .field("content_bytes", &self.content.len())
            .finish_non_exhaustive()
    }
}

/// A stretch of the body that is no record.
#[derive(PartialEq, Eq)]
pub struct Fault<'a> {
    /// Where it begins in the body, in bytes.
    pub offset: usize,
    /// What stands there.
    pub bytes: &'a [u8],
    /// What is wrong with it.
    pub kind: FaultKind,
    /// The time at its end, where it has one that exists.
    pub replied_at: Option<BeijingTime>,
}

impl std::fmt::Debug for Fault<'_> {
    /// Without the bytes, which may be personal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fault")
            .field("offset", &self.offset)
            .field("bytes", &self.bytes.len())
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The whole body is of another protocol: an HTML page, say.
    NotProtocol,
    /// It ends like a record but does not begin with a number and `||`.
    NoNumber,
    /// It is a record but for its date, which does not exist.
    NoSuchDate,
    /// It has no end: the answer was cut, or this never was a record.
    NoEnd,
}

impl FaultKind {
    /// The word for it in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotProtocol => "not_protocol",
            Self::NoNumber => "no_number",
            Self::NoSuchDate => "no_such_date",
            Self::NoEnd => "no_end",
        }
    }
}

/// Reads an answer.
#[must_use]
pub fn parse(body: &[u8]) -> Answer<'_> {
    let end = body.trim_ascii_end().len();
    let start = body.len() - without_mark(body).trim_ascii_start().len();
    if start >= end {
        return Answer { is_empty: true, ..Answer::default() };
    }
    let text = body.get(start..end).unwrap_or_default();
    let mut answer = Answer::default();
    let Some(records) = take_status(text, &mut answer) else {
        answer.faults.push(Fault {
            offset: 0,
            bytes: body,
            kind: FaultKind::NotProtocol,
            replied_at: None,
        });
        return answer;
    };
    let frames = Frames { text, at: records };
    for frame in frames {
        match frame.read(end == body.len() && frame.end == text.len(), start) {
            Ok(record) => answer.records.push(record),
            Err(fault) => answer.faults.push(fault),
        }
    }
    answer
}

fn without_mark(body: &[u8]) -> &[u8] {
    let unspaced = body.trim_ascii_start();
    unspaced.strip_prefix(BYTE_ORDER_MARK).unwrap_or(unspaced)
}

/// Reads the status and says where the records begin; `None` when this is no answer to `/rx`.
fn take_status(text: &[u8], answer: &mut Answer<'_>) -> Option<usize> {
    let digits = count_digits(text);
    let (code, rest) = text.split_at(digits);
    let gap = rest.len() - rest.trim_ascii_start().len();
    let rest = rest.trim_ascii_start();
    if (1..=STATUS_DIGITS_MAX).contains(&digits) && (rest.is_empty() || rest.starts_with(SEPARATOR))
    {
        answer.status = std::str::from_utf8(code).ok()?.parse().ok().map(Status);
        return Some((digits + gap + SEPARATOR.len()).min(text.len()));
    }
    number_length(text).map(|_| 0)
}

fn count_digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The length of the number before the first `||`, where the bytes begin with one.
fn number_length(bytes: &[u8]) -> Option<usize> {
    let plus = usize::from(bytes.first() == Some(&b'+'));
    let digits = count_digits(bytes.get(plus..)?);
    let length = plus + digits;
    (NUMBER_DIGITS.contains(&digits) && bytes.get(length..)?.starts_with(FIELD)).then_some(length)
}

/// The stretches between separators that really separate.
struct Frames<'a> {
    text: &'a [u8],
    at: usize,
}

/// One stretch: a record's bytes, or what stands in the place of one.
struct Frame<'a> {
    text: &'a [u8],
    start: usize,
    /// Behind the gateway's digits, or where the text ends.
    end: usize,
    /// Where the `||` before the date stands, if the stretch has an end.
    date: Option<usize>,
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let start = self.at;
        if self.text.get(start..)?.trim_ascii().is_empty() {
            return None;
        }
        let mut search = start;
        while let Some(date) = find_date(self.text, search) {
            let digits = date + 2 * FIELD.len() + DATE.len();
            let end = digits + count_digits(self.text.get(digits..)?);
            let rest = self.text.get(end..)?;
            if rest.is_empty() || rest.starts_with(SEPARATOR) {
                self.at = (end + SEPARATOR.len()).min(self.text.len());
                return Some(Frame { text: self.text, start, end, date: Some(date) });
            }
            search = date + 1;
        }
        self.at = self.text.len();
        Some(Frame { text: self.text, start, end: self.text.len(), date: None })
    }
}

/// The next `||dddd-dd-dd dd:dd:dd||` at or behind `from`.
fn find_date(text: &[u8], from: usize) -> Option<usize> {
    let length = 2 * FIELD.len() + DATE.len();
    let windows = text.get(from..)?.windows(length);
    windows.enumerate().find(|(_, window)| is_date(window)).map(|(at, _)| from + at)
}

fn is_date(window: &[u8]) -> bool {
    let Some(inner) = window.strip_prefix(FIELD).and_then(|rest| rest.strip_suffix(FIELD)) else {
        return false;
    };
    inner.len() == DATE.len()
        && inner.iter().zip(DATE).all(|(byte, want)| match want {
            b'd' => byte.is_ascii_digit(),
            _ => byte == want,
        })
}

impl<'a> Frame<'a> {
    /// The record in this stretch, or the fault that it is. `origin` is where the text begins in
    /// the body.
    fn read(&self, ends_body: bool, origin: usize) -> Result<Record<'a>, Fault<'a>> {
        let bytes = self.text.get(self.start..self.end).unwrap_or_default();
        let fault =
            |kind, replied_at| Fault { offset: origin + self.start, bytes, kind, replied_at };
        let Some(date) = self.date else {
            return Err(fault(FaultKind::NoEnd, None));
        };
        let replied_at =
            self.ascii(date + FIELD.len(), date + FIELD.len() + DATE.len()).parse().ok();
        let before_date = self.text.get(self.start..date).unwrap_or_default();
        let Some((mobile, content)) = split_number(before_date) else {
            return Err(fault(FaultKind::NoNumber, replied_at));
        };
        let Some(replied_at) = replied_at else {
            return Err(fault(FaultKind::NoSuchDate, None));
        };
        Ok(Record {
            mobile,
            content,
            replied_at,
            gateway: self.ascii(date + 2 * FIELD.len() + DATE.len(), self.end),
            may_hold_two: has_seam(content),
            ends_body,
        })
    }

    fn ascii(&self, from: usize, to: usize) -> &'a str {
        self.text
            .get(from..to)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

fn split_number(bytes: &[u8]) -> Option<(Mobile, &[u8])> {
    let length = number_length(bytes)?;
    let mobile = Mobile::parse(std::str::from_utf8(bytes.get(..length)?).ok()?)?;
    Some((mobile, bytes.get(length + FIELD.len()..)?))
}

/// Whether a `{&}`, at most 24 bytes, and `||` follow each other in the content.
fn has_seam(content: &[u8]) -> bool {
    let separators = content.windows(SEPARATOR.len()).enumerate();
    separators.filter(|(_, window)| *window == SEPARATOR).any(|(at, _)| {
        let behind = content.get(at + SEPARATOR.len()..).unwrap_or_default();
        let near = behind.len().min(SEAM_BYTES_MAX + FIELD.len());
        behind.get(..near).unwrap_or_default().windows(FIELD.len()).any(|window| window == FIELD)
    })
}

#[cfg(test)]
mod tests;

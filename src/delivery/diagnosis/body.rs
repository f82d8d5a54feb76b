//! A body as it may have been before somebody changed it.
//!
//! Proxies, editors and frameworks trim, decode, and parse and print again. Each form here undoes
//! some of that; none is made before it is asked for, because a body may be large.

use encoding_rs::{Encoding, GBK, UTF_16BE, UTF_16LE, WINDOWS_1252};
use serde::de::IgnoredAny;

mod json;

use json::{Layout, Strings};

/// What has to be done to a body to have what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Header lines before it are taken away.
    HeadRemoved,
    /// From UTF-16 to UTF-8.
    FromUtf16,
    /// From GBK to UTF-8.
    FromGbk,
    /// From UTF-8 that was encoded twice to UTF-8.
    DecodedOnceMore,
    /// Out of the JSON string in which it stands.
    Unquoted,
    /// A byte order mark before it is taken away.
    MarkRemoved,
    /// A byte order mark is put before it.
    MarkAdded,
    /// A line end is put behind it.
    LineEndAdded,
    /// CR LF are put behind it.
    CrlfAdded,
    /// The one line end behind it is taken away.
    LineEndRemoved,
    /// All white space around it is taken away.
    Trimmed,
    /// CR LF become LF.
    ToLf,
    /// LF become CR LF.
    ToCrlf,
    /// Its JSON without white space.
    Compact,
    /// Its JSON with a blank behind each comma and colon.
    Spaced,
    /// Its JSON with a line for each value, indented by so many blanks.
    Indented(u8),
    /// Its JSON with a line for each value, indented by tabs.
    Tabbed,
    /// Its JSON with characters in the place of escapes.
    Unescaped,
    /// Its JSON with `\uXXXX` in the place of characters that are not ASCII.
    AsciiOnly,
    /// Its JSON with `\/` in the place of `/`.
    SlashesEscaped,
    /// Its JSON with the keys in the order in which they are sent.
    KeysOrdered,
}

impl Change {
    /// Its word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HeadRemoved => "head_removed",
            Self::FromUtf16 => "from_utf16",
            Self::FromGbk => "from_gbk",
            Self::DecodedOnceMore => "decoded_once_more",
            Self::Unquoted => "unquoted",
            Self::MarkRemoved => "mark_removed",
            Self::MarkAdded => "mark_added",
            Self::LineEndAdded => "line_end_added",
            Self::CrlfAdded => "crlf_added",
            Self::LineEndRemoved => "line_end_removed",
            Self::Trimmed => "trimmed",
            Self::ToLf => "to_lf",
            Self::ToCrlf => "to_crlf",
            Self::Compact => "compact",
            Self::Spaced => "spaced",
            Self::Indented(_) => "indented",
            Self::Tabbed => "tabbed",
            Self::Unescaped => "unescaped",
            Self::AsciiOnly => "ascii_only",
            Self::SlashesEscaped => "slashes_escaped",
            Self::KeysOrdered => "keys_ordered",
        }
    }
}

/// Byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

type Variant = (Vec<Change>, Vec<u8>);

/// What a body may have been, the likeliest first, each with what leads there.
pub(super) fn variants(body: &[u8]) -> impl Iterator<Item = Variant> {
    let bases = [vec![(Vec::new(), body.to_vec())], decoded(body)].concat();
    bases.into_iter().flat_map(|base| {
        let itself = (!base.0.is_empty()).then(|| base.clone());
        itself.into_iter().chain(edges(base.clone())).chain(printed(base))
    })
}

/// The body in other encodings and out of what may be around it, where these are possible.
fn decoded(body: &[u8]) -> Vec<Variant> {
    let text = std::str::from_utf8(body).ok();
    let whole = |encoding: &'static Encoding| {
        let text = encoding.decode_without_bom_handling_and_without_replacement(body)?;
        Some(text.into_owned().into_bytes())
    };
    let forms = [
        (Change::MarkRemoved, body.strip_prefix(MARK).map(<[u8]>::to_vec)),
        (Change::FromUtf16, from_utf16(body)),
        (Change::FromGbk, text.is_none().then(|| whole(GBK)).flatten()),
        (Change::DecodedOnceMore, text.and_then(from_latin_1)),
        (Change::DecodedOnceMore, text.and_then(from_windows_1252)),
        (Change::Unquoted, serde_json::from_slice(body).ok().map(String::into_bytes)),
        (Change::HeadRemoved, without_head(body)),
    ];
    forms.into_iter().filter_map(|(change, bytes)| Some((vec![change], bytes?))).collect()
}

fn from_utf16(body: &[u8]) -> Option<Vec<u8>> {
    let (encoding, rest) = match body {
        [0xff, 0xfe, rest @ ..] => (UTF_16LE, rest),
        [0xfe, 0xff, rest @ ..] => (UTF_16BE, rest),
        [first, 0, ..] if *first != 0 => (UTF_16LE, body),
        [0, second, ..] if *second != 0 => (UTF_16BE, body),
        _ => return None,
    };
    let text = encoding.decode_without_bom_handling_and_without_replacement(rest)?;
    Some(text.into_owned().into_bytes())
}

/// Each letter's number as a byte, where that makes UTF-8.
fn from_latin_1(text: &str) -> Option<Vec<u8>> {
    let bytes: Option<Vec<u8>> = text.chars().map(|letter| u8::try_from(letter).ok()).collect();
    bytes.filter(|bytes| !text.is_ascii() && std::str::from_utf8(bytes).is_ok())
}

fn from_windows_1252(text: &str) -> Option<Vec<u8>> {
    let (bytes, _, failed) = WINDOWS_1252.encode(text);
    let fits = !text.is_ascii() && !failed && std::str::from_utf8(&bytes).is_ok();
    fits.then(|| bytes.into_owned())
}

/// What follows the first empty line, where the lines before it are headers.
fn without_head(body: &[u8]) -> Option<Vec<u8>> {
    let (at, length) = [&b"\r\n\r\n"[..], b"\n\n"]
        .iter()
        .filter_map(|end| Some((body.windows(end.len()).position(|at| at == *end)?, end.len())))
        .min()?;
    let (head, rest) = body.split_at_checked(at)?;
    let line = |line: &[u8]| line.contains(&b':') || line.starts_with(b"HTTP/");
    let first = head.first().is_some_and(u8::is_ascii_alphabetic);
    let is_head = first && head.split(|byte| *byte == b'\n').skip(1).all(line);
    is_head.then(|| rest.get(length..).unwrap_or_default().to_vec())
}

/// The body with something put to its ends or taken from them, and with other line ends.
fn edges(base: Variant) -> impl Iterator<Item = Variant> {
    const CHANGES: [Change; 7] = [
        Change::LineEndRemoved,
        Change::LineEndAdded,
        Change::CrlfAdded,
        Change::Trimmed,
        Change::ToLf,
        Change::ToCrlf,
        Change::MarkAdded,
    ];
    CHANGES.into_iter().filter_map(move |change| {
        let body = base.1.as_slice();
        let changed = match change {
            Change::LineEndRemoved => without_line_end(body)?.to_vec(),
            Change::LineEndAdded => [body, b"\n"].concat(),
            Change::CrlfAdded => [body, b"\r\n"].concat(),
            Change::Trimmed => body.trim_ascii().to_vec(),
            Change::ToLf => to_lf(body),
            Change::ToCrlf => to_crlf(&to_lf(body)),
            _ => [MARK, body].concat(),
        };
        (changed != body).then(|| (with(&base.0, &[change]), changed))
    })
}

fn without_line_end(body: &[u8]) -> Option<&[u8]> {
    body.strip_suffix(b"\r\n").or_else(|| body.strip_suffix(b"\n"))
}

fn to_lf(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body.iter().peekable();
    while let Some(byte) = rest.next() {
        if *byte != b'\r' || rest.peek() != Some(&&b'\n') {
            bytes.push(*byte);
        }
    }
    bytes
}

fn to_crlf(body: &[u8]) -> Vec<u8> {
    let line_end = |byte: &u8| if *byte == b'\n' { vec![b'\r', b'\n'] } else { vec![*byte] };
    body.iter().flat_map(line_end).collect()
}

/// The body's JSON in other prints, each also with a line end.
fn printed((before, body): Variant) -> impl Iterator<Item = Variant> {
    const LAYOUTS: [(Option<Change>, Layout); 6] = [
        (None, Layout::AsIs),
        (Some(Change::Compact), Layout::Compact),
        (Some(Change::Spaced), Layout::Spaced),
        (Some(Change::Indented(2)), Layout::Lines("  ")),
        (Some(Change::Indented(4)), Layout::Lines("    ")),
        (Some(Change::Tabbed), Layout::Lines("\t")),
    ];
    const STRINGS: [(&[Change], Strings); 5] = [
        (&[], Strings::AsIs),
        (&[Change::Unescaped], Strings::Raw { slashes: false }),
        (&[Change::AsciiOnly], Strings::Ascii { slashes: false }),
        (&[Change::SlashesEscaped], Strings::Raw { slashes: true }),
        (&[Change::AsciiOnly, Change::SlashesEscaped], Strings::Ascii { slashes: true }),
    ];
    let is_json = serde_json::from_slice::<IgnoredAny>(&body).is_ok();
    let text = String::from_utf8(body).ok().filter(|_| is_json).unwrap_or_default();
    let ordered = json::ordered(&text).map(|json| (with(&before, &[Change::KeysOrdered]), json));
    let all = LAYOUTS.into_iter().flat_map(|layout| STRINGS.map(|strings| (layout, strings)));
    // What is as it was needs no name, and no second try.
    let prints = all.skip(1).map(move |((laid, layout), (escaped, strings))| {
        let changes = [laid.as_slice(), escaped].concat();
        (with(&before, &changes), json::print(&text, layout, strings))
    });
    prints.chain(ordered).filter(|(_, json)| !json.is_empty()).flat_map(|(changes, json)| {
        let line = with(&changes, &[Change::LineEndAdded]);
        [(changes, json.clone().into_bytes()), (line, (json + "\n").into_bytes())]
    })
}

fn with(before: &[Change], further: &[Change]) -> Vec<Change> {
    [before, further].concat()
}

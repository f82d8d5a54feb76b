//! What holds for every body that a gateway could send, whoever wrote its texts.

use std::ops::Range;

use replyd::gateway::charset::Charset;
use replyd::gateway::rx::{Answer, Record, parse};
use replyd::reply::Mobile;

use naive::Piece;

mod naive;

/// Longer bodies are cut at this many places, shorter ones everywhere.
const CUTS_MAX: usize = 600;
/// What contents are set apart by in the bytes that a well-formed body is made of.
const BETWEEN: u8 = 0xff;

/// Checks everything that can be said of these bytes as a body, and as a body's contents.
pub(crate) fn check(bytes: &[u8]) {
    let answer = parse(bytes);
    let pieces = pieces(bytes, &answer);
    agrees_with_the_plain_reading(bytes, &answer, &pieces);
    is_covered(bytes, &answer, &pieces);
    let copy = bytes.to_vec();
    assert!(parse(&copy) == answer, "read twice, it is two things");
    for record in &answer.records {
        decodes(record.content);
    }
    let step = (bytes.len() / CUTS_MAX).max(1);
    for cut in (0..bytes.len()).step_by(step) {
        stays_when_cut(bytes, &pieces, cut);
    }
    well_formed_records_come_through(bytes);
}

/// Where a slice stands in the body from which it was borrowed.
fn place(body: &[u8], slice: &[u8]) -> Range<usize> {
    let start = (slice.as_ptr() as usize).wrapping_sub(body.as_ptr() as usize);
    assert!(start <= body.len() && slice.len() <= body.len() - start, "not of the body");
    start..start + slice.len()
}

/// Records and faults in the order in which they stand, each with its kind.
fn pieces(body: &[u8], answer: &Answer<'_>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for fault in &answer.faults {
        assert_eq!(place(body, fault.bytes).start, fault.offset);
        let kind = fault.kind.as_str();
        pieces.push(Piece::Fault(fault.offset..fault.offset + fault.bytes.len(), kind));
    }
    pieces.extend(answer.records.iter().map(|record| of_record(body, record)));
    let in_order = |places: Vec<usize>| assert!(places.is_sorted(), "out of order");
    in_order(answer.faults.iter().map(|fault| fault.offset).collect());
    in_order(answer.records.iter().map(|record| place(body, record.content).start).collect());
    pieces.sort_by_key(|piece| range(piece).start);
    pieces
}

/// A record's parts as they must stand around its content.
fn of_record(body: &[u8], record: &Record<'_>) -> Piece {
    let content = place(body, record.content);
    let gateway = place(body, record.gateway.as_bytes());
    let date = content.end + 2..content.end + 21;
    assert_eq!(body[date.clone()], *record.replied_at.to_string().as_bytes());
    assert_eq!(gateway.start, date.end + 2);
    let head = &body[..content.start - 2];
    let digits = head.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let start = head.len() - digits - usize::from(head[..head.len() - digits].ends_with(b"+"));
    let number = std::str::from_utf8(&head[start..]).unwrap();
    assert_eq!(Mobile::parse(number).as_ref(), Some(&record.mobile));
    Piece::Record { number: start..head.len(), content, date, gateway }
}

fn range(piece: &Piece) -> Range<usize> {
    match piece {
        Piece::Record { number, gateway, .. } => number.start..gateway.end,
        Piece::Fault(range, _) => range.clone(),
    }
}

fn agrees_with_the_plain_reading(body: &[u8], answer: &Answer<'_>, pieces: &[Piece]) {
    let Some((status, expected)) = naive::read(body) else {
        assert!(answer.is_empty && pieces.is_empty() && answer.status.is_none());
        return;
    };
    assert!(!answer.is_empty);
    assert_eq!(answer.status.map(|status| status.0), status);
    assert_eq!(pieces, expected);
}

/// Nothing of the body is left out but the head, separators and white space at both ends.
fn is_covered(body: &[u8], answer: &Answer<'_>, pieces: &[Piece]) {
    let mut left = body;
    for (index, piece) in pieces.iter().enumerate().rev() {
        let (before, behind) = left.split_at(range(piece).end);
        let tail = behind.strip_prefix(b"{&}").unwrap_or(behind);
        let is_last = index + 1 == pieces.len();
        assert!(if is_last { tail.trim_ascii().is_empty() } else { behind == b"{&}" });
        left = &before[..range(piece).start];
    }
    let head = left.trim_ascii();
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii();
    let head = head.strip_suffix(b"{&}").unwrap_or(head).trim_ascii_end();
    assert!(head.len() <= 4 && head.iter().all(u8::is_ascii_digit), "bytes are left out");
    assert_eq!(head.is_empty(), answer.status.is_none());
}

/// What was whole before the cut is what it was; behind it there is one thing at most.
fn stays_when_cut(body: &[u8], pieces: &[Piece], cut: usize) {
    let whole = |piece: &&Piece| {
        let end = range(piece).end;
        end + 3 <= cut && body[end..].starts_with(b"{&}")
    };
    let kept: Vec<&Piece> = pieces.iter().take_while(whole).collect();
    let left = &body[..cut];
    let found = self::pieces(left, &parse(left));
    assert!(found.iter().take(kept.len()).eq(kept.iter().copied()), "cut at {cut}");
    assert!(found.len() <= kept.len() + 1, "cut at {cut}");
}

/// Decodes a content by itself; what could not be read is marked, and nothing else is.
fn decodes(content: &[u8]) {
    let utf8 = Charset::Utf8.decode(content);
    assert_eq!(utf8.lossy, std::str::from_utf8(content).is_err());
    assert!(utf8.lossy || utf8.text.as_bytes() == content);
    let gbk = Charset::Gbk.decode(content);
    assert_eq!(gbk.lossy, !reads_back(&gbk.text, content), "{content:x?} read as {:?}", gbk.text);
    assert!(!content.is_ascii() || !gbk.lossy && gbk.text.as_bytes() == content);
}

/// Whether a text says which bytes it came of. GB18030 writes all that GBK reads; the euro sign
/// alone has two forms.
fn reads_back(text: &str, bytes: &[u8]) -> bool {
    let mut left = bytes;
    let mut buffer = [0; 4];
    text.chars().all(|letter| {
        let (code, _, _) = encoding_rs::GB18030.encode(letter.encode_utf8(&mut buffer));
        let rest = left.strip_prefix(&*code);
        let rest = rest.or_else(|| left.strip_prefix(b"\x80").filter(|_| letter == '€'));
        left = rest.unwrap_or_default();
        rest.is_some()
    }) && left.is_empty()
}

/// Sends the bytes as the contents of well-formed records, and finds exactly these.
fn well_formed_records_come_through(bytes: &[u8]) {
    let contents: Vec<&[u8]> = bytes.split(|byte| *byte == BETWEEN).collect();
    if contents.iter().any(|content| holds_an_end(content)) {
        return;
    }
    let numbers = ["10086", "+8613900000001", "008613900000002", "0218882228", "123"];
    let gateways = ["1069", "", "106907", "955"];
    let mut body = b"100".to_vec();
    for (index, content) in contents.iter().enumerate() {
        let (number, gateway) = (numbers[index % 5], gateways[index % 4]);
        body.extend_from_slice(format!("{{&}}{number}||").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(
            format!("||2026-11-22 10:00:{:02}||{gateway}", index % 60).as_bytes(),
        );
    }
    body.extend_from_slice([&b""[..], b"{&}", b"\r\n", b"{&}\n"][bytes.len() % 4]);
    let answer = parse(&body);
    assert!(answer.faults.is_empty());
    let found: Vec<&[u8]> = answer.records.iter().map(|record| record.content).collect();
    assert_eq!(found, contents);
    for (index, record) in answer.records.iter().enumerate() {
        assert_eq!(Some(&record.mobile), Mobile::parse(numbers[index % 5]).as_ref());
        assert_eq!(record.gateway, gateways[index % 4]);
        assert_eq!(record.replied_at.unix_seconds() % 60, index as i64 % 60);
    }
}

/// Whether a content is one that nothing can tell from the end of a record, with the `||` before
/// it.
fn holds_an_end(content: &[u8]) -> bool {
    let content = [b"||", content].concat();
    let shape = b"||dddd-dd-dd dd:dd:dd||";
    content.windows(shape.len()).enumerate().any(|(at, window)| {
        let is_date = window.iter().zip(shape).all(|(byte, want)| match want {
            b'd' => byte.is_ascii_digit(),
            _ => byte == want,
        });
        let behind = content[at + shape.len()..].iter().skip_while(|byte| byte.is_ascii_digit());
        is_date && behind.copied().take(3).eq(*b"{&}")
    })
}

//! When a certificate ends: the one thing that is read of it here. Whether it can be trusted is
//! the TLS library's to say.
//!
//! A certificate is a tree of elements, each a tag, a length and so many bytes (X.690, DER). Only
//! the way to its validity is walked (RFC 5280, 4.1).

use crate::time::{BeijingTime, UnixMs};

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// Bytes of a length in its long form: more than any certificate needs.
const LENGTH_BYTES_MAX: usize = 4;
/// Beijing is so far ahead of the time in certificates.
const AHEAD_MS: i64 = 8 * 3_600_000;

/// When a certificate ends; none where it cannot be read.
pub(super) fn ends_at(certificate: &[u8]) -> Option<UnixMs> {
    let (certificate, _) = inside(certificate, SEQUENCE)?;
    let (mut rest, _) = inside(certificate, SEQUENCE)?;
    if let Some((_, behind)) = inside(rest, VERSION) {
        rest = behind;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (validity, _) = inside(rest, SEQUENCE)?;
    let (_, _, end) = element(validity)?;
    let (tag, end, _) = element(end)?;
    time(tag, end)
}

/// The bytes of an element that has this tag, and what follows it.
fn inside(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// An element's tag and bytes, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, first, rest @ ..] = bytes else { return None };
    let (length, rest) = match *first {
        short @ ..0x80 => (usize::from(short), rest),
        long => {
            let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            if length.is_empty() || length.len() > LENGTH_BYTES_MAX {
                return None;
            }
            let length = length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
            (usize::try_from(length).ok()?, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `YYMMDDHHMMSSZ`, of the years 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &[u8]) -> Option<UnixMs> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let text = match (tag, text.len()) {
        (UTC_TIME, 12) if text < "5" => format!("20{text}"),
        (UTC_TIME, 12) => format!("19{text}"),
        (GENERALIZED_TIME, 14) => text.to_owned(),
        _ => return None,
    };
    let (day, time) = text.split_at_checked(8)?;
    let part = |text: &str, from: usize, to: usize| text.get(from..to).map(str::to_owned);
    let text = format!(
        "{}-{}-{} {}:{}:{}",
        part(day, 0, 4)?,
        part(day, 4, 6)?,
        part(day, 6, 8)?,
        part(time, 0, 2)?,
        part(time, 2, 4)?,
        part(time, 4, 6)?
    );
    let as_beijing: BeijingTime = text.parse().ok()?;
    Some(UnixMs(as_beijing.unix_ms().0.saturating_add(AHEAD_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_tells_its_end() {
        let certificate = include_bytes!("tests/certificate.der");
        let end = ends_at(certificate).unwrap();
        assert_eq!(end.beijing().rfc3339(), "2126-11-02T11:44:37+08:00");
        // Whatever is missing or wrong, it is told nothing wrong and nothing panics.
        for cut in 0..certificate.len() {
            assert!(ends_at(&certificate[..cut]).is_none_or(|found| found == end), "{cut}");
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut broken = certificate.to_vec();
                broken[cut] = byte;
                let _ = ends_at(&broken);
            }
        }
        assert_eq!(ends_at(b""), None);
        assert_eq!(ends_at(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for (tag, text, expected) in [
            (UTC_TIME, "491231235959Z", Some("2050-01-01T07:59:59+08:00")),
            (UTC_TIME, "500101000000Z", Some("1950-01-01T08:00:00+08:00")),
            (GENERALIZED_TIME, "20500101000000Z", Some("2050-01-01T08:00:00+08:00")),
            (GENERALIZED_TIME, "500101000000Z", None),
            (UTC_TIME, "491331235959Z", None),
            (UTC_TIME, "4912312359Z", None),
            (UTC_TIME, "好好好好Z", None),
            (0x04, "491231235959Z", None),
        ] {
            let found = time(tag, text.as_bytes()).map(|at| at.beijing().rfc3339());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}

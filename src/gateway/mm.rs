//! The answer to `/mm`: `STATUS||FIGURE`, an account's messages left or sent.

use crate::gateway::client::Received;
use crate::gateway::status::Status;

const FIELD: &[u8] = b"||";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const STATUS_DIGITS_MAX: usize = 4;
/// Digits of a figure: more messages than anybody sends.
const FIGURE_DIGITS_MAX: usize = 18;

/// What an answer to `/mm` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The code.
    pub status: Status,
    /// Messages left, or sent, whichever was asked for; none where the code stands alone.
    pub count: Option<u64>,
}

/// What asking for a figure came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// So many messages.
    Count(u64),
    /// The gateway does not say, for this code.
    Refused(Status),
    /// Something that is not of this protocol.
    Strange,
    /// No whole answer came, for this reason.
    Nothing(String),
}

/// Judges what was received.
#[must_use]
pub fn judge(received: &Received) -> Said {
    if !received.is_whole() {
        return Said::Nothing(received.error.clone().unwrap_or_else(|| "no answer".to_owned()));
    }
    match parse(&received.body) {
        Some(figures) if figures.status != Status::OK => Said::Refused(figures.status),
        Some(Figures { count: Some(count), .. }) => Said::Count(count),
        _ => Said::Strange,
    }
}

/// Reads an answer; none when it is not of this protocol.
#[must_use]
pub fn parse(body: &[u8]) -> Option<Figures> {
    let text = body.trim_ascii();
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii();
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (code, rest) = text.split_at(digits);
    if !(1..=STATUS_DIGITS_MAX).contains(&digits) {
        return None;
    }
    let status = Status(std::str::from_utf8(code).ok()?.parse().ok()?);
    let figure = rest.strip_prefix(FIELD);
    match figure.map(<[u8]>::trim_ascii) {
        None if rest.is_empty() => Some(Figures { status, count: None }),
        Some(figure)
            if (1..=FIGURE_DIGITS_MAX).contains(&figure.len())
                && figure.iter().all(u8::is_ascii_digit) =>
        {
            let count = std::str::from_utf8(figure).ok()?.parse().ok()?;
            Some(Figures { status, count: Some(count) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::client::Ending;

    fn check(body: &str, expected: Option<(u16, Option<u64>)>) {
        let found = parse(body.as_bytes()).map(|figures| (figures.status.0, figures.count));
        assert_eq!(found, expected, "{body:?}");
    }

    #[test]
    fn figures_are_read() {
        check("100||22348", Some((100, Some(22_348))));
        check("\u{feff}100||22348\r\n", Some((100, Some(22_348))));
        check("101", Some((101, None)));
        check("100||0", Some((100, Some(0))));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for body in [
            "",
            "<html>",
            "100||",
            "100||-1",
            "100||+1",
            "100|22348",
            "100||1||2",
            "12345",
            "13900000001||x",
        ] {
            check(body, None);
        }
    }

    #[test]
    fn only_a_whole_answer_of_the_gateway_counts() {
        let judged = |ending, body: &str| {
            let body = body.as_bytes().to_vec();
            judge(&Received { http_status: Some(200), ending, body, error: None })
        };
        assert_eq!(judged(Ending::Announced, "100||22348"), Said::Count(22_348));
        assert_eq!(judged(Ending::Announced, "101"), Said::Refused(Status(101)));
        for body in ["", "100", "<html>", "100||x"] {
            assert_eq!(judged(Ending::Announced, body), Said::Strange, "{body}");
        }
        assert!(matches!(judged(Ending::Cut, "100||2"), Said::Nothing(_)));
    }
}

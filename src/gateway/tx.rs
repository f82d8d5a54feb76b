//! What `/tx` is asked, and what its answer means: pure.
//!
//! A message costs money and cannot be taken back, so an answer is one of four: it was accepted,
//! it was refused, nothing was sent, or nobody knows. Only the third may be tried again by itself.

use percent_encoding::percent_encode;

use crate::gateway::charset::Charset;
use crate::gateway::client::{Ending, QUERY, Received};
use crate::gateway::mm;
use crate::gateway::status::Status;
use crate::reply::Mobile;
use crate::time::BeijingTime;

/// The most numbers in one call, by POST.
pub const NUMBERS_MAX: usize = 2_000;
/// Digits of a landline with its area code.
const LANDLINE_DIGITS: std::ops::RangeInclusive<usize> = 10..=12;
/// Digits of a sub-extension: longer than any gateway gives out.
const MID_DIGITS_MAX: usize = 20;
/// The euro sign has one byte in the charset that browsers call GBK, and none in GBK itself.
const NOT_IN_GBK: char = '€';
/// The least that a code must have to be taken for whole where no end was announced.
const CODE_MIN: u16 = 100;

/// A text in the bytes in which it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The charset that was chosen.
    pub charset: Charset,
    /// The text in it.
    pub bytes: Vec<u8>,
}

/// Chooses the charset: GBK, which every gateway reads, or UTF-8 for what GBK cannot say.
#[must_use]
pub fn encode(text: &str) -> Encoded {
    let gbk = if text.contains(NOT_IN_GBK) { None } else { Charset::Gbk.encode(text) };
    match gbk {
        Some(bytes) => Encoded { charset: Charset::Gbk, bytes },
        None => Encoded { charset: Charset::Utf8, bytes: text.as_bytes().to_vec() },
    }
}

/// One call.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The text.
    pub text: &'a Encoded,
    /// To whom, at most [`NUMBERS_MAX`].
    pub numbers: &'a [Mobile],
    /// When the gateway is to send it; at once where none is given. It knows minutes only.
    pub at: Option<BeijingTime>,
    /// The sub-extension to send from.
    pub mid: Option<&'a str>,
}

impl Call<'_> {
    /// The call as the body of a form, behind the login.
    #[must_use]
    pub fn form(&self) -> String {
        let numbers: Vec<&str> = self.numbers.iter().map(Mobile::as_str).collect();
        let mut form = format!("&mobile={}", numbers.join(",").replace('+', "%2B"));
        form += &format!("&content={}", escaped(&self.text.bytes));
        if let Some(at) = self.at {
            let minute = at.to_string();
            let minute = minute.get(..minute.len().saturating_sub(3)).unwrap_or_default();
            form += &format!("&time={}", escaped(minute.as_bytes()));
        }
        if let Some(mid) = self.mid {
            form += &format!("&mid={}", escaped(mid.as_bytes()));
        }
        if self.text.charset == Charset::Utf8 {
            form += "&encode=utf8";
        }
        form
    }
}

fn escaped(bytes: &[u8]) -> String {
    percent_encode(bytes, QUERY).to_string().replace("%20", "+")
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The gateway took it.
    Accepted,
    /// The gateway did not take it, with this code.
    Refused(Status),
    /// Nothing reached the gateway.
    Unsent(String),
    /// It may have been taken: no answer came, or one that says nothing.
    Unclear(String),
}

/// Judges an answer. `reached` is false where no connection was made.
#[must_use]
pub fn judge(received: &Received, reached: bool) -> Outcome {
    let said = || received.error.clone().unwrap_or_else(|| "no answer".to_owned());
    if !reached {
        return Outcome::Unsent(said());
    }
    match (received.ending, status(&received.body)) {
        (Ending::Announced | Ending::Connection, Some(Status::OK)) => Outcome::Accepted,
        (Ending::Announced, Some(status)) => Outcome::Refused(status),
        (Ending::Connection, Some(status)) if status.0 >= CODE_MIN => Outcome::Refused(status),
        (Ending::Announced | Ending::Connection, _) => {
            let http_status = received.http_status.unwrap_or_default();
            Outcome::Unclear(format!("an answer that is not the gateway's (HTTP {http_status})"))
        }
        _ => Outcome::Unclear(said()),
    }
}

/// The code that stands alone in an answer.
fn status(body: &[u8]) -> Option<Status> {
    mm::parse(body).filter(|figures| figures.count.is_none()).map(|figures| figures.status)
}

/// Reads a number to send to: a mainland mobile, whatever prefix it has, or a landline with its
/// area code. One wrong number makes the gateway refuse a whole call.
#[must_use]
pub fn number(raw: &str) -> Option<Mobile> {
    let digits: String = raw.chars().filter(|letter| !matches!(letter, ' ' | '-')).collect();
    let number = Mobile::parse(&digits)?;
    let is_landline = number.as_str().starts_with('0')
        && !number.as_str().starts_with("00")
        && LANDLINE_DIGITS.contains(&number.as_str().len());
    (number.is_mainland() || is_landline).then_some(number)
}

/// Numbers as somebody wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Each once, in the order in which they were written.
    pub numbers: Vec<Mobile>,
    /// What is no number to send to.
    pub wrong: Vec<String>,
    /// How many stood there more than once.
    pub repeated: usize,
}

/// Reads numbers between commas, semicolons and line breaks, also those of Chinese keyboards.
#[must_use]
pub fn numbers<'a>(written: impl IntoIterator<Item = &'a str>) -> Numbers {
    let mut read = Numbers::default();
    let mut seen = std::collections::HashSet::new();
    for list in written {
        let parts = list.split([',', ';', '\n', '\r', '\t', '，', '；', '、']).map(str::trim);
        for part in parts.filter(|part| !part.is_empty()) {
            match number(part) {
                None => read.wrong.push(part.to_owned()),
                Some(number) if seen.insert(number.clone()) => read.numbers.push(number),
                Some(_) => read.repeated += 1,
            }
        }
    }
    read
}

/// Whether it can be a sub-extension.
#[must_use]
pub fn is_mid(text: &str) -> bool {
    (1..=MID_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str, numbers: &[&str], at: Option<&str>, mid: Option<&str>) -> String {
        let numbers: Vec<Mobile> = numbers.iter().map(|raw| number(raw).unwrap()).collect();
        let at = at.map(|at| at.parse().unwrap());
        Call { text: &encode(text), numbers: &numbers, at, mid }.form()
    }

    #[test]
    fn the_documents_example_is_written_as_it_stands_there() {
        let numbers = ["13900008888", "13900009999", "13100006666", "0218882228"];
        assert_eq!(
            form("中国短信网发送测试", &numbers, None, None),
            "&mobile=13900008888,13900009999,13100006666,0218882228\
             &content=%D6%D0%B9%FA%B6%CC%D0%C5%CD%F8%B7%A2%CB%CD%B2%E2%CA%D4"
        );
    }

    #[test]
    fn a_blank_is_a_plus_and_only_letters_digits_and_three_marks_stay() {
        assert_eq!(
            form("a b+c-_.~&=%", &["13900000001"], Some("2026-11-26 15:04:59"), Some("00")),
            "&mobile=13900000001&content=a+b%2Bc-_.%7E%26%3D%25&time=2026-11-26+15%3A04&mid=00"
        );
    }

    #[test]
    fn what_gbk_cannot_say_goes_as_utf8() {
        for (text, charset) in [
            ("好的", Charset::Gbk),
            ("", Charset::Gbk),
            ("億", Charset::Gbk),
            ("好😀", Charset::Utf8),
            ("5 €", Charset::Utf8),
            ("한국", Charset::Utf8),
        ] {
            assert_eq!(encode(text).charset, charset, "{text}");
        }
        assert!(
            form("😀", &["13900000001"], None, None).ends_with("&content=%F0%9F%98%80&encode=utf8")
        );
    }

    fn judged(ending: Ending, body: &str) -> Outcome {
        let body = body.as_bytes().to_vec();
        judge(&Received { http_status: Some(200), ending, body, error: Some("cut".into()) }, true)
    }

    #[test]
    fn only_a_whole_answer_of_the_gateway_is_believed() {
        for ending in [Ending::Announced, Ending::Connection] {
            assert_eq!(judged(ending, "100"), Outcome::Accepted);
            assert_eq!(judged(ending, "\u{feff}100\r\n"), Outcome::Accepted);
            assert_eq!(judged(ending, "112"), Outcome::Refused(Status(112)));
            assert_eq!(judged(ending, "999"), Outcome::Refused(Status(999)));
            for body in ["", "<html>", "100||1", "1000000", "ok"] {
                assert!(matches!(judged(ending, body), Outcome::Unclear(_)), "{body}");
            }
        }
        // Of 100 and 101 alike.
        assert!(matches!(judged(Ending::Connection, "10"), Outcome::Unclear(_)));
        for ending in [Ending::Cut, Ending::TimedOut, Ending::TooLong, Ending::Unanswered] {
            assert_eq!(judged(ending, "100"), Outcome::Unclear("cut".into()));
        }
        let nothing =
            Received { http_status: None, ending: Ending::Unanswered, body: vec![], error: None };
        assert_eq!(judge(&nothing, false), Outcome::Unsent("no answer".into()));
    }

    #[test]
    fn numbers_are_checked_and_each_stands_once() {
        let read = numbers([
            "13900000001, +8613900000002；13900000001",
            "139-0000-0003\n0218882228\r\n010 12345678",
            "12345,abc,1390000000,008613900000002、0013900000001,-",
        ]);
        let shown: Vec<&str> = read.numbers.iter().map(Mobile::as_str).collect();
        assert_eq!(
            shown,
            ["13900000001", "13900000002", "13900000003", "0218882228", "01012345678"]
        );
        assert_eq!(read.wrong, ["12345", "abc", "1390000000", "0013900000001", "-"]);
        assert_eq!(read.repeated, 2);
    }

    #[test]
    fn a_sub_extension_is_of_digits() {
        assert!(is_mid("00") && !is_mid("") && !is_mid("a") && !is_mid("０"));
    }
}

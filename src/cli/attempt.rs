//! An attempt to deliver, explained: what happened, what went wrong, what comes next.

use std::time::Duration;

use crate::cli::facts;
use crate::cli::output;
use crate::delivery::explain;
use crate::language::Language;
use crate::store::attempt::Timings;
use crate::store::by_hand::AttemptRow;

/// Letters of an answer that are shown on a terminal; JSON has all that is kept.
const ANSWER_LETTERS_MAX: usize = 1_000;

/// Writes the attempt in words.
pub(super) fn print(attempt: &AttemptRow, language: Language) {
    let (number, began) = (attempt.number, attempt.started.beijing());
    let took = span(attempt.took);
    output::data(&language.pick(
        format!("第 {number} 次投递  {began}，用时 {took}"),
        format!("attempt {number}  {began}, took {took}"),
    ));
    let name = |zh, en| language.pick(zh, en);
    let trouble = attempt.trouble.as_ref().map(|trouble| explain::trouble(trouble, language));
    facts::print(
        2,
        &[
            (name("地址", "address"), attempt.address.clone()),
            (name("各步用时", "times"), times(&attempt.timings, language)),
            (name("状态码", "status"), attempt.http_status.map(|status| status.to_string())),
            (name("应答", "answer"), answer(&attempt.answer, language)),
            (name("问题", "trouble"), trouble),
            (name("接下来", "next"), Some(explain::next(&attempt.next, language))),
        ],
    );
}

fn times(timings: &Timings, language: Language) -> Option<String> {
    let parts = [
        (language.pick("解析域名", "resolve"), timings.resolve),
        (language.pick("建立连接", "connect"), timings.connect),
        (language.pick("TLS 握手", "TLS"), timings.tls),
        (language.pick("首字节", "first byte"), timings.first_byte),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter_map(|(name, took)| Some(format!("{name} {}", span(took?))))
        .collect();
    (!parts.is_empty()).then(|| parts.join(language.pick("，", ", ")))
}

fn answer(answer: &[u8], language: Language) -> Option<String> {
    if answer.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(answer);
    let mut letters = text.chars();
    let shown: String = letters.by_ref().take(ANSWER_LETTERS_MAX).collect();
    let left = letters.count();
    if left == 0 {
        return Some(shown);
    }
    Some(
        shown
            + &language
                .pick(format!(" …（还有 {left} 个字符）"), format!(" … ({left} more letters)")),
    )
}

/// A span that people read: no more digits than say anything.
pub(super) fn span(span: Duration) -> String {
    let millis = span.as_secs_f64() * 1000.0;
    match millis {
        ..10.0 => format!("{millis:.1} ms"),
        ..10_000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_no_more_digits_than_say_anything() {
        for (micros, expected) in [
            (0, "0.0 ms"),
            (1_250, "1.2 ms"),
            (12_600, "13 ms"),
            (1_234_000, "1234 ms"),
            (15_000_000, "15.0 s"),
        ] {
            assert_eq!(span(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn a_long_answer_is_shown_as_far_as_it_says_something() {
        assert_eq!(answer(b"", Language::En), None);
        assert_eq!(answer("好\u{1b}".as_bytes(), Language::En).as_deref(), Some("好\u{1b}"));
        let long = "好".repeat(ANSWER_LETTERS_MAX + 7);
        let shown = answer(long.as_bytes(), Language::En).unwrap();
        assert!(shown.ends_with("好 … (7 more letters)"), "{shown}");
    }
}

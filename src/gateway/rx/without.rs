//! An answer without what it holds of one person.

use super::{Answer, Frames, SEPARATOR, take_status, without_mark};
use crate::reply::Mobile;

/// The body without the records of this number and the faults that hold it; none where there are
/// none of them. What others wrote stays as it is, whatever number they mention.
#[must_use]
pub fn without(body: &[u8], mobile: &Mobile) -> Option<Vec<u8>> {
    let end = body.trim_ascii_end().len();
    let start = body.len() - without_mark(body).trim_ascii_start().len();
    let text = body.get(start..end)?;
    let Some(records) = take_status(text, &mut Answer::default()) else {
        // Of another protocol: all of it is one fault.
        return holds(body, mobile).then(Vec::new);
    };
    let mut rest = Vec::with_capacity(body.len());
    let mut kept = 0;
    for frame in (Frames { text, at: records }) {
        let is_theirs = match frame.read(false, start) {
            Ok(record) => record.mobile == *mobile,
            Err(fault) => holds(fault.bytes, mobile),
        };
        if is_theirs {
            rest.extend_from_slice(body.get(kept..start + frame.start)?);
            let behind = text.get(frame.end..).unwrap_or_default();
            let separator = if behind.starts_with(SEPARATOR) { SEPARATOR.len() } else { 0 };
            kept = start + frame.end + separator;
        }
    }
    if kept == 0 {
        return None;
    }
    rest.extend_from_slice(body.get(kept..).unwrap_or_default());
    Some(rest)
}

/// Whether the number stands anywhere in these bytes, in whichever form, as a whole.
#[must_use]
pub fn holds(bytes: &[u8], mobile: &Mobile) -> bool {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let digits = super::count_digits(rest);
        let run = |from: usize| {
            let text = bytes.get(from..at + digits).and_then(|run| std::str::from_utf8(run).ok());
            text.and_then(Mobile::parse).is_some_and(|found| found == *mobile)
        };
        let plus = at.checked_sub(1).filter(|before| bytes.get(*before) == Some(&b'+'));
        if digits > 0 && (run(at) || plus.is_some_and(run)) {
            return true;
        }
        at += digits.max(1);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: &str = "13900000001||a||2008-05-27 12:10:11||1069";
    const PREFIXED: &str = "+8613900000001||b{&}c||2008-05-27 12:10:11||";
    const HERS: &str = "13900000002||call 13900000001||2008-05-27 12:10:11||1069";

    fn check(body: &str, expected: Option<&str>) {
        let mobile = Mobile::parse("8613900000001").unwrap();
        let found = without(body.as_bytes(), &mobile);
        let found = found.map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(found.as_deref(), expected, "{body:?}");
    }

    #[test]
    fn a_persons_records_are_cut_out_and_others_stay_byte_for_byte() {
        for none in ["", " ", "100", "100{&}", &format!("100{{&}}{HERS}"), "<html>404</html>"] {
            check(none, None);
        }
        check(&format!("100{{&}}{MINE}"), Some("100{&}"));
        check(&format!(" 100 {{&}}{MINE}\r\n"), Some(" 100 {&}\r\n"));
        check(&format!("100{{&}}{MINE}{{&}}{HERS}"), Some(&format!("100{{&}}{HERS}")));
        check(&format!("100{{&}}{HERS}{{&}}{MINE}"), Some(&format!("100{{&}}{HERS}{{&}}")));
        check(
            &format!("\u{feff}{MINE}{{&}}{HERS}{{&}}{PREFIXED}{{&}}{HERS}"),
            Some(&format!("\u{feff}{HERS}{{&}}{HERS}")),
        );
    }

    #[test]
    fn faults_that_hold_the_number_are_cut_out() {
        check(
            &format!("100{{&}}{HERS}{{&}}13900000001||cut of"),
            Some(&format!("100{{&}}{HERS}{{&}}")),
        );
        check(&format!("100{{&}}{HERS}{{&}}1390000000"), None);
        let no_date = "008613900000001||a||2008-13-27 12:10:11||1069";
        check(&format!("100{{&}}{no_date}{{&}}{HERS}"), Some(&format!("100{{&}}{HERS}")));
        check("<p>13900000001</p>", Some(""));
    }

    #[test]
    fn a_number_is_held_as_a_whole_in_whichever_form() {
        for (bytes, mobile, expected) in [
            ("a13900000001b", "13900000001", true),
            ("+8613900000001", "13900000001", true),
            ("113900000001", "13900000001", false),
            ("139000000010", "13900000001", false),
            ("+85291234567", "+85291234567", true),
            ("85291234567", "+85291234567", false),
            ("+85291234567", "85291234567", true),
            ("10086", "10086", true),
            ("110086", "10086", false),
            ("", "10086", false),
        ] {
            let mobile = Mobile::parse(mobile).unwrap();
            assert_eq!(holds(bytes.as_bytes(), &mobile), expected, "{bytes} {mobile:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_of_the_person_is_left_to_parse(parts in proptest::collection::vec(0..5_usize, 0..9)) {
            let parts: Vec<&str> = parts
                .iter()
                .filter_map(|part| [MINE, PREFIXED, HERS, "13900000001||cut", "||x||{&}"].get(*part).copied())
                .collect();
            let body = format!("100{{&}}{}", parts.join("{&}"));
            let mobile = Mobile::parse("13900000001").unwrap();
            let rest = without(body.as_bytes(), &mobile).unwrap_or_else(|| body.clone().into_bytes());
            let (before, after) = (crate::gateway::rx::parse(body.as_bytes()), crate::gateway::rx::parse(&rest));
            let others = |record: &&crate::gateway::rx::Record<'_>| record.mobile != mobile;
            let kept: Vec<_> = before.records.iter().filter(others).map(|record| record.content).collect();
            proptest::prop_assert!(after.records.iter().all(|record| record.mobile != mobile));
            let left: Vec<_> = after.records.iter().map(|record| record.content).collect();
            proptest::prop_assert_eq!(kept, left, "{}", body);
        }
    }
}

//! What holds for the code at the head of every answer, and for what follows from it.

use replyd::gateway::client::Ending;
use replyd::gateway::rx::{self, FaultKind};
use replyd::gateway::status::Status;
use replyd::intake::{plan, verdict};
use replyd::store::read::Verdict;

/// Checks these bytes as an answer, and the number that they begin with as a code.
pub(crate) fn check(bytes: &[u8]) {
    let answer = rx::parse(bytes);
    assert_eq!(answer.status.map(|status| status.0), code_at_head(bytes));
    if let Some(status) = answer.status {
        is_told(status);
    }
    for ending in Ending::ALL {
        for http_status in [None, Some(200), Some(204), Some(206), Some(302), Some(502)] {
            let verdict = verdict::judge(ending, http_status, &answer);
            follows(ending, http_status, &answer, verdict);
        }
    }
    if let [high, low, ..] = bytes {
        is_told(Status(u16::from_be_bytes([*high, *low])));
    }
}

/// The code, by the letter: at most four digits, and then the end or a separator.
fn code_at_head(bytes: &[u8]) -> Option<u16> {
    let is_white = |byte: &u8| b" \t\r\n\x0c".contains(byte);
    let mut rest: Vec<u8> = bytes.iter().copied().skip_while(is_white).collect();
    if rest.starts_with(b"\xef\xbb\xbf") {
        rest = rest.split_off(3).into_iter().skip_while(is_white).collect();
    }
    let digits: String = rest
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .map(|byte| char::from(*byte))
        .collect();
    let behind: Vec<u8> = rest.into_iter().skip(digits.len()).skip_while(is_white).collect();
    let is_head = behind.is_empty() || behind.starts_with(b"{&}");
    if is_head && digits.len() <= 4 { digits.parse().ok() } else { None }
}

/// A code is shown as its number with a meaning, and imposes a wait only when it refuses.
fn is_told(status: Status) {
    let shown = status.to_string();
    assert!(shown.starts_with(&format!("{} (", status.0)) && shown.ends_with(')'));
    let refuses = status.refuses_account() || status == Status::LOCKED;
    let mut last = None;
    for refusals in [0, 1, 2, 3, u32::MAX] {
        let pause = plan::pause_after(status, refusals);
        assert_eq!(pause.is_some(), refuses, "{shown}");
        assert!(pause >= last, "{shown}: waits grow");
        last = pause;
    }
}

/// What a verdict rests on.
fn follows(ending: Ending, http_status: Option<u16>, answer: &rx::Answer<'_>, verdict: Verdict) {
    match verdict {
        Verdict::Proven => {
            assert_eq!(ending, Ending::Announced);
            assert!(matches!(http_status, Some(200 | 204)));
            assert!(answer.faults.is_empty());
            assert!(answer.is_empty || answer.status == Some(Status::OK));
        }
        Verdict::Refused(_) => {
            let status = answer.status.expect("only a code refuses");
            assert!(plan::pause_after(status, 0).is_some());
            assert!(answer.faults.iter().all(|fault| fault.kind != FaultKind::NotProtocol));
        }
        Verdict::Doubtful(reason) => assert!(!reason.is_empty()),
    }
}

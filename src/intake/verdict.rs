//! Proven or doubtful: how far an answer is to be believed.
//!
//! A read is proven when it said 100 or nothing at all, its end was announced and met, and it
//! held no fault. Every other is doubtful, for the reason named here, unless the gateway turned
//! the account away: then nothing was read and nothing is missing.

use crate::gateway::client::Ending;
use crate::gateway::rx::{Answer, FaultKind};
use crate::gateway::status::Status;
use crate::store::read::Verdict;

/// Judges an answer by how it ended and what it holds.
#[must_use]
pub fn judge(ending: Ending, http_status: Option<u16>, answer: &Answer<'_>) -> Verdict {
    match ending {
        Ending::Unanswered => return Verdict::Doubtful("never_answered"),
        Ending::Cut => return Verdict::Doubtful("cut"),
        Ending::TimedOut => return Verdict::Doubtful("timed_out"),
        Ending::TooLong => return Verdict::Doubtful("too_long"),
        Ending::Announced | Ending::Connection => {}
    }
    // Whatever the status line says: a code that refuses the account must never be hammered.
    if answer.records.is_empty()
        && answer.faults.is_empty()
        && let Some(reason) = answer.status.and_then(refusal)
    {
        return Verdict::Refused(reason);
    }
    // 204 is an empty body by itself; 206 is a part, and no other 2xx is an answer to a read.
    if !matches!(http_status, Some(200 | 204)) {
        return Verdict::Doubtful("http_status");
    }
    if answer.faults.iter().any(|fault| fault.kind == FaultKind::NotProtocol) {
        return Verdict::Doubtful("not_protocol");
    }
    match answer.status {
        Some(Status::OK) => {}
        Some(_) => return Verdict::Doubtful("status"),
        None if answer.is_empty => {}
        None => return Verdict::Doubtful("no_status"),
    }
    if !answer.faults.is_empty() {
        return Verdict::Doubtful("fault");
    }
    // Last, because it is the one reason for which the same answer twice can stand in.
    match ending {
        Ending::Announced => Verdict::Proven,
        _ => Verdict::Doubtful("ended_with_connection"),
    }
}

fn refusal(status: Status) -> Option<&'static str> {
    match status {
        Status::LOGIN_FAILED => Some("login_failed"),
        Status::FROZEN => Some("frozen"),
        Status::LOCKED => Some("locked"),
        Status::FORBIDDEN => Some("forbidden"),
        Status::WRONG_ADDRESS => Some("wrong_address"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::rx::parse;

    const RECORD: &str = "100{&}10086||TD||2008-05-27 12:10:11||1069";

    fn check(ending: Ending, http_status: u16, body: &str, expected: Verdict) {
        let verdict = judge(ending, Some(http_status), &parse(body.as_bytes()));
        assert_eq!(verdict, expected, "{ending:?} {http_status} {body:?}");
    }

    #[test]
    fn only_a_whole_answer_is_proven() {
        for body in ["", "\r\n", "100", RECORD] {
            check(Ending::Announced, 200, body, Verdict::Proven);
            check(Ending::Connection, 200, body, Verdict::Doubtful("ended_with_connection"));
            check(Ending::Cut, 200, body, Verdict::Doubtful("cut"));
            check(Ending::TimedOut, 200, body, Verdict::Doubtful("timed_out"));
            check(Ending::TooLong, 200, body, Verdict::Doubtful("too_long"));
            check(Ending::Announced, 206, body, Verdict::Doubtful("http_status"));
            check(Ending::Announced, 302, body, Verdict::Doubtful("http_status"));
            check(Ending::Announced, 502, body, Verdict::Doubtful("http_status"));
        }
        assert_eq!(
            judge(Ending::Unanswered, None, &parse(b"")),
            Verdict::Doubtful("never_answered")
        );
    }

    #[test]
    fn what_it_says_matters() {
        for status in ["103", "107", "115", "120", "555"] {
            check(Ending::Announced, 200, status, Verdict::Doubtful("status"));
            check(Ending::Connection, 200, status, Verdict::Doubtful("status"));
        }
        check(Ending::Announced, 200, &RECORD[6..], Verdict::Doubtful("no_status"));
        check(Ending::Announced, 200, "100{&}garbage", Verdict::Doubtful("fault"));
        check(Ending::Connection, 200, "100{&}garbage", Verdict::Doubtful("fault"));
        check(Ending::Announced, 200, "<html>", Verdict::Doubtful("not_protocol"));
    }

    #[test]
    fn an_account_that_is_turned_away_lost_nothing() {
        for (status, reason) in [
            ("101", "login_failed"),
            ("109", "frozen"),
            ("114", "locked"),
            ("116", "forbidden"),
            ("117", "wrong_address"),
        ] {
            check(Ending::Announced, 200, status, Verdict::Refused(reason));
            check(Ending::Connection, 200, status, Verdict::Refused(reason));
            check(Ending::Announced, 403, status, Verdict::Refused(reason));
            let beside_a_record = format!("{status}{}", &RECORD[3..]);
            check(Ending::Announced, 200, &beside_a_record, Verdict::Doubtful("status"));
            check(Ending::Cut, 200, status, Verdict::Doubtful("cut"));
        }
    }
}

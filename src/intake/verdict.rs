//! Proven or doubtful: how far an answer is to be believed.
//!
//! A read is proven when it said 100 or nothing at all, its end was announced and met, and it
//! held no fault. Every other is doubtful, for the reason named here, unless the gateway turned
//! the account away: then nothing was read and nothing is missing.
//!
//! What an answer says of the account's standing is another question. A bare code that refuses
//! the account is enough for leaving it alone, also where the answer broke behind it; but such an
//! answer may have been about to say more, so it is doubtful all the same and owes its hours.

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
    if let Some((_, reason)) = refusal(answer) {
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

/// What an answer says of whether the gateway lets the account in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// It was let in.
    Open,
    /// It was turned away with this code.
    Shut(Status),
    /// Nothing.
    Unsaid,
}

/// Finds what an answer that was judged so says of the account's standing, however it ended. What
/// broke before it said anything, and a code that speaks of neither, let nobody in.
#[must_use]
pub fn door(verdict: Verdict, ending: Ending, answer: &Answer<'_>) -> Door {
    if let Some((status, _)) = refusal(answer) {
        return Door::Shut(status);
    }
    // Of a code that stands alone in a broken answer, digits may be missing.
    let is_said =
        matches!(ending, Ending::Announced | Ending::Connection) || !answer.records.is_empty();
    match answer.status {
        _ if verdict == Verdict::Proven => Door::Open,
        Some(Status::OK) if is_said => Door::Open,
        _ => Door::Unsaid,
    }
}

/// The code that refuses the account and the word for it, where the answer is that code and no
/// more.
fn refusal(answer: &Answer<'_>) -> Option<(Status, &'static str)> {
    let status = answer.status?;
    let reason = match status {
        Status::LOGIN_FAILED => "login_failed",
        Status::FROZEN => "frozen",
        Status::LOCKED => "locked",
        Status::FORBIDDEN => "forbidden",
        Status::WRONG_ADDRESS => "wrong_address",
        _ => return None,
    };
    (answer.records.is_empty() && answer.faults.is_empty()).then_some((status, reason))
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
            // It may have been about to say more: its hours are owed.
            check(Ending::Cut, 200, status, Verdict::Doubtful("cut"));
        }
    }

    fn check_door(endings: &[Ending], body: &str, expected: Door) {
        for ending in endings {
            let answer = parse(body.as_bytes());
            let door = door(judge(*ending, Some(200), &answer), *ending, &answer);
            assert_eq!(door, expected, "{ending:?} {body:?}");
        }
    }

    const WHOLE: [Ending; 2] = [Ending::Announced, Ending::Connection];
    const BROKEN: [Ending; 4] =
        [Ending::Cut, Ending::TimedOut, Ending::TooLong, Ending::Unanswered];

    #[test]
    fn a_bare_code_that_refuses_does_so_however_its_answer_ended() {
        for status in [101, 109, 114, 116, 117] {
            for body in [format!("{status}"), format!("{status}\r\n"), format!("\u{feff}{status}")]
            {
                check_door(&Ending::ALL, &body, Door::Shut(Status(status)));
            }
            // What holds more than the code read something.
            check_door(&Ending::ALL, &format!("{status}{}", &RECORD[3..]), Door::Unsaid);
            check_door(&Ending::ALL, &format!("{status}{{&}}139"), Door::Unsaid);
        }
    }

    #[test]
    fn only_what_was_said_lets_the_account_in() {
        check_door(&Ending::ALL, RECORD, Door::Open);
        for body in ["100", "100{&}139"] {
            check_door(&WHOLE, body, Door::Open);
            check_door(&BROKEN, body, Door::Unsaid);
        }
        check_door(&[Ending::Announced], "", Door::Open);
        check_door(&[Ending::Connection], "", Door::Unsaid);
        check_door(&BROKEN, "", Door::Unsaid);
        for body in ["10", "1", "103", "107", "115", "120", "555", "<html>", &RECORD[6..]] {
            check_door(&Ending::ALL, body, Door::Unsaid);
        }
    }
}

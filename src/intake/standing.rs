//! An account's standing with its gateway, and how what happens to it becomes an event.

use crate::event::{self, Notice, NoticeOf};
use crate::gateway::client::Received;
use crate::gateway::mm;
use crate::gateway::status::Status;
use crate::intake::plan;
use crate::reply::IdKey;
use crate::route::{self, Route};
use crate::store::read::{NewEvent, ProbeOutcome, ReadId, Standing};
use crate::time::UnixMs;

/// Who tells, of what account, whom.
pub struct Teller<'a> {
    /// The key of the account's ids.
    pub key: &'a IdKey,
    /// The account's name.
    pub account: &'a str,
    /// When.
    pub at: UnixMs,
    /// The read of which it is told; zero where it is none.
    pub read: ReadId,
    /// Every subscriber.
    pub subscribers: &'a [(String, Route)],
}

impl Teller<'_> {
    /// Renders a notice and says who wants it.
    #[must_use]
    pub fn tell(&self, notice: Notice<'_>) -> NewEvent {
        let event_type = notice.event_type();
        let id = self.key.event_id(self.account, event_type.as_str(), self.at, self.read.0);
        let account = Some(self.account);
        NewEvent {
            body: event::notice(NoticeOf { id: &id, account, at: self.at }, notice),
            event_type,
            subscribers: route::told(&notice, account, self.subscribers),
            id,
        }
    }
}

/// What the answer to a probe says of a refused account's standing, after so many refusals in a
/// row. A gateway whose `/mm` is of another protocol cannot be probed: the next read must tell. A
/// code that refuses the account does so also where the answer broke behind it.
#[must_use]
pub fn judge_probe(received: &Received, refusals: u32) -> Standing {
    let is_whole = received.is_whole();
    let Some(figures) = mm::parse(&received.body) else {
        return if is_whole { Standing::Unclear } else { Standing::Unknown };
    };
    match plan::pause_after(figures.status, refusals) {
        Some(pause) => Standing::Refused(figures.status, pause),
        None if is_whole && figures.status == Status::OK => Standing::Admitted,
        None => Standing::Unknown,
    }
}

/// What becomes of an account's standing, and what is told of it, after so many refusals in a row.
#[must_use]
pub fn outcome(standing: Standing, refusals: u32, teller: &Teller<'_>) -> ProbeOutcome {
    let notice = notice(standing, refusals, teller.at);
    let events = notice.map(|notice| teller.tell(notice)).into_iter().collect();
    ProbeOutcome { standing, events }
}

/// What to tell of an account's standing after so many refusals in a row: its first refusal, and
/// that it is let in again.
#[must_use]
pub fn notice(standing: Standing, refusals: u32, now: UnixMs) -> Option<Notice<'static>> {
    match standing {
        Standing::Refused(status, pause) if refusals == 0 => Some(Notice::LoginFailed {
            status: status.0,
            meaning: status.meaning(),
            next_try: now.after(pause),
        }),
        Standing::Admitted if refusals > 0 => Some(Notice::Recovered),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::client::Ending;
    use std::time::Duration;

    fn check(ending: Ending, body: &str, expected: Standing) {
        let body = body.as_bytes().to_vec();
        let received = Received { http_status: Some(200), ending, body, error: None };
        assert_eq!(judge_probe(&received, 1), expected);
    }

    #[test]
    fn a_probe_tells_whether_the_account_is_let_in() {
        check(Ending::Announced, "100||22348", Standing::Admitted);
        check(Ending::Connection, "100||22348", Standing::Admitted);
        let two_hours = Duration::from_hours(2);
        check(Ending::Announced, "101", Standing::Refused(Status::LOGIN_FAILED, two_hours));
        let lock = Duration::from_mins(11);
        check(Ending::Announced, "114", Standing::Refused(Status::LOCKED, lock));
        check(Ending::Announced, "120", Standing::Unknown);
        check(Ending::Unanswered, "", Standing::Unknown);
        for broken in [Ending::Cut, Ending::TimedOut, Ending::TooLong] {
            check(broken, "101", Standing::Refused(Status::LOGIN_FAILED, two_hours));
            check(broken, "100||2", Standing::Unknown);
            check(broken, "10", Standing::Unknown);
            check(broken, "<html>", Standing::Unknown);
        }
        check(Ending::Announced, "<html>404</html>", Standing::Unclear);
    }

    #[test]
    fn only_the_first_refusal_and_the_end_of_them_are_told() {
        let refused = Standing::Refused(Status::FROZEN, Duration::from_mins(30));
        let now = UnixMs(0);
        assert!(matches!(notice(refused, 0, now), Some(Notice::LoginFailed { status: 109, .. })));
        assert_eq!(notice(refused, 1, now), None);
        assert_eq!(notice(Standing::Admitted, 1, now), Some(Notice::Recovered));
        assert_eq!(notice(Standing::Admitted, 0, now), None);
        assert_eq!(notice(Standing::Unclear, 3, now), None);
    }
}

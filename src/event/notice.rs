//! Events beside replies: what an operator wants to be told of.

use serde::Serialize;

use super::{Event, EventType};
use crate::time::{Hour, UnixMs};

/// What happened, with the data of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// The gateway refused the account, with this code.
    LoginFailed {
        /// The gateway's code.
        status: u16,
        /// Its meaning, in English.
        meaning: &'a str,
        /// When the account is tried next.
        next_try: UnixMs,
    },
    /// The gateway lets the account in again.
    Recovered,
    /// Replies came first by hour that an earlier proven plain read should have brought.
    SecondReader {
        /// How many, in the last days.
        replies: u32,
        /// By how many reads.
        reads: u32,
    },
    /// Replies may be missing.
    GapOpened {
        /// The gap's first hour.
        first: Hour,
        /// The gap's last hour.
        last: Hour,
        /// How many hours are owed.
        hours: u32,
        /// Why: the reason of the doubtful read, or `pause`.
        reason: &'a str,
    },
    /// Every hour of a gap was read again, or given up.
    GapClosed {
        /// The gap's first hour.
        first: Hour,
        /// The gap's last hour.
        last: Hour,
        /// How many hours were verified.
        verified: u32,
        /// How many were given up.
        given_up: u32,
    },
    /// An answer held what is no record.
    RecordUnparsed {
        /// The read that brought it.
        read: i64,
        /// How many stretches.
        faults: usize,
        /// What is wrong with the first.
        kind: &'a str,
    },
    /// Every attempt at a subscriber has failed for a while.
    SubscriberFailing {
        /// The subscriber's name.
        subscriber: &'a str,
        /// When the first of these attempts failed.
        since: UnixMs,
        /// When it will be disabled if nothing changes.
        disables_at: UnixMs,
        /// What went wrong last, in a few English words: no URL, no part of an answer, and
        /// nothing else that could hold a secret or a personal datum.
        last_trouble: &'a str,
    },
    /// A subscriber was disabled, and not by hand.
    SubscriberDisabled {
        /// The subscriber's name.
        subscriber: &'a str,
        /// Since when every attempt had failed; none where the last one before this did not.
        since: Option<UnixMs>,
        /// Why: `gone`, `asked` or `failing`.
        reason: &'a str,
    },
    /// An account has fewer messages left than its threshold.
    BalanceLow {
        /// How many are left.
        balance: u64,
        /// The threshold.
        threshold: usize,
    },
}

impl Notice<'_> {
    /// The event's type.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        match self {
            Self::LoginFailed { .. } => EventType::LoginFailed,
            Self::Recovered => EventType::Recovered,
            Self::SecondReader { .. } => EventType::SecondReader,
            Self::GapOpened { .. } => EventType::GapOpened,
            Self::GapClosed { .. } => EventType::GapClosed,
            Self::RecordUnparsed { .. } => EventType::RecordUnparsed,
            Self::SubscriberFailing { .. } => EventType::SubscriberFailing,
            Self::SubscriberDisabled { .. } => EventType::SubscriberDisabled,
            Self::BalanceLow { .. } => EventType::BalanceLow,
        }
    }

    /// The subscriber of which it tells, which is not told it.
    #[must_use]
    pub fn about_subscriber(&self) -> Option<&str> {
        match self {
            Self::SubscriberFailing { subscriber, .. }
            | Self::SubscriberDisabled { subscriber, .. } => Some(subscriber),
            _ => None,
        }
    }
}

/// About which account a notice is, and when it was made.
#[derive(Clone, Copy, Debug)]
pub struct NoticeOf<'a> {
    /// The event's id.
    pub id: &'a str,
    /// The account's name; none where it is about none.
    pub account: Option<&'a str>,
    /// When.
    pub at: UnixMs,
}

#[derive(Serialize)]
struct Data<'a> {
    id: &'a str,
    account: Option<&'a str>,
    #[serde(flatten)]
    notice: Detail<'a>,
}

/// The data of a notice in their JSON form.
#[derive(Serialize)]
#[serde(untagged)]
enum Detail<'a> {
    LoginFailed {
        status: u16,
        meaning: &'a str,
        next_try_at: String,
    },
    Recovered {},
    SecondReader {
        replies: u32,
        reads: u32,
    },
    GapOpened {
        first_hour: String,
        last_hour: String,
        hours: u32,
        reason: &'a str,
    },
    GapClosed {
        first_hour: String,
        last_hour: String,
        verified: u32,
        given_up: u32,
    },
    RecordUnparsed {
        read: i64,
        faults: usize,
        kind: &'a str,
    },
    SubscriberFailing {
        subscriber: &'a str,
        since: String,
        disables_at: String,
        last_trouble: &'a str,
    },
    SubscriberDisabled {
        subscriber: &'a str,
        since: Option<String>,
        reason: &'a str,
    },
    BalanceLow {
        balance: u64,
        threshold: usize,
    },
}

/// The webhook's body for a notice.
#[must_use]
pub fn notice(of: NoticeOf<'_>, notice: Notice<'_>) -> String {
    let detail = match notice {
        Notice::LoginFailed { status, meaning, next_try } => {
            Detail::LoginFailed { status, meaning, next_try_at: next_try.beijing().rfc3339() }
        }
        Notice::Recovered => Detail::Recovered {},
        Notice::SecondReader { replies, reads } => Detail::SecondReader { replies, reads },
        Notice::GapOpened { first, last, hours, reason } => Detail::GapOpened {
            first_hour: first.to_string(),
            last_hour: last.to_string(),
            hours,
            reason,
        },
        Notice::GapClosed { first, last, verified, given_up } => Detail::GapClosed {
            first_hour: first.to_string(),
            last_hour: last.to_string(),
            verified,
            given_up,
        },
        Notice::RecordUnparsed { read, faults, kind } => {
            Detail::RecordUnparsed { read, faults, kind }
        }
        Notice::SubscriberFailing { subscriber, since, disables_at, last_trouble } => {
            let (since, disables_at) = (since.beijing().rfc3339(), disables_at.beijing().rfc3339());
            Detail::SubscriberFailing { subscriber, since, disables_at, last_trouble }
        }
        Notice::SubscriberDisabled { subscriber, since, reason } => {
            let since = since.map(|since| since.beijing().rfc3339());
            Detail::SubscriberDisabled { subscriber, since, reason }
        }
        Notice::BalanceLow { balance, threshold } => Detail::BalanceLow { balance, threshold },
    };
    let data = Data { id: of.id, account: of.account, notice: detail };
    Event::render(notice.event_type(), &of.at.beijing().rfc3339(), data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks what follows the account, which is null in a notice about none.
    fn check(what: Notice<'_>, expected: &str) {
        let account = what.about_subscriber().is_none().then_some("main");
        let shown = account.map_or("null", |_| "\"main\"");
        let at = "2026-11-22 10:00:00".parse::<crate::time::BeijingTime>().unwrap().unix_ms();
        let body = notice(NoticeOf { id: "evt_1", account, at }, what);
        let head = format!(
            r#"{{"type":"{}","timestamp":"2026-11-22T10:00:00+08:00","data":{{"id":"evt_1","account":{shown}"#,
            what.event_type().as_str()
        );
        assert_eq!(body, format!("{head}{expected}}}}}"));
    }

    #[test]
    fn notices_have_the_promised_json() {
        let hour = |text: &str| text.parse::<Hour>().unwrap();
        let next_try = hour("2026-11-22_10").end();
        check(
            Notice::LoginFailed { status: 101, meaning: "login failed", next_try },
            r#","status":101,"meaning":"login failed","next_try_at":"2026-11-22T11:00:00+08:00""#,
        );
        check(Notice::Recovered, "");
        check(Notice::SecondReader { replies: 3, reads: 2 }, r#","replies":3,"reads":2"#);
        let (first, last) = (hour("2026-11-22_08"), hour("2026-11-22_10"));
        check(
            Notice::GapOpened { first, last, hours: 3, reason: "cut" },
            r#","first_hour":"2026-11-22_08","last_hour":"2026-11-22_10","hours":3,"reason":"cut""#,
        );
        check(
            Notice::GapClosed { first, last, verified: 2, given_up: 1 },
            r#","first_hour":"2026-11-22_08","last_hour":"2026-11-22_10","verified":2,"given_up":1"#,
        );
        check(
            Notice::RecordUnparsed { read: 7, faults: 1, kind: "no_number" },
            r#","read":7,"faults":1,"kind":"no_number""#,
        );
        check(
            Notice::BalanceLow { balance: 99, threshold: 100 },
            r#","balance":99,"threshold":100"#,
        );
        let (since, disables_at) = (hour("2026-11-22_08").end(), hour("2026-11-27_08").end());
        check(
            Notice::SubscriberFailing {
                subscriber: "crm",
                since,
                disables_at,
                last_trouble: "status 503",
            },
            r#","subscriber":"crm","since":"2026-11-22T09:00:00+08:00","disables_at":"2026-11-27T09:00:00+08:00","last_trouble":"status 503""#,
        );
        check(
            Notice::SubscriberDisabled { subscriber: "crm", since: Some(since), reason: "failing" },
            r#","subscriber":"crm","since":"2026-11-22T09:00:00+08:00","reason":"failing""#,
        );
        check(
            Notice::SubscriberDisabled { subscriber: "crm", since: None, reason: "gone" },
            r#","subscriber":"crm","since":null,"reason":"gone""#,
        );
    }
}

//! An attempt to deliver: what happened, what went wrong, what comes next.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::words::Explained;
use crate::delivery::explain;
use crate::store::attempt::{Next, Timings};
use crate::store::by_hand::AttemptRow;

/// An attempt to deliver, with its facts and the words for them in both languages.
#[derive(Serialize, JsonSchema)]
pub struct Attempt {
    /// Its number, from 1.
    number: u32,
    /// When it began.
    #[schemars(extend("format" = "date-time"))]
    began_at: String,
    /// How long it took.
    took_ms: u64,
    /// The address that was reached.
    address: Option<String>,
    /// How long the name took to resolve.
    resolve_us: Option<u64>,
    /// How long the connection took.
    connect_us: Option<u64>,
    /// How long TLS took.
    tls_us: Option<u64>,
    /// How long the answer took to begin.
    first_byte_us: Option<u64>,
    /// The answer's status.
    http_status: Option<u16>,
    /// The first of the answer's body.
    answer: String,
    /// What went wrong: `kind` and what belongs to it, in words too.
    trouble: Option<Explained>,
    /// What was to happen next: `then` and what belongs to it, in words too.
    next: Explained,
}

impl Attempt {
    /// The shape of an attempt.
    #[must_use]
    pub fn of(attempt: &AttemptRow) -> Self {
        let Timings { resolve, connect, tls, first_byte } = attempt.timings;
        let micros = |span: Option<Duration>| {
            span.map(|span| u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
        };
        let trouble = attempt
            .trouble
            .as_ref()
            .map(|trouble| Explained::new(trouble, |language| explain::trouble(trouble, language)));
        let next = Explained::new(&attempt.next, |language| explain::next(&attempt.next, language));
        let next = match &attempt.next {
            Next::Retry { at, .. } => next.and("at", json!(at.beijing().rfc3339())),
            _ => next,
        };
        Self {
            number: attempt.number,
            began_at: attempt.started.beijing().rfc3339(),
            took_ms: u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX),
            address: attempt.address.clone(),
            resolve_us: micros(resolve),
            connect_us: micros(connect),
            tls_us: micros(tls),
            first_byte_us: micros(first_byte),
            http_status: attempt.http_status,
            answer: String::from_utf8_lossy(&attempt.answer).into_owned(),
            trouble,
            next,
        }
    }
}

/// An attempt, with the delivery whose it is.
#[derive(Serialize, JsonSchema)]
pub struct AttemptOfDelivery {
    #[serde(flatten)]
    attempt: Attempt,
    /// The delivery's number.
    delivery: i64,
}

impl AttemptOfDelivery {
    /// The shape of an attempt.
    #[must_use]
    pub fn of(attempt: &AttemptRow) -> Self {
        Self { attempt: Attempt::of(attempt), delivery: attempt.delivery }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::store::attempt::Trouble;
    use crate::time::UnixMs;

    #[test]
    fn json_has_the_facts_and_both_languages() {
        let attempt = AttemptRow {
            delivery: 1,
            number: 2,
            started: UnixMs(0),
            took: Duration::from_millis(7),
            address: None,
            timings: Timings { connect: Some(Duration::from_micros(3)), ..Timings::default() },
            http_status: Some(500),
            trouble: Some(Trouble::Status { status: 500 }),
            answer: vec![b'a', 0xff],
            next: Next::Retry { at: UnixMs(60_000), wait_ms: 60_000, asked: true },
        };
        let json = json!(Attempt::of(&attempt));
        assert_eq!(json["trouble"]["kind"], "status");
        assert_eq!(json["trouble"]["en"], "HTTP 500: the receiver failed");
        assert_eq!(json["trouble"]["zh"], "HTTP 500：接收方出错");
        assert_eq!(
            (&json["next"]["then"], &json["next"]["asked"]),
            (&json!("retry"), &json!(true))
        );
        assert_eq!(json["next"]["at"], "1970-01-01T08:01:00+08:00");
        assert_eq!((&json["connect_us"], &json["tls_us"]), (&json!(3), &Value::Null));
        assert_eq!(json["answer"], "a\u{fffd}");
    }
}

//! What is said where something is wrong: RFC 9457, with a code that never changes and a next step
//! in plain words. No secret, no number of anybody and no path of this machine is in it.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::store::error::StoreError;

/// The media type of problems.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    QueryUnknown,
    QueryInvalid,
    CursorInvalid,
    PathInvalid,
    HeaderInvalid,
    BodyUnparsable,
    BodyInvalid,
    HostMissing,
    TokenMissing,
    TokenInvalid,
    TokenExpired,
    ScopeMissing,
    HostRefused,
    OriginRefused,
    NotFound,
    PathUnknown,
    MethodNotAllowed,
    BodyTooSlow,
    BodyTooLarge,
    MediaTypeUnsupported,
    NameUnknown,
    TooMany,
    StateConflict,
    ExpectDiffers,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    PositionUnknown,
    StreamsTaken,
    RateLimited,
    FailuresLimited,
    PlacesTaken,
    TookTooLong,
    StoreBusy,
    StoreUnwritable,
    StoreFailed,
    Stopping,
}

/// What belongs to a code.
pub(super) struct Facts {
    pub(super) status: u16,
    pub(super) word: &'static str,
    pub(super) title: &'static str,
    /// What to do, where nobody says something better.
    pub(super) next: &'static str,
}

const fn facts(status: u16, word: &'static str, title: &'static str, next: &'static str) -> Facts {
    Facts { status, word, title, next }
}

const SEE: &str = "Compare the request with GET /api/v1/openapi.json.";
const LATER: &str = "Try again after the time in Retry-After.";
const OPERATOR: &str = "Try again later; if it stays so, whoever runs the service looks into its log and runs `replyd doctor`.";

impl Code {
    /// All codes.
    pub(super) const ALL: [Self; 36] = [
        Self::QueryUnknown,
        Self::QueryInvalid,
        Self::CursorInvalid,
        Self::PathInvalid,
        Self::HeaderInvalid,
        Self::BodyUnparsable,
        Self::BodyInvalid,
        Self::HostMissing,
        Self::TokenMissing,
        Self::TokenInvalid,
        Self::TokenExpired,
        Self::ScopeMissing,
        Self::HostRefused,
        Self::OriginRefused,
        Self::NotFound,
        Self::PathUnknown,
        Self::MethodNotAllowed,
        Self::BodyTooSlow,
        Self::BodyTooLarge,
        Self::MediaTypeUnsupported,
        Self::NameUnknown,
        Self::TooMany,
        Self::StateConflict,
        Self::ExpectDiffers,
        Self::IdempotencyKeyMissing,
        Self::IdempotencyKeyReused,
        Self::PositionUnknown,
        Self::StreamsTaken,
        Self::RateLimited,
        Self::FailuresLimited,
        Self::PlacesTaken,
        Self::TookTooLong,
        Self::StoreBusy,
        Self::StoreUnwritable,
        Self::StoreFailed,
        Self::Stopping,
    ];

    pub(super) const fn facts(self) -> Facts {
        match self {
            Self::QueryUnknown => facts(400, "query_unknown", "Unknown query parameter", SEE),
            Self::QueryInvalid => facts(400, "query_invalid", "Wrong query parameter", SEE),
            Self::CursorInvalid => facts(
                400,
                "cursor_invalid",
                "Not a cursor of this list",
                "Send `next_cursor` of the page before as it came, or none for the first page.",
            ),
            Self::PathInvalid => facts(400, "path_invalid", "Wrong part of the path", SEE),
            Self::HeaderInvalid => facts(400, "header_invalid", "Wrong header", SEE),
            Self::BodyUnparsable => facts(
                400,
                "body_unparsable",
                "The body is not JSON",
                "Send one JSON object in UTF-8.",
            ),
            Self::BodyInvalid => facts(422, "body_invalid", "Wrong body", SEE),
            Self::HostMissing => facts(400, "host_missing", "No Host", "Send the header Host."),
            Self::TokenMissing => facts(
                401,
                "token_missing",
                "No token",
                "Send `Authorization: Bearer rpt_…`; `replyd token new --name NAME --scope read` makes a token.",
            ),
            Self::TokenInvalid => facts(
                401,
                "token_invalid",
                "Not a token of this service",
                "Look for the token's state with `replyd token list`, or make a new one with `replyd token new`.",
            ),
            Self::TokenExpired => facts(
                401,
                "token_expired",
                "The token's time is over",
                "Make a new one with `replyd token new`.",
            ),
            Self::ScopeMissing => facts(
                403,
                "scope_missing",
                "The token does not allow this",
                "Use a token that has the scope, made by `replyd token new --scope …`.",
            ),
            Self::HostRefused => facts(
                403,
                "host_refused",
                "Asked under an unknown name",
                "Ask by address, or put the name into `server.hosts` of the configuration.",
            ),
            Self::OriginRefused => facts(
                403,
                "origin_refused",
                "Sent by a page of another origin",
                "Ask from a server: the API is not for pages in browsers.",
            ),
            Self::NotFound => facts(
                404,
                "not_found",
                "There is no such thing",
                "Look at the list of what there is.",
            ),
            Self::PathUnknown => facts(404, "path_unknown", "Nothing is at this path", SEE),
            Self::MethodNotAllowed => facts(
                405,
                "method_not_allowed",
                "The path has not this method",
                "Use a method that Allow names.",
            ),
            Self::BodyTooSlow => facts(
                408,
                "body_too_slow",
                "The body did not come in time",
                "Send it as a whole, at once.",
            ),
            Self::BodyTooLarge => facts(
                413,
                "body_too_large",
                "The body is too large",
                "Send less, in several requests.",
            ),
            Self::MediaTypeUnsupported => facts(
                415,
                "media_type_unsupported",
                "The body is of another type",
                "Send `Content-Type: application/json`.",
            ),
            Self::NameUnknown => facts(
                422,
                "name_unknown",
                "Nobody has this name",
                "Look at the names that there are.",
            ),
            Self::TooMany => {
                facts(422, "too_many", "Too many for one request", "Do it in several requests.")
            }
            Self::StateConflict => facts(
                409,
                "state_conflict",
                "It cannot be done as things stand",
                "Look at how it stands, and decide anew.",
            ),
            Self::IdempotencyKeyMissing => facts(
                400,
                "idempotency_key_missing",
                "No Idempotency-Key",
                "Send a new UUID as Idempotency-Key with each message, and the same one with each retry of it.",
            ),
            Self::IdempotencyKeyReused => facts(
                422,
                "idempotency_key_reused",
                "The key names another message",
                "Send a new UUID as Idempotency-Key with each new message.",
            ),
            Self::ExpectDiffers => facts(
                409,
                "expect_differs",
                "There are not as many as was expected",
                "Look again with `dry_run`, and send the count that it says.",
            ),
            Self::PositionUnknown => facts(
                409,
                "position_unknown",
                "No event has been at this position yet",
                "Connect without Last-Event-ID, and look through /api/v1/replies for what you lack.",
            ),
            Self::StreamsTaken => facts(429, "streams_taken", "Too many streams", LATER),
            Self::RateLimited => {
                facts(429, "rate_limited", "Too many requests of this token", LATER)
            }
            Self::FailuresLimited => {
                facts(429, "failures_limited", "Too many requests without a good token", LATER)
            }
            Self::PlacesTaken => facts(503, "places_taken", "Too many requests at once", LATER),
            Self::TookTooLong => facts(
                503,
                "took_too_long",
                "It took too long",
                "Ask for less: a smaller limit, or a shorter span of time.",
            ),
            Self::StoreBusy => facts(503, "store_busy", "The store is busy", LATER),
            Self::StoreUnwritable => {
                facts(503, "store_unwritable", "The store cannot be written", OPERATOR)
            }
            Self::StoreFailed => facts(503, "store_failed", "The store failed", OPERATOR),
            Self::Stopping => facts(503, "stopping", "The service stops", LATER),
        }
    }

    fn challenge(self) -> Option<&'static str> {
        match self {
            Self::TokenMissing => Some(r#"Bearer realm="replyd""#),
            Self::TokenInvalid | Self::TokenExpired => {
                Some(r#"Bearer realm="replyd", error="invalid_token""#)
            }
            Self::ScopeMissing => Some(r#"Bearer realm="replyd", error="insufficient_scope""#),
            _ => None,
        }
    }
}

/// Something that is wrong, as it is answered.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: Code,
    detail: String,
    next: Option<String>,
    retry_after: Option<Duration>,
}

/// A problem's body.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ProblemBody {
    /// `urn:replyd:problem:` and the code.
    r#type: String,
    /// What the code means.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong, in a word that never changes: decide by it.
    code: &'static str,
    /// What is wrong with this request.
    detail: String,
    /// What to do now.
    next: String,
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), next: None, retry_after: None }
    }

    /// With a better next step than the code's own.
    pub(super) fn then(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    pub(super) fn again_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let (code, detail) = match &error {
            StoreError::Busy => (Code::StoreBusy, "another process holds the store"),
            StoreError::Closed => (Code::Stopping, "the service stops"),
            StoreError::Unwritable(_) | StoreError::NoRoom { .. } => {
                (Code::StoreUnwritable, "the store's disk is full, read-only or failing")
            }
            _ => (Code::StoreFailed, "the store failed; the service's log says why"),
        };
        tracing::warn!(%error, code = code.facts().word, "the API cannot use the store");
        Self::new(code, detail).again_after(Duration::from_secs(1))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let facts = self.code.facts();
        let body = ProblemBody {
            r#type: format!("urn:replyd:problem:{}", facts.word),
            title: facts.title,
            status: facts.status,
            code: facts.word,
            detail: self.detail,
            next: self.next.unwrap_or_else(|| facts.next.to_owned()),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(facts.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.code.challenge() {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(wait) = self.retry_after {
            // Whole seconds, and never none: that would be at once.
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                headers.insert(RETRY_AFTER, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_one_word_and_says_what_to_do() {
        let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.facts().word).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for facts in Code::ALL.map(Code::facts) {
            assert!((400..=503).contains(&facts.status) && facts.status != 500, "{}", facts.word);
            assert!(facts.next.ends_with('.') && !facts.title.is_empty(), "{}", facts.word);
        }
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds() {
        for (ms, expected) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2")] {
            let problem =
                Problem::new(Code::RateLimited, "").again_after(Duration::from_millis(ms));
            assert_eq!(problem.into_response().headers()[RETRY_AFTER], expected);
        }
    }
}

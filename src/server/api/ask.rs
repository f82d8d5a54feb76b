//! A request, read and checked: what stands in its path, its query and its body.

use std::str::FromStr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::RawPathParams;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{RequestPartsExt, http};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Api;
use super::auth::Grant;
use super::limits::{BODY_BYTES_MAX, BODY_TIME_MAX};
use super::operation::{Method, Operation, Taken};
use super::page::{self, LIMIT_DEFAULT};
use super::parameter::Parameter;
use super::problem::{Code, Problem};
use crate::config::Config;
use crate::store::Store;
use crate::time::UnixMs;

/// What of serde's words about a wrong body is told: names of fields, and no values.
const NAMES_LETTERS_MAX: usize = 300;

/// A request to an operation.
pub(super) struct Ask {
    pub(super) api: Arc<Api>,
    /// Whose it is; none where the operation needs no token.
    pub(super) grant: Option<Grant>,
    place: Vec<(String, String)>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
    pub(super) now: UnixMs,
}

impl Ask {
    /// Reads a request and checks all of it that can be without knowing what it means.
    pub(super) async fn read(
        api: Arc<Api>,
        operation: &Operation,
        request: http::Request<Body>,
    ) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let query = read_query(parts.uri.query().unwrap_or_default(), operation.query)?;
        let place = read_place(&mut parts, operation.place).await?;
        for parameter in operation.headers {
            let Some(value) = parts.headers.get(parameter.name) else { continue };
            let wrong = |why: String| {
                Problem::new(Code::HeaderInvalid, format!("{} {why}", parameter.name))
            };
            let value = value.to_str().map_err(|_| wrong("must be ASCII".to_owned()))?;
            parameter.kind.check(value).map_err(wrong)?;
        }
        let body = match operation.method {
            Method::Get => Bytes::new(),
            Method::Post => read_body(&parts, body).await?,
        };
        if matches!(operation.body, Taken::Nothing) && !body.is_empty() {
            json::<Nothing>(&body)?;
        }
        let now = api.seen.clock.unix();
        let grant = parts.extensions.remove::<Grant>();
        Ok(Self { api, grant, place, query, headers: parts.headers, body, now })
    }

    pub(super) fn store(&self) -> &Store {
        &self.api.seen.store
    }

    /// The configuration as it is now.
    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.api.seen.config.borrow())
    }

    /// The name of the token by which it was asked.
    pub(super) fn who(&self) -> &str {
        self.grant.as_ref().map_or("", |grant| grant.name.as_str())
    }

    /// A part of the path.
    pub(super) fn place(&self, name: &str) -> &str {
        find(&self.place, name).unwrap_or_default()
    }

    /// A part of the path that is a number.
    pub(super) fn number(&self, name: &str) -> i64 {
        self.place(name).parse().unwrap_or_default()
    }

    /// A query parameter as it came.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        find(&self.query, name).map(str::to_owned)
    }

    /// A query parameter, read; what its kind lets through can be.
    pub(super) fn value<T: FromStr>(&self, name: &str) -> Option<T> {
        find(&self.query, name)?.parse().ok()
    }

    /// Whether a query parameter is `true`.
    pub(super) fn flag(&self, name: &str) -> bool {
        find(&self.query, name) == Some("true")
    }

    /// All values of a query parameter, read.
    pub(super) fn values<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let named = self.query.iter().filter(|(found, _)| found == name);
        named.filter_map(|(_, value)| read(value)).collect()
    }

    /// A header, which its kind let through.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// How many rows are wanted.
    pub(super) fn limit(&self) -> usize {
        self.value("limit").unwrap_or(LIMIT_DEFAULT)
    }

    /// Behind which place of this list the page begins.
    pub(super) fn cursor<T: DeserializeOwned>(&self, list: &str) -> Result<Option<T>, Problem> {
        let Some(word) = find(&self.query, "cursor") else { return Ok(None) };
        let unknown = || Problem::new(Code::CursorInvalid, "`cursor` is none of this list's");
        page::read(list, word).map(Some).ok_or_else(unknown)
    }

    /// The body.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        json(&self.body)
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

fn read_query(query: &str, parameters: &[Parameter]) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
            let detail = "the query is not percent-encoded UTF-8";
            return Err(Problem::new(Code::QueryInvalid, detail));
        };
        let Some(known) = parameters.iter().find(|parameter| parameter.name == name) else {
            return Err(unknown(parameters));
        };
        let wrong =
            |why: String| Problem::new(Code::QueryInvalid, format!("`{}` {why}", known.name));
        known.kind.check(&value).map_err(wrong)?;
        if !known.many && pairs.iter().any(|(there, _)| *there == name) {
            return Err(wrong("stands there more than once".to_owned()));
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

fn unknown(parameters: &[Parameter]) -> Problem {
    let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Problem::new(
        Code::QueryUnknown,
        format!("there is a query parameter of another name than {known}"),
    )
}

fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(|text| text.into_owned())
}

async fn read_place(
    parts: &mut Parts,
    parameters: &[Parameter],
) -> Result<Vec<(String, String)>, Problem> {
    let wrong = |detail: String| Problem::new(Code::PathInvalid, detail);
    if parameters.is_empty() {
        return Ok(Vec::new());
    }
    let raw = parts.extract::<RawPathParams>().await;
    let raw = raw.map_err(|_| wrong("the path is not percent-encoded UTF-8".to_owned()))?;
    let mut place = Vec::new();
    for (name, value) in &raw {
        let known = parameters.iter().find(|parameter| parameter.name == name);
        if let Some(known) = known {
            known.kind.check(value).map_err(|why| wrong(format!("`{name}` {why}")))?;
        }
        place.push((name.to_owned(), value.to_owned()));
    }
    Ok(place)
}

async fn read_body(parts: &Parts, body: Body) -> Result<Bytes, Problem> {
    let too_large =
        || Problem::new(Code::BodyTooLarge, format!("the body may have {BODY_BYTES_MAX} bytes"));
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced
        .and_then(|text| text.parse::<u64>().ok())
        .is_some_and(|n| n > BODY_BYTES_MAX as u64)
    {
        return Err(too_large());
    }
    let bytes = match tokio::time::timeout(BODY_TIME_MAX, to_bytes(body, BODY_BYTES_MAX)).await {
        Err(_) => {
            let detail = format!("a body has {} seconds to come", BODY_TIME_MAX.as_secs());
            return Err(Problem::new(Code::BodyTooSlow, detail));
        }
        Ok(Err(error)) => {
            return Err(match is_too_long(&error) {
                true => too_large(),
                false => Problem::new(Code::BodyUnparsable, "the body ended before its end"),
            });
        }
        Ok(Ok(bytes)) => bytes,
    };
    let media = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media =
        media.map(|media| media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if !bytes.is_empty() && media.as_deref() != Some("application/json") {
        let detail = "a body must be announced as application/json";
        return Err(Problem::new(Code::MediaTypeUnsupported, detail));
    }
    Ok(bytes)
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// A body that says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // An absent body is an empty object: what is needed and missing is then named.
    let body = if body.is_empty() { b"{}" } else { body };
    // Else a list would do for the fields in their order.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::new(Code::BodyInvalid, "the body must be an object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        if !error.is_data() {
            let detail = format!("it is not JSON from line {line}, column {column} on");
            return Problem::new(Code::BodyUnparsable, detail);
        }
        // Only what names fields is repeated: a value may be anybody's number.
        let words = error.to_string();
        let names = ["unknown field", "missing field", "duplicate field"];
        let words = match names.iter().any(|begin| words.starts_with(begin)) {
            true => words.chars().take(NAMES_LETTERS_MAX).collect(),
            false => format!("a value is of the wrong type at line {line}, column {column}"),
        };
        Problem::new(Code::BodyInvalid, words)
    })
}

/// Answers with JSON.
pub(super) fn answer(status: u16, body: &impl Serialize) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    (status, [(CONTENT_TYPE, "application/json")], bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::super::parameter::{Kind, many, one};
    use super::*;

    const PARAMETERS: [Parameter; 2] =
        [one("text", Kind::Text, ""), many("state", Kind::Word(&["a"]), "")];

    #[test]
    fn a_query_is_read_or_said_what_is_wrong_with_it() {
        let pairs = read_query("text=%E5%A5%BD+b&state=a&state=a", &PARAMETERS).unwrap();
        assert_eq!(find(&pairs, "text"), Some("好 b"));
        assert_eq!(pairs.len(), 3);
        for (query, code) in [
            ("txt=a", Code::QueryUnknown),
            ("text=a&text=a", Code::QueryInvalid),
            ("text", Code::QueryInvalid),
            ("text=%ff", Code::QueryInvalid),
            ("state=b", Code::QueryInvalid),
            ("%ff=b", Code::QueryInvalid),
        ] {
            assert_eq!(read_query(query, &PARAMETERS).unwrap_err().code, code, "{query}");
        }
    }

    #[test]
    fn a_wrong_body_is_told_without_its_values() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wish {
            #[expect(dead_code, reason = "only its type matters")]
            to: u8,
        }
        for (body, code) in [
            ("", Code::BodyInvalid),
            ("{", Code::BodyUnparsable),
            ("\u{1}", Code::BodyUnparsable),
            ("{\"to\":\"13900000001\"}", Code::BodyInvalid),
            ("{\"too\":1}", Code::BodyInvalid),
            ("[]", Code::BodyInvalid),
        ] {
            let problem = json::<Wish>(body.as_bytes()).unwrap_err();
            assert_eq!(problem.code, code, "{body}");
            assert!(!format!("{problem:?}").contains("13900000001"), "{problem:?}");
        }
        let problem = json::<Wish>(b"{\"too\":1}").unwrap_err();
        assert!(format!("{problem:?}").contains("unknown field `too`"), "{problem:?}");
    }
}

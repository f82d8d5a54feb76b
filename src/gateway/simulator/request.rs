//! Reads one HTTP request from a connection, within bounds, and its `name=value` pairs.

use std::io;

use percent_encoding::percent_decode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of request line and headers: 50 numbers and a long text by GET need a third of it.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a form: 2000 numbers and a text need a twentieth of it.
const BODY_BYTES_MAX: usize = 1024 * 1024;
const HEADERS_MAX: usize = 64;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
}

/// A request, read whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Path and query as they came.
    pub(super) target: String,
    /// Those of the query, then those of the form.
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A request that cannot be read, by the HTTP status that it calls for.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("the connection broke")]
    Broken(#[from] io::Error),
    #[error("not a request")]
    Malformed,
    #[error("neither GET nor POST")]
    WrongMethod,
    #[error("a form whose length was not announced")]
    NoLength,
    #[error("longer than is read")]
    TooLarge,
}

impl RequestError {
    /// What to answer; nothing where nobody is left to be answered.
    pub(super) fn http_status(&self) -> Option<u16> {
        match self {
            Self::Broken(_) => None,
            Self::Malformed => Some(400),
            Self::WrongMethod => Some(405),
            Self::NoLength => Some(411),
            Self::TooLarge => Some(413),
        }
    }
}

impl Request {
    /// The path without its query and without a slash at its end.
    pub(super) fn path(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        path.strip_suffix('/').unwrap_or(path)
    }

    /// The bytes of a parameter, percent-decoded; the first where it is given twice.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        let mut pairs = self.pairs.iter();
        pairs.find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    /// A parameter that is to be ASCII; what is not matches nothing.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.bytes(name).map(|bytes| std::str::from_utf8(bytes).unwrap_or("\u{fffd}"))
    }
}

/// What is known of a request when its headers are over.
#[derive(Debug)]
struct Head {
    method: Method,
    target: String,
    head_bytes: usize,
    body_bytes: usize,
    expects_continue: bool,
}

/// Reads a request to its end.
pub(super) async fn receive<S>(stream: &mut S) -> Result<Request, RequestError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut bytes = Vec::with_capacity(4096);
    let head = loop {
        if let Some(head) = parse_head(&bytes)? {
            break head;
        }
        if bytes.len() >= HEAD_BYTES_MAX {
            return Err(RequestError::TooLarge);
        }
        fill(stream, &mut bytes).await?;
    };
    if head.body_bytes > BODY_BYTES_MAX {
        return Err(RequestError::TooLarge);
    }
    if head.expects_continue {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let whole = head.head_bytes + head.body_bytes;
    while bytes.len() < whole {
        fill(stream, &mut bytes).await?;
    }
    let form = bytes.get(head.head_bytes..whole).unwrap_or_default();
    let query = head.target.split_once('?').map_or("", |(_, query)| query);
    let pairs = pairs(query.as_bytes()).chain(pairs(form)).collect();
    Ok(Request { method: head.method, target: head.target, pairs })
}

async fn fill<S: AsyncRead + Unpin>(stream: &mut S, bytes: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(bytes).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Reads the headers, once they are all there.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, RequestError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let head_bytes = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(RequestError::Malformed),
    };
    let method = match parsed.method {
        Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        _ => return Err(RequestError::WrongMethod),
    };
    let body_bytes = match (header(parsed.headers, "content-length"), method) {
        (Some(length), _) => length.parse().map_err(|_| RequestError::Malformed)?,
        (None, Method::Get) => 0,
        (None, Method::Post) => return Err(RequestError::NoLength),
    };
    let expects_continue = header(parsed.headers, "expect")
        .is_some_and(|expected| expected.eq_ignore_ascii_case("100-continue"));
    let target = parsed.path.unwrap_or_default().to_owned();
    Ok(Some(Head { method, target, head_bytes, body_bytes, expects_continue }))
}

fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok().map(str::trim)
}

/// The pairs of a query or a form, decoded.
fn pairs(encoded: &[u8]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let pieces = encoded.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty());
    pieces.map(|piece| {
        let mut halves = piece.splitn(2, |byte| *byte == b'=');
        let name = halves.next().unwrap_or_default();
        (decoded(name), decoded(halves.next().unwrap_or_default()))
    })
}

fn decoded(encoded: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> =
        encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(raw: &[u8]) -> Result<Request, RequestError> {
        let (mut near, mut far) = tokio::io::duplex(2 * BODY_BYTES_MAX);
        far.write_all(raw).await.unwrap();
        drop(far);
        receive(&mut near).await
    }

    #[tokio::test]
    async fn query_and_form_are_decoded() {
        let raw = b"POST /tx/?uid=9%39&empty HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\ncontent=%D6%D0+a";
        assert!(matches!(read(raw).await, Err(RequestError::Broken(_))), "one byte is missing");
        let request = read(&[&raw[..], b"b"].concat()).await.unwrap();
        assert_eq!((request.method, request.path()), (Method::Post, "/tx"));
        assert_eq!(request.text("uid"), Some("99"));
        assert_eq!(request.text("empty"), Some(""));
        assert_eq!(request.bytes("content"), Some(&b"\xd6\xd0 ab"[..]));
        assert_eq!(request.text("pwd"), None);
    }

    #[tokio::test]
    async fn what_is_too_much_or_no_request_is_refused() {
        let long = format!("GET /rx/?a={} HTTP/1.1\r\n\r\n", "a".repeat(2 * HEAD_BYTES_MAX));
        let large = format!("POST /tx HTTP/1.1\r\nContent-Length: {}\r\n\r\n", BODY_BYTES_MAX + 1);
        for (raw, http_status) in [
            (long.as_str(), Some(413)),
            (large.as_str(), Some(413)),
            ("POST /tx HTTP/1.1\r\n\r\n", Some(411)),
            ("POST /tx HTTP/1.1\r\nContent-Length: -1\r\n\r\n", Some(400)),
            ("DELETE /tx HTTP/1.1\r\n\r\n", Some(405)),
            ("\0\0\0\0", Some(400)),
            ("GET / HTTP/1.1\r\n", None),
        ] {
            assert_eq!(read(raw.as_bytes()).await.unwrap_err().http_status(), http_status);
        }
    }
}

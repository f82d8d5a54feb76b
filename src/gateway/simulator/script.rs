//! What is written to the connection, byte by byte: an answer, and what a fault makes of it.
//! Pure.

use std::time::Duration;

use super::fault::Fault;

/// An answer before anything happens to it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) http_status: u16,
    pub(super) content_type: String,
    /// Where a redirect leads.
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Bytes to write, and how long to wait after them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    pub(super) then: Duration,
}

/// What to write before the connection closes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) pieces: Vec<Piece>,
    /// The byte that makes the answer whole; an answer that is to break has none.
    pub(super) last: Option<u8>,
}

/// How the end of a body is told.
#[derive(Clone, Copy)]
enum Framing {
    Length,
    Chunked,
    Close,
}

impl Script {
    /// The answer as the fault lets it out.
    pub(super) fn new(answer: &Answer, fault: Option<&Fault>) -> Self {
        let body = answer.body.as_slice();
        match fault {
            Some(Fault::CutBody { after }) => Self::cut(answer, *after, Duration::ZERO),
            Some(Fault::Stall { after, for_real }) => Self::cut(answer, *after, *for_real),
            Some(Fault::CutChunked { after }) => {
                let sent = body.get(..*after).unwrap_or(body);
                let bytes = [answer.head(&Framing::Chunked), chunk(sent)].concat();
                Self::broken(bytes, Duration::ZERO)
            }
            Some(Fault::CutUnannounced { after }) => match body.get(..*after) {
                Some(sent) if sent.len() < body.len() => {
                    Self::broken([&answer.head(&Framing::Close), sent].concat(), Duration::ZERO)
                }
                _ => Self::whole(vec![answer.head(&Framing::Close), body.to_vec()]),
            },
            Some(Fault::CloseWithoutReading) => Self { pieces: Vec::new(), last: None },
            Some(Fault::NoLength) => Self::whole(vec![answer.head(&Framing::Close), body.to_vec()]),
            Some(Fault::Chunked) => {
                let (first, second) = body.split_at(body.len() / 2);
                let head = answer.head(&Framing::Chunked);
                Self::whole(vec![head, chunk(first), chunk(second), b"0\r\n\r\n".to_vec()])
            }
            Some(Fault::Dribble { piece, pause }) => {
                let pieces = body.chunks((*piece).max(1)).map(<[u8]>::to_vec);
                let head = std::iter::once(answer.head(&Framing::Length));
                Self::whole(head.chain(pieces).collect()).paced(*pause)
            }
            Some(Fault::TrailingNewline) => answer.with_body([body, b"\r\n"].concat()),
            Some(Fault::ByteOrderMark) => answer.with_body([b"\xef\xbb\xbf", body].concat()),
            Some(Fault::Answer { .. } | Fault::Status(_) | Fault::Repeat) | None => {
                answer.with_body(body.to_vec())
            }
        }
    }

    /// The first bytes of an answer whose whole length was announced.
    fn cut(answer: &Answer, after: usize, silence: Duration) -> Self {
        match answer.body.get(..after) {
            Some(sent) if sent.len() < answer.body.len() => {
                Self::broken([&answer.head(&Framing::Length), sent].concat(), silence)
            }
            _ => answer.with_body(answer.body.clone()),
        }
    }

    fn broken(bytes: Vec<u8>, silence: Duration) -> Self {
        Self { pieces: vec![Piece { bytes, then: silence }], last: None }
    }

    fn whole(mut pieces: Vec<Vec<u8>>) -> Self {
        pieces.retain(|bytes| !bytes.is_empty());
        let last = pieces.last_mut().and_then(Vec::pop);
        let pieces = pieces.into_iter().map(|bytes| Piece { bytes, then: Duration::ZERO });
        Self { pieces: pieces.collect(), last }
    }

    fn paced(mut self, pause: Duration) -> Self {
        for piece in &mut self.pieces {
            piece.then = pause;
        }
        self
    }
}

impl Answer {
    fn with_body(&self, body: Vec<u8>) -> Script {
        let head = self.headers(&format!("content-length: {}\r\n", body.len()));
        Script::whole(vec![[head, body].concat()])
    }

    fn head(&self, framing: &Framing) -> Vec<u8> {
        match framing {
            Framing::Length => self.headers(&format!("content-length: {}\r\n", self.body.len())),
            Framing::Chunked => self.headers("transfer-encoding: chunked\r\n"),
            Framing::Close => self.headers(""),
        }
    }

    fn headers(&self, framing: &str) -> Vec<u8> {
        let Self { http_status, content_type, location, .. } = self;
        let location = location.as_ref().map(|to| format!("location: {to}\r\n"));
        format!(
            "HTTP/1.1 {http_status} \r\ncontent-type: {content_type}\r\n{}{framing}\
             connection: close\r\n\r\n",
            location.unwrap_or_default()
        )
        .into_bytes()
    }
}

/// A chunk of the chunked coding; nothing for no bytes, since an empty chunk is the last.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

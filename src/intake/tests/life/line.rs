//! What becomes of an answer between the gateway's books and the reader's hands.

use super::dice::Dice;
use super::fate::{Fate, MINUTE, SECOND};
use crate::gateway::client::{self, Received};
use crate::gateway::simulator::Ending;
use crate::gateway::status::Status;

/// The least time that a request or an answer is on its way: more than two clocks can drift
/// apart within an interval, so that the reader's interval never ends before the gateway's.
pub(super) const LATENCY_MIN: i64 = SECOND / 10;
/// Silence after which the client gives an answer up.
const IDLE_MAX: i64 = MINUTE;

/// What happens to one answer.
#[derive(Clone, Debug)]
pub(super) enum Mishap {
    /// The request does not reach the gateway.
    NotReached,
    /// The gateway answers, and not a byte of it comes.
    Unanswered,
    /// So many thousandths of the answer come, then the connection breaks.
    Cut(usize),
    /// So many thousandths of it come, then nothing more.
    Stalled(usize),
    /// The whole answer, whose length was not announced.
    NoLength,
    /// The gateway answers a code and hands out nothing.
    Status(u16),
    /// Something else answers, in the gateway's place.
    Elsewhere(Rubbish),
    /// The gateway answers, and something between puts its own words in the answer's place.
    Instead(Rubbish),
    /// A cache answers what was answered before.
    Repeat,
    /// The records come in another order.
    Shuffled,
    /// A line break behind the body, or a byte-order mark before it.
    Newline,
    Mark,
}

/// An HTTP status and a body that are no answer to a read.
pub(super) type Rubbish = (u16, &'static [u8]);

const RUBBISH: [Rubbish; 8] = [
    (200, b"<html><body>Please log in</body></html>"),
    (200, b"{\"error\":\"busy\"}"),
    (200, b"busy"),
    (302, b""),
    (404, b"Not Found"),
    (502, b"<html>502 Bad Gateway</html>"),
    (503, b""),
    (206, b"100"),
];
const CODES: [u16; 10] = [101, 102, 103, 107, 109, 114, 115, 116, 120, 555];

impl Mishap {
    pub(super) fn drawn(dice: &mut Dice) -> Self {
        let part = if dice.chance(100) { 999 } else { dice.index(1_000) };
        match dice.below(16) {
            0 => Self::NotReached,
            1 | 2 => Self::Unanswered,
            3..=6 => Self::Cut(part),
            7 | 8 => Self::Stalled(part),
            9 => Self::NoLength,
            10 => Self::Status(*dice.pick(&CODES)),
            11 => Self::Elsewhere(*dice.pick(&RUBBISH)),
            12 => Self::Instead(*dice.pick(&RUBBISH)),
            13 => Self::Repeat,
            14 => Self::Shuffled,
            _ => dice.pick(&[Self::Newline, Self::Mark]).clone(),
        }
    }
}

/// An answer under way: what comes of it, when, and what the gateway thinks of it.
pub(super) struct Passage {
    pub(super) received: Received,
    /// How long after the request had arrived its last byte comes, or the client gives up.
    pub(super) lasts: i64,
    /// How the gateway thinks that it ended.
    pub(super) ending: Ending,
}

/// Sends a body through. `mishap` is what happens to it, if anything.
pub(super) fn pass(
    fate: &Fate,
    dice: &mut Dice,
    http_status: u16,
    body: Vec<u8>,
    mishap: Option<&Mishap>,
) -> Passage {
    let soon = dice.between(LATENCY_MIN, 3 * SECOND);
    let announced =
        if fate.announces { client::Ending::Announced } else { client::Ending::Connection };
    let cut = if fate.announces { client::Ending::Cut } else { client::Ending::Connection };
    // What the gateway wrote and the network lost is written, to the gateway.
    let broken = *dice.pick(&[Ending::Whole, Ending::Broken]);
    match mishap {
        Some(Mishap::NotReached | Mishap::Unanswered) => Passage {
            received: nothing(),
            lasts: dice.between(LATENCY_MIN, 10 * SECOND),
            ending: broken,
        },
        Some(Mishap::Cut(part)) if !body.is_empty() => {
            let kept = first(body, *part);
            Passage { received: got(http_status, cut, kept), lasts: soon, ending: broken }
        }
        Some(Mishap::Stalled(part)) => {
            let kept = first(body, *part);
            let silent = kept.is_empty() && dice.chance(500);
            let received = got(http_status, client::Ending::TimedOut, kept);
            let lasts = soon + IDLE_MAX;
            // Without a head there is no status.
            let http_status = received.http_status.filter(|_| !silent);
            Passage { received: Received { http_status, ..received }, lasts, ending: broken }
        }
        // A client that has the whole answer has it from a gateway that wrote it all.
        Some(Mishap::NoLength) => Passage {
            received: got(http_status, client::Ending::Connection, body),
            lasts: soon,
            ending: Ending::Whole,
        },
        _ => Passage {
            received: got(http_status, announced, body),
            lasts: soon,
            ending: Ending::Whole,
        },
    }
}

fn first(mut body: Vec<u8>, thousandths: usize) -> Vec<u8> {
    let kept = body.len() * thousandths / 1_000;
    body.truncate(kept.min(body.len().saturating_sub(1)));
    body
}

fn nothing() -> Received {
    Received {
        http_status: None,
        ending: client::Ending::Unanswered,
        body: Vec::new(),
        error: None,
    }
}

fn got(http_status: u16, ending: client::Ending, body: Vec<u8>) -> Received {
    Received { http_status: Some(http_status), ending, body, error: None }
}

/// What a code alone is as a body.
pub(super) fn code(status: Status) -> Vec<u8> {
    status.0.to_string().into_bytes()
}

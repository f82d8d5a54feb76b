//! What can go wrong with an answer on its way, on request or by the throw of seeded dice.

use std::time::Duration;

use super::chance::SplitMix64;
use crate::gateway::status::Status;

/// What becomes of the answer to one `/rx` request.
///
/// Where a fault cuts `after` some bytes of the body, an `after` at or past the body's end cuts
/// nothing: the answer is whole. `CutChunked` alone always breaks, for want of the last chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The whole length is announced, `after` bytes of the body come, and the connection closes.
    CutBody {
        /// Bytes of the body that are sent.
        after: usize,
    },
    /// One chunk of `after` bytes comes, and the connection closes without the last chunk.
    CutChunked {
        /// Bytes of the body that are sent.
        after: usize,
    },
    /// No length is announced, `after` bytes of the body come, and the connection closes: to the
    /// client an answer that may be whole.
    CutUnannounced {
        /// Bytes of the body that are sent.
        after: usize,
    },
    /// The request is read, and the connection closes without a byte of an answer.
    CloseWithoutReading,
    /// After `after` bytes of the body there is silence; then the connection closes.
    Stall {
        /// Bytes of the body that are sent.
        after: usize,
        /// How long the silence lasts on the machine's clock.
        for_real: Duration,
    },
    /// The whole body, its length not announced: it ends with the connection.
    NoLength,
    /// The whole body in two chunks, which may split a character.
    Chunked,
    /// The whole body in small pieces, which may split characters.
    Dribble {
        /// Bytes in a piece.
        piece: usize,
        /// The wait after each piece on the machine's clock.
        pause: Duration,
    },
    /// Something that is not the gateway answers in its place: a proxy, a captive portal. The
    /// gateway hands out nothing. A redirect (3xx) leads to where the request came, so that a
    /// client that follows it reads too early.
    Answer {
        /// The HTTP status.
        http_status: u16,
        /// The media type.
        content_type: String,
        /// The body.
        body: Vec<u8>,
    },
    /// The gateway answers this code alone and hands out nothing.
    Status(Status),
    /// A cache answers with the last whole answer to the same question, and the gateway hands
    /// out nothing. A cache that has none asks the gateway.
    Repeat,
    /// The whole body and a line break.
    TrailingNewline,
    /// The whole body behind a UTF-8 byte-order mark.
    ByteOrderMark,
}

/// Faults by chance: the same seed and the same requests break the same answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chaos {
    /// What the dice begin with.
    pub seed: u64,
    /// How many `/rx` requests of a hundred get one of the faults that break an answer.
    pub percent: u8,
}

/// How long an answer stalls by chance: long enough to be seen, and no test waits for it.
const CHANCE_STALL: Duration = Duration::from_millis(20);

/// Chaos at work.
#[derive(Clone, Debug)]
pub(super) struct Dice {
    chaos: Chaos,
    numbers: SplitMix64,
}

impl Dice {
    pub(super) fn new(chaos: Chaos) -> Self {
        Self { chaos, numbers: SplitMix64::new(chaos.seed) }
    }

    /// The fault for the next answer, if any. Every answer costs three throws, so that what one
    /// request gets does not depend on what another got.
    pub(super) fn fault(&mut self, body_bytes: usize) -> Option<Fault> {
        let numbers = &mut self.numbers;
        let (whether, which, place) = (numbers.next() % 100, numbers.next() % 4, numbers.next());
        let bound = u64::try_from(body_bytes).unwrap_or(u64::MAX).max(1);
        let after = usize::try_from(place % bound).unwrap_or(0);
        let fault = match which {
            0 => Fault::CutBody { after },
            1 => Fault::CutChunked { after },
            2 => Fault::CloseWithoutReading,
            _ => Fault::Stall { after, for_real: CHANCE_STALL },
        };
        (whether < u64::from(self.chaos.percent)).then_some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seed: u64, percent: u8) -> Vec<Option<Fault>> {
        let mut dice = Dice::new(Chaos { seed, percent });
        (0..200).map(|_| dice.fault(80)).collect()
    }

    #[test]
    fn chance_is_its_seeds_and_keeps_its_rate() {
        assert_eq!(faults(7, 30), faults(7, 30));
        assert_ne!(faults(7, 30), faults(8, 30));
        assert!(faults(7, 0).iter().all(Option::is_none));
        assert!(faults(7, 100).iter().all(Option::is_some));
        let hit = faults(7, 30).iter().flatten().count();
        assert!((40..80).contains(&hit), "{hit} of 200");
    }
}

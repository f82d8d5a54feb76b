//! What receivers on this machine share: `listen`'s and the demo's.

use std::collections::{HashMap, VecDeque};

use axum::http::HeaderMap;
use sha2::{Digest, Sha256};

/// So many ids are remembered; of more, the oldest are forgotten.
const SEEN_MAX: usize = 10_000;

/// A header's text; none where it is not there or no text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// How an id was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// Never.
    New,
    /// With the same bytes; this is the so-many-th time.
    Again(u32),
    /// With other bytes, which must never be.
    OtherBytes,
}

/// The ids that were seen, and with which bytes: digests only, so that its size is bounded.
#[derive(Default)]
pub(super) struct Seen {
    known: HashMap<[u8; 32], Known>,
    oldest: VecDeque<[u8; 32]>,
}

struct Known {
    body: [u8; 32],
    times: u32,
}

impl Seen {
    /// Notes a webhook that was verified, and says how its id was seen before.
    pub(super) fn note(&mut self, id: &str, body: &[u8]) -> Sighting {
        let (id, body) = (Sha256::digest(id).into(), Sha256::digest(body).into());
        if let Some(known) = self.known.get_mut(&id) {
            if known.body != body {
                return Sighting::OtherBytes;
            }
            known.times = known.times.saturating_add(1);
            return Sighting::Again(known.times);
        }
        if self.oldest.len() >= SEEN_MAX
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.oldest.push_back(id);
        self.known.insert(id, Known { body, times: 1 });
        Sighting::New
    }

    /// How many ids are remembered.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_and_keeps_its_first_bytes() {
        let mut seen = Seen::default();
        for (id, body, expected) in [
            ("a", "1", Sighting::New),
            ("b", "1", Sighting::New),
            ("a", "1", Sighting::Again(2)),
            ("a", "2", Sighting::OtherBytes),
            ("a", "2", Sighting::OtherBytes),
            ("a", "1", Sighting::Again(3)),
        ] {
            assert_eq!(seen.note(id, body.as_bytes()), expected, "{id} {body}");
        }
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn the_oldest_ids_are_forgotten() {
        let mut seen = Seen::default();
        for number in 0..=SEEN_MAX {
            assert_eq!(seen.note(&number.to_string(), b""), Sighting::New);
        }
        assert_eq!((seen.len(), seen.oldest.len()), (SEEN_MAX, SEEN_MAX));
        assert_eq!(seen.note("1", b""), Sighting::Again(2));
        assert_eq!(seen.note("0", b""), Sighting::New);
    }
}

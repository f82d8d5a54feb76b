//! What the store is asked when it lets go of what was kept long enough.

use crate::store::sqlite::retention::Key;
use crate::time::UnixMs;

/// The kinds of what is let go, in the order in which they are: what refers to others first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Raw answers that were taken in, and the bytes of the faults in them.
    Bodies,
    /// Attempts to deliver.
    Attempts,
    /// Replies, with their events, those of replays too, deliveries and attempts. Their tallies stay as tombstones.
    Replies,
    /// Events that tell of something else than a reply, with their deliveries.
    Events,
    /// Messages that were sent, with their calls and recipients.
    Messages,
    /// Tallies of which no reply is left: tombstones.
    Tombstones,
    /// Hours that are not owed.
    Hours,
    /// Replays that are over; what they made stays as long as its reply.
    Replays,
    /// Reads that nothing refers to.
    Reads,
    /// What was changed by the HTTP API.
    AuditEntries,
}

impl Kind {
    /// All kinds, in their order.
    pub const ALL: [Self; 10] = [
        Self::Bodies,
        Self::Attempts,
        Self::Replies,
        Self::Events,
        Self::Messages,
        Self::Tombstones,
        Self::Hours,
        Self::Replays,
        Self::Reads,
        Self::AuditEntries,
    ];
}

/// Before when each kind is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoffs {
    /// For raw answers.
    pub bodies: UnixMs,
    /// For attempts.
    pub attempts: UnixMs,
    /// For replies, other events and messages.
    pub replies: UnixMs,
    /// For tombstones and the journal of reads, hours and replays.
    pub tombstones: UnixMs,
}

impl Cutoffs {
    /// The one of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> UnixMs {
        match kind {
            Kind::Bodies => self.bodies,
            Kind::Attempts => self.attempts,
            Kind::Replies | Kind::Events | Kind::Messages => self.replies,
            Kind::Tombstones | Kind::Hours | Kind::Replays | Kind::Reads | Kind::AuditEntries => {
                self.tombstones
            }
        }
    }
}

/// A few rows that one short act lets go.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub(super) kind: Kind,
    pub(super) keys: Vec<Key>,
}

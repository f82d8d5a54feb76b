//! Hours as the store keeps them: what is owed, what was verified, what was given up.
//!
//! What makes an hour owed and what settles it is decided in intake; here are the words.

use crate::store::read::ReadId;
use crate::time::{Hour, UnixMs};

/// Where an hour stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HourState {
    /// It is to be read by `time`.
    Owed,
    /// The gateway showed us all that we know of it, when it was over.
    Verified,
    /// The gateway does not show us all that we know of it, and was asked often enough.
    GivenUp,
}

impl HourState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Owed, Self::Verified, Self::GivenUp];

    /// The word for it in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owed => "owed",
            Self::Verified => "verified",
            Self::GivenUp => "given_up",
        }
    }
}

/// Why an hour is owed a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A doubtful read may have lost replies of it.
    Doubt,
    /// Nobody read for a while, or nobody remembers.
    Pause,
    /// A plain read brought a copy that raised no count.
    Repeat,
    /// Plain reads prove nothing here, because the gateway's host never announces where an answer
    /// ends, or none is made: each hour is read as a matter of course.
    Routine,
    /// It is looked at once, as every hour.
    Reconcile,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 5] =
        [Self::Doubt, Self::Pause, Self::Repeat, Self::Routine, Self::Reconcile];

    /// The word for it in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Doubt => "doubt",
            Self::Pause => "pause",
            Self::Repeat => "repeat",
            Self::Routine => "routine",
            Self::Reconcile => "reconcile",
        }
    }

    /// Whether replies may be missing: hours owed for these causes make gaps.
    #[must_use]
    pub fn makes_gap(self) -> bool {
        matches!(self, Self::Doubt | Self::Pause)
    }
}

/// What happens to an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HourChange {
    /// It is owed a read.
    Owe(OwedHour),
    /// A read of it was taken in, and it stands like this now.
    Set(HourRow),
}

/// An hour that is to be owed. One that is owed already keeps its counts, so that an hour owed
/// again and again does not starve the others; and it keeps its time where a wait was imposed on
/// it. One that was given up is owed again only where the cause is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwedHour {
    /// Which.
    pub hour: Hour,
    /// Why.
    pub cause: Cause,
    /// The gap of which it becomes a part.
    pub gap: Option<ReadId>,
    /// Before when it is not read.
    pub not_before: UnixMs,
    /// Before when it is not read again, where it was verified once.
    pub again_not_before: UnixMs,
    /// It stays verified where the read that verified it began then or later.
    pub unless_verified_since: UnixMs,
}

/// Hours that are owed together because replies may be missing in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The read that opened it.
    pub id: ReadId,
    /// Its first hour.
    pub first: Hour,
    /// Its last hour.
    pub last: Hour,
    /// How many hours of it are still owed.
    pub owed: u32,
    /// How many were verified.
    pub verified: u32,
    /// How many were given up.
    pub given_up: u32,
}

/// An hour that was owed at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourRow {
    /// Which.
    pub hour: Hour,
    /// Where it stands.
    pub state: HourState,
    /// The read that owed it last.
    pub owed_by: ReadId,
    /// Before when it is not read.
    pub not_before: UnixMs,
    /// Reads of it since it became owed.
    pub tries: u32,
    /// The doubtful ones among them.
    pub doubts: u32,
    /// The proven ones among them that lacked a known reply when the hour was over.
    pub shorts: u32,
    /// Why it is owed, or was last.
    pub cause: Cause,
    /// The gap of which it is part.
    pub gap: Option<ReadId>,
    /// When the read began that verified it last.
    pub verified: Option<UnixMs>,
    /// The copies that its last proven read held.
    pub held: Option<u32>,
    /// The copies that were known of it then.
    pub known: Option<u32>,
}

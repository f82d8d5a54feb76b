//! `[store.retain]`: how long what is kept.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::reader::Section;
use crate::time::format_duration;

/// How long the store keeps what it no longer needs for its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainConfig {
    /// Raw answers of the gateway that were taken in.
    pub bodies: Duration,
    /// Attempts to deliver.
    pub attempts: Duration,
    /// Replies, with their events and deliveries.
    pub replies: Duration,
    /// What keeps a purged or erased reply from coming back, and the journal of reads and hours.
    pub tombstones: Duration,
}

const DAY: Duration = Duration::from_hours(24);
/// A century: longer than anybody keeps anything, and far from where time ends.
const MOST: Duration = Duration::from_hours(36_500 * 24);
/// Less than a day is less than an operator sleeps: what went wrong could not be looked into.
const LIMITS: RangeInclusive<Duration> = DAY..=MOST;
/// A read owes hours up to two months back: what they show again must still be known.
const TOMBSTONE_LIMITS: RangeInclusive<Duration> = Duration::from_hours(90 * 24)..=MOST;

impl Default for RetainConfig {
    fn default() -> Self {
        Self { bodies: DAY * 14, attempts: DAY * 30, replies: DAY * 365, tombstones: DAY * 400 }
    }
}

/// Reads the section.
pub(super) fn read(mut section: Section<'_, '_>) -> RetainConfig {
    let default = RetainConfig::default();
    let retain = RetainConfig {
        bodies: section.duration("bodies", default.bodies, LIMITS),
        attempts: section.duration("attempts", default.attempts, LIMITS),
        replies: section.duration("replies", default.replies, LIMITS),
        tombstones: section.duration("tombstones", default.tombstones, TOMBSTONE_LIMITS),
    };
    if retain.tombstones < retain.replies {
        let (replies, tombstones) =
            (format_duration(retain.replies), format_duration(retain.tombstones));
        if section.has("tombstones") {
            section.wrong("tombstones", &format!("must be at least replies, which is {replies}"));
        } else {
            let message = format!("must be at most tombstones, which is {tombstones}");
            section.wrong("replies", &message);
        }
    }
    section.finish();
    retain
}

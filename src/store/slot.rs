//! The slot: when an account's gateway may be asked again.
//!
//! The provider must never see two reads of an account closer than its interval, whatever dies
//! or restarts here. So the slot is a row, taken before a request goes out and moved when it
//! ends. It remembers both clocks: within one boot of the machine only the boot clock counts,
//! which nobody can set; after another boot the wall clock is all there is, and the wait is at
//! most the one last imposed, because a clock that was wrong must not stop us for years.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::time::{UnixMs, millis};

/// How far a clock that the network keeps right may be set while the machine starts anew: so much
/// longer is waited after another boot.
const SET_AT_START_MAX: Duration = Duration::from_mins(3);

/// Until when an account's gateway is not to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The end of the wait, on both clocks.
    pub free_at: Moment,
    /// The wait as it was imposed, in milliseconds.
    pub wait_ms: i64,
}

impl Slot {
    /// A slot that is free again after `wait`.
    #[must_use]
    pub fn taken(now: &Moment, wait: Duration) -> Self {
        Self { free_at: now.after(wait), wait_ms: millis(wait) }
    }

    /// How long the slot is still taken; zero when it is free.
    #[must_use]
    pub fn wait(&self, now: &Moment) -> Duration {
        let left_ms = if self.free_at.boot == now.boot {
            self.free_at.boot_ms.saturating_sub(now.boot_ms)
        } else {
            let free_at = self.free_at.unix.after(SET_AT_START_MAX);
            free_at.0.saturating_sub(now.unix.0)
        };
        Duration::from_millis(left_ms.clamp(0, self.wait_ms).unsigned_abs())
    }

    /// Whether this slot is free later than another of the same boot. Of another boot, the other
    /// is the newer one.
    #[must_use]
    pub fn ends_after(&self, other: &Self) -> bool {
        self.free_at.boot == other.free_at.boot && self.free_at.boot_ms > other.free_at.boot_ms
    }

    /// The same wait counted on this boot's clock: what is left of it at the first look after
    /// another boot. Without this the wait would be measured anew at every look, and against a
    /// clock that was wrong it would never end.
    #[must_use]
    pub fn anchored(self, now: &Moment) -> Self {
        if self.free_at.boot == now.boot {
            return self;
        }
        let left = self.wait(now);
        Self { free_at: now.after(left), wait_ms: self.wait_ms }
    }

    /// A slot as the store kept it.
    #[must_use]
    pub fn stored(boot: &str, boot_ms: i64, unix_ms: i64, wait_ms: i64) -> Self {
        Self { free_at: Moment { unix: UnixMs(unix_ms), boot_ms, boot: Arc::from(boot) }, wait_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_mins(10);

    fn moment(boot: &str, boot_s: i64, unix_s: i64) -> Moment {
        Moment { unix: UnixMs(unix_s * 1000), boot_ms: boot_s * 1000, boot: Arc::from(boot) }
    }

    fn check(now: Moment, expected_wait_s: u64) {
        let slot = Slot::taken(&moment("a", 1_000, 50_000), INTERVAL);
        assert_eq!(slot.wait(&now), Duration::from_secs(expected_wait_s), "{now:?}");
        assert_eq!(slot.anchored(&now).wait(&now), Duration::from_secs(expected_wait_s), "{now:?}");
    }

    #[test]
    fn within_a_boot_only_the_boot_clock_counts() {
        check(moment("a", 1_000, 50_000), 600);
        check(moment("a", 1_599, 50_599), 1);
        check(moment("a", 1_600, 50_600), 0);
        // The wall clock was set on by a day, then back by a day.
        check(moment("a", 1_100, 136_400), 500);
        check(moment("a", 1_600, -36_400), 0);
    }

    #[test]
    fn after_another_boot_the_wall_clock_counts_up_to_the_wait() {
        check(moment("b", 5, 50_300), 480);
        check(moment("b", 5, 50_100), 600);
        check(moment("b", 5, 50_780), 0);
        check(moment("b", 5, 0), 600);
    }

    #[test]
    fn the_later_of_two_ends_is_known() {
        let slot = |boot, boot_s| Slot::taken(&moment(boot, boot_s, 0), INTERVAL);
        assert!(slot("a", 1_000).ends_after(&slot("a", 100)));
        assert!(!slot("a", 100).ends_after(&slot("a", 100)));
        assert!(!slot("a", 1_000).ends_after(&slot("b", 5)));
    }

    #[test]
    fn a_clock_that_was_wrong_delays_by_one_wait_only() {
        let slot = Slot::taken(&moment("a", 1_000, 1_000_000_000), INTERVAL);
        let slot = slot.anchored(&moment("b", 5, 50_000));
        assert_eq!(slot.wait(&moment("b", 605, 50_600)), Duration::ZERO);
        assert_eq!(slot.wait(&moment("b", 604, 50_599)), Duration::from_secs(1));
    }
}

//! How fast one subscriber is sent to: a rate limit, a time before which it is left alone, and how
//! many may be under way. Throttling, an outage and the slow start after it are this one thing.
//!
//! A pace is kept with the subscriber and changed in the transaction that claims: it holds across
//! restarts and for all processes of a store together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::RateLimit;
use crate::store::turn::Lanes;
use crate::time::UnixMs;

/// Failures in a row after which a receiver is taken to be down: fewer are what single replies meet.
const STREAK: u32 = 5;
/// How long a receiver that is down is left alone at first, and at most; each time twice as long.
const ALONE: Duration = Duration::from_secs(1);
const ALONE_MAX: Duration = Duration::from_mins(1);
/// The most that jitter adds to it.
const JITTER: f64 = 0.2;
/// How far apart attempts have begun, all of which failed, where a receiver is in an outage: longer
/// than it takes to start anew.
const OUTAGE: Duration = Duration::from_mins(1);
/// The so-manieth part of a rate limit may go out at once.
const AT_ONCE_PART: i64 = 20;
/// Each one takes so much longer, as a part, than the limit wants: on the way requests come closer.
const SLACK: i64 = 50;
/// Replays get the so-manieth part of a pace.
const REPLAY_PART: usize = 4;

/// What an attempt says of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It takes deliveries.
    Well,
    /// It answers, though it refused this one.
    Alive,
    /// It cannot be reached, or fails.
    Down,
    /// It fails, and says that it is to be left alone for so long.
    Away(Duration),
    /// It wants fewer requests; perhaps none for so long.
    Throttled(Option<Duration>),
}

/// What a subscriber allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many deliveries may be under way at once.
    pub concurrency: usize,
    /// How many in which time.
    pub rate: Option<RateLimit>,
}

/// How fast a subscriber is sent to now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pace {
    /// Failures in a row.
    streak: u32,
    /// Before this nothing is sent.
    not_before_ms: i64,
    /// When that was imposed: what began before then is part of the same outage.
    imposed_ms: i64,
    /// How many may be under way while it starts slowly; 0 when it does not.
    window: u32,
    /// When the first attempt and the last one began of those that failed because it is down; 0
    /// after any that did not.
    down_since_ms: i64,
    down_until_ms: i64,
    /// When the last attempt began that did not go well; 0 after one that did.
    failed_ms: i64,
    /// Until when the rate limit is used up, in microseconds of the Unix epoch, and that of replays.
    used_until_us: i64,
    replays_used_until_us: i64,
}

impl Pace {
    /// The pace as it is kept; one that cannot be read begins anew.
    #[must_use]
    pub fn kept(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The form in which it is kept.
    #[must_use]
    pub fn keep(&self) -> Option<String> {
        if *self == Self::default() { None } else { serde_json::to_string(self).ok() }
    }

    /// Before when nothing is sent.
    #[must_use]
    pub fn not_before(&self) -> UnixMs {
        UnixMs(self.not_before_ms)
    }

    /// Whether it has been down for longer than a hiccup: for that long nothing but failures, of
    /// attempts and not only of one.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        let outage_ms = i64::try_from(OUTAGE.as_millis()).unwrap_or(i64::MAX);
        self.down_since_ms != 0 && self.down_until_ms - self.down_since_ms >= outage_ms
    }

    /// When the last attempt began, where it did not go well.
    #[must_use]
    pub fn failed(&self) -> Option<UnixMs> {
        (self.failed_ms != 0).then_some(UnixMs(self.failed_ms))
    }

    /// Takes in what an attempt that began then says of the receiver.
    pub fn learn(&mut self, sign: Sign, began: UnixMs, now: UnixMs, dice: f64, concurrency: usize) {
        self.failed_ms = if sign == Sign::Well { 0 } else { self.failed_ms.max(began.0) };
        if !matches!(sign, Sign::Down | Sign::Away(_)) {
            (self.down_since_ms, self.down_until_ms) = (0, 0);
        } else if self.down_since_ms == 0 {
            (self.down_since_ms, self.down_until_ms) = (began.0, began.0);
        } else {
            self.down_until_ms = self.down_until_ms.max(began.0);
        }
        match sign {
            Sign::Well => {
                self.streak = 0;
                let window = self.window.saturating_mul(2);
                self.window = if window as usize >= concurrency { 0 } else { window };
            }
            Sign::Alive => self.streak = 0,
            // What was under way when an outage was seen says nothing new.
            Sign::Down if began.0 <= self.imposed_ms => {}
            Sign::Down => {
                self.streak = self.streak.saturating_add(1);
                if self.streak >= STREAK {
                    self.leave_alone(backoff(self.streak - STREAK, dice), now);
                }
            }
            Sign::Away(asked) | Sign::Throttled(Some(asked)) => self.leave_alone(asked, now),
            Sign::Throttled(None) if began.0 <= self.imposed_ms => {}
            Sign::Throttled(None) => {
                self.streak = self.streak.saturating_add(1);
                self.leave_alone(backoff(self.streak - 1, dice), now);
            }
        }
    }

    fn leave_alone(&mut self, span: Duration, now: UnixMs) {
        self.not_before_ms = self.not_before_ms.max(now.after(span).0);
        self.imposed_ms = now.0;
        self.window = 1;
    }

    /// How many may be claimed now, where so many are under way.
    #[must_use]
    pub fn allows(&self, limits: Limits, under_way: usize, room: Lanes, now: UnixMs) -> Lanes {
        // A wait longer than any that is imposed comes of a clock that was wrong.
        if now.0 < self.not_before_ms && self.not_before_ms - now.0 <= DAY_MS {
            return Lanes::default();
        }
        let window = match self.window {
            0 => usize::MAX,
            window => (window as usize).saturating_sub(under_way),
        };
        let rate = limits.rate.map(|rate| Bucket::of(rate, 1));
        let slow = limits.rate.map(|rate| Bucket::of(rate, REPLAY_PART));
        let left = |bucket: Option<Bucket>, used: i64| {
            bucket.map_or(usize::MAX, |bucket| bucket.left(used, now))
        };
        let all = window.min(left(rate, self.used_until_us));
        let new = room.new.min(all);
        let replays = room.replays.min(left(slow, self.replays_used_until_us)).min(all - new);
        Lanes { new, replays }
    }

    /// How many deliveries may be claimed now for messages that hold several, and how many messages
    /// may go out. While replays have had their part, none of them is claimed.
    #[must_use]
    pub fn allows_messages(&self, limits: Limits, room: Lanes, now: UnixMs) -> (Lanes, usize) {
        let of = |lanes: Lanes| self.allows(limits, 0, lanes, now);
        let messages = of(Lanes { new: usize::MAX, replays: 0 }).new;
        let replays = of(Lanes { new: 0, replays: usize::MAX }).replays;
        let lane = |room: usize, open: usize| if messages > 0 && open > 0 { room } else { 0 };
        (Lanes { new: lane(room.new, messages), replays: lane(room.replays, replays) }, messages)
    }

    /// Counts what was claimed.
    pub fn spend(&mut self, claimed: Lanes, limits: Limits, now: UnixMs) {
        let Some(rate) = limits.rate else {
            self.used_until_us = 0;
            self.replays_used_until_us = 0;
            return;
        };
        let all = Bucket::of(rate, 1);
        self.used_until_us = all.spent(self.used_until_us, claimed.new + claimed.replays, now);
        let slow = Bucket::of(rate, REPLAY_PART);
        self.replays_used_until_us = slow.spent(self.replays_used_until_us, claimed.replays, now);
    }

    /// When something may be claimed again that may not now; none when there is nothing to wait
    /// for but what is under way.
    #[must_use]
    pub fn opens(&self, limits: Limits, now: UnixMs) -> Option<UnixMs> {
        let opens = limits.rate.map(|rate| Bucket::of(rate, 1).opens(self.used_until_us));
        [Some(self.not_before()), opens].into_iter().flatten().filter(|time| *time > now).max()
    }

    /// When its rate limit lets the next go, where only that keeps it back.
    #[must_use]
    pub fn opens_for_rate(&self, limits: Limits, now: UnixMs) -> Option<UnixMs> {
        let opens = limits.rate.map(|rate| Bucket::of(rate, 1).opens(self.used_until_us))?;
        (self.not_before() <= now && opens > now).then_some(opens)
    }
}

/// How many replays may be under way, of so many deliveries.
#[must_use]
pub fn replays_of(concurrency: usize) -> usize {
    (concurrency / REPLAY_PART).max(1)
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn backoff(times: u32, dice: f64) -> Duration {
    let span = ALONE.saturating_mul(1 << times.min(6)).min(ALONE_MAX);
    span.mul_f64(1.0 + JITTER * dice.clamp(0.0, 1.0))
}

/// A rate limit, evenly spent: in no stretch of its time go out more than it says, also where all
/// that may go out at once does.
#[derive(Clone, Copy)]
struct Bucket {
    /// The time that each one takes.
    each_us: i64,
    /// How many may go out at once.
    at_once: i64,
}

impl Bucket {
    /// The limit, or the so-manieth part of it.
    fn of(rate: RateLimit, part: usize) -> Self {
        let part = i64::try_from(part).unwrap_or(i64::MAX).max(1);
        let count = i64::from(rate.count).max(1);
        let at_once = (count / part / AT_ONCE_PART).max(1);
        let per_us = i64::try_from(rate.per.as_micros()).unwrap_or(i64::MAX);
        // What is not let out at once is spread over the time.
        let spread = (count - at_once * part + part).max(1);
        let each_us = (per_us / spread).saturating_mul(part);
        Self { each_us: (each_us + each_us / SLACK).max(1), at_once }
    }

    fn left(self, used_until_us: i64, now: UnixMs) -> usize {
        let now_us = now.0.saturating_mul(1000);
        let ahead = (used_until_us - now_us).max(0);
        // Further ahead than it can be: the clock was set back.
        if ahead > self.each_us.saturating_mul(self.at_once + 1) {
            return usize::try_from(self.at_once).unwrap_or(1);
        }
        let left = self.at_once - (ahead + self.each_us - 1) / self.each_us;
        usize::try_from(left).unwrap_or(0)
    }

    fn spent(self, used_until_us: i64, count: usize, now: UnixMs) -> i64 {
        if count == 0 {
            return used_until_us;
        }
        let now_us = now.0.saturating_mul(1000);
        let further = used_until_us - now_us > self.each_us.saturating_mul(self.at_once + 1);
        let from = if further { now_us } else { used_until_us.max(now_us) };
        from.saturating_add(self.each_us.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX)))
    }

    /// When one may go out.
    fn opens(self, used_until_us: i64) -> UnixMs {
        let opens_us = used_until_us - self.each_us.saturating_mul(self.at_once - 1);
        // Rounded up: a millisecond too early finds nothing.
        UnixMs(opens_us.saturating_add(999) / 1000)
    }
}

#[cfg(test)]
mod tests;

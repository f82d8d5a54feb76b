//! Points and spans of time, and every conversion between them.
//!
//! The gateway speaks Beijing time (UTC+08:00, no daylight saving) in whole seconds; the store
//! and the timers speak milliseconds of the Unix epoch. This file does not know what time it
//! is: only [`crate::clock`] reads a clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

pub use when::{Since, Until};

mod when;

/// Beijing's distance from UTC. China has had one zone and no daylight saving since 1991, and
/// the gateway's protocol is younger than that.
const BEIJING: Offset = Offset::constant(8);
const BEIJING_SECONDS: i64 = 8 * 3600;
const HOUR_SECONDS: i64 = 3600;
const HOUR_MS: i64 = HOUR_SECONDS * 1000;
const DAY_HOURS: i64 = 24;

/// An instant of the wall clock, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// The instant `by` later; saturates at the end of time instead of wrapping.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// The instant `by` earlier.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// How long from `earlier` to this instant; zero when that lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// The second of Beijing's clock in which this instant falls.
    #[must_use]
    pub fn beijing(self) -> BeijingTime {
        BeijingTime(self.0.div_euclid(1000))
    }

    /// Whole seconds since the Unix epoch, as the webhook's timestamp header counts them.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

/// A duration in whole milliseconds, saturating: the form in which the store keeps spans.
#[must_use]
pub fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A second of Beijing's clock: the gateway's reply time.
///
/// `Display` is the gateway's own form, `2008-05-27 12:10:11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BeijingTime(i64);

/// A text that is not a time, an hour or a duration of the expected form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not {expected}")]
pub struct ParseTimeError {
    expected: &'static str,
}

impl ParseTimeError {
    /// For a text that should have been this.
    #[must_use]
    pub fn expected(expected: &'static str) -> Self {
        Self { expected }
    }
}

impl BeijingTime {
    /// From seconds since the Unix epoch.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0
    }

    /// The same instant on the wall clock, at the start of its second.
    #[must_use]
    pub fn unix_ms(self) -> UnixMs {
        UnixMs(self.0.saturating_mul(1000))
    }

    /// The hour in which this second lies.
    #[must_use]
    pub fn hour(self) -> Hour {
        Hour((self.0 + BEIJING_SECONDS).div_euclid(HOUR_SECONDS))
    }

    /// RFC 3339 with Beijing's offset: `2008-05-27T12:10:11+08:00`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        format!("{}+08:00", self.civil().strftime("%Y-%m-%dT%H:%M:%S"))
    }

    fn civil(self) -> DateTime {
        let instant = Timestamp::from_second(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        BEIJING.to_datetime(instant)
    }
}

impl fmt::Display for BeijingTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.civil().strftime("%Y-%m-%d %H:%M:%S"))
    }
}

impl FromStr for BeijingTime {
    type Err = ParseTimeError;

    /// Reads exactly `YYYY-MM-DD HH:MM:SS`, and only dates that exist.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = ParseTimeError { expected: "a time like 2008-05-27 12:10:11" };
        if !has_shape(text, "dddd-dd-dd dd:dd:dd") || text.ends_with(":60") {
            return Err(error);
        }
        beijing_seconds("%Y-%m-%d %H:%M:%S", text).map(Self).ok_or(error)
    }
}

/// An hour of Beijing's calendar: the unit in which the gateway gives replies again.
///
/// `Display` is the gateway's `time` parameter, `2008-05-27_14`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(i64);

impl Hour {
    /// From the number of whole hours since 1970-01-01 00:00 in Beijing.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Whole hours since 1970-01-01 00:00 in Beijing: the form in which the store keeps hours.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }

    /// The hour's first second.
    #[must_use]
    pub fn start(self) -> BeijingTime {
        BeijingTime(self.0 * HOUR_SECONDS - BEIJING_SECONDS)
    }

    /// The instant at which the hour is over.
    #[must_use]
    pub fn end(self) -> UnixMs {
        UnixMs(self.start().unix_ms().0 + HOUR_MS)
    }

    /// The day in which it lies.
    #[must_use]
    pub fn day(self) -> Day {
        Day(self.0.div_euclid(DAY_HOURS))
    }

    /// Every hour from this one to `last`, both included; none when `last` is earlier.
    pub fn through(self, last: Self) -> impl Iterator<Item = Self> {
        (self.0..=last.0).map(Self)
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.start().civil().strftime("%Y-%m-%d_%H"))
    }
}

impl FromStr for Hour {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = ParseTimeError { expected: "an hour like 2008-05-27_14 (Beijing time)" };
        if !has_shape(text, "dddd-dd-dd_dd") {
            return Err(error);
        }
        let whole = format!("{text}:00:00");
        beijing_seconds("%Y-%m-%d_%H:%M:%S", &whole)
            .map(|seconds| BeijingTime(seconds).hour())
            .ok_or(error)
    }
}

/// A day of Beijing's calendar.
///
/// `Display` is `2008-05-27`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// The day so many days before.
    #[must_use]
    pub fn before(self, days: u16) -> Self {
        Self(self.0 - i64::from(days))
    }

    /// How many days from this one to `last`, both included; none when `last` is earlier.
    #[must_use]
    pub fn count_to(self, last: Self) -> i64 {
        (last.0 - self.0 + 1).max(0)
    }

    /// Its hours, in their order.
    pub fn hours(self) -> impl Iterator<Item = Hour> {
        self.first_hour().through(self.last_hour())
    }

    /// Its hour 00.
    #[must_use]
    pub fn first_hour(self) -> Hour {
        Hour(self.0 * DAY_HOURS)
    }

    /// Its hour 23.
    #[must_use]
    pub fn last_hour(self) -> Hour {
        Hour(self.0 * DAY_HOURS + DAY_HOURS - 1)
    }

    /// Every day from this one to `last`, both included.
    pub fn through(self, last: Self) -> impl Iterator<Item = Self> {
        (self.0..=last.0).map(Self)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first_hour().start().civil().strftime("%Y-%m-%d"))
    }
}

impl FromStr for Day {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hour = format!("{text}_00").parse::<Hour>();
        hour.map(Hour::day).map_err(|_| ParseTimeError { expected: "a day like 2008-05-27" })
    }
}

/// Whether `text` has exactly the given shape, in which `d` stands for a digit: `strptime`
/// alone is lenient (it accepts `2008-5-27 1:1:1` and leading blanks).
fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, want)| match want {
            b'd' => byte.is_ascii_digit(),
            _ => byte == want,
        })
}

fn beijing_seconds(format: &str, text: &str) -> Option<i64> {
    let civil = DateTime::strptime(format, text).ok()?;
    let instant = civil.to_zoned(TimeZone::fixed(BEIJING)).ok()?.timestamp();
    Some(instant.as_second())
}

/// Units of a configured duration, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration as the configuration writes it: a whole number and one of `ms`, `s`, `m`,
/// `h`, `d`, such as `10m`.
///
/// # Errors
/// When the text has another form or is too large for a `u64` of milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, ParseTimeError> {
    let error = ParseTimeError { expected: "a duration like 500ms, 15s, 10m, 24h or 7d" };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ms)| *ms);
    let ms = number.parse::<u64>().ok().zip(scale).and_then(|(n, scale)| n.checked_mul(scale));
    ms.filter(|ms| i64::try_from(*ms).is_ok()).map(Duration::from_millis).ok_or(error)
}

/// Writes a duration in the form that [`parse_duration`] reads, in its largest whole unit.
#[must_use]
pub fn format_duration(span: Duration) -> String {
    let ms = span.as_millis();
    let (unit, scale) = UNITS
        .iter()
        .find(|(_, scale)| ms >= u128::from(*scale) && ms.is_multiple_of(u128::from(*scale)))
        .unwrap_or(&("ms", 1));
    format!("{}{unit}", ms / u128::from(*scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beijing_time_is_read_and_written_exactly() {
        let time: BeijingTime = "2008-05-27 12:10:11".parse().unwrap();
        assert_eq!(time.unix_seconds(), 1_211_861_411);
        assert_eq!(time.to_string(), "2008-05-27 12:10:11");
        assert_eq!(time.rfc3339(), "2008-05-27T12:10:11+08:00");
        for wrong in [
            "2008-5-27 1:1:1",
            " 2008-05-27 12:10:1",
            "2008-02-30 12:10:11",
            "2008-05-27 24:00:00",
            "2008-05-27 12:10:60",
            "2008-05-27T12:10:11",
            "２008-05-27 12:10:1",
            "",
        ] {
            assert!(wrong.parse::<BeijingTime>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn hours_are_beijing_hours() {
        let hour: Hour = "2008-05-27_00".parse().unwrap();
        assert_eq!(hour.start().to_string(), "2008-05-27 00:00:00");
        assert_eq!(hour.end(), "2008-05-27 01:00:00".parse::<BeijingTime>().unwrap().unix_ms());
        assert_eq!(hour.to_string(), "2008-05-27_00");
        assert_eq!("2008-05-27 00:59:59".parse::<BeijingTime>().unwrap().hour(), hour);
        assert_eq!(
            "2008-05-26 23:59:59".parse::<BeijingTime>().unwrap().hour().number(),
            hour.number() - 1
        );
        for wrong in ["2008-05-27_24", "2008-05-27 14", "2008-13-27_14", "2008-05-27_1"] {
            assert!(wrong.parse::<Hour>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn days_are_beijing_days() {
        let day: Day = "2008-03-01".parse().unwrap();
        assert_eq!(day.first_hour().to_string(), "2008-03-01_00");
        assert_eq!(day.last_hour().to_string(), "2008-03-01_23");
        assert_eq!(day.hours().count(), 24);
        assert!(day.hours().all(|hour| hour.day() == day));
        assert_eq!(day.before(1).to_string(), "2008-02-29");
        assert_eq!(day.before(1).count_to(day), 2);
        assert_eq!(day.count_to(day.before(1)), 0);
        assert_eq!(Hour::from_number(-1).day().to_string(), "1969-12-31");
        for wrong in ["2008-02-30", "2008-3-1", "2008-03-01_00", ""] {
            assert!(wrong.parse::<Day>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, ms) in [
            ("0ms", 0),
            ("250ms", 250),
            ("15s", 15_000),
            ("10m", 600_000),
            ("24h", 86_400_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["250ms", "15s", "10m", "7d", "90m", "1500ms"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(format_duration(Duration::from_hours(24)), "1d");
        for wrong in ["", "10", "m", "-1s", "1.5h", "10 m", "1h30m", "99999999999999999999d", "10M"]
        {
            assert!(parse_duration(wrong).is_err(), "{wrong:?}");
        }
    }
}

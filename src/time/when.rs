//! Since when and until when somebody looks.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use super::{Day, Hour, ParseTimeError, UnixMs, parse_duration};

/// Since when: a while ago (`24h`), a day (`2008-05-27`) or an hour (`2008-05-27_12`) in Beijing, or
/// an instant (`2008-05-27T12:10:11+08:00`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(UnixMs),
}

impl Since {
    /// The instant, seen from now.
    #[must_use]
    pub fn instant(self, now: UnixMs) -> UnixMs {
        match self {
            Self::Ago(span) => now.before(span),
            Self::At(instant) => instant,
        }
    }
}

/// Until when: as [`Since`], but a day or an hour is in it as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until(Since);

impl Until {
    /// The first instant that is too late, seen from now.
    #[must_use]
    pub fn instant(self, now: UnixMs) -> UnixMs {
        self.0.instant(now)
    }
}

impl FromStr for Since {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text, |day| day.first_hour().start().unix_ms(), |hour| hour.start().unix_ms())
    }
}

impl FromStr for Until {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text, |day| day.last_hour().end(), Hour::end).map(Self)
    }
}

fn read(
    text: &str,
    of_day: impl Fn(Day) -> UnixMs,
    of_hour: impl Fn(Hour) -> UnixMs,
) -> Result<Since, ParseTimeError> {
    if let Ok(instant) = text.parse().map(of_day).or_else(|_| text.parse().map(of_hour)) {
        return Ok(Since::At(instant));
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(Since::At(UnixMs(instant.as_millisecond())));
    }
    let expected = "a duration like 24h, a day like 2008-05-27 or an hour like 2008-05-27_12";
    parse_duration(text).map(Since::Ago).map_err(|_| ParseTimeError::expected(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_and_until_are_a_while_ago_a_day_or_an_hour() {
        let at = |text: &str| text.parse::<crate::time::BeijingTime>().unwrap().unix_ms();
        let now = at("2026-11-22 10:30:00");
        for (text, expected) in [
            ("90m", "2026-11-22 09:00:00"),
            ("1d", "2026-11-21 10:30:00"),
            ("2026-11-01", "2026-11-01 00:00:00"),
            ("2026-11-01_09", "2026-11-01 09:00:00"),
            ("2026-11-01T09:10:11+08:00", "2026-11-01 09:10:11"),
            ("2026-11-01T01:10:11Z", "2026-11-01 09:10:11"),
        ] {
            assert_eq!(text.parse::<Since>().unwrap().instant(now), at(expected), "{text}");
        }
        for (text, expected) in [
            ("90m", "2026-11-22 09:00:00"),
            ("2026-11-01", "2026-11-02 00:00:00"),
            ("2026-11-01_09", "2026-11-01 10:00:00"),
        ] {
            assert_eq!(text.parse::<Until>().unwrap().instant(now), at(expected), "{text}");
        }
        for wrong in ["", "yesterday", "2026-11-31", "2026-11-01_24", "10", "2026-11-01T09:10:11"] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong:?}");
        }
    }
}

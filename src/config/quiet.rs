//! Hours of the day in which a subscriber is not sent to: `22:00-08:00`, in Beijing's time.

use std::fmt;

use crate::time::UnixMs;

const DAY_MINUTES: i64 = 24 * 60;
const MINUTE_MS: i64 = 60 * 1000;

/// A span of every day, perhaps over midnight: from its first minute up to its last, which is no
/// part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    from: i64,
    to: i64,
}

impl QuietHours {
    /// Reads two times of the day.
    ///
    /// # Errors
    /// What is expected.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let of_form = "not a span of the day like 22:00-08:00";
        let (from, to) = text.split_once('-').ok_or(of_form)?;
        let (from, to) = (minute(from).ok_or(of_form)?, minute(to).ok_or(of_form)?);
        if from == to {
            return Err("must not be the whole day: enabled = false is for that");
        }
        Ok(Self { from, to })
    }

    /// When they are over; none where it is not quiet.
    #[must_use]
    pub fn end(self, now: UnixMs) -> Option<UnixMs> {
        let midnight = now.beijing().hour().day().first_hour().start().unix_ms();
        let minute = (now.0 - midnight.0).div_euclid(MINUTE_MS);
        let is_quiet = match self.from < self.to {
            true => (self.from..self.to).contains(&minute),
            false => minute >= self.from || minute < self.to,
        };
        let days = if self.to > minute { 0 } else { DAY_MINUTES };
        is_quiet.then(|| UnixMs(midnight.0 + (self.to + days) * MINUTE_MS))
    }
}

fn minute(text: &str) -> Option<i64> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let number = |text: &str, below: i64| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| is_number && *number < below)
    };
    Some(number(hours, 24)? * 60 + number(minutes, 60)?)
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::BeijingTime;

    #[test]
    fn they_are_a_span_of_every_day_in_beijing() {
        let at = |text: &str| format!("2026-11-{text}").parse::<BeijingTime>().unwrap().unix_ms();
        for (hours, now, end) in [
            ("22:00-08:00", "22 21:59:59", None),
            ("22:00-08:00", "22 22:00:00", Some("23 08:00:00")),
            ("22:00-08:00", "22 23:59:59", Some("23 08:00:00")),
            ("22:00-08:00", "23 00:00:00", Some("23 08:00:00")),
            ("22:00-08:00", "23 07:59:59", Some("23 08:00:00")),
            ("22:00-08:00", "23 08:00:00", None),
            ("12:30-13:05", "22 12:29:59", None),
            ("12:30-13:05", "22 12:30:00", Some("22 13:05:00")),
            ("12:30-13:05", "22 13:05:00", None),
            ("00:00-00:01", "22 00:00:59", Some("22 00:01:00")),
        ] {
            let quiet = QuietHours::parse(hours).unwrap();
            assert_eq!(quiet.end(at(now)), end.map(at), "{hours} {now}");
            assert_eq!(quiet.to_string(), hours);
        }
        let after_a_while = UnixMs(at("22 22:00:00").0 + 500);
        let quiet = QuietHours::parse("22:00-08:00").unwrap();
        assert_eq!(quiet.end(after_a_while), Some(at("23 08:00:00")));
    }

    #[test]
    fn nothing_else_is_a_span() {
        for text in
            ["", "22:00", "22-08", "24:00-08:00", "22:60-08:00", "2:00-08:00", "22:00-22:00"]
        {
            assert!(QuietHours::parse(text).is_err(), "{text}");
        }
    }
}

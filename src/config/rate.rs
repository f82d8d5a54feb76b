//! A rate as it is written: `100/s`, `20/min`, `1000/h`.

use std::fmt;
use std::time::Duration;

use crate::time::format_duration;

/// More in one period than any receiver takes.
const COUNT_MAX: u32 = 1_000_000;
const PERIODS: [(&str, Duration); 5] = [
    ("s", Duration::from_secs(1)),
    ("min", Duration::from_mins(1)),
    ("m", Duration::from_mins(1)),
    ("h", Duration::from_hours(1)),
    ("d", Duration::from_hours(24)),
];

/// How many in which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many, 1 to 1,000,000.
    pub count: u32,
    /// In which time: a second, a minute, an hour or a day.
    pub per: Duration,
}

impl RateLimit {
    /// Reads a count and a period: `100/s`, `20/min` or `20/m`, `1000/h`, `200/d`.
    ///
    /// # Errors
    /// What is expected.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let of_form = "not a rate like 100/s, 20/min or 1000/h";
        let (count, period) = text.split_once('/').ok_or(of_form)?;
        let (_, per) = PERIODS.into_iter().find(|(word, _)| *word == period).ok_or(of_form)?;
        if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(of_form);
        }
        let count = count.parse().ok().filter(|count| (1..=COUNT_MAX).contains(count));
        Ok(Self { count: count.ok_or("must be from 1 to 1000000 in its time")?, per })
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.count, format_duration(self.per))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_counts_in_a_time() {
        let form = Err("not a rate like 100/s, 20/min or 1000/h");
        let range = Err("must be from 1 to 1000000 in its time");
        let of = |count, seconds| Ok(RateLimit { count, per: Duration::from_secs(seconds) });
        for (text, expected) in [
            ("100/s", of(100, 1)),
            ("20/min", of(20, 60)),
            ("20/m", of(20, 60)),
            ("1000000/h", of(1_000_000, 3600)),
            ("0/s", range),
            ("1000001/s", range),
            ("99999999999999999999/s", range),
            ("", form),
            ("100", form),
            ("100/", form),
            ("/s", form),
            ("+1/s", form),
            ("1.5/s", form),
            ("100 /s", form),
            ("100/sec", form),
            ("200/d", of(200, 24 * 3600)),
            ("100/w", form),
        ] {
            assert_eq!(RateLimit::parse(text), expected, "{text}");
        }
        assert_eq!(RateLimit::parse("20/min").unwrap().to_string(), "20 in 1m");
    }
}

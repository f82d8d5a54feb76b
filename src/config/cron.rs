//! When an account's plain reads are due: a cron expression in Beijing time.
//!
//! It says when, not whether: the planner decides whether a read may be made.

use std::fmt;

use chrono::{DateTime, FixedOffset};
use croner::parser::{CronParser, Seconds, Year};
use sha2::{Digest, Sha256};

use crate::time::UnixMs;

const BEIJING_SECONDS: i32 = 8 * 3600;
/// The end of the year 4999 in UTC: the parser's own search ends with the year 5000.
const SECONDS_MAX: i64 = 95_617_583_999;
/// Longer than any schedule that a person writes.
const TEXT_BYTES_MAX: usize = 200;
/// The fields, in their order.
const FIELDS: [&str; 6] = ["second", "minute", "hour", "day", "month", "weekday"];

/// A cron expression with seconds, six fields, in Beijing time. It occurs at least once.
///
/// `Display` is the text as it was written.
#[derive(Clone)]
pub struct Cron {
    text: String,
    parsed: croner::Cron,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

/// Why a text is not a [`Cron`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CronError {
    /// It has another number of fields.
    #[error("has {0} fields, not the 6 of `second minute hour day month weekday`")]
    Fields(usize),
    /// This field is not understood.
    #[error("its {0} is not a cron field")]
    Field(&'static str),
    /// It is something else, such as a nickname.
    #[error("not a cron expression like `0 */10 * * * *`")]
    Form,
    /// It names a day that no year has.
    #[error("never occurs")]
    Never,
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// When it has other than six fields, a field is not understood, or it never occurs.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        if text.len() > TEXT_BYTES_MAX || !text.is_ascii() || text.contains('@') {
            return Err(CronError::Form);
        }
        let fields = text.split_ascii_whitespace().count();
        if fields != FIELDS.len() {
            return Err(CronError::Fields(fields));
        }
        let parsed = parse(text).ok_or_else(|| wrong_field(text))?;
        let cron = Self { text: text.to_owned(), parsed };
        cron.next_after(UnixMs(0)).ok_or(CronError::Never)?;
        Ok(cron)
    }

    /// Every ten minutes, at a minute and second drawn from the account's name: so accounts
    /// spread, and keep off :00 and :30, when everybody else reads. The name's schedule never
    /// changes between versions.
    #[must_use]
    pub fn spread(name: &str) -> Option<Self> {
        let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
        let [first, second, ..] = digest;
        let (minute, second) = (1 + first % 9, second % 60);
        Self::parse(&format!("{second} {minute}-59/10 * * * *")).ok()
    }

    /// The first instant after `now` at which it occurs; `None` past the year 4999.
    #[must_use]
    pub fn next_after(&self, now: UnixMs) -> Option<UnixMs> {
        let seconds = Some(now.seconds().max(0)).filter(|seconds| *seconds <= SECONDS_MAX)?;
        let zone = FixedOffset::east_opt(BEIJING_SECONDS)?;
        let start = DateTime::from_timestamp(seconds, 0)?.with_timezone(&zone);
        let next = self.parsed.find_next_occurrence(&start, false).ok()?;
        Some(UnixMs(next.timestamp_millis()))
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({})", self.text)
    }
}

fn parse(text: &str) -> Option<croner::Cron> {
    let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).build();
    parser.parse(text).ok()
}

/// The field that is wrong by itself: each is tried alone among stars.
fn wrong_field(text: &str) -> CronError {
    let alone = |index: usize, field: &str| {
        let fields = (0..FIELDS.len()).map(|at| if at == index { field } else { "*" });
        fields.collect::<Vec<_>>().join(" ")
    };
    text.split_ascii_whitespace()
        .enumerate()
        .zip(FIELDS)
        .find(|((index, field), _)| parse(&alone(*index, field)).is_none())
        .map_or(CronError::Form, |(_, name)| CronError::Field(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::BeijingTime;

    fn next(text: &str, after: &str) -> String {
        let after: BeijingTime = after.parse().unwrap();
        Cron::parse(text).unwrap().next_after(after.unix_ms()).unwrap().beijing().to_string()
    }

    #[test]
    fn expressions_are_in_beijing_time() {
        for (text, after, expected) in [
            ("0 */10 * * * *", "2008-05-27 12:10:11", "2008-05-27 12:20:00"),
            ("0 */10 * * * *", "2008-05-27 12:20:00", "2008-05-27 12:30:00"),
            ("7 3-59/10 * * * *", "2008-05-27 12:53:07", "2008-05-27 13:03:07"),
            ("0 0 3 * * *", "2008-05-27 12:00:00", "2008-05-28 03:00:00"),
            ("30 59 23 31 12 *", "2008-05-27 12:00:00", "2008-12-31 23:59:30"),
            ("0 0 0 29 2 *", "2008-05-27 12:00:00", "2012-02-29 00:00:00"),
            ("0 0 9 ? * MON-FRI", "2008-05-30 10:00:00", "2008-06-02 09:00:00"),
            ("  0  0 9\t* * 7 ", "2008-05-30 10:00:00", "2008-06-01 09:00:00"),
        ] {
            assert_eq!(next(text, after), expected, "{text}");
        }
    }

    #[test]
    fn the_next_is_strictly_later_to_the_millisecond() {
        let cron = Cron::parse("* * * * * *").unwrap();
        for (now, expected) in [(0, 1000), (999, 1000), (1000, 2000), (1001, 2000), (-5000, 1000)] {
            assert_eq!(cron.next_after(UnixMs(now)), Some(UnixMs(expected)), "{now}");
        }
        assert!(cron.next_after(UnixMs(SECONDS_MAX * 1000)).is_some());
        for late in [UnixMs((SECONDS_MAX + 1) * 1000), UnixMs(i64::MAX)] {
            assert_eq!(cron.next_after(late), None);
        }
    }

    #[test]
    fn wrong_expressions_say_what_is_wrong() {
        for (text, expected) in [
            ("", CronError::Fields(0)),
            ("*/10 * * * *", CronError::Fields(5)),
            ("0 0 0 1 1 * 2030", CronError::Fields(7)),
            ("@hourly", CronError::Form),
            ("0 0 0 @ * *", CronError::Form),
            ("60 * * * * *", CronError::Field("second")),
            ("0 x * * * *", CronError::Field("minute")),
            ("0 0 24 * * *", CronError::Field("hour")),
            ("0 0 0 0 * *", CronError::Field("day")),
            ("0 0 0 1 13 *", CronError::Field("month")),
            ("0 0 0 * * 8", CronError::Field("weekday")),
            ("0 */0 * * * *", CronError::Field("minute")),
            ("0 5-1 * * * *", CronError::Field("minute")),
            ("0 * * * * 周", CronError::Form),
            ("0 0 0 30 2 *", CronError::Never),
            ("0 0 0 31 4,6,9,11 *", CronError::Never),
        ] {
            assert_eq!(Cron::parse(text).err(), Some(expected), "{text}");
        }
        assert_eq!(Cron::parse(&"*".repeat(201)).err(), Some(CronError::Form));
    }

    proptest::proptest! {
        /// Whatever is written is an expression or an error, and what is an expression goes on.
        #[test]
        fn nothing_written_is_a_panic(
            fields in proptest::collection::vec("[0-9*/,LWlw#?+a-zA-Z-]{1,6}|[0-9*?L]|\\*", 5..8),
            rest in ".{0,40}",
        ) {
            for text in [fields.join(" "), rest] {
                if let Ok(cron) = Cron::parse(&text) {
                    let now = UnixMs(1_211_861_411_000);
                    assert!(cron.next_after(now).is_none_or(|next| next > now), "{text}");
                }
            }
        }
    }

    #[test]
    fn names_spread_over_the_ten_minutes_and_stay_there() {
        assert_eq!(Cron::spread("main").unwrap().to_string(), "50 5-59/10 * * * *");
        let minutes: std::collections::BTreeSet<String> = (0..200)
            .map(|number| Cron::spread(&format!("account-{number}")).unwrap().to_string())
            .map(|text| text.split(' ').nth(1).unwrap().to_owned())
            .collect();
        let expected: Vec<_> = (1..=9).map(|minute| format!("{minute}-59/10")).collect();
        assert_eq!(minutes.into_iter().collect::<Vec<_>>(), expected);
    }
}

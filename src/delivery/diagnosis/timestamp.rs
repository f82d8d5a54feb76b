//! A timestamp as it was given: the seconds that it means, and what is wrong with its form.

/// What is wrong with a timestamp's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampFault {
    /// It counts milliseconds, or something finer.
    Finer,
    /// It has a fraction.
    Fraction,
    /// It is a date.
    Date,
    /// It is no time.
    NoTime,
}

/// Seconds of the year 5138 have one digit more than those of today.
const SECONDS_END: i64 = 100_000_000_000;

/// The seconds that a timestamp means, where that can be seen, and what is wrong with its form.
pub(super) fn read(given: &str) -> (Option<i64>, Option<TimestampFault>) {
    let text = given.trim();
    match text.parse::<i64>() {
        Ok(seconds) if seconds.to_string() != text => {
            return (Some(seconds), Some(TimestampFault::NoTime));
        }
        Ok(seconds) if seconds.saturating_abs() < SECONDS_END => return (Some(seconds), None),
        Ok(finer) => {
            let mut seconds = finer;
            while seconds.saturating_abs() >= SECONDS_END {
                seconds /= 1000;
            }
            return (Some(seconds), Some(TimestampFault::Finer));
        }
        Err(_) => {}
    }
    if let Some((seconds, fraction)) = text.split_once('.')
        && let Ok(seconds) = seconds.parse()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return (Some(seconds), Some(TimestampFault::Fraction));
    }
    let date = text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_second).ok();
    let date = date.or_else(|| {
        let since = httpdate::parse_http_date(text).ok()?;
        let since = since.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_secs()).ok()
    });
    (date, Some(if date.is_some() { TimestampFault::Date } else { TimestampFault::NoTime }))
}

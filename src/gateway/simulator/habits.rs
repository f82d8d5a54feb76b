//! What the provider's document leaves open, as switches: a client is right only when it loses
//! and doubles nothing under every one of them.

use std::time::Duration;

/// When the replies of a plain read leave the box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consume {
    /// When the request has been read, whatever becomes of the answer.
    #[default]
    AtRequest,
    /// When the answer's last byte was written; an answer that broke leaves them in the box.
    AtLastByte,
    /// When the next plain read comes, if the answer went out whole; otherwise that read hands
    /// them out again.
    AtNextRead,
}

/// What a read by hour does to the box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeMarks {
    /// It takes its replies out of the box, by the same rule as a plain read.
    Read,
    /// It leaves them there: a plain read hands them out as well.
    #[default]
    Unread,
}

/// What a read is answered that comes before the interval is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TooEarly {
    /// The code 107.
    #[default]
    TooFrequent,
    /// The code 103.
    OperationFailed,
    /// An empty body, as if there were no replies.
    Empty,
}

/// How a gateway behaves where its document says nothing. The default is the likeliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habits {
    /// When the replies of a plain read leave the box.
    pub consume: Consume,
    /// What a read by hour does to the box.
    pub time_marks: TimeMarks,
    /// What a read that comes too early is answered.
    pub too_early: TooEarly,
    /// The least time from the end of an account's read to the arrival of its next, on the
    /// gateway's clock.
    pub min_interval: Duration,
    /// Whether `encode=utf8` makes `/rx` answer in UTF-8.
    pub honours_encode: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            consume: Consume::default(),
            time_marks: TimeMarks::default(),
            too_early: TooEarly::default(),
            min_interval: Duration::from_mins(10),
            honours_encode: false,
        }
    }
}

impl Habits {
    /// Every combination of the first three switches; the others are as by default.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for consume in [Consume::AtRequest, Consume::AtLastByte, Consume::AtNextRead] {
            for time_marks in [TimeMarks::Read, TimeMarks::Unread] {
                for too_early in [TooEarly::TooFrequent, TooEarly::OperationFailed, TooEarly::Empty]
                {
                    all.push(Self { consume, time_marks, too_early, ..Self::default() });
                }
            }
        }
        all
    }
}

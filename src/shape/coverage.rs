//! Which hours are sure, and what was kept of each.

use schemars::JsonSchema;
use serde::Serialize;

use crate::store::hour::{Gap as GapRow, HourState};
use crate::store::journal::CoverageDetail;
use crate::time::{Day, Hour};

/// An hour.
#[derive(Serialize, JsonSchema)]
struct CoveredHour {
    /// Which, as 2008-05-27_12.
    hour: String,
    /// `verified`, `owed`, `given_up` or `nothing`.
    state: &'static str,
    /// Why it is or was owed.
    cause: Option<&'static str>,
    /// Replies kept of it.
    replies: u64,
    /// Copies that its last proven read held.
    held: Option<u32>,
    /// Copies that were known of it then.
    known: Option<u32>,
    /// Reads of it since it became owed.
    tries: u32,
    /// Before when it is not read.
    #[schemars(extend("format" = "date-time"))]
    next_try_at: Option<String>,
    /// When the read began that verified it.
    #[schemars(extend("format" = "date-time"))]
    verified_at: Option<String>,
}

/// Hours that are owed together because replies may be missing in them.
#[derive(Serialize, JsonSchema)]
struct Gap {
    /// The read that opened it.
    read: i64,
    /// Its first hour.
    first: String,
    /// Its last hour.
    last: String,
    /// How many hours of it are still owed.
    owed: u32,
    /// How many were verified.
    verified: u32,
    /// How many were given up.
    given_up: u32,
}

/// Which hours of an account are sure.
#[derive(Serialize, JsonSchema)]
pub struct Coverage {
    /// The account.
    account: String,
    /// The first day.
    from: String,
    /// The last day.
    to: String,
    /// The hours that have begun.
    hours: Vec<CoveredHour>,
    /// How many hours are owed, whenever they were.
    owed: u64,
    /// What points to lost replies.
    gaps: Vec<Gap>,
    /// When a second reader was last told of.
    #[schemars(extend("format" = "date-time"))]
    second_reader_told_at: Option<String>,
}

impl Coverage {
    /// The shape of an account's hours from the first day to the last, up to the hour that runs.
    #[must_use]
    pub fn of(detail: &CoverageDetail, (first, last): (Day, Day), current: Hour) -> Self {
        let has_begun = |hour: &Hour| {
            *hour <= current || detail.rows.contains_key(hour) || detail.replies(*hour) > 0
        };
        let hours = first.first_hour().through(last.last_hour()).filter(has_begun);
        Self {
            account: detail.account.clone(),
            from: first.to_string(),
            to: last.to_string(),
            hours: hours.map(|hour| covered(detail, hour)).collect(),
            owed: detail.coverage.owed,
            gaps: detail.gaps.iter().map(gap).collect(),
            second_reader_told_at: detail
                .coverage
                .second_reader
                .map(|told| told.beijing().rfc3339()),
        }
    }
}

fn covered(detail: &CoverageDetail, hour: Hour) -> CoveredHour {
    let row = detail.rows.get(&hour);
    let owed = row.filter(|row| row.state == HourState::Owed);
    CoveredHour {
        hour: hour.to_string(),
        state: row.map_or("nothing", |row| row.state.as_str()),
        cause: row.map(|row| row.cause.as_str()),
        replies: detail.replies(hour),
        held: row.and_then(|row| row.held),
        known: row.and_then(|row| row.known),
        tries: row.map_or(0, |row| row.tries),
        next_try_at: owed.map(|row| row.not_before.beijing().rfc3339()),
        verified_at: row.and_then(|row| row.verified).map(|at| at.beijing().rfc3339()),
    }
}

fn gap(gap: &GapRow) -> Gap {
    Gap {
        read: gap.id.0,
        first: gap.first.to_string(),
        last: gap.last.to_string(),
        owed: gap.owed,
        verified: gap.verified,
        given_up: gap.given_up,
    }
}

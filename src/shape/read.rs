//! A read of the gateway.

use schemars::JsonSchema;
use serde::Serialize;

use crate::store::journal::{FaultRow, JournalRow};
use crate::time::UnixMs;

/// A read of the gateway, by the names that `poll` gives it too.
#[derive(Serialize, JsonSchema)]
pub struct Read {
    /// Its number.
    read: i64,
    /// The account.
    account: String,
    /// When it began.
    #[schemars(extend("format" = "date-time"))]
    began_at: String,
    /// When its answer ended.
    #[schemars(extend("format" = "date-time"))]
    ended_at: Option<String>,
    /// The hour that was asked for, as 2008-05-27_12; none of a plain read.
    hour: Option<String>,
    /// `started`, `received`, `ingested`, `unanswered` or `abandoned`.
    state: String,
    /// `proven`, `doubtful` or `refused`.
    verdict: Option<String>,
    /// Why it is not proven.
    reason: Option<String>,
    /// The gateway's code.
    status: Option<u16>,
    /// The status line's number.
    http_status: Option<u16>,
    /// How its answer ended.
    ending: Option<String>,
    /// What went wrong.
    error: Option<String>,
    /// How many records it held.
    records: Option<u64>,
    /// How many stretches of it were no records.
    faults: Option<u64>,
    /// How many replies it made.
    new: Option<u64>,
    /// The length of its body, while that is kept.
    body_bytes: Option<u64>,
    /// When a person was cut out of it.
    #[schemars(extend("format" = "date-time"))]
    redacted_at: Option<String>,
}

impl Read {
    /// The shape of a read.
    #[must_use]
    pub fn of(row: &JournalRow) -> Self {
        let time = |at: UnixMs| at.beijing().rfc3339();
        Self {
            read: row.id.0,
            account: row.account.clone(),
            began_at: time(row.started),
            ended_at: row.ended.map(time),
            hour: row.hour.map(|hour| hour.to_string()),
            state: row.state.clone(),
            verdict: row.verdict.clone(),
            reason: row.reason.clone(),
            status: row.status.map(|status| status.0),
            http_status: row.http_status,
            ending: row.ending.clone(),
            error: row.error.clone(),
            records: row.records,
            faults: row.faults,
            new: row.new,
            body_bytes: row.body_bytes,
            redacted_at: row.redacted.map(time),
        }
    }
}

/// A stretch of an answer that is no record.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fault {
    /// Where it began in the body.
    offset: u64,
    /// What is wrong with it.
    kind: String,
    /// How long it is.
    bytes: u64,
}

/// All about one read.
#[derive(Serialize, JsonSchema)]
pub struct ReadDetail {
    #[serde(flatten)]
    read: Read,
    /// The charset that it was asked in.
    charset: String,
    /// How many of its replies an earlier proven plain read should have brought.
    missed: u64,
    /// What in it is no record.
    faults_found: Vec<Fault>,
}

impl ReadDetail {
    /// The shape of a read and its faults.
    #[must_use]
    pub fn of(row: &JournalRow, faults: &[FaultRow]) -> Self {
        let fault = |fault: &FaultRow| Fault {
            offset: fault.offset,
            kind: fault.kind.clone(),
            bytes: fault.bytes,
        };
        Self {
            read: Read::of(row),
            charset: row.charset.clone(),
            missed: row.missed,
            faults_found: faults.iter().map(fault).collect(),
        }
    }
}

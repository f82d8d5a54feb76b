//! The journal: what was read, and what was kept of it. Nothing here changes anything, and
//! nothing personal is in it but a read's own body.

use std::collections::HashMap;

use crate::gateway::status::Status;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::hour::{Gap, HourRow};
use crate::store::read::ReadId;
use crate::store::sqlite::journal;
use crate::time::{Hour, UnixMs};

/// A read, as the journal lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// Its number.
    pub id: ReadId,
    /// The account's name.
    pub account: String,
    /// The hour it read by `time`; none for a plain read.
    pub hour: Option<Hour>,
    /// `started`, `received`, `ingested`, `unanswered` or `abandoned`.
    pub state: String,
    /// When it began.
    pub started: UnixMs,
    /// When its answer ended.
    pub ended: Option<UnixMs>,
    /// How its answer ended.
    pub ending: Option<String>,
    /// The charset that it was asked in.
    pub charset: String,
    /// The status line's number.
    pub http_status: Option<u16>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// The gateway's code.
    pub status: Option<Status>,
    /// `proven`, `doubtful` or `refused`; none before it was taken in.
    pub verdict: Option<String>,
    /// Why it is not proven.
    pub reason: Option<String>,
    /// How many records it held.
    pub records: Option<u64>,
    /// How many stretches of it were no records.
    pub faults: Option<u64>,
    /// How many replies it made.
    pub new: Option<u64>,
    /// How many of these an earlier proven plain read should have brought.
    pub missed: u64,
    /// The length of its body; none where none is kept.
    pub body_bytes: Option<u64>,
    /// When a person was cut out of it: it is not parsed again then.
    pub redacted: Option<UnixMs>,
}

/// Which reads to list.
#[derive(Clone, Debug, Default)]
pub struct JournalFilter {
    /// Of this account only.
    pub account: Option<String>,
    /// Begun then or later.
    pub since: Option<UnixMs>,
    /// Only those that were doubtful.
    pub doubtful: bool,
    /// Before the read of this number.
    pub before: Option<ReadId>,
    /// At most so many, the newest.
    pub limit: usize,
}

/// A stretch of a body that is no record, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRow {
    /// Where it began in the body.
    pub offset: u64,
    /// What is wrong with it.
    pub kind: String,
    /// How long it is.
    pub bytes: u64,
}

/// What an account's hours come to, beside the hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// How many hours are owed, whenever they were.
    pub owed: u64,
    /// When a second reader was last told of.
    pub second_reader: Option<UnixMs>,
}

/// All that is shown of an account's hours.
#[derive(Clone, Debug)]
pub struct CoverageDetail {
    /// The account.
    pub account: String,
    /// What its hours come to.
    pub coverage: Coverage,
    /// What points to lost replies.
    pub gaps: Vec<Gap>,
    /// The hours of the span that were owed at some time.
    pub rows: HashMap<Hour, HourRow>,
    /// How many replies are kept of each hour that has any.
    pub replies: HashMap<Hour, u64>,
}

impl CoverageDetail {
    /// How many replies are kept of an hour.
    #[must_use]
    pub fn replies(&self, hour: Hour) -> u64 {
        self.replies.get(&hour).copied().unwrap_or_default()
    }
}

impl Store {
    /// All that is shown of an account's hours, from the first to the last.
    ///
    /// # Errors
    /// The store's own.
    pub async fn coverage_detail(
        &self,
        account: &str,
        first: Hour,
        last: Hour,
    ) -> Result<CoverageDetail, StoreError> {
        let rows = self.hours(account, first, last).await?;
        Ok(CoverageDetail {
            account: account.to_owned(),
            coverage: self.coverage(account).await?,
            gaps: self.gaps(account).await?,
            rows: rows.into_iter().map(|row| (row.hour, row)).collect(),
            replies: self.replies_by_hour(account, first, last).await?.into_iter().collect(),
        })
    }

    /// The newest reads, newest first.
    ///
    /// # Errors
    /// The store's own.
    pub async fn journal(&self, filter: JournalFilter) -> Result<Vec<JournalRow>, StoreError> {
        self.engine.search(move |connection| journal::rows(connection, &filter)).await
    }

    /// One read and its faults; none where there is no such read.
    ///
    /// # Errors
    /// The store's own.
    pub async fn journal_entry(
        &self,
        read: ReadId,
    ) -> Result<Option<(JournalRow, Vec<FaultRow>)>, StoreError> {
        self.engine.read(move |connection| journal::entry(connection, read)).await
    }

    /// The bytes that a read brought; none where none are kept.
    ///
    /// # Errors
    /// The store's own.
    pub async fn body(&self, read: ReadId) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.read(move |connection| journal::body(connection, read)).await
    }

    /// The reads whose answers can be parsed again: taken in, and with a body of which nothing was
    /// erased. Oldest first.
    ///
    /// # Errors
    /// The store's own.
    pub async fn kept_reads(
        &self,
        accounts: Vec<String>,
        since: Option<UnixMs>,
    ) -> Result<Vec<ReadId>, StoreError> {
        self.engine.read(move |connection| journal::kept_ids(connection, &accounts, since)).await
    }

    /// How many replies are kept of each hour from the first to the last; hours with none are
    /// left out.
    ///
    /// # Errors
    /// The store's own.
    pub async fn replies_by_hour(
        &self,
        account: &str,
        first: Hour,
        last: Hour,
    ) -> Result<Vec<(Hour, u64)>, StoreError> {
        let account = account.to_owned();
        self.engine
            .read(move |connection| journal::replies_by_hour(connection, &account, first, last))
            .await
    }

    /// What the account's hours come to.
    ///
    /// # Errors
    /// The store's own.
    pub async fn coverage(&self, account: &str) -> Result<Coverage, StoreError> {
        let account = account.to_owned();
        self.engine.read(move |connection| journal::coverage(connection, &account)).await
    }
}

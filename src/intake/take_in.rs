//! Takes stored answers in: whichever process left them, and however it ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::event::EventType;
use crate::intake::ingest::{self, Account, Prepared};
use crate::metrics::{CountedRead, CountedRecords, Metrics};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::read::{Ingested, ReadId, Source, Verdict};
use crate::time::{Hour, format_duration, millis};

/// Wait before an answer that broke the parser is tried again, perhaps by a newer version.
const BROKEN_WAIT: Duration = Duration::from_mins(5);

/// What becomes of what an answer holds that is parsed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is taken in.
    Kept,
    /// It is only told.
    Told,
}

/// Takes in what the store holds of reads.
#[derive(Clone)]
pub struct TakeIn {
    store: Store,
    clock: Clock,
    /// The reads that broke the parser, with when they last did.
    broken: Arc<Mutex<HashMap<ReadId, i64>>>,
    metrics: Metrics,
}

impl TakeIn {
    /// Of this store, at this clock's time.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, broken: Arc::default(), metrics: Metrics::default() }
    }

    /// The same, which counts there what it takes in.
    #[must_use]
    pub fn counting(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Takes in an account's reads that were received and not taken in, those that were never
    /// answered, and the records that waited long enough. One that fails keeps none of the
    /// others waiting.
    ///
    /// # Errors
    /// The last failure; what failed stays in the store and is tried at the next call.
    pub async fn open(&self, account: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut result = Ok(());
        for read in self.store.open_reads(account, now.clone()).await? {
            if self.may_try(read, now.boot_ms) {
                result = self.read(read).await.map(drop).and(result);
            }
        }
        for (row, record) in self.store.waiting_due(account, now.unix).await? {
            if let Some(known) = self.account(account).await? {
                let prepared = ingest::release(&record, known);
                let released = self.decide(Source::Waiting(row), prepared).await;
                if let Ok(Some(released)) = &released {
                    self.metrics.records(records(account, released));
                }
                result = released.map(drop).and(result);
            }
        }
        result
    }

    /// Like [`TakeIn::open`], but an answer that alone cannot be taken in is told and stops
    /// nothing.
    ///
    /// # Errors
    /// The store's own.
    pub async fn open_or_tell(&self, account: &str) -> Result<(), StoreError> {
        match self.open(account).await {
            Err(error) if error.is_of_one_act() => {
                error!(account, %error, "an answer is not taken in; it is kept");
                Ok(())
            }
            done => done,
        }
    }

    /// Takes in one read; none when another process has.
    ///
    /// # Errors
    /// The store's own, or that the answer could not be parsed at all, which no answer may cause.
    pub async fn read(&self, read: ReadId) -> Result<Option<Ingested>, StoreError> {
        let Some(open) = self.store.open_read(read).await? else { return Ok(None) };
        let Some(account) = self.account(&open.account).await? else { return Ok(None) };
        let (name, hour, answered) = (account.name.clone(), open.hour, open.answered);
        let now = self.clock.unix();
        let prepared = parsed(read, move || ingest::prepare(&open, account, now)).await;
        let prepared = prepared.inspect_err(|_| self.remember_broken(read))?;
        let ingested = self.decide(Source::Read { id: read, answered }, prepared).await?;
        if let Some(ingested) = &ingested {
            tell(&name, hour, ingested);
            self.metrics.records(records(&name, ingested));
            self.metrics.read(CountedRead {
                account: &name,
                kind: if hour.is_some() { "hour" } else { "plain" },
                outcome: ingested.verdict.as_str(),
                given_up: ingested.given_up,
            });
        }
        Ok(ingested)
    }

    /// Parses the answer of a read again that was taken in before, and takes in what is new of
    /// it: replies and their deliveries are added, and nothing is edited but the read's counts
    /// and faults. None where its body is kept no longer, or is still to be taken in.
    ///
    /// # Errors
    /// The store's own, or that the answer could not be parsed at all.
    pub async fn reparse(
        &self,
        read: ReadId,
        finding: Finding,
    ) -> Result<Option<Ingested>, StoreError> {
        let Some(kept) = self.store.kept_read(read).await? else { return Ok(None) };
        let Some(account) = self.account(&kept.account).await? else { return Ok(None) };
        let now = self.clock.unix();
        let prepared = parsed(read, move || ingest::prepare_again(&kept, account, now)).await?;
        if finding == Finding::Kept {
            return self.decide(Source::Reparse(read), prepared).await;
        }
        let questions = prepared.questions();
        let decide = move |known| prepared.decide(&known);
        self.store.weigh(Source::Reparse(read), questions, decide, now).await
    }

    /// Whether a read is due for a try: one that broke the parser is tried now and then only.
    fn may_try(&self, read: ReadId, now_ms: i64) -> bool {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.get(&read).is_none_or(|since_ms| now_ms - since_ms > millis(BROKEN_WAIT))
    }

    fn remember_broken(&self, read: ReadId) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.insert(read, self.clock.now().boot_ms);
    }

    async fn decide(
        &self,
        source: Source,
        prepared: Prepared,
    ) -> Result<Option<Ingested>, StoreError> {
        let questions = prepared.questions();
        let decide = move |known| prepared.decide(&known);
        self.store.take_in(source, questions, decide, self.clock.now()).await
    }

    async fn account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        let stored = self.store.account(name).await?;
        Ok(stored.map(|(settings, key)| Account { name: name.to_owned(), settings, key }))
    }
}

/// Runs a parser off the async threads. One that breaks takes nothing with it.
async fn parsed(
    read: ReadId,
    parse: impl FnOnce() -> Prepared + Send + 'static,
) -> Result<Prepared, StoreError> {
    tokio::task::spawn_blocking(parse).await.map_err(|_| {
        StoreError::Refused(format!("the answer of read {read} broke the parser; it is kept"))
    })
}

/// The records of what was taken in, as they are counted.
fn records<'a>(account: &'a str, ingested: &Ingested) -> CountedRecords<'a> {
    let Ingested { records, new, faults, lossy, suspect, .. } = *ingested;
    let known = records.saturating_sub(new);
    CountedRecords { account, new, known, faults, lossy, suspect }
}

/// Tells of a read in the log: nothing personal, and the reason where something is wrong.
fn tell(account: &str, hour: Option<Hour>, ingested: &Ingested) {
    let kind = hour.map_or_else(|| "plain".to_owned(), |hour| format!("hour {hour}"));
    let status = ingested.status.map(|status| status.to_string());
    let Ingested { records, faults, new, owed, http_status, error, .. } = ingested;
    let read = ingested.read.0;
    match ingested.verdict {
        Verdict::Proven => info!(account, read, kind, records, new, "read the gateway"),
        Verdict::Doubtful(reason) => {
            let hours_owed = owed;
            warn!(
                account,
                read,
                kind,
                reason,
                error,
                http_status,
                status,
                records,
                faults,
                new,
                hours_owed,
                "a doubtful read: its hours will be read by time"
            );
        }
        // Told below, with those that broke behind the code that refuses.
        Verdict::Refused(_) => {}
    }
    if let Some(pause) = ingested.pause {
        let (reason, next_try_in) = (ingested.verdict.reason(), format_duration(pause));
        error!(account, read, kind, reason, status, next_try_in, "the gateway refused the account");
    }
    if matches!(ingested.verdict, Verdict::Doubtful("fault" | "not_protocol")) {
        let words = "the answer holds what is no record; the bytes are kept in the store";
        error!(account, read, kind, faults, "{words}");
    }
    if let Some(at) = ingested.short_until {
        let (missing, next_try_at) = (ingested.missing, at.beijing().rfc3339());
        let words = "the hour lacks replies that are known of it: it is read again";
        warn!(account, read, kind, missing, next_try_at, "{words}");
    }
    if ingested.given_up > 0 {
        let words = "the hour is given up: the gateway does not show all that is known of it";
        error!(account, read, kind, "{words}");
    }
    for event in &ingested.told {
        tell_event(account, read, *event);
    }
}

fn tell_event(account: &str, read: i64, event: EventType) {
    match event {
        EventType::GapOpened => {
            let words = "a gap is open: replies may be missing until its hours are read by time";
            warn!(account, read, "{words}");
        }
        EventType::GapClosed => info!(account, read, "the gap is closed"),
        EventType::Recovered => info!(account, read, "the gateway lets the account in again"),
        EventType::SecondReader => {
            let words = "another program seems to read this account's replies: they keep appearing \
                         by hour only";
            error!(account, read, "{words}");
        }
        // Told above, each in its own words.
        EventType::ReplyReceived | EventType::LoginFailed | EventType::RecordUnparsed => {}
        // No read tells of subscribers, or of messages left.
        EventType::SubscriberFailing | EventType::SubscriberDisabled | EventType::BalanceLow => {}
    }
}

//! Everything durable. An act here is what the product does to its memory, each in one short
//! transaction; a caller that was answered can rely on it being on disk.
//!
//! The store decides nothing: where an act depends on what is known, it is handed the decision
//! as a pure function and runs it between reading and writing. It knows nothing of HTTP.

pub mod attempt;
pub mod audit_entry;
pub mod balance;
pub mod by_hand;
pub mod delivery;
pub mod erasure;
pub mod error;
pub mod events;
pub mod fallback;
pub mod gauges;
pub mod hour;
pub mod journal;
pub mod message;
pub mod read;
pub mod replay;
pub mod replies;
pub mod retention;
pub mod slot;
mod sqlite;
pub mod subscribers;
pub mod token;
pub mod turn;
pub mod upgrade;

use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Moment;
use crate::gateway::client::{ReadMode, Received};
use crate::reply::IdKey;
use crate::route::Route;
use crate::store::delivery::{Figures, SubscriberSpec};
use crate::store::error::StoreError;
use crate::store::hour::{Gap, HourRow, OwedHour};
use crate::store::read::{
    AccountSettings, AccountSpec, AccountView, Begin, Ingested, Known, OpenRead, Outcome,
    ProbeOutcome, Questions, ReadId, ReadRequest, Refusal, Source, WaitingRecord,
};
use crate::store::retention::{Chunk, Kind};
#[cfg(test)]
pub(crate) use crate::store::sqlite::audit;
use crate::store::sqlite::engine::Engine;
pub use crate::store::sqlite::file::OpenMode;
use crate::store::sqlite::{
    accounts, figures, file, hours, ingest, probes, reads, retention as purge, upkeep,
};
use crate::time::{Hour, UnixMs};

/// How often the store is asked whether another process wrote to it.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// A handle on the store. Clones are cheap and share everything.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
    changes: watch::Sender<u64>,
}

impl Store {
    /// Opens the store and brings it up to date.
    ///
    /// # Errors
    /// When it is missing, damaged, unwritable, another user's, or of a newer version.
    pub fn open(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        Ok(Self { engine: Engine::open(path, mode)?, changes: watch::Sender::new(0) })
    }

    /// A store in memory whose acts run at once, in the caller's thread.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Result<Self, StoreError> {
        Ok(Self { engine: Engine::in_memory()?, changes: watch::Sender::new(0) })
    }

    /// Counts the rows of a table, by what stands behind `FROM`.
    #[cfg(test)]
    pub(crate) async fn count(&self, rows: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {rows}");
        let query = move |connection: &rusqlite::Connection| {
            Ok(connection.query_row(&sql, [], |row| row.get(0))?)
        };
        self.engine.read(query).await.unwrap()
    }

    /// Runs statements that no act stands for.
    #[cfg(test)]
    pub(crate) async fn execute(&self, sql: &str) {
        let sql = sql.to_owned();
        self.engine.write(move |connection| Ok(connection.execute_batch(&sql)?)).await.unwrap();
    }

    /// Erases the reply of this number, as a command would.
    #[cfg(test)]
    pub(crate) async fn erase(&self, seq: i64) -> usize {
        self.engine.write(move |connection| purge::drop_reply(connection, seq)).await.unwrap()
    }

    /// Asks what only tests ask: one of the queries of [`audit`].
    #[cfg(test)]
    pub(crate) async fn audit<T: Send + 'static>(
        &self,
        query: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.engine.read(query).await
    }

    /// Tells of every change that may have made work: by this process at once, by another
    /// within a quarter of a second while [`Store::watch`] runs.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Looks out for what other processes write, for ever. Where looking fails, whoever waits is
    /// woken all the same: they find out for themselves.
    pub async fn watch(&self) {
        let mut last = None;
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            let version = self.engine.data_version().await.ok();
            if version.is_none() || version != last {
                self.changed();
            }
            last = version;
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Writes the configured accounts and subscribers over those that were, and counts what is left
    /// of a former boot's waits on this boot's clock.
    ///
    /// # Errors
    /// Besides the store's own, when an account was begun under another id key.
    pub async fn put_configuration(
        &self,
        accounts: Vec<AccountSpec>,
        subscribers: Vec<SubscriberSpec>,
        now: Moment,
    ) -> Result<(), StoreError> {
        let act = move |connection: &_| {
            accounts::put_accounts(connection, &accounts, &now)?;
            for account in &accounts {
                accounts::anchor_slot(connection, &account.name, &now)?;
            }
            accounts::put_subscribers(connection, &subscribers, now.unix)
        };
        self.engine.write(act).await
    }

    /// Sets to now what waits for a time further off than any that is ever imposed: it was set
    /// when the clock was wrong. Says how many there were.
    ///
    /// # Errors
    /// The store's own.
    pub async fn mend_times(&self, now: UnixMs) -> Result<usize, StoreError> {
        let mended =
            self.engine.write(move |connection| upkeep::mend_times(connection, now)).await?;
        if mended > 0 {
            self.changed();
        }
        Ok(mended)
    }

    /// The settings with which an account's replies are kept, and the key of their ids; none
    /// when no `run` has configured it.
    ///
    /// # Errors
    /// The store's own.
    pub async fn account(
        &self,
        name: &str,
    ) -> Result<Option<(AccountSettings, IdKey)>, StoreError> {
        let name = name.to_owned();
        self.engine.read(move |connection| accounts::settings(connection, &name)).await
    }

    /// The names of all accounts that were ever configured.
    ///
    /// # Errors
    /// The store's own.
    pub async fn account_names(&self) -> Result<Vec<String>, StoreError> {
        self.engine.read(accounts::names).await
    }

    /// Counts what is left of a former boot's wait on this boot's clock. Done once at start.
    ///
    /// # Errors
    /// The store's own.
    pub async fn anchor_slot(&self, account: &str, now: Moment) -> Result<(), StoreError> {
        let account = account.to_owned();
        self.engine.write(move |connection| accounts::anchor_slot(connection, &account, &now)).await
    }

    /// What the planner must know of an account.
    ///
    /// # Errors
    /// The store's own.
    pub async fn view(
        &self,
        account: &str,
        mode: ReadMode,
        now: Moment,
    ) -> Result<AccountView, StoreError> {
        let account = account.to_owned();
        self.engine.read(move |connection| reads::view(connection, &account, mode, &now)).await
    }

    /// Owes these hours to be looked at once, those that never were, and remembers that this was
    /// done up to `last`.
    ///
    /// # Errors
    /// The store's own.
    pub async fn reconcile(
        &self,
        account: &str,
        owed: Vec<OwedHour>,
        last: Hour,
    ) -> Result<(), StoreError> {
        let account = account.to_owned();
        self.engine
            .write(move |connection| hours::reconcile(connection, &account, &owed, last))
            .await
    }

    /// Where an account's hours stand, from the first to the last; those that were never owed nor
    /// asked for are left out.
    ///
    /// # Errors
    /// The store's own.
    pub async fn hours(
        &self,
        account: &str,
        first: Hour,
        last: Hour,
    ) -> Result<Vec<HourRow>, StoreError> {
        let account = account.to_owned();
        self.engine.read(move |connection| hours::rows(connection, &account, first, last)).await
    }

    /// The account's open gaps: hours that are owed together because replies may be missing.
    ///
    /// # Errors
    /// The store's own.
    pub async fn gaps(&self, account: &str) -> Result<Vec<Gap>, StoreError> {
        let account = account.to_owned();
        self.engine.read(move |connection| hours::gaps(connection, &account)).await
    }

    /// Takes the account's slot and writes the read's row, before any request goes out. That
    /// this succeeds proves that the store can be written and has room for the answer.
    ///
    /// # Errors
    /// The store's own; with any of them the request must not be made.
    pub async fn begin_read(&self, request: ReadRequest, now: Moment) -> Result<Begin, StoreError> {
        self.require_room(request.room)?;
        self.engine.write(move |connection| reads::begin(connection, &request, &now)).await
    }

    fn require_room(&self, needed: u64) -> Result<(), StoreError> {
        let free = file::free_bytes(self.engine.path())?;
        if free < needed { Err(StoreError::NoRoom { free, needed }) } else { Ok(()) }
    }

    /// Gives back the slot of a read whose request never went out.
    ///
    /// # Errors
    /// The store's own.
    pub async fn abandon_read(&self, read: ReadId, now: Moment) -> Result<(), StoreError> {
        self.engine.write(move |connection| reads::abandon(connection, read, &now)).await
    }

    /// Keeps what a read brought, unparsed, and counts the account's interval from now.
    ///
    /// # Errors
    /// The store's own; the answer must then be kept by the caller and offered again.
    pub async fn finish_read(
        &self,
        read: ReadId,
        received: Received,
        now: Moment,
        min_interval: Duration,
    ) -> Result<(), StoreError> {
        self.engine
            .write(move |connection| reads::finish(connection, read, &received, &now, min_interval))
            .await
    }

    /// The account's reads to take in: received ones, and started ones past their deadline.
    ///
    /// # Errors
    /// The store's own.
    pub async fn open_reads(&self, account: &str, now: Moment) -> Result<Vec<ReadId>, StoreError> {
        let account = account.to_owned();
        self.engine.read(move |connection| reads::open_ids(connection, &account, &now)).await
    }

    /// One read that is to be taken in; none when it has been.
    ///
    /// # Errors
    /// The store's own.
    pub async fn open_read(&self, read: ReadId) -> Result<Option<OpenRead>, StoreError> {
        self.engine.read(move |connection| reads::open(connection, read)).await
    }

    /// One read that was taken in, to be parsed again; none where its body is kept no longer.
    ///
    /// # Errors
    /// The store's own.
    pub async fn kept_read(&self, read: ReadId) -> Result<Option<OpenRead>, StoreError> {
        self.engine.read(move |connection| reads::kept(connection, read)).await
    }

    /// The account's records that have waited long enough, each with the number of its row.
    ///
    /// # Errors
    /// The store's own.
    pub async fn waiting_due(
        &self,
        account: &str,
        now: UnixMs,
    ) -> Result<Vec<(i64, WaitingRecord)>, StoreError> {
        let account = account.to_owned();
        self.engine.read(move |connection| ingest::waiting_due(connection, &account, now)).await
    }

    /// Answers the questions, lets `decide` decide, and keeps replies, deliveries and the
    /// source's state together. None when another process took it in before.
    ///
    /// # Errors
    /// The store's own; nothing is kept then.
    pub async fn take_in(
        &self,
        source: Source,
        questions: Questions,
        decide: impl FnOnce(Known) -> Outcome + Send + 'static,
        now: Moment,
    ) -> Result<Option<Ingested>, StoreError> {
        let act =
            move |connection: &_| ingest::take_in(connection, source, &questions, decide, &now);
        let ingested = self.engine.write(act).await?;
        self.changed();
        Ok(ingested)
    }

    /// What [`Store::take_in`] would come to; nothing is kept.
    ///
    /// # Errors
    /// The store's own.
    pub async fn weigh(
        &self,
        source: Source,
        questions: Questions,
        decide: impl FnOnce(Known) -> Outcome + Send + 'static,
        now: UnixMs,
    ) -> Result<Option<Ingested>, StoreError> {
        let act = move |connection: &_| ingest::weigh(connection, source, &questions, decide, now);
        self.engine.read(act).await
    }

    /// The refusal for which an account of this login is left alone now. One whose login is another
    /// since is not.
    ///
    /// # Errors
    /// The store's own.
    pub async fn refusal(
        &self,
        account: &str,
        login: &IdKey,
        now: UnixMs,
    ) -> Result<Option<Refusal>, StoreError> {
        let (account, login) = (account.to_owned(), login.clone());
        let find = move |connection: &_| probes::refusal(connection, &account, &login, now);
        self.engine.read(find).await
    }

    /// Takes the account's next probe, if one is due: nobody else makes one for `wait`.
    ///
    /// # Errors
    /// The store's own.
    pub async fn begin_probe(
        &self,
        account: &str,
        wait: Duration,
        now: UnixMs,
    ) -> Result<bool, StoreError> {
        let account = account.to_owned();
        self.engine.write(move |connection| probes::begin(connection, &account, wait, now)).await
    }

    /// Lets `decide` decide what a probe came to, given the refusals in a row and the
    /// subscribers, and keeps it.
    ///
    /// # Errors
    /// The store's own.
    pub async fn end_probe(
        &self,
        account: &str,
        decide: impl FnOnce(u32, &[(String, Route)]) -> ProbeOutcome + Send + 'static,
        now: UnixMs,
    ) -> Result<ProbeOutcome, StoreError> {
        let account = account.to_owned();
        let act = move |connection: &_| probes::end(connection, &account, decide, now);
        let outcome = self.engine.write(act).await?;
        self.changed();
        Ok(outcome)
    }

    /// Whether it is time to look for what was kept long enough: at most once an hour, whichever
    /// process asks. Never while the clock is not set.
    ///
    /// # Errors
    /// The store's own.
    pub async fn begin_look(&self, now: UnixMs) -> Result<bool, StoreError> {
        self.engine.write(move |connection| purge::begin_look(connection, now)).await
    }

    /// What of a kind was kept since before `cutoff` and may go: the oldest day of it, in chunks
    /// for [`Store::purge`].
    ///
    /// # Errors
    /// The store's own.
    pub async fn kept_before(&self, kind: Kind, cutoff: UnixMs) -> Result<Vec<Chunk>, StoreError> {
        self.engine.read(move |connection| purge::find(connection, kind, cutoff)).await
    }

    /// Lets a chunk go, but what of it may no longer. Says how much went.
    ///
    /// # Errors
    /// The store's own.
    pub async fn purge(&self, chunk: Chunk) -> Result<usize, StoreError> {
        self.engine.write(move |connection| purge::drop_chunk(connection, &chunk)).await
    }

    /// How many transactions this process has written.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.engine.commits()
    }

    /// Whether whoever had the store before was killed, or still has it.
    #[must_use]
    pub fn was_left_open(&self) -> bool {
        self.engine.was_left_open()
    }

    /// Reads the whole file and looks for damage, beside everything else. May be given up at any
    /// time.
    ///
    /// # Errors
    /// [`StoreError::Broken`] with what was found, or the store's own.
    pub async fn quick_check(&self) -> Result<(), StoreError> {
        self.engine.quick_check().await
    }

    /// Copies the store, as it is at one moment, into a file that is there and empty, and checks the
    /// copy page by page; says what is in it. The service goes on meanwhile. May be given up at any
    /// time.
    ///
    /// # Errors
    /// [`StoreError::Path`] where the copy cannot be written, [`StoreError::Broken`] where it is not
    /// whole, or the store's own.
    pub async fn copy_into(&self, target: &Path) -> Result<Figures, StoreError> {
        self.engine.copy_into(target).await
    }

    /// About how many bytes a copy of the store has.
    ///
    /// # Errors
    /// The store's own.
    pub async fn copy_bytes(&self) -> Result<u64, StoreError> {
        self.engine.copy_bytes().await
    }

    /// Closes the store, for every clone: its file is whole then, with no log beside it, unless
    /// another process has it open.
    pub async fn close(&self) {
        self.engine.close().await;
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// The store's own.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.engine.read(figures::ping).await
    }

    /// Counts everything.
    ///
    /// # Errors
    /// The store's own.
    pub async fn figures(&self) -> Result<Figures, StoreError> {
        self.engine.read(figures::figures).await
    }
}

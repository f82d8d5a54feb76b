//! One SQLite file: a writer that groups acts into commits, and readers beside it.
//!
//! Every act is a savepoint of a shared transaction, so that many small acts cost one sync to
//! disk. An act's caller is answered only after the commit: what it was told is on disk.

use std::path::{Path, PathBuf};
#[cfg(test)]
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::Connection;
#[cfg(test)]
use rusqlite::{OpenFlags, backup::Backup};
use tokio::sync::{mpsc, oneshot};

use crate::store::delivery::Figures;
use crate::store::error::StoreError;
use crate::store::sqlite::check::{self, GivenUp};
use crate::store::sqlite::copy;
use crate::store::sqlite::file::{self, OpenMode, connect};
use crate::store::sqlite::schema::{self, Age};
use crate::store::sqlite::wal::LogWatch;
use crate::store::sqlite::{lock, upgrade};
use crate::time::UnixMs;

/// The oldest SQLite that is safe here: older ones can lose commits when the WAL resets.
const SQLITE_OLDEST: i32 = 3_051_003;
/// Acts in one commit: enough to make the sync cheap, few enough that none waits for long.
const GROUP_MAX: usize = 256;
/// Acts that may queue for the writer; more than that and callers wait their turn.
const QUEUE_MAX: usize = 1_024;
/// Readers kept open for reuse.
const READERS_MAX: usize = 4;
/// Pages that the writer keeps in memory, in KiB: with SQLite's own 2 MiB a large answer's pages
/// are written and read again many times before its commit.
const WRITER_CACHE_KIB: i64 = 8 * 1024;

/// How long the end of a check that was given up is waited for.
const CHECK_END_MAX: Duration = Duration::from_millis(500);

/// The answer to one act's caller, given once the fate of its commit is known.
type Answer = Box<dyn FnOnce(Option<&StoreError>) + Send>;
/// An act, run inside the writer's transaction, or with no connection when there is none to run
/// it in. It says what went wrong in it, if anything did, and how to answer its caller.
type Act = Box<dyn FnOnce(Option<&Connection>) -> (Option<StoreError>, Answer) + Send>;

/// A store in which nothing is.
#[cfg(test)]
static EMPTY: LazyLock<Mutex<Connection>> = LazyLock::new(|| {
    let mut empty = Connection::open_in_memory().unwrap();
    schema::bring_up_to_date(&mut empty).unwrap();
    Mutex::new(empty)
});

/// An open store file. Clones share the writer and the readers.
#[derive(Clone)]
pub(crate) struct Engine {
    path: PathBuf,
    /// The writer's queue; none once the store is closed.
    acts: Arc<Mutex<Option<mpsc::Sender<Act>>>>,
    writer: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
    was_left_open: bool,
    /// Transactions that were committed.
    commits: Arc<AtomicU64>,
    /// Held while the file is checked.
    checking: Arc<tokio::sync::Mutex<()>>,
    readers: Arc<Mutex<Vec<Connection>>>,
    watcher: Arc<Mutex<Option<Connection>>>,
    /// In place of writer and readers, for tests that live weeks in milliseconds.
    #[cfg(test)]
    direct: Option<Arc<Mutex<Connection>>>,
}

impl Engine {
    /// Opens the file, makes it a store where it is empty, and starts the writer.
    pub(crate) fn open(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        if rusqlite::version_number() < SQLITE_OLDEST {
            return Err(StoreError::Refused(format!(
                "SQLite {} is too old to be safe",
                rusqlite::version()
            )));
        }
        file::prepare(path, mode)?;
        let was_left_open = file::has_log(path);
        let mut connection = connect(path).map_err(|error| error.at(path))?;
        // Negative means KiB, not pages.
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        make(&mut connection, path, mode).map_err(|error| error.at(path))?;
        let (acts, queue) = mpsc::channel(QUEUE_MAX);
        let commits = Arc::<AtomicU64>::default();
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn({
                let commits = Arc::clone(&commits);
                let log = LogWatch::new(path);
                move || write_groups(&connection, queue, &commits, log)
            })
            .map_err(|source| StoreError::Path { path: path.to_owned(), source })?;
        Ok(Self {
            path: path.to_owned(),
            acts: Arc::new(Mutex::new(Some(acts))),
            writer: Arc::new(Mutex::new(Some(writer))),
            was_left_open,
            commits,
            checking: Arc::default(),
            readers: Arc::default(),
            watcher: Arc::default(),
            #[cfg(test)]
            direct: None,
        })
    }

    /// A store in memory whose acts run at once, in the caller's thread, each a transaction.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_in_memory_with_flags(flags)?;
        file::keep_plans(&connection)?;
        // A copy: to run every migration took a fifth of a life.
        Backup::new(&lock(&EMPTY), &mut connection)?.step(-1)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        Ok(Self {
            path: PathBuf::from("/"),
            acts: Arc::default(),
            writer: Arc::default(),
            was_left_open: false,
            commits: Arc::default(),
            checking: Arc::default(),
            readers: Arc::default(),
            watcher: Arc::default(),
            direct: Some(Arc::new(Mutex::new(connection))),
        })
    }

    #[cfg(test)]
    fn at_once<T>(
        direct: &Mutex<Connection>,
        act: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = lock(direct);
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let done = act(&connection);
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        connection.prepare_cached(end)?.execute([])?;
        done
    }

    /// How many groups of acts were written.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs an act in the writer's next transaction and waits until it is on disk.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        #[cfg(test)]
        if let Some(direct) = &self.direct {
            return Self::at_once(direct, act);
        }
        let (sender, answered) = oneshot::channel();
        let act: Act = Box::new(move |connection| {
            // An act that panics fails alone: the writer is everybody's.
            let done = connection.map(|connection| {
                let run = std::panic::AssertUnwindSafe(|| act(connection));
                let broken = || Err(StoreError::Refused("an act of the store broke".to_owned()));
                std::panic::catch_unwind(run).unwrap_or_else(|_| broken())
            });
            let own_trouble =
                done.as_ref().and_then(|done| done.as_ref().err()).map(StoreError::again);
            // A caller that has gone needs no answer.
            let answer: Answer = Box::new(move |trouble| drop(sender.send(outcome(done, trouble))));
            (own_trouble, answer)
        });
        let acts = lock(&self.acts).clone().ok_or(StoreError::Closed)?;
        acts.send(act).await.map_err(|_| StoreError::Closed)?;
        drop(acts);
        answered.await.map_err(|_| StoreError::Closed)?.map_err(|error| error.at(&self.path))
    }

    /// Runs a query on a reader, off the async threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        #[cfg(test)]
        if let Some(direct) = &self.direct {
            return Self::at_once(direct, query);
        }
        let engine = self.clone();
        let run = move || {
            let kept = engine.lock_readers().pop();
            let connection = kept.map_or_else(|| connect(&engine.path), Ok)?;
            let result = query(&connection);
            let mut readers = engine.lock_readers();
            if readers.len() < READERS_MAX {
                readers.push(connection);
            }
            result.map_err(|error| error.at(&engine.path))
        };
        tokio::task::spawn_blocking(run).await.map_err(|_| StoreError::Closed)?
    }

    /// Runs a query that may take long where little fits. Dropped before its end, it ends soon, so that
    /// a caller who waits no longer leaves no work behind.
    pub(crate) async fn search<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let given_up = GivenUp::default();
        let look = given_up.look();
        let run = move |connection: &Connection| {
            if !look.begin(connection) {
                return Err(StoreError::Closed);
            }
            let found = query(connection);
            look.end();
            found
        };
        let found = self.read(run).await;
        drop(given_up);
        found
    }

    /// Whether the file was not closed when it was opened here: whoever had it before was killed,
    /// or still has it.
    pub(crate) fn was_left_open(&self) -> bool {
        self.was_left_open
    }

    /// Reads the whole file, on a connection of its own, and says what is damaged in it. Dropped
    /// before its end, it ends soon.
    pub(crate) async fn quick_check(&self) -> Result<(), StoreError> {
        let turn = Arc::clone(&self.checking).lock_owned().await;
        let given_up = GivenUp::default();
        let (path, look) = (self.path.clone(), given_up.look());
        let check = move || {
            // The turn ends when the connection is closed.
            let _turn = turn;
            check::damages(&connect(&path)?, &look)
        };
        let checking = tokio::task::spawn_blocking(check);
        let found = checking.await.map_err(|_| StoreError::Closed)?;
        drop(given_up);
        match found.map_err(|error| error.at(&self.path))? {
            None => Ok(()),
            Some(found) => Err(StoreError::Broken { path: self.path.clone(), found }),
        }
    }

    /// Copies the store into a file that is there and empty, as it is at one moment, and checks the
    /// copy; says what is in it. Dropped before its end, it ends soon.
    pub(crate) async fn copy_into(&self, target: &Path) -> Result<Figures, StoreError> {
        let given_up = GivenUp::default();
        let (target, look) = (target.to_owned(), given_up.look());
        let copied = self.apart(move |path| copy::copy(&connect(path)?, &target, &look)).await;
        drop(given_up);
        copied
    }

    /// About how many bytes a copy has.
    pub(crate) async fn copy_bytes(&self) -> Result<u64, StoreError> {
        self.read(copy::bytes).await
    }

    /// Brings the log into the file and cuts it to nothing, on a connection of its own. False where
    /// somebody keeps on reading what is in it.
    pub(crate) async fn empty_log(&self) -> Result<bool, StoreError> {
        self.apart(|path| file::empty_log(&connect(path)?)).await
    }

    /// How often these bytes stand in the file and its log.
    pub(crate) async fn occurrences(&self, bytes: Vec<u8>) -> Result<usize, StoreError> {
        self.apart(move |path| file::occurrences(path, &bytes)).await
    }

    /// Writes the file anew if it has no more than so many bytes; false if it has more.
    pub(crate) async fn rewrite(&self, bytes_max: u64) -> Result<bool, StoreError> {
        self.apart(move |path| file::rewrite(&connect(path)?, path, bytes_max)).await
    }

    /// The copies that upgrades made and that are still there.
    pub(crate) async fn copies(&self) -> Result<Vec<PathBuf>, StoreError> {
        self.apart(upgrade::copies).await
    }

    /// Removes copies that upgrades made before `cutoff`. Says how many went.
    pub(crate) async fn drop_copies(&self, cutoff: UnixMs) -> Result<usize, StoreError> {
        self.apart(move |path| upgrade::drop_copies(path, cutoff)).await
    }

    /// Does something to the file that is no act, off the async threads.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = self.path.clone();
        let work = move || work(&path).map_err(|error| error.at(&path));
        tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Closed)?
    }

    /// Ends the writer when it has done what waits, and closes the file: whoever closes it last
    /// brings what is in its log into it, and removes the log.
    pub(crate) async fn close(&self) {
        // A check that was given up just now is let end: a connection that was interrupted leaves
        // the log where it is, if it is the last. One that the disk holds up is not waited for.
        drop(tokio::time::timeout(CHECK_END_MAX, self.checking.lock()).await);
        let engine = self.clone();
        let close = move || {
            // One after the other: of two that close at once neither may be the last.
            engine.lock_readers().clear();
            drop(lock(&engine.watcher).take());
            drop(lock(&engine.acts).take());
            let writer = lock(&engine.writer).take();
            // A writer that panicked has closed its connection all the same.
            drop(writer.map(std::thread::JoinHandle::join));
        };
        drop(tokio::task::spawn_blocking(close).await);
    }

    /// A number that changes whenever something was committed, by whichever process.
    pub(crate) async fn data_version(&self) -> Result<i64, StoreError> {
        let engine = self.clone();
        let look = move || {
            let mut kept = lock(&engine.watcher);
            // Only one connection's own numbers can be compared, so it is always the same one.
            let watcher = match kept.take() {
                Some(watcher) => watcher,
                None => connect(&engine.path)?,
            };
            let version = watcher.pragma_query_value(None, "data_version", |row| row.get(0))?;
            *kept = Some(watcher);
            Ok(version)
        };
        tokio::task::spawn_blocking(look).await.map_err(|_| StoreError::Closed)?
    }

    fn lock_readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        lock(&self.readers)
    }
}

/// Makes an empty file a store, and refuses one of an earlier version.
fn make(connection: &mut Connection, path: &Path, mode: OpenMode) -> Result<(), StoreError> {
    match schema::age(connection)? {
        Age::Current => Ok(()),
        Age::Empty => schema::bring_up_to_date(connection),
        Age::Older(_) if mode == OpenMode::AsItIs => Ok(()),
        Age::Older(found) => {
            Err(StoreError::Older { path: path.to_owned(), found, needed: schema::NEWEST })
        }
    }
}

/// What an act's caller is told: its own error first, then that of the commit.
fn outcome<T>(
    done: Option<Result<T, StoreError>>,
    trouble: Option<&StoreError>,
) -> Result<T, StoreError> {
    match (done, trouble) {
        (Some(Ok(value)), None) => Ok(value),
        (Some(Err(error)), _) => Err(error),
        (_, Some(trouble)) => Err(trouble.again()),
        (None, None) => Err(StoreError::Closed),
    }
}

/// The writer's thread: takes what waits, commits it as one, answers, until every handle is gone.
fn write_groups(
    connection: &Connection,
    mut queue: mpsc::Receiver<Act>,
    commits: &AtomicU64,
    mut log: LogWatch,
) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        write_group(connection, group);
        commits.fetch_add(1, Ordering::Relaxed);
        log.look(connection);
    }
}

fn write_group(connection: &Connection, group: Vec<Act>) {
    let mut acts = group.into_iter();
    let mut answers = Vec::with_capacity(acts.len());
    let committed = connection
        .execute_batch("BEGIN IMMEDIATE")
        .map_err(StoreError::from)
        .and_then(|()| run_acts(connection, &mut acts, &mut answers))
        .and_then(|()| Ok(connection.execute_batch("COMMIT")?));
    if committed.is_err() && !connection.is_autocommit() {
        // When even this fails the next BEGIN says so.
        drop(connection.execute_batch("ROLLBACK"));
    }
    // The acts that had no transaction to run in fail with it.
    answers.extend(acts.map(|act| act(None).1));
    for answer in answers {
        answer(committed.as_ref().err());
    }
}

/// Runs the acts, each as a savepoint; `answers` gets those that hang on the commit. Fails when
/// the transaction itself is lost: a full or failing disk ends it all, not one savepoint. A single
/// act needs no savepoint, for which SQLite copies every page that the act changes.
fn run_acts(
    connection: &Connection,
    acts: &mut impl ExactSizeIterator<Item = Act>,
    answers: &mut Vec<Answer>,
) -> Result<(), StoreError> {
    if acts.len() == 1 {
        let done = acts.next().map(|act| act(Some(connection)));
        let (own_trouble, answer) = done.unzip();
        answers.extend(answer);
        return own_trouble.flatten().map_or(Ok(()), Err);
    }
    for act in acts {
        connection.execute_batch("SAVEPOINT act")?;
        let (own_trouble, answer) = act(Some(connection));
        answers.push(answer);
        match own_trouble {
            Some(trouble) if connection.is_autocommit() => return Err(trouble),
            Some(_) => connection.execute_batch("ROLLBACK TO act; RELEASE act")?,
            None => connection.execute_batch("RELEASE act")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

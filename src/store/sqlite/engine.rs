//! One SQLite file: a writer that groups acts into commits, and readers beside it.
//!
//! Every act is a savepoint of a shared transaction, so that many small acts cost one sync to
//! disk. An act's caller is answered only after the commit: what it was told is on disk.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tokio::sync::{mpsc, oneshot};

use crate::store::error::StoreError;
use crate::store::sqlite::schema;

/// The oldest SQLite that is safe here: older ones can lose commits when the WAL resets.
const SQLITE_OLDEST: i32 = 3_051_003;
/// How long another process may hold the store before an act fails.
const BUSY_MAX: Duration = Duration::from_secs(10);
/// Acts in one commit: enough to make the sync cheap, few enough that none waits for long.
const GROUP_MAX: usize = 256;
/// Acts that may queue for the writer; more than that and callers wait their turn.
const QUEUE_MAX: usize = 1_024;
/// Readers kept open for reuse.
const READERS_MAX: usize = 4;
/// Size to which a WAL that grew is cut back: as large as the largest answer.
const WAL_BYTES_KEPT: i64 = 64 * 1024 * 1024;
/// Pages that the writer keeps in memory, in KiB: with SQLite's own 2 MiB a large answer's pages
/// are written and read again many times before its commit.
const WRITER_CACHE_KIB: i64 = 32 * 1024;
/// Statements kept prepared on each connection: more than the store has.
const STATEMENTS_MAX: usize = 128;

/// How long the end of a check that was given up is waited for.
const CHECK_END_MAX: Duration = Duration::from_millis(500);
/// Damages that are told, and how much of each: enough to see that it is damaged, and where.
const DAMAGES_TOLD_MAX: usize = 3;
const DAMAGE_CHARS_MAX: usize = 400;

/// The answer to one act's caller, given once the fate of its commit is known.
type Answer = Box<dyn FnOnce(Option<&StoreError>) + Send>;
/// An act, run inside the writer's transaction, or with no connection when there is none to run
/// it in. It says what went wrong in it, if anything did, and how to answer its caller.
type Act = Box<dyn FnOnce(Option<&Connection>) -> (Option<StoreError>, Answer) + Send>;

/// An open store file. Clones share the writer and the readers.
#[derive(Clone)]
pub(crate) struct Engine {
    path: PathBuf,
    /// The writer's queue; none once the store is closed.
    acts: Arc<Mutex<Option<mpsc::Sender<Act>>>>,
    writer: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
    was_left_open: bool,
    /// Held while the file is checked.
    checking: Arc<tokio::sync::Mutex<()>>,
    readers: Arc<Mutex<Vec<Connection>>>,
    watcher: Arc<Mutex<Option<Connection>>>,
    /// In place of writer and readers, for tests that live weeks in milliseconds.
    #[cfg(test)]
    direct: Option<Arc<Mutex<Connection>>>,
}

/// Whether a store may be made where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Make the file when it is missing.
    Create,
    /// Refuse when it is missing.
    Existing,
}

impl Engine {
    /// Opens the file, brings its tables up to date and starts the writer.
    pub(crate) fn open(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        if rusqlite::version_number() < SQLITE_OLDEST {
            return Err(StoreError::Refused(format!(
                "SQLite {} is too old to be safe",
                rusqlite::version()
            )));
        }
        prepare_file(path, mode)?;
        let was_left_open = has_log(path);
        let mut connection = connect(path).map_err(|error| error.at(path))?;
        // Negative means KiB, not pages.
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        schema::bring_up_to_date(&mut connection).map_err(|error| error.at(path))?;
        let (acts, queue) = mpsc::channel(QUEUE_MAX);
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write_groups(&connection, queue))
            .map_err(|source| StoreError::Path { path: path.to_owned(), source })?;
        Ok(Self {
            path: path.to_owned(),
            acts: Arc::new(Mutex::new(Some(acts))),
            writer: Arc::new(Mutex::new(Some(writer))),
            was_left_open,
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
        let mut connection = Connection::open_in_memory()?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        connection.pragma_update(None, "foreign_keys", true)?;
        schema::bring_up_to_date(&mut connection)?;
        Ok(Self {
            path: PathBuf::from("/"),
            acts: Arc::default(),
            writer: Arc::default(),
            was_left_open: false,
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
        let connection = direct.lock().unwrap_or_else(PoisonError::into_inner);
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let done = act(&connection);
        connection.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        done
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
            damages(&connect(&path)?, &look)
        };
        let checking = tokio::task::spawn_blocking(check);
        let found = checking.await.map_err(|_| StoreError::Closed)?;
        drop(given_up);
        match found.map_err(|error| error.at(&self.path))? {
            None => Ok(()),
            Some(found) => Err(StoreError::Broken { path: self.path.clone(), found }),
        }
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells a check, when dropped, that nobody waits for it any more.
#[derive(Default)]
struct GivenUp(Arc<CheckLook>);

/// What a check and whoever waits for it share.
#[derive(Default)]
struct CheckLook {
    given_up: AtomicBool,
    interrupt: Mutex<Option<InterruptHandle>>,
}

impl GivenUp {
    fn look(&self) -> Arc<CheckLook> {
        Arc::clone(&self.0)
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.given_up.store(true, Ordering::SeqCst);
        if let Some(interrupt) = lock(&self.0.interrupt).as_ref() {
            interrupt.interrupt();
        }
    }
}

/// What SQLite finds wrong with the file's pages and rows, in its words, which quote no value.
fn damages(connection: &Connection, look: &CheckLook) -> Result<Option<String>, StoreError> {
    *lock(&look.interrupt) = Some(connection.get_interrupt_handle());
    if look.given_up.load(Ordering::SeqCst) {
        return Ok(None);
    }
    let mut statement = connection.prepare(&format!("PRAGMA quick_check({DAMAGES_TOLD_MAX})"))?;
    let found = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let found = found.join("; ").replace('\n', " ");
    Ok((found != "ok").then(|| found.chars().take(DAMAGE_CHARS_MAX).collect()))
}

/// Whether beside a store there is a log with something in it.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
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
fn write_groups(connection: &Connection, mut queue: mpsc::Receiver<Act>) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        write_group(connection, group);
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
/// the transaction itself is lost: a full or failing disk ends it all, not one savepoint.
fn run_acts(
    connection: &Connection,
    acts: &mut impl Iterator<Item = Act>,
    answers: &mut Vec<Answer>,
) -> Result<(), StoreError> {
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

fn prepare_file(path: &Path, mode: OpenMode) -> Result<(), StoreError> {
    use std::fs::{self, OpenOptions};
    use std::io::ErrorKind;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let at_path = |source| StoreError::Path { path: path.to_owned(), source };
    if mode == OpenMode::Create {
        // Readable by its owner alone: replies are personal.
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(at_path(error)),
        }
    }
    let owner = match fs::metadata(path) {
        Ok(metadata) => metadata.uid(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(StoreError::Missing(path.to_owned()));
        }
        Err(error) => return Err(at_path(error)),
    };
    let me = rustix::process::geteuid().as_raw();
    if owner != me {
        let path = path.display();
        return Err(StoreError::Refused(format!(
            "{path} belongs to user {owner}, and this is user {me}: files made beside it would lock its owner out"
        )));
    }
    Ok(())
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_MAX)?;
    // Before WAL, which would change a file that is not ours.
    schema::vet(&mut connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // FULL before WAL: with NORMAL a commit that was answered for can be lost at a power failure.
    connection.pragma_update(None, "synchronous", "FULL")?;
    use_wal(&connection)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Switches to WAL, once in a file's life. SQLite does not wait for other processes here as it
/// does elsewhere, so this does: two services may make one store together.
fn use_wal(connection: &Connection) -> Result<(), StoreError> {
    const PAUSE: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL").map_err(StoreError::from) {
            Err(StoreError::Busy) if waited < BUSY_MAX => std::thread::sleep(PAUSE),
            done => return done,
        }
        waited += PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(folder: &tempfile::TempDir) -> Engine {
        Engine::open(&folder.path().join("replyd.db"), OpenMode::Create).unwrap()
    }

    async fn put(engine: &Engine, key: &'static str, fail: bool) -> Result<(), StoreError> {
        engine
            .write(move |connection| {
                connection.execute(
                    "INSERT INTO account (name, id_key, settings, login, box) VALUES (?1, x'00', '', x'00', x'00')",
                    [key],
                )?;
                if fail { Err(StoreError::Busy) } else { Ok(()) }
            })
            .await
    }

    async fn names(engine: &Engine) -> Vec<String> {
        let query = |connection: &Connection| {
            let mut statement = connection.prepare("SELECT name FROM account ORDER BY name")?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        };
        engine.read(query).await.unwrap()
    }

    #[tokio::test]
    async fn a_failed_act_takes_no_other_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(&folder);
        let (a, b, c) = tokio::join!(
            put(&engine, "a", false),
            put(&engine, "b", true),
            put(&engine, "c", false)
        );
        assert!(a.is_ok() && c.is_ok());
        assert!(matches!(b, Err(StoreError::Busy)));
        assert_eq!(names(&engine).await, ["a", "c"]);
    }

    #[tokio::test]
    async fn an_act_that_panics_fails_alone() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(&folder);
        let broken = engine.write::<()>(|_| panic!("on purpose")).await;
        assert!(matches!(broken, Err(StoreError::Refused(_))), "{broken:?}");
        put(&engine, "later", false).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_is_told_to_every_act_of_the_group_and_keeps_none() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(&folder);
        let limit = |connection: &Connection| {
            let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            connection.pragma_update(None, "max_page_count", pages)?;
            Ok(())
        };
        engine.write(limit).await.unwrap();
        let fill = |connection: &Connection| {
            connection.execute("INSERT INTO account (name, id_key, settings, login, box) VALUES ('big', zeroblob(1000000), '', x'00', x'00')", [])?;
            Ok(())
        };
        let (small, big) = tokio::join!(put(&engine, "a", false), engine.write(fill));
        assert!(matches!(big, Err(StoreError::Unwritable(_))), "{big:?}");
        // Whether the small act shared the full one's commit or came before it, its answer is true.
        assert_eq!(names(&engine).await, if small.is_ok() { vec!["a"] } else { vec![] });
        engine
            .write(|connection| Ok(connection.pragma_update(None, "max_page_count", 1 << 30)?))
            .await
            .unwrap();
        put(&engine, "later", false).await.unwrap();
    }

    #[tokio::test]
    async fn the_file_is_its_owners_and_synced() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(&folder);
        let mode = std::fs::metadata(engine.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let settings = |connection: &Connection| {
            let synchronous: i64 =
                connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
            let journal: String =
                connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
            Ok((synchronous, journal))
        };
        assert_eq!(engine.write(settings).await.unwrap(), (2, "wal".to_owned()));
    }

    #[tokio::test]
    async fn a_closed_store_has_no_log_and_answers_no_act() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(&folder);
        let clone = engine.clone();
        put(&engine, "a", false).await.unwrap();
        engine.data_version().await.unwrap();
        assert_eq!(names(&engine).await, ["a"]);
        assert!(has_log(engine.path()));
        engine.close().await;
        assert!(!has_log(engine.path()));
        assert!(matches!(put(&clone, "b", false).await, Err(StoreError::Closed)));
        assert!(!Engine::open(engine.path(), OpenMode::Existing).unwrap().was_left_open());
    }

    #[tokio::test]
    async fn a_check_that_is_given_up_is_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(&folder);
        engine.quick_check().await.unwrap();
        let connection = connect(engine.path()).unwrap();
        let given_up = GivenUp::default();
        assert_eq!(damages(&connection, &given_up.look()).unwrap(), None);
        let look = given_up.look();
        let (begun, begins) = std::sync::mpsc::channel();
        let endless = std::thread::spawn(move || {
            let mut statement = connection.prepare(
                "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number) SELECT n FROM number",
            )?;
            for number in statement.query_map([], |row| row.get::<_, i64>(0))? {
                number?;
                begun.send(()).unwrap();
            }
            Ok::<_, rusqlite::Error>(())
        });
        begins.recv().unwrap();
        drop(given_up);
        while begins.recv().is_ok() {}
        let ended = endless.join().unwrap().unwrap_err().sqlite_error_code();
        assert_eq!(ended, Some(rusqlite::ErrorCode::OperationInterrupted));
        let other = connect(engine.path()).unwrap();
        assert!(look.given_up.load(Ordering::SeqCst) && damages(&other, &look).unwrap().is_none());
    }

    #[test]
    fn several_make_one_store_together() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("replyd.db");
            let open = || Engine::open(&path, OpenMode::Create).map(drop);
            let opened: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(opened.iter().all(Result::is_ok), "{opened:?}");
        }
    }

    #[test]
    fn what_is_no_store_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none.db");
        assert!(matches!(Engine::open(&missing, OpenMode::Existing), Err(StoreError::Missing(_))));
        let noise = folder.path().join("noise.db");
        std::fs::write(&noise, vec![7; 10_000]).unwrap();
        assert!(matches!(Engine::open(&noise, OpenMode::Create), Err(StoreError::Broken { .. })));
        let elsewhere = folder.path().join("no/such/folder.db");
        assert!(matches!(Engine::open(&elsewhere, OpenMode::Create), Err(StoreError::Path { .. })));
    }
}

//! The store's file: whose it is, and how a connection to it is set up.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::error::StoreError;
use crate::store::sqlite::schema;

/// How long another process may hold the store before an act fails.
const BUSY_MAX: Duration = Duration::from_secs(10);
/// Size to which a WAL that grew is cut back: as large as the largest answer.
const WAL_BYTES_KEPT: i64 = 64 * 1024 * 1024;
/// Statements kept prepared on each connection: more than the store has.
const STATEMENTS_MAX: usize = 128;

/// Whether a store may be made where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Make the file when it is missing.
    Create,
    /// Refuse when it is missing.
    Existing,
}

/// Makes the file where it may, and refuses one that is another user's.
pub(super) fn prepare(path: &Path, mode: OpenMode) -> Result<(), StoreError> {
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

/// Connects to the file, every time in the same way.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_MAX)?;
    keep_plans(&connection)?;
    // Before WAL, which would change a file that is not ours.
    schema::vet(&mut connection)?;
    // FULL before WAL: with NORMAL a commit that was answered for can be lost at a power failure.
    connection.pragma_update(None, "synchronous", "FULL")?;
    use_wal(&connection)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Keeps statements prepared, and their plans as they are: left to itself SQLite plans a statement
/// anew whenever another value is bound to it, which costs more than most of them do.
pub(super) fn keep_plans(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
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

/// Whether beside a store there is a log with something in it.
pub(super) fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

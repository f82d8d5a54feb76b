//! The store's file: whose it is, and how a connection to it is set up.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::error::StoreError;
use crate::store::sqlite::{schema, wal};

/// How long another process may hold the store before an act fails.
pub(super) const BUSY_MAX: Duration = Duration::from_secs(10);
/// Statements kept prepared on each connection: more than the store has.
const STATEMENTS_MAX: usize = 128;

/// Bytes of a file that are looked through at once.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// Whether a store may be made where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Make the file when it is missing.
    Create,
    /// Refuse when it is missing.
    Existing,
    /// Refuse when it is missing, and take it as it is also where it is of an earlier version: only
    /// what every version has may be looked at.
    AsItIs,
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
    let kept = i64::try_from(wal::LOG_BYTES_MAX).unwrap_or(i64::MAX);
    connection.pragma_update(None, "journal_size_limit", kept)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is let go or erased is overwritten, and not only forgotten.
    connection.pragma_update(None, "secure_delete", true)?;
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

/// Bytes that are free on the disk on which this path is.
pub(crate) fn free_bytes(path: &Path) -> Result<u64, StoreError> {
    let at_path = |source: rustix::io::Errno| StoreError::Path {
        path: path.to_owned(),
        source: source.into(),
    };
    let disk = rustix::fs::statvfs(path).map_err(at_path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether beside a store there is a log with something in it.
pub(super) fn has_log(path: &Path) -> bool {
    std::fs::metadata(log_of(path)).is_ok_and(|log| log.len() > 0)
}

pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Brings the log into the file and cuts it to nothing, once nobody reads what is in it. False
/// where somebody does so for too long.
pub(super) fn empty_log(connection: &Connection) -> Result<bool, StoreError> {
    let busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(!busy)
}

/// Writes the file anew, page by page, with nothing in it but what is in the store, unless it has
/// more than so many bytes.
pub(super) fn rewrite(
    connection: &Connection,
    path: &Path,
    bytes_max: u64,
) -> Result<bool, StoreError> {
    let at_path = |source| StoreError::Path { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(at_path)?.len() > bytes_max {
        return Ok(false);
    }
    connection.execute_batch("VACUUM")?;
    Ok(true)
}

/// How often these bytes stand in the file and its log, wherever in them.
pub(super) fn occurrences(path: &Path, bytes: &[u8]) -> Result<usize, StoreError> {
    let mut count = 0;
    for path in [path.to_owned(), log_of(path)] {
        match File::open(&path).and_then(|file| occurrences_in(file, bytes)) {
            Ok(found) => count += found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::Path { path, source }),
        }
    }
    Ok(count)
}

fn occurrences_in(mut file: impl io::Read, bytes: &[u8]) -> io::Result<usize> {
    let overlap = bytes.len().saturating_sub(1);
    let (mut window, mut count) = (Vec::new(), 0);
    loop {
        let kept = window.len();
        let read = file.by_ref().take(WINDOW_BYTES).read_to_end(&mut window)?;
        if read == 0 {
            return Ok(count);
        }
        count += window.windows(bytes.len().max(1)).filter(|part| *part == bytes).count();
        window.drain(..(kept + read).saturating_sub(overlap));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_wherever_they_stand() {
        let window = usize::try_from(WINDOW_BYTES).unwrap();
        for (before, expected) in
            [(0, 1), (1, 1), (window - 2, 1), (window, 1), (3 * window - 1, 1)]
        {
            let mut file = vec![0; before];
            file.extend_from_slice(b"1390");
            file.extend_from_slice(&[0; 10]);
            assert_eq!(occurrences_in(&file[..], b"1390").unwrap(), expected, "{before}");
        }
        assert_eq!(occurrences_in(&b"aaaa"[..], b"aa").unwrap(), 3);
        assert_eq!(occurrences_in(&b""[..], b"aa").unwrap(), 0);
    }
}

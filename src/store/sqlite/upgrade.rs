//! Brings a store of an earlier version up to date, and copies it first.
//!
//! The writer's lock is taken, the copy is made on a connection beside it, and then the migrations
//! run in the transaction that has the lock: nothing is written between the copy and them, and of
//! several processes that start at once one does it, and the others find it done.
//!
//! The copy lies beside the store as `NAME.before-vN`, N being the version that the store gets, and
//! has this name only once it is whole, checked and on disk. Going back is to put it in the place of
//! the store.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::store::error::StoreError;
use crate::store::sqlite::check::CheckLook;
use crate::store::sqlite::copy;
use crate::store::sqlite::file::{self, connect};
use crate::store::sqlite::schema::{self, Age};
use crate::time::UnixMs;

/// Copies that are kept: the last two steps can be gone back.
const COPIES_MAX: usize = 2;
/// How often the writer's lock is waited for, each time as long as any act waits: another process
/// may be copying a large store.
const LOCK_TRIES_MAX: usize = 60;
/// What must be free beside the copy and as much again, which the migrations may write anew.
const ROOM_BESIDE_BYTES: u64 = 16 * 1024 * 1024;
/// What a copy's name is made of, behind the store's, and what it has while it is being made.
const BEFORE: &str = ".before-v";
const UNFINISHED: &str = ".unfinished";

/// What was done.
pub(crate) enum Done {
    /// The store is of this version now.
    Here {
        /// The copy of what it was, and its bytes; none where none was asked for.
        copy: Option<(PathBuf, u64)>,
    },
    /// Another process did it meanwhile.
    Elsewhere,
}

/// The version of a store that is to be brought up to date. None where there is nothing to do: no
/// file, an empty one, or a store of this version.
pub(crate) fn pending(path: &Path) -> Result<Option<usize>, StoreError> {
    if fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(None);
    }
    file::prepare(path, file::OpenMode::Existing)?;
    let was_left_open = file::has_log(path);
    let mut connection = connect(path)?;
    // A log that is found at start tells of an unclean stop: who looks here leaves it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, was_left_open)?;
    Ok(match schema::age(&mut connection)? {
        Age::Older(version) => Some(version),
        Age::Empty | Age::Current => None,
    })
}

/// Copies the store, if that is wanted, and brings it up to date; or leaves it as it was.
pub(crate) fn carry_out(
    path: &Path,
    is_copied: bool,
    look: &CheckLook,
) -> Result<Done, StoreError> {
    let connection = connect(path)?;
    let transaction = begin(&connection, look)?;
    let Age::Older(from) = schema::age_within(&transaction)? else {
        return Ok(Done::Elsewhere);
    };
    let copy = is_copied.then(|| copy_beside(path, from, look)).transpose()?;
    if !look.begin(&transaction) {
        return Err(StoreError::Closed);
    }
    schema::migrate(&transaction)?;
    transaction.commit()?;
    // The store is up to date, whatever becomes of copies of long ago: retention tries again.
    drop(drop_copies(path, UnixMs(i64::MIN)));
    Ok(Done::Here { copy })
}

/// Takes the writer's lock, however long another process copies the store.
fn begin<'c>(connection: &'c Connection, look: &CheckLook) -> Result<Transaction<'c>, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let begun = Transaction::new_unchecked(connection, TransactionBehavior::Immediate);
        match begun.map_err(StoreError::from) {
            Err(StoreError::Busy) if tries < LOCK_TRIES_MAX && !look.is_given_up() => {}
            done => return done,
        }
    }
}

/// Copies the store of this version, whose writer's lock is held. Says where to, and its bytes.
fn copy_beside(path: &Path, from: usize, look: &CheckLook) -> Result<(PathBuf, u64), StoreError> {
    let target = copy_of(path, schema::NEWEST)?;
    let copied = write_copy(path, &target, look);
    if copied.is_err() {
        // Not a page of it stays behind; what cannot be removed is when it is next made.
        remove_unfinished(&target).unwrap_or_default();
    }
    match copied {
        Ok(bytes) => Ok((target, bytes)),
        Err(error @ (StoreError::Broken { .. } | StoreError::Damaged(_) | StoreError::Closed)) => {
            Err(error.at(path))
        }
        Err(error) => {
            let why = match error {
                StoreError::Path { source, .. } => source.to_string(),
                StoreError::NoRoom { free, needed } => {
                    format!("{free} bytes are free there, and {needed} are needed")
                }
                other => other.to_string(),
            };
            Err(StoreError::NotCopied { copy: target, from, to: schema::NEWEST, why })
        }
    }
}

fn write_copy(path: &Path, target: &Path, look: &CheckLook) -> Result<u64, StoreError> {
    let at_target = |source: io::Error| StoreError::Path { path: target.to_owned(), source };
    remove_unfinished(target).map_err(at_target)?;
    let connection = connect(path)?;
    require_room(target, copy::bytes(&connection)?)?;
    let unfinished = with_end(target, UNFINISHED);
    // Readable by its owner alone, as the store is; never through a link that somebody put there.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
    let file = file.map_err(at_target)?;
    drop(copy::copy_whole(&connection, &unfinished, look)?);
    let finish = || {
        file.sync_all()?;
        fs::rename(&unfinished, target)?;
        File::open(folder(target))?.sync_all()?;
        Ok(file.metadata()?.len())
    };
    finish().map_err(at_target)
}

fn require_room(target: &Path, copy_bytes: u64) -> Result<(), StoreError> {
    let needed = copy_bytes.saturating_mul(2).saturating_add(ROOM_BESIDE_BYTES);
    let free = file::free_bytes(folder(target))?;
    if free < needed { Err(StoreError::NoRoom { free, needed }) } else { Ok(()) }
}

/// What a copy that was broken off has left.
fn remove_unfinished(target: &Path) -> io::Result<()> {
    let unfinished = with_end(target, UNFINISHED);
    for path in [with_end(&unfinished, "-journal"), with_end(&unfinished, "-wal"), unfinished] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The copies that were made before upgrades and are still beside the store, the newest last.
pub(crate) fn copies(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let real = real(path)?;
    let at_path = |source| StoreError::Path { path: path.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder(&real)).map_err(at_path)? {
        let name = entry.map_err(at_path)?.file_name();
        if let Some(version) = version_of(&real, &name) {
            found.push((version, real.with_file_name(name)));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The version before which a copy of this name was made; none where it is no copy's name.
fn version_of(store: &Path, name: &OsString) -> Option<usize> {
    let rest = name.as_bytes().strip_prefix(store.file_name()?.as_bytes())?;
    let digits = std::str::from_utf8(rest.strip_prefix(BEFORE.as_bytes())?).ok()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// Removes the copies that were made before `cutoff`, and of the others all but the newest two.
/// Says how many went.
pub(crate) fn drop_copies(path: &Path, cutoff: UnixMs) -> Result<usize, StoreError> {
    let copies = copies(path)?;
    let superfluous = copies.len().saturating_sub(COPIES_MAX);
    let mut dropped = 0;
    for (place, copy) in copies.iter().enumerate() {
        let at_copy = |source| StoreError::Path { path: copy.clone(), source };
        if place < superfluous || made(copy).map_err(at_copy)? < cutoff {
            fs::remove_file(copy).map_err(at_copy)?;
            dropped += 1;
        }
    }
    Ok(dropped)
}

/// When a copy was made: it is not changed afterwards.
fn made(copy: &Path) -> io::Result<UnixMs> {
    use std::os::unix::fs::MetadataExt;
    Ok(UnixMs(fs::metadata(copy)?.mtime().saturating_mul(1_000)))
}

/// Where the copy is that is made before this version.
fn copy_of(path: &Path, version: usize) -> Result<PathBuf, StoreError> {
    Ok(with_end(&real(path)?, &format!("{BEFORE}{version}")))
}

/// Where the store is, if its path is a link: there the copy has its room.
fn real(path: &Path) -> Result<PathBuf, StoreError> {
    fs::canonicalize(path).map_err(|source| StoreError::Path { path: path.to_owned(), source })
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests;

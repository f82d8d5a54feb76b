//! What can go wrong with the store, by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// An act of the store that did not happen. Nothing of a failed act is kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no store at this path. `run` makes one.
    #[error("no store at {}: `replyd run` makes it", .0.display())]
    Missing(PathBuf),
    /// The store cannot be written now: its disk is full, read-only or failing. Stop reading.
    #[error("the store cannot be written: {0}")]
    Unwritable(#[source] rusqlite::Error),
    /// The store's disk has no room for the largest answer. Stop reading.
    #[error("the store's disk has {free} bytes left, and an answer may need {needed}")]
    NoRoom {
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be.
        needed: u64,
    },
    /// Another process held the store too long. Try again.
    #[error("the store is busy with another process")]
    Busy,
    /// The store's file is damaged or is no store.
    #[error("the store is damaged or is no store of replyd: {0}")]
    Damaged(#[source] rusqlite::Error),
    /// The store's file was found to be damaged, or to be no database. Nothing may be read into
    /// it: what the gateway hands out once would be lost with it.
    #[error(
        "{0} is damaged or is no store of replyd: {found}. Nothing is read into it. Stop what uses \
         it, keep a copy, and restore a backup, or save what is left by \
         `sqlite3 {0} .recover | sqlite3 NEW.db` and put NEW.db in its place",
        path.display()
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// The store is of an earlier version, which only the service brings up to date.
    #[error(
        "{} is of version {found}, and this program needs {needed}: `replyd run` brings it there, \
         once it was copied", path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// The version that it must have.
        needed: usize,
    },
    /// The store was not copied, and so not brought up to date. It is as it was.
    #[error(
        "the store cannot be copied to {} before it is brought from version {from} to {to}: {why}. \
         It is as it was. Make room there; or copy it elsewhere by `replyd backup FILE`, and set \
         backup_before_upgrade = false in [store] for this one start", copy.display()
    )]
    NotCopied {
        /// Where the copy should be.
        copy: PathBuf,
        /// The version that the store has.
        from: usize,
        /// The version that it was to get.
        to: usize,
        /// Why there is no copy.
        why: String,
    },
    /// The store is not this program's to use: another user's, or a newer version's.
    #[error("{0}")]
    Refused(String),
    /// The file or its folder cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Path {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The store is closed: its writer has ended.
    #[error("the store is closed")]
    Closed,
    /// SQLite refused something that it should not have: an error of this program.
    #[error("the store failed: {0}")]
    Other(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(
                Code::DiskFull
                | Code::ReadOnly
                | Code::SystemIoFailure
                | Code::PermissionDenied
                | Code::CannotOpen,
            ) => Self::Unwritable(error),
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Self::Busy,
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Self::Damaged(error),
            _ => Self::Other(error),
        }
    }
}

impl StoreError {
    /// Names the file that is damaged, where that is the trouble.
    #[must_use]
    pub(crate) fn at(self, path: &Path) -> Self {
        match self {
            Self::Damaged(error) => {
                Self::Broken { path: path.to_owned(), found: error.to_string() }
            }
            other => other,
        }
    }

    /// Whether this act failed for a reason of its own, and others may well succeed.
    #[must_use]
    pub fn is_of_one_act(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Other(_))
    }

    /// The same trouble again, for every act of a group that failed as one.
    #[must_use]
    pub(crate) fn again(&self) -> Self {
        let copy = |error: &rusqlite::Error| match error {
            rusqlite::Error::SqliteFailure(code, message) => {
                rusqlite::Error::SqliteFailure(*code, message.clone())
            }
            other => rusqlite::Error::ToSqlConversionFailure(other.to_string().into()),
        };
        match self {
            Self::Unwritable(error) => Self::Unwritable(copy(error)),
            Self::Busy => Self::Busy,
            Self::Damaged(error) => Self::Damaged(copy(error)),
            Self::Other(error) => Self::Other(copy(error)),
            _ => Self::Closed,
        }
    }
}

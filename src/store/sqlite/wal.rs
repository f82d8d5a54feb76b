//! Keeps the log beside the store short, whoever reads meanwhile.
//!
//! SQLite brings the log into the file by itself after some commits, as far as nobody reads what is
//! older, and begins it anew once nobody reads it at all. Where readers overlap without end that
//! moment never comes, and the log grows without end. So the writer looks at its length after each
//! commit, and where it is too long it holds new readers off the log, waits a little for those that
//! are on it, and cuts it to nothing.
//!
//! Only somebody who reads in one look for long keeps it from that: the log grows while they do, and
//! is cut afterwards.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use crate::store::sqlite::file::{self, BUSY_MAX};

/// The log's length from which on it is cut, and to which SQLite cuts one that was longer. SQLite
/// itself begins it anew at a quarter of that.
pub(super) const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long readers are waited for: longer than a query takes, and short enough for whoever writes.
const READERS_MAX: Duration = Duration::from_millis(100);

/// The writer's eye on the log's length.
pub(super) struct LogWatch {
    log: PathBuf,
    /// From which length on it is cut: after a try in vain more, so that whoever writes does not
    /// wait at each commit for one who reads for long.
    bytes_max: u64,
}

impl LogWatch {
    pub(super) fn new(store: &Path) -> Self {
        Self { log: file::log_of(store), bytes_max: LOG_BYTES_MAX }
    }

    /// After a commit: cuts the log where it is too long.
    pub(super) fn look(&mut self, connection: &Connection) {
        let bytes = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        if bytes <= LOG_BYTES_MAX {
            self.bytes_max = LOG_BYTES_MAX;
        } else if bytes > self.bytes_max && !cut(connection) {
            self.bytes_max = bytes.saturating_add(LOG_BYTES_MAX);
        }
    }
}

/// Whether the log could be cut. Where it cannot, for whichever reason, it stays as it is: nothing is
/// lost by that, and what is wrong is told by the next commit.
fn cut(connection: &Connection) -> bool {
    let waits = |limit| connection.busy_timeout(limit).is_ok();
    let is_cut = waits(READERS_MAX) && file::empty_log(connection).unwrap_or(false);
    waits(BUSY_MAX) && is_cut
}

//! Where things stand, for those who watch.

use std::path::Path;

use crate::metrics::{Gauges, ProcessGauges, StoreGauges};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sqlite::{file, gauges};

impl Store {
    /// Where accounts and subscribers stand, and what the store takes of its disk, of which so
    /// much must be free for a read. What only the configuration knows is left out.
    ///
    /// # Errors
    /// The store's own.
    pub async fn gauges(
        &self,
        disk_needed: u64,
        process: ProcessGauges,
    ) -> Result<Gauges, StoreError> {
        let path = self.engine.path();
        let store = StoreGauges {
            file: file_bytes(path),
            log: file_bytes(&beside(path, "-wal")),
            disk_free: signed(file::free_bytes(path)?),
            disk_needed: signed(disk_needed),
        };
        let look =
            |connection: &_| Ok((gauges::accounts(connection)?, gauges::subscribers(connection)?));
        let (accounts, subscribers) = self.engine.read(look).await?;
        Ok(Gauges { accounts, subscribers, store, process })
    }
}

/// A file that is not there has no bytes.
fn file_bytes(path: &Path) -> i64 {
    std::fs::metadata(path).map_or(0, |file| signed(file.len()))
}

fn beside(path: &Path, end: &str) -> std::path::PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

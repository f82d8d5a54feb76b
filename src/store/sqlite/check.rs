//! A check of the whole file, which can be given up at any time, as a copy of it can.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, InterruptHandle};

use crate::store::error::StoreError;
use crate::store::sqlite::lock;

/// Damages that are told, and how much of each: enough to see that it is damaged, and where.
const DAMAGES_TOLD_MAX: usize = 3;
const DAMAGE_CHARS_MAX: usize = 400;

/// Tells a check, when dropped, that nobody waits for it any more.
#[derive(Default)]
pub(crate) struct GivenUp(Arc<CheckLook>);

/// What a check and whoever waits for it share.
#[derive(Default)]
pub(crate) struct CheckLook {
    given_up: AtomicBool,
    interrupt: Mutex<Option<InterruptHandle>>,
}

impl GivenUp {
    /// What the check looks at.
    pub(crate) fn look(&self) -> Arc<CheckLook> {
        Arc::clone(&self.0)
    }
}

impl CheckLook {
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::SeqCst)
    }

    /// Lets what this connection does be given up from now on. False where it was already.
    pub(super) fn begin(&self, connection: &Connection) -> bool {
        *lock(&self.interrupt) = Some(connection.get_interrupt_handle());
        !self.is_given_up()
    }

    /// Lets nothing more be given up: the connection does other work from now on.
    pub(super) fn end(&self) {
        *lock(&self.interrupt) = None;
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
pub(super) fn damages(
    connection: &Connection,
    look: &CheckLook,
) -> Result<Option<String>, StoreError> {
    if !look.begin(connection) {
        return Ok(None);
    }
    let mut statement = connection.prepare(&format!("PRAGMA quick_check({DAMAGES_TOLD_MAX})"))?;
    let found = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let found = found.join("; ").replace('\n', " ");
    Ok((found != "ok").then(|| found.chars().take(DAMAGE_CHARS_MAX).collect()))
}

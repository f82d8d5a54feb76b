//! Events as somebody follows them: in the order in which they were kept.

use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sqlite::events;

/// An event as it was told, or would be. No `Debug`: it holds what a stranger wrote.
#[derive(Clone)]
pub struct EventRow {
    /// Its number, which grows with each event and is never given twice.
    pub seq: i64,
    /// Its type.
    pub event_type: String,
    /// The bytes that are told, with whole numbers.
    pub body: String,
}

/// Events behind a number.
pub struct EventPage {
    /// The events.
    pub rows: Vec<EventRow>,
    /// Whether there may be more.
    pub is_full: bool,
}

impl Store {
    /// The events behind this number, oldest first: some MiB of them at most, or a single one.
    ///
    /// # Errors
    /// The store's own.
    pub async fn events_behind(&self, seq: i64) -> Result<EventPage, StoreError> {
        self.engine.read(move |connection| events::behind(connection, seq)).await
    }

    /// The number of the newest event; 0 where there never was one.
    ///
    /// # Errors
    /// The store's own.
    pub async fn newest_event(&self) -> Result<i64, StoreError> {
        self.engine.read(events::newest).await
    }
}

//! Where things stand, for those who watch.

use crate::metrics::Gauges;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sqlite::gauges;

impl Store {
    /// Where accounts and subscribers stand, and how large the store is.
    ///
    /// # Errors
    /// The store's own.
    pub async fn gauges(&self) -> Result<Gauges, StoreError> {
        self.engine.read(gauges::gauges).await
    }
}

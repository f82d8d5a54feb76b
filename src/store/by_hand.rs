//! What somebody does with deliveries by hand: look at them, release held ones, cancel.

use crate::store::Store;
use crate::store::delivery::{Act, DeliveryFilter, DeliveryRow, DeliveryState, Held};
use crate::store::error::StoreError;
use crate::store::sqlite::by_hand;
use crate::time::UnixMs;

/// Deliveries that are released in one transaction, so that nobody else waits for long.
const RELEASED_AT_ONCE: usize = 1_000;

impl Store {
    /// The names of all subscribers that were ever configured.
    ///
    /// # Errors
    /// The store's own.
    pub async fn subscriber_names(&self) -> Result<Vec<String>, StoreError> {
        self.engine.read(by_hand::subscriber_names).await
    }

    /// Lists deliveries, newest first.
    ///
    /// # Errors
    /// The store's own.
    pub async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliveryRow>, StoreError> {
        self.engine.read(move |connection| by_hand::list(connection, &filter)).await
    }

    /// Where deliveries stand, by their numbers; none where there is no such delivery.
    ///
    /// # Errors
    /// The store's own.
    pub async fn delivery_states(
        &self,
        ids: Vec<i64>,
    ) -> Result<Vec<(i64, Option<DeliveryState>)>, StoreError> {
        self.engine.read(move |connection| by_hand::states(connection, &ids)).await
    }

    /// Does something to deliveries, where it can be done, and says where each stood before.
    /// Where one of them is not there, nothing is done to any.
    ///
    /// # Errors
    /// The store's own; nothing is done then.
    pub async fn act_on(
        &self,
        ids: Vec<i64>,
        act: Act,
        now: UnixMs,
    ) -> Result<Vec<(i64, Option<DeliveryState>)>, StoreError> {
        let stood =
            self.engine.write(move |connection| by_hand::act(connection, &ids, act, now)).await?;
        self.changed();
        Ok(stood)
    }

    /// The held deliveries, of one subscriber or of each that has some.
    ///
    /// # Errors
    /// The store's own.
    pub async fn held(&self, subscriber: Option<String>) -> Result<Vec<Held>, StoreError> {
        self.engine.read(move |connection| by_hand::held(connection, subscriber.as_deref())).await
    }

    /// Releases those held deliveries, and none that was held since; says how many.
    ///
    /// # Errors
    /// The store's own; some may be released then.
    pub async fn release(&self, held: Held, now: UnixMs) -> Result<usize, StoreError> {
        let mut released = 0;
        loop {
            let held = held.clone();
            let some = self
                .engine
                .write(move |connection| by_hand::release(connection, &held, RELEASED_AT_ONCE, now))
                .await?;
            self.changed();
            released += some;
            if some < RELEASED_AT_ONCE {
                return Ok(released);
            }
        }
    }
}

//! How many messages accounts have left.

use std::time::Duration;

use crate::route::Route;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::read::NewEvent;
use crate::store::sqlite::balance;
use crate::time::UnixMs;

impl Store {
    /// Takes the account's next look at what is left, if one is due: nobody else takes one for
    /// `interval`. An account that the gateway refuses is left alone.
    ///
    /// # Errors
    /// The store's own.
    pub async fn begin_balance_look(
        &self,
        account: &str,
        interval: Duration,
        now: UnixMs,
    ) -> Result<bool, StoreError> {
        let account = account.to_owned();
        let begin = move |connection: &_| balance::begin_look(connection, &account, interval, now);
        self.engine.write(begin).await
    }

    /// Keeps what is left, and what `tell` makes of it, given whether it was told as low before
    /// and the subscribers: whether it is low now, and the event with which that is told. Says
    /// whether it was told.
    ///
    /// # Errors
    /// The store's own.
    pub async fn keep_balance(
        &self,
        account: &str,
        left: u64,
        tell: impl FnOnce(bool, &[(String, Route)]) -> (bool, Option<NewEvent>) + Send + 'static,
        now: UnixMs,
    ) -> Result<bool, StoreError> {
        let account = account.to_owned();
        let keep = move |connection: &_| balance::keep(connection, &account, left, tell, now);
        let has_told = self.engine.write(keep).await?;
        if has_told {
            self.changed();
        }
        Ok(has_told)
    }
}

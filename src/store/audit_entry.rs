//! What was changed by the HTTP API, and by whose token.
//!
//! An entry stands in the transaction of the change that it tells of: there is none of what did not
//! happen, and nothing happened without one. It holds names and numbers of rows, and nothing of
//! anybody.

use crate::store::Store;
use crate::store::by_hand::Act;
use crate::store::delivery::Claim;
use crate::store::error::StoreError;
use crate::store::message::{NewMessage, Wish, Wished};
use crate::store::replay::{Extent, ReplayRequest, ReplayState};
use crate::store::sqlite::{audit_entries, messages, replays, subscribers};
use crate::store::subscribers::TestOf;
use crate::time::UnixMs;

/// A change that is to be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// The name of the token by which it is made.
    pub token: String,
    /// What is done: `deliveries.retry`.
    pub action: &'static str,
    /// To what: `delivery 17`.
    pub target: String,
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number.
    pub id: i64,
    /// When it was made.
    pub at: UnixMs,
    /// The name of the token by which it was made.
    pub token: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub target: String,
    /// What came of it.
    pub outcome: String,
}

/// Which entries are looked at: those of which all that is named holds.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Made by a token of this name.
    pub token: Option<String>,
    /// Made then or later.
    pub since: Option<UnixMs>,
    /// Before the entry of this number.
    pub before: Option<i64>,
}

/// The store for one change that is told of in the change's own transaction.
pub struct Audited<'a> {
    store: &'a Store,
    entry: NewAuditEntry,
}

impl Store {
    /// The store for this change.
    #[must_use]
    pub fn audited(&self, entry: NewAuditEntry) -> Audited<'_> {
        Audited { store: self, entry }
    }

    /// The newest entries that the filter lets through, newest first.
    ///
    /// # Errors
    /// The store's own.
    pub async fn audit_entries(
        &self,
        filter: AuditFilter,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.engine.read(move |connection| audit_entries::list(connection, &filter, limit)).await
    }
}

impl Audited<'_> {
    /// As [`Store::act_on`], with an entry for each transaction.
    ///
    /// # Errors
    /// The store's own; some may be changed then.
    pub async fn act_on(&self, ids: &[i64], act: Act, now: UnixMs) -> Result<usize, StoreError> {
        self.store.act_on_for(ids, (act, Some(self.entry.clone())), now, |_| {}).await
    }

    /// Keeps a replay as a job that whoever looks next carries out, and says its number.
    ///
    /// # Errors
    /// The store's own.
    pub async fn put_replay(
        &self,
        request: ReplayRequest,
        extent: Extent,
        now: UnixMs,
    ) -> Result<i64, StoreError> {
        let entry = self.entry.clone();
        let put = move |connection: &rusqlite::Connection| {
            let lease = replays::begin(connection, &request, extent, now)?;
            replays::leave(connection, lease, now)?;
            audit_entries::put(connection, &entry, &format!("replay {}", lease.job), now)?;
            Ok(lease.job)
        };
        let job = self.store.engine.write(put).await?;
        self.store.changed();
        Ok(job)
    }

    /// As [`Store::cancel_replay`].
    ///
    /// # Errors
    /// The store's own.
    pub async fn cancel_replay(
        &self,
        job: i64,
        now: UnixMs,
    ) -> Result<Option<ReplayState>, StoreError> {
        let entry = self.entry.clone();
        let cancel = move |connection: &rusqlite::Connection| {
            let stood = replays::cancel(connection, job, now)?;
            if stood == Some(ReplayState::Running) {
                audit_entries::put(connection, &entry, "cancelled", now)?;
            }
            Ok(stood)
        };
        self.store.engine.write(cancel).await
    }

    /// As [`Store::enable`] and [`Store::disable`].
    ///
    /// # Errors
    /// The store's own.
    pub async fn switch(
        &self,
        subscriber: &str,
        switch: Switch,
        now: UnixMs,
    ) -> Result<(), StoreError> {
        let (entry, subscriber) = (self.entry.clone(), subscriber.to_owned());
        let act = move |connection: &rusqlite::Connection| {
            let outcome = match switch {
                Switch::On => {
                    subscribers::enable(connection, &subscriber, now)?;
                    "enabled"
                }
                Switch::Off => {
                    subscribers::disable(connection, &subscriber, now)?;
                    "disabled"
                }
            };
            audit_entries::put(connection, &entry, outcome, now)
        };
        self.store.engine.write(act).await?;
        self.store.changed();
        Ok(())
    }

    /// Keeps a message for a wish to send, unless the same was wished before.
    ///
    /// # Errors
    /// The store's own.
    pub async fn put_message(
        &self,
        message: NewMessage,
        wish: Wish,
        now: UnixMs,
    ) -> Result<Wished, StoreError> {
        let entry = self.entry.clone();
        let put = move |connection: &rusqlite::Connection| {
            let wished = messages::put_wished(connection, &message, &wish, now)?;
            if matches!(wished, Wished::New(_)) {
                audit_entries::put(connection, &entry, &message.id, now)?;
            }
            Ok(wished)
        };
        let wished = self.store.engine.write(put).await?;
        self.store.changed();
        Ok(wished)
    }

    /// As [`Store::begin_test`].
    ///
    /// # Errors
    /// The store's own.
    pub async fn begin_test(&self, of: TestOf) -> Result<Option<Claim>, StoreError> {
        let entry = self.entry.clone();
        let begin = move |connection: &rusqlite::Connection| {
            let claim = subscribers::begin_test(connection, &of)?;
            if let Some(claim) = &claim {
                let outcome = format!("delivery {}", claim.delivery);
                audit_entries::put(connection, &entry, &outcome, of.now)?;
            }
            Ok(claim)
        };
        self.store.engine.write(begin).await
    }
}

/// Whether a subscriber is to take deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

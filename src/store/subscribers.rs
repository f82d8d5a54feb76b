//! Subscribers as somebody looks at them and changes them by hand.

use std::time::Duration;

use crate::store::Store;
use crate::store::attempt::Disabled;
use crate::store::by_hand::AttemptRow;
use crate::store::delivery::{Claim, Trigger};
use crate::store::error::StoreError;
use crate::store::sqlite::subscribers;
use crate::time::UnixMs;

/// Rest after each of the transactions in which a renamed subscriber's deliveries are handed on.
const REST: Duration = Duration::from_millis(20);

/// A subscriber as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriberRow {
    /// Its name.
    pub name: String,
    /// Whether the configuration lets it be sent to.
    pub enabled: bool,
    /// Whether the configuration that the service last read lacks it.
    pub absent: bool,
    /// Since when it takes nothing, and why.
    pub disabled: Option<(UnixMs, Disabled)>,
    /// Since when all its attempts have failed.
    pub failing_since: Option<UnixMs>,
    /// Its pace, in the form in which it is kept.
    pub pace: Option<String>,
    /// The name to which its deliveries are being handed on.
    pub renamed_to: Option<String>,
}

/// What a subscriber's deliveries come to, but for those that are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many wait or are being sent.
    pub waiting: u64,
    /// When the first of these was made.
    pub oldest: Option<UnixMs>,
    /// How many are held.
    pub held: u64,
    /// How many were given up.
    pub failed: u64,
}

/// A message with which a subscriber is tested.
#[derive(Clone)]
pub struct TestOf {
    /// The subscriber.
    pub subscriber: String,
    /// The event's id.
    pub event_id: String,
    /// The event's type.
    pub event_type: &'static str,
    /// The event's body, as the subscriber is to get it.
    pub body: String,
    /// When it is made.
    pub now: UnixMs,
    /// Until when its delivery is the caller's alone.
    pub lease_end: UnixMs,
}

impl TestOf {
    /// The claim under which it is sent, of a delivery that has no number yet.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim {
            delivery: 0,
            lease: 1,
            event_id: self.event_id.clone(),
            body: self.body.clone().into(),
            trigger: Trigger::Test,
            created: self.now,
            written: None,
            person: None,
            attempt: 1,
            alone: false,
            stands_in: None,
        }
    }
}

/// How a subscriber was renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renamed {
    /// It is done: so many deliveries go by the new name now.
    Done(usize),
    /// There is none of the old name.
    Unknown,
    /// There is one of the new name already.
    Taken,
}

/// How a subscriber was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is done.
    Done,
    /// Deliveries to it still wait, or came since they were counted.
    Waiting(u64),
    /// One is being sent until then, at the latest.
    Sending(UnixMs),
}

impl Store {
    /// The names of all subscribers to which there are deliveries or may be some, by name; also of
    /// removed ones.
    ///
    /// # Errors
    /// The store's own.
    pub async fn subscriber_names(&self) -> Result<Vec<String>, StoreError> {
        self.engine.read(subscribers::all_names).await
    }

    /// Every subscriber that was ever configured and was not removed, by name.
    ///
    /// # Errors
    /// The store's own.
    pub async fn subscribers(&self) -> Result<Vec<SubscriberRow>, StoreError> {
        self.engine.read(subscribers::rows).await
    }

    /// What the subscriber's deliveries come to.
    ///
    /// # Errors
    /// The store's own.
    pub async fn backlog(&self, subscriber: &str) -> Result<Backlog, StoreError> {
        let subscriber = subscriber.to_owned();
        self.engine.read(move |connection| subscribers::backlog(connection, &subscriber)).await
    }

    /// The subscriber's last attempts, newest first, of those that were made lately.
    ///
    /// # Errors
    /// The store's own.
    pub async fn last_attempts(
        &self,
        subscriber: &str,
        limit: usize,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let subscriber = subscriber.to_owned();
        self.engine
            .read(move |connection| subscribers::last_attempts(connection, &subscriber, limit))
            .await
    }

    /// Lets a subscriber take deliveries again, at once and as fast as any that never failed.
    ///
    /// # Errors
    /// The store's own.
    pub async fn enable(&self, subscriber: &str, now: UnixMs) -> Result<(), StoreError> {
        let subscriber = subscriber.to_owned();
        self.engine
            .write(move |connection| subscribers::enable(connection, &subscriber, now))
            .await?;
        self.changed();
        Ok(())
    }

    /// Makes a subscriber take nothing until somebody enables it: its deliveries wait. One that is
    /// disabled already stays so for the reason that it has.
    ///
    /// # Errors
    /// The store's own.
    pub async fn disable(&self, subscriber: &str, now: UnixMs) -> Result<(), StoreError> {
        let subscriber = subscriber.to_owned();
        self.engine
            .write(move |connection| subscribers::disable(connection, &subscriber, now))
            .await?;
        self.changed();
        Ok(())
    }

    /// Puts a message with which a subscriber is tested, and claims its delivery for the caller. None
    /// where the store lacks the subscriber.
    ///
    /// # Errors
    /// The store's own.
    pub async fn begin_test(&self, of: TestOf) -> Result<Option<Claim>, StoreError> {
        self.engine.write(move |connection| subscribers::begin_test(connection, &of)).await
    }

    /// Gives a subscriber another name, under which it has everything that it had. What comes from
    /// now on goes to the new name; what there was is handed on some at a time. Where that ends
    /// early, the same again goes on with it.
    ///
    /// # Errors
    /// The store's own.
    pub async fn rename(&self, old: &str, new: &str) -> Result<Renamed, StoreError> {
        let names = (old.to_owned(), new.to_owned());
        let begun = self
            .engine
            .write(move |connection| subscribers::begin_rename(connection, &names.0, &names.1))
            .await?;
        if let Some(refused) = begun {
            return Ok(refused);
        }
        let mut renamed = 0;
        loop {
            let old = old.to_owned();
            let moved =
                self.engine.write(move |connection| subscribers::hand_on(connection, &old)).await?;
            self.changed();
            match moved {
                Some(moved) => renamed += moved,
                None => return Ok(Renamed::Done(renamed)),
            }
            tokio::time::sleep(REST).await;
        }
    }

    /// Removes a subscriber to which nothing is to be delivered any more.
    ///
    /// # Errors
    /// The store's own.
    pub async fn remove(&self, subscriber: &str, now: UnixMs) -> Result<Removed, StoreError> {
        let subscriber = subscriber.to_owned();
        let removed = self
            .engine
            .write(move |connection| subscribers::remove(connection, &subscriber, now))
            .await?;
        self.changed();
        Ok(removed)
    }
}

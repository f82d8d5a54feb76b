//! What a subscriber's fallback takes over while it is down: deliveries are moved to another
//! subscriber, each in the transaction that cancels the first.

use crate::store::Store;
use crate::store::attempt::Trouble;
use crate::store::error::StoreError;
use crate::store::sqlite::fallback;
use crate::store::subscribers::SubscriberRow;
use crate::time::UnixMs;

/// Whose deliveries may be taken over, and by whom.
#[derive(Clone, Debug)]
pub struct TakeOver {
    /// The subscriber.
    pub subscriber: String,
    /// Its fallback, that one's own fallback, and so on.
    pub chain: Vec<String>,
    /// By what is decided.
    pub judgement: Judgement,
    /// When it is.
    pub now: UnixMs,
}

/// Decisions that the store is handed.
#[derive(Clone, Copy, Debug)]
pub struct Judgement {
    /// Who takes over what, given the subscriber and those of its chain; none where nobody does.
    pub relief: fn(&SubscriberRow, &[Option<SubscriberRow>], UnixMs) -> Option<Relief>,
    /// Whether a receiver may have what it was tried to be told, given what went wrong in the
    /// attempts: nothing where one went well.
    pub leaves_doubt: fn(Option<&Trouble>) -> bool,
}

/// Who takes over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relief {
    /// Which of the chain.
    pub by: usize,
    /// Whether also what was not tried yet, and not only what has failed.
    pub untried: bool,
    /// Whether only one is taken over, to see how that goes.
    pub is_trial: bool,
}

/// What was taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// By whom.
    pub by: String,
    /// How many deliveries.
    pub deliveries: usize,
    /// How many of them the first receiver may have already.
    pub in_doubt: usize,
}

impl Store {
    /// Whether anything is to be taken over now. Looking keeps nobody from writing.
    ///
    /// # Errors
    /// The store's own.
    pub async fn is_to_take_over(&self, of: TakeOver) -> Result<bool, StoreError> {
        self.engine.read(move |connection| fallback::is_due(connection, &of)).await
    }

    /// Moves some of a subscriber's deliveries to one of its chain, if that is to be: each is
    /// cancelled and made anew for the other with the same event, in one transaction. None where
    /// nothing was moved.
    ///
    /// # Errors
    /// The store's own; nothing is moved then.
    pub async fn take_over(&self, of: TakeOver) -> Result<Option<TakenOver>, StoreError> {
        let taken =
            self.engine.write(move |connection| fallback::take_over(connection, &of)).await?;
        if taken.is_some() {
            self.changed();
        }
        Ok(taken)
    }
}

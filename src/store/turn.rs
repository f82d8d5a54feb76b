//! A turn of a subscriber's worker: what its attempts came to is recorded, how the subscriber does
//! is judged anew, and what is due is claimed, all in one transaction. So many deliveries cost few
//! commits, and what one turn decides the next process sees.

use std::sync::Arc;

use crate::route::Route;
use crate::store::Store;
use crate::store::attempt::{Attempt, Disabled};
use crate::store::delivery::Claim;
use crate::store::error::StoreError;
use crate::store::read::NewEvent;
use crate::store::sqlite::{claims, outcomes, turns};
use crate::time::UnixMs;

/// What a worker brings to a turn, and what it wants.
pub struct Turn {
    /// The subscriber.
    pub subscriber: String,
    /// What attempts came to that were made since the last turn.
    pub outcomes: Vec<Attempt>,
    /// Claims that were not used: they are due again.
    pub returned: Vec<Returned>,
    /// What is due by then may be claimed.
    pub due: UnixMs,
    /// When it is.
    pub now: UnixMs,
    /// Until when claims hold.
    pub lease_end: UnixMs,
    /// How one person's deliveries go out.
    pub line: Line,
}

/// How one person's deliveries go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// In any order.
    Any,
    /// By the time of their replies, one after the other.
    OneByOne,
    /// By the time of their replies, as many together as there are: for messages that hold several.
    Together,
}

/// A claim that was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned {
    /// The delivery's number.
    pub delivery: i64,
    /// The claim.
    pub lease: i64,
}

/// How a subscriber does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Why it takes no deliveries, if it takes none.
    pub disabled: Option<Disabled>,
    /// When the first attempt failed after the last that did not.
    pub failing_since: Option<UnixMs>,
    /// When the others were told that it fails.
    pub failing_told: Option<UnixMs>,
    /// When it took deliveries again after it had taken none: their time counts from there.
    pub resumed: UnixMs,
    /// Its pace, in the form in which whoever decides keeps it.
    pub pace: Option<String>,
}

/// How many deliveries of each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    /// Of what is new.
    pub new: usize,
    /// Of replays.
    pub replays: usize,
}

/// What is decided in a turn, between recording and claiming.
pub struct Decided {
    /// How the subscriber does now.
    pub standing: Standing,
    /// What is told of it to the other subscribers, if anything.
    pub tell: Option<Tell>,
    /// How many deliveries may be claimed.
    pub allowed: Lanes,
    /// The pace after these were claimed.
    pub spend: Spend,
}

/// Gives the pace after these were claimed.
pub type Spend = Box<dyn FnOnce(&[Claim]) -> Option<String> + Send>;

/// Renders what is told, given every subscriber.
pub type Tell = Box<dyn FnOnce(&[(String, Route)]) -> Vec<NewEvent> + Send>;

/// What came of a turn.
pub struct Turned {
    /// What was claimed.
    pub claims: Vec<Claim>,
    /// When the next delivery is due of what was not claimed.
    pub next: Option<UnixMs>,
    /// How the subscriber does.
    pub standing: Standing,
}

impl Store {
    /// Records, judges and claims. `decide` is given how the subscriber did and what was recorded.
    ///
    /// # Errors
    /// The store's own; nothing is recorded or claimed then.
    pub async fn turn(
        &self,
        turn: Arc<Turn>,
        decide: impl FnOnce(Standing, &[Attempt]) -> Decided + Send + 'static,
    ) -> Result<Turned, StoreError> {
        let told = self.clone();
        let act = move |connection: &_| turns::turn(connection, &turn, decide);
        let (turned, has_told) = self.engine.write(act).await?;
        if has_told {
            told.changed();
        }
        Ok(turned)
    }

    /// Claims up to `limit` of a subscriber's due deliveries until `lease_end`, whatever its pace.
    ///
    /// # Errors
    /// The store's own.
    pub async fn claim(
        &self,
        subscriber: &str,
        now: UnixMs,
        lease_end: UnixMs,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        let turn = Turn {
            subscriber: subscriber.to_owned(),
            outcomes: Vec::new(),
            returned: Vec::new(),
            due: now,
            now,
            lease_end,
            line: Line::Any,
        };
        let all = Lanes { new: limit, replays: limit };
        self.engine
            .write(move |connection| {
                let standing = turns::standing(connection, &turn.subscriber)?;
                claims::claim(connection, &turn, standing.resumed, all)
            })
            .await
    }

    /// How a subscriber does.
    ///
    /// # Errors
    /// The store's own.
    pub async fn standing(&self, subscriber: &str) -> Result<Standing, StoreError> {
        let subscriber = subscriber.to_owned();
        self.engine.read(move |connection| turns::standing(connection, &subscriber)).await
    }

    /// When the subscriber's next delivery is due; none when none waits.
    ///
    /// # Errors
    /// The store's own.
    pub async fn next_due(&self, subscriber: &str) -> Result<Option<UnixMs>, StoreError> {
        let subscriber = subscriber.to_owned();
        self.engine.read(move |connection| claims::next_due(connection, &subscriber)).await
    }

    /// Records an attempt and what becomes of its delivery.
    ///
    /// # Errors
    /// The store's own.
    pub async fn record_attempt(&self, attempt: Attempt) -> Result<(), StoreError> {
        self.engine.write(move |connection| outcomes::record(connection, &[attempt])).await
    }
}

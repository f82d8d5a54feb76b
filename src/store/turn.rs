//! A turn of a subscriber's worker: what its attempts came to is recorded, how the subscriber does
//! is judged anew, and what is due is claimed, all in one transaction. So many deliveries cost few
//! commits, and what one turn decides the next process sees.

use std::sync::Arc;

use crate::route::Route;
use crate::store::Store;
use crate::store::attempt::{Attempt, Disabled};
use crate::store::delivery::{Claim, Holding};
use crate::store::error::StoreError;
use crate::store::read::NewEvent;
use crate::store::sqlite::{outcomes, turns};
use crate::time::UnixMs;

/// What a worker brings to a turn, and what it wants.
pub struct Turn {
    /// The subscriber.
    pub subscriber: String,
    /// What attempts came to that were made since the last turn.
    pub outcomes: Vec<Attempt>,
    /// The worker's lease, if it has one.
    pub lease: Option<i64>,
    /// What it has in hand under that lease: claims that are tried or will be. What it had in hand
    /// before, and is neither here nor among the outcomes, is given back.
    pub in_hand: Vec<Holding>,
    /// Whether it gives anything back.
    pub gives_back: bool,
    /// What is due by then may be claimed.
    pub due: UnixMs,
    /// When it is.
    pub now: UnixMs,
    /// Until when its lease holds.
    pub lease_end: UnixMs,
    /// How one person's deliveries go out.
    pub line: Line,
}

impl Turn {
    /// That of a worker which has nothing in hand and nothing to record: it claims what is due now.
    pub(crate) fn first(subscriber: &str, now: UnixMs, lease_end: UnixMs, line: Line) -> Self {
        Self {
            subscriber: subscriber.to_owned(),
            outcomes: Vec::new(),
            lease: None,
            in_hand: Vec::new(),
            gives_back: false,
            due: now,
            now,
            lease_end,
            line,
        }
    }
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
    /// The lease under which that is in hand, and whatever was before. What the worker had in hand
    /// under another is not its any more.
    pub lease: Option<i64>,
    /// When the next delivery is due that nobody has in hand, or another's lease ends. Where as much
    /// was claimed as might be, at once: whether there is more is seen when there is room for it.
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

    /// Claims up to `limit` of a subscriber's due deliveries until `lease_end`, whatever its pace, under
    /// a lease of their own.
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
        let turn = Turn::first(subscriber, now, lease_end, Line::Any);
        let all = Lanes { new: limit, replays: limit };
        self.engine
            .write(move |connection| {
                let standing = turns::standing(connection, &turn.subscriber)?;
                Ok(turns::take(connection, &turn, (standing.resumed, all))?.claims)
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

    /// When the next of the subscriber's deliveries is due that nobody has in hand, or the first lease
    /// ends but for one's own; none when none waits.
    ///
    /// # Errors
    /// The store's own.
    pub async fn next_due(
        &self,
        subscriber: &str,
        own: Option<i64>,
    ) -> Result<Option<UnixMs>, StoreError> {
        let subscriber = subscriber.to_owned();
        self.engine.read(move |connection| turns::next_due(connection, &subscriber, own)).await
    }

    /// Records an attempt and what becomes of its delivery, which is in hand no more.
    ///
    /// # Errors
    /// The store's own.
    pub async fn record_attempt(&self, attempt: Attempt) -> Result<(), StoreError> {
        self.engine.write(move |connection| outcomes::record_one(connection, attempt)).await
    }
}

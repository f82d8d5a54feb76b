//! What somebody does with deliveries by hand: look at them, release, retry, cancel.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Told;
use crate::reply::Mobile;
use crate::store::Store;
use crate::store::attempt::{Attempt, Next, Timings, Trouble};
use crate::store::audit_entry::NewAuditEntry;
use crate::store::delivery::{DeliveryState, Trigger};
use crate::store::error::StoreError;
use crate::store::sqlite::{audit_entries, by_hand, search};
use crate::store::subscribers::SubscriberRow;
use crate::time::UnixMs;

/// Deliveries that are changed in one transaction, so that nobody else waits for long.
const CHANGED_AT_ONCE: usize = 1_000;
/// Rest after each of these transactions, in which the service has the writer.
const REST: Duration = Duration::from_millis(20);

/// Which deliveries are looked at: those of which all that is named holds.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// To this subscriber.
    pub subscriber: Option<String>,
    /// In one of these states; none named means any.
    pub states: Vec<DeliveryState>,
    /// About this account.
    pub account: Option<String>,
    /// Of this person's replies.
    pub mobile: Option<Mobile>,
    /// Of an event of this type.
    pub event_type: Option<String>,
    /// Of the event that has this id.
    pub event_id: Option<String>,
    /// That exist for this reason.
    pub trigger: Option<Trigger>,
    /// Made then or later.
    pub since: Option<UnixMs>,
    /// Made before that.
    pub until: Option<UnixMs>,
}

impl DeliveryFilter {
    /// The same for an act: where no state is named, those to which it is usually done.
    ///
    /// # Errors
    /// A state that is named and to whose deliveries it cannot be done.
    pub fn for_act(mut self, act: Act) -> Result<Self, DeliveryState> {
        if self.states.is_empty() {
            self.states = act.usual_states().to_vec();
        }
        match self.states.iter().find(|state| !act.applies_to(**state)) {
            Some(state) => Err(*state),
            None => Ok(self),
        }
    }
}

/// A delivery's place in the list, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPlace {
    pub(super) created_ms: i64,
    pub(super) id: i64,
}

/// A delivery as it is listed. No `Debug`: it holds what a stranger wrote.
#[derive(Clone)]
pub struct DeliveryRow {
    /// Its number.
    pub id: i64,
    /// To whom it goes.
    pub subscriber: String,
    /// The event's id, the receiver's `webhook-id`.
    pub event_id: String,
    /// The event's type.
    pub event_type: String,
    /// Why it exists.
    pub trigger: Trigger,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was made.
    pub created: UnixMs,
    /// When it goes out next, where it waits; until when a worker has it, where it is being sent.
    pub due: UnixMs,
    /// What it tells of.
    pub told: Told,
    /// The delivery that a fallback took over, where it is that fallback's.
    pub stands_in_for: Option<Counterpart>,
    /// The delivery that was made instead of it, where its subscriber's fallback took it over.
    pub taken_over_by: Option<Counterpart>,
}

/// The delivery of the same event to another subscriber, where one is made instead of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterpart {
    /// Its number.
    pub delivery: i64,
    /// To whom it goes, or was to go.
    pub subscriber: String,
    /// Whether the first receiver may have the event already.
    pub in_doubt: bool,
}

impl DeliveryRow {
    /// Its place in the list.
    #[must_use]
    pub fn place(&self) -> DeliveryPlace {
        DeliveryPlace { created_ms: self.created.0, id: self.id }
    }
}

/// All about one delivery.
pub struct DeliveryDetail {
    /// The delivery itself.
    pub row: DeliveryRow,
    /// When somebody last released or retried it.
    pub released: Option<UnixMs>,
    /// The delivery of the same person's earlier reply that goes first, where one waits too.
    pub behind: Option<i64>,
    /// Until when its subscriber is not sent to at this time of the day: whoever has the configuration
    /// says so.
    pub quiet_until: Option<UnixMs>,
    /// How its subscriber does.
    pub subscriber: SubscriberRow,
    /// Its last attempts, oldest first: no more than [`DeliveryDetail::ATTEMPTS_MAX`].
    pub attempts: Vec<AttemptRow>,
}

impl DeliveryDetail {
    /// The most attempts that are looked at: more than the usual waits make in a year.
    pub const ATTEMPTS_MAX: usize = 100;
}

/// An attempt as it was recorded. No `Debug`: an answer may hold anything.
#[derive(Clone)]
pub struct AttemptRow {
    /// The delivery's number.
    pub delivery: i64,
    /// The number of the attempt, from 1.
    pub number: u32,
    /// When it began.
    pub started: UnixMs,
    /// How long it took.
    pub took: Duration,
    /// The address that was reached.
    pub address: Option<String>,
    /// How long its parts took.
    pub timings: Timings,
    /// The answer's status.
    pub http_status: Option<u16>,
    /// What went wrong.
    pub trouble: Option<Trouble>,
    /// The first of the answer's body.
    pub answer: Vec<u8>,
    /// What was to happen next, and why.
    pub next: Next,
}

impl From<Attempt> for AttemptRow {
    fn from(attempt: Attempt) -> Self {
        Self {
            delivery: attempt.delivery,
            number: attempt.number,
            started: attempt.started,
            took: attempt.took,
            address: attempt.address.map(|address| address.to_string()),
            timings: attempt.timings,
            http_status: attempt.http_status,
            trouble: attempt.trouble,
            answer: attempt.answer,
            next: attempt.next,
        }
    }
}

/// What somebody does to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It goes out now, if it is held.
    Release,
    /// It is tried again now, if it was given up or cancelled; one that waits for its next attempt
    /// waits no longer.
    Retry,
    /// It never goes out, if it has not yet.
    Cancel,
}

impl Act {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Retry => "retry",
            Self::Cancel => "cancel",
        }
    }

    /// The states of deliveries to which it can be done.
    #[must_use]
    pub fn states(self) -> &'static [DeliveryState] {
        match self {
            Self::Release => &[DeliveryState::Held],
            Self::Retry => {
                &[DeliveryState::Failed, DeliveryState::Cancelled, DeliveryState::Waiting]
            }
            Self::Cancel => &[DeliveryState::Held, DeliveryState::Waiting],
        }
    }

    /// The states to which it is done where nobody names one: what was cancelled was not wanted,
    /// and what waits comes by itself.
    #[must_use]
    pub fn usual_states(self) -> &'static [DeliveryState] {
        match self {
            Self::Retry => &[DeliveryState::Failed],
            Self::Release | Self::Cancel => self.states(),
        }
    }

    /// Whether it can be done to a delivery in this state.
    #[must_use]
    pub fn applies_to(self, state: DeliveryState) -> bool {
        self.states().contains(&state)
    }
}

impl Store {
    /// Lists the newest deliveries that the filter lets through, newest first; those behind a place,
    /// where one is given.
    ///
    /// # Errors
    /// The store's own.
    pub async fn deliveries(
        &self,
        filter: DeliveryFilter,
        behind: Option<DeliveryPlace>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let list = move |connection: &_| search::list(connection, &filter, behind, limit);
        self.engine.search(list).await
    }

    /// The numbers of all deliveries that the filter lets through, by subscriber, oldest first:
    /// eight bytes for each.
    ///
    /// # Errors
    /// The store's own.
    pub async fn matching(
        &self,
        filter: DeliveryFilter,
    ) -> Result<Vec<(String, Vec<i64>)>, StoreError> {
        self.engine.search(move |connection| search::matching(connection, &filter)).await
    }

    /// All about one delivery; none where there is no such delivery.
    ///
    /// # Errors
    /// The store's own.
    pub async fn delivery(
        &self,
        id: i64,
        now: UnixMs,
    ) -> Result<Option<DeliveryDetail>, StoreError> {
        self.engine.read(move |connection| by_hand::detail(connection, id, now)).await
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

    /// Does something to these deliveries, some at a time, where it can still be done; `tell` is
    /// told how many were changed so far. Says how many were.
    ///
    /// # Errors
    /// The store's own; some may be changed then.
    pub async fn act_on(
        &self,
        ids: &[i64],
        act: Act,
        now: UnixMs,
        tell: impl FnMut(usize),
    ) -> Result<usize, StoreError> {
        self.act_on_for(ids, (act, None), now, tell).await
    }

    /// The same, with an audit entry in each transaction where one is given.
    pub(super) async fn act_on_for(
        &self,
        ids: &[i64],
        (act, entry): (Act, Option<NewAuditEntry>),
        now: UnixMs,
        mut tell: impl FnMut(usize),
    ) -> Result<usize, StoreError> {
        let mut changed = 0;
        for chunk in ids.chunks(CHANGED_AT_ONCE) {
            if changed > 0 {
                tokio::time::sleep(REST).await;
            }
            let (chunk, entry) = (chunk.to_vec(), entry.clone());
            let change = move |connection: &_| {
                let changed = by_hand::act(connection, &chunk, act, now)?;
                if let Some(entry) = &entry {
                    audit_entries::put(connection, entry, &format!("{changed} changed"), now)?;
                }
                Ok(changed)
            };
            changed += self.engine.write(change).await?;
            self.changed();
            tell(changed);
        }
        Ok(changed)
    }
}

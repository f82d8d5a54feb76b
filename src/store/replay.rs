//! What the store takes and gives when replies are delivered again.
//!
//! A replay is a job: a row with its request, and with the place up to which it was carried out.
//! Whoever holds its lease carries it out piece by piece, each piece one short transaction in
//! which the place moves and the deliveries are made: so nothing is made twice and nothing is left
//! out, whoever is killed when.

use std::time::Duration;

use crate::store::Store;
use crate::store::delivery::DeliveryState;
use crate::store::error::StoreError;
use crate::store::read::ReadId;
use crate::store::sqlite::replays;
use crate::time::{Hour, UnixMs};

/// How long whoever took a piece of a replay may be silent before another goes on with it. Far
/// longer than a piece takes, and no longer than somebody wants to wait for what was killed.
pub const REPLAY_LEASE: Duration = Duration::from_secs(5);
/// Rest between two pieces, so that whoever else writes comes to it.
pub const REPLAY_REST: Duration = Duration::from_millis(10);

/// Which replies to deliver again, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayRequest {
    /// The hours in which they were written: the first.
    pub first: Hour,
    /// The last, itself included.
    pub last: Hour,
    /// The account; none means all.
    pub account: Option<String>,
    /// The subscribers, each once.
    pub subscribers: Vec<String>,
    /// Which of the hours' replies.
    pub selection: Selection,
    /// Whether they are told as new events, with ids of their own.
    pub as_new: bool,
    /// Replies that this read brought, or a later one, are new: their own deliveries tell of
    /// them, and so do those that still wait.
    pub new_since: Option<ReadId>,
}

impl ReplayRequest {
    /// Whether it looks at what became of telling a reply before.
    #[must_use]
    pub(super) fn looks_back(&self) -> bool {
        self.selection != Selection::All || self.new_since.is_some()
    }

    /// Whether a subscriber is told of a reply again that this read brought, and whose deliveries
    /// to it stand so, oldest first.
    #[must_use]
    pub(super) fn chooses(&self, read: ReadId, states: &[DeliveryState]) -> bool {
        if let Some(since) = self.new_since {
            // Its own delivery tells of a new reply; and what is on its way need not go twice.
            let is_told = read >= since && !states.is_empty();
            if is_told || states.iter().any(|state| state.is_under_way()) {
                return false;
            }
        }
        self.selection.chooses(states)
    }
}

/// Which replies a subscriber is told again, by what became of telling it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All.
    All,
    /// Those that never reached it and that nothing brings to it.
    Missing,
    /// Those whose last delivery to it was given up.
    Failed,
}

impl Selection {
    /// All selections.
    pub const ALL: [Self; 3] = [Self::All, Self::Missing, Self::Failed];

    /// The word for it in the store, in JSON and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Missing => "missing",
            Self::Failed => "failed",
        }
    }

    /// The one that has this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|selection| selection.as_str() == word)
    }

    /// Whether a reply is chosen whose deliveries to the subscriber stand so, oldest first.
    #[must_use]
    pub fn chooses(self, states: &[DeliveryState]) -> bool {
        let brings =
            |state: &DeliveryState| state.is_under_way() || *state == DeliveryState::Delivered;
        match self {
            Self::All => true,
            Self::Missing => !states.iter().any(brings),
            Self::Failed => states.last() == Some(&DeliveryState::Failed),
        }
    }
}

/// How far a request reaches: replies that come later are told by their own deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Replies of the hours.
    pub replies: usize,
    /// The number of the newest of them.
    pub(super) newest: i64,
}

/// A place in a request's replies: behind the last one that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) replied_at: i64,
    pub(super) account: String,
    pub(super) seq: i64,
}

/// What a piece of a request would deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Replies that were looked at.
    pub replies: usize,
    /// Deliveries, by subscriber.
    pub deliveries: Vec<(String, usize)>,
    /// Where to go on; none when that was all.
    pub next: Option<Cursor>,
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayState {
    /// Not every reply was looked at yet.
    Running,
    /// All deliveries are made.
    Done,
    /// Somebody did not want the rest of it.
    Cancelled,
}

impl ReplayState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Running, Self::Done, Self::Cancelled];

    /// The word for it in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    /// The one that has this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// A replay as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayJob {
    /// Its number.
    pub id: i64,
    /// What was asked for.
    pub request: ReplayRequest,
    /// Where it stands.
    pub state: ReplayState,
    /// When it was asked for.
    pub created: UnixMs,
    /// When it was done or cancelled.
    pub ended: Option<UnixMs>,
    /// Replies of its hours, as there were when it was asked for.
    pub replies: usize,
    /// How many of them were looked at.
    pub looked_at: usize,
    /// New deliveries, by subscriber.
    pub deliveries: Vec<(String, usize)>,
}

/// A hold on a replay: what whoever took it last goes on by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayLease {
    /// The replay's number.
    pub job: i64,
    /// Which hold of it this is: it ends where a later one begins.
    pub(super) number: i64,
}

/// What came of going on with a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advance {
    /// A piece was done, and more is to do, under this lease.
    Moved(ReplayJob, ReplayLease),
    /// Somebody else holds it.
    Elsewhere(ReplayJob),
    /// It is over.
    Over(ReplayJob),
}

impl Store {
    /// Those of the names that are no subscribers in the store.
    ///
    /// # Errors
    /// The store's own.
    pub async fn unknown_subscribers(&self, names: Vec<String>) -> Result<Vec<String>, StoreError> {
        self.engine.read(move |connection| replays::unknown(connection, names)).await
    }

    /// How far a request reaches now.
    ///
    /// # Errors
    /// The store's own.
    pub async fn replay_extent(&self, request: ReplayRequest) -> Result<Extent, StoreError> {
        self.engine.read(move |connection| replays::extent(connection, &request)).await
    }

    /// What the next piece of a request would deliver; nothing is made.
    ///
    /// # Errors
    /// The store's own.
    pub async fn look_at_replay(
        &self,
        request: ReplayRequest,
        extent: Extent,
        cursor: Option<Cursor>,
    ) -> Result<Looked, StoreError> {
        self.engine
            .read(move |connection| replays::look(connection, &request, extent, cursor))
            .await
    }

    /// Keeps a request as a job, and holds it: nobody else begins with it.
    ///
    /// # Errors
    /// The store's own.
    pub async fn begin_replay(
        &self,
        request: ReplayRequest,
        extent: Extent,
        now: UnixMs,
    ) -> Result<ReplayLease, StoreError> {
        self.engine.write(move |connection| replays::begin(connection, &request, extent, now)).await
    }

    /// Does the next piece of a replay, under the lease that one has or, where nobody has one,
    /// under a new one. None where there is no such replay.
    ///
    /// # Errors
    /// The store's own; nothing is made then.
    pub async fn advance_replay(
        &self,
        job: i64,
        lease: Option<ReplayLease>,
        now: UnixMs,
    ) -> Result<Option<Advance>, StoreError> {
        let advance = self
            .engine
            .write(move |connection| replays::advance(connection, job, lease, now))
            .await?;
        if !matches!(advance, None | Some(Advance::Elsewhere(_))) {
            self.changed();
        }
        Ok(advance)
    }

    /// Lets a replay go: others need not wait for the lease's end.
    ///
    /// # Errors
    /// The store's own.
    pub async fn leave_replay(&self, lease: ReplayLease, now: UnixMs) -> Result<(), StoreError> {
        self.engine.write(move |connection| replays::leave(connection, lease, now)).await
    }

    /// The replays that are not over and that nobody holds, oldest first.
    ///
    /// # Errors
    /// The store's own.
    pub async fn left_replays(&self, now: UnixMs) -> Result<Vec<i64>, StoreError> {
        self.engine.read(move |connection| replays::left(connection, now)).await
    }

    /// A replay by its number; none where there is no such one.
    ///
    /// # Errors
    /// The store's own.
    pub async fn replay_job(&self, job: i64) -> Result<Option<ReplayJob>, StoreError> {
        self.engine.read(move |connection| replays::job(connection, job)).await
    }

    /// The newest replays, up to so many, newest first; those before a number, where one is given.
    ///
    /// # Errors
    /// The store's own.
    pub async fn replay_jobs(
        &self,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<ReplayJob>, StoreError> {
        self.engine.read(move |connection| replays::jobs(connection, before, limit)).await
    }

    /// Ends a replay that is running; what it made stays. Says how it stood before; none where
    /// there is no such one.
    ///
    /// # Errors
    /// The store's own.
    pub async fn cancel_replay(
        &self,
        job: i64,
        now: UnixMs,
    ) -> Result<Option<ReplayState>, StoreError> {
        self.engine.write(move |connection| replays::cancel(connection, job, now)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_is_what_nothing_brings_and_failed_what_was_given_up_last() {
        use DeliveryState::{Cancelled, Delivered, Failed, Held, Sending, Waiting};
        for (states, missing, failed) in [
            (&[][..], true, false),
            (&[Failed], true, true),
            (&[Cancelled], true, false),
            (&[Delivered], false, false),
            (&[Waiting], false, false),
            (&[Sending], false, false),
            (&[Held], false, false),
            (&[Failed, Waiting], false, false),
            (&[Failed, Delivered], false, false),
            (&[Delivered, Failed], false, true),
        ] {
            assert!(Selection::All.chooses(states));
            assert_eq!(Selection::Missing.chooses(states), missing, "{states:?}");
            assert_eq!(Selection::Failed.chooses(states), failed, "{states:?}");
        }
    }

    #[test]
    fn what_a_refetch_found_new_and_what_is_on_its_way_is_not_told_twice() {
        use DeliveryState::{Cancelled, Delivered, Failed, Waiting};
        let hour = Hour::from_number(0);
        for (new_since, states, expected) in [
            (None, &[][..], true),
            (None, &[Waiting], true),
            (None, &[Delivered], true),
            (Some(6), &[], true),
            (Some(6), &[Delivered], true),
            (Some(6), &[Failed, Cancelled], true),
            (Some(6), &[Delivered, Waiting], false),
            // Read 5 brought it, and its own delivery tells of it, also when that is over.
            (Some(5), &[Delivered], false),
            (Some(4), &[Failed], false),
            // Nobody told this subscriber.
            (Some(5), &[], true),
        ] {
            let request = ReplayRequest {
                first: hour,
                last: hour,
                account: None,
                subscribers: Vec::new(),
                selection: Selection::All,
                as_new: false,
                new_since: new_since.map(ReadId),
            };
            assert_eq!(request.chooses(ReadId(5), states), expected, "{new_since:?} {states:?}");
        }
    }
}

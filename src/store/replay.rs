//! What the store takes and gives when replies are delivered again.

use crate::store::Store;
use crate::store::delivery::DeliveryState;
use crate::store::error::StoreError;
use crate::store::read::ReadId;
use crate::store::sqlite::replays;
use crate::time::{Hour, UnixMs};

/// Which replies to deliver again, and to whom.
#[derive(Clone, Debug)]
pub struct ReplayRequest {
    /// The hour in which they were written.
    pub hour: Hour,
    /// The account; none means all.
    pub account: Option<String>,
    /// The subscribers; none named means all that are in the store.
    pub subscribers: Vec<String>,
    /// Which of the hour's replies.
    pub selection: Selection,
    /// Replies that this read brought, or a later one, are new: their own deliveries tell of
    /// them, and so do those that still wait.
    pub new_since: Option<ReadId>,
    /// Whether only to count.
    pub dry_run: bool,
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

/// What a replay did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Replies of the hour.
    pub replies: usize,
    /// New deliveries, by subscriber.
    pub deliveries: Vec<(String, usize)>,
}

impl Store {
    /// Makes new deliveries of an hour's replies, or counts them.
    ///
    /// # Errors
    /// The store's own.
    pub async fn replay(
        &self,
        request: ReplayRequest,
        now: UnixMs,
    ) -> Result<Replayed, StoreError> {
        if request.dry_run {
            let look = move |connection: &_| replays::replay(connection, &request, now);
            return self.engine.read(look).await;
        }
        let replayed =
            self.engine.write(move |connection| replays::replay(connection, &request, now)).await?;
        self.changed();
        Ok(replayed)
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
}

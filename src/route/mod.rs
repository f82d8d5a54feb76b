//! Which subscribers want a reply: decided when it is kept, from the rows that `run` wrote.

mod filter;
mod pattern;

use serde::{Deserialize, Serialize};

pub use filter::Filter;
pub use pattern::{Expression, Glob};

use crate::event::EventType;
use crate::reply::Reply;

/// What a subscriber wants to be told, in the form in which the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Route {
    /// The accounts whose replies it gets; none named means all.
    pub accounts: Vec<String>,
    /// The types of events that it is told of.
    pub events: Vec<EventType>,
    /// Whether suspect replies wait until they are released by hand.
    pub hold_suspect: bool,
}

impl Default for Route {
    /// Every account's replies, suspect or not.
    fn default() -> Self {
        Self { accounts: Vec::new(), events: vec![EventType::ReplyReceived], hold_suspect: false }
    }
}

impl Route {
    /// Whether a reply goes to this subscriber.
    #[must_use]
    pub fn wants(&self, reply: &Reply) -> bool {
        self.wants_event(EventType::ReplyReceived, &reply.account)
    }

    /// Whether a reply's delivery to this subscriber waits until somebody releases it.
    #[must_use]
    pub fn holds(&self, reply: &Reply) -> bool {
        self.hold_suspect && reply.suspect.is_some()
    }

    /// Whether an event of this type, about this account, goes to this subscriber.
    #[must_use]
    pub fn wants_event(&self, event_type: EventType, account: &str) -> bool {
        self.events.contains(&event_type)
            && (self.accounts.is_empty() || self.accounts.iter().any(|name| name == account))
    }
}

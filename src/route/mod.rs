//! Which subscribers want a reply: decided when it is kept, from the rows that `run` wrote.

mod filter;
mod pattern;

use serde::{Deserialize, Serialize};

pub use filter::Filter;
pub use pattern::{Expression, Glob};

use crate::event::{EventType, Notice};
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
        self.wants_event(EventType::ReplyReceived, Some(&reply.account))
    }

    /// Whether a reply's delivery to this subscriber waits until somebody releases it.
    #[must_use]
    pub fn holds(&self, reply: &Reply) -> bool {
        self.hold_suspect && reply.suspect.is_some()
    }

    /// Whether an event of this type, about this account or about none, goes to this subscriber.
    /// The accounts that it names narrow what is about accounts only.
    #[must_use]
    pub fn wants_event(&self, event_type: EventType, account: Option<&str>) -> bool {
        self.events.contains(&event_type)
            && account.is_none_or(|account| self.wants_account(account))
    }

    fn wants_account(&self, account: &str) -> bool {
        self.accounts.is_empty() || self.accounts.iter().any(|name| name == account)
    }
}

/// The subscribers that are told a notice about an account, or about none, as indexes into all.
/// None is told of itself: how it does can hardly be said to one that takes nothing.
#[must_use]
pub fn told(
    notice: &Notice<'_>,
    account: Option<&str>,
    subscribers: &[(String, Route)],
) -> Vec<usize> {
    let wants = |name: &str, route: &Route| {
        notice.about_subscriber() != Some(name) && route.wants_event(notice.event_type(), account)
    };
    let wanting = subscribers.iter().enumerate().filter(|(_, (name, route))| wants(name, route));
    wanting.map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests;

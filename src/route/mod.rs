//! Which subscribers want a reply: decided when it is kept, from the rows that `run` wrote.

mod filter;
mod pattern;

use serde::{Deserialize, Serialize};

pub use filter::Filter;
pub use pattern::{Expression, Glob};

use crate::event::{EventType, Notice};
use crate::reply::Reply;
use crate::time::UnixMs;

/// What a subscriber wants to be told, in the form in which the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Route {
    /// The accounts whose replies it gets; none named means all.
    pub accounts: Vec<String>,
    /// The types of events that it is told of.
    pub events: Vec<EventType>,
    /// Which replies it gets, by what is in them.
    #[serde(rename = "match")]
    pub filter: Filter,
    /// How old a reply may be when it is kept, in milliseconds; none means any age.
    pub since_ms: Option<i64>,
    /// Whether it gets numbers masked.
    pub mask: bool,
    /// Whether suspect replies wait until they are released by hand.
    pub hold_suspect: bool,
}

impl Default for Route {
    /// Every account's replies, suspect or not.
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            events: vec![EventType::ReplyReceived],
            filter: Filter::default(),
            since_ms: None,
            mask: false,
            hold_suspect: false,
        }
    }
}

impl Route {
    /// Whether a reply that was kept at this moment goes to this subscriber: decided the same when
    /// it is kept and at every replay.
    #[must_use]
    pub fn wants(&self, reply: &Reply, kept: UnixMs) -> bool {
        self.wants_event(EventType::ReplyReceived, Some(&reply.account))
            && self.is_young_enough(reply, kept)
            && self.filter.admits(reply)
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

    fn is_young_enough(&self, reply: &Reply, kept: UnixMs) -> bool {
        let age_ms = || kept.0.saturating_sub(reply.replied_at.unix_ms().0);
        self.since_ms.is_none_or(|since_ms| age_ms() <= since_ms)
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

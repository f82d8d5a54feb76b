//! Which subscribers want a reply: decided when it is kept, from the rows that `run` wrote.

use serde::{Deserialize, Serialize};

use crate::reply::Reply;

/// What a subscriber wants to be told, in the form in which the store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The accounts whose replies it gets; none named means all.
    pub accounts: Vec<String>,
}

impl Route {
    /// Whether a reply goes to this subscriber.
    #[must_use]
    pub fn wants(&self, reply: &Reply) -> bool {
        self.accounts.is_empty() || self.accounts.contains(&reply.account)
    }
}

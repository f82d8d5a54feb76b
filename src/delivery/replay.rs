//! What is to be delivered again, checked before anything is; and how much that is.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::replay::{ReplayRequest, Selection};
use crate::time::{Hour, UnixMs};

/// What somebody wants to have delivered again.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The hour in which the replies were written.
    pub hour: Hour,
    /// The last hour, where there are several.
    pub to: Option<Hour>,
    /// To these subscribers; none named means all.
    pub subscribers: Vec<String>,
    /// Only of this account.
    pub account: Option<String>,
    /// Which of the hours' replies.
    pub selection: Selection,
    /// Whether they are told as new events.
    pub as_new: bool,
}

/// What is wrong with a wish.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Wrong {
    /// Its hours are no range.
    #[error("the hours are out of order: {last} is before {first}")]
    OutOfOrder {
        /// The first.
        first: Hour,
        /// The last.
        last: Hour,
    },
    /// Nobody can have written in one of its hours yet.
    #[error("{0} has not begun yet (Beijing time)")]
    ToCome(Hour),
    /// It names somebody whom the configuration does not know.
    #[error("no {noun} {name:?} in the configuration; there is {known}")]
    Unknown {
        /// What it would be.
        noun: &'static str,
        /// Its name.
        name: String,
        /// The names that there are.
        known: String,
    },
}

impl Wanted {
    /// The last hour.
    #[must_use]
    pub fn last(&self) -> Hour {
        self.to.unwrap_or(self.hour)
    }

    /// What the store is asked for. It may have no subscriber, where none is configured.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn request(&self, config: &Config, now: UnixMs) -> Result<ReplayRequest, Wrong> {
        let (first, last) = (self.hour, self.last());
        if last < first {
            return Err(Wrong::OutOfOrder { first, last });
        }
        if last > now.beijing().hour() {
            return Err(Wrong::ToCome(last));
        }
        let configured = config.subscribers.iter().map(|one| one.name.as_str()).collect::<Vec<_>>();
        for name in &self.subscribers {
            require("subscriber", name, &configured)?;
        }
        let accounts = config.accounts.iter().map(|one| one.name.as_str()).collect::<Vec<_>>();
        if let Some(name) = &self.account {
            require("account", name, &accounts)?;
        }
        let mut subscribers = self.subscribers.clone();
        if subscribers.is_empty() {
            subscribers = configured.into_iter().map(str::to_owned).collect();
        }
        subscribers.sort();
        subscribers.dedup();
        Ok(ReplayRequest {
            first,
            last,
            account: self.account.clone(),
            subscribers,
            selection: self.selection,
            as_new: self.as_new,
            new_since: None,
        })
    }
}

fn require(noun: &'static str, name: &str, known: &[&str]) -> Result<(), Wrong> {
    if known.contains(&name) {
        return Ok(());
    }
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(Wrong::Unknown { noun, name: name.to_owned(), known })
}

/// Counts what a request would deliver: replies, and deliveries by subscriber. `tell` is told how
/// many replies there are and how many were looked at.
///
/// # Errors
/// The store's own.
pub async fn look(
    store: &Store,
    request: &ReplayRequest,
    mut tell: impl FnMut(usize, usize),
) -> Result<(usize, BTreeMap<String, usize>), StoreError> {
    let extent = store.replay_extent(request.clone()).await?;
    let (mut looked_at, mut cursor) = (0, None);
    let mut deliveries: BTreeMap<String, usize> =
        request.subscribers.iter().map(|name| (name.clone(), 0)).collect();
    loop {
        let looked = store.look_at_replay(request.clone(), extent, cursor).await?;
        for (name, count) in looked.deliveries {
            *deliveries.entry(name).or_default() += count;
        }
        looked_at += looked.replies;
        tell(extent.replies, looked_at);
        cursor = looked.next;
        if cursor.is_none() {
            return Ok((looked_at, deliveries));
        }
    }
}

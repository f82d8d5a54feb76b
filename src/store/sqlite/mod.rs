//! The embedded engine. SQL stands in this folder and nowhere else.

pub(crate) mod accounts;
#[cfg(test)]
pub(crate) mod audit;
pub(crate) mod audit_entries;
pub(crate) mod balance;
pub(crate) mod by_hand;
pub(crate) mod check;
pub(crate) mod claims;
mod copy;
pub(crate) mod engine;
pub(crate) mod erasure;
pub(crate) mod events;
pub(crate) mod fallback;
pub(crate) mod figures;
pub(crate) mod file;
pub(crate) mod gauges;
pub(crate) mod hours;
pub(crate) mod ingest;
pub(crate) mod journal;
mod json;
mod known;
mod leases;
pub(crate) mod messages;
pub(crate) mod outcomes;
pub(crate) mod probes;
pub(crate) mod reads;
pub(crate) mod replays;
pub(crate) mod replies;
pub(crate) mod retention;
pub(crate) mod schema;
pub(crate) mod search;
pub(crate) mod subscribers;
pub(crate) mod tokens;
pub(crate) mod turns;
pub(crate) mod upgrade;
pub(crate) mod upkeep;
mod wal;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A value whose holder panicked is whole all the same: nothing here is changed in two steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The subscriber that a command names.

use crate::cli::chosen;
use crate::cli::exit::{Exit, Failure};
use crate::config::Config;
use crate::delivery::known::{Known, all};
use crate::store::Store;
use crate::store::subscribers::SubscriberRow;

/// The subscriber that has this name.
///
/// # Errors
/// Where there is none: with the names that there are.
pub(super) async fn one<'a>(
    config: &'a Config,
    store: &Store,
    name: &str,
) -> Result<Known<'a>, Failure> {
    let mut all = all(config, store).await?;
    match all.iter().position(|known| known.name == name) {
        Some(at) => Ok(all.swap_remove(at)),
        None => Err(unknown(name, all.iter().map(|known| known.name.as_str()))),
    }
}

/// What is said of a name that nobody has.
pub(super) fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let known: Vec<&str> = known.collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Failure::new(Exit::NotFound, format!("replyd: no subscriber {name:?}; there is {known}"))
}

/// The subscriber's row.
///
/// # Errors
/// Where no `run` has put it into the store.
pub(super) fn require_row<'a>(known: &'a Known<'_>) -> Result<&'a SubscriberRow, Failure> {
    known.row.as_ref().ok_or_else(|| chosen::not_stored("subscriber", &known.name))
}

//! What a command was told to look at.

use crate::cli::exit::{Exit, Failure};
use crate::config::Config;
use crate::store::Store;

/// Refuses a name that is not among those that are known.
pub(super) fn require(noun: &str, name: &str, known: &[&str]) -> Result<(), Failure> {
    if known.contains(&name) {
        return Ok(());
    }
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let message = format!("replyd: no {noun} {name:?} in the configuration; there is {known}");
    Err(Failure::new(Exit::NotFound, message))
}

/// The account that was named, or every configured one. One that is configured no longer can be
/// named too: what it read is still in the store.
pub(super) async fn accounts(
    config: &Config,
    store: &Store,
    named: Option<&str>,
) -> Result<Vec<String>, Failure> {
    let stored = store.account_names().await?;
    let configured: Vec<&str> =
        config.accounts.iter().map(|account| account.name.as_str()).collect();
    let chosen = match named {
        Some(name) if stored.iter().any(|stored| stored == name) => {
            return Ok(vec![name.to_owned()]);
        }
        Some(name) => {
            require("account", name, &configured)?;
            vec![name]
        }
        None => configured,
    };
    for name in &chosen {
        if !stored.iter().any(|stored| stored == name) {
            return Err(not_stored("account", name));
        }
    }
    Ok(chosen.into_iter().map(str::to_owned).collect())
}

/// What is said of a name that is configured and that no `run` has written into the store.
pub(super) fn not_stored(noun: &str, name: &str) -> Failure {
    let message =
        format!("replyd: {noun} {name:?} is not in the store yet: `replyd run` puts it there");
    Failure::new(Exit::NotFound, message)
}

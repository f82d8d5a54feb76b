//! `replyd replay HOUR`: an hour's replies again, from the store.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::{load, output};
use crate::clock::Clock;
use crate::store::delivery::{ReplayRequest, Replayed};
use crate::store::{OpenMode, Store};
use crate::time::Hour;

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The hour in which the replies were written, in Beijing time: 2008-05-27_12
    hour: Hour,
    /// Only to this subscriber (repeatable)
    #[arg(long = "subscriber", value_name = "NAME")]
    subscribers: Vec<String>,
    /// Only this account's replies
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only say what would be delivered
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Makes new deliveries with the ids that the replies have: a receiver that dedupes will ignore
/// those that it has. The running service sends them.
pub(super) async fn replay(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let subscribers: Vec<&str> =
        config.subscribers.iter().map(|subscriber| subscriber.name.as_str()).collect();
    for name in &arguments.subscribers {
        require("subscriber", name, &subscribers)?;
    }
    let accounts: Vec<&str> = config.accounts.iter().map(|account| account.name.as_str()).collect();
    if let Some(name) = &arguments.account {
        require("account", name, &accounts)?;
    }
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let request = ReplayRequest {
        hour: arguments.hour,
        account: arguments.account.clone(),
        subscribers: arguments.subscribers.clone(),
        dry_run: arguments.dry_run,
    };
    let replayed = store.replay(request, Clock::system().now().unix).await?;
    if arguments.json {
        output::data(&as_json(arguments, &replayed).to_string());
    } else {
        in_words(arguments, &replayed);
    }
    Ok(Exit::Done)
}

fn require(noun: &str, name: &str, known: &[&str]) -> Result<(), Failure> {
    if known.contains(&name) {
        return Ok(());
    }
    let message =
        format!("replyd: no {noun} {name:?} in the configuration; there is {}", known.join(", "));
    Err(Failure::new(Exit::NotFound, message))
}

fn as_json(arguments: &Arguments, replayed: &Replayed) -> serde_json::Value {
    let deliveries: serde_json::Map<String, serde_json::Value> =
        replayed.deliveries.iter().map(|(name, count)| (name.clone(), json!(count))).collect();
    json!({
        "hour": arguments.hour.to_string(),
        "dry_run": arguments.dry_run,
        "replies": replayed.replies,
        "deliveries": deliveries,
    })
}

fn in_words(arguments: &Arguments, replayed: &Replayed) {
    let replies = output::count(replayed.replies, "reply", "replies");
    output::data(&format!("{}: {replies}", arguments.hour));
    let verb =
        if arguments.dry_run { "would be delivered again" } else { "will be delivered again" };
    for (subscriber, count) in &replayed.deliveries {
        output::data(&format!("  {subscriber}: {count} {verb}"));
    }
    if replayed.deliveries.is_empty() {
        output::talk("no subscriber is in the store yet: `replyd run` puts them there");
    }
}

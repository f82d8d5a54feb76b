//! `replyd replay HOUR`: an hour's replies again, from the store.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::{chosen, load, output};
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
        chosen::require("subscriber", name, &subscribers)?;
    }
    let accounts: Vec<&str> = config.accounts.iter().map(|account| account.name.as_str()).collect();
    if let Some(name) = &arguments.account {
        chosen::require("account", name, &accounts)?;
    }
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let named = arguments.subscribers.iter().map(String::as_str);
    let wanted: Vec<&str> =
        if arguments.subscribers.is_empty() { subscribers } else { named.collect() };
    if wanted.is_empty() {
        return Err(Failure::new(Exit::NotFound, "replyd: no subscriber is configured"));
    }
    let mut request = ReplayRequest {
        hour: arguments.hour,
        account: arguments.account.clone(),
        subscribers: wanted.iter().map(|name| (*name).to_owned()).collect(),
        dry_run: true,
    };
    let now = Clock::system().now().unix;
    // Looked at first, so that a name that is not in the store yet leaves nothing half done.
    let mut replayed = store.replay(request.clone(), now).await?;
    let is_stored = |name: &str| replayed.deliveries.iter().any(|(stored, _)| stored == name);
    if let Some(name) = wanted.iter().find(|name| !is_stored(name)) {
        let message = format!(
            "replyd: subscriber {name:?} is not in the store yet: `replyd run` puts it there"
        );
        return Err(Failure::new(Exit::NotFound, message));
    }
    if !arguments.dry_run {
        request.dry_run = false;
        replayed = store.replay(request, now).await?;
    }
    if arguments.json {
        output::data(&as_json(arguments, &replayed).to_string());
    } else {
        in_words(arguments, &replayed);
    }
    Ok(Exit::Done)
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
    let verb = match arguments.dry_run {
        true => "would be delivered again",
        false => "will be delivered again by the running service, or at its next start",
    };
    for (subscriber, count) in &replayed.deliveries {
        output::data(&format!("  {subscriber}: {count} {verb}"));
    }
    if replayed.replies == 0 {
        output::talk("no reply of this hour is in the store");
    }
}

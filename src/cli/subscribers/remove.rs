//! `replyd subscribers remove NAME`.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::progress::Progress;
use crate::cli::subscribers::known;
use crate::cli::{consent, load, output};
use crate::clock::Clock;
use crate::store::by_hand::{Act, DeliveryFilter};
use crate::store::subscribers::Removed;
use crate::store::{OpenMode, Store};

/// Arguments of `subscribers remove`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The subscriber
    #[arg(value_name = "NAME")]
    name: String,
    /// Only say what would be cancelled
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Take it out of the configuration first: one that is there is not removed. What waits for it or is
held is cancelled. What was delivered to it stays until its replies go, and can be looked for.

Examples:
  replyd subscribers remove old-crm --dry-run
  replyd subscribers remove old-crm --yes

Exit codes: 0 removed, 2 it is in the configuration, 66 no such subscriber, 75 something came since.";

/// Removes a subscriber that the configuration has no more.
pub(super) async fn remove(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let name = arguments.name.as_str();
    let known = known::one(&config, &store, name).await?;
    if known.config.is_some() {
        return Err(Failure::usage(format!(
            "the subscriber {name:?} is in the configuration: take it out there first. To let it take nothing: \
             replyd subscribers disable {name}"
        )));
    }
    let filter = DeliveryFilter {
        subscriber: Some(name.to_owned()),
        states: Act::Cancel.states().to_vec(),
        ..DeliveryFilter::default()
    };
    let matching = store.matching(filter).await?;
    let ids: Vec<i64> = matching.into_iter().flat_map(|(_, ids)| ids).collect();
    let count = output::count(ids.len(), "delivery", "deliveries");
    if !arguments.json {
        output::data(&format!("{count} to {name} to cancel"));
    }
    if arguments.dry_run {
        tell(arguments, ids.len(), false);
        return Ok(Exit::Done);
    }
    if !ids.is_empty() {
        let question = format!("{count} to {name} will never go out. Go on?");
        consent::require(arguments.yes, true, &question)?;
    }
    let now = Clock::system().unix();
    let progress = Progress::of("deliveries", ids.len());
    let cancelled = store.act_on(&ids, Act::Cancel, now, |done| progress.at(done)).await?;
    drop(progress);
    match store.remove(name, now).await? {
        Removed::Done => tell(arguments, cancelled, true),
        Removed::Waiting(count) => {
            return Err(Failure::new(
                Exit::NotNow,
                format!(
                    "replyd: {count} came since: a service that read a former configuration runs; start it anew"
                ),
            ));
        }
        Removed::Sending(until) => {
            return Err(Failure::new(
                Exit::NotNow,
                format!("replyd: one is being sent to it, until {} at the latest", until.beijing()),
            ));
        }
    }
    Ok(Exit::Done)
}

fn tell(arguments: &Arguments, cancelled: usize, removed: bool) {
    if arguments.json {
        output::json(&json!({
            "name": arguments.name,
            "dry_run": arguments.dry_run,
            "cancelled": cancelled,
            "removed": removed,
        }));
    } else if removed {
        output::data(&format!("{cancelled} cancelled, {} removed", arguments.name));
    } else {
        output::data("nothing changed: this was a dry run");
    }
}

//! `replyd subscribers rename OLD NEW`.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::subscribers::known;
use crate::cli::{load, output};
use crate::config;
use crate::store::subscribers::Renamed;
use crate::store::{OpenMode, Store};

/// Arguments of `subscribers rename`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Its name
    #[arg(value_name = "OLD")]
    old: String,
    /// The name that it is to have
    #[arg(value_name = "NEW", value_parser = config::name)]
    new: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Rename it here first, then in the configuration, and start the service anew: until then what comes
for it waits. A new name in the configuration alone would be a new subscriber, which gets what comes
after it, and what waits for the old one would stay.

Example:
  replyd subscribers rename crm crm-beijing";

/// Renames a subscriber with all that it has.
pub(super) async fn rename(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let (old, new) = (arguments.old.as_str(), arguments.new.as_str());
    known::require_row(&known::one(&config, &store, old).await?)?;
    let renamed = match store.rename(old, new).await? {
        Renamed::Done(renamed) => renamed,
        Renamed::Unknown => {
            let names = store.subscriber_names().await?;
            return Err(known::unknown(old, names.iter().map(String::as_str)));
        }
        Renamed::Taken => {
            return Err(Failure::usage(format!(
                "there is a subscriber {new:?} already. What it lacks of {old:?}'s replies can be told again: \
                 replyd replay HOUR --to HOUR --subscriber {new} --only missing"
            )));
        }
    };
    if arguments.json {
        output::json(&json!({ "from": old, "to": new, "deliveries": renamed }));
    } else {
        let count = output::count(renamed, "delivery", "deliveries");
        output::data(&format!("{old} is {new} now, with {count}"));
    }
    if config.subscribers.iter().any(|subscriber| subscriber.name == old) {
        output::talk(&format!(
            "rename it in {} as well: name = \"{new}\". Until the service has read that, what comes for it waits",
            path.display()
        ));
    }
    Ok(Exit::Done)
}

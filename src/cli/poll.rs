//! `replyd poll`: one plain read of each account, now, if its slot is free.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::exit::{Exit, Failure};
use crate::cli::told::{Told, told};
use crate::cli::{load, output, signals};
use crate::clock::Clock;
use crate::config::AccountConfig;
use crate::intake::reader::{ReadResult, Reader};
use crate::store::read::Ingested;
use crate::store::{OpenMode, Store};

/// Arguments of `poll`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Only this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Print one JSON object per account
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Its read empties the gateway's box, as every plain read does: what comes is kept and delivered.

Examples:
  replyd poll
  replyd poll --account main --json

Exit codes: 0 read, 1 the answer was doubtful, 66 no store or no such account, 69 the gateway gave
no answer, 75 the gateway may not be asked yet, 77 it refused the account, 78 configuration.";

/// Reads, keeps, and leaves the delivery to the service. Refuses where no store is yet, so that
/// no reply is read into the wrong place.
pub(super) async fn poll(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let mut config = load(path)?;
    if let Some(name) = &arguments.account {
        config.accounts.retain(|account| account.name == *name);
        if config.accounts.is_empty() {
            return Err(Failure::new(
                Exit::NotFound,
                format!("replyd: no account {name:?} in the configuration"),
            ));
        }
    }
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let stop = signals::listen().map_err(anyhow::Error::from)?.stop;
    let mut worst = Exit::Done;
    for account in config.accounts.into_iter().take_while(|_| !stop.is_cancelled()) {
        let name = account.name.clone();
        let polled = poll_account(&store, account).await?;
        if arguments.json {
            output::data(&Value::Object(polled.json).to_string());
        } else {
            output::data(&format!("{name}: {}", polled.words));
        }
        if worst == Exit::Done {
            worst = polled.exit;
        }
    }
    Ok(worst)
}

async fn poll_account(store: &Store, account: AccountConfig) -> Result<Told, Failure> {
    let name = account.name.clone();
    if store.account(&name).await?.is_none() {
        let message =
            format!("replyd: account {name:?} is not in the store yet: `replyd run` puts it there");
        return Err(Failure::new(Exit::NotFound, message));
    }
    let clock = Clock::system();
    store.anchor_slot(&name, clock.now()).await?;
    let mode = account.read;
    let reader = Reader::new(store.clone(), clock.clone(), account)?;
    let result = reader.read_now(None).await?;
    let now = clock.now();
    let refused = match result {
        ReadResult::NotNow(_) => store.view(&name, mode, now.clone()).await?.refused_status,
        _ => None,
    };
    let mut polled = told(&result, now.unix, refused, brought);
    let further = match &result {
        ReadResult::Done(ingested) => Some(("hours_owed", json!(ingested.owed))),
        ReadResult::NotNow(_) => Some(("refused_status", json!(refused.map(|status| status.0)))),
        _ => None,
    };
    let all = [("account", json!(name))].into_iter().chain(further);
    polled.json.extend(all.map(|(key, value)| (key.to_owned(), value)));
    Ok(polled)
}

fn brought(ingested: &Ingested, doubt: Option<String>) -> String {
    let records = output::count(ingested.records, "record", "records");
    let new = output::count(ingested.new, "new reply", "new replies");
    let Some(doubt) = doubt else { return format!("{records}, {new}") };
    let owed = output::count(ingested.owed, "hour", "hours");
    format!("{doubt}: {records}, {new}; {owed} will be read again")
}

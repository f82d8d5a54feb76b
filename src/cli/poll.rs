//! `replyd poll`: one plain read of each account, now, if its slot is free.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::{load, output, signals};
use crate::clock::Clock;
use crate::config::AccountConfig;
use crate::gateway::status::Status;
use crate::intake::reader::{ReadResult, Reader};
use crate::store::read::{Ingested, Verdict};
use crate::store::{OpenMode, Store};
use crate::time::UnixMs;

/// Arguments of `poll`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Print one JSON object per account
    #[arg(long)]
    json: bool,
}

/// What a poll of one account came to.
struct Polled {
    exit: Exit,
    words: String,
    json: serde_json::Value,
}

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
    let stop = signals::listen().map_err(anyhow::Error::from)?;
    let mut worst = Exit::Done;
    for account in config.accounts.into_iter().take_while(|_| !stop.is_cancelled()) {
        let name = account.name.clone();
        let polled = poll_account(&store, account).await?;
        if arguments.json {
            output::data(&polled.json.to_string());
        } else {
            output::data(&format!("{name}: {}", polled.words));
        }
        if worst == Exit::Done {
            worst = polled.exit;
        }
    }
    Ok(worst)
}

async fn poll_account(store: &Store, account: AccountConfig) -> Result<Polled, Failure> {
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
    Ok(match result {
        ReadResult::Done(ingested) => done(&name, &ingested),
        ReadResult::NotNow(wait) => {
            let refused = store.view(&name, mode, now.clone()).await?.refused_status;
            not_now(&name, now.unix.after(wait), refused)
        }
        ReadResult::Abandoned => {
            failed(&name, "abandoned", "not read: this machine was asleep; try again")
        }
        ReadResult::TakenElsewhere => taken_elsewhere(&name),
        ReadResult::NotTakenIn(reason) => {
            failed(&name, "not_taken_in", &format!("read and kept, but not taken in: {reason}"))
        }
    })
}

fn done(account: &str, ingested: &Ingested) -> Polled {
    let records = output::count(ingested.records, "record", "records");
    let new = output::count(ingested.new, "new reply", "new replies");
    let status = ingested.status.map_or_else(String::new, |status| format!(", status {status}"));
    let words = match ingested.verdict {
        Verdict::Proven => format!("{records}, {new}"),
        Verdict::Refused(reason) => format!("refused by the gateway ({reason}){status}"),
        Verdict::Doubtful(reason) => {
            let owed = output::count(ingested.owed, "hour", "hours");
            let why =
                ingested.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            let http = ingested.http_status.filter(|status| *status != 200);
            let http = http.map_or_else(String::new, |status| format!(", HTTP {status}"));
            format!(
                "doubtful ({reason}){status}{http}{why}: {records}, {new}; {owed} will be read again"
            )
        }
    };
    let json = json!({
        "account": account,
        "read": ingested.read.0,
        "verdict": ingested.verdict.as_str(),
        "reason": ingested.verdict.reason(),
        "status": ingested.status.map(|status| status.0),
        "http_status": ingested.http_status,
        "error": ingested.error,
        "records": ingested.records,
        "faults": ingested.faults,
        "new": ingested.new,
        "hours_owed": ingested.owed,
    });
    Polled { exit: ingested.verdict.into(), words, json }
}

fn not_now(account: &str, at: UnixMs, refused: Option<Status>) -> Polled {
    let next = at.beijing();
    let why = refused.map_or_else(String::new, |status| {
        format!("the gateway refused the account with {status}; ")
    });
    Polled {
        exit: Exit::NotNow,
        words: format!("not now: {why}the gateway may be asked again at {next} (Beijing time)"),
        json: json!({
            "account": account,
            "verdict": "not_now",
            "next_at": next.rfc3339(),
            "refused_status": refused.map(|status| status.0),
        }),
    }
}

fn failed(account: &str, verdict: &str, words: &str) -> Polled {
    let json = json!({ "account": account, "verdict": verdict });
    Polled { exit: Exit::Failed, words: words.to_owned(), json }
}

fn taken_elsewhere(account: &str) -> Polled {
    let words = "read and kept; the running service took the answer in";
    Polled { exit: Exit::Done, ..failed(account, "taken_elsewhere", words) }
}

//! `replyd audit list`: the last changes.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::table::{Align, Table};
use crate::cli::{load, output};
use crate::clock::Clock;
use crate::shape::AuditEntry;
use crate::store::audit_entry::AuditFilter;
use crate::store::{OpenMode, Store};
use crate::time::Since;

/// The most that a list shows: all of them are in memory at once.
const LIST_MAX: u64 = 10_000;

/// Arguments of `audit list`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Only by tokens of this name
    #[arg(long, value_name = "NAME")]
    token: Option<String>,
    /// Only since: 24h ago, on 2008-05-27, or in 2008-05-27_12 (Beijing time)
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=LIST_MAX))]
    limit: u64,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Each entry stands in the transaction of its change. No number and no text of anybody is in it. They
are kept as long as `store.retain.tombstones` says.

Examples:
  replyd audit list
  replyd audit list --token crm --since 7d --json";

/// Lists changes, newest first.
pub(super) async fn list(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let now = Clock::system().unix();
    let filter = AuditFilter {
        token: arguments.token.clone(),
        since: arguments.since.map(|since| since.instant(now)),
        before: None,
    };
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let entries = store.audit_entries(filter, limit).await?;
    if arguments.json {
        entries.iter().for_each(|entry| output::json(&json!(AuditEntry::of(entry))));
        return Ok(Exit::Done);
    }
    if entries.is_empty() {
        output::talk("nothing was changed by the API");
    }
    let mut table = Table::new([
        ("AT", Align::Left),
        ("TOKEN", Align::Left),
        ("ACTION", Align::Left),
        ("TARGET", Align::Left),
        ("OUTCOME", Align::Left),
    ]);
    for entry in entries {
        let at = entry.at.beijing().to_string();
        table.row([at, entry.token, entry.action, entry.target, entry.outcome]);
    }
    table.print();
    Ok(Exit::Done)
}

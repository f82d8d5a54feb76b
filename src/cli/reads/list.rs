//! `replyd reads list`: the last reads.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::reads::{kind, verdict};
use crate::cli::table::{Align, Table};
use crate::cli::{chosen, load, output};
use crate::clock::Clock;
use crate::shape::Read;
use crate::store::journal::{JournalFilter, JournalRow};
use crate::store::{OpenMode, Store};
use crate::time::Since;

/// The most reads listed at once: two months of reads every ten minutes are fewer.
const LIMIT_MAX: i64 = 10_000;

/// Arguments of `reads list`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Only this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// At most so many reads (1 to 10000)
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=LIMIT_MAX))]
    limit: u16,
    /// Only doubtful reads, which owe their hours
    #[arg(long)]
    doubtful: bool,
    /// Only reads begun since: 24h ago, on 2008-05-27, or in 2008-05-27_12 (Beijing time)
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
    /// Print one JSON object per read
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
A read is `plain`, which empties the gateway's box, or of an hour, which the gateway gives as often
as asked. Its state is `started` (on its way), `received` (kept, not taken in yet), `ingested`,
`unanswered`, or `abandoned` (never sent). Times are Beijing time.

Examples:
  replyd reads list
  replyd reads list --doubtful --since 24h --json";

/// Lists the last reads, newest first.
pub(super) async fn list(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    if let Some(name) = &arguments.account {
        chosen::accounts(&config, &store, Some(name)).await?;
    }
    let now = Clock::system().unix();
    let filter = JournalFilter {
        account: arguments.account.clone(),
        since: arguments.since.map(|since| since.instant(now)),
        doubtful: arguments.doubtful,
        before: None,
        limit: usize::from(arguments.limit),
    };
    let rows = store.journal(filter).await?;
    if arguments.json {
        rows.iter().for_each(|row| output::json(&json!(Read::of(row))));
    } else if rows.is_empty() {
        output::talk("no such read is in the store");
    } else {
        table(&rows).print();
    }
    Ok(Exit::Done)
}

fn table(rows: &[JournalRow]) -> Table<12> {
    let mut table = Table::new([
        ("read", Align::Right),
        ("account", Align::Left),
        ("began", Align::Left),
        ("kind", Align::Left),
        ("state", Align::Left),
        ("verdict", Align::Left),
        ("http", Align::Right),
        ("code", Align::Right),
        ("records", Align::Right),
        ("faults", Align::Right),
        ("new", Align::Right),
        ("bytes", Align::Right),
    ]);
    for row in rows {
        table.row([
            row.id.to_string(),
            row.account.clone(),
            row.started.beijing().to_string(),
            kind(row.hour),
            row.state.clone(),
            verdict(row),
            output::or_dash(row.http_status),
            output::or_dash(row.status.map(|status| status.0)),
            output::or_dash(row.records),
            output::or_dash(row.faults),
            output::or_dash(row.new),
            output::or_dash(row.body_bytes),
        ]);
    }
    table
}

//! `replyd subscribers list`: all of them.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::spoken::Spoken;
use crate::cli::table::{Align, Table};
use crate::cli::{load, output};
use crate::clock::Clock;
use crate::config::Format;
use crate::delivery::known::{self, Known};
use crate::delivery::waiting::left_alone_until;
use crate::shape::Subscriber;
use crate::store::subscribers::Backlog;
use crate::store::{OpenMode, Store};
use crate::time::UnixMs;

/// Arguments of `subscribers list`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    language: Spoken,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
STATE is enabled, disabled, absent (in the store, and not in the configuration) or new (in the
configuration, and not in the store). OLDEST is the age of the oldest delivery that waits, FAILING
for how long every attempt has failed, PAUSE for how long it is left alone yet. FORMAT is left out where it is standard.

Example:
  replyd subscribers list --json | jq -r 'select(.waiting > 1000).name'";

/// Lists all subscribers.
pub(super) async fn list(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let now = Clock::system().unix();
    let mut rows = Vec::new();
    for known in known::all(&config, &store).await? {
        let backlog = store.backlog(&known.name).await?;
        rows.push((known, backlog));
    }
    if arguments.json {
        for (known, backlog) in &rows {
            output::json(&json!(Subscriber::of(known, backlog, now)));
        }
    } else if rows.is_empty() {
        output::talk("there is no subscriber");
    } else {
        as_table(&rows, arguments, now).print();
    }
    Ok(Exit::Done)
}

fn as_table(rows: &[(Known<'_>, Backlog)], arguments: &Arguments, now: UnixMs) -> Table<11> {
    let mut table = Table::new([
        ("NAME", Align::Left),
        ("URL", Align::Left),
        ("FORMAT", Align::Left),
        ("STATE", Align::Left),
        ("WAITING", Align::Right),
        ("HELD", Align::Right),
        ("FAILED", Align::Right),
        ("OLDEST", Align::Right),
        ("FAILING", Align::Right),
        ("PAUSE", Align::Right),
        ("REASON", Align::Left),
    ]);
    let language = arguments.language.language();
    let age = |since: Option<UnixMs>| {
        since.map(|since| output::short(now.since(since))).unwrap_or_default()
    };
    for (known, backlog) in rows {
        let pause = known.row.as_ref().and_then(|row| left_alone_until(row, now));
        let format = known.config.map(|config| config.format);
        let format = format.filter(|format| !format.is_standard());
        table.row([
            known.name.clone(),
            output::or_dash(known.config.map(|config| config.origin())),
            format.map(Format::as_str).unwrap_or_default().to_owned(),
            known.state().to_owned(),
            backlog.waiting.to_string(),
            backlog.held.to_string(),
            backlog.failed.to_string(),
            age(backlog.oldest),
            age(known.row.as_ref().and_then(|row| row.failing_since)),
            pause.map(|until| output::short(until.since(now))).unwrap_or_default(),
            known.why(language).unwrap_or_default(),
        ]);
    }
    table
}

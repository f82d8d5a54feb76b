//! `replyd reads show ID`: everything about one read.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::reads::{kind, verdict};
use crate::cli::table::{Align, Table, visible};
use crate::cli::{load, output};
use crate::shape::ReadDetail;
use crate::store::journal::{FaultRow, JournalRow};
use crate::store::read::ReadId;
use crate::store::{OpenMode, Store};

/// Arguments of `reads show`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The read's number, as `reads list` shows it
    #[arg(value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    read: i64,
    /// Write the answer's bytes to stdout exactly as they came, and nothing else. They hold whole
    /// numbers and texts
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  replyd reads show 17
  replyd reads show 17 --raw > answer.bin

Exit codes: 0 shown, 66 no such read, or its body is kept no longer.";

/// Shows one read, or writes the bytes that it brought.
pub(super) async fn show(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let id = ReadId(arguments.read);
    let Some((row, faults)) = store.journal_entry(id).await? else {
        return Err(Failure::new(Exit::NotFound, format!("replyd: no read {id} in the store")));
    };
    if arguments.raw {
        let Some(body) = store.body(id).await? else { return Err(no_body(&row)) };
        output::bytes(&body)
            .map_err(|error| Failure::new(Exit::Failed, format!("replyd: {error}")))?;
    } else if arguments.json {
        output::json(&json!(ReadDetail::of(&row, &faults)));
    } else {
        print(&row, &faults);
    }
    Ok(Exit::Done)
}

/// Why a read has no body.
pub(super) fn no_body(row: &JournalRow) -> Failure {
    let why = match row.ending {
        Some(_) => "its answer is kept no longer (store.retain.bodies)",
        None => "no answer to it came",
    };
    Failure::new(Exit::NotFound, format!("replyd: read {}: {why}", row.id))
}

fn print(row: &JournalRow, faults: &[FaultRow]) {
    let time = |at: crate::time::UnixMs| at.beijing().to_string();
    let lines = [
        ("read", row.id.to_string()),
        ("account", row.account.clone()),
        ("kind", kind(row.hour)),
        ("state", row.state.clone()),
        ("verdict", verdict(row)),
        ("began", time(row.started)),
        ("ended", output::or_dash(row.ended.map(time))),
        ("ending", output::or_dash(row.ending.as_deref())),
        ("error", output::or_dash(row.error.as_deref())),
        ("http status", output::or_dash(row.http_status)),
        ("code", output::or_dash(row.status)),
        ("charset", row.charset.clone()),
        ("records", output::or_dash(row.records)),
        ("new replies", output::or_dash(row.new)),
        ("missed before", row.missed.to_string()),
        ("body bytes", output::or_dash(row.body_bytes)),
        ("faults", output::or_dash(row.faults)),
    ];
    let redacted =
        row.redacted.map(|at| ("redacted", format!("{}: a person was erased", time(at))));
    for (name, value) in lines.into_iter().chain(redacted) {
        output::data(&format!("{name:<14}{}", visible(&value)));
    }
    let mut table =
        Table::new([("at byte", Align::Right), ("kind", Align::Left), ("bytes", Align::Right)]);
    for fault in faults {
        table.row([fault.offset.to_string(), fault.kind.clone(), fault.bytes.to_string()]);
    }
    table.print();
}

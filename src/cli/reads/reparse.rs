//! `replyd reads reparse`: kept answers parsed again, for what an older version missed.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::progress::Progress;
use crate::cli::reads::{kind, show};
use crate::cli::table::{Align, Table, visible};
use crate::cli::{chosen, load, output};
use crate::clock::Clock;
use crate::config::Config;
use crate::intake::take_in::{Finding, TakeIn};
use crate::store::journal::JournalRow;
use crate::store::read::{Ingested, ReadId};
use crate::store::{OpenMode, Store};
use crate::time::Since;

/// Arguments of `reads reparse`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The reads' numbers; without any, every read whose answer is kept
    #[arg(value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    reads: Vec<i64>,
    /// Only this account's reads
    #[arg(long, value_name = "NAME", conflicts_with = "reads")]
    account: Option<String>,
    /// Only reads begun since: 24h ago, on 2008-05-27, or in 2008-05-27_12 (Beijing time)
    #[arg(long, value_name = "WHEN", conflicts_with = "reads")]
    since: Option<Since>,
    /// Only say what would be added, by each read alone
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object per read
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Replies that were missed are added and delivered like any new one. Nothing that is kept changes:
no reply is edited, no hour is owed, and the read keeps its verdict. Of each read, the numbers of
records and faults are those that this version finds. An answer from which a person was erased is
not parsed again.

Examples:
  replyd reads reparse --dry-run
  replyd reads reparse 17 18

Exit codes: 0 done, 1 some of it failed, 66 no such read, 75 one is not taken in yet.";

/// Parses each read's answer again.
pub(super) async fn reparse(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let reads = chosen_reads(&config, &store, arguments).await?;
    let take_in = TakeIn::new(store.clone(), Clock::system());
    let finding = if arguments.dry_run { Finding::Told } else { Finding::Kept };
    let mut done = Done::default();
    // Lines of JSON and a bar would stand in each other's way on a terminal.
    let progress = (!arguments.json).then(|| Progress::of("reads", reads.len()));
    for (number, read) in reads.into_iter().enumerate() {
        if let Some(progress) = &progress {
            progress.at(number);
        }
        let Some((before, _)) = store.journal_entry(read).await? else { continue };
        match take_in.reparse(read, finding).await {
            Ok(Some(after)) => done.add(before, after, arguments),
            // Its body went while others were parsed.
            Ok(None) => {}
            Err(error) if error.is_of_one_act() => {
                let line = format!("replyd: {}", visible(&error.to_string()));
                progress.as_ref().map_or_else(|| output::talk(&line), |bar| bar.talk(&line));
                done.failed += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    drop(progress);
    if !arguments.json {
        done.print(arguments);
    }
    Ok(if done.failed > 0 { Exit::Failed } else { Exit::Done })
}

async fn chosen_reads(
    config: &Config,
    store: &Store,
    arguments: &Arguments,
) -> Result<Vec<ReadId>, Failure> {
    if arguments.reads.is_empty() {
        let accounts = match &arguments.account {
            Some(name) => chosen::accounts(config, store, Some(name)).await?,
            None => store.account_names().await?,
        };
        let now = Clock::system().unix();
        let since = arguments.since.map(|since| since.instant(now));
        return Ok(store.kept_reads(accounts, since).await?);
    }
    // All are looked at first, so that one that cannot be parsed leaves nothing half done.
    let mut reads = Vec::new();
    for id in arguments.reads.iter().copied().map(ReadId) {
        let Some((row, _)) = store.journal_entry(id).await? else {
            return Err(Failure::new(Exit::NotFound, format!("replyd: no read {id} in the store")));
        };
        require_taken_in(&row)?;
        reads.push(id);
    }
    Ok(reads)
}

fn require_taken_in(row: &JournalRow) -> Result<(), Failure> {
    if matches!(row.state.as_str(), "started" | "received") {
        let id = row.id;
        let message = format!(
            "replyd: read {id} is not taken in yet: the running service does that, or its next start"
        );
        return Err(Failure::new(Exit::NotNow, message));
    }
    if row.redacted.is_some() {
        let message = format!("replyd: read {}: a person was erased from its answer", row.id);
        return Err(Failure::new(Exit::NotFound, message));
    }
    if row.body_bytes.is_none() { Err(show::no_body(row)) } else { Ok(()) }
}

/// What was done so far.
#[derive(Default)]
struct Done {
    reads: usize,
    failed: usize,
    new: usize,
    /// The reads in which something else was found than before.
    changed: Vec<(JournalRow, Ingested)>,
}

impl Done {
    fn add(&mut self, before: JournalRow, after: Ingested, arguments: &Arguments) {
        if arguments.json {
            output::json(&as_json(&before, &after, arguments));
        }
        self.reads += 1;
        self.new += after.new;
        let counts = (Some(after.records as u64), Some(after.faults as u64));
        if after.new > 0 || counts != (before.records, before.faults) {
            self.changed.push((before, after));
        }
    }

    fn print(&self, arguments: &Arguments) {
        let mut table = Table::new([
            ("read", Align::Right),
            ("account", Align::Left),
            ("kind", Align::Left),
            ("records before", Align::Right),
            ("now", Align::Right),
            ("faults before", Align::Right),
            ("now", Align::Right),
            ("new replies", Align::Right),
        ]);
        for (before, after) in &self.changed {
            table.row([
                before.id.to_string(),
                before.account.clone(),
                kind(before.hour),
                output::or_dash(before.records),
                after.records.to_string(),
                output::or_dash(before.faults),
                after.faults.to_string(),
                after.new.to_string(),
            ]);
        }
        table.print();
        let reads = output::count(self.reads, "answer", "answers");
        let new = output::count(self.new, "new reply", "new replies");
        let would = if arguments.dry_run { " would be added" } else { "" };
        output::data(&format!("{reads} parsed again: {new}{would}"));
    }
}

fn as_json(before: &JournalRow, after: &Ingested, arguments: &Arguments) -> serde_json::Value {
    json!({
        "read": before.id.0,
        "account": before.account,
        "dry_run": arguments.dry_run,
        "records": after.records,
        "records_before": before.records,
        "faults": after.faults,
        "faults_before": before.faults,
        "new": after.new,
    })
}

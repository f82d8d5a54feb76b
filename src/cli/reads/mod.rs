//! `replyd reads`: the journal of what was read, and its bodies parsed again.

mod list;
mod reparse;
mod show;

use std::path::Path;

use clap::Subcommand;

use crate::cli::exit::{Exit, Failure};
use crate::store::journal::JournalRow;
use crate::time::Hour;

/// Arguments of `reads`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  replyd reads list --doubtful
  replyd reads show 17

Exit codes: 0 done, 1 some of it failed, 66 no such read, 78 configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// List the last reads, newest first
    List(list::Arguments),
    /// Show everything about one read; its body only with --raw
    Show(show::Arguments),
    /// Parse kept answers again with this version, and take in the replies that were missed
    Reparse(reparse::Arguments),
}

/// Runs the command that the arguments name.
pub(super) async fn reads(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::List(arguments) => list::list(path, arguments).await,
        Command::Show(arguments) => show::show(path, arguments).await,
        Command::Reparse(arguments) => reparse::reparse(path, arguments).await,
    }
}

/// What was read: the box, or an hour by `time`.
pub(super) fn kind(hour: Option<Hour>) -> String {
    hour.map_or_else(|| "plain".to_owned(), |hour| hour.to_string())
}

/// How far a read is trusted, with the reason where it is not.
pub(super) fn verdict(row: &JournalRow) -> String {
    match (&row.verdict, &row.reason) {
        (Some(verdict), Some(reason)) => format!("{verdict} ({reason})"),
        (Some(verdict), None) => verdict.clone(),
        (None, _) => "-".to_owned(),
    }
}

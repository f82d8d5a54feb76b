//! `replyd audit`: what was changed by the HTTP API.

mod list;

use std::path::Path;

use crate::cli::exit::{Exit, Failure};

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Example:
  replyd audit list --since 24h

Exit codes: 0 done, 66 no store, 78 configuration.";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the changes, newest first: when, by whose token, what was done to what
    List(list::Arguments),
}

/// Runs the command that the arguments name.
pub(super) async fn audit(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let Command::List(arguments) = &arguments.command;
    list::list(path, arguments).await
}

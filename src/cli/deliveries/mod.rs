//! `replyd deliveries`: look at them, release held ones, try again, cancel.

mod act;
mod filter;
mod list;
mod show;

use std::path::Path;

use crate::cli::exit::{Exit, Failure};
use crate::cli::load;
use crate::store::by_hand::Act;
use crate::store::{OpenMode, Store};

/// Arguments of `deliveries`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  replyd deliveries list --state failed --since 7d
  replyd deliveries show 17
  replyd deliveries retry --subscriber crm --dry-run

Exit codes: 0 done, 1 some of it failed, 66 nothing of that name, 78 configuration.";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List deliveries, newest first
    List(list::Arguments),
    /// Show all about one delivery: why it waits, and every attempt, explained
    Show(show::Arguments),
    /// Try deliveries again, now: those that were given up or cancelled, or that wait
    #[command(after_help = act::RETRY_HELP)]
    Retry(act::Arguments),
    /// Let held deliveries go: they go out now, under the ids that they have
    #[command(after_help = act::RELEASE_HELP)]
    Release(act::Arguments),
    /// Make deliveries that are held or waiting never go out
    #[command(after_help = act::CANCEL_HELP)]
    Cancel(act::Arguments),
}

/// Runs the command that the arguments name, on the store, beside the service or without it.
pub(super) async fn deliveries(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    match &arguments.command {
        Command::List(arguments) => list::list(&store, arguments).await,
        Command::Show(arguments) => show::show(&config, &store, arguments).await,
        Command::Retry(arguments) => act::act(&store, Act::Retry, arguments).await,
        Command::Release(arguments) => act::act(&store, Act::Release, arguments).await,
        Command::Cancel(arguments) => act::act(&store, Act::Cancel, arguments).await,
    }
}

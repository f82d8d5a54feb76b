//! `replyd subscribers`: look at them, test, enable and disable, rename, remove.

mod known;
mod list;
mod one;
mod remove;
mod rename;
mod secret;
mod show;
mod switch;
mod test;

use std::path::Path;

use crate::cli::exit::{Exit, Failure};

/// Arguments of `subscribers`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  replyd subscribers list
  replyd subscribers test crm
  replyd subscribers disable crm

Exit codes: 0 done, 1 some of it failed, 66 no such subscriber, 78 configuration.";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List all of them, with what waits for each
    List(list::Arguments),
    /// Show one: its configuration without secrets, how it does, its last attempts
    #[command(after_help = show::AFTER_HELP)]
    Show(one::Arguments),
    /// Send one marked test message the real way, and show the answer
    #[command(after_help = test::AFTER_HELP)]
    Test(one::Arguments),
    /// Let one take deliveries again
    #[command(after_help = switch::AFTER_HELP)]
    Enable(one::Arguments),
    /// Let one take nothing until it is enabled; its deliveries wait
    #[command(after_help = switch::AFTER_HELP)]
    Disable(one::Arguments),
    /// Give one another name, with all its deliveries
    Rename(rename::Arguments),
    /// Remove one that is in the configuration no more, and cancel what waits for it
    Remove(remove::Arguments),
    /// Signing secrets
    Secret(secret::Arguments),
}

/// Runs the command that the arguments name, on the store, beside the service or without it.
pub(super) async fn subscribers(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::List(arguments) => list::list(path, arguments).await,
        Command::Show(arguments) => show::show(path, arguments).await,
        Command::Test(arguments) => test::test(path, arguments).await,
        Command::Enable(arguments) => switch::enable(path, arguments).await,
        Command::Disable(arguments) => switch::disable(path, arguments).await,
        Command::Rename(arguments) => rename::rename(path, arguments).await,
        Command::Remove(arguments) => remove::remove(path, arguments).await,
        Command::Secret(arguments) => secret::secret(arguments),
    }
}

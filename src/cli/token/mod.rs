//! `replyd token`: who may use the HTTP API.

mod list;
mod new;
mod revoke;

use std::path::Path;

use crate::cli::exit::{Exit, Failure};

/// Arguments of `token`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Of a token only a digest is kept: it is shown once, when it is made. A running service heeds what is
made and revoked at once.

Examples:
  replyd token new --name crm --scope read --scope replay
  replyd token list
  replyd token revoke crm

Exit codes: 0 done, 2 usage, 66 no such token, 78 configuration.";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token and print it, once
    New(new::Arguments),
    /// List the tokens, what each allows, and when it was last used
    List(list::Arguments),
    /// Make a token worthless, at once
    Revoke(revoke::Arguments),
}

/// Runs the command that the arguments name, on the store, beside the service or without it.
pub(super) async fn token(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::New(arguments) => new::new(path, arguments).await,
        Command::List(arguments) => list::list(path, arguments).await,
        Command::Revoke(arguments) => revoke::revoke(path, arguments).await,
    }
}

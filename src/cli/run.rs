//! `replyd run`: the service.

use std::path::Path;

use crate::app::App;
use crate::cli::exit::{Exit, Failure};
use crate::cli::{load, signals};
use crate::clock::Clock;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Read each account once if its slot is free, deliver what is due, and exit (for cron)
    #[arg(long)]
    once: bool,
}

const AFTER_HELP: &str = "\
The first SIGTERM or Ctrl-C lets what is under way end first, the second insists. SIGHUP reads the
configuration again: all of it or, if anything is wrong with it, nothing. More than one service may
run on a store.

Examples:
  replyd run
  replyd --config /etc/replyd/config.toml run
  replyd run --once           every few minutes, by cron

Exit codes: 0 stopped by a signal, or done; 1 it failed, or with --once a read or a delivery did,
which is tried again; 75 the store is busy; 78 the configuration or the store is not right.";

/// Runs until a signal, or once.
pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let signals::Signals { stop, reload } = signals::listen().map_err(anyhow::Error::from)?;
    // A store that is being copied or brought up to date is left as it was.
    let Some(app) = stop.run_until_cancelled(App::build(config, Clock::system())).await else {
        return Ok(Exit::Done);
    };
    let app = app?;
    if !arguments.once {
        return Ok(app.run(stop, reload).await.map(|()| Exit::Done)?);
    }
    let once = app.run_once(&stop).await?;
    let failed = once.reads_failed + once.attempts_failed > 0;
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

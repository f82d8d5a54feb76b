//! `replyd run`: the service.

use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::app::App;
use crate::cli::exit::{Exit, Failure};
use crate::cli::load;
use crate::clock::Clock;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Read each account once if its slot is free, deliver what is due, and exit (for cron)
    #[arg(long)]
    once: bool,
}

/// Runs until a signal, or once.
pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let app = App::build(config, Clock::system()).await?;
    if arguments.once {
        let once = app.run_once().await?;
        let failed = once.reads_failed + once.attempts_failed > 0;
        return Ok(if failed { Exit::Failed } else { Exit::Done });
    }
    let stop = CancellationToken::new();
    let mut signals = Signals::new().map_err(anyhow::Error::from)?;
    let running = app.run(stop.clone());
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return Ok(ended.map(|()| Exit::Done)?),
        name = signals.next() => info!(signal = name, "stopping: what is under way ends first"),
    }
    stop.cancel();
    tokio::select! {
        ended = &mut running => Ok(ended.map(|()| Exit::Done)?),
        name = signals.next() => {
            let message = format!("replyd: a second {name}: stopped at once; what was under way is taken up at the next start");
            Err(Failure::new(Exit::Failed, message))
        }
    }
}

/// The signals that stop the service.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

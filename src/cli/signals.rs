//! Signals: the first asks for an end, and what is under way ends first; the second insists.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cli::exit::Exit;

/// Listens from now on. The token is cancelled by the first SIGTERM or SIGINT; until the command
/// has drained, nothing dies of them, because an answer of the gateway may be on its way.
pub(super) fn listen() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                _ = hangup.recv() => {
                    warn!("SIGHUP: the configuration is read at start only; restart to change it");
                    continue;
                }
            };
            if asked.is_cancelled() {
                warn!(signal, "stopped at once; what was under way is taken up at the next start");
                std::process::exit(Exit::Failed as i32);
            }
            info!(signal, "stopping: what is under way ends first");
            asked.cancel();
        }
    });
    Ok(stop)
}

/// The end of a command that has nothing to drain: by the first SIGTERM or SIGINT from now on.
pub(super) fn ended() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

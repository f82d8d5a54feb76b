//! Signals: the first asks for an end, and what is under way ends first; the second insists.
//! SIGHUP asks for the configuration to be read again.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cli::exit::Exit;

/// What signals ask for.
pub(super) struct Signals {
    /// Cancelled when an end is asked for.
    pub(super) stop: CancellationToken,
    /// Notified when the configuration is to be read again.
    pub(super) reload: Arc<Notify>,
}

/// Listens from now on. The token is cancelled by the first SIGTERM or SIGINT; until the command
/// has drained, nothing dies of them, because an answer of the gateway may be on its way.
pub(super) fn listen() -> io::Result<Signals> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (stop, reload) = (CancellationToken::new(), Arc::new(Notify::new()));
    let (asked, again) = (stop.clone(), Arc::clone(&reload));
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                _ = hangup.recv() => {
                    info!("SIGHUP: the configuration is to be read again");
                    again.notify_one();
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
    Ok(Signals { stop, reload })
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

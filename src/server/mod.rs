//! What the service shows of itself by HTTP, on this machine only.

mod health;
mod metrics;
mod process;

use std::future::IntoFuture;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::pulse::Pulses;
use crate::store::Store;

/// How long requests under way may take to end when the service does.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// What of the service is shown.
#[derive(Clone)]
pub struct Seen {
    /// Its store.
    pub store: Store,
    /// Its clock.
    pub clock: Clock,
    /// What it counts.
    pub metrics: Metrics,
    /// Whether its tasks are alive.
    pub pulses: Pulses,
    /// Its configuration, which a reload replaces.
    pub config: watch::Receiver<Arc<Config>>,
}

/// Serves until told to stop.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, seen: Seen, stop: CancellationToken) -> io::Result<()> {
    let metrics = metrics::routes(seen.clock.now().unix);
    let router = Router::new().merge(health::routes()).merge(metrics).with_state(seen);
    let serving =
        axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        served = serving.into_future() => served,
        // A request that is half sent must not hold up the end.
        () = async { stop.cancelled().await; tokio::time::sleep(DRAIN_MAX).await } => Ok(()),
    }
}

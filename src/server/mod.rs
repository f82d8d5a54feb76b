//! What the service shows of itself by HTTP: its health and counts to everybody who reaches it, and
//! the API to whoever has a token.

mod api;
mod connection;
mod health;
mod metrics;
mod process;
pub mod token;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::pulse::Pulses;
use crate::store::Store;

/// How long what was begun may take to end when the service does: longer than a call to the gateway.
const ACTS_END_MAX: Duration = Duration::from_secs(40);

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
    let acts = TaskTracker::new();
    let plain = Router::new().merge(health::routes()).merge(metrics::routes(seen.clock.unix()));
    let router =
        plain.with_state(seen.clone()).merge(api::routes(seen, acts.clone(), stop.clone()));
    let accepted = connection::accept(listener, router, stop).await;
    acts.close();
    drop(tokio::time::timeout(ACTS_END_MAX, acts.wait()).await);
    accepted
}

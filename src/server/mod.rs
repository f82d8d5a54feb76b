//! What the service shows of itself by HTTP, on this machine only.

mod health;

use std::io;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// Serves until told to stop.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, store: Store, stop: CancellationToken) -> io::Result<()> {
    let router = Router::new().merge(health::routes()).with_state(store);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

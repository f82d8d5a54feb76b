//! Connections of clients: how many there may be, how long a head may take to come, how they end.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;
use tracing::{debug, warn};

/// Connections at once. Each is a task and some buffers: more clients than a service of this kind
/// has, and far from the usual limit of open files.
const CONNECTIONS_MAX: usize = 256;
/// How long a request's head may take to come, also the first of a connection: whoever sends it a
/// byte at a time, or nothing, does not keep a connection from others.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// The longest head: a query of many filters, a token and a cookie that a proxy adds.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The most headers.
const HEADERS_MAX: usize = 64;
/// Rest after a connection could not be taken: the limit of open files is not over in a moment.
const ACCEPT_REST: Duration = Duration::from_millis(250);
/// How long requests under way may take to end when the service does.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// Whence a request came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// Takes connections and serves them, until told to stop.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place.map_err(io::Error::other)?,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    serve(stream, Peer(address.ip()), router, stop).await;
                    drop(place);
                });
            }
            // The client has gone already.
            Err(error) if is_of_one(&error) => {}
            Err(error) => {
                warn!(%error, "no connection can be taken");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
    connections.close();
    // A request that is half sent must not hold up the end.
    drop(tokio::time::timeout(DRAIN_MAX, connections.wait()).await);
    Ok(())
}

fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn serve(stream: TcpStream, peer: Peer, router: Router, stop: CancellationToken) {
    // Only speed is lost where this cannot be set.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
}

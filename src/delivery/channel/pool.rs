//! The connections to one server that are kept between requests.
//!
//! A library's pool is for many servers, and starts a connection while it waits for a kept one:
//! then no attempt knows which connection is its own, and more are opened than are needed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response};
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Stopwatch;

/// How long a connection that is not used is kept: shorter than most servers and middle boxes
/// keep it, because a request that meets a connection as it ends has failed.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(30);
/// How long a connection may take to be at rest once its answer was read. One that is not by then
/// still sends, to a server that answered without reading: it is not worth the wait.
const REST_MAX: Duration = Duration::from_secs(1);

/// A request as it is sent.
pub(super) type PostRequest = Request<Full<Bytes>>;

/// A connection, which ends when this is dropped.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Where it leads.
    pub(super) address: SocketAddr,
    _driver: AbortOnDropHandle<()>,
}

impl Connection {
    /// A connection that `driver` reads and writes.
    pub(super) fn new(
        sender: SendRequest<Full<Bytes>>,
        address: SocketAddr,
        driver: AbortOnDropHandle<()>,
    ) -> Self {
        Self { sender, address, _driver: driver }
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// When none came; with the request where nothing of it was sent.
    pub(super) async fn send(
        &mut self,
        request: PostRequest,
    ) -> Result<Response<Incoming>, TrySendError<PostRequest>> {
        self.sender.try_send_request(request).await
    }
}

/// The connections that wait for a request.
pub(super) struct Pool {
    kept: Mutex<Kept>,
    connections_max: usize,
    idle_max: Duration,
}

#[derive(Default)]
struct Kept {
    /// The one that was used last at the end, so that those that are not needed grow old.
    idle: Vec<(Connection, Stopwatch)>,
    sweeper: Option<AbortOnDropHandle<()>>,
}

impl Pool {
    /// A pool of at most so many connections, each of which waits at most `idle_max`.
    pub(super) fn new(connections_max: usize, idle_max: Duration) -> Arc<Self> {
        Arc::new(Self { kept: Mutex::default(), connections_max, idle_max })
    }

    /// A connection that was kept and, as far as is known, still stands.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut kept = self.lock();
        while let Some((connection, since)) = kept.idle.pop() {
            if self.is_fit(&connection, since) {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose answer was read to its end, if another request can be sent on it.
    pub(super) async fn keep(self: &Arc<Self>, mut connection: Connection) {
        let at_rest = tokio::time::timeout(REST_MAX, connection.sender.ready());
        if !matches!(at_rest.await, Ok(Ok(()))) {
            return;
        }
        let mut kept = self.lock();
        if kept.idle.len() < self.connections_max {
            kept.idle.push((connection, Stopwatch::start()));
            let sweep = || AbortOnDropHandle::new(tokio::spawn(sweep(Arc::downgrade(self))));
            kept.sweeper.get_or_insert_with(sweep);
        }
    }

    fn is_fit(&self, connection: &Connection, since: Stopwatch) -> bool {
        connection.sender.is_ready() && since.elapsed() < self.idle_max
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections wait and still stand.
    #[cfg(test)]
    pub(super) fn standing(&self) -> usize {
        let kept = self.lock();
        kept.idle.iter().filter(|(connection, since)| self.is_fit(connection, *since)).count()
    }
}

/// Ends connections that grow old while no request takes them, until none is left.
async fn sweep(pool: Weak<Pool>) {
    while let Some(idle_max) = pool.upgrade().map(|pool| pool.idle_max) {
        tokio::time::sleep(idle_max).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut kept = pool.lock();
        kept.idle.retain(|(connection, since)| pool.is_fit(connection, *since));
        if kept.idle.is_empty() {
            kept.sweeper = None;
            return;
        }
    }
}

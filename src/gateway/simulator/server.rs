//! The loopback server: reads a request, asks the books, writes the answer as it is scripted.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::SimulatorEvent;
use super::records::{Call, Ending, Ticket};
use super::request;
use super::routes::{Exchange, State, refuses};
use super::script::Script;
use crate::clock::Clock;
use crate::time::UnixMs;

/// Connections at once: a client that opens more waits for its turn.
const CONNECTIONS_MAX: usize = 256;
/// How long a client may take over its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an answer that is on its way may take when the simulator stops.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// The wait after a connection that could not be accepted (no file descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the connections and the handles have in common.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) events: broadcast::Sender<SimulatorEvent>,
    pub(super) state: Mutex<State>,
}

impl Shared {
    /// The state, also after a panic in a test that held it.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, event: SimulatorEvent) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }

    fn now(&self) -> UnixMs {
        self.clock.unix()
    }

    fn exchange(&self, request: &request::Request) -> Exchange {
        let mut state = self.lock();
        let mut exchange = state.exchange(request, self.now());
        if let Some(sent) = exchange.sent.take() {
            self.tell(SimulatorEvent::Sent(sent));
        }
        if let Some(call) = exchange.call.take() {
            self.tell(SimulatorEvent::Called(call));
        }
        exchange
    }

    fn end(&self, state: &mut State, ticket: Option<Ticket>, ending: Ending, at: UnixMs) {
        let ended = ticket.and_then(|ticket| state.ledger.end_read(ticket, ending, at));
        if let Some(request) = ended {
            self.tell(SimulatorEvent::Read(request));
        }
    }

    /// Writes the byte that makes an answer whole, under the lock: whoever has read it finds
    /// the books written.
    fn write_last(&self, stream: &TcpStream, last: u8, ticket: Option<Ticket>) -> io::Result<()> {
        let mut state = self.lock();
        let at = self.now();
        match stream.try_write(&[last])? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            _ => {
                self.end(&mut state, ticket, Ending::Whole, at);
                Ok(())
            }
        }
    }
}

/// Listens on `address` and serves until the token is cancelled.
pub(super) async fn start(
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tasks.spawn(accept(listener, shared, stop, tasks.clone()));
    Ok(address)
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        match stop.run_until_cancelled(next).await {
            None => return,
            Some((slot, Ok((stream, _)))) => {
                let (shared, stop) = (Arc::clone(&shared), stop.clone());
                tasks.spawn(async move {
                    let _slot = slot;
                    serve(stream, &shared, &stop).await;
                });
            }
            Some((_, Err(error))) => {
                tracing::warn!(%error, "the simulator could not accept a connection");
                pause(ACCEPT_PAUSE, &stop).await;
            }
        }
    }
}

/// Answers the one request of a connection.
async fn serve(mut stream: TcpStream, shared: &Shared, stop: &CancellationToken) {
    // Without this, small pieces would be put together on their way. If it fails, they are.
    let _ = stream.set_nodelay(true);
    let received = tokio::time::timeout(REQUEST_TIMEOUT, request::receive(&mut stream));
    let exchange = match stop.run_until_cancelled(received).await {
        None | Some(Err(_)) => return,
        Some(Ok(Ok(request))) => shared.exchange(&request),
        Some(Ok(Err(error))) => match error.http_status() {
            Some(http_status) => {
                shared.tell(SimulatorEvent::Called(unread(http_status, shared.now())));
                refuses(http_status)
            }
            None => return,
        },
    };
    let mut at = shared.now();
    let whole = tokio::select! {
        played = play(&mut stream, &exchange, &mut at, shared, stop) => played.unwrap_or(false),
        () = grace(stop) => false,
    };
    if !whole {
        shared.end(&mut shared.lock(), exchange.ticket, Ending::Broken, at);
    }
    // The client is answered or gone: nothing is left to tell it.
    let _ = stream.shutdown().await;
}

/// A request that could not be read.
fn unread(http_status: u16, at: UnixMs) -> Call {
    Call { at, path: String::new(), uid: String::new(), status: None, http_status }
}

/// Writes an answer; whether it went out whole. `at` is the moment before the last bytes.
async fn play(
    stream: &mut TcpStream,
    exchange: &Exchange,
    at: &mut UnixMs,
    shared: &Shared,
    stop: &CancellationToken,
) -> io::Result<bool> {
    let Script { pieces, last } = &exchange.script;
    for piece in pieces {
        *at = shared.now();
        stream.write_all(&piece.bytes).await?;
        pause(piece.then, stop).await;
    }
    let Some(last) = last else { return Ok(false) };
    loop {
        stream.writable().await?;
        match shared.write_last(stream, *last, exchange.ticket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return written.map(|()| true),
        }
    }
}

/// Waits on the machine's clock, but not for longer than the simulator runs.
async fn pause(span: Duration, stop: &CancellationToken) {
    if !span.is_zero() {
        let _ = stop.run_until_cancelled(tokio::time::sleep(span)).await;
    }
}

async fn grace(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_GRACE).await;
}

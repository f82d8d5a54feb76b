//! A bad line to a receiver: a proxy that now and then loses requests and answers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::chance::Dice;

const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
const BROKEN: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

/// A line to a receiver. While it is bad, connections are dropped, requests are answered 5xx
/// with and without the receiver's knowledge, and its answers are cut, lost or late.
#[derive(Clone)]
pub(crate) struct Line {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    to: SocketAddr,
    /// What a late answer waits: longer than the sender does.
    late: Duration,
    is_bad: AtomicBool,
    broken: AtomicU64,
    dice: Mutex<Dice>,
}

impl Line {
    /// A good line to the server of a URL.
    pub(crate) async fn to(url: &str, seed: u64, late: Duration) -> Self {
        let to = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(State {
            to: to.parse().unwrap(),
            late,
            is_bad: AtomicBool::new(false),
            broken: AtomicU64::new(0),
            dice: Mutex::new(Dice::new(seed)),
        });
        let line = Self { address: listener.local_addr().unwrap(), state: Arc::clone(&state) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                // A connection that fails is what this is for.
                tokio::spawn(async move { drop(carry(stream, &state).await) });
            }
        });
        line
    }

    /// The URL that leads over this line.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks/sms", self.address)
    }

    pub(crate) fn set_bad(&self, is_bad: bool) {
        self.state.is_bad.store(is_bad, Ordering::Relaxed);
    }

    /// How many requests and answers it broke.
    pub(crate) fn broken(&self) -> u64 {
        self.state.broken.load(Ordering::Relaxed)
    }
}

impl State {
    /// A number below `limit` if something is to break now, which it is in a third of all cases.
    fn breaks(&self, limit: u64) -> Option<u64> {
        let mut dice = self.dice.lock().unwrap();
        let kind = dice.below(3 * limit);
        let breaks = self.is_bad.load(Ordering::Relaxed) && kind < limit;
        self.broken.fetch_add(u64::from(breaks), Ordering::Relaxed);
        breaks.then_some(kind)
    }
}

/// Carries what is said on one connection, until a side ends it or the line breaks it.
async fn carry(mut sender: TcpStream, state: &State) -> std::io::Result<()> {
    match state.breaks(2) {
        Some(0) => return Ok(()),
        Some(_) => {
            let _request = sender.read(&mut [0; 16 * 1024]).await?;
            return sender.write_all(UNAVAILABLE).await;
        }
        None => {}
    }
    let mut receiver = TcpStream::connect(state.to).await?;
    let (mut from_sender, mut to_sender) = sender.split();
    let (mut from_receiver, mut to_receiver) = receiver.split();
    tokio::select! {
        copied = tokio::io::copy(&mut from_sender, &mut to_receiver) => copied.map(drop),
        carried = async {
            let mut piece = [0; 16 * 1024];
            loop {
                let length = from_receiver.read(&mut piece).await?;
                let answer = &piece[..length];
                match state.breaks(4) {
                    _ if length == 0 => return Ok(()),
                    Some(0) => return Ok(()),
                    Some(1) => return to_sender.write_all(&answer[..length / 8]).await,
                    Some(2) => return to_sender.write_all(BROKEN).await,
                    Some(_) => tokio::time::sleep(state.late).await,
                    None => {}
                }
                to_sender.write_all(answer).await?;
            }
        } => carried,
    }
}

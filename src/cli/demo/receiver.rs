//! The demo's receiver: verifies every webhook, dedupes by its id, and now and then fails.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cli::receiving::{Seen, Sighting, header};
use crate::clock::Clock;
use crate::config::WebhookSecret;
use crate::delivery::sign::{self, Signed};

/// Each so-many-th new webhook is refused at its first attempt, to show a retry.
const REFUSE_EVERY: usize = 4;

/// What the receiver did with a request.
pub(super) struct Webhook {
    pub(super) id: String,
    pub(super) attempt: String,
    pub(super) verdict: Verdict,
}

/// Its verdict on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Verified and new.
    Accepted,
    /// Verified and known: accepted, and not used twice.
    Repeated,
    /// Verified, and refused on purpose.
    Refused,
    /// Not verified, or other bytes under a known id.
    Wrong,
}

#[derive(Clone)]
struct Receiver {
    clock: Clock,
    secret: WebhookSecret,
    memory: Arc<Mutex<Memory>>,
    webhooks: mpsc::UnboundedSender<Webhook>,
}

#[derive(Default)]
struct Memory {
    seen: Seen,
    /// Ids that were refused and did not come again yet.
    refused: HashSet<String>,
}

/// Listens on a free port of the loopback address and tells of every request.
pub(super) async fn start(
    clock: Clock,
    secret: WebhookSecret,
    webhooks: mpsc::UnboundedSender<Webhook>,
    stop: CancellationToken,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let receiver = Receiver { clock, secret, memory: Arc::default(), webhooks };
    let router = Router::new().route("/hooks/sms", post(receive)).with_state(receiver);
    tokio::spawn(async move {
        axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
    });
    Ok(address)
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name| header(&headers, name).unwrap_or_default();
    let (id, attempt) = (header("webhook-id").to_owned(), header("replyd-attempt").to_owned());
    let verdict =
        match receiver.verify(&id, header("webhook-timestamp"), header("webhook-signature"), &body)
        {
            true => receiver.judge(&id, &body),
            false => Verdict::Wrong,
        };
    // A demo that has ended wants no more news.
    drop(receiver.webhooks.send(Webhook { id, attempt, verdict }));
    match verdict {
        Verdict::Accepted | Verdict::Repeated => StatusCode::NO_CONTENT,
        Verdict::Refused => StatusCode::SERVICE_UNAVAILABLE,
        Verdict::Wrong => StatusCode::UNAUTHORIZED,
    }
}

impl Receiver {
    fn verify(&self, id: &str, timestamp: &str, signature: &str, body: &[u8]) -> bool {
        let Ok(timestamp) = timestamp.parse() else { return false };
        let now = self.clock.unix().seconds();
        sign::verify(&self.secret, Signed { id, timestamp, body }, signature, now).is_ok()
    }

    fn judge(&self, id: &str, body: &[u8]) -> Verdict {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let sighting = memory.seen.note(id, body);
        let refuses = memory.seen.len().is_multiple_of(REFUSE_EVERY);
        match sighting {
            Sighting::OtherBytes => Verdict::Wrong,
            Sighting::New if refuses => {
                memory.refused.insert(id.to_owned());
                Verdict::Refused
            }
            Sighting::Again(_) if !memory.refused.remove(id) => Verdict::Repeated,
            Sighting::New | Sighting::Again(_) => Verdict::Accepted,
        }
    }
}

//! A faithful gateway for the demo and the tests: it keeps accounts, replies and boxes as the
//! provider does, and answers over real loopback connections.
//!
//! Most of what can be lost is lost between the gateway's books and the client's disk, so the
//! server writes bytes itself: it can cut, stall and garble an answer at any of them, and its
//! books know what the client should have. It shares no code with the client that it tests,
//! except what a time, a charset and a status code are.
//!
//! - [`ledger`]: the books, pure.
//! - `request`, `routes`, `script`, `server`: a request, what it does, what is written, the
//!   sockets.

pub(crate) mod chance;
mod fault;
mod habits;
pub mod ledger;
mod records;
mod request;
mod routes;
mod script;
mod server;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use fault::{Chaos, Fault};
pub use habits::{Consume, Habits, TimeMarks, TooEarly};
pub use records::{
    AnsweredBy, Asked, BegunRead, Call, Ending, LedgerReply, Login, Message, NewAccount, NewReply,
    Read, ReadRequest, Sent, Ticket,
};

use crate::clock::Clock;
use crate::gateway::status::Status;
use ledger::Ledger;
use routes::State;
use server::Shared;

/// Events that a slow listener may lag behind before it misses the oldest.
const EVENTS_MAX: usize = 1024;

/// What a simulator starts with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; by default on a free port of the loopback address.
    pub address: SocketAddr,
    /// How it behaves.
    pub habits: Habits,
    /// Its accounts; by default the one of the provider's examples.
    pub accounts: Vec<NewAccount>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            habits: Habits::default(),
            accounts: vec![NewAccount::example()],
        }
    }
}

/// Something that happened at the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimulatorEvent {
    /// A reply arrived.
    Arrived {
        /// Its number in the ledger.
        number: usize,
        /// The reply.
        reply: LedgerReply,
    },
    /// The answer to an `/rx` request ended.
    Read(ReadRequest),
    /// A message was accepted.
    Sent(Sent),
    /// Any other request was answered.
    Called(Call),
}

/// A handle on a running gateway. Cheap to clone; the gateway runs until [`Simulator::stop`],
/// or until the runtime ends, not until the last handle is gone.
#[derive(Clone)]
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Simulator {
    /// Listens, and serves in the background.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(options: Options, clock: Clock) -> io::Result<Self> {
        let Options { address, habits, accounts } = options;
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let state = Mutex::new(State::new(Ledger::new(habits, accounts)));
        let shared = Arc::new(Shared { clock, events, state });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let address =
            server::start(address, Arc::clone(&shared), stop.clone(), tasks.clone()).await?;
        Ok(Self { address, shared, stop, tasks })
    }

    /// Stops listening, lets answers under way end within a second, and waits for that. A stall
    /// ends at once.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client is configured with: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A reply arrives at an account; gives its number in the ledger.
    pub fn arrive(&self, uid: &str, reply: NewReply) -> usize {
        let mut state = self.shared.lock();
        let number = state.ledger.arrive(uid, reply);
        if let Some(reply) = state.ledger.replies().get(number).cloned() {
            self.shared.tell(SimulatorEvent::Arrived { number, reply });
        }
        number
    }

    /// Every reply that ever arrived, by its number.
    #[must_use]
    pub fn ledger(&self) -> Vec<LedgerReply> {
        self.shared.lock().ledger.replies().to_vec()
    }

    /// How many replies are in an account's box.
    #[must_use]
    pub fn waiting(&self, uid: &str) -> usize {
        self.shared.lock().ledger.waiting(uid)
    }

    /// The number that an account sends from.
    #[must_use]
    pub fn number(&self, uid: &str) -> Option<String> {
        self.shared.lock().ledger.number(uid).map(str::to_owned)
    }

    /// Reads that came before the interval was over: a right client has none.
    #[must_use]
    pub fn early_reads(&self) -> u64 {
        self.shared.lock().ledger.early_reads()
    }

    /// The last 100,000 requests to `/rx`, refused ones too, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<ReadRequest> {
        self.shared.lock().ledger.requests().cloned().collect()
    }

    /// The last 100,000 messages accepted, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.lock().ledger.sent().cloned().collect()
    }

    /// Answers every call of an account with a code (109: it is frozen), or no longer.
    pub fn set_status(&self, uid: &str, status: Option<Status>) {
        self.shared.lock().ledger.set_status(uid, status);
    }

    /// Breaks the answer to an `/rx` request: each of these faults one, in order, whoever asks.
    pub fn fault_next(&self, fault: Fault) {
        self.shared.lock().faults.push_back(fault);
    }

    /// Breaks the answer to an `/rx` request of one account: each of these faults one, in order.
    pub fn fault_next_of(&self, uid: &str, fault: Fault) {
        self.shared.lock().faults_of.entry(uid.to_owned()).or_default().push_back(fault);
    }

    /// Breaks answers by chance, where no fault is asked for; or no longer.
    pub fn set_chaos(&self, chaos: Option<Chaos>) {
        self.shared.lock().set_chaos(chaos);
    }

    /// What happens from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<SimulatorEvent> {
        self.shared.events.subscribe()
    }
}

#[cfg(test)]
mod tests;

//! Delivers to one subscriber: claims what is due, signs, sends, records.
//!
//! Each subscriber has a worker, a client and a backlog of its own, so that a dead one delays
//! nobody else. What a worker holds in memory is only what it is sending; a worker that dies
//! leaves leases, which end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock::{Clock, random_fraction};
use crate::config::SubscriberConfig;
use crate::delivery::guard::{self, GuardedResolver};
use crate::delivery::retry::{self, Failure, Rules};
use crate::delivery::target::{Verdict, webhook};
use crate::store::Store;
use crate::store::delivery::{Attempt, Claim, Next};
use crate::store::error::StoreError;
use crate::time::UnixMs;

/// What a claim's lease lasts beyond its attempt's timeout: time to record the outcome.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// The most of an answer that is kept; the rest is never read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// The longest sleep: what a clock that was set hides is noticed after it at the latest.
const REST_MAX: Duration = Duration::from_mins(1);
/// Wait before a store that failed is tried again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// A worker that could not be made or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The HTTP client could not be built.
    #[error("subscriber {subscriber:?}: cannot prepare HTTP requests: {reason}")]
    Client {
        /// The subscriber.
        subscriber: String,
        /// Why not.
        reason: String,
    },
    /// The store is closed.
    #[error("subscriber {subscriber:?}: {source}")]
    Store {
        /// The subscriber.
        subscriber: String,
        /// Why.
        source: StoreError,
    },
}

/// Delivers to one subscriber.
pub struct Worker {
    store: Store,
    sender: Arc<Sender>,
}

/// What an attempt needs, shared by those under way.
struct Sender {
    clock: Clock,
    config: SubscriberConfig,
    http: reqwest::Client,
}

impl Worker {
    /// Prepares a subscriber's deliveries.
    ///
    /// # Errors
    /// When its HTTP client cannot be built.
    pub fn new(
        store: Store,
        clock: Clock,
        config: SubscriberConfig,
    ) -> Result<Self, DeliveryError> {
        let http = client(&config).map_err(|error| DeliveryError::Client {
            subscriber: config.name.clone(),
            reason: error.without_url().to_string(),
        })?;
        Ok(Self { store, sender: Arc::new(Sender { clock, config, http }) })
    }

    /// Delivers for ever, until told to stop; attempts under way are waited for.
    ///
    /// # Errors
    /// When the store is closed. Everything else is told and tried again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), DeliveryError> {
        let mut changes = self.store.changes();
        let mut under_way = JoinSet::new();
        // A failing store is told when it begins to fail, not at every try.
        let mut told = false;
        while !stop.is_cancelled() {
            changes.mark_unchanged();
            let rest = match self.send_due(&mut under_way).await {
                Ok(rest) => {
                    told = false;
                    rest
                }
                Err(source @ StoreError::Closed) => return Err(self.failed(source)),
                Err(source) => {
                    if !told {
                        error!(subscriber = self.name(), error = %source, "delivery waits for the store");
                    }
                    told = true;
                    STORE_RETRY
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = under_way.join_next() => {}
                changed = changes.changed() => {
                    if changed.is_err() {
                        return Err(self.failed(StoreError::Closed));
                    }
                }
                () = self.sender.clock.sleep(rest) => {}
            }
        }
        while under_way.join_next().await.is_some() {}
        Ok(())
    }

    /// Delivers what is due now, and ends: for a run that ends by itself. Failures wait for
    /// their time. Returns how many attempts failed.
    ///
    /// # Errors
    /// The store's own.
    pub async fn run_once(&self, stop: &CancellationToken) -> Result<usize, StoreError> {
        let started = self.sender.clock.now().unix;
        let mut failures = 0;
        let mut under_way = JoinSet::new();
        loop {
            let free = if stop.is_cancelled() { 0 } else { self.free(&under_way) };
            let claims = self.claim(started, free).await?;
            self.send(claims, &mut under_way);
            match under_way.join_next().await {
                Some(Ok(delivered)) => failures += usize::from(!delivered),
                Some(Err(_)) => failures += 1,
                None => return Ok(failures),
            }
        }
    }

    fn name(&self) -> &str {
        &self.sender.config.name
    }

    fn failed(&self, source: StoreError) -> DeliveryError {
        DeliveryError::Store { subscriber: self.name().to_owned(), source }
    }

    fn free(&self, under_way: &JoinSet<bool>) -> usize {
        self.sender.config.concurrency.saturating_sub(under_way.len())
    }

    /// Starts what is due and says how long until something else is.
    async fn send_due(&self, under_way: &mut JoinSet<bool>) -> Result<Duration, StoreError> {
        let free = self.free(under_way);
        if free == 0 {
            return Ok(REST_MAX);
        }
        let now = self.sender.clock.now().unix;
        let Some(due) = self.store.next_due(self.name()).await? else { return Ok(REST_MAX) };
        if due > now {
            return Ok(due.since(now).min(REST_MAX));
        }
        let claims = self.claim(now, free).await?;
        let rest = if claims.len() == free { REST_MAX } else { Duration::ZERO };
        self.send(claims, under_way);
        Ok(rest)
    }

    async fn claim(&self, now: UnixMs, limit: usize) -> Result<Vec<Claim>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let lease_end =
            self.sender.clock.now().unix.after(self.sender.config.timeout + LEASE_MARGIN);
        self.store.claim(self.name(), now, lease_end, limit).await
    }

    fn send(&self, claims: Vec<Claim>, under_way: &mut JoinSet<bool>) {
        for claim in claims {
            let (store, sender) = (self.store.clone(), Arc::clone(&self.sender));
            under_way.spawn(async move {
                let attempt = sender.attempt(&claim).await;
                let delivered = attempt.next == Next::Delivered;
                record(&store, &sender.config.name, attempt).await;
                delivered
            });
        }
    }
}

/// Records an attempt; while the store fails, again and again: else the receiver would be told
/// once more what it was told already. The lease bounds it: after that another may send it.
async fn record(store: &Store, subscriber: &str, attempt: Attempt) {
    for _ in 0..LEASE_MARGIN.as_secs() {
        match store.record_attempt(attempt.clone()).await {
            Ok(()) => return,
            Err(error) => error!(subscriber, %error, "an attempt could not be recorded"),
        }
        tokio::time::sleep(STORE_RETRY).await;
    }
}

/// What one request came to.
#[derive(Default)]
struct Exchange {
    address: Option<SocketAddr>,
    http_status: Option<u16>,
    /// The header, as it came.
    retry_after: Option<String>,
    answer: Vec<u8>,
    error: Option<String>,
}

impl Sender {
    /// Makes one attempt and decides what follows.
    async fn attempt(&self, claim: &Claim) -> Attempt {
        let started = self.clock.now();
        let mut exchange = Exchange::default();
        let limit = self.clock.real(self.config.timeout);
        if tokio::time::timeout(limit, self.exchange(claim, started.unix, &mut exchange))
            .await
            .is_err()
            && exchange.http_status.is_none()
        {
            let within = crate::time::format_duration(self.config.timeout);
            exchange.error = Some(format!("no answer within {within}"));
        }
        let ended = self.clock.now();
        let verdict = match (&exchange.error, exchange.http_status) {
            (Some(error), _) => Verdict::Failed(error.clone()),
            (None, Some(status)) => webhook::judge(status),
            (None, None) => Verdict::Failed("no answer".to_owned()),
        };
        let (error, next, explanation) = match verdict {
            Verdict::Delivered => (None, Next::Delivered, "delivered".to_owned()),
            Verdict::Failed(reason) => {
                let rules = Rules { waits: &self.config.retry, give_up: self.config.give_up };
                let (attempt, created) = (claim.attempt, claim.created);
                let retry_after = exchange
                    .retry_after
                    .as_deref()
                    .and_then(|value| retry::retry_after(value, ended.unix));
                let (now, dice) = (ended.unix, random_fraction());
                let failure = Failure { attempt, created, now, retry_after, dice };
                let (next, explanation) = retry::after_failure(rules, failure);
                (Some(reason), next, explanation)
            }
        };
        self.tell(claim, &exchange, error.as_deref(), next, &explanation);
        Attempt {
            delivery: claim.delivery,
            lease: claim.lease,
            number: claim.attempt,
            started: started.unix,
            took: Duration::from_millis((ended.boot_ms - started.boot_ms).max(0).unsigned_abs()),
            address: exchange.address.map(|address| address.to_string()),
            http_status: exchange.http_status,
            error,
            answer: exchange.answer,
            explanation,
            next,
        }
    }

    /// Sends the event and reads the first of the answer. What was learnt stands in `exchange`
    /// when the deadline ends this.
    async fn exchange(&self, claim: &Claim, now: UnixMs, exchange: &mut Exchange) {
        if !self.config.allow_private
            && let Err(refused) = guard::vet_url(&self.config.url)
        {
            exchange.error = Some(refused.to_string());
            return;
        }
        let mut request = self.http.post(self.config.url.clone());
        for (name, value) in webhook::headers(claim, &self.config.secrets, now.seconds()) {
            request = request.header(name, value);
        }
        for (name, value) in &self.config.headers {
            request = request.header(name, value.expose_secret());
        }
        let mut response = match request.body(claim.body.clone()).send().await {
            Ok(response) => response,
            Err(error) => {
                exchange.error = Some(in_words(error));
                return;
            }
        };
        exchange.address = response.remote_addr();
        exchange.http_status = Some(response.status().as_u16());
        let retry_after = response.headers().get(reqwest::header::RETRY_AFTER);
        exchange.retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // An answer that breaks or is too long after a 2xx is a success all the same.
        while let Ok(Some(piece)) = response.chunk().await {
            let room = ANSWER_BYTES_MAX - exchange.answer.len();
            exchange.answer.extend(piece.iter().take(room));
            if piece.len() >= room {
                return;
            }
        }
    }

    fn tell(
        &self,
        claim: &Claim,
        exchange: &Exchange,
        error: Option<&str>,
        next: Next,
        explanation: &str,
    ) {
        let (subscriber, attempt, http_status) =
            (&self.config.name, claim.attempt, exchange.http_status);
        let id = &claim.event_id;
        match (next, error) {
            (Next::Delivered, _) => info!(subscriber, id, attempt, http_status, "delivered"),
            (Next::RetryAt(_), error) => {
                warn!(subscriber, id, attempt, error, next = explanation, "not delivered")
            }
            (Next::Failed, error) => {
                error!(subscriber, id, attempt, error, next = explanation, "given up")
            }
        }
    }
}

fn client(config: &SubscriberConfig) -> Result<reqwest::Client, reqwest::Error> {
    crate::tls::install_provider();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("replyd/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy();
    if !config.allow_private {
        let proxy = config.proxy.as_ref().and_then(|proxy| proxy.host_str()).map(str::to_owned);
        builder = builder.dns_resolver(GuardedResolver { proxy });
    }
    if let Some(proxy) = &config.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.as_str())?);
    }
    builder.build()
}

/// What went wrong, without the URL, which may hold a token.
fn in_words(error: reqwest::Error) -> String {
    let what = if error.is_connect() { "cannot connect" } else { "the request failed" };
    let error = error.without_url();
    let mut root: &dyn std::error::Error = &error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    format!("{what}: {root}")
}

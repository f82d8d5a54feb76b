//! Delivers to one subscriber: claims what is due, has it sent, records.
//!
//! Each subscriber has a worker, a client and a backlog of its own, so that a dead one delays
//! nobody else. Its work comes in turns: one act of the store records what the attempts came to
//! that ended since the last turn, and claims the next. How many that are grows with how fast the
//! receiver answers, so that many deliveries cost few commits and a single one goes out at once.
//!
//! What a worker holds in memory is what it is sending, what it is about to send and what it is
//! about to record; a worker that dies leaves leases, which end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::clock::{Clock, random_fraction};
use crate::config::{Order, SubscriberConfig};
use crate::delivery::attempts::Attempts;
use crate::delivery::desk::{Desk, HandOver, LEASE_MARGIN, STARTED_WITHIN};
use crate::delivery::explain;
use crate::delivery::messages::Shape;
use crate::delivery::notices;
use crate::delivery::pace::Limits;
use crate::delivery::sender::{Sender, SenderError};
use crate::delivery::standing::{self, News, Rules};
use crate::event::Notice;
use crate::metrics::Metrics;
use crate::pulse::Pulses;
use crate::store::Store;
use crate::store::attempt::Attempt;
use crate::store::delivery::Claim;
use crate::store::error::StoreError;
use crate::store::turn::{Decided, Lanes, Line, Standing, Tell, Turn, Turned};
use crate::time::UnixMs;

/// The longest sleep: what a clock that was set hides is noticed after it at the latest.
const REST_MAX: Duration = Duration::from_mins(1);
/// A worker that has not come round for so long hangs: a rest is shorter, and nothing else is
/// waited for by itself.
const SILENCE_MAX: Duration = Duration::from_mins(3);
/// Wait before a store that failed is tried again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// A worker that had to stop.
#[derive(Debug, thiserror::Error)]
#[error("subscriber {subscriber:?}: {source}")]
pub struct WorkerError {
    /// The subscriber.
    subscriber: String,
    /// Why: the store is closed.
    source: StoreError,
}

/// Delivers to one subscriber.
pub struct Worker {
    store: Store,
    sender: Arc<Sender>,
    pulses: Pulses,
}

/// A turn under way, with what it is about to record.
type UnderWay = Pin<Box<dyn Future<Output = (Arc<Turn>, Done)> + Send>>;
/// What it brought, and how many messages a product lets through.
type Done = Result<(Turned, usize), StoreError>;

impl Worker {
    /// Prepares a subscriber's deliveries.
    ///
    /// # Errors
    /// When its HTTP client cannot be built.
    pub fn new(
        store: Store,
        clock: Clock,
        config: SubscriberConfig,
        metrics: &Metrics,
    ) -> Result<Self, SenderError> {
        let sender = Arc::new(Sender::new(config, clock)?.counting(metrics));
        Ok(Self { store, sender, pulses: Pulses::default() })
    }

    /// The same, which shows there that it is alive while it runs.
    #[must_use]
    pub fn pulsing(self, pulses: &Pulses) -> Self {
        Self { pulses: pulses.clone(), ..self }
    }

    /// Delivers for ever, until told to stop; attempts under way are waited for.
    ///
    /// # Errors
    /// When the store is closed. Everything else is told and tried again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WorkerError> {
        let pulse = self.pulses.pulse(&format!("subscriber {}", self.name()), SILENCE_MAX);
        let mut changes = self.store.changes();
        let mut attempts = self.attempts();
        let mut turn: Option<UnderWay> = None;
        // A failing store is told when it begins to fail, not at every try.
        let mut told = false;
        while !stop.is_cancelled() {
            pulse.beat(SILENCE_MAX);
            let now = self.now();
            let rest = attempts.desk().rest(now);
            if turn.is_none() && rest.is_zero() {
                turn = Some(self.begin(&attempts, now, None));
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = attempts.news() => {}
                (tried, done) = end_of(&mut turn) => {
                    turn = None;
                    match done {
                        Ok((turned, messages_max)) => {
                            told = false;
                            attempts.begin(turned, messages_max, (tried.now, self.now()));
                        }
                        Err(source @ StoreError::Closed) => return Err(self.failed(source)),
                        Err(source) => {
                            if !told {
                                error!(subscriber = self.name(), error = %source, "delivery waits for the store");
                            }
                            told = true;
                            attempts.desk().take_back(&tried, self.now().after(STORE_RETRY));
                        }
                    }
                }
                changed = changes.changed() => {
                    if changed.is_err() {
                        return Err(self.failed(StoreError::Closed));
                    }
                    attempts.desk().look_again();
                }
                () = self.sender.clock().sleep(rest.min(REST_MAX)), if turn.is_none() => {}
            }
        }
        self.wind_up(&attempts, turn).await;
        Ok(())
    }

    /// Delivers what is due now, and ends: for a run that ends by itself. Failures wait for
    /// their time. Returns how many attempts failed.
    ///
    /// # Errors
    /// The store's own.
    pub async fn run_once(&self, stop: &CancellationToken) -> Result<usize, StoreError> {
        let due = self.now();
        let mut attempts = self.attempts();
        while !stop.is_cancelled() {
            let (tried, done) = self.begin(&attempts, self.now(), Some(due)).await;
            let (turned, messages_max) = done?;
            let has_more = turned.next.is_some_and(|next| next <= due);
            let limits = self.rules().limits;
            let opens = standing::pace_of(&turned.standing).opens_for_rate(limits, self.now());
            let has_begun = attempts.begin(turned, messages_max, (tried.now, self.now()));
            match (has_begun, opens) {
                (true, _) => attempts.at_rest().await,
                // Only its rate limit keeps the rest back.
                (false, Some(opens)) if has_more => {
                    let wait = self.sender.clock().sleep(opens.since(self.now()));
                    stop.run_until_cancelled(wait).await;
                }
                (false, _) => break,
            }
        }
        let failures = attempts.desk().failures();
        self.wind_up(&attempts, None).await;
        Ok(failures)
    }

    fn now(&self) -> UnixMs {
        self.sender.clock().unix()
    }

    fn name(&self) -> &str {
        &self.sender.config().name
    }

    fn failed(&self, source: StoreError) -> WorkerError {
        WorkerError { subscriber: self.name().to_owned(), source }
    }

    fn attempts(&self) -> Attempts {
        let desk = Desk::new(Arc::clone(&self.sender), self.rules().limits);
        Attempts::new(desk, Arc::clone(&self.sender))
    }

    fn rules(&self) -> Rules {
        let config = self.sender.config();
        let limits = Limits { concurrency: config.concurrency, rate: config.rate_limit };
        let wait_max = config.retry.iter().max().copied().unwrap_or_default();
        Rules { limits, disable_after: config.disable_after, wait_max }
    }

    /// Begins a turn: what ended goes to the store, and what is due by `due`, or by now, comes back.
    fn begin(&self, attempts: &Attempts, now: UnixMs, due: Option<UnixMs>) -> UnderWay {
        let handed = attempts.desk().hand_over();
        let HandOver { outcomes, lease, in_hand, gives_back, room, under_way } = handed;
        let config = self.sender.config();
        let turn = Arc::new(Turn {
            subscriber: config.name.clone(),
            outcomes,
            lease,
            in_hand,
            gives_back,
            due: due.unwrap_or(now),
            now,
            lease_end: now.after(config.timeout + STARTED_WITHIN + LEASE_MARGIN),
            line: match (config.order, self.sender.shape()) {
                (Order::None, _) => Line::Any,
                (Order::Mobile, None) => Line::OneByOne,
                (Order::Mobile, Some(_)) => Line::Together,
            },
        });
        let (store, rules) = (self.store.clone(), self.rules());
        let shape = self.sender.shape().cloned();
        let is_quiet = config.quiet_hours.is_some_and(|hours| hours.end(now).is_some());
        Box::pin(async move {
            let asked = Asked { rules, shape, is_quiet, room, under_way };
            let done = take_turn(&store, Arc::clone(&turn), asked).await;
            (turn, done)
        })
    }

    /// Waits for what is under way, records it and gives back what was not begun.
    async fn wind_up(&self, attempts: &Attempts, mut turn: Option<UnderWay>) {
        attempts.desk().close();
        if turn.is_some() {
            let (tried, done) = end_of(&mut turn).await;
            match done {
                // Nothing of it is begun any more.
                Ok((turned, messages_max)) => {
                    attempts.desk().turned(turned, messages_max, (tried.now, self.now()));
                }
                Err(_) => attempts.desk().take_back(&tried, self.now()),
            }
        }
        attempts.at_rest().await;
        // While the store fails, again: else the receiver would be told once more what it was
        // told already. The lease bounds it: after that another may send it.
        for _ in 0..LEASE_MARGIN.as_secs() {
            if !attempts.desk().has_something_to_hand_over() {
                return;
            }
            match self.begin(attempts, self.now(), None).await {
                (_, Ok(_)) => return,
                (tried, Err(error)) => {
                    error!(subscriber = self.name(), %error, "attempts could not be recorded");
                    attempts.desk().take_back(&tried, self.now());
                }
            }
            tokio::time::sleep(STORE_RETRY).await;
        }
    }
}

/// Waits for the end of the turn under way; for ever where there is none.
async fn end_of(turn: &mut Option<UnderWay>) -> (Arc<Turn>, Done) {
    match turn {
        Some(turn) => turn.await,
        None => std::future::pending().await,
    }
}

/// Takes a turn. One that has nothing to record first looks whether anything is due: looking
/// keeps nobody from writing.
async fn take_turn(store: &Store, turn: Arc<Turn>, asked: Asked) -> Done {
    if turn.outcomes.is_empty() && !turn.gives_back {
        let next = store.next_due(&turn.subscriber, turn.lease).await?;
        if next.is_none_or(|next| next > turn.due) {
            let standing = store.standing(&turn.subscriber).await?;
            let lease = turn.lease;
            return Ok((Turned { claims: Vec::new(), lease, next, standing }, 0));
        }
    }
    let (now, name) = (turn.now, turn.subscriber.clone());
    let messages = Arc::new(AtomicUsize::new(0));
    let let_through = Arc::clone(&messages);
    let decide = move |standing: Standing, outcomes: &[Attempt]| {
        asked.decide(standing, outcomes, (name, now), &let_through)
    };
    let turned = store.turn(turn, decide).await?;
    Ok((turned, messages.load(Ordering::Relaxed)))
}

/// By which rules is decided, and what a desk asks for.
struct Asked {
    rules: Rules,
    /// How messages are made, where a product gets them.
    shape: Option<Shape>,
    /// Whether nothing goes out at this time of the day.
    is_quiet: bool,
    room: Lanes,
    under_way: usize,
}

impl Asked {
    /// Judges how a subscriber does, and says what may be claimed. How many messages a product lets
    /// through is left in `messages`.
    fn decide(
        self,
        standing: Standing,
        outcomes: &[Attempt],
        (name, now): (String, UnixMs),
        messages: &AtomicUsize,
    ) -> Decided {
        let Self { rules, shape, is_quiet, room, under_way } = self;
        let limits = rules.limits;
        let (standing, mut pace, news) =
            standing::after(standing, outcomes, rules, now, random_fraction());
        let (allowed, messages_max) = match (standing.disabled, &shape) {
            (Some(_), _) => (Lanes::default(), 0),
            _ if is_quiet => (Lanes::default(), 0),
            (None, None) => (pace.allows(limits, under_way, room, now), usize::MAX),
            (None, Some(_)) => pace.allows_messages(limits, room, now),
        };
        messages.store(messages_max, Ordering::Relaxed);
        let spend = Box::new(move |claims: &[Claim]| {
            let requests = match &shape {
                Some(shape) => shape.plan(claims, messages_max).messages.len(),
                None => claims.len(),
            };
            let replays = claims.iter().filter(|claim| claim.is_replay()).count();
            // A message that holds anything new is no replay.
            let replays = match shape {
                Some(_) if replays < claims.len() => 0,
                _ => replays.min(requests),
            };
            pace.spend(Lanes { new: requests - replays, replays }, limits, now);
            pace.keep()
        });
        let tell = tell(name, news, outcomes, now);
        Decided { standing, allowed, spend, tell }
    }
}

/// What the other subscribers are told, if there is news of this one.
fn tell(name: String, news: Vec<News>, outcomes: &[Attempt], now: UnixMs) -> Option<Tell> {
    if news.is_empty() {
        return None;
    }
    let last = outcomes.iter().rev().find_map(|outcome| outcome.trouble.as_ref());
    let last_trouble = last.map(explain::in_few_words).unwrap_or_default();
    Some(Box::new(move |subscribers| {
        let notice = |news: &News| match *news {
            News::Failing { since, disables: disables_at } => Notice::SubscriberFailing {
                subscriber: &name,
                since,
                disables_at,
                last_trouble: &last_trouble,
            },
            News::Disabled { why, since } => {
                Notice::SubscriberDisabled { subscriber: &name, since, reason: why.as_str() }
            }
        };
        news.iter().map(|news| notices::tell(notice(news), now, subscribers)).collect()
    }))
}

#[cfg(test)]
mod tests;

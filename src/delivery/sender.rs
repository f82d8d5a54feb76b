//! One attempt: signs, sends, judges the answer, and decides what follows.

use std::time::Duration;

use tracing::{error, info, warn};

use crate::clock::{Clock, Moment, random_fraction};
use crate::config::SubscriberConfig;
use crate::delivery::channel::{ANSWER_BYTES_MAX, Channel, Exchange};
use crate::delivery::explain;
use crate::delivery::messages::Shape;
use crate::delivery::retry::{self, Failure, Rules};
use crate::delivery::sign::Signer;
use crate::delivery::target::redaction::Redaction;
use crate::delivery::target::text::Message;
use crate::delivery::target::{
    Answer, Answered, Bringing, Flow, Move, Recipient, Verdict, Wish, answer, webhook,
};
use crate::language::Language;
use crate::metrics::{AttemptCounts, CountedAttempt, Metrics, Outcome};
use crate::store::attempt::{Attempt, Next, Phase, Step, Trouble};
use crate::store::delivery::{Claim, Trigger};
use crate::time::UnixMs;

/// More requests than bringing one message ever takes.
const REQUESTS_MAX: usize = 16;

/// A subscriber to which nothing can be sent.
#[derive(Debug, thiserror::Error)]
#[error("subscriber {subscriber:?}: cannot prepare HTTP requests: {reason}")]
pub struct SenderError {
    /// The subscriber.
    subscriber: String,
    /// Why not.
    reason: String,
}

/// Sends to one subscriber.
pub struct Sender {
    clock: Clock,
    config: SubscriberConfig,
    /// How its messages are made; none where it gets webhooks.
    shape: Option<Shape>,
    channel: Channel,
    signer: Signer,
    counts: AttemptCounts,
}

impl Sender {
    /// Prepares the way to a subscriber.
    ///
    /// # Errors
    /// When its HTTP client cannot be built.
    pub fn new(config: SubscriberConfig, clock: Clock) -> Result<Self, SenderError> {
        match Channel::new(&config) {
            Ok(channel) => {
                let (shape, signer) = (Shape::of(&config), Signer::new(&config.secrets));
                let counts = Metrics::default().attempts_of(&config.name);
                Ok(Self { clock, config, shape, channel, signer, counts })
            }
            Err(reason) => Err(SenderError { subscriber: config.name, reason }),
        }
    }

    /// The same, whose attempts are counted there.
    #[must_use]
    pub fn counting(self, metrics: &Metrics) -> Self {
        Self { counts: metrics.attempts_of(&self.config.name), ..self }
    }

    /// The subscriber.
    #[must_use]
    pub fn config(&self) -> &SubscriberConfig {
        &self.config
    }

    /// How its messages are made; none where it gets webhooks.
    #[must_use]
    pub fn shape(&self) -> Option<&Shape> {
        self.shape.as_ref()
    }

    /// The clock by which it is sent.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Makes one attempt for all of these, in one message where they are several, and decides what
    /// follows for each.
    pub async fn attempt(&self, claims: &[Claim]) -> Vec<Attempt> {
        let started = self.clock.now();
        let (exchange, verdict) = match (&self.shape, claims) {
            (None, [claim]) => self.webhook(claim, started.unix).await,
            (None, _) => return Vec::new(),
            // Apart, because it is large: a webhook's attempt would carry its room along.
            (Some(shape), claims) => Box::pin(self.product(shape, claims, started.unix)).await,
        };
        let ended = self.clock.now();
        let came = Came { exchange, verdict, started, ended };
        claims.iter().map(|claim| self.outcome(claim, &came)).collect()
    }

    /// What an attempt came to for one of the deliveries that it was to bring.
    fn outcome(&self, claim: &Claim, came: &Came) -> Attempt {
        let Came { exchange, verdict, started, ended } = came;
        let rules = Rules { waits: &self.config.retry, give_up: self.config.give_up };
        let (attempt, created) = (claim.attempt, claim.created);
        // Chance is the system's, and costs a call: what went well needs none.
        let dice = verdict.trouble.as_ref().map_or(0.0, |_| random_fraction());
        let failure = Failure { attempt, created, now: ended.unix, dice };
        let next = match claim.trigger {
            Trigger::Test => retry::after_test(verdict),
            Trigger::Auto | Trigger::Retry | Trigger::Replay => {
                retry::after(verdict, rules, failure)
            }
        };
        let reply = match (self.config.answers, exchange.http_status, &verdict.trouble) {
            (Some(_), Some(status), None) => webhook::reply(claim, status, &exchange.answer),
            _ => None,
        };
        let attempt = Attempt {
            delivery: claim.delivery,
            lease: claim.lease,
            number: claim.attempt,
            started: started.unix,
            took: Duration::from_millis((ended.boot_ms - started.boot_ms).max(0).unsigned_abs()),
            address: exchange.address,
            timings: exchange.timings,
            http_status: exchange.http_status,
            trouble: verdict.trouble.clone(),
            answer: exchange.answer.clone(),
            next,
            asked: match verdict.wish {
                Wish::Wait(asked) => Some(asked),
                _ => None,
            },
            disable: match verdict.wish {
                Wish::Disable(why) => Some(why),
                _ => None,
            },
            reply,
        };
        self.tell(claim, &attempt);
        self.count(claim, &attempt, ended.unix);
        attempt
    }

    /// Sends the stored bytes, signed.
    async fn webhook(&self, claim: &Claim, now: UnixMs) -> (Exchange, Verdict) {
        let headers = webhook::headers(claim, &self.signer, now.seconds());
        let limit = self.clock.real(self.config.timeout);
        let exchange = self.channel.post(headers, claim.body.clone(), limit).await;
        let verdict = judge(&exchange, webhook::judge, &self.clock);
        (exchange, verdict)
    }

    /// Sends what a product is to show of the stored bytes.
    async fn product(&self, shape: &Shape, claims: &[Claim], now: UnixMs) -> (Exchange, Verdict) {
        let (config, target) = (&self.config, shape.target);
        let recipient = Recipient { url: &config.url, product: &config.product, now };
        let message = shape.message(claims);
        if let Some(flow) = target.flow {
            let is_again = claims.iter().any(|claim| claim.attempt > 1);
            return self.in_steps(flow, &message, (recipient, is_again)).await;
        }
        let request = target.bring(&message, recipient);
        let limit = self.clock.real(config.timeout);
        let mut exchange = self.channel.send(request, limit).await;
        // Neither what is kept nor what is said of it may hold a token that the product quotes.
        let redaction = Redaction::new(&config.url, &config.product);
        exchange.answer = redaction.clean(exchange.answer);
        let meaning = |answer: Answer<'_>| target.meaning(&config.product, answer);
        let mut verdict = judge(&exchange, meaning, &self.clock);
        // One of several may be what the product does not take: each is tried by itself.
        if claims.len() > 1 && verdict.wish == Wish::Abort {
            verdict.wish = Wish::None;
        }
        (exchange, verdict)
    }

    /// Brings a message by several requests, which together take no longer than one may. Where a
    /// reply's all went well nothing of the answers is kept: they tell of the customer alone.
    async fn in_steps(
        &self,
        flow: Flow,
        message: &Message,
        (to, is_again): (Recipient<'_>, bool),
    ) -> (Exchange, Verdict) {
        let began = self.clock.now().boot_ms;
        let redaction =
            Redaction::new(&self.config.url, &self.config.product).and(&message.word("from"));
        let (mut last, mut answered) = (Exchange::default(), Vec::new());
        for _ in 0..REQUESTS_MAX {
            let bringing = Bringing { message, to, is_again, answered: &answered };
            let (step, request) = match flow(&bringing) {
                Move::Ask(step, request) => (step, request),
                Move::End(verdict) => {
                    let header = last.webhook_delivery.as_deref();
                    let verdict = match answered.last() {
                        Some(answered) => answer::heeding(verdict, answered.as_answer(header)),
                        None => verdict,
                    };
                    match verdict.trouble {
                        None if message.is_reply() => last.answer.clear(),
                        _ => last.answer.truncate(ANSWER_BYTES_MAX),
                    }
                    return (last, verdict);
                }
            };
            let spent = (self.clock.now().boot_ms - began).max(0).unsigned_abs();
            let left = self.config.timeout.saturating_sub(Duration::from_millis(spent));
            if left.is_zero() {
                let within_ms = u64::try_from(self.config.timeout.as_millis()).unwrap_or(u64::MAX);
                let late = Trouble::Timeout { phase: Phase::Connect, within_ms };
                return (last, of_step(step, late));
            }
            last = self.channel.send(request, self.clock.real(left)).await;
            last.answer = redaction.clean(std::mem::take(&mut last.answer));
            let Some(status) = last.http_status.filter(|_| last.trouble.is_none()) else {
                let silent = || Trouble::Broken { detail: "no answer".to_owned() };
                let trouble = last.trouble.clone().unwrap_or_else(silent);
                return (last, of_step(step, trouble));
            };
            let asked = last.retry_after.as_deref();
            let retry_after = asked.and_then(|value| retry::retry_after(value, self.clock.unix()));
            answered.push(Answered { step, status, retry_after, body: last.answer.clone() });
        }
        let endless = Trouble::Broken { detail: "it takes too many requests".to_owned() };
        (last, Verdict { trouble: Some(endless), wish: Wish::None })
    }

    fn count(&self, claim: &Claim, tried: &Attempt, ended: UnixMs) {
        let (outcome, delivered_after) = match tried.next {
            Next::Delivered => (Outcome::Delivered, Some(ended.since(claim.created))),
            Next::Retry { .. } => (Outcome::Retry, None),
            Next::Wait { .. } => (Outcome::Waiting, None),
            Next::Failed { .. } | Next::Told { .. } => (Outcome::Failed, None),
        };
        // A replay or a test is no reply that somebody waits for.
        let is_first = matches!(claim.trigger, Trigger::Auto | Trigger::Retry);
        let written = claim.written.filter(|_| is_first && delivered_after.is_some());
        self.counts.count(CountedAttempt {
            outcome,
            took: tried.took,
            delivered_after,
            written_before: written.map(|written| ended.since(written)),
        });
    }

    fn tell(&self, claim: &Claim, tried: &Attempt) {
        let (subscriber, id) = (&self.config.name, &claim.event_id);
        let (attempt, http_status) = (tried.number, tried.http_status);
        let words = || {
            let error =
                tried.trouble.as_ref().map(|trouble| explain::trouble(trouble, Language::En));
            (error, explain::next(&tried.next, Language::En))
        };
        match tried.next {
            Next::Delivered => info!(subscriber, id, attempt, http_status, "delivered"),
            Next::Retry { .. } | Next::Wait { .. } | Next::Told { .. } => {
                let (error, next) = words();
                warn!(subscriber, id, attempt, error, next, "not delivered")
            }
            Next::Failed { .. } => {
                let (error, next) = words();
                error!(subscriber, id, attempt, error, next, "given up")
            }
        }
    }
}

/// One of several requests that came to nothing.
fn of_step(step: Step, trouble: Trouble) -> Verdict {
    let trouble = Some(Trouble::Step { step, of: Box::new(trouble) });
    Verdict { trouble, wish: Wish::None }
}

/// What one request came to.
struct Came {
    exchange: Exchange,
    verdict: Verdict,
    started: Moment,
    ended: Moment,
}

/// What came of a request: what its answer means to whom it went, or why there is none.
fn judge(exchange: &Exchange, meaning: impl Fn(Answer<'_>) -> Verdict, clock: &Clock) -> Verdict {
    let asked = exchange.retry_after.as_deref();
    let retry_after = asked.and_then(|value| retry::retry_after(value, clock.unix()));
    match (&exchange.trouble, exchange.http_status) {
        (None, Some(status)) => meaning(Answer {
            status,
            retry_after,
            webhook_delivery: exchange.webhook_delivery.as_deref(),
            body: &exchange.answer,
        }),
        (trouble, _) => {
            let silent = || Trouble::Broken { detail: "no answer".to_owned() };
            let trouble = Some(trouble.clone().unwrap_or_else(silent));
            Verdict { trouble, wish: Wish::None }
        }
    }
}

//! A subscriber's server: a receiver on loopback that keeps what it is told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::routing::{any, post};
use standardwebhooks::Webhook as Library;

use crate::schemas::violation;
use crate::support::{subscriber, until};

/// One webhook as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Bytes,
}

impl Webhook {
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A text of the reply that it tells.
    pub(crate) fn field(&self, name: &str) -> String {
        self.json()["data"][name].as_str().unwrap().to_owned()
    }

    /// Verifies it with a public library, against a secret and its timestamp.
    pub(crate) fn verify(&self, secret: &str) {
        let mut headers = HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, self.headers[name].parse().unwrap());
        }
        Library::new(secret).unwrap().verify(&self.body, &headers).unwrap();
    }
}

/// A receiver on loopback that keeps every webhook, and answers as it is told to.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    webhooks: Arc<Mutex<Vec<Webhook>>>,
    /// What of them is not as the schemas say.
    violations: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Vec<StatusCode>>>,
    /// What failures ask for, where they ask for anything.
    retry_after: Arc<Mutex<Option<HeaderValue>>>,
    /// A header of every answer that is no plain 204.
    header: Arc<Mutex<Option<(HeaderName, HeaderValue)>>>,
    /// What is answered where nothing else was told.
    usual: Arc<Mutex<(StatusCode, String)>>,
    /// How long an answer takes, and how many requests are and were being answered at once.
    takes: Arc<Mutex<Duration>>,
    at_once: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
    /// Requests that followed a redirect: every 3xx leads to `/moved`.
    followed: Arc<AtomicUsize>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks/sms", listener.local_addr().unwrap());
        let receiver = Self {
            url,
            webhooks: Arc::default(),
            violations: Arc::default(),
            answers: Arc::default(),
            retry_after: Arc::default(),
            header: Arc::default(),
            usual: Arc::new(Mutex::new((StatusCode::NO_CONTENT, String::new()))),
            takes: Arc::default(),
            at_once: Arc::default(),
            most_at_once: Arc::default(),
            followed: Arc::default(),
        };
        let router = Router::new()
            .route("/hooks/sms", post(receive))
            .route("/moved", any(follow))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    /// The statuses of the next answers, in order; after them every answer is 204.
    pub(crate) fn answer_next(&self, statuses: &[u16]) {
        let mut answers = self.answers.lock().unwrap();
        answers.extend(statuses.iter().map(|status| StatusCode::from_u16(*status).unwrap()));
    }

    /// What is answered from now on where nothing else was told.
    pub(crate) fn answer_with(&self, status: u16, body: &str) {
        *self.usual.lock().unwrap() = (StatusCode::from_u16(status).unwrap(), body.to_owned());
    }

    /// Every failure asks for this `Retry-After`.
    pub(crate) fn ask_to_wait(&self, value: &str) {
        *self.retry_after.lock().unwrap() = Some(value.parse().unwrap());
    }

    /// Every answer that was told by [`Self::answer_next`] has this header.
    pub(crate) fn say(&self, name: &'static str, value: &str) {
        *self.header.lock().unwrap() =
            Some((HeaderName::from_static(name), value.parse().unwrap()));
    }

    /// From now on every answer is 204.
    pub(crate) fn answer_well(&self) {
        self.answers.lock().unwrap().clear();
        *self.header.lock().unwrap() = None;
    }

    /// How long an answer takes.
    pub(crate) fn take(&self, time: Duration) {
        *self.takes.lock().unwrap() = time;
    }

    /// The most requests that were being answered at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::Relaxed)
    }

    /// The section of a configuration that delivers to it.
    pub(crate) fn subscription(&self, name: &str) -> String {
        subscriber(name, &self.url, "allow_private = true")
    }

    /// Every webhook so far, each of which must be as the schema of its type says.
    pub(crate) fn webhooks(&self) -> Vec<Webhook> {
        assert_eq!(*self.violations.lock().unwrap(), [""; 0]);
        self.webhooks.lock().unwrap().clone()
    }

    /// How many requests followed a redirect.
    pub(crate) fn followed(&self) -> usize {
        self.followed.load(Ordering::Relaxed)
    }

    /// Waits until there are so many webhooks.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Webhook> {
        until(&format!("{count} webhooks"), || self.webhooks().len() >= count).await;
        self.webhooks()
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, String) {
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let at_once = receiver.at_once.fetch_add(1, Ordering::Relaxed) + 1;
    receiver.most_at_once.fetch_max(at_once, Ordering::Relaxed);
    let webhook = Webhook { headers, body };
    receiver.violations.lock().unwrap().extend(violation(&webhook.body));
    receiver.webhooks.lock().unwrap().push(webhook);
    let takes = *receiver.takes.lock().unwrap();
    if !takes.is_zero() {
        tokio::time::sleep(takes).await;
    }
    receiver.at_once.fetch_sub(1, Ordering::Relaxed);
    let told = {
        let mut answers = receiver.answers.lock().unwrap();
        if answers.is_empty() { None } else { Some(answers.remove(0)) }
    };
    let (usual, body) = receiver.usual.lock().unwrap().clone();
    let (status, body) = told.map_or((usual, body), |status| (status, String::new()));
    let header = told.and_then(|_| receiver.header.lock().unwrap().clone());
    let location = status.is_redirection().then(|| (LOCATION, HeaderValue::from_static("/moved")));
    let asked = receiver.retry_after.lock().unwrap().clone().filter(|_| !status.is_success());
    let asked = asked.map(|value| (RETRY_AFTER, value));
    (status, location.into_iter().chain(asked).chain(header).collect(), body)
}

async fn follow(State(receiver): State<Receiver>) -> StatusCode {
    receiver.followed.fetch_add(1, Ordering::Relaxed);
    StatusCode::OK
}

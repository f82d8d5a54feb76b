//! One request to a subscriber's server, and what of its answer is kept.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::ExposeSecret;

use crate::config::SubscriberConfig;
use crate::delivery::guard::{self, GuardedResolver};
use crate::store::attempt::{Phase, Timings, Trouble};

/// The most of an answer that is kept; the rest is never read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What one request came to.
#[derive(Default)]
pub(super) struct Exchange {
    /// The address that was reached.
    pub(super) address: Option<SocketAddr>,
    /// How long its parts took.
    pub(super) timings: Timings,
    pub(super) http_status: Option<u16>,
    /// The header `Retry-After`, as it came.
    pub(super) retry_after: Option<String>,
    /// The header `webhook-delivery`, as it came.
    pub(super) webhook_delivery: Option<String>,
    /// The first of the answer's body.
    pub(super) answer: Vec<u8>,
    /// Why there is no answer.
    pub(super) trouble: Option<Trouble>,
}

/// The way to one subscriber's server, with the connections to it that are kept.
pub(super) struct Channel {
    http: reqwest::Client,
    config: SubscriberConfig,
}

impl Channel {
    /// Prepares the way.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub(super) fn new(config: &SubscriberConfig) -> Result<Self, String> {
        let http = client(config).map_err(|error| error.without_url().to_string())?;
        Ok(Self { http, config: config.clone() })
    }

    /// Posts a body, and reads the first of the answer. Everything together takes no longer than
    /// `limit`.
    pub(super) async fn post(
        &self,
        headers: &[(&str, String)],
        body: &str,
        limit: Duration,
    ) -> Exchange {
        let mut exchange = Exchange::default();
        let posted = self.post_into(headers, body, &mut exchange);
        if tokio::time::timeout(limit, posted).await.is_err() && exchange.http_status.is_none() {
            let within_ms = u64::try_from(self.config.timeout.as_millis()).unwrap_or(u64::MAX);
            exchange.trouble = Some(Trouble::Timeout { phase: Phase::Answer, within_ms });
        }
        exchange
    }

    async fn post_into(&self, headers: &[(&str, String)], body: &str, exchange: &mut Exchange) {
        if !self.config.allow_private
            && let Err(refused) = guard::vet_url(&self.config.url)
        {
            exchange.trouble = Some(Trouble::Inside { address: refused.address().to_string() });
            return;
        }
        let mut request = self.http.post(self.config.url.clone());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        for (name, value) in &self.config.headers {
            request = request.header(name, value.expose_secret());
        }
        let mut response = match request.body(body.to_owned()).send().await {
            Ok(response) => response,
            Err(error) => {
                exchange.trouble = Some(in_words(error));
                return;
            }
        };
        exchange.address = response.remote_addr();
        exchange.http_status = Some(response.status().as_u16());
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        exchange.retry_after = header("retry-after");
        exchange.webhook_delivery = header("webhook-delivery");
        // An answer that breaks or is too long after a 2xx is a success all the same.
        while let Ok(Some(piece)) = response.chunk().await {
            let room = ANSWER_BYTES_MAX - exchange.answer.len();
            exchange.answer.extend(piece.iter().take(room));
            if piece.len() >= room {
                return;
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
fn in_words(error: reqwest::Error) -> Trouble {
    let is_connect = error.is_connect();
    let error = error.without_url();
    let mut root: &dyn std::error::Error = &error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    let detail = root.to_string();
    if is_connect { Trouble::Connect { detail } } else { Trouble::Broken { detail } }
}

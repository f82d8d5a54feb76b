//! The way to one subscriber's server: one request, and what of its answer is kept.
//!
//! Each attempt tells where it went, how long its parts took and in which of them it failed. The
//! connections are made here and not by a client library, because only so is that known, and
//! only so do they go to exactly what [`guard`](super::guard) has vetted. They are HTTP/1.1, and
//! kept for the next request. Nothing is followed, unpacked or tried again; only what a kept
//! connection, closed by the server meanwhile, took nothing of is sent on another one.

use std::borrow::Cow;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use rustls::ClientConfig;
use secrecy::ExposeSecret;

use crate::config::SubscriberConfig;
use crate::delivery::target;
use crate::store::attempt::{Phase, Timings, Trouble};
use crate::time::UnixMs;
use connector::Connector;
use network::{Network, System};
use pool::{Connection, IDLE_MAX, Pool, PostRequest};
use proxy::ProxyKind;
use trace::Trace;

mod certificate;
mod connector;
mod network;
mod pool;
mod proxy;
mod trace;

/// The most of an answer that is kept; the rest is never read.
pub(super) const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// The most of a list that is read, from which something is looked up.
const LIST_BYTES_MAX: usize = 1024 * 1024;
/// What tells of a receiver's wishes, beside the status.
const WEBHOOK_DELIVERY: HeaderName = HeaderName::from_static("webhook-delivery");
/// Further headers for which a request has room from the start, beside the subscriber's: a webhook's
/// eight and the body's length.
const HEADERS_ROOM: usize = 9;
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("replyd/", env!("CARGO_PKG_VERSION")));

/// What one request came to.
#[derive(Default)]
pub struct Exchange {
    /// The address that was reached, or else the one that was tried last. Through an HTTP proxy
    /// it is the proxy's.
    pub address: Option<SocketAddr>,
    /// How long its parts took, as far as it came.
    pub timings: Timings,
    /// The answer's status.
    pub http_status: Option<u16>,
    /// The header `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The header `webhook-delivery`, as it came.
    pub webhook_delivery: Option<String>,
    /// The first of the answer's body.
    pub answer: Vec<u8>,
    /// Why there is no answer.
    pub trouble: Option<Trouble>,
}

/// What was seen on the way to a server, without asking it for anything.
pub struct Look {
    /// The address that was reached, or else the one that was tried last.
    pub address: Option<SocketAddr>,
    /// How long its parts took, as far as it came.
    pub timings: Timings,
    /// When the server's certificate ends, where it showed one that holds.
    pub certificate_end: Option<UnixMs>,
    /// What stood in the way.
    pub trouble: Option<Trouble>,
}

/// The way to one subscriber's server, with the connections to it that are kept.
pub struct Channel {
    connector: Connector,
    pool: Arc<Pool>,
    uri: Uri,
    /// Scheme and host, where a proxy wants them with every request.
    origin: Option<String>,
    /// What every request has.
    headers: HeaderMap,
    /// The configured limit of an attempt, which a refusal is told with.
    timeout: Duration,
}

impl Channel {
    /// Prepares the way.
    ///
    /// # Errors
    /// When the URL or the system's roots of trust cannot be used.
    pub fn new(config: &SubscriberConfig) -> Result<Self, String> {
        let tls = (config.url.scheme() == "https").then(crate::tls::client_config).transpose();
        let tls = tls.map_err(|error| root(&error))?;
        Self::with(config, tls.map(Arc::new), Arc::new(System))
    }

    fn with(
        config: &SubscriberConfig,
        tls: Option<Arc<ClientConfig>>,
        network: Arc<dyn Network>,
    ) -> Result<Self, String> {
        let connector = Connector::new(config, tls, network)?;
        let uri: Uri = config.url.as_str().parse().map_err(|_| "the URL cannot be sent")?;
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host(&uri)?);
        headers.insert(header::USER_AGENT, USER_AGENT);
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        let (uri, origin) = match connector.plain_proxy() {
            Some(ProxyKind::Http(authorization)) => {
                let authorization = authorization.clone();
                headers.extend(authorization.map(|value| (header::PROXY_AUTHORIZATION, value)));
                (uri, Some(config.url.origin().ascii_serialization()))
            }
            _ => (uri.path_and_query().cloned().map(Uri::from).unwrap_or_default(), None),
        };
        for (name, value) in &config.headers {
            let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
            let mut value = HeaderValue::try_from(value.expose_secret())
                .map_err(|_| format!("the header {name} cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let pool = Pool::new(config.concurrency, IDLE_MAX);
        Ok(Self { connector, pool, uri, origin, headers, timeout: config.timeout })
    }

    /// Posts a body with further headers, whose names are in lower case, and reads the first of the
    /// answer. Everything together takes no longer than `limit`. An answer whose head came in time
    /// counts, whatever becomes of its body.
    pub async fn post(
        &self,
        headers: impl IntoIterator<Item = (&'static str, Cow<'static, str>)>,
        body: impl Into<Bytes>,
        limit: Duration,
    ) -> Exchange {
        let request = self.request((Method::POST, self.uri.clone()), headers, body.into());
        self.exchange(request, ANSWER_BYTES_MAX, limit).await
    }

    /// Makes a request of its own path, as [`Self::post`] does of the configured one.
    pub async fn send(&self, request: target::Request, limit: Duration) -> Exchange {
        let target::Request { method, path_and_query, headers, body, reads } = request;
        let method = match method {
            target::Method::Post => Method::POST,
            target::Method::Get => Method::GET,
        };
        let uri = format!("{}{path_and_query}", self.origin.as_deref().unwrap_or_default());
        let request = uri.parse().map_err(hyper::http::Error::from);
        let headers = headers.into_iter().map(|(name, value)| (name, value.into()));
        let request = request.and_then(|uri| self.request((method, uri), headers, body.into()));
        let bytes_max = match reads {
            target::Reads::First => ANSWER_BYTES_MAX,
            target::Reads::List => LIST_BYTES_MAX,
        };
        self.exchange(request, bytes_max, limit).await
    }

    /// Goes the way as far as a request would begin, and sends none: the name, the guard, the
    /// connection, TLS.
    pub async fn look(&self, limit: Duration) -> Look {
        let mut trace = Trace::default();
        let connected = tokio::time::timeout(limit, self.connector.connect(&mut trace)).await;
        let trouble = match connected {
            Ok(connected) => connected.err(),
            Err(_) => {
                let phase = trace.part().unwrap_or(Phase::Connect);
                let within_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                Some(Trouble::Timeout { phase, within_ms })
            }
        };
        let certificate_end = trace.certificate_end;
        let (address, timings) = trace.close();
        Look { address, timings, certificate_end, trouble }
    }

    async fn exchange(
        &self,
        request: Result<PostRequest, hyper::http::Error>,
        bytes_max: usize,
        limit: Duration,
    ) -> Exchange {
        let (mut exchange, mut trace) = (Exchange::default(), Trace::default());
        let posted = match request {
            Ok(request) => {
                let posted = self.converse(request, bytes_max, (&mut exchange, &mut trace));
                tokio::time::timeout(limit, posted).await
            }
            Err(error) => Ok(Err(Trouble::Broken { detail: error.to_string() })),
        };
        exchange.trouble = match posted {
            Ok(posted) => posted.err(),
            Err(_) => exchange.http_status.is_none().then(|| self.too_late(&trace)),
        };
        (exchange.address, exchange.timings) = trace.close();
        exchange
    }

    fn request(
        &self,
        (method, uri): (Method, Uri),
        headers: impl IntoIterator<Item = (&'static str, Cow<'static, str>)>,
        body: Bytes,
    ) -> Result<PostRequest, hyper::http::Error> {
        // A copy would have room for no more, and be laid out anew.
        let mut all = HeaderMap::with_capacity(self.headers.len() + HEADERS_ROOM);
        all.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        for (name, value) in headers {
            all.insert(HeaderName::from_static(name), header_value(value)?);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = all;
        Ok(request)
    }

    async fn converse(
        &self,
        request: PostRequest,
        bytes_max: usize,
        (exchange, trace): (&mut Exchange, &mut Trace),
    ) -> Result<(), Trouble> {
        let (connection, response) = self.put_through(request, trace).await?;
        trace.end();
        let header = |name| {
            let value: Option<&HeaderValue> = response.headers().get(name);
            value.and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        exchange.http_status = Some(response.status().as_u16());
        exchange.retry_after = header(header::RETRY_AFTER);
        exchange.webhook_delivery = header(WEBHOOK_DELIVERY);
        if read(response.into_body(), bytes_max, &mut exchange.answer).await {
            self.pool.keep(connection).await;
        }
        Ok(())
    }

    /// Sends a request on a kept connection, or else on a new one.
    async fn put_through(
        &self,
        mut request: PostRequest,
        trace: &mut Trace,
    ) -> Result<(Connection, Response<Incoming>), Trouble> {
        let broken = |error| Trouble::Broken { detail: root(&error) };
        while let Some(mut kept) = self.pool.take() {
            *trace = Trace::to(kept.address);
            trace.begin(Phase::Answer);
            match kept.send(request).await {
                Ok(response) => return Ok((kept, response)),
                Err(mut failure) => match failure.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(broken(failure.into_error())),
                },
            }
        }
        *trace = Trace::default();
        // Apart, because it is large and rare: every attempt would carry its room along.
        let mut connection = Box::pin(self.connector.connect(trace)).await?;
        trace.begin(Phase::Answer);
        match connection.send(request).await {
            Ok(response) => Ok((connection, response)),
            Err(failure) => Err(broken(failure.into_error())),
        }
    }

    fn too_late(&self, trace: &Trace) -> Trouble {
        let phase = trace.part().unwrap_or(Phase::Answer);
        let within_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        Trouble::Timeout { phase, within_ms }
    }
}

/// Reads the first of a body, so many bytes. Returns whether that was all of it.
async fn read(mut body: Incoming, bytes_max: usize, answer: &mut Vec<u8>) -> bool {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let Ok(piece) = frame.into_data() else { continue };
        let room = bytes_max - answer.len();
        answer.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        if piece.len() > room {
            return false;
        }
    }
    true
}

/// A header's value, of which nothing is copied.
fn header_value(value: Cow<'static, str>) -> Result<HeaderValue, hyper::http::Error> {
    let bytes = match value {
        Cow::Borrowed(value) => Bytes::from_static(value.as_bytes()),
        Cow::Owned(value) => Bytes::from(value),
    };
    Ok(HeaderValue::from_maybe_shared(bytes)?)
}

/// What stands in the header `Host`: the port only where it is not the scheme's own, which a URL
/// leaves out.
fn host(uri: &Uri) -> Result<HeaderValue, String> {
    let authority = uri.authority().ok_or("the URL has no host")?;
    HeaderValue::try_from(authority.as_str()).map_err(|error| error.to_string())
}

/// What is at the bottom of an error: what the system or the library said. None of them knows the
/// URL, which may hold a token.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}

#[cfg(test)]
mod tests;

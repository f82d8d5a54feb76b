//! The one place that calls the provider.
//!
//! A plain `/rx` read destroys what it returns, so a request is made once: on a connection of
//! its own, over HTTP/1.1, with no retry, redirect, cache or decompression between, and through
//! no proxy but the configured one. Whatever came before an answer broke is kept. A read has no
//! error: what went wrong is part of what was received.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, TRANSFER_ENCODING,
};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::gateway::charset::Charset;
use crate::gateway::tx;
use crate::time::Hour;

/// Time to connect: longer than any handshake that can still succeed.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Silence after which an answer is given up. Generous: cutting a destructive read loses it.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Time for a call that reads no replies.
const CALL_MAX: Duration = Duration::from_secs(30);
/// The largest body that is read: some 700,000 replies, more than an account gets in a month.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What stays as it is in a query: the set that the provider's document names.
pub(crate) const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// How an account is reached.
#[derive(Clone)]
pub struct Access {
    /// The gateway's address, up to and without the `/rx`.
    pub base_url: Url,
    /// The account.
    pub uid: String,
    /// The password's digest as it is sent.
    pub pwd: SecretString,
    /// The charset of the answers.
    pub charset: Charset,
    /// The proxy to go through, if any.
    pub proxy: Option<Url>,
}

/// What `/mm` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// The messages left.
    Left,
    /// The messages sent in all.
    Sent,
}

/// By what reads an account's new replies are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// By plain reads, which empty the box.
    #[default]
    Plain,
    /// By reads of the hour that runs, which destroy nothing.
    Hour,
}

/// What one `/rx` request brought, however it ended.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// The status line's number, if one came.
    pub http_status: Option<u16>,
    /// How the answer ended.
    pub ending: Ending,
    /// What came of the body.
    pub body: Vec<u8>,
    /// What went wrong, in words; never with the URL, which holds the login.
    pub error: Option<String>,
}

impl fmt::Debug for Received {
    /// Without the body, which is personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("http_status", &self.http_status)
            .field("ending", &self.ending)
            .field("body_bytes", &self.body.len())
            .field("error", &self.error)
            .finish()
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As announced: at its Content-Length, or with its last chunk.
    Announced,
    /// With the connection, announced by nothing: it may be whole.
    Connection,
    /// Before its announced end.
    Cut,
    /// By our own deadline.
    TimedOut,
    /// By our own limit on its size.
    TooLong,
    /// It never began.
    Unanswered,
}

impl Ending {
    /// All endings.
    pub const ALL: [Self; 6] = [
        Self::Announced,
        Self::Connection,
        Self::Cut,
        Self::TimedOut,
        Self::TooLong,
        Self::Unanswered,
    ];

    /// The word for it in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Connection => "connection",
            Self::Cut => "cut",
            Self::TimedOut => "timed_out",
            Self::TooLong => "too_long",
            Self::Unanswered => "unanswered",
        }
    }
}

/// A client that could not be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare HTTP requests to the gateway: {0}")]
pub struct ClientError(String);

/// Calls one account's gateway.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    access: Access,
}

impl Client {
    /// Prepares the requests of one account.
    ///
    /// # Errors
    /// When the proxy's address or the system's TLS roots cannot be used.
    pub fn new(access: Access) -> Result<Self, ClientError> {
        crate::tls::install_provider();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("replyd/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            // The box is empty by the time a sloppy head is seen: read on, whatever it looks like.
            .http1_ignore_invalid_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .pool_max_idle_per_host(0)
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_MAX);
        if let Some(proxy) = &access.proxy {
            let proxy = reqwest::Proxy::all(proxy.as_str())
                .map_err(|error| ClientError(in_words(error)))?;
            builder = builder.proxy(proxy);
        }
        let http = builder.build().map_err(|error| ClientError(in_words(error)))?;
        Ok(Self { http, access })
    }

    /// Reads `/rx` once: plainly, or an hour by `time`. Gives up when `deadline` is over.
    pub async fn rx(&self, hour: Option<Hour>, deadline: impl Future<Output = ()>) -> Received {
        self.ask(self.http.get(self.rx_url(hour)), deadline).await.0
    }

    /// Asks `/mm` for a figure of the account, which reads no reply.
    pub async fn mm(&self, figure: Figure) -> Received {
        self.ask_mm(figure).await.0
    }

    /// As [`Self::mm`], and what time the answer says that it is at the gateway.
    pub async fn mm_dated(&self, figure: Figure) -> (Received, Option<String>) {
        let (received, aside) = self.ask_mm(figure).await;
        (received, aside.date)
    }

    async fn ask_mm(&self, figure: Figure) -> (Received, Aside) {
        let (mut url, query) = self.url("mm");
        if figure == Figure::Sent {
            url.set_query(Some(&(query + "&cmd=send")));
        }
        self.ask(self.http.get(url), tokio::time::sleep(CALL_MAX)).await
    }

    /// Sends by `/tx`, once.
    pub async fn tx(&self, call: tx::Call<'_>) -> tx::Outcome {
        let (mut url, login) = self.url("tx");
        url.set_query(None);
        let request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(login + &call.form());
        let (received, aside) = self.ask(request, tokio::time::sleep(CALL_MAX)).await;
        tx::judge(&received, aside.reached)
    }

    /// Asks, and says too what is known beside the answer.
    async fn ask(
        &self,
        request: RequestBuilder,
        deadline: impl Future<Output = ()>,
    ) -> (Received, Aside) {
        let mut aside = Aside { reached: true, date: None };
        let mut received = Received {
            http_status: None,
            ending: Ending::Unanswered,
            body: Vec::new(),
            error: None,
        };
        tokio::select! {
            // The deadline first: a process that slept through it must not send any more.
            biased;
            () = deadline => received.fail(Ending::TimedOut, "no end within the timeout".to_owned()),
            () = receive(request, &mut received, &mut aside) => {}
        }
        (received, aside)
    }

    fn rx_url(&self, hour: Option<Hour>) -> Url {
        let (mut url, mut query) = self.url("rx");
        if let Some(hour) = hour {
            query += &format!("&time={hour}");
        }
        if self.access.charset == Charset::Utf8 {
            query += "&encode=utf8";
        }
        url.set_query(Some(&query));
        url
    }

    /// A call's address with its login, and that login's query to add to. It is written by hand:
    /// the client's own would escape by other rules.
    fn url(&self, call: &str) -> (Url, String) {
        let mut url = self.access.base_url.clone();
        url.set_path(&format!("{}/{call}/", url.path().trim_end_matches('/')));
        let uid = utf8_percent_encode(&self.access.uid, QUERY);
        let query = format!("uid={uid}&pwd={}", self.access.pwd.expose_secret());
        url.set_query(Some(&query));
        (url, query)
    }
}

/// What is known of a call beside what it brought.
struct Aside {
    /// Whether a connection was made.
    reached: bool,
    /// The answer's header `Date`, as it came.
    date: Option<String>,
}

/// Fills `received` as the answer comes, so that a deadline keeps what there is.
async fn receive(request: RequestBuilder, received: &mut Received, aside: &mut Aside) {
    let request = request.header(CACHE_CONTROL, "no-store").header(CONNECTION, "close");
    let mut response = match tokio::time::timeout(IDLE_MAX, request.send()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            aside.reached = !error.is_connect();
            return received.fail(Ending::Unanswered, in_words(error));
        }
        Err(_) => return received.fail(Ending::TimedOut, idle_in_words()),
    };
    received.http_status = Some(response.status().as_u16());
    let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
    aside.date = date.map(str::to_owned);
    received.ending = Ending::Cut;
    let announced = announces_end(&response);
    loop {
        match tokio::time::timeout(IDLE_MAX, response.chunk()).await {
            Ok(Ok(Some(piece))) => received.body.extend_from_slice(&piece),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return received.fail(Ending::Cut, in_words(error)),
            Err(_) => return received.fail(Ending::TimedOut, idle_in_words()),
        }
        if received.body.len() > BODY_BYTES_MAX {
            return received.fail(Ending::TooLong, format!("longer than {BODY_BYTES_MAX} bytes"));
        }
    }
    received.ending = if announced { Ending::Announced } else { Ending::Connection };
}

/// Whether an answer's head says where its body ends: by a length, in chunks, or by a status
/// that has no body. Any other transfer coding ends with the connection, whatever the length.
fn announces_end(response: &reqwest::Response) -> bool {
    let headers = response.headers();
    match headers.get_all(TRANSFER_ENCODING).iter().next_back() {
        Some(codings) => {
            let last = codings.as_bytes().rsplit(|byte| *byte == b',').next().unwrap_or_default();
            last.trim_ascii().eq_ignore_ascii_case(b"chunked")
        }
        None => headers.contains_key(CONTENT_LENGTH) || response.status() == StatusCode::NO_CONTENT,
    }
}

impl Received {
    /// Whether it may be all that the gateway wanted to say.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.ending, Ending::Announced | Ending::Connection)
    }

    fn fail(&mut self, ending: Ending, error: String) {
        self.ending = ending;
        self.error = Some(error);
    }
}

fn idle_in_words() -> String {
    format!("nothing came for {} s", IDLE_MAX.as_secs())
}

/// An error and its causes in one line, without the URL.
fn in_words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words += &format!(": {error}");
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests;

//! The HTTP API, version 1: the commands' acts and shapes, for programs.
//!
//! Every request passes the gate: it must be meant for this server ([`host`]), come with a good token
//! ([`auth`]) unless it only asks for the document, and find a place. Then its operation is found,
//! its path, query and body are checked ([`ask`]), and it is carried out. What is wrong is a
//! [`problem`]. The operations are one list, from which the router and the [`openapi`] document are
//! made.
//!
//! Nothing is decided here that the commands decide too: that stands in the rooms below.

mod ask;
mod audit;
pub(super) mod auth;
mod balance;
mod coverage;
mod deliveries;
mod deliveries_acts;
mod events;
mod host;
mod limits;
mod messages;
mod openapi;
mod operation;
mod page;
mod parameter;
mod problem;
mod reads;
mod replays;
mod replies;
mod subscribers;

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use self::ask::Ask;
use self::auth::{Denied, Grant};
use self::host::Foreign;
use self::limits::Rates;
use self::operation::{Method, Operation};
use self::problem::{Code, Problem};
use super::Seen;
use super::connection::Peer;
use crate::store::Store;
use crate::store::audit_entry::NewAuditEntry;
use crate::store::token::Scope;

/// Tokens whose requests are counted: more than there can be.
const TOKENS_MAX: usize = 2 * Store::TOKENS_MAX;

/// Names that are told where another was asked for.
const NAMES_TOLD_MAX: usize = 20;

/// What all requests share.
pub(super) struct Api {
    seen: Seen,
    /// One for each request that may be answered at once.
    places: Semaphore,
    /// One for each stream that may be open at once.
    streams: Arc<Semaphore>,
    token_rates: Mutex<Rates<i64>>,
    failure_rates: Mutex<Rates<IpAddr>>,
    balances: balance::Kept,
    /// What was begun and is to end, whoever waits for it.
    acts: TaskTracker,
    /// When the service stops.
    stop: CancellationToken,
}

/// All operations.
fn operations() -> impl Iterator<Item = &'static Operation> {
    let lists: [&'static [Operation]; 12] = [
        &openapi::OPERATIONS,
        &replies::OPERATIONS,
        &deliveries::OPERATIONS,
        &deliveries_acts::OPERATIONS,
        &replays::OPERATIONS,
        &coverage::OPERATIONS,
        &reads::OPERATIONS,
        &subscribers::OPERATIONS,
        &messages::OPERATIONS,
        &balance::OPERATIONS,
        &audit::OPERATIONS,
        &events::OPERATIONS,
    ];
    lists.into_iter().flatten()
}

/// The router of the API, and of every path that nobody knows.
pub(super) fn routes(seen: Seen, acts: TaskTracker, stop: CancellationToken) -> Router {
    let api = Arc::new(Api {
        seen,
        places: Semaphore::new(limits::REQUESTS_AT_ONCE_MAX),
        streams: Arc::new(Semaphore::new(limits::STREAMS_MAX)),
        token_rates: Mutex::new(Rates::new(limits::TOKEN_RATE, TOKENS_MAX)),
        failure_rates: Mutex::new(Rates::new(limits::FAILURE_RATE, limits::ADDRESSES_MAX)),
        balances: balance::Kept::default(),
        acts,
        stop,
    });
    let mut router = Router::new();
    for operation in operations() {
        let filter = match operation.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
        };
        let answer = move |State(api), request: Request| act(api, operation, request);
        router = router.route(operation.path, on(filter, answer));
    }
    router
        .fallback(|| async { Problem::new(Code::PathUnknown, "nothing is at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::MethodNotAllowed, "this path has not this method")
        })
        .layer(from_fn_with_state(Arc::clone(&api), gate))
        .with_state(api)
}

/// What every request passes, whatever it asks for.
async fn gate(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let mut response = match pass(&api, &mut request).await {
        Ok(()) => match api.places.try_acquire() {
            Ok(_place) => {
                match tokio::time::timeout(limits::REQUEST_TIME_MAX, next.run(request)).await {
                    Ok(response) => response,
                    Err(_) => took_too_long().into_response(),
                }
            }
            Err(_) => Problem::new(Code::PlacesTaken, "too many requests are being answered")
                .again_after(limits::PLACE_WAIT)
                .into_response(),
        },
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let no_sniff = HeaderValue::from_static("nosniff");
    headers.insert(HeaderName::from_static("x-content-type-options"), no_sniff);
    response
}

fn took_too_long() -> Problem {
    let seconds = limits::REQUEST_TIME_MAX.as_secs();
    Problem::new(Code::TookTooLong, format!("a request may take {seconds} seconds"))
}

/// Whether a request is meant for us, and whose it is.
async fn pass(api: &Api, request: &mut Request) -> Result<(), Problem> {
    meant_for_us(api, request)?;
    if request.uri().path() == openapi::PATH {
        return Ok(());
    }
    let grant = match granted(api, request.headers()).await? {
        Ok(grant) => grant,
        Err(denied) => return Err(refuse(api, request, denied)),
    };
    let now = api.seen.clock.now();
    take(&api.token_rates, grant.id, now.boot_ms).map_err(|wait| {
        let detail = "this token's requests come faster than they may";
        Problem::new(Code::RateLimited, detail).again_after(wait)
    })?;
    if grant.is_used_anew {
        // That it was used is worth less than the answer.
        drop(api.seen.store.token_used(grant.id, now.unix).await);
    }
    request.extensions_mut().insert(grant);
    Ok(())
}

/// Counts one more of a key.
fn take<K: Eq + Hash>(rates: &Mutex<Rates<K>>, key: K, now_ms: i64) -> Result<(), Duration> {
    rates.lock().unwrap_or_else(PoisonError::into_inner).take(key, now_ms)
}

fn meant_for_us(api: &Api, request: &Request) -> Result<(), Problem> {
    let text = |name| header(request.headers(), name);
    let from = host::From {
        host: request.uri().authority().map(|authority| authority.as_str()).or(text(&HOST)),
        origin: text(&ORIGIN),
        site: text(&HeaderName::from_static("sec-fetch-site")),
    };
    let hosts = &api.seen.config.borrow().server.hosts;
    host::judge(from, hosts).map_err(|foreign| match foreign {
        Foreign::NoHost => Problem::new(Code::HostMissing, "the request does not say whom it asks"),
        Foreign::Host => {
            Problem::new(Code::HostRefused, "the name in Host is not one of this server")
        }
        Foreign::Origin => Problem::new(Code::OriginRefused, "a page of another origin sends this"),
    })
}

/// A header as text; what is no ASCII is no value that is known.
fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

async fn granted(api: &Api, headers: &HeaderMap) -> Result<Result<Grant, Denied>, Problem> {
    let Some(value) = header(headers, &AUTHORIZATION) else { return Ok(Err(Denied::Missing)) };
    let Some(token) = auth::bearer(value) else { return Ok(Err(Denied::Missing)) };
    // What cannot be a token is not looked for.
    let Some(digest) = auth::digest(token) else { return Ok(Err(Denied::Invalid)) };
    let rows = api.seen.store.tokens_like(digest).await?;
    Ok(auth::judge(&digest, &rows, api.seen.clock.unix()))
}

/// Refuses, and counts it against the address from which it came: a good token is never refused
/// because of what others at its address do.
fn refuse(api: &Api, request: &Request, denied: Denied) -> Problem {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    if let Some(ip) = peer {
        let now_ms = api.seen.clock.now().boot_ms;
        if let Err(wait) = take(&api.failure_rates, limits::whom(ip), now_ms) {
            let detail = "too many requests from this address came without a good token";
            return Problem::new(Code::FailuresLimited, detail).again_after(wait);
        }
    }
    let (code, detail) = match denied {
        Denied::Missing => (Code::TokenMissing, "the request has no bearer token"),
        Denied::Invalid => (Code::TokenInvalid, "there is no such token, or it was revoked"),
        Denied::Expired => (Code::TokenExpired, "the token's time is over"),
    };
    if denied != Denied::Missing {
        let from = peer.map(|ip| ip.to_string());
        warn!(from, reason = code.facts().word, "the API refuses a token");
    }
    Problem::new(code, detail)
}

/// Carries an operation out.
async fn act(api: Arc<Api>, operation: &'static Operation, request: Request) -> Response {
    if let Some(scope) = operation.scope
        && !request.extensions().get::<Grant>().is_some_and(|grant| grant.scopes.contains(&scope))
    {
        return lacks(scope).into_response();
    }
    let done = match Ask::read(api, operation, request).await {
        Ok(ask) => (operation.act)(ask).await,
        Err(problem) => Err(problem),
    };
    done.unwrap_or_else(IntoResponse::into_response)
}

fn lacks(scope: Scope) -> Problem {
    let detail = format!("the token lacks the scope {}", scope.as_str());
    Problem::new(Code::ScopeMissing, detail)
}

/// Refuses the name of an account that nobody knows.
async fn require_account(ask: &Ask, name: Option<&str>) -> Result<(), Problem> {
    match name {
        None => Ok(()),
        Some(_) => require("account", name, ask.store().account_names().await?),
    }
}

/// Refuses a name that is not among those that are known.
fn require(noun: &str, name: Option<&str>, mut known: Vec<String>) -> Result<(), Problem> {
    if name.is_none_or(|name| known.iter().any(|known| known == name)) {
        return Ok(());
    }
    known.truncate(NAMES_TOLD_MAX);
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(Problem::new(Code::NameUnknown, format!("no {noun} has this name; there is {known}")))
}

/// A line of the log for each change.
fn tell(entry: &NewAuditEntry, outcome: &str) {
    let NewAuditEntry { token, action, target } = entry;
    info!(token, action, target, outcome, "changed by the API");
}

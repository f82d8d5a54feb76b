//! A plain HTTP proxy on loopback that wants a password, and keeps what it was asked for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use axum::http::{HeaderMap, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The most of a body that goes through it.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A proxy, and what it was asked for: method and URL of each request.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    login: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) async fn start(user: &str, password: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let login = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let address = listener.local_addr().unwrap();
        let proxy = Self { address, login, asked: Arc::default() };
        let router = Router::new().fallback(pass_on).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn pass_on(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let login = parts.headers.get(PROXY_AUTHORIZATION);
    if login.is_none_or(|login| login != proxy.login.as_str()) {
        let refused = Response::builder().status(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        return refused.header(PROXY_AUTHENTICATE, "Basic").body(Body::empty()).unwrap();
    }
    proxy.asked.lock().unwrap().push(format!("{} {}", parts.method, parts.uri));
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap();
    let mut headers: HeaderMap = parts.headers;
    headers.remove(PROXY_AUTHORIZATION);
    replyd::tls::install_provider();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = parts.uri.to_string();
    let answer =
        client.request(parts.method, url).headers(headers).body(body).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut response = Response::new(Body::from(answer.bytes().await.unwrap()));
    *response.status_mut() = status;
    let kind = headers.get("content-type").cloned();
    response.headers_mut().extend(kind.map(|kind| (axum::http::header::CONTENT_TYPE, kind)));
    response
}

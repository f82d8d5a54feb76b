//! The way to a server, tried with real connections on loopback.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::config::{Config, Secrets};
use network::Answer;

mod answers;
mod guarded;
mod kept;
mod proxies;
mod troubles;

/// A name that every test network knows.
const NAME: &str = "crm.example.com";
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);
/// Long enough to come to where a test gets stuck.
const SHORT: Duration = Duration::from_secs(2);
/// A whole answer, after which the connection is kept.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A subscriber at `url`, which may stand inside. `keys` are further lines of its section.
fn subscriber(url: &str, keys: &str) -> SubscriberConfig {
    let text = format!(
        "[[account]]\nname = \"main\"\nbase_url = \"http://127.0.0.1\"\nuid = \"1\"\npassword = \"word\"\n\
         [[subscriber]]\nname = \"crm\"\nurl = \"{url}\"\nallow_private = true\n\
         secret = \"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n{keys}\n"
    );
    Config::parse(&text, Path::new("config.toml"), (&Secrets::Read, &[]))
        .unwrap()
        .subscribers
        .remove(0)
}

/// The way to a subscriber over a network.
fn channel(config: &SubscriberConfig, network: &Arc<Lab>) -> Channel {
    let network: Arc<dyn Network> = Arc::clone(network) as _;
    let tls = (config.url.scheme() == "https").then(|| Arc::new(trusting()));
    Channel::with(config, tls, network).unwrap()
}

async fn post(channel: &Channel) -> Exchange {
    channel.post([("webhook-id", "rpl_1".into())], "{\"a\":1}", LONG).await
}

/// Waits for what is sure to come.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("{what} did not come");
}

/// A network on which names lead where a test wants, and nothing leaves the machine.
#[derive(Default)]
struct Lab {
    /// What names resolve to, answer by answer; the last one stays.
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    /// Where a connection to an address outside is made instead.
    outside: Option<SocketAddr>,
    /// Addresses that are silent.
    silent: Vec<IpAddr>,
    resolved: Mutex<Vec<String>>,
    dialed: Mutex<Vec<SocketAddr>>,
}

impl Lab {
    /// One where names lead to this machine.
    fn local() -> Arc<Self> {
        Self::answering([vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]])
    }

    fn answering(answers: impl IntoIterator<Item = Vec<IpAddr>>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() })
    }

    fn resolved(&self) -> Vec<String> {
        self.resolved.lock().unwrap().clone()
    }

    fn dialed(&self) -> Vec<SocketAddr> {
        self.dialed.lock().unwrap().clone()
    }
}

impl Network for Lab {
    fn resolve(&self, name: &str) -> Answer<Vec<IpAddr>> {
        self.resolved.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.len() {
            0 => return Box::pin(std::future::pending()),
            1 => answers.front().cloned(),
            _ => answers.pop_front(),
        };
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("nothing is known of it")) })
    }

    fn connect(&self, to: SocketAddr) -> Answer<TcpStream> {
        self.dialed.lock().unwrap().push(to);
        if self.silent.contains(&to.ip()) {
            return Box::pin(std::future::pending());
        }
        match self.outside {
            _ if to.ip().to_canonical().is_loopback() => System.connect(to),
            Some(instead) => System.connect(instead),
            None => Box::pin(async { Err(io::Error::other("nothing leaves the machine")) }),
        }
    }
}

/// A server on loopback, and what it has seen.
struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    _accepting: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
    /// Connections whose end was seen.
    ends: AtomicUsize,
    bytes_written: AtomicUsize,
}

impl Server {
    /// Serves each connection by itself.
    async fn start<F, S>(serve: F) -> Self
    where
        F: Fn(Visit) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let by = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                by.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(Visit { stream: Box::new(stream), seen: Arc::clone(&by) }));
            }
        });
        Self { address, seen, _accepting: AbortOnDropHandle::new(accepting) }
    }

    /// Answers every request with the same.
    async fn answering(answer: impl Into<String>) -> Self {
        let answer: Arc<str> = Arc::from(answer.into());
        Self::start(move |visit| visit.answer_all(Arc::clone(&answer))).await
    }

    /// Answers every request by 200, encrypted.
    async fn encrypted() -> Self {
        Self::start(|visit| async move { visit.encrypt().await.answer_all(OK.into()).await }).await
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Its URL by name, so that it is resolved.
    fn named(&self, scheme: &str) -> String {
        format!("{scheme}://{NAME}:{}/", self.address.port())
    }

    fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    fn ends(&self) -> usize {
        self.seen.ends.load(Ordering::SeqCst)
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// One connection, as the server has it.
struct Visit {
    stream: Box<dyn Stream>,
    seen: Arc<Seen>,
}

impl Visit {
    /// The next request, head and body; none when the client is gone.
    async fn request(&mut self) -> Option<String> {
        let head = self.head().await?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.stream.read_exact(&mut body).await.ok()?;
        let request = head + &String::from_utf8(body).unwrap();
        self.seen.requests.lock().unwrap().push(request.clone());
        Some(request)
    }

    /// What comes up to the next empty line.
    async fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => {
                    self.seen.ends.fetch_add(1, Ordering::SeqCst);
                    return None;
                }
            }
        }
        Some(String::from_utf8(head).unwrap())
    }

    async fn say(&mut self, text: &str) {
        drop(self.stream.write_all(text.as_bytes()).await);
        drop(self.stream.flush().await);
    }

    async fn answer_all(mut self, answer: Arc<str>) {
        while self.request().await.is_some() {
            self.say(&answer).await;
        }
    }

    /// Reads until the client is gone.
    async fn wait(mut self) {
        drop(tokio::io::copy(&mut self.stream, &mut tokio::io::sink()).await);
        self.seen.ends.fetch_add(1, Ordering::SeqCst);
    }

    async fn encrypt(self) -> Self {
        let stream = acceptor().accept(self.stream).await.unwrap();
        Self { stream: Box::new(stream), seen: self.seen }
    }
}

/// A certificate for `NAME` and for 127.0.0.1, signed by itself, until the year 2126.
fn certificate() -> CertificateDer<'static> {
    CertificateDer::from(&include_bytes!("certificate.der")[..])
}

fn acceptor() -> TlsAcceptor {
    crate::tls::install_provider();
    let key = PrivateKeyDer::Pkcs8(include_bytes!("key.der")[..].into());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A client that trusts that certificate alone.
fn trusting() -> ClientConfig {
    crate::tls::install_provider();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate()).unwrap();
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

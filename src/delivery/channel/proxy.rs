//! The proxy before a subscriber's server: what is said to it until the connection stands.

use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;
use tower_service::Service;
use url::{Host, Url};

/// A configured proxy.
pub(super) struct Proxy {
    pub(super) host: Host<String>,
    pub(super) port: u16,
    pub(super) kind: ProxyKind,
}

/// How a proxy is spoken to.
pub(super) enum ProxyKind {
    /// By HTTP; it resolves names itself. With what it wants for `Proxy-Authorization`.
    Http(Option<HeaderValue>),
    /// By SOCKS 5, with an address that was resolved here. With user name and password.
    Socks5(Option<(String, String)>),
}

impl Proxy {
    /// Reads a proxy's URL.
    ///
    /// # Errors
    /// When its parts cannot be used.
    pub(super) fn new(url: &Url) -> Result<Self, String> {
        let host = url.host().ok_or("the proxy's URL has no host")?.to_owned();
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = (!url.username().is_empty() || url.password().is_some())
            .then(|| (decoded(url.username()), decoded(url.password().unwrap_or_default())));
        Ok(match url.scheme() {
            "socks5" => Self {
                host: literal(host),
                port: url.port().unwrap_or(1080),
                kind: ProxyKind::Socks5(login),
            },
            _ => Self {
                host,
                port: url.port().unwrap_or(80),
                kind: ProxyKind::Http(login.map(basic).transpose()?),
            },
        })
    }
}

/// The host of a URL whose scheme is not of the web, where addresses are taken for names.
fn literal(host: Host<String>) -> Host<String> {
    match &host {
        Host::Domain(name) => name.parse().map_or(host, Host::Ipv4),
        Host::Ipv4(_) | Host::Ipv6(_) => host,
    }
}

fn basic((name, password): (String, String)) -> Result<HeaderValue, String> {
    let login = STANDARD.encode(format!("{name}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {login}"))
        .map_err(|_| "the proxy's login cannot be sent")?;
    value.set_sensitive(true);
    Ok(value)
}

/// Has an HTTP proxy connect to `authority`, a host and a port.
///
/// # Errors
/// What the proxy said or did instead.
pub(super) async fn tunnel(
    stream: TcpStream,
    authority: &str,
    authorization: Option<&HeaderValue>,
) -> Result<TcpStream, String> {
    let mut tunnel = Tunnel::new(Uri::default(), Standing(Some(TokioIo::new(stream))));
    if let Some(value) = authorization {
        tunnel = tunnel.with_auth(value.clone());
    }
    let stream = tunnel.call(destination(authority)?).await;
    stream.map(TokioIo::into_inner).map_err(|error| super::root(&error))
}

/// Has a SOCKS proxy connect to an address.
///
/// # Errors
/// What the proxy said or did instead.
pub(super) async fn socks5(
    stream: TcpStream,
    address: SocketAddr,
    login: Option<&(String, String)>,
) -> Result<TcpStream, String> {
    let mut socks = SocksV5::new(Uri::default(), Standing(Some(TokioIo::new(stream))));
    if let Some((name, password)) = login {
        socks = socks.with_auth(name.clone(), password.clone());
    }
    let stream = socks.call(destination(&address.to_string())?).await;
    stream.map(TokioIo::into_inner).map_err(|error| super::root(&error))
}

fn destination(authority: &str) -> Result<Uri, String> {
    let uri = Uri::builder().scheme("https").authority(authority).path_and_query("/");
    uri.build().map_err(|error| error.to_string())
}

/// A connection to the proxy that stands already: the library wants to make it.
struct Standing(Option<TokioIo<TcpStream>>);

impl Service<Uri> for Standing {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::Error::other("the connection is in use")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Proxy {
        Proxy::new(&Url::parse(url).unwrap()).unwrap()
    }

    #[test]
    fn hosts_ports_and_logins_are_read() {
        let http = read("http://user:p%40ss@proxy.example.com");
        assert_eq!(http.host, Host::Domain("proxy.example.com".to_owned()));
        assert_eq!(http.port, 80);
        let ProxyKind::Http(Some(value)) = http.kind else { panic!("no login") };
        assert_eq!(value, format!("Basic {}", STANDARD.encode("user:p@ss")));
        assert!(value.is_sensitive());
        let socks = read("socks5://us%20er:@127.0.0.1");
        assert_eq!(socks.host, Host::<String>::Ipv4([127, 0, 0, 1].into()));
        assert_eq!(socks.port, 1080);
        let ProxyKind::Socks5(Some(login)) = socks.kind else { panic!("no login") };
        assert_eq!(login, ("us er".to_owned(), String::new()));
        assert!(matches!(read("http://proxy:3128").kind, ProxyKind::Http(None)));
        assert_eq!(
            read("socks5://[::1]:9").host,
            Host::<String>::Ipv6(std::net::Ipv6Addr::LOCALHOST)
        );
    }
}

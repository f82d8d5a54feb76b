//! Makes connections to one subscriber's server: resolves, vets, connects, passes the proxy and
//! encrypts.
//!
//! A name is resolved once for each connection, and the connection goes to exactly the addresses
//! that were vetted, so that no second answer can change them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Url};

use super::certificate;
use super::network::{self, Network};
use super::pool::Connection;
use super::proxy::{self, Proxy, ProxyKind};
use super::root;
use super::trace::Trace;
use crate::config::SubscriberConfig;
use crate::delivery::guard::{self, Refused};
use crate::store::attempt::{Phase, Trouble};

/// The longest head of an answer: servers' own limits are smaller.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The most addresses that a SOCKS proxy is asked for, one after the other.
const SOCKS_ADDRESSES_MAX: usize = 4;

/// The way to one server.
pub(super) struct Connector {
    url: Url,
    host: Host<String>,
    port: u16,
    /// Whether only outside addresses may be reached.
    is_guarded: bool,
    tls: Option<TlsConnector>,
    proxy: Option<Proxy>,
    network: Arc<dyn Network>,
}

impl Connector {
    /// Prepares the way. With `tls` the connections are encrypted.
    ///
    /// # Errors
    /// When a URL cannot be used.
    pub(super) fn new(
        config: &SubscriberConfig,
        tls: Option<Arc<ClientConfig>>,
        network: Arc<dyn Network>,
    ) -> Result<Self, String> {
        let url = config.url.clone();
        let host = url.host().ok_or("the URL has no host")?.to_owned();
        let port = url.port_or_known_default().ok_or("the URL has no port")?;
        let proxy = config.proxy.as_ref().map(Proxy::new).transpose()?;
        let (is_guarded, tls) = (!config.allow_private, tls.map(TlsConnector::from));
        Ok(Self { url, host, port, is_guarded, tls, proxy, network })
    }

    /// The proxy through which requests go unencrypted, if there is one: it wants the whole URL.
    pub(super) fn plain_proxy(&self) -> Option<&ProxyKind> {
        let proxy = self.proxy.as_ref().filter(|_| self.tls.is_none())?;
        matches!(proxy.kind, ProxyKind::Http(_)).then_some(&proxy.kind)
    }

    /// Makes a connection.
    ///
    /// # Errors
    /// What stood in the way.
    pub(super) async fn connect(&self, trace: &mut Trace) -> Result<Connection, Trouble> {
        if self.is_guarded {
            guard::vet_url(&self.url).map_err(inside)?;
        }
        let stream = match &self.proxy {
            None => self.directly(trace).await?,
            Some(proxy) => match &proxy.kind {
                ProxyKind::Http(_) if self.tls.is_none() => self.to(proxy, trace).await?,
                ProxyKind::Http(authorization) => {
                    let stream = self.to(proxy, trace).await?;
                    let authority = format!("{}:{}", self.host, self.port);
                    proxy::tunnel(stream, &authority, authorization.as_ref())
                        .await
                        .map_err(|detail| Trouble::Proxy { detail })?
                }
                ProxyKind::Socks5(login) => self.by_socks(proxy, login.as_ref(), trace).await?,
            },
        };
        let Some(address) = trace.address else {
            return Err(Trouble::Connect { detail: "no address was reached".to_owned() });
        };
        match &self.tls {
            None => open(stream, address).await,
            Some(tls) => {
                trace.begin(Phase::Tls);
                let stream = self.encrypt(tls, stream, trace).await;
                open(stream.map_err(|detail| Trouble::Tls { detail })?, address).await
            }
        }
    }

    async fn directly(&self, trace: &mut Trace) -> Result<TcpStream, Trouble> {
        let addresses = self.vetted(trace).await?;
        trace.begin(Phase::Connect);
        network::reach(&self.network, &addresses, self.port, &mut trace.address)
            .await
            .map_err(|error| Trouble::Connect { detail: error.to_string() })
    }

    /// The addresses of the server, all of which may be reached.
    async fn vetted(&self, trace: &mut Trace) -> Result<Vec<IpAddr>, Trouble> {
        let addresses = self.addresses(&self.host, trace).await;
        let addresses = addresses.map_err(|detail| Trouble::Resolve { detail })?;
        if self.is_guarded {
            guard::vet(&addresses).map_err(inside)?;
        }
        Ok(addresses)
    }

    /// The addresses of a host, at least one.
    async fn addresses(
        &self,
        host: &Host<String>,
        trace: &mut Trace,
    ) -> Result<Vec<IpAddr>, String> {
        let name = match host {
            Host::Domain(name) => name,
            Host::Ipv4(ip) => return Ok(vec![IpAddr::V4(*ip)]),
            Host::Ipv6(ip) => return Ok(vec![IpAddr::V6(*ip)]),
        };
        trace.begin(Phase::Resolve);
        let found = self.network.resolve(name).await.and_then(|found| match found.is_empty() {
            true => Err(network::no_address()),
            false => Ok(found),
        });
        trace.end();
        found.map_err(|error| error.to_string())
    }

    /// A connection to the proxy, which may stand anywhere: it was configured by hand.
    async fn to(&self, proxy: &Proxy, trace: &mut Trace) -> Result<TcpStream, Trouble> {
        let stream = match self.addresses(&proxy.host, trace).await {
            Ok(addresses) => {
                trace.begin(Phase::Connect);
                network::reach(&self.network, &addresses, proxy.port, &mut trace.address)
                    .await
                    .map_err(|error| format!("cannot connect to it: {error}"))
            }
            Err(detail) => Err(format!("its name cannot be resolved: {detail}")),
        };
        stream.map_err(|detail| Trouble::Proxy { detail })
    }

    /// A connection through a SOCKS proxy, which is asked for vetted addresses and not for names.
    async fn by_socks(
        &self,
        proxy: &Proxy,
        login: Option<&(String, String)>,
        trace: &mut Trace,
    ) -> Result<TcpStream, Trouble> {
        let addresses = self.vetted(trace).await?;
        let mut failure = "it was asked for nothing".to_owned();
        for ip in addresses.into_iter().take(SOCKS_ADDRESSES_MAX) {
            let stream = self.to(proxy, trace).await?;
            let address = SocketAddr::new(ip, self.port);
            trace.address = Some(address);
            match proxy::socks5(stream, address, login).await {
                Ok(stream) => return Ok(stream),
                Err(detail) => failure = detail,
            }
        }
        Err(Trouble::Proxy { detail: failure })
    }

    async fn encrypt(
        &self,
        tls: &TlsConnector,
        stream: TcpStream,
        trace: &mut Trace,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, String> {
        let name = match &self.host {
            Host::Domain(name) => ServerName::try_from(name.clone()),
            Host::Ipv4(ip) => Ok(ServerName::from(IpAddr::V4(*ip))),
            Host::Ipv6(ip) => Ok(ServerName::from(IpAddr::V6(*ip))),
        };
        let name = name.map_err(|error| error.to_string())?;
        let stream = tls.connect(name, stream).await.map_err(|error| root(&error))?;
        let shown = stream.get_ref().1.peer_certificates();
        let end = shown.and_then(|shown| certificate::ends_at(shown.first()?));
        trace.certificate_end = end;
        Ok(stream)
    }
}

/// Makes a stream ready for requests. Sloppy heads of answers are read: a success that is not
/// understood would be told again.
async fn open<S>(stream: S, address: SocketAddr) -> Result<Connection, Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, driver) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .ignore_invalid_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Trouble::Broken { detail: root(&error) })?;
    // How a connection ends is told to whoever waits for an answer on it.
    let driver = tokio::spawn(async move { drop(driver.await) });
    Ok(Connection::new(sender, address, AbortOnDropHandle::new(driver)))
}

fn inside(refused: Refused) -> Trouble {
    Trouble::Inside { address: refused.address().to_string() }
}

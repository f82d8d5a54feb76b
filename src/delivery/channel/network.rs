//! Names and connections: the two things that are asked of the system. Tests answer them by
//! themselves, so that a name can lead anywhere and nothing leaves the machine.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The most of a name's addresses that are tried: a name may have hundreds, and none may answer.
const ADDRESSES_MAX: usize = 8;
/// How long an address is waited for before the next is tried beside it (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// An answer of the system.
pub(super) type Answer<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// What is asked of the system.
pub(super) trait Network: Send + Sync {
    /// The addresses of a name, as the system orders them.
    fn resolve(&self, name: &str) -> Answer<Vec<IpAddr>>;
    /// A connection to an address.
    fn connect(&self, to: SocketAddr) -> Answer<TcpStream>;
}

/// The system itself.
pub(super) struct System;

impl Network for System {
    fn resolve(&self, name: &str) -> Answer<Vec<IpAddr>> {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }

    fn connect(&self, to: SocketAddr) -> Answer<TcpStream> {
        Box::pin(async move {
            let stream = TcpStream::connect(to).await?;
            // A request is written whole, and nothing is gained by waiting for more of it.
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }
}

/// Connects to the first of the addresses that takes a connection. One that is silent delays the
/// next only a little: a broken IPv6 must not use up an attempt's time. `tried` is the address
/// that was reached or, as long as none was, the one that was tried last.
///
/// # Errors
/// What the last address said when none took a connection.
pub(super) async fn reach(
    network: &Arc<dyn Network>,
    addresses: &[IpAddr],
    port: u16,
    tried: &mut Option<SocketAddr>,
) -> io::Result<TcpStream> {
    let mut waiting = in_turns(addresses).into_iter().take(ADDRESSES_MAX);
    let mut under_way = JoinSet::new();
    let mut failure = no_address();
    loop {
        if let Some(ip) = waiting.next() {
            let address = SocketAddr::new(ip, port);
            *tried = Some(address);
            let connecting = network.connect(address);
            under_way.spawn(async move { (address, connecting.await) });
        }
        tokio::select! {
            joined = under_way.join_next() => match joined {
                Some(Ok((address, connected))) => {
                    *tried = Some(address);
                    match connected {
                        Ok(stream) => return Ok(stream),
                        Err(error) => failure = error,
                    }
                }
                Some(Err(error)) => failure = io::Error::other(error),
                None => return Err(failure),
            },
            () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => {}
        }
    }
}

/// What is said of a name that leads nowhere.
pub(super) fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "it has no address")
}

/// The addresses with both families in turns, beginning with that of the first.
fn in_turns(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let is_v4 = addresses.first().is_some_and(IpAddr::is_ipv4);
    let (ones, others): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|address| address.is_ipv4() == is_v4);
    let mut others = others.into_iter();
    let mut turns = Vec::with_capacity(addresses.len());
    for one in ones {
        turns.push(one);
        turns.extend(others.next());
    }
    turns.extend(others);
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let check = |addresses: &[&str], expected: &[&str]| {
            let read = |ips: &[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<_>>();
            assert_eq!(in_turns(&read(addresses)), read(expected), "{addresses:?}");
        };
        check(&[], &[]);
        check(&["1.1.1.1", "1.1.1.2"], &["1.1.1.1", "1.1.1.2"]);
        check(&["::1", "::2", "::3", "1.1.1.1"], &["::1", "1.1.1.1", "::2", "::3"]);
        check(&["1.1.1.1", "::1", "::2", "::3"], &["1.1.1.1", "::1", "::2", "::3"]);
    }
}

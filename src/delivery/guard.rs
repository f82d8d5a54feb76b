//! Which addresses may be reached: a webhook's URL is written by people, and resolved by others.
//!
//! A name is resolved here and refused if *any* of its addresses stands inside; the connection
//! then goes to exactly the addresses that were vetted, so that no second answer can change
//! them. A URL whose host is an address never reaches a resolver, so it is vetted by itself.

use std::io;
use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::config::is_inside;

/// A destination that must not be reached.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} is an inside address; `allow_private = true` on the subscriber permits it")]
pub struct Refused(IpAddr);

impl Refused {
    /// The inside address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.0
    }
}

/// Vets the host of a URL where it is an address, in whatever form it was written.
///
/// # Errors
/// When it is an inside address.
pub fn vet_url(url: &Url) -> Result<(), Refused> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    vet(&[SocketAddr::new(address, 0)])
}

fn vet(addresses: &[SocketAddr]) -> Result<(), Refused> {
    match addresses.iter().find(|address| is_inside(address.ip())) {
        Some(inside) => Err(Refused(inside.ip())),
        None => Ok(()),
    }
}

/// Resolves names by the system and lets through only what may be reached.
#[derive(Clone, Debug, Default)]
pub struct GuardedResolver {
    /// The host of the configured proxy, which may well stand inside.
    pub proxy: Option<String>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.proxy.as_deref() == Some(name.as_str());
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if !is_proxy {
                vet(&found).map_err(io::Error::other)?;
            }
            let vetted: Addrs = Box::new(found.into_iter());
            Ok(vetted)
        })
    }
}

#[cfg(test)]
mod matrix;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, allowed: bool) {
        assert_eq!(vet_url(&Url::parse(url).unwrap()).is_ok(), allowed, "{url}");
    }

    #[test]
    fn addresses_are_vetted_in_whatever_form() {
        for inside in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://127.1/",
            "http://0/",
            "http://①②⑦.0.0.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::1]/",
            "http://169.254.169.254/",
            "http://10.0.0.1/",
        ] {
            check(inside, false);
        }
        for outside in ["http://8.8.8.8/", "http://[2606:4700::1]/", "https://crm.example.com/"] {
            check(outside, true);
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused() {
        let resolved = GuardedResolver::default().resolve("localhost".parse().unwrap()).await;
        let error = resolved.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("inside address"), "{error}");
        let proxy = GuardedResolver { proxy: Some("localhost".to_owned()) };
        assert!(proxy.resolve("localhost".parse().unwrap()).await.is_ok());
    }

    #[test]
    fn one_inside_address_among_many_refuses_all() {
        let mixed = ["8.8.8.8:0".parse().unwrap(), "10.0.0.1:0".parse().unwrap()];
        assert_eq!(vet(&mixed), Err(Refused("10.0.0.1".parse().unwrap())));
        assert_eq!(vet(&mixed[..1]), Ok(()));
    }
}

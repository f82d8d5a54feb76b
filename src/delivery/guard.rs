//! Which addresses may be reached: a webhook's URL is written by people, and resolved by others.
//!
//! A URL whose host is an address is vetted as it stands. A name is vetted by what it resolves
//! to, and refused if *any* of its addresses stands inside. Who asks connects to exactly what was
//! vetted.

use std::net::IpAddr;

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
    vet(&[address])
}

/// Vets all that a name resolved to.
///
/// # Errors
/// When one is an inside address: whoever has the others may have put it there.
pub fn vet(addresses: &[IpAddr]) -> Result<(), Refused> {
    match addresses.iter().find(|address| is_inside(**address)) {
        Some(inside) => Err(Refused(*inside)),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod matrix;

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

    #[test]
    fn one_inside_address_among_many_refuses_all() {
        let mixed = ["8.8.8.8".parse().unwrap(), "10.0.0.1".parse().unwrap()];
        assert_eq!(vet(&mixed), Err(Refused("10.0.0.1".parse().unwrap())));
        assert_eq!(vet(&mixed[..1]), Ok(()));
    }
}

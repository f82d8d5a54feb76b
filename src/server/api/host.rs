//! Whether a request was meant for this server, or a web page makes a visitor's browser send it:
//! pure.
//!
//! A page whose name is made to lead to this machine (DNS rebinding) is of the same origin as what it
//! asks; only the name in `Host` gives it away. So names are let in only where somebody listed them.
//! Addresses need no list: a page under an address was served by it.

use core::net::{IpAddr, Ipv6Addr};

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// It does not say whom it asks.
    NoHost,
    /// It asks somebody else.
    Host,
    /// A page of somebody else sends it.
    Origin,
}

/// What a request says of where it goes and where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct From<'a> {
    /// `Host`, or the authority of an absolute URL.
    pub(super) host: Option<&'a str>,
    /// `Origin`.
    pub(super) origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub(super) site: Option<&'a str>,
}

/// Judges a request; `hosts` are the names that somebody listed.
pub(super) fn judge(from: From<'_>, hosts: &[String]) -> Result<(), Foreign> {
    let authority = from.host.ok_or(Foreign::NoHost)?;
    let host = host(authority).ok_or(Foreign::Host)?.to_ascii_lowercase();
    // A dot at the end names the same host.
    let host = host.strip_suffix('.').unwrap_or(&host);
    let is_ours = is_address(host)
        || host == "localhost"
        || host.ends_with(".localhost")
        || hosts.iter().any(|known| known == host);
    if !is_ours {
        return Err(Foreign::Host);
    }
    let is_own = |origin: &str| {
        let same = origin.split_once("://").map(|(_, rest)| rest.eq_ignore_ascii_case(authority));
        same == Some(true)
    };
    if from.origin.is_some_and(|origin| !is_own(origin)) {
        return Err(Foreign::Origin);
    }
    match from.site {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(Foreign::Origin),
    }
}

/// The host of an authority, without its port.
fn host(authority: &str) -> Option<&str> {
    if authority.starts_with('[') {
        let end = authority.find(']')?;
        let (host, port) = authority.split_at_checked(end + 1)?;
        return is_port(port).then_some(host);
    }
    match authority.find(':') {
        None => Some(authority),
        Some(colon) => {
            let (host, port) = authority.split_at_checked(colon)?;
            is_port(port).then_some(host)
        }
    }
    .filter(|host| !host.is_empty())
}

/// Whether this is nothing, or a colon and a port.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_address(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, origin: Option<&str>, site: Option<&str>, expected: Result<(), Foreign>) {
        let from = From { host: Some(host), origin, site };
        let hosts = ["sms.example.com".to_owned()];
        assert_eq!(judge(from, &hosts), expected, "{from:?}");
    }

    #[test]
    fn addresses_this_machine_and_listed_names_are_asked() {
        for host in [
            "127.0.0.1:8480",
            "127.0.0.1",
            "10.0.0.7:8480",
            "[::1]:8480",
            "[fd00::1]",
            "localhost:8480",
            "LOCALHOST",
            "a.localhost",
            "sms.example.com",
            "SMS.example.com.:443",
        ] {
            check(host, None, None, Ok(()));
        }
        for host in [
            "evil.example",
            "evil.example:8480",
            "sms.example.com.evil.example",
            "notlocalhost",
            "",
            ":8480",
            "[::1",
            "[zz]",
            "2130706433",
            "127.0.0.1:port",
            "::1",
        ] {
            check(host, None, None, Err(Foreign::Host));
        }
        assert_eq!(judge(From::default(), &[]), Err(Foreign::NoHost));
    }

    #[test]
    fn pages_of_others_are_not_heard() {
        let host = "127.0.0.1:8480";
        check(host, Some("http://127.0.0.1:8480"), Some("same-origin"), Ok(()));
        check("sms.example.com", Some("https://sms.example.com"), None, Ok(()));
        check(host, None, Some("none"), Ok(()));
        for origin in
            ["null", "", "http://evil.example", "http://127.0.0.1", "http://127.0.0.1:8481"]
        {
            check(host, Some(origin), None, Err(Foreign::Origin));
        }
        check(host, None, Some("cross-site"), Err(Foreign::Origin));
        check(host, None, Some("same-site"), Err(Foreign::Origin));
    }
}

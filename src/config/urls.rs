//! URLs as the configuration has them. No message and no `Debug` shows more of one than where it
//! leads: user info, path and query may hold secrets.

use std::net::IpAddr;

use url::{Host, Url};

/// A gateway's address: `http` or `https` and perhaps a path, which does not end in a slash
/// unless it is the root.
pub(super) fn base_url(text: &str) -> Result<Url, &'static str> {
    let mut url = Url::parse(text).map_err(|_| "not a URL like http://http.c123.com")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must be an http or https URL");
    }
    if has_login(&url) {
        return Err("must not hold a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or fragment: the protocol's own follow it");
    }
    if text.trim() != text || url.host_str().is_none_or(|host| host.contains(',')) {
        return Err("must be one URL, without blanks and commas");
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if ["/rx", "/tx", "/mm"].iter().any(|end| path.ends_with(end)) {
        return Err("must end before the protocol's own /rx, /tx or /mm");
    }
    url.set_path(&path);
    Ok(url)
}

/// A proxy; `None` for the empty text, which means that there is none.
pub(super) fn proxy(text: &str) -> Result<Option<Url>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    let url = Url::parse(text).map_err(|_| "not a URL like http://proxy:8080")?;
    if !matches!(url.scheme(), "http" | "socks5") {
        return Err("must be an http:// or socks5:// URL");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("must be only scheme, host and port, perhaps with a login");
    }
    Ok(Some(url))
}

/// Whether the URL holds a user name or a password.
pub(super) fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Whether the URL leads to this machine itself.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}

/// The address that stands in the URL itself, if one does. The parser has already read the odd
/// forms of it: `2130706433`, `0x7f.1` and `127.1` are all 127.0.0.1 here.
pub(super) fn literal_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
        Host::Ipv6(ip) => Some(IpAddr::V6(ip)),
    }
}

/// What may be shown of a URL: scheme, host and port.
pub(super) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}/…", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_lose_their_trailing_slash() {
        for (text, expected) in [
            ("http://http.c123.com", Ok("http://http.c123.com/")),
            ("http://http.c123.com/", Ok("http://http.c123.com/")),
            ("https://sms.example.com:8443/api/v1//", Ok("https://sms.example.com:8443/api/v1")),
            ("HTTP://SMS.example.com/A/", Ok("http://sms.example.com/A")),
            ("http.c123.com", Err("not a URL like http://http.c123.com")),
            ("", Err("not a URL like http://http.c123.com")),
            ("ftp://http.c123.com", Err("must be an http or https URL")),
            ("http://http,c123,com", Err("must be one URL, without blanks and commas")),
            ("http://http，c123，com", Err("must be one URL, without blanks and commas")),
            (" http://http.c123.com", Err("must be one URL, without blanks and commas")),
            ("http://http.c123.com/rx/", Err("must end before the protocol's own /rx, /tx or /mm")),
            (
                "http://http.c123.com/sms/tx",
                Err("must end before the protocol's own /rx, /tx or /mm"),
            ),
            ("http://user@example.com", Err("must not hold a user name or password")),
            ("http://:pass@example.com", Err("must not hold a user name or password")),
            (
                "http://example.com/?",
                Err("must not have a query or fragment: the protocol's own follow it"),
            ),
            (
                "http://example.com/#a",
                Err("must not have a query or fragment: the protocol's own follow it"),
            ),
        ] {
            assert_eq!(
                base_url(text).as_ref().map(Url::as_str),
                expected.as_ref().copied(),
                "{text}"
            );
        }
    }

    #[test]
    fn proxies_are_scheme_host_and_port() {
        for (text, expected) in [
            ("", Ok(None)),
            ("http://proxy:3128", Ok(Some("http://proxy:3128/"))),
            ("socks5://user:word@10.0.0.1:1080", Ok(Some("socks5://user:word@10.0.0.1:1080"))),
            ("proxy:3128", Err("must be an http:// or socks5:// URL")),
            ("https://proxy", Err("must be an http:// or socks5:// URL")),
            ("socks5://", Err("names no host")),
            ("socks5:proxy", Err("names no host")),
            ("http://", Err("not a URL like http://proxy:8080")),
            ("http://proxy/path", Err("must be only scheme, host and port, perhaps with a login")),
            ("http://proxy?a", Err("must be only scheme, host and port, perhaps with a login")),
        ] {
            let found = proxy(text);
            let found = found.as_ref().map(|url| url.as_ref().map(Url::as_str));
            assert_eq!(found, expected.as_ref().copied(), "{text}");
        }
    }

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        for (text, expected) in [
            ("http://127.0.0.1:1", true),
            ("http://127.255.255.254", true),
            ("http://2130706433", true),
            ("http://0x7f.1", true),
            ("http://[::1]", true),
            ("http://[::ffff:127.0.0.1]", true),
            ("http://localhost", true),
            ("http://LOCALHOST.", true),
            ("http://sim.localhost", true),
            ("http://notlocalhost", false),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
            ("http://[::2]", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn only_the_origin_is_shown() {
        let url = Url::parse("https://user:word@example.com:8443/path/key?token=a#b").unwrap();
        assert_eq!(shown(&url), "https://example.com:8443/…");
    }
}

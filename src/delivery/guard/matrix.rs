//! Every special-purpose block, at its edges and beside them, in every form in which a URL can
//! name an address. The blocks are written down here a second time, by their first and last
//! addresses, so that a slip in the guard's own list is seen.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

/// First and last address of each block of IPv4 that stands inside. Neighbouring blocks stand together,
/// so that what lies before and after is outside.
const INSIDE_V4: [(&str, &str); 18] = [
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("168.63.129.16", "168.63.129.16"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.31.196.0", "192.31.196.255"),
    ("192.52.193.0", "192.52.193.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("192.175.48.0", "192.175.48.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "255.255.255.255"),
];

/// The same of IPv6. What lies between the first two and behind the last two is all that is given
/// out for use in the open.
const INSIDE_V6: [(&str, &str); 6] = [
    ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
];

/// Blocks of IPv6 with a purpose of their own that lie within those, and the neighbours of those
/// that embed an IPv4 address: unspecified, loopback, local NAT64, discard, Teredo, benchmarks,
/// AMT, AS112, ORCHID, drone identifiers, segment routing, unique local, link-local, site-local,
/// multicast.
const WITHIN_V6: [(&str, &str); 20] = [
    ("::", "::1"),
    ("::fffe:ffff:ffff", "::1:0:0:0"),
    ("64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "64:ff9b::1:0:0"),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
    ("100::", "100::ffff:ffff:ffff:ffff"),
    ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff"),
    ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:1::1", "2001:1::3"),
    ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"),
    ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff"),
    ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fd00:ec2::254", "fd00:ec2::254"),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
];

/// Where a block that embeds an IPv4 address ends, beside what is outside.
const BESIDE_6TO4: [&str; 2] = ["2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"];

/// Addresses within blocks that attackers want by name: metadata services and the like.
const WANTED: [&str; 6] =
    ["127.0.0.1", "169.254.169.254", "100.100.100.200", "192.0.0.192", "192.168.1.1", "10.0.0.1"];

/// The forms in which a URL's host can name an IPv4 address.
fn forms(ip: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = ip.octets();
    let number = u32::from(ip);
    let (low_three, low_two) = (number & 0xff_ffff, number & 0xffff);
    let (high, low) = (number >> 16, number & 0xffff);
    let full_width = |text: String| -> String {
        let wide = |c: char| c.to_digit(10).and_then(|digit| char::from_u32(0xff10 + digit));
        text.chars().map(|c| wide(c).unwrap_or('。')).collect()
    };
    vec![
        format!("{ip}"),
        format!("{ip}."),
        format!("{number}"),
        format!("0x{number:x}"),
        format!("0X{number:X}"),
        format!("0{number:o}"),
        format!("{a}.{low_three}"),
        format!("{a}.{b}.{low_two}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0{a:o}.0x{b:x}.{low_two}"),
        full_width(ip.to_string()),
        ip.to_string().replace('.', "%2e"),
        format!("[::ffff:{ip}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:ffff:{high:x}:{low:x}]"),
        format!("[64:ff9b::{ip}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2400:1:2:3:0:5efe:{ip}]"),
        format!("[2400:1:2:3:200:5efe:{high:x}:{low:x}]"),
    ]
}

/// IPv6 forms that are refused whatever they embed: none of them is routed in the open.
fn closed_forms(ip: Ipv4Addr) -> [String; 6] {
    let number = u32::from(ip);
    let (high, low) = (number >> 16, number & 0xffff);
    let (not_high, not_low) = (!high & 0xffff, !low & 0xffff);
    [
        format!("[::{high:x}:{low:x}]"),
        format!("[::ffff:0:{high:x}:{low:x}]"),
        format!("[64:ff9b:1::{high:x}:{low:x}]"),
        format!("[2001::{not_high:x}:{not_low:x}]"),
        format!("[fe80::5efe:{high:x}:{low:x}]"),
        format!("[fd00::{high:x}:{low:x}]"),
    ]
}

/// The forms in which a URL's host can name an IPv6 address.
fn forms_v6(ip: Ipv6Addr) -> [String; 4] {
    let full = ip.segments().map(|part| format!("{part:04x}")).join(":");
    let [.., a, b, c, d] = ip.octets();
    let dotted = format!("{}:{a}.{b}.{c}.{d}", &full[..29]);
    [
        format!("[{ip}]"),
        format!("[{}]", full.to_uppercase()),
        format!("[{full}]"),
        format!("[{dotted}]"),
    ]
}

/// Addresses of IPv4, and whether each stands inside.
fn addresses_v4() -> Vec<(Ipv4Addr, bool)> {
    let mut addresses: Vec<_> = WANTED.iter().map(|ip| (ip.parse().unwrap(), true)).collect();
    for (first, last) in INSIDE_V4 {
        let (first, last): (Ipv4Addr, Ipv4Addr) = (first.parse().unwrap(), last.parse().unwrap());
        let before = u32::from(first).checked_sub(1);
        let after = u32::from(last).checked_add(1);
        addresses.extend([(first, true), (last, true)]);
        addresses.extend(before.into_iter().chain(after).map(|ip| (Ipv4Addr::from(ip), false)));
    }
    addresses
}

/// Addresses of IPv6, and whether each stands inside.
fn addresses_v6() -> Vec<(Ipv6Addr, bool)> {
    let mut addresses: Vec<_> = BESIDE_6TO4.iter().map(|ip| (ip.parse().unwrap(), false)).collect();
    for (first, last) in WITHIN_V6 {
        addresses.extend([(first.parse().unwrap(), true), (last.parse().unwrap(), true)]);
    }
    for (first, last) in INSIDE_V6 {
        let (first, last): (Ipv6Addr, Ipv6Addr) = (first.parse().unwrap(), last.parse().unwrap());
        let before = u128::from(first).checked_sub(1);
        let after = u128::from(last).checked_add(1);
        addresses.extend([(first, true), (last, true)]);
        addresses.extend(before.into_iter().chain(after).map(|ip| (Ipv6Addr::from(ip), false)));
    }
    addresses
}

/// Hosts as they may stand in a URL, and whether each stands inside.
pub(in crate::delivery) fn hosts() -> Vec<(String, bool)> {
    let mut hosts = Vec::new();
    for (ip, inside) in addresses_v4() {
        hosts.extend(forms(ip).into_iter().map(|host| (host, inside)));
        hosts.extend(closed_forms(ip).into_iter().map(|host| (host, true)));
    }
    for (ip, inside) in addresses_v6() {
        hosts.extend(forms_v6(ip).into_iter().map(|host| (host, inside)));
    }
    hosts
}

/// That these are refused by the real way to a server, without a connection, stands with its tests.
#[test]
fn every_block_is_refused_up_to_its_edges_in_every_form() {
    let hosts = hosts();
    for (host, inside) in &hosts {
        let url = Url::parse(&format!("https://{host}/hooks")).unwrap();
        // A name would go to a resolver and be judged there, by another answer each time.
        assert!(!matches!(url.host(), Some(Host::Domain(_))), "{host} is taken for a name");
        assert_eq!(vet_url(&url).is_err(), *inside, "{host}");
    }
    assert!(hosts.len() >= 1500, "only {} cases", hosts.len());
}

//! Every special-purpose block, at its edges and beside them, in every form in which a URL can
//! name an address. The blocks are written down here a second time, by their first and last
//! addresses, so that a slip in the guard's own list is seen.

use std::net::Ipv4Addr;

use super::*;

/// First and last address of each block that stands inside. Neighbouring blocks stand together,
/// so that what lies before and after is outside.
const INSIDE: [(&str, &str); 18] = [
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

/// Addresses, and whether each stands inside.
fn addresses() -> Vec<(Ipv4Addr, bool)> {
    let mut addresses: Vec<_> = WANTED.iter().map(|ip| (ip.parse().unwrap(), true)).collect();
    for (first, last) in INSIDE {
        let (first, last): (Ipv4Addr, Ipv4Addr) = (first.parse().unwrap(), last.parse().unwrap());
        let before = u32::from(first).checked_sub(1);
        let after = u32::from(last).checked_add(1);
        addresses.extend([(first, true), (last, true)]);
        addresses.extend(before.into_iter().chain(after).map(|ip| (Ipv4Addr::from(ip), false)));
    }
    addresses
}

#[test]
fn every_block_is_refused_up_to_its_edges_in_every_form() {
    let mut cases = 0;
    let mut check = |host: &str, inside: bool| {
        let url = Url::parse(&format!("https://{host}/hooks")).unwrap();
        // A name would go to a resolver and be judged there, by another answer each time.
        assert!(!matches!(url.host(), Some(Host::Domain(_))), "{host} is taken for a name");
        assert_eq!(vet_url(&url).is_err(), inside, "{host}");
        cases += 1;
    };
    for (ip, inside) in addresses() {
        for host in forms(ip) {
            check(&host, inside);
        }
        for host in closed_forms(ip) {
            check(&host, true);
        }
    }
    assert!(cases >= 600, "only {cases} cases");
}

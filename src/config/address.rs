//! The one list of addresses that stand inside: what a subscriber may be only when its
//! configuration allows it. The check of literal addresses and the guard at delivery both ask
//! here.
//!
//! It knows addresses only, not names: those are judged by what they resolve to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The special-purpose blocks of IPv4 (IANA's registry, RFC 6890 and later), multicast, and
/// the address at which Azure serves every guest.
const INSIDE_V4: [(Ipv4Addr, u32); 19] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8), // this network; 0.0.0.0 reaches this host
    (Ipv4Addr::new(10, 0, 0, 0), 8), // private
    (Ipv4Addr::new(100, 64, 0, 0), 10), // carriers' NAT; Alibaba's metadata
    (Ipv4Addr::new(127, 0, 0, 0), 8), // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // Azure's platform
    (Ipv4Addr::new(169, 254, 0, 0), 16), // link-local; most clouds' metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12), // private
    (Ipv4Addr::new(192, 0, 0, 0), 24), // protocol assignments; Oracle's metadata
    (Ipv4Addr::new(192, 0, 2, 0), 24), // documentation
    (Ipv4Addr::new(192, 31, 196, 0), 24), // AS112
    (Ipv4Addr::new(192, 52, 193, 0), 24), // multicast tunnels
    (Ipv4Addr::new(192, 88, 99, 0), 24), // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16), // private
    (Ipv4Addr::new(192, 175, 48, 0), 24), // AS112
    (Ipv4Addr::new(198, 18, 0, 0), 15), // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24), // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4), // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4), // reserved; broadcast
];

/// All of IPv6 that is given out for use in the open.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The special-purpose blocks within `GLOBAL_V6`. What lies without it is inside: loopback,
/// `::/96` (IPv4-compatible), the local NAT64 prefixes `64:ff9b:1::/48`, discard, segment
/// routing, unique local, link-local, site-local, multicast and all that is not assigned.
const INSIDE_V6: [(Ipv6Addr, u32); 4] = [
    // Protocol assignments: Teredo, benchmarks, ORCHID and their like.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), // AS112
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),     // documentation
];

/// Forms of an IPv4 address that reach it: mapped, and NAT64's well-known prefix. They are
/// judged by the address in their last four bytes.
const EMBEDDED_LAST: [(Ipv6Addr, u32); 2] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
];

/// 6to4, judged by the IPv4 address that follows the prefix.
const SIX_TO_FOUR: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

/// The interface identifiers of ISATAP: the IPv4 address of a host behind the router to which
/// the first half leads. They are judged by both.
const ISATAP: [u128; 2] = [0x0000_5efe, 0x0200_5efe];

/// Whether an address is not of the open network: private, loopback, link-local, carrier's NAT,
/// metadata, multicast, documentation, reserved, or an IPv6 form that leads to such an IPv4
/// address. The old forms that are not routed at all (compatible, Teredo, local NAT64) are
/// inside whatever they embed.
#[must_use]
pub fn is_inside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => INSIDE_V4.iter().any(|block| within_v4(ip, *block)),
        IpAddr::V6(ip) if behind_router(ip).is_some_and(|ip| is_inside(IpAddr::V4(ip))) => true,
        IpAddr::V6(ip) => match embedded(ip) {
            Some(embedded) => is_inside(IpAddr::V4(embedded)),
            None => {
                !within_v6(ip, GLOBAL_V6) || INSIDE_V6.iter().any(|block| within_v6(ip, *block))
            }
        },
    }
}

/// The IPv4 address that a packet to this one reaches in the end.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = u128::from(ip);
    if EMBEDDED_LAST.iter().any(|block| within_v6(ip, *block)) {
        return Some(low_v4(bits));
    }
    within_v6(ip, SIX_TO_FOUR).then(|| low_v4(bits >> 80))
}

/// The IPv4 address to which an ISATAP router hands a packet on.
fn behind_router(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = u128::from(ip);
    let identifier = (bits >> 32) & u128::from(u32::MAX);
    ISATAP.contains(&identifier).then(|| low_v4(bits))
}

fn low_v4(bits: u128) -> Ipv4Addr {
    let [.., a, b, c, d] = bits.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

fn within_v4(ip: Ipv4Addr, (start, prefix): (Ipv4Addr, u32)) -> bool {
    (u32::from(ip) ^ u32::from(start)).leading_zeros() >= prefix
}

fn within_v6(ip: Ipv6Addr, (start, prefix): (Ipv6Addr, u32)) -> bool {
    (u128::from(ip) ^ u128::from(start)).leading_zeros() >= prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(ip: &str) -> bool {
        is_inside(ip.parse().unwrap())
    }

    /// Blocks by first and last address; the neighbours are outside where they are named.
    #[test]
    fn ipv4_blocks_have_exact_edges() {
        for (before, first, last, after) in [
            ("", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
            ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
            ("168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"),
            ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
            ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
            ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
            ("192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0"),
            ("192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0"),
            ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
            ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
            ("192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0"),
            ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
            ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
            ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
            ("223.255.255.255", "224.0.0.0", "239.255.255.255", ""),
            ("", "240.0.0.0", "255.255.255.255", ""),
        ] {
            assert!(inside(first) && inside(last), "{first} to {last}");
            for neighbour in [before, after].into_iter().filter(|ip| !ip.is_empty()) {
                assert!(!inside(neighbour), "{neighbour}");
            }
        }
    }

    #[test]
    fn ipv6_blocks_have_exact_edges() {
        let ones = "ffff:ffff:ffff:ffff:ffff:ffff";
        for (before, first, last, after) in [
            ("", "::", &*format!("1fff:ffff:{ones}"), "2000::"),
            (&*format!("2000:ffff:{ones}"), "2001::", &*format!("2001:1ff:{ones}"), "2001:200::"),
            (
                &*format!("2001:db7:{ones}"),
                "2001:db8::",
                &*format!("2001:db8:{ones}"),
                "2001:db9::",
            ),
            (
                "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff",
                "2620:4f:8000::",
                "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
                "2620:4f:8001::",
            ),
            (&*format!("3ffe:ffff:{ones}"), "3fff::", &*format!("3fff:fff:{ones}"), "3fff:1000::"),
            (&*format!("3fff:ffff:{ones}"), "4000::", &*format!("ffff:ffff:{ones}"), ""),
        ] {
            assert!(inside(first) && inside(last), "{first} to {last}");
            for neighbour in [before, after].into_iter().filter(|ip| !ip.is_empty()) {
                assert!(!inside(neighbour), "{neighbour}");
            }
        }
    }

    #[test]
    fn ipv6_named_blocks_are_inside() {
        for ip in [
            "::1",
            "100::1",
            "64:ff9b:1::8.8.8.8",
            "::8.8.8.8",
            "::127.0.0.1",
            "2001::8.8.8.8",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "5f00::1",
            "fc00::",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(inside(ip), "{ip}");
        }
        for ip in ["2606:4700:4700::1111", "240e::1", "2a00::1", "2001:4860:4860::8888"] {
            assert!(!inside(ip), "{ip}");
        }
    }

    #[test]
    fn an_embedded_address_is_judged() {
        for (ip, expected) in [
            ("::ffff:127.0.0.1", true),
            ("::ffff:10.255.255.255", true),
            ("::ffff:11.0.0.0", false),
            ("::ffff:0.0.0.0", true),
            ("::ffff:255.255.255.255", true),
            ("::fffe:8.8.8.8", true),
            ("::1:0:8.8.8.8", true),
            ("64:ff9b::169.254.169.254", true),
            ("64:ff9b::8.8.8.8", false),
            ("64:ff9b::1:8.8.8.8", true),
            ("2002:7f00:1::1", true),
            ("2002:a9fe:a9fe::", true),
            ("2002:808:808::1", false),
            ("2002:aff:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2002:b00::", false),
            ("2003::", false),
            ("2400:1::5efe:10.0.0.1", true),
            ("2400:1::200:5efe:127.0.0.1", true),
            ("2400:1::5efe:8.8.8.8", false),
            ("2400:1::1:5efe:10.0.0.1", false),
            ("2002:808:808::5efe:10.0.0.1", true),
            ("2002:a00:1::5efe:8.8.8.8", true),
        ] {
            assert_eq!(inside(ip), expected, "{ip}");
        }
    }
}

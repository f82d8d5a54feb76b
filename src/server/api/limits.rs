//! What a client may cost: bounds, and how often is often enough. Pure.

use core::net::IpAddr;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// The longest body: some 80,000 numbers to send to, in one message.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a body may take to come.
pub(super) const BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a request may take in all: longer than the gateway's answer to one call, and less than
/// the minute after which proxies give up.
pub(super) const REQUEST_TIME_MAX: Duration = Duration::from_secs(45);
/// Requests that are answered at once: each may hold a page of some MiB.
pub(super) const REQUESTS_AT_ONCE_MAX: usize = 32;
/// Streams of events at once, each of which looks into the store now and then.
pub(super) const STREAMS_MAX: usize = 32;
/// How soon somebody may try again for whom there was no stream.
pub(super) const STREAM_WAIT: Duration = Duration::from_secs(15);
/// How soon somebody who came while all places were taken may come again.
pub(super) const PLACE_WAIT: Duration = Duration::from_secs(1);

/// Requests of one token: a program that walks through millions of rows needs no more, and one that
/// asks in a loop by mistake leaves the store to the deliveries.
pub(super) const TOKEN_RATE: Rate = Rate { burst: 200, interval_ms: 20 };
/// Requests without a good token from one address. A token cannot be guessed anyhow: this bounds
/// what the tries cost, and the lines that they put into the log.
pub(super) const FAILURE_RATE: Rate = Rate { burst: 20, interval_ms: 3_000 };
/// How many addresses are kept in mind. One that is forgotten begins anew.
pub(super) const ADDRESSES_MAX: usize = 1_024;

/// So many at once, and then one each so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) burst: i64,
    pub(super) interval_ms: i64,
}

/// How often each of many came lately. It keeps no more of them than it may.
pub(super) struct Rates<K> {
    rate: Rate,
    keys_max: usize,
    /// By when each will have come as often as its rate allows.
    paid_until_ms: HashMap<K, i64>,
}

impl<K: Eq + Hash> Rates<K> {
    pub(super) fn new(rate: Rate, keys_max: usize) -> Self {
        Self { rate, keys_max, paid_until_ms: HashMap::new() }
    }

    /// Counts one more, unless it comes too soon: then it says how long to wait.
    pub(super) fn take(&mut self, key: K, now_ms: i64) -> Result<(), Duration> {
        if self.paid_until_ms.len() >= self.keys_max && !self.paid_until_ms.contains_key(&key) {
            self.forget(now_ms);
        }
        let Rate { burst, interval_ms } = self.rate;
        let paid_until = self.paid_until_ms.entry(key).or_insert(now_ms);
        let next = (*paid_until).max(now_ms) + interval_ms;
        let too_soon_ms = next - now_ms - burst * interval_ms;
        if too_soon_ms > 0 {
            return Err(Duration::from_millis(too_soon_ms.unsigned_abs()));
        }
        *paid_until = next;
        Ok(())
    }

    /// Forgets those that came long ago, or, where all came lately, all of them.
    fn forget(&mut self, now_ms: i64) {
        self.paid_until_ms.retain(|_, paid_until| *paid_until > now_ms);
        if self.paid_until_ms.len() >= self.keys_max {
            self.paid_until_ms.clear();
        }
    }
}

/// Whom an address stands for: one has a whole /64 of IPv6.
pub(super) fn whom(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_one_goes_each_interval() {
        let mut rates = Rates::new(Rate { burst: 3, interval_ms: 100 }, 10);
        for _ in 0..3 {
            assert_eq!(rates.take("a", 1_000), Ok(()));
        }
        assert_eq!(rates.take("a", 1_000), Err(Duration::from_millis(100)));
        assert_eq!(rates.take("a", 1_060), Err(Duration::from_millis(40)));
        assert_eq!(rates.take("b", 1_000), Ok(()));
        assert_eq!(rates.take("a", 1_100), Ok(()));
        assert_eq!(rates.take("a", 1_100), Err(Duration::from_millis(100)));
        for _ in 0..3 {
            assert_eq!(rates.take("a", 9_000), Ok(()));
        }
        assert!(rates.take("a", 9_000).is_err());
    }

    #[test]
    fn it_keeps_no_more_than_it_may() {
        let mut rates = Rates::new(Rate { burst: 3, interval_ms: 100 }, 100);
        for key in 0..10_000 {
            assert_eq!(rates.take(key, 1_000), Ok(()));
            assert!(rates.paid_until_ms.len() <= 100);
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let of = |text: &str| whom(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.2"), of("10.0.0.1"));
    }
}

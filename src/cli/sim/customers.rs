//! What the simulated gateway's customers write: what they are told to, or by themselves.

use crate::gateway::simulator::NewReply;
use crate::gateway::simulator::chance::SplitMix64;
use crate::reply::Mobile;
use crate::time::UnixMs;

/// The forms in which a reply is given.
const FORM: &str = "must be a number and a text";

/// What customers who write by themselves write: what real ones do, separators and characters
/// whose bytes are separators among it.
const TEXTS: [&str; 10] = [
    "好的，收到",
    "TD",
    "请问几点送货？",
    "1",
    "a||b{&}c || 1,2",
    "预算一億，和珅",
    "谢谢😀",
    "退订",
    "改到明天上午",
    "OK, thank you",
];
/// So many customers write by themselves: 13900000001 and the numbers after it.
const CUSTOMERS: u64 = 99;
const FIRST: u64 = 13_900_000_001;
/// What stands behind the account's number in those that they answer.
const EXTENSIONS: [&str; 3] = ["", "01", "02"];

/// Somebody who writes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Customer {
    mobile: String,
    text: String,
}

impl Customer {
    fn new(mobile: &str, text: &str) -> Result<Self, String> {
        if Mobile::parse(mobile).is_none() {
            return Err("the number must be 3 to 20 digits, perhaps behind a +".to_owned());
        }
        Ok(Self { mobile: mobile.to_owned(), text: text.to_owned() })
    }

    /// From `MOBILE=TEXT`.
    pub(super) fn of_argument(argument: &str) -> Result<Self, String> {
        let (mobile, text) =
            argument.split_once('=').ok_or_else(|| format!("{FORM}: MOBILE=TEXT"))?;
        Self::new(mobile, text)
    }

    /// From a line `MOBILE TEXT`; none from an empty one.
    pub(super) fn of_line(line: &str) -> Result<Option<Self>, String> {
        let line = line.trim_end_matches(['\r', '\n']);
        if line.trim().is_empty() {
            return Ok(None);
        }
        let (mobile, text) =
            line.trim_start().split_once(' ').ok_or_else(|| format!("{FORM}: MOBILE TEXT"))?;
        Self::new(mobile, text).map(Some)
    }
}

/// All who write.
pub(super) struct Customers {
    number: String,
    chance: SplitMix64,
}

impl Customers {
    /// Customers who answer this number.
    pub(super) fn new(number: &str, seed: u64) -> Self {
        Self { number: number.to_owned(), chance: SplitMix64::new(seed) }
    }

    /// What somebody writes who was told to.
    pub(super) fn reply(&self, customer: &Customer, now: UnixMs) -> NewReply {
        NewReply::text(&customer.mobile, &customer.text, now.beijing(), &self.number)
    }

    /// What the next one writes by himself.
    pub(super) fn next(&mut self, now: UnixMs) -> NewReply {
        let mobile = FIRST + self.chance.next() % CUSTOMERS;
        let text = pick(&TEXTS, self.chance.next());
        let extension = pick(&EXTENSIONS, self.chance.next());
        let number = format!("{}{extension}", self.number);
        NewReply::text(&mobile.to_string(), text, now.beijing(), &number)
    }
}

fn pick<'a>(texts: &[&'a str], number: u64) -> &'a str {
    let place = usize::try_from(number % texts.len().max(1) as u64).unwrap_or_default();
    texts.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(mobile: &str, text: &str) -> Customer {
        Customer { mobile: mobile.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_reply_is_a_number_and_a_text() {
        for (argument, expected) in [
            ("13900000001=好的", Some(("13900000001", "好的"))),
            ("+8613900000001=a=b", Some(("+8613900000001", "a=b"))),
            ("13900000001=", Some(("13900000001", ""))),
            ("13900000001", None),
            ("TD=13900000001", None),
            ("=", None),
        ] {
            let found = Customer::of_argument(argument).ok();
            assert_eq!(found, expected.map(|(mobile, text)| customer(mobile, text)), "{argument}");
        }
        for (line, expected) in [
            ("13900000001 好的，收到\n", Ok(Some(("13900000001", "好的，收到")))),
            ("  13900000001  a b \r\n", Ok(Some(("13900000001", " a b ")))),
            ("13900000001 \n", Ok(Some(("13900000001", "")))),
            (" \n", Ok(None)),
            ("13900000001\n", Err(())),
            ("hello you\n", Err(())),
        ] {
            let found = Customer::of_line(line).map_err(drop);
            let expected = expected.map(|one| one.map(|(mobile, text)| customer(mobile, text)));
            assert_eq!(found, expected, "{line:?}");
        }
    }

    #[test]
    fn who_writes_by_himself_is_of_the_seed_alone() {
        let replies = |seed| {
            let mut customers = Customers::new("1068", seed);
            (0..300).map(|_| customers.next(UnixMs(0))).collect::<Vec<_>>()
        };
        assert_eq!(replies(7), replies(7));
        assert_ne!(replies(7), replies(8));
        for reply in replies(7) {
            let mobile: u64 = reply.mobile.parse().unwrap();
            assert!((FIRST..FIRST + CUSTOMERS).contains(&mobile), "{mobile}");
            assert!(reply.gateway.starts_with("1068"));
        }
    }
}

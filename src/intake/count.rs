//! How many replies equal records are.
//!
//! A record has no id, and the same person can send the same words twice within a second. So
//! copies are counted: `plain` sums those of proven plain reads, which the provider promises to
//! be disjoint; `seen` is the most that any other single body held. There are as many replies as
//! the larger count says, and neither ever falls. So the same words twice are two replies, a
//! re-read adds none, and a read that broke before the gateway let go of its replies adds none
//! when they come again.

use std::collections::HashMap;

use crate::store::read::Tally;

/// What the copies in a body prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A proven plain read: its copies are no other read's.
    Disjoint,
    /// Any other: its copies may be known ones.
    Single,
}

/// What equal records of one body come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The tally after them.
    pub tally: Tally,
    /// The gateway numbers of the replies that they make, in their order; the first of these
    /// replies has the number after the last known one.
    pub new: Vec<String>,
    /// Whether some copy made no reply: it may be a known one.
    pub raised_nothing: bool,
}

/// Counts `copies` equal records of one body, whose gateway numbers are `gateways`.
#[must_use]
pub fn count(known: &Tally, copies: u32, gateways: &[String], body: Body) -> Counted {
    let before = known.plain.max(known.seen);
    let mut tally = known.clone();
    match body {
        Body::Disjoint => tally.plain = tally.plain.saturating_add(copies),
        Body::Single => tally.seen = tally.seen.max(copies),
    }
    let raised = tally.plain.max(tally.seen) - before;
    let others = match body {
        // As many of the known replies as earlier plain reads brought are surely other copies.
        Body::Disjoint => usize::try_from(known.plain).unwrap_or(usize::MAX),
        Body::Single => 0,
    };
    let may_be_known = known.gateways.get(others..).unwrap_or_default();
    let new = new_gateways(may_be_known, gateways, raised);
    tally.gateways.extend(new.iter().cloned());
    Counted { tally, new, raised_nothing: raised < copies }
}

/// The gateway numbers of new replies: those of the copies but for as many as may be known ones,
/// and where there are too few, that of the last copy.
fn new_gateways(known: &[String], copies: &[String], wanted: u32) -> Vec<String> {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    if wanted == 0 {
        return Vec::new();
    }
    let mut new = unpaired(known, copies, copies.len().saturating_sub(wanted));
    let last = copies.last().cloned().unwrap_or_default();
    new.resize(wanted, last);
    new
}

/// Numbers that are compared each with each: more equal texts than that within one second no
/// person writes, and a forged body must not hold up the store.
const COMPARED_MAX: usize = 64;

/// Pairs `pairs` of the copies with known replies by equal gateway numbers, then by one being the
/// beginning of the other (a number may have been cut), then by order. Gives the copies left over.
fn unpaired(known: &[String], copies: &[String], mut pairs: usize) -> Vec<String> {
    let mut known_left: HashMap<&str, usize> = HashMap::new();
    for gateway in known {
        *known_left.entry(gateway).or_default() += 1;
    }
    let mut left: Vec<&String> = Vec::new();
    for copy in copies {
        if pairs > 0 && take_one(&mut known_left, copy) {
            pairs -= 1;
        } else {
            left.push(copy);
        }
    }
    let mut unequal = Vec::new();
    for gateway in known {
        if take_one(&mut known_left, gateway) {
            unequal.push(gateway);
        }
    }
    if unequal.len().max(left.len()) <= COMPARED_MAX {
        left.retain(|copy| {
            let begins = |reply: &&String| {
                copy.starts_with(reply.as_str()) || reply.starts_with(copy.as_str())
            };
            let pair = unequal.iter().position(begins).filter(|_| pairs > 0);
            pairs -= usize::from(pair.is_some());
            pair.map(|at| unequal.remove(at)).is_none()
        });
    }
    left.into_iter().skip(pairs).cloned().collect()
}

/// Takes one of those that are left, if any is.
fn take_one(left: &mut HashMap<&str, usize>, gateway: &str) -> bool {
    match left.get_mut(gateway) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    /// Counts bodies one after the other and says how many replies there are after each.
    fn check(bodies: &[(Body, u32)], expected: &[usize]) {
        let mut tally = Tally::default();
        for ((body, copies), expected) in bodies.iter().zip(expected) {
            let gateways = vec!["1069".to_owned(); *copies as usize];
            tally = count(&tally, *copies, &gateways, *body).tally;
            assert_eq!(tally.gateways.len(), *expected, "{bodies:?}");
        }
    }

    #[test]
    fn there_are_as_many_replies_as_the_larger_count_says() {
        use Body::{Disjoint, Single};
        // The same words twice within a second.
        check(&[(Disjoint, 2)], &[2]);
        check(&[(Disjoint, 1), (Disjoint, 1)], &[1, 2]);
        // A re-read adds none, and shows what was missed.
        check(&[(Disjoint, 2), (Single, 2), (Single, 3)], &[2, 2, 3]);
        // A read that broke before the gateway let go, and its replies again.
        check(&[(Single, 2), (Disjoint, 2)], &[2, 2]);
        check(&[(Single, 2), (Single, 1), (Disjoint, 2), (Disjoint, 1)], &[2, 2, 2, 3]);
    }

    #[test]
    fn many_equal_records_of_different_numbers_are_paired_by_order() {
        let numbers =
            |from: u32, to: u32| (from..to).map(|number| number.to_string()).collect::<Vec<_>>();
        assert_eq!(
            new_gateways(&numbers(0, 1_000), &numbers(1_000, 2_500), 500),
            numbers(2_000, 2_500)
        );
    }

    #[test]
    fn a_copy_that_raises_nothing_is_told() {
        let known = count(&Tally::default(), 1, &strings(&["1"]), Body::Single).tally;
        assert!(count(&known, 1, &strings(&["1"]), Body::Disjoint).raised_nothing);
        assert!(count(&known, 1, &strings(&["1"]), Body::Single).raised_nothing);
        assert!(count(&known, 2, &strings(&["1", "1"]), Body::Disjoint).raised_nothing);
        assert!(!count(&Tally::default(), 2, &strings(&["1", "1"]), Body::Disjoint).raised_nothing);
    }

    #[test]
    fn a_plain_copy_is_no_reply_of_an_earlier_plain_read() {
        let one = count(&Tally::default(), 1, &strings(&["955"]), Body::Disjoint).tally;
        // A read that broke showed two more, and these come again.
        let two = count(&one, 2, &strings(&["955", "1069"]), Body::Single);
        assert_eq!(two.new, ["1069"]);
        let three = count(&two.tally, 2, &strings(&["955", "1069"]), Body::Disjoint);
        assert_eq!(three.new, ["955"]);
    }

    #[test]
    fn new_replies_get_the_numbers_that_are_no_known_ones() {
        let new = |known: &[&str], copies: &[&str], wanted| {
            new_gateways(&strings(known), &strings(copies), wanted)
        };
        assert_eq!(new(&[], &["1", "2"], 2), ["1", "2"]);
        assert_eq!(new(&["1"], &["2", "1"], 1), ["2"]);
        assert_eq!(new(&["106"], &["2", "1069"], 1), ["2"]);
        assert_eq!(new(&["7"], &["1", "2"], 1), ["2"]);
        assert_eq!(new(&["1"], &["1"], 1), ["1"]);
        assert_eq!(new(&["1", "2"], &["2"], 1), ["2"]);
        assert_eq!(new(&[], &["1069"], 2), ["1069", "1069"]);
        assert_eq!(new(&["1"], &["1", "2"], 0), Vec::<String>::new());
        // Copies that are all new keep their own numbers, whatever the known ones have.
        assert_eq!(new(&["1"], &["1", "2"], 2), ["1", "2"]);
        assert_eq!(new(&["1069"], &["106907", "955"], 2), ["106907", "955"]);
    }
}

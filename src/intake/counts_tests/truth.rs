//! A gateway that knows the truth: every copy of every text that ever arrived, and which of them
//! it has handed out by a plain read.

use std::collections::BTreeMap;

use crate::gateway::charset::Charset;
use crate::time::{BeijingTime, Hour};

/// Who writes, and what: no separator, separators inside of a character, and all separators.
pub(super) const TEXTS: [(&str, &str); 4] = [
    ("13900000001", "TD"),
    ("13900000002", "TD"),
    ("13900000001", "和珅"),
    ("13900000001", "a||b{&}1||"),
];
/// The numbers that are answered: equal, different, one the beginning of another, and none.
pub(super) const GATEWAYS: [&str; 5] = ["1069", "955", "106907", "10690722", ""];
/// Equal records within one second.
const EQUAL_MAX: usize = 5;

/// A text of one second, of which there may be several copies.
pub(super) type Text = (usize, BeijingTime);

struct Copy {
    text: Text,
    gateway: &'static str,
    is_in_box: bool,
}

/// The gateway.
#[derive(Default)]
pub(super) struct Truth {
    copies: Vec<Copy>,
}

/// An answer as the gateway gives it whole.
#[derive(Clone, Default)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// How many copies of which texts it holds.
    pub(super) held: BTreeMap<Text, usize>,
    /// Where each record's gateway number stands in the body, and what text it is of.
    numbers: Vec<(std::ops::Range<usize>, Text)>,
}

impl Answer {
    /// The record whose number an end at this byte shortens, or leaves as empty as it was: with
    /// no announcement, an empty one may be any. Gives what is left of it, too.
    pub(super) fn number_cut_at(&self, end: usize) -> Option<(Text, &str)> {
        let ends = |place: &std::ops::Range<usize>| {
            place.contains(&end) || place.is_empty() && place.start == end
        };
        let (place, text) = self.numbers.iter().find(|(place, _)| ends(place))?;
        Some((*text, std::str::from_utf8(&self.body[place.start..end]).unwrap()))
    }

    fn hold(&mut self, copy: &Copy, prefix: &str) {
        let (mobile, content) = TEXTS[copy.text.0];
        let head = format!("{{&}}{prefix}{mobile}||{content}||{}||", copy.text.1);
        if self.body.is_empty() {
            self.body.extend_from_slice(b"100");
        }
        self.body.extend_from_slice(&Charset::Gbk.encode(&head).unwrap());
        let start = self.body.len();
        self.body.extend_from_slice(copy.gateway.as_bytes());
        self.numbers.push((start..self.body.len(), copy.text));
        *self.held.entry(copy.text).or_default() += 1;
    }
}

impl Truth {
    /// Copies of a text arrive, as many as fit into a second.
    pub(super) fn arrive(&mut self, text: Text, gateway: &'static str, copies: usize) {
        for _ in 0..copies.min(EQUAL_MAX - self.count(text)) {
            self.copies.push(Copy { text, gateway, is_in_box: true });
        }
    }

    /// How many copies of a text there are.
    pub(super) fn count(&self, text: Text) -> usize {
        self.copies.iter().filter(|copy| copy.text == text).count()
    }

    /// The gateway numbers of a text's copies.
    pub(super) fn gateways(&self, text: Text) -> Vec<&'static str> {
        let copies = self.copies.iter().filter(|copy| copy.text == text);
        copies.map(|copy| copy.gateway).collect()
    }

    /// Every text that has arrived, with the number of its copies.
    pub(super) fn all(&self) -> BTreeMap<Text, usize> {
        let mut all = BTreeMap::new();
        for copy in &self.copies {
            *all.entry(copy.text).or_default() += 1;
        }
        all
    }

    /// What a plain read is answered: all that is in the box.
    pub(super) fn plain(&self, reversed: bool) -> Answer {
        self.answer(|copy| copy.is_in_box, reversed, "+86")
    }

    /// What a read by `time` is answered: all of the hour, handed out or not.
    pub(super) fn hour(&self, hour: Hour, reversed: bool) -> Answer {
        self.answer(|copy| copy.text.1.hour() == hour, reversed, "")
    }

    /// The same, but one copy of a text is left out.
    pub(super) fn hour_without_one(&self, hour: Hour, left_out: Text) -> Answer {
        let first = self.copies.iter().position(|copy| copy.text == left_out).unwrap();
        let left_out: *const Copy = &self.copies[first];
        let is_held = |copy: &Copy| copy.text.1.hour() == hour && !std::ptr::eq(copy, left_out);
        self.answer(is_held, false, "")
    }

    fn answer(&self, holds: impl Fn(&Copy) -> bool, reversed: bool, prefix: &str) -> Answer {
        let mut copies: Vec<&Copy> = self.copies.iter().filter(|copy| holds(copy)).collect();
        if reversed {
            copies.reverse();
        }
        let mut answer = Answer::default();
        for copy in copies {
            answer.hold(copy, prefix);
        }
        answer
    }

    /// What was in the box is never handed out by a plain read again.
    pub(super) fn empty_box(&mut self) {
        for copy in &mut self.copies {
            copy.is_in_box = false;
        }
    }
}

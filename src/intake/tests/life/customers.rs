//! What customers write, and what a right reader must make of it.

use std::collections::{BTreeSet, HashMap};

use super::dice::Dice;
use super::fate::{Fate, HOUR, LATE_MAX, MINUTE, SECOND, beijing};
use crate::gateway::charset::Charset;
use crate::gateway::simulator::NewReply;
use crate::reply::Mobile;
use crate::time::{BeijingTime, Hour};

/// What makes a reply the same one: who wrote what, when.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Text {
    pub(super) mobile: String,
    pub(super) second: i64,
    pub(super) bytes: Vec<u8>,
}

/// One reply on its way to the gateway.
pub(super) struct Writing {
    /// When it reaches the gateway.
    pub(super) at: i64,
    pub(super) reply: NewReply,
    /// The texts that it must become, by their places in [`Written::texts`]: one, or two where a
    /// whole record was typed.
    pub(super) becomes: Vec<usize>,
    /// The text that it may be taken for where its record is cut behind a typed date.
    pub(super) looks_like: Option<usize>,
}

/// Everything that is written in a life, in the order in which it reaches the gateway.
#[derive(Default)]
pub(super) struct Written {
    pub(super) writings: Vec<Writing>,
    pub(super) texts: Vec<Text>,
    places: HashMap<Text, usize>,
    /// Hours that a typed date names, be it a whole record's or one behind which an answer may be
    /// cut: the gateway shows no such reply there, so that the hour lacks one that is known, and
    /// may be given up.
    pub(super) forged_hours: Vec<Hour>,
    /// The texts that the first half of a typed record claims. One that is truly written too is
    /// shown by other hours than its double, and then no answer holds both.
    pub(super) claimed: BTreeSet<usize>,
}

const OWN_NUMBER: &str = "1068112227282";
const EXTENSIONS: [&str; 4] = ["", "", "00", "12"];
/// The forms in which gateways write one number.
const PREFIXES: [&str; 6] = ["", "", "", "+86", "86", "0086"];
/// Words, separators, and characters in which the bytes of separators occur.
const WORDS: [&str; 18] = [
    "TD",
    "1",
    "好的",
    "退订",
    "中国短信测试回复",
    "模",
    "億",
    "和珅",
    "|",
    "||",
    "{&}",
    "{",
    "}",
    " ",
    "\n",
    "{&}13900000009||",
    "||2026-11-22 9:59",
    "&",
];

impl Written {
    pub(super) fn of(fate: &Fate, dice: &mut Dice) -> Self {
        let mut written = Self::default();
        for _ in 0..fate.writings {
            written.write(fate, dice);
        }
        written.writings.sort_by_key(|writing| writing.at);
        written
    }

    /// Somebody writes once, or the same up to five times within a second.
    fn write(&mut self, fate: &Fate, dice: &mut Dice) {
        let stamped = stamp(fate, dice);
        let mobile = format!("139000000{:02}", dice.below(30));
        let (content, forged) = self.content(dice, stamped);
        let copies = if dice.chance(250) { dice.between(2, 5) } else { 1 };
        for _ in 0..copies {
            let late =
                if dice.chance(300) { dice.below(LATE_MAX) } else { dice.below(20 * SECOND) };
            let at = (stamped + late).min(fate.end - 1);
            let gateway = match dice.chance(60) {
                true => String::new(),
                false => format!("{OWN_NUMBER}{}", dice.pick(&EXTENSIONS)),
            };
            let reply = NewReply {
                mobile: format!("{}{mobile}", dice.pick(&PREFIXES)),
                content: content.clone(),
                replied_at: beijing(stamped),
                gateway,
            };
            let (becomes, looks_like) = self.meaning(fate, &reply, forged.as_ref());
            self.writings.push(Writing { at, reply, becomes, looks_like });
        }
    }

    /// What somebody types; with the parts of it where it holds what looks like a record's end.
    fn content(&mut self, dice: &mut Dice, stamped: i64) -> (Vec<u8>, Option<Forged>) {
        let text = |dice: &mut Dice| {
            let words = dice.below(4);
            (0..words).map(|_| *dice.pick(&WORDS)).collect::<String>()
        };
        let encoded = |text: &str| Charset::Gbk.encode(text).unwrap();
        // An utf-8 host converts, and a typed record in it is no different.
        if !dice.chance(40) {
            let mut content = encoded(&text(dice));
            if dice.chance(40) {
                content.push(0xc4);
            }
            return (content, None);
        }
        let date = beijing(stamped - dice.below(3 * HOUR));
        let (head, tail) = (*dice.pick(&["好的", "", "TD"]), *dice.pick(&["同意", "", "再见"]));
        if dice.chance(500) {
            let behind = if dice.chance(500) { format!("||1069x{tail}") } else { String::new() };
            let content = encoded(&format!("{head}||{date}{behind}"));
            return (content, Some(Forged { head: encoded(head), date, second: None }));
        }
        let number = "13900000099".to_owned();
        let content = encoded(&format!("{head}||{date}||1069001{{&}}{number}||{tail}"));
        self.forged_hours.push(date.hour());
        (content, Some(Forged { head: encoded(head), date, second: Some((number, encoded(tail))) }))
    }

    fn meaning(
        &mut self,
        fate: &Fate,
        reply: &NewReply,
        forged: Option<&Forged>,
    ) -> (Vec<usize>, Option<usize>) {
        let mobile = reply.mobile.as_str();
        let second = reply.replied_at;
        match forged {
            None => (vec![self.place(fate, mobile, second, &reply.content)], None),
            Some(Forged { head, date, second: None }) => {
                self.forged_hours.push(date.hour());
                let looks_like = self.place(fate, mobile, *date, head);
                (vec![self.place(fate, mobile, second, &reply.content)], Some(looks_like))
            }
            // Nothing can tell a customer who types a whole record from two customers.
            Some(Forged { head, date, second: Some((number, tail)) }) => {
                let first = self.place(fate, mobile, *date, head);
                self.claimed.insert(first);
                (vec![first, self.place(fate, number, second, tail)], None)
            }
        }
    }

    fn place(&mut self, fate: &Fate, mobile: &str, second: BeijingTime, content: &[u8]) -> usize {
        let text = Text {
            mobile: Mobile::parse(mobile).unwrap().as_str().to_owned(),
            second: second.unix_seconds(),
            bytes: as_answered(content, fate.charset),
        };
        *self.places.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            self.texts.len() - 1
        })
    }

    pub(super) fn find(&self, text: &Text) -> Option<usize> {
        self.places.get(text).copied()
    }
}

struct Forged {
    head: Vec<u8>,
    date: BeijingTime,
    second: Option<(String, Vec<u8>)>,
}

/// When somebody writes: near the end or begin of an hour more often than chance would, and where
/// the clock goes wild every other time when it is judged again.
fn stamp(fate: &Fate, dice: &mut Dice) -> i64 {
    let time = match fate.right_from {
        Some(from) if from < fate.end - HOUR && dice.chance(500) => {
            dice.between(from, fate.end - HOUR)
        }
        _ => fate.some_time(dice),
    };
    if !dice.chance(300) {
        return time;
    }
    let edge = time - time.rem_euclid(HOUR) + HOUR;
    let near = *dice.pick(&[2 * SECOND, 90 * SECOND, 16 * MINUTE]);
    (edge + dice.between(-near, near)).clamp(fate.begin, fate.end - 1)
}

/// A content's bytes in an answer of that charset.
pub(super) fn as_answered(content: &[u8], charset: Charset) -> Vec<u8> {
    match charset {
        Charset::Gbk => content.to_vec(),
        Charset::Utf8 => Charset::Gbk.decode(content).text.into_bytes(),
    }
}

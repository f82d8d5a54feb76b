//! Why a signature holds or does not.
//!
//! What a receiver was given is tried as it is, and then as it may have been before somebody
//! changed it: one change at a time, the likeliest first, within a budget. What is found are
//! facts; [`words`] says them. Nothing here knows where secret, headers and body come from.

mod body;
mod entry;
mod key;
mod timestamp;
pub mod words;

use hmac::Mac;
use secrecy::{ExposeSecret, SecretString};

pub use body::Change;
pub use entry::SignatureFault;
pub use key::SecretFault;
pub use timestamp::TimestampFault;

use crate::delivery::sign::{TOLERANCE_SECONDS, mac};
use entry::Entry;

/// The most that is hashed in search of an explanation, in bytes: a fraction of a second.
const SEARCH_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What a MAC costs beside its body, in bytes that are hashed: the padded key twice, the rest.
const MAC_BYTES: usize = 256;
/// How far from the given timestamp the right one is searched, in seconds.
const NEARBY_SECONDS: i64 = 60 * 60;
/// How far a clock is off that shows Beijing's time and calls it Greenwich's.
const BEIJING_SECONDS: i64 = 8 * 60 * 60;

/// What a receiver has in its hands.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The secrets as they were given, right or wrong.
    pub secrets: &'a [SecretString],
    /// The header `webhook-id`.
    pub id: Option<&'a str>,
    /// The header `webhook-timestamp`.
    pub timestamp: Option<&'a str>,
    /// The header `webhook-signature`.
    pub signature: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
    /// The receiver's clock, in seconds of the Unix epoch.
    pub now: i64,
}

/// How a signature stands, and what speaks for and against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Whether a receiver may believe the webhook.
    pub holds: bool,
    /// What the signature was made over, where that was found.
    pub found: Option<Match>,
    /// Headers that are not there.
    pub missing: Vec<Header>,
    /// What is wrong with secrets, by their places among those given.
    pub secrets: Vec<(usize, SecretFault)>,
    /// What is wrong with the timestamp's form.
    pub timestamp: Option<TimestampFault>,
    /// What is wrong with the entries of the signature: with the one that was found, or where
    /// none was found and none is in order, with all of them.
    pub signature: Vec<SignatureFault>,
    /// By how many seconds the receiver's clock is ahead of the timestamp.
    pub ahead: Option<i64>,
    /// What else is odd, where nothing was found.
    pub hints: Vec<Hint>,
    /// How many ways of making the signature were tried.
    pub tried: usize,
}

/// A header that a signature needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// `webhook-id`
    Id,
    /// `webhook-timestamp`
    Timestamp,
    /// `webhook-signature`
    Signature,
}

impl Header {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "webhook-id",
            Self::Timestamp => "webhook-timestamp",
            Self::Signature => "webhook-signature",
        }
    }
}

/// What a signature was made over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The place of the secret among those given.
    pub secret: usize,
    /// The place of the signature among the header's entries.
    pub entry: usize,
    /// In what that differs from what was given.
    pub twist: Twist,
}

/// How what was signed differs from what was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Twist {
    /// In nothing.
    None,
    /// Id and timestamp have changed places.
    Swapped,
    /// Another id was signed: the one that the body names.
    Id(String),
    /// Another timestamp was signed: this one.
    Timestamp(i64),
    /// The body was another before these changes were needed to have it back.
    Body(Vec<Change>),
    /// The key was not what the secret's base64 holds, but its text.
    Key(KeyText),
    /// Something else was signed than the three parts.
    Parts(Parts),
}

/// A text that was used as a key where its base64 should have been decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyText {
    /// All of the secret.
    Whole,
    /// What follows `whsec_`.
    BehindPrefix,
}

/// What was signed in the place of `id.timestamp.body`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// The body alone.
    Body,
    /// `timestamp.body`
    TimestampBody,
    /// `id.body`
    IdBody,
    /// All three without the dots.
    Undotted,
}

impl Parts {
    const ALL: [Self; 4] = [Self::Body, Self::TimestampBody, Self::IdBody, Self::Undotted];
}

/// Something odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// There is no body.
    EmptyBody,
    /// The body is no whole JSON.
    NoJson,
    /// The body names another id than the header.
    OtherEvent,
    /// The body was large, so that not everything was tried.
    Large,
}

/// Finds out how a signature stands.
#[must_use]
pub fn diagnose(question: &Question<'_>) -> Diagnosis {
    let read: Vec<_> =
        question.secrets.iter().map(|secret| key::read(secret.expose_secret())).collect();
    let (seconds, timestamp) = question.timestamp.map(timestamp::read).unwrap_or_default();
    let entries = question.signature.map(entry::read).unwrap_or_default();
    let mut search =
        Search { secrets: &read, entries: &entries, bytes_left: SEARCH_BYTES_MAX, tried: 0 };
    let found = search.explain(question, seconds);
    let secrets: Vec<_> =
        read.iter().enumerate().filter_map(|(at, read)| Some((at, read.fault?))).collect();
    let signature = match &found {
        Some(found) => entries.get(found.entry).and_then(Entry::fault).into_iter().collect(),
        None if entries.iter().any(|entry| entry.fault().is_none()) => Vec::new(),
        None => distinct(entries.iter().filter_map(Entry::fault)),
    };
    let ahead = match found.as_ref().map(|found| &found.twist) {
        Some(Twist::Timestamp(right)) => Some(*right),
        _ => seconds,
    }
    .map(|seconds| question.now.saturating_sub(seconds));
    let holds = found.as_ref().is_some_and(|found| {
        found.twist == Twist::None && secrets.iter().all(|(at, _)| *at != found.secret)
    }) && timestamp.is_none()
        && signature.is_empty()
        && ahead.is_some_and(is_near);
    let hints = if found.is_none() { search.hints(question) } else { Vec::new() };
    Diagnosis {
        holds,
        found,
        missing: missing(question),
        secrets,
        timestamp,
        signature,
        ahead,
        hints,
        tried: search.tried,
    }
}

fn is_near(ahead: i64) -> bool {
    ahead.saturating_abs() <= TOLERANCE_SECONDS
}

fn missing(question: &Question<'_>) -> Vec<Header> {
    let headers = [
        (Header::Id, question.id),
        (Header::Timestamp, question.timestamp),
        (Header::Signature, question.signature),
    ];
    let is_missing = |value: Option<&str>| value.is_none_or(|value| value.trim().is_empty());
    headers.into_iter().filter(|(_, value)| is_missing(*value)).map(|(name, _)| name).collect()
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut distinct, one| {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
        distinct
    })
}

/// The id that a body of ours names.
fn id_in(body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(json.get("data")?.get("id")?.as_str()?.to_owned())
}

/// The search for what was signed.
struct Search<'a> {
    secrets: &'a [key::Read],
    entries: &'a [Entry],
    bytes_left: usize,
    tried: usize,
}

impl Search<'_> {
    /// The secret and the entry that fit these parts; none also when the budget is spent.
    fn fits(&mut self, parts: &[&[u8]]) -> Option<(usize, usize)> {
        let secrets = self.secrets;
        secrets.iter().enumerate().find_map(|(at, secret)| {
            let key = secret.key.as_ref()?;
            Some((at, self.fitting_entry(key, parts)?))
        })
    }

    fn fitting_entry(&mut self, key: &[u8], parts: &[&[u8]]) -> Option<usize> {
        let cost = parts.iter().map(|part| part.len()).sum::<usize>() + MAC_BYTES;
        if cost > self.bytes_left {
            self.bytes_left = 0;
            return None;
        }
        self.bytes_left -= cost;
        self.tried += 1;
        let mac = mac(key, parts);
        // In constant time, as everywhere.
        let fits = |entry: &Entry| {
            entry.mac().is_some_and(|theirs| mac.clone().verify_slice(theirs).is_ok())
        };
        self.entries.iter().position(fits)
    }

    fn explain(&mut self, question: &Question<'_>, seconds: Option<i64>) -> Option<Match> {
        if self.entries.iter().all(|entry| entry.mac().is_none()) {
            return None;
        }
        let given = question.timestamp?.trim();
        let body = question.body;
        let named = id_in(body);
        let id = question.id.map(str::trim).filter(|id| !id.is_empty());
        if let (None, Some(named)) = (id, &named) {
            let fits = self.fits(&[named.as_bytes(), given.as_bytes(), body]);
            return made(fits, Twist::Id(named.clone()));
        }
        let (id, time) = (id?.as_bytes(), given.as_bytes());
        if let Some(found) = made(self.fits(&[id, time, body]), Twist::None) {
            return Some(found);
        }
        if let Some(found) = made(self.fits(&[time, id, body]), Twist::Swapped) {
            return Some(found);
        }
        if let Some(named) = named {
            let fits = self.fits(&[named.as_bytes(), time, body]);
            if let Some(found) = made(fits, Twist::Id(named)) {
                return Some(found);
            }
        }
        self.timestamp(seconds.into_iter(), id, body)
            .or_else(|| self.body(id, time, body))
            .or_else(|| self.key(question.secrets, &[id, time, body]))
            .or_else(|| self.parts(id, time, body))
            .or_else(|| self.timestamp(nearby(seconds?), id, body))
    }

    fn timestamp(
        &mut self,
        mut candidates: impl Iterator<Item = i64>,
        id: &[u8],
        body: &[u8],
    ) -> Option<Match> {
        candidates.find_map(|seconds| {
            let fits = self.fits(&[id, seconds.to_string().as_bytes(), body]);
            made(fits, Twist::Timestamp(seconds))
        })
    }

    fn body(&mut self, id: &[u8], time: &[u8], body: &[u8]) -> Option<Match> {
        for (changes, body) in body::variants(body) {
            let fits = self.fits(&[id, time, &body]);
            if fits.is_some() || self.bytes_left == 0 {
                return made(fits, Twist::Body(changes));
            }
        }
        None
    }

    fn key(&mut self, secrets: &[SecretString], parts: &[&[u8]]) -> Option<Match> {
        secrets.iter().enumerate().find_map(|(at, secret)| {
            let whole = secret.expose_secret();
            let behind = whole.strip_prefix("whsec_").map(|text| (KeyText::BehindPrefix, text));
            [Some((KeyText::Whole, whole)), behind].into_iter().flatten().find_map(|(text, key)| {
                let entry = self.fitting_entry(key.as_bytes(), parts)?;
                Some(Match { secret: at, entry, twist: Twist::Key(text) })
            })
        })
    }

    fn parts(&mut self, id: &[u8], time: &[u8], body: &[u8]) -> Option<Match> {
        Parts::ALL.into_iter().find_map(|parts| {
            let fits = match parts {
                Parts::Body => self.fits(&[body]),
                Parts::TimestampBody => self.fits(&[time, body]),
                Parts::IdBody => self.fits(&[id, body]),
                Parts::Undotted => self.fits(&[&[id, time, body].concat()]),
            };
            made(fits, Twist::Parts(parts))
        })
    }

    fn hints(&self, question: &Question<'_>) -> Vec<Hint> {
        let body = question.body;
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
        let other = id_in(body).is_some_and(|named| question.id.is_some_and(|id| id != named));
        let hints = [
            (Hint::EmptyBody, body.is_empty()),
            (Hint::NoJson, !body.is_empty() && !is_json),
            (Hint::OtherEvent, other),
            (Hint::Large, self.bytes_left == 0),
        ];
        hints.into_iter().filter(|(_, holds)| *holds).map(|(hint, _)| hint).collect()
    }
}

fn made(fits: Option<(usize, usize)>, twist: Twist) -> Option<Match> {
    fits.map(|(secret, entry)| Match { secret, entry, twist })
}

/// Timestamps that may have been meant, the likeliest first.
fn nearby(seconds: i64) -> impl Iterator<Item = i64> {
    let off = [BEIJING_SECONDS, -BEIJING_SECONDS].into_iter();
    let off = off.chain((1..=NEARBY_SECONDS).flat_map(|by| [by, -by]));
    off.map(move |by| seconds.saturating_add(by))
}

#[cfg(test)]
mod tests;

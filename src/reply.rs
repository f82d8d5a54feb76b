//! A reply: who wrote what and when, and what makes it the same reply wherever it comes from.
//!
//! The gateway gives a reply no number, so its identity is made of what it is: account, mobile,
//! second and the very bytes of its content. The id is drawn from these under a key, so that a
//! reply read again, even into an empty database, has the id it had.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::time::{BeijingTime, UnixMs};

/// A telephone number that answered: 3 to 20 digits, perhaps behind a `+`.
///
/// A mainland mobile is its 11 digits, whatever prefix it came with; anything else (a landline,
/// a short code, a foreign number) is as it came. `Display` and `Debug` show it masked.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mobile(String);

/// The prefixes that gateways put before a mainland mobile.
const MAINLAND_PREFIXES: [&str; 4] = ["+86", "0086", "86", ""];
/// Digits of a number: from the shortest service code to the longest that gateways send.
const DIGITS: std::ops::RangeInclusive<usize> = 3..=20;

impl Mobile {
    /// Reads and normalises a number as the gateway wrote it; `None` when it is not one.
    #[must_use]
    pub fn parse(raw: &str) -> Option<Self> {
        let digits = raw.strip_prefix('+').unwrap_or(raw);
        if !DIGITS.contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mainland = MAINLAND_PREFIXES
            .iter()
            .filter_map(|prefix| raw.strip_prefix(prefix))
            .find(|rest| is_mainland_mobile(rest));
        Some(Self(mainland.unwrap_or(raw).to_owned()))
    }

    /// Whether it is a mainland mobile.
    #[must_use]
    pub fn is_mainland(&self) -> bool {
        is_mainland_mobile(&self.0)
    }

    /// The whole number. Personal data: for the store and the receiver, never for a log.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_mainland_mobile(digits: &str) -> bool {
    digits.len() == 11
        && digits.starts_with('1')
        && !matches!(digits.as_bytes().get(1), Some(b'0'..=b'2'))
}

impl fmt::Display for Mobile {
    /// Masked, as logs and terminals show it: `139****5678`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, rest) = self.0.split_at(self.0.len().min(3));
        let tail = if rest.len() > 4 { rest.get(rest.len() - 4..).unwrap_or_default() } else { "" };
        write!(f, "{head}****{tail}")
    }
}

impl fmt::Debug for Mobile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mobile({self})")
    }
}

/// The id of an event about a subscriber: `evt_` and 32 hex digits, drawn from what makes it the
/// only one of its kind. It tells nothing that the event does not, so it needs no key.
#[must_use]
pub fn subscriber_event_id(subscriber: &str, event_type: &str, at: UnixMs) -> String {
    let fields: [&[u8]; 3] = [subscriber.as_bytes(), event_type.as_bytes(), &at.0.to_be_bytes()];
    event_id_of(digest(b"replyd subscriber event", &fields))
}

fn event_id_of(digest: [u8; 32]) -> String {
    let (id, _) = digest.split_at(ReplyId::BYTES);
    format!("evt_{}", hex::encode(id))
}

/// The key under which an account's replies are named. Secret: without it, the number behind a
/// reply's id could be found by trying all numbers.
#[derive(Clone)]
pub struct IdKey([u8; 32]);

/// What one reply is drawn from. Two records with equal fingerprints are copies of one text.
#[derive(Clone, Copy)]
pub struct Fingerprint<'a> {
    /// The account's name.
    pub account: &'a str,
    /// Who wrote.
    pub mobile: &'a Mobile,
    /// The gateway's reply time.
    pub replied_at: BeijingTime,
    /// The content's bytes as they came, undecoded.
    pub content: &'a [u8],
}

/// A fingerprint under the account's key, by which copies are counted. It tells nothing of the
/// reply to one who has not the key, so it may outlive the reply as its tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(pub [u8; 32]);

impl IdKey {
    /// The key itself, from a configured or a stored secret of any length.
    #[must_use]
    pub fn from_secret(secret: &[u8]) -> Self {
        Self(digest(b"replyd id key", &[secret]))
    }

    /// The key of an account for which none is configured: from its login.
    #[must_use]
    pub fn derive(uid: &str, pwd: &str) -> Self {
        Self(digest(b"replyd derived id key", &[uid.as_bytes(), pwd.as_bytes()]))
    }

    /// The key as the store keeps it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key that the store kept.
    #[must_use]
    pub fn from_stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The identity by which copies of a reply are counted.
    #[must_use]
    pub fn identity(&self, of: Fingerprint<'_>) -> Identity {
        Identity(self.draw(b"identity", of, b""))
    }

    /// The id of the copy that has the number `occurrence`, from 1.
    #[must_use]
    pub fn reply_id(&self, of: Fingerprint<'_>, occurrence: u32) -> ReplyId {
        let whole = self.draw(b"reply", of, &occurrence.to_be_bytes());
        let (id, _) = whole.split_at(ReplyId::BYTES);
        ReplyId(format!("{}{}", ReplyId::PREFIX, hex::encode(id)))
    }

    /// The id of an event that is no reply: `evt_` and 32 hex digits, drawn from what makes it
    /// the only one of its kind.
    #[must_use]
    pub fn event_id(&self, account: &str, event_type: &str, at: UnixMs, read: i64) -> String {
        let (at, read) = (at.0.to_be_bytes(), read.to_be_bytes());
        let fields: [&[u8]; 5] = [b"event", account.as_bytes(), event_type.as_bytes(), &at, &read];
        event_id_of(digest(&self.0, &fields))
    }

    fn draw(&self, purpose: &[u8], of: Fingerprint<'_>, number: &[u8]) -> [u8; 32] {
        let replied_at = of.replied_at.unix_seconds().to_be_bytes();
        let (account, mobile) = (of.account.as_bytes(), of.mobile.as_str().as_bytes());
        digest(&self.0, &[purpose, account, mobile, &replied_at, of.content, number])
    }
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey(secret)")
    }
}

/// HMAC-SHA256 over the fields, each behind its length, so that no two lists of fields are one
/// message.
fn digest(key: &[u8], fields: &[&[u8]]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
    for field in fields {
        mac.update(&(field.len() as u64).to_be_bytes());
        mac.update(field);
    }
    mac.finalize().into_bytes().into()
}

/// A reply's public name: `rpl_` and 32 lower-case hex digits, the receiver's `webhook-id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyId(String);

impl ReplyId {
    /// What every id begins with.
    pub const PREFIX: &'static str = "rpl_";
    /// 128 bits: two of a billion replies share an id with a chance below 10^-20.
    const BYTES: usize = 16;

    /// Reads an id as a user or the store wrote it; `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(Self::PREFIX)?;
        let is_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (digits.len() == 2 * Self::BYTES && is_hex).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id under which a replay tells the reply as a new event: `rpn_` and 32 hex digits. The
    /// same replay gives it again; another one, of this store or of one that was begun anew, does
    /// not.
    #[must_use]
    pub fn as_new(&self, replay: i64, created: UnixMs) -> String {
        let (replay, created) = (replay.to_be_bytes(), created.0.to_be_bytes());
        let whole = digest(b"replyd replay as new", &[self.0.as_bytes(), &replay, &created]);
        let (id, _) = whole.split_at(Self::BYTES);
        format!("rpn_{}", hex::encode(id))
    }
}

impl fmt::Display for ReplyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a reply may not be what it seems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// Its content holds what may be the seam of two records, the first of which lost its date.
    MayHoldTwo,
    /// The number at its end is none of the account's: it may have been typed.
    ForeignGateway,
    /// Its time does not fit between its neighbours' in the answer: it may have been typed.
    TimeOutOfOrder,
    /// Its time is one that its read should not have brought: it may have been typed.
    TimeFar,
    /// What stands before it in the answer may have been typed, and so may its own beginning.
    FollowsSuspect,
}

impl Suspicion {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::MayHoldTwo,
        Self::ForeignGateway,
        Self::TimeOutOfOrder,
        Self::TimeFar,
        Self::FollowsSuspect,
    ];

    /// The word for it in JSON and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MayHoldTwo => "may_hold_two",
            Self::ForeignGateway => "foreign_gateway",
            Self::TimeOutOfOrder => "time_out_of_order",
            Self::TimeFar => "time_far",
            Self::FollowsSuspect => "follows_suspect",
        }
    }

    /// The one that has this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suspicion| suspicion.as_str() == word)
    }
}

/// A customer's reply, as it is kept and told.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its public name.
    pub id: ReplyId,
    /// The account at whose gateway it arrived.
    pub account: String,
    /// Who wrote.
    pub mobile: Mobile,
    /// What was typed, decoded.
    pub content: String,
    /// The content's bytes, kept where decoding lost some of them.
    pub content_raw: Option<Vec<u8>>,
    /// The gateway's reply time.
    pub replied_at: BeijingTime,
    /// The number that the customer's phone answered; empty when the gateway left it out.
    pub gateway: String,
    /// Which of the equal texts of one second this is, from 1.
    pub occurrence: u32,
    /// What makes it doubtful, if anything.
    pub suspect: Option<Suspicion>,
    /// What follows the account's own number in `gateway`, when that is known.
    pub extension: Option<String>,
    /// The id of the message that it answers: the last one sent from here to that mobile.
    pub in_reply_to: Option<String>,
}

impl Reply {
    /// Whether some bytes of the content could not be read as characters.
    #[must_use]
    pub fn lossy(&self) -> bool {
        self.content_raw.is_some()
    }
}

impl fmt::Debug for Reply {
    /// Without content and whole number: a debug print may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("id", &self.id)
            .field("mobile", &self.mobile)
            .field("replied_at", &self.replied_at)
            .field("content_bytes", &self.content.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(raw: &str) -> Option<String> {
        Mobile::parse(raw).map(|mobile| mobile.as_str().to_owned())
    }

    #[test]
    fn a_mainland_mobile_is_its_eleven_digits() {
        for raw in ["13900000001", "+8613900000001", "8613900000001", "008613900000001"] {
            assert_eq!(normalised(raw).as_deref(), Some("13900000001"), "{raw}");
        }
    }

    #[test]
    fn other_numbers_stay_as_they_came() {
        for raw in ["0218882228", "10086", "+85291234567", "008521234", "8612000000001", "860"] {
            assert_eq!(normalised(raw).as_deref(), Some(raw));
        }
        for wrong in [
            "",
            "12",
            "+12",
            "139000000a1",
            "123456789012345678901",
            "++8613900000001",
            "1390 0000",
        ] {
            assert_eq!(normalised(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn numbers_are_shown_masked() {
        let mobile = Mobile::parse("13912345678").unwrap();
        assert_eq!(mobile.to_string(), "139****5678");
        assert_eq!(format!("{mobile:?}"), "Mobile(139****5678)");
        assert_eq!(Mobile::parse("10086").unwrap().to_string(), "100****");
    }

    #[test]
    fn the_id_is_the_replys_own() {
        let key = IdKey::derive("9999", "fa246d0262c3925617b0c72bb20eeb1d");
        let mobile = Mobile::parse("13900000001").unwrap();
        let replied_at = "2008-05-27 12:10:11".parse().unwrap();
        let of = Fingerprint { account: "main", mobile: &mobile, replied_at, content: b"TD" };
        // A change here gives every reply in every store a second name: never change it.
        assert_eq!(key.reply_id(of, 1).as_str(), "rpl_a709f199bea5d26ec0923388d105bfee");
        assert_ne!(key.reply_id(of, 1), key.reply_id(of, 2));
        assert_ne!(
            key.identity(of),
            key.identity(Fingerprint { account: "mainT", content: b"D", ..of })
        );
        let other = IdKey::from_secret(b"another");
        assert_ne!(other.reply_id(of, 1), key.reply_id(of, 1));
        let id = key.reply_id(of, 1);
        assert_eq!(ReplyId::parse(id.as_str()), Some(id));
        assert_eq!(ReplyId::parse("rpl_xyz"), None);
    }

    #[test]
    fn a_reply_that_is_told_as_new_has_an_id_of_the_replay() {
        let id = ReplyId::parse("rpl_000102030405060708090a0b0c0d0e0f").unwrap();
        // A change here makes a replay that goes on after an update tell what it told again.
        assert_eq!(id.as_new(7, UnixMs(1)), "rpn_a09a6697059b9f3a5237690d89346ad3");
        let other = ReplyId::parse("rpl_000102030405060708090a0b0c0d0e00").unwrap();
        let ids = [
            id.as_new(7, UnixMs(1)),
            id.as_new(8, UnixMs(1)),
            id.as_new(7, UnixMs(2)),
            other.as_new(7, UnixMs(1)),
        ];
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        assert_eq!(ReplyId::parse(&ids[0]), None);
    }
}

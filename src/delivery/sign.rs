//! Signatures by the Standard Webhooks specification.
//!
//! The signed text is `id.timestamp.body`: a receiver that verifies it knows that the body is
//! ours, that it belongs to this id, and that it is not an old one played again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::WebhookSecret;

/// The version of the signature scheme, before each signature.
const VERSION: &str = "v1,";
/// A signature's length with its version and a separator.
const SIGNATURE_LENGTH: usize = 48;
/// How far a timestamp may be from the receiver's clock, in seconds: the specification's advice.
pub const TOLERANCE_SECONDS: i64 = 5 * 60;

/// What a signature is made over.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The event's id, sent as `webhook-id`.
    pub id: &'a str,
    /// When this attempt is made, in seconds of the Unix epoch, sent as `webhook-timestamp`.
    pub timestamp: i64,
    /// The body's bytes.
    pub body: &'a [u8],
}

impl<'a> Signed<'a> {
    fn parts(self, timestamp: &'a str) -> [&'a [u8]; 3] {
        [self.id.as_bytes(), timestamp.as_bytes(), self.body]
    }
}

/// Signs with secrets, one signature for each, so that a receiver can change its secret while both
/// hold. What a key alone decides is worked out once.
pub struct Signer {
    keyed: Vec<Hmac<Sha256>>,
}

impl Signer {
    /// One that signs with these.
    #[must_use]
    pub fn new(secrets: &[WebhookSecret]) -> Self {
        Self { keyed: secrets.iter().map(|secret| keyed(secret.key())).collect() }
    }

    /// The header `webhook-signature`.
    #[must_use]
    pub fn sign(&self, what: Signed<'_>) -> String {
        let timestamp = what.timestamp.to_string();
        let mut header = String::with_capacity(self.keyed.len() * SIGNATURE_LENGTH);
        for keyed in &self.keyed {
            let separator = if header.is_empty() { "" } else { " " };
            header.extend([separator, VERSION]);
            let mac = over(keyed.clone(), &what.parts(&timestamp));
            STANDARD.encode_string(mac.finalize().into_bytes(), &mut header);
        }
        header
    }
}

/// The header `webhook-signature` by these secrets.
#[must_use]
pub fn sign(secrets: &[WebhookSecret], what: Signed<'_>) -> String {
    Signer::new(secrets).sign(what)
}

/// Why a receiver must not believe a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Its timestamp is too far from the receiver's clock.
    #[error("the timestamp is {0} s from this clock")]
    Timestamp(i64),
    /// No signature of it is one by this secret over this id, timestamp and body.
    #[error("no signature matches")]
    Signature,
}

/// Verifies a webhook as its receiver must: some signature of the header is by this secret, and
/// the timestamp is near `now`, in seconds of the Unix epoch.
///
/// # Errors
/// When the webhook must not be believed.
pub fn verify(
    secret: &WebhookSecret,
    what: Signed<'_>,
    header: &str,
    now: i64,
) -> Result<(), VerifyError> {
    let signatures = header.split(' ').filter_map(|one| one.strip_prefix(VERSION));
    let decoded = signatures.filter_map(|one| STANDARD.decode(one).ok());
    // `verify_slice` compares in constant time.
    let holds = |signature: Vec<u8>| of(secret, what).verify_slice(&signature).is_ok();
    if !decoded.into_iter().any(holds) {
        return Err(VerifyError::Signature);
    }
    match now.saturating_sub(what.timestamp) {
        distance if distance.abs() > TOLERANCE_SECONDS => Err(VerifyError::Timestamp(distance)),
        _ => Ok(()),
    }
}

fn of(secret: &WebhookSecret, what: Signed<'_>) -> Hmac<Sha256> {
    mac(secret.key(), &what.parts(&what.timestamp.to_string()))
}

/// The MAC of parts with a dot between each two, under a key.
pub(super) fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    over(keyed(key), parts)
}

/// A MAC that has seen nothing but its key.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    Hmac::new_from_slice(key).expect("any length is a key")
}

fn over(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> Hmac<Sha256> {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            mac.update(b".");
        }
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Signed<'_> = Signed {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: 1_614_265_330,
        body: br#"{"test": 2432232314}"#,
    };
    const KNOWN_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret(text: &str) -> WebhookSecret {
        WebhookSecret::parse(text).unwrap()
    }

    fn known() -> WebhookSecret {
        secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    }

    fn other() -> WebhookSecret {
        secret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    }

    #[test]
    fn the_specifications_known_answer() {
        assert_eq!(sign(&[known()], KNOWN), KNOWN_SIGNATURE);
        assert_eq!(verify(&known(), KNOWN, KNOWN_SIGNATURE, KNOWN.timestamp), Ok(()));
    }

    #[test]
    fn every_secret_of_a_rotation_signs() {
        let header = sign(&[other(), known()], KNOWN);
        assert_eq!(header.split(' ').count(), 2);
        assert!(header.ends_with(KNOWN_SIGNATURE));
        assert_eq!(verify(&other(), KNOWN, &header, KNOWN.timestamp), Ok(()));
    }

    #[test]
    fn nothing_else_is_believed() {
        let now = KNOWN.timestamp;
        let check =
            |secret: &WebhookSecret, what, header: &str, now| verify(secret, what, header, now);
        assert_eq!(check(&other(), KNOWN, KNOWN_SIGNATURE, now), Err(VerifyError::Signature));
        for what in [
            Signed { id: "msg_other", ..KNOWN },
            Signed { timestamp: now + 1, ..KNOWN },
            Signed { body: br#"{"test":2432232314}"#, ..KNOWN },
        ] {
            assert_eq!(check(&known(), what, KNOWN_SIGNATURE, now), Err(VerifyError::Signature));
        }
        for header in
            ["", "v1,", "v1,AAAA", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v2,g0hM"]
        {
            assert_eq!(check(&known(), KNOWN, header, now), Err(VerifyError::Signature));
        }
        assert_eq!(check(&known(), KNOWN, KNOWN_SIGNATURE, now + 300), Ok(()));
        assert_eq!(
            check(&known(), KNOWN, KNOWN_SIGNATURE, now + 301),
            Err(VerifyError::Timestamp(301))
        );
        assert_eq!(
            check(&known(), KNOWN, KNOWN_SIGNATURE, now - 301),
            Err(VerifyError::Timestamp(-301))
        );
    }
}

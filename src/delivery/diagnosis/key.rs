//! A secret as it was given: its key, and what is wrong with its form.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::zeroize::Zeroizing;

use crate::config::{WebhookSecret, WebhookSecretError};

/// What is wrong with a secret's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretFault {
    /// Nothing is in it.
    Empty,
    /// White space or quotes stand around it.
    Surrounded,
    /// It does not begin with `whsec_`.
    Prefix,
    /// What follows `whsec_` is not base64.
    Base64,
    /// It holds so many bytes.
    Length(usize),
}

impl From<WebhookSecretError> for SecretFault {
    fn from(error: WebhookSecretError) -> Self {
        match error {
            WebhookSecretError::Prefix => Self::Prefix,
            WebhookSecretError::Base64 => Self::Base64,
            WebhookSecretError::Length(bytes) => Self::Length(bytes),
        }
    }
}

/// What a given secret comes to.
pub(super) struct Read {
    /// The key, also of a secret whose form is wrong where one can be seen in it.
    pub(super) key: Option<Zeroizing<Vec<u8>>>,
    pub(super) fault: Option<SecretFault>,
}

pub(super) fn read(given: &str) -> Read {
    let of = |secret: &WebhookSecret| Some(Zeroizing::new(secret.key().to_vec()));
    if let Ok(secret) = WebhookSecret::parse(given) {
        return Read { key: of(&secret), fault: None };
    }
    let bare = given.trim_matches(|letter: char| letter.is_whitespace() || "\"'".contains(letter));
    if bare.is_empty() {
        return Read { key: None, fault: Some(SecretFault::Empty) };
    }
    match WebhookSecret::parse(bare) {
        Ok(secret) => Read { key: of(&secret), fault: Some(SecretFault::Surrounded) },
        Err(error) => {
            let encoded = bare.strip_prefix("whsec_").unwrap_or(bare);
            let key = lenient(&alphabet::STANDARD).decode(encoded);
            let key = key.or_else(|_| lenient(&alphabet::URL_SAFE).decode(encoded));
            let key = key.ok().filter(|key| !key.is_empty()).map(Zeroizing::new);
            Read { key, fault: Some(error.into()) }
        }
    }
}

/// Base64 of an alphabet, with padding or without.
pub(super) fn lenient(alphabet: &alphabet::Alphabet) -> GeneralPurpose {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

//! Secrets: as the file has them, and the one with which webhooks are signed.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use toml::de::{DeTable, DeValue};

use super::reader::Value;
use super::report::Fault;
use super::source::SecretSource;

/// What a secret may be written as.
const FORMS: &str = r#"must be a string, { env = "NAME" } or { file = "PATH" }"#;

/// What a secret is for: its placeholder passes the same checks as the secret itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// A login, a header's value: any text.
    Text,
    /// A key of some bytes.
    Key,
    /// An MD5 as hex digits.
    Digest,
    /// A webhook's signing secret.
    Webhook,
    /// A URL with a token in it.
    Url,
}

/// Where a URL leads that was not read.
pub(super) const PLACEHOLDER_HOST: &str = "placeholder.invalid";

impl Purpose {
    fn placeholder(self) -> &'static str {
        match self {
            Self::Text => "placeholder",
            Self::Key => "placeholder of enough bytes",
            Self::Digest => "00000000000000000000000000000000",
            Self::Webhook => "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            Self::Url => "https://placeholder.invalid/",
        }
    }
}

/// A configured secret: a password, a token, a header's value. It can be compared, so that a
/// reload sees whether it changed; `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(SecretString);

impl ExposeSecret<str> for Secret {
    fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose_secret() == other.expose_secret()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(secret)")
    }
}

/// Reads secrets: where they come from, and which folder their files are relative to.
pub(super) struct Vault<'a> {
    pub(super) source: &'a dyn SecretSource,
    pub(super) folder: &'a Path,
}

impl Vault<'_> {
    /// The secret that a value holds or names; never an empty one.
    pub(super) fn open(&self, value: &Value<'_>, purpose: Purpose) -> Result<Secret, Fault> {
        let secret = match value.toml() {
            DeValue::String(text) => Some(text.as_ref().to_owned()),
            DeValue::Table(table) => self.fetch(value, table)?,
            _ => return Err(value.fault(FORMS)),
        };
        let secret = secret.unwrap_or_else(|| purpose.placeholder().to_owned());
        if secret.is_empty() {
            return Err(value.fault("is empty"));
        }
        Ok(secret.into())
    }

    /// Neither an unknown key nor a name that looks like no variable is shown: someone may have
    /// put the secret itself there.
    fn fetch(&self, value: &Value<'_>, table: &DeTable<'_>) -> Result<Option<String>, Fault> {
        let named = |key| table.get(key).and_then(|name| name.get_ref().as_str());
        match (named("env"), named("file"), table.len()) {
            (Some(name), None, 1) => self.source.env(name).map_err(|error| {
                let shown = if is_usual_variable(name) { name } else { "it names" };
                value.fault(format_args!("the environment variable {shown} is {error}"))
            }),
            (None, Some(path), 1) => {
                let text = self.source.file(&self.folder.join(path));
                let text = text.map_err(|error| {
                    value.fault(format_args!("its file cannot be used: {error}"))
                })?;
                Ok(text.map(without_line_end))
            }
            _ => Err(value.fault(FORMS)),
        }
    }
}

fn is_usual_variable(name: &str) -> bool {
    name.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
}

/// The text without the line end with which editors and `echo` end a file: it is no part of the
/// secret.
#[must_use]
pub fn without_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// A webhook's signing secret: `whsec_` and the base64 of 24 to 64 bytes, as Standard Webhooks
/// has it. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct WebhookSecret(SecretSlice<u8>);

/// Why a text is not a [`WebhookSecret`]; without the text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WebhookSecretError {
    /// It has another beginning.
    #[error("must begin with whsec_")]
    Prefix,
    /// The rest is not base64 of the standard alphabet.
    #[error("what follows whsec_ is not base64")]
    Base64,
    /// The key is too short to be safe or too long to be one.
    #[error("must hold 24 to 64 bytes, not {0}")]
    Length(usize),
}

/// Some tools leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl WebhookSecret {
    const PREFIX: &str = "whsec_";
    const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

    /// Reads a secret.
    ///
    /// # Errors
    /// When the text lacks the prefix, or the rest is not the base64 of 24 to 64 bytes.
    pub fn parse(text: &str) -> Result<Self, WebhookSecretError> {
        let encoded = text.strip_prefix(Self::PREFIX).ok_or(WebhookSecretError::Prefix)?;
        let key = BASE64.decode(encoded).map_err(|_| WebhookSecretError::Base64)?;
        let key = Zeroizing::new(key);
        if !Self::BYTES.contains(&key.len()) {
            return Err(WebhookSecretError::Length(key.len()));
        }
        Ok(Self(SecretSlice::from(key.to_vec())))
    }

    /// The bytes with which bodies are signed.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.0.expose_secret()
    }

    pub(super) fn read(value: &Value<'_>, vault: &Vault<'_>) -> Result<Self, Fault> {
        let secret = vault.open(value, Purpose::Webhook)?;
        Self::parse(secret.expose_secret()).map_err(|error| value.fault(error))
    }
}

impl PartialEq for WebhookSecret {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for WebhookSecret {}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_secret_is_24_to_64_bytes_of_base64() {
        let encoded = |bytes: usize| format!("whsec_{}", BASE64.encode(vec![0xfb; bytes]));
        for (text, expected) in [
            (encoded(23), Err(WebhookSecretError::Length(23))),
            (encoded(24), Ok(24)),
            (encoded(25), Ok(25)),
            (encoded(25).trim_end_matches('=').to_owned(), Ok(25)),
            (encoded(64), Ok(64)),
            (encoded(65), Err(WebhookSecretError::Length(65))),
            (encoded(24).replace('+', "-"), Err(WebhookSecretError::Base64)),
            (format!("{}\n", encoded(24)), Err(WebhookSecretError::Base64)),
            (encoded(24).to_uppercase(), Err(WebhookSecretError::Prefix)),
            ("whsec_".into(), Err(WebhookSecretError::Length(0))),
            (String::new(), Err(WebhookSecretError::Prefix)),
        ] {
            let found = WebhookSecret::parse(&text).map(|secret| secret.key().len());
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn the_key_is_the_decoded_secret() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(hex::encode(secret.key()), "31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0");
        assert_eq!(format!("{secret:?}"), "WebhookSecret(secret)");
    }

    #[test]
    fn one_line_end_is_no_part_of_a_secret() {
        for (text, expected) in
            [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), ("\n", "")]
        {
            assert_eq!(without_line_end(text.into()), expected, "{text:?}");
        }
    }

    #[test]
    fn placeholders_pass_the_checks() {
        assert!(WebhookSecret::parse(Purpose::Webhook.placeholder()).is_ok());
        assert_eq!(Purpose::Digest.placeholder().len(), 32);
        assert!(Purpose::Key.placeholder().len() >= 16);
        assert!(Purpose::Url.placeholder().contains(PLACEHOLDER_HOST));
    }
}

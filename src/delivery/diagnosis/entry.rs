//! The entries of a signature header, and what is wrong with their form.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;

use super::key::lenient;

/// The bytes of a signature.
const MAC_BYTES: usize = 32;
/// A header of more entries than this is none.
const ENTRIES_MAX: usize = 64;

/// What is wrong with an entry's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureFault {
    /// It does not begin with `v1,`.
    Version,
    /// It is by a key pair (`v1a,`), not by a shared secret.
    Asymmetric,
    /// It is hexadecimal digits, not base64.
    Hex,
    /// It is base64, but of the alphabet for URLs or without its padding.
    OtherBase64,
    /// It is not base64.
    Base64,
    /// It holds so many bytes, not 32.
    Length(usize),
}

/// One entry.
pub(super) struct Entry {
    mac: Option<[u8; MAC_BYTES]>,
    fault: Option<SignatureFault>,
}

impl Entry {
    /// The signature, also of an entry whose form is wrong where one can be seen in it.
    pub(super) fn mac(&self) -> Option<&[u8; MAC_BYTES]> {
        self.mac.as_ref()
    }

    pub(super) fn fault(&self) -> Option<SignatureFault> {
        self.fault
    }
}

/// The entries of a header, which stand with a blank between each two.
pub(super) fn read(header: &str) -> Vec<Entry> {
    header.split_whitespace().take(ENTRIES_MAX).map(one).collect()
}

fn one(text: &str) -> Entry {
    if text.starts_with("v1a,") {
        return Entry { mac: None, fault: Some(SignatureFault::Asymmetric) };
    }
    let (encoded, version) = match text.strip_prefix("v1,") {
        Some(encoded) => (encoded, None),
        None => (without_label(text), Some(SignatureFault::Version)),
    };
    match decode(encoded) {
        Ok((mac, fault)) => Entry { mac: Some(mac), fault: version.or(fault) },
        Err(fault) => Entry { mac: None, fault: Some(version.unwrap_or(fault)) },
    }
}

/// What follows `v1=`, `sha256=` and the like.
fn without_label(text: &str) -> &str {
    let is_label = |label: &str| matches!(label, "v1" | "v1:" | "sha256" | "hmac-sha256");
    match text.split_once(['=', ',', ':']) {
        Some((label, rest)) if is_label(&label.to_ascii_lowercase()) => rest,
        _ => text,
    }
}

fn decode(encoded: &str) -> Result<([u8; MAC_BYTES], Option<SignatureFault>), SignatureFault> {
    // Digits of base 16 are base64, too, of something else.
    if encoded.len() == 2 * MAC_BYTES
        && let Ok(bytes) = hex::decode(encoded)
        && let Ok(mac) = bytes.try_into()
    {
        return Ok((mac, Some(SignatureFault::Hex)));
    }
    let as_sent = STANDARD.decode(encoded).map(|bytes| (bytes, None));
    let (bytes, fault) = as_sent.or_else(|_| {
        let bytes = lenient(&alphabet::STANDARD).decode(encoded);
        let bytes = bytes.or_else(|_| lenient(&alphabet::URL_SAFE).decode(encoded));
        let bytes = bytes.map_err(|_| SignatureFault::Base64)?;
        Ok((bytes, Some(SignatureFault::OtherBase64)))
    })?;
    let length = bytes.len();
    Ok((bytes.try_into().map_err(|_| SignatureFault::Length(length))?, fault))
}

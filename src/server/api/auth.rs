//! Who asks, and whether that is allowed: pure.
//!
//! A token is `rpt_` and 64 hex digits: 256 bits that nobody can foretell. So a fast digest is right
//! for it. A slow one, as passwords need, makes guessing costly where people choose from few; here
//! there is nothing to guess from, and every request would pay for it.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::store::token::{Scope, TokenDigest, TokenRow, TokenState};
use crate::time::UnixMs;

/// What every token begins with, so that programs which look for leaked secrets know one.
pub(in crate::server) const PREFIX: &str = "rpt_";
/// The random bytes of a token.
pub(in crate::server) const BYTES: usize = 32;

/// A token as whoever has it writes it.
pub(in crate::server) fn written(random: &[u8; BYTES]) -> String {
    format!("{PREFIX}{}", hex::encode(random))
}

/// Its digest; none where this cannot be a token.
pub(in crate::server) fn digest(token: &str) -> Option<TokenDigest> {
    let digits = token.strip_prefix(PREFIX)?;
    let is_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (digits.len() == 2 * BYTES && is_hex).then(|| digest_of(token))
}

/// The digest of what is a token.
pub(in crate::server) fn digest_of(token: &str) -> TokenDigest {
    TokenDigest(Sha256::digest(token).into())
}

/// The token in an `Authorization` header; none where it holds no bearer token.
pub(super) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whose request it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// The token's number.
    pub(super) id: i64,
    /// Its name.
    pub(super) name: String,
    /// What it allows.
    pub(super) scopes: Vec<Scope>,
    /// Whether its last use is to be kept anew.
    pub(super) is_used_anew: bool,
}

/// Why a request is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// It names no token.
    Missing,
    /// There is no such token, or there is no more.
    Invalid,
    /// The token's time is over.
    Expired,
}

/// How long a kept time of last use is near enough, in milliseconds: a write for every request
/// would cost more than the time is worth.
const USED_NEAR_MS: i64 = 10 * 60 * 1000;

/// Judges a token by the rows whose digest begins as its own. The digests are compared in a time
/// that says nothing of where they differ.
pub(super) fn judge(digest: &TokenDigest, rows: &[TokenRow], now: UnixMs) -> Result<Grant, Denied> {
    let row = rows.iter().find(|row| bool::from(row.digest.0.ct_eq(&digest.0)));
    let row = row.ok_or(Denied::Invalid)?;
    match row.state(now) {
        TokenState::Revoked => Err(Denied::Invalid),
        TokenState::Expired => Err(Denied::Expired),
        TokenState::Valid => Ok(Grant {
            id: row.id,
            name: row.name.clone(),
            scopes: row.scopes.clone(),
            // A use in the future was one of a wrong clock.
            is_used_anew: row
                .used
                .is_none_or(|used| !(0..USED_NEAR_MS).contains(&(now.0 - used.0))),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(token: &str) -> TokenRow {
        TokenRow {
            id: 7,
            name: "crm".to_owned(),
            digest: digest(token).unwrap(),
            scopes: vec![Scope::Read],
            created: UnixMs(0),
            expires: Some(UnixMs(10_000_000)),
            revoked: None,
            used: Some(UnixMs(1_000)),
        }
    }

    #[test]
    fn only_the_whole_token_is_let_in_while_it_is_good() {
        let token = written(&[7; BYTES]);
        let (own, other) = (digest(&token).unwrap(), digest(&written(&[8; BYTES])).unwrap());
        let rows = [row(&token)];
        let grant = judge(&own, &rows, UnixMs(2_000)).unwrap();
        assert_eq!((grant.id, grant.name.as_str(), grant.is_used_anew), (7, "crm", false));
        assert!(judge(&own, &rows, UnixMs(9_000_000)).unwrap().is_used_anew);
        assert!(judge(&own, &rows, UnixMs(999)).unwrap().is_used_anew);
        assert_eq!(judge(&other, &rows, UnixMs(2_000)), Err(Denied::Invalid));
        assert_eq!(judge(&own, &[], UnixMs(2_000)), Err(Denied::Invalid));
        assert_eq!(judge(&own, &rows, UnixMs(10_000_000)), Err(Denied::Expired));
        let revoked = [TokenRow { revoked: Some(UnixMs(1)), ..row(&token) }];
        assert_eq!(judge(&own, &revoked, UnixMs(2_000)), Err(Denied::Invalid));
    }

    #[test]
    fn what_is_no_token_has_no_digest() {
        let token = written(&[0xab; BYTES]);
        assert!(token.starts_with("rpt_abab") && token.len() == 68);
        assert!(digest(&token).is_some());
        for wrong in
            ["", "rpt_", &token[..67], &format!("{token}0"), &token.to_uppercase(), &token[4..]]
        {
            assert!(digest(wrong).is_none(), "{wrong}");
        }
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        assert_eq!((bearer("Basic abc"), bearer("abc"), bearer("")), (None, None, None));
    }
}

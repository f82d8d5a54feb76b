//! How a token is made, for the command that makes one.

use crate::server::api::auth;
use crate::store::token::TokenDigest;

/// The random bytes that a token is made of.
pub const BYTES: usize = auth::BYTES;

/// A token of these random bytes, to be shown once, and its digest, which is kept.
#[must_use]
pub fn made(random: &[u8; BYTES]) -> (String, TokenDigest) {
    let token = auth::written(random);
    let digest = auth::digest_of(&token);
    (token, digest)
}

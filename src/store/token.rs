//! Who may use the HTTP API.
//!
//! The store has a token's digest and never the token: whoever reads the store, or a backup of it,
//! cannot use the API by it.

use std::fmt;

use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sqlite::tokens;
use crate::time::UnixMs;

/// What a token allows. Each stands by itself: none includes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To look at everything that is kept, whole numbers and texts among it.
    Read,
    /// To have replies delivered again: deliveries, replays and tests.
    Replay,
    /// Everything else that changes something: sending, and subscribers on and off.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 3] = [Self::Read, Self::Replay, Self::Admin];

    /// The word for it in the store, in JSON and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Replay => "replay",
            Self::Admin => "admin",
        }
    }

    /// The one that has this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// The digest of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    /// Its first bytes as a number, by which the store finds it. What is found is compared as a
    /// whole by whoever asked.
    #[must_use]
    pub(super) fn handle(&self) -> i64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest")
    }
}

/// A token that is to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What it is called.
    pub name: String,
    /// Its digest.
    pub digest: TokenDigest,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// From when on it is worth nothing.
    pub expires: Option<UnixMs>,
}

/// A token as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its number.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// Its digest.
    pub digest: TokenDigest,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created: UnixMs,
    /// From when on it is worth nothing.
    pub expires: Option<UnixMs>,
    /// When somebody revoked it.
    pub revoked: Option<UnixMs>,
    /// When it was last used, to within some minutes.
    pub used: Option<UnixMs>,
}

/// Whether a token is still good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It is.
    Valid,
    /// Its time is over.
    Expired,
    /// Somebody revoked it.
    Revoked,
}

impl TokenState {
    /// The word for it in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl TokenRow {
    /// Whether it is good now.
    #[must_use]
    pub fn state(&self, now: UnixMs) -> TokenState {
        match (self.revoked, self.expires) {
            (Some(_), _) => TokenState::Revoked,
            (None, Some(expires)) if expires <= now => TokenState::Expired,
            (None, _) => TokenState::Valid,
        }
    }
}

/// Why no token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMade {
    /// One of this name is in use.
    Taken,
    /// There are as many as there may be.
    TooMany,
}

impl Store {
    /// The most tokens that are not revoked: far more than there are programs, and few enough to be
    /// looked over.
    pub const TOKENS_MAX: usize = 200;

    /// Keeps a new token, and says its number.
    ///
    /// # Errors
    /// The store's own.
    pub async fn put_token(
        &self,
        token: NewToken,
        now: UnixMs,
    ) -> Result<Result<i64, NotMade>, StoreError> {
        self.engine.write(move |connection| tokens::put(connection, &token, now)).await
    }

    /// Every token, also those that are good no longer, by name.
    ///
    /// # Errors
    /// The store's own.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.engine.read(tokens::all).await
    }

    /// The tokens whose digest begins as this one: one, unless somebody makes it otherwise.
    ///
    /// # Errors
    /// The store's own.
    pub async fn tokens_like(&self, digest: TokenDigest) -> Result<Vec<TokenRow>, StoreError> {
        self.engine.read(move |connection| tokens::like(connection, digest)).await
    }

    /// Whether the token of this number is still good.
    ///
    /// # Errors
    /// The store's own.
    pub async fn is_token_valid(&self, id: i64, now: UnixMs) -> Result<bool, StoreError> {
        let token = self.engine.read(move |connection| tokens::one(connection, id)).await?;
        Ok(token.is_some_and(|token| token.state(now) == TokenState::Valid))
    }

    /// Makes the token of this name worthless. False where there is none in use.
    ///
    /// # Errors
    /// The store's own.
    pub async fn revoke_token(&self, name: &str, now: UnixMs) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.engine.write(move |connection| tokens::revoke(connection, &name, now)).await
    }

    /// Keeps that a token was used.
    ///
    /// # Errors
    /// The store's own.
    pub async fn token_used(&self, id: i64, now: UnixMs) -> Result<(), StoreError> {
        self.engine.write(move |connection| tokens::used(connection, id, now)).await
    }
}

//! Bringing a store of an earlier version up to date: the service does it at its start, before
//! anything else, and copies the store first.

use std::path::{Path, PathBuf};

use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sqlite::check::GivenUp;
use crate::store::sqlite::schema::NEWEST;
use crate::store::sqlite::upgrade;
use crate::time::UnixMs;

/// A store that is to be brought up to date.
#[derive(Debug)]
pub struct Upgrade {
    path: PathBuf,
    /// The version that it has.
    pub from: usize,
    /// The version that it gets.
    pub to: usize,
}

/// What an upgrade came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Upgraded {
    /// The store is of this version, and was copied before.
    Copied {
        /// The copy.
        copy: PathBuf,
        /// Its bytes.
        bytes: u64,
    },
    /// The store is of this version, and was not copied, as was asked for.
    NotCopied,
    /// Another process has done it.
    Elsewhere,
}

impl Upgrade {
    /// What is to be done to the store at this path; none where it is of this version, or is yet to
    /// be made.
    ///
    /// # Errors
    /// When it is damaged, another user's, of another program or of a newer version.
    pub fn pending(path: &Path) -> Result<Option<Self>, StoreError> {
        let from = upgrade::pending(path).map_err(|error| error.at(path))?;
        Ok(from.map(|from| Self { path: path.to_owned(), from, to: NEWEST }))
    }

    /// Copies the store, unless that is not wanted, and brings it up to date. May be given up at any
    /// time: the store is as it was then.
    ///
    /// # Errors
    /// [`StoreError::NotCopied`] where there can be no copy, or the store's own. The store is as it
    /// was then.
    pub async fn carry_out(self, is_copied: bool) -> Result<Upgraded, StoreError> {
        let given_up = GivenUp::default();
        let look = given_up.look();
        let carry_out = move || {
            let done = upgrade::carry_out(&self.path, is_copied, &look);
            done.map_err(|error| error.at(&self.path))
        };
        let done = tokio::task::spawn_blocking(carry_out).await.map_err(|_| StoreError::Closed)?;
        drop(given_up);
        Ok(match done? {
            upgrade::Done::Here { copy: Some((copy, bytes)) } => Upgraded::Copied { copy, bytes },
            upgrade::Done::Here { copy: None } => Upgraded::NotCopied,
            upgrade::Done::Elsewhere => Upgraded::Elsewhere,
        })
    }
}

impl Store {
    /// The copies beside the store that upgrades made and that are still there.
    ///
    /// # Errors
    /// When the store's folder cannot be read.
    pub async fn copies(&self) -> Result<Vec<PathBuf>, StoreError> {
        self.engine.copies().await
    }

    /// Removes copies that upgrades made before `cutoff`. Says how many went.
    ///
    /// # Errors
    /// When the store's folder cannot be read or written.
    pub async fn drop_copies(&self, cutoff: UnixMs) -> Result<usize, StoreError> {
        self.engine.drop_copies(cutoff).await
    }
}

//! Erasing a person: all that the store holds of a number, and what tells of it.
//!
//! It is found by a look, and let go in pieces of one short act each, which look again. What stays
//! is the tallies, digests under the account's key: they keep a re-read from bringing it back.

use std::time::Duration;

use crate::reply::Mobile;
use crate::store::Store;
use crate::store::attempt::AttemptKey;
use crate::store::error::StoreError;
use crate::store::sqlite::erasure;
use crate::time::UnixMs;

/// Rest after each piece, in which the service has the writer.
const REST: Duration = Duration::from_millis(5);

/// How much the store holds of a person, or let go of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Replies, of all accounts.
    pub replies: usize,
    /// Deliveries of these.
    pub deliveries: usize,
    /// Those of them that have not reached their end: they never will.
    pub under_way: usize,
    /// Attempts to deliver them.
    pub attempts: usize,
    /// Records that wait for their hour.
    pub waiting_records: usize,
    /// Kept bodies of reads that hold records or faults of the number.
    pub bodies: usize,
    /// Faults that hold it.
    pub faults: usize,
    /// Answers of receivers, to other deliveries, that hold it.
    pub answers: usize,
    /// Messages that were sent to it.
    pub messages: usize,
}

impl Holding {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What a look found.
pub struct Found {
    /// How much there is.
    pub holding: Holding,
    /// What is to be let go, in its order.
    pub pieces: Vec<Piece>,
    /// Replies of others that mention the number in their text. They are not this person's.
    pub mentions: usize,
    /// Reads with the number in their bodies that are not taken in yet.
    pub not_taken_in: usize,
}

/// What one short act lets go.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Replies, with what tells of them, by their numbers.
    Replies(Vec<i64>),
    /// Events of which the reply is gone already.
    Events(Vec<i64>),
    /// Records that wait, by their rows.
    Waiting(Vec<i64>),
    /// What a read's body holds.
    Body(i64),
    /// The bytes of faults, by their rows.
    Faults(Vec<i64>),
    /// What receivers answered, by their attempts.
    Answers(Vec<AttemptKey>),
    /// All messages.
    Messages,
}

impl Store {
    /// Looks for all that the store holds of a number.
    ///
    /// # Errors
    /// The store's own.
    pub async fn find_person(&self, mobile: &Mobile) -> Result<Found, StoreError> {
        let mobile = mobile.clone();
        self.engine.read(move |connection| erasure::find(connection, &mobile)).await
    }

    /// Lets these pieces go, one after the other, with a rest after each; `tell` is told how many
    /// went so far.
    ///
    /// # Errors
    /// The store's own; some may be gone then.
    pub async fn erase_pieces(
        &self,
        mobile: &Mobile,
        pieces: Vec<Piece>,
        now: UnixMs,
        mut tell: impl FnMut(usize),
    ) -> Result<(), StoreError> {
        for (number, piece) in pieces.into_iter().enumerate() {
            if number > 0 {
                tokio::time::sleep(REST).await;
            }
            let mobile = mobile.clone();
            self.engine
                .write(move |connection| erasure::erase(connection, &mobile, &piece, now))
                .await?;
            self.changed();
            tell(number + 1);
        }
        Ok(())
    }

    /// Brings the log into the file and cuts it to nothing. False where another process keeps on
    /// reading what is in it.
    ///
    /// # Errors
    /// The store's own.
    pub async fn empty_log(&self) -> Result<bool, StoreError> {
        self.engine.empty_log().await
    }

    /// How often these bytes stand in the store's files, wherever in them.
    ///
    /// # Errors
    /// Where the files cannot be read.
    pub async fn occurrences(&self, bytes: Vec<u8>) -> Result<usize, StoreError> {
        self.engine.occurrences(bytes).await
    }

    /// Writes the store's file anew, with nothing in it but what is in the store. Nobody else
    /// writes meanwhile. Not done where the file has more than so many bytes: false then.
    ///
    /// # Errors
    /// The store's own.
    pub async fn rewrite(&self, bytes_max: u64) -> Result<bool, StoreError> {
        self.engine.rewrite(bytes_max).await
    }
}

//! Kept replies as somebody looks for them: listed, shown, exported. Nothing here changes anything.

use serde::{Deserialize, Serialize};

use crate::reply::Mobile;
use crate::store::Store;
use crate::store::by_hand::DeliveryRow;
use crate::store::delivery::DeliveryState;
use crate::store::error::StoreError;
use crate::store::journal::JournalRow;
use crate::store::read::ReadId;
use crate::store::sqlite::replies;
use crate::time::{BeijingTime, UnixMs};

/// Which replies are looked at: those of which all that is named holds.
#[derive(Clone, Default)]
pub struct ReplyFilter {
    /// Of this account.
    pub account: Option<String>,
    /// Of this person.
    pub mobile: Option<Mobile>,
    /// With this in what was typed, letter by letter.
    pub text: Option<String>,
    /// Written then or later.
    pub from: Option<UnixMs>,
    /// Written before that.
    pub to: Option<UnixMs>,
    /// With a delivery in one of these states; none named means any, or none at all.
    pub states: Vec<DeliveryState>,
    /// Only those that are suspect.
    pub suspect: bool,
}

/// In which order replies are gone through: by when they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The last written first.
    NewestFirst,
    /// The first written first.
    OldestFirst,
}

/// A reply's place in either order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub(super) replied_at: i64,
    pub(super) account: String,
    pub(super) seq: i64,
}

/// What stretch of the replies is asked for.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// In this order.
    pub order: Order,
    /// Behind this place; none for the beginning.
    pub behind: Option<Place>,
    /// At most so many. Fewer come where they are long.
    pub limit: usize,
    /// None that was kept after this one, where one is named.
    pub newest: Option<i64>,
}

/// A stretch of the replies.
pub struct Page {
    /// The replies.
    pub rows: Vec<ReplyRow>,
    /// Where the next stretch begins; none where this was the last.
    pub next: Option<Place>,
}

/// How many replies there are to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyExtent {
    /// The number of the one that was kept last.
    pub newest: i64,
    /// How many there are, where that is quickly counted.
    pub count: Option<usize>,
}

/// A kept reply. No `Debug`: it holds what a stranger wrote.
#[derive(Clone)]
pub struct ReplyRow {
    /// Its number in the store.
    pub seq: i64,
    /// Its public name.
    pub id: String,
    /// The account at whose gateway it arrived.
    pub account: String,
    /// Who wrote.
    pub mobile: Mobile,
    /// What was typed, decoded.
    pub content: String,
    /// The content's bytes, where decoding lost some of them.
    pub content_raw: Option<Vec<u8>>,
    /// The gateway's reply time.
    pub replied_at: BeijingTime,
    /// The number that was answered; empty where the gateway left it out.
    pub gateway: String,
    /// Which of the equal texts of one second this is, from 1.
    pub occurrence: u32,
    /// What makes it doubtful.
    pub suspect: Option<String>,
    /// What follows the account's own number in `gateway`.
    pub extension: Option<String>,
    /// The message that it answers, where that is known.
    pub in_reply_to: Option<String>,
    /// The read that brought it.
    pub read: ReadId,
    /// When it was kept.
    pub kept: UnixMs,
    /// How many of its deliveries stand where, in the order of [`DeliveryState::ALL`].
    pub deliveries: Vec<(DeliveryState, u64)>,
}

impl ReplyRow {
    /// Its place in the order of the replies.
    #[must_use]
    pub fn place(&self) -> Place {
        let (replied_at, account) = (self.replied_at.unix_seconds(), self.account.clone());
        Place { replied_at, account, seq: self.seq }
    }
}

/// What subscribers were told of a reply.
pub struct ToldRow {
    /// The event's id, the receiver's `webhook-id`: the reply's own, or that of a replay as new.
    pub id: String,
    /// The bytes that were told.
    pub body: String,
    /// The newest deliveries of it, oldest first: no more than [`ReplyDetail::DELIVERIES_MAX`].
    pub deliveries: Vec<DeliveryRow>,
}

/// All about one reply.
pub struct ReplyDetail {
    /// The reply.
    pub row: ReplyRow,
    /// The read that brought it.
    pub read: Option<JournalRow>,
    /// The events that tell it: its own, then those of replays.
    pub told: Vec<ToldRow>,
}

impl ReplyDetail {
    /// The most deliveries of one event that are looked at.
    pub const DELIVERIES_MAX: usize = 1_000;
}

impl Store {
    /// A stretch of the replies that the filter lets through. The rows of one are no more than some
    /// MiB, or a single one.
    ///
    /// # Errors
    /// The store's own.
    pub async fn replies(&self, filter: ReplyFilter, stretch: Stretch) -> Result<Page, StoreError> {
        self.engine.search(move |connection| replies::page(connection, &filter, &stretch)).await
    }

    /// How many replies the filter may let through, up to the newest that there is.
    ///
    /// # Errors
    /// The store's own.
    pub async fn reply_extent(&self, filter: ReplyFilter) -> Result<ReplyExtent, StoreError> {
        self.engine.read(move |connection| replies::extent(connection, &filter)).await
    }

    /// The ids of the replies whose own id begins so, or that of an event by which a replay told
    /// them as new: at most three.
    ///
    /// # Errors
    /// The store's own.
    pub async fn reply_ids(&self, beginning: &str) -> Result<Vec<String>, StoreError> {
        let beginning = beginning.to_owned();
        self.engine.read(move |connection| replies::ids(connection, &beginning)).await
    }

    /// One reply; none where there is none of this id.
    ///
    /// # Errors
    /// The store's own.
    pub async fn reply(&self, id: &str) -> Result<Option<ReplyRow>, StoreError> {
        let id = id.to_owned();
        self.engine.read(move |connection| replies::one(connection, &id)).await
    }

    /// All about one reply; none where there is none of this id.
    ///
    /// # Errors
    /// The store's own.
    pub async fn reply_detail(&self, id: &str) -> Result<Option<ReplyDetail>, StoreError> {
        let id = id.to_owned();
        self.engine.read(move |connection| replies::detail(connection, &id)).await
    }
}

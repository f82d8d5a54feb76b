//! A kept reply.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::delivery::{Content, Delivery};
use super::read::Read;
use crate::store::replies::{ReplyDetail as Detail, ReplyRow, ToldRow};

/// Whether numbers are shown whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// As they are.
    Whole,
    /// As 139****5678.
    Masked,
}

impl Numbers {
    /// Who wrote a reply.
    #[must_use]
    pub fn show(self, row: &ReplyRow) -> String {
        match self {
            Self::Whole => row.mobile.as_str().to_owned(),
            Self::Masked => row.mobile.to_string(),
        }
    }
}

/// A kept reply: the keys of its event's data, then what is known here.
#[derive(Serialize, JsonSchema)]
pub struct Reply {
    /// Its id, the receiver's `webhook-id`.
    id: String,
    /// The account at whose gateway it arrived.
    account: String,
    /// Who wrote: a mainland mobile as its 11 digits, anything else as it came.
    from: String,
    /// What was typed, by a stranger: escape it wherever it is shown.
    content: String,
    /// When it was written, by the gateway's clock.
    #[schemars(extend("format" = "date-time"))]
    replied_at: String,
    /// The number that was answered; empty where the gateway left it out.
    gateway: String,
    /// Which of the equal texts of one second this is, from 1.
    occurrence: u32,
    /// Whether bytes of the content could not be decoded.
    lossy: bool,
    /// What makes it doubtful.
    suspect: Option<String>,
    /// What follows the account's own number in `gateway`.
    extension: Option<String>,
    /// The message that it answers.
    in_reply_to: Option<String>,
    /// The content's bytes in hex, where decoding lost some of them.
    content_raw: Option<String>,
    /// When it was kept.
    #[schemars(extend("format" = "date-time"))]
    kept_at: String,
    /// The read that brought it.
    read: i64,
    /// How many of its deliveries stand where, by state.
    deliveries: BTreeMap<&'static str, u64>,
}

impl Reply {
    /// The shape of a reply.
    #[must_use]
    pub fn of(row: &ReplyRow, numbers: Numbers) -> Self {
        Self {
            id: row.id.clone(),
            account: row.account.clone(),
            from: numbers.show(row),
            content: row.content.clone(),
            replied_at: row.replied_at.rfc3339(),
            gateway: row.gateway.clone(),
            occurrence: row.occurrence,
            lossy: row.content_raw.is_some(),
            suspect: row.suspect.clone(),
            extension: row.extension.clone(),
            in_reply_to: row.in_reply_to.clone(),
            content_raw: row.content_raw.as_ref().map(hex::encode),
            kept_at: row.kept.beijing().rfc3339(),
            read: row.read.0,
            deliveries: row
                .deliveries
                .iter()
                .map(|(state, count)| (state.as_str(), *count))
                .collect(),
        }
    }
}

/// An event that tells a reply.
#[derive(Serialize, JsonSchema)]
pub(super) struct ToldEvent {
    /// Its id, the receiver's `webhook-id`: the reply's own, or that of a replay as new.
    id: String,
    /// What was told.
    body: Value,
    /// The newest deliveries of it, oldest first.
    deliveries: Vec<Delivery>,
}

/// All about one reply.
#[derive(Serialize, JsonSchema)]
pub struct ReplyDetail {
    /// The reply.
    reply: Reply,
    /// The read that brought it, while that is kept.
    read: Option<Read>,
    /// The events that tell it: its own, then those of replays.
    events: Vec<ToldEvent>,
}

impl ReplyDetail {
    /// The shape of a reply, its read and its events; `numbers` are those of the deliveries.
    #[must_use]
    pub fn of(detail: &Detail, numbers: Numbers) -> Self {
        let event = |told: &ToldRow| ToldEvent {
            id: told.id.clone(),
            body: serde_json::from_str(&told.body).unwrap_or_default(),
            deliveries: told
                .deliveries
                .iter()
                .map(|row| Delivery::of(row, numbers, Content::Hidden))
                .collect(),
        };
        Self {
            reply: Reply::of(&detail.row, Numbers::Whole),
            read: detail.read.as_ref().map(Read::of),
            events: detail.told.iter().map(event).collect(),
        }
    }
}

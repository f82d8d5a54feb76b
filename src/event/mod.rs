//! What subscribers are told: JSON, rendered once and then sent as it is for ever.
//!
//! The order of the keys is part of the bytes that receivers verify, not of the promise: keys
//! are always there, `null` where unknown, and changes only add.

mod as_new;
mod masked;
mod notice;
mod object;
mod reply_received;
mod test;
mod told;

use serde::{Deserialize, Serialize};

pub use as_new::as_new;
pub use masked::masked;
pub use notice::{Notice, NoticeOf, notice};
pub use reply_received::{reply_received, reply_received_masked};
pub use test::{TEST_TYPE, test};
pub use told::Told;

/// What an event tells of; subscribers ask for events by these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventType {
    /// A customer's reply.
    #[serde(rename = "reply.received")]
    ReplyReceived,
    /// The gateway refused an account.
    #[serde(rename = "account.login_failed")]
    LoginFailed,
    /// The gateway lets an account in again.
    #[serde(rename = "account.recovered")]
    Recovered,
    /// Another program seems to empty an account's box.
    #[serde(rename = "account.second_reader")]
    SecondReader,
    /// Replies may be missing: hours are owed a read by time.
    #[serde(rename = "gap.opened")]
    GapOpened,
    /// Every hour of a gap was read again, or given up.
    #[serde(rename = "gap.closed")]
    GapClosed,
    /// An answer held what is no record.
    #[serde(rename = "record.unparsed")]
    RecordUnparsed,
    /// A subscriber has taken nothing for a while and will be disabled if it goes on.
    #[serde(rename = "subscriber.failing")]
    SubscriberFailing,
    /// A subscriber was disabled: its deliveries wait.
    #[serde(rename = "subscriber.disabled")]
    SubscriberDisabled,
    /// An account has few messages left.
    #[serde(rename = "balance.low")]
    BalanceLow,
}

impl EventType {
    /// Every type and its word in the configuration, the store and JSON.
    pub const WORDS: [(&str, Self); 10] = [
        ("reply.received", Self::ReplyReceived),
        ("account.login_failed", Self::LoginFailed),
        ("account.recovered", Self::Recovered),
        ("account.second_reader", Self::SecondReader),
        ("gap.opened", Self::GapOpened),
        ("gap.closed", Self::GapClosed),
        ("record.unparsed", Self::RecordUnparsed),
        ("subscriber.failing", Self::SubscriberFailing),
        ("subscriber.disabled", Self::SubscriberDisabled),
        ("balance.low", Self::BalanceLow),
    ];

    /// The type's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let word = Self::WORDS.into_iter().find(|(_, event_type)| *event_type == self);
        word.map_or("", |(word, _)| word)
    }
}

#[derive(Serialize)]
struct Event<'a, Data> {
    r#type: &'static str,
    timestamp: &'a str,
    data: Data,
}

impl<'a, Data: Serialize> Event<'a, Data> {
    fn render(event_type: EventType, timestamp: &'a str, data: Data) -> String {
        Self::render_as(event_type.as_str(), timestamp, data)
    }

    fn render_as(event_type: &'static str, timestamp: &'a str, data: Data) -> String {
        let event = Self { r#type: event_type, timestamp, data };
        #[expect(clippy::expect_used, reason = "a struct of strings and numbers has a JSON form")]
        serde_json::to_string(&event).expect("strings and numbers are JSON")
    }
}

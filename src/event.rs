//! The JSON that a reply becomes, rendered once and then sent as it is for ever.
//!
//! The order of the keys is part of the bytes that receivers verify, not of the promise: keys
//! are always there, `null` where unknown, and changes only add.

use serde::{Deserialize, Serialize};

use crate::reply::Reply;

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
}

impl EventType {
    /// Every type and its word in the configuration, the store and JSON.
    pub const WORDS: [(&str, Self); 7] = [
        ("reply.received", Self::ReplyReceived),
        ("account.login_failed", Self::LoginFailed),
        ("account.recovered", Self::Recovered),
        ("account.second_reader", Self::SecondReader),
        ("gap.opened", Self::GapOpened),
        ("gap.closed", Self::GapClosed),
        ("record.unparsed", Self::RecordUnparsed),
    ];

    /// The type's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let word = Self::WORDS.into_iter().find(|(_, event_type)| *event_type == self);
        word.map_or("", |(word, _)| word)
    }
}

#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    timestamp: &'a str,
    data: ReplyReceived<'a>,
}

#[derive(Serialize)]
struct ReplyReceived<'a> {
    id: &'a str,
    account: &'a str,
    from: &'a str,
    content: &'a str,
    replied_at: &'a str,
    gateway: &'a str,
    occurrence: u32,
    lossy: bool,
    suspect: Option<&'static str>,
    extension: Option<&'a str>,
    in_reply_to: Option<&'a str>,
}

/// The webhook's body for a reply.
#[must_use]
pub fn reply_received(reply: &Reply) -> String {
    let replied_at = reply.replied_at.rfc3339();
    let event = Event {
        r#type: EventType::ReplyReceived.as_str(),
        timestamp: &replied_at,
        data: ReplyReceived {
            id: reply.id.as_str(),
            account: &reply.account,
            from: reply.mobile.as_str(),
            content: &reply.content,
            replied_at: &replied_at,
            gateway: &reply.gateway,
            occurrence: reply.occurrence,
            lossy: reply.lossy(),
            suspect: reply.suspect.map(crate::reply::Suspicion::as_str),
            extension: reply.extension.as_deref(),
            in_reply_to: None,
        },
    };
    #[expect(clippy::expect_used, reason = "a struct of strings and numbers has a JSON form")]
    serde_json::to_string(&event).expect("strings and numbers are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::{Fingerprint, IdKey, Mobile};

    #[test]
    fn a_reply_has_the_promised_json() {
        let mobile = Mobile::parse("13912341234").unwrap();
        let replied_at = "2008-05-27 12:10:11".parse().unwrap();
        let of = Fingerprint { account: "main", mobile: &mobile, replied_at, content: b"" };
        let reply = Reply {
            id: IdKey::from_secret(b"a key").reply_id(of, 1),
            account: "main".into(),
            content: "中国短信\"测试\"回复\n".into(),
            content_raw: None,
            gateway: "1068112227282".into(),
            occurrence: 1,
            suspect: None,
            extension: None,
            replied_at,
            mobile: mobile.clone(),
        };
        let expected = format!(
            concat!(
                r#"{{"type":"reply.received","timestamp":"2008-05-27T12:10:11+08:00","data":{{"id":"{}","#,
                r#""account":"main","from":"13912341234","content":"中国短信\"测试\"回复\n","#,
                r#""replied_at":"2008-05-27T12:10:11+08:00","gateway":"1068112227282","occurrence":1,"#,
                r#""lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}}}"#
            ),
            reply.id
        );
        assert_eq!(reply_received(&reply), expected);
    }
}

//! The event that a reply becomes.

use serde::Serialize;

use super::{Event, EventType};
use crate::reply::Reply;

#[derive(Serialize)]
pub(super) struct ReplyReceived<'a> {
    pub(super) id: &'a str,
    pub(super) account: &'a str,
    pub(super) from: &'a str,
    pub(super) content: &'a str,
    pub(super) replied_at: &'a str,
    pub(super) gateway: &'a str,
    pub(super) occurrence: u32,
    pub(super) lossy: bool,
    pub(super) suspect: Option<&'static str>,
    pub(super) extension: Option<&'a str>,
    pub(super) in_reply_to: Option<&'a str>,
}

/// The webhook's body for a reply.
#[must_use]
pub fn reply_received(reply: &Reply) -> String {
    render(reply, reply.mobile.as_str())
}

/// The same for those that are not to see whole numbers: `from` is `139****5678`. The rest is the
/// same, also what was typed, whatever numbers are in it; and the id tells a number to nobody who
/// has not the key.
#[must_use]
pub fn reply_received_masked(reply: &Reply) -> String {
    render(reply, &reply.mobile.to_string())
}

fn render(reply: &Reply, from: &str) -> String {
    let replied_at = reply.replied_at.rfc3339();
    let data = ReplyReceived {
        id: reply.id.as_str(),
        account: &reply.account,
        from,
        content: &reply.content,
        replied_at: &replied_at,
        gateway: &reply.gateway,
        occurrence: reply.occurrence,
        lossy: reply.lossy(),
        suspect: reply.suspect.map(crate::reply::Suspicion::as_str),
        extension: reply.extension.as_deref(),
        in_reply_to: reply.in_reply_to.as_deref(),
    };
    Event::render(EventType::ReplyReceived, &replied_at, data)
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
            in_reply_to: None,
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
        let masked = expected.replace(r#""from":"13912341234""#, r#""from":"139****1234""#);
        assert_eq!(reply_received_masked(&reply), masked);
    }
}

//! The event with which somebody tests a subscriber.
//!
//! Its type is its own and its data are those of a reply, so that a receiver that looks at the
//! type does not take it for one, and one that does not finds every key that it expects. Its number
//! is nobody's, its text says what it is, and the header `replyd-trigger` says it too.

use super::Event;
use super::reply_received::ReplyReceived;
use crate::reply::Mobile;
use crate::time::UnixMs;

/// The type of a test. Nobody subscribes to it: it comes to whom a test is made.
pub const TEST_TYPE: &str = "subscriber.test";
/// No mainland mobile begins so, and none ever will: numbers that begin with 10 are services'.
const NOBODY: &str = "10000000000";
const CONTENT: &str = "【测试】这是 replyd 发出的测试消息，不是客户的回复。 / TEST: this is a test message from \
     replyd, not a customer's reply.";

/// The webhook's body for a test.
#[must_use]
pub fn test(id: &str, account: &str, is_masked: bool, at: UnixMs) -> String {
    let replied_at = at.beijing().rfc3339();
    let masked = Mobile::parse(NOBODY).filter(|_| is_masked).map(|mobile| mobile.to_string());
    let data = ReplyReceived {
        id,
        account,
        from: masked.as_deref().unwrap_or(NOBODY),
        content: CONTENT,
        replied_at: &replied_at,
        gateway: "",
        occurrence: 1,
        lossy: false,
        suspect: None,
        extension: None,
        in_reply_to: None,
    };
    Event::render_as(TEST_TYPE, &replied_at, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_has_the_keys_of_a_reply_and_says_what_it_is() {
        let at = "2026-11-22 10:00:00".parse::<crate::time::BeijingTime>().unwrap().unix_ms();
        let body = |is_masked| test("evt_1", "main", is_masked, at);
        let expected = concat!(
            r#"{"type":"subscriber.test","timestamp":"2026-11-22T10:00:00+08:00","data":{"id":"evt_1","#,
            r#""account":"main","from":"10000000000","content":"【测试】这是 replyd 发出的测试消息，不是客户的回复。"#,
            r#" / TEST: this is a test message from replyd, not a customer's reply.","#,
            r#""replied_at":"2026-11-22T10:00:00+08:00","gateway":"","occurrence":1,"#,
            r#""lossy":false,"suspect":null,"extension":null,"in_reply_to":null}}"#
        );
        assert_eq!(body(false), expected);
        assert_eq!(body(true), expected.replace("10000000000", "100****0000"));
    }
}

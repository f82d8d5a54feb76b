//! An event told again as a new one.

use serde_json::value::to_raw_value;

use super::object::Object;
use crate::reply::ReplyId;

/// A reply's body as it was rendered once, whole or masked, under another id, and with the id that
/// the reply has as `replay_of`: for receivers that ignore an id that they had. None where the
/// body is none of a reply.
#[must_use]
pub fn as_new(body: &str, id: &str, reply: &ReplyId) -> Option<String> {
    let mut event: Object = serde_json::from_str(body).ok()?;
    let mut data: Object = serde_json::from_str(event.value("data")?.get()).ok()?;
    *data.value("id")? = to_raw_value(id).ok()?;
    data.0.push(("replay_of".to_owned(), to_raw_value(reply.as_str()).ok()?));
    *event.value("data")? = to_raw_value(&data).ok()?;
    serde_json::to_string(&event).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_id_stays_as_it_was_told() {
        let reply = ReplyId::parse("rpl_000102030405060708090a0b0c0d0e0f").unwrap();
        let check = |body: &str, expected: Option<&str>| {
            assert_eq!(as_new(body, "rpn_1", &reply).as_deref(), expected, "{body}");
        };
        check(
            r#"{"type":"reply.received","timestamp":"2008-05-27T12:10:11+08:00","data":{"id":"rpl_a","zone":1.50,"content":"\"回复\"\u0007\\","suspect":null}}"#,
            Some(
                r#"{"type":"reply.received","timestamp":"2008-05-27T12:10:11+08:00","data":{"id":"rpn_1","zone":1.50,"content":"\"回复\"\u0007\\","suspect":null,"replay_of":"rpl_000102030405060708090a0b0c0d0e0f"}}"#,
            ),
        );
        for wrong in ["", "{}", r#"{"data":7}"#, r#"{"data":{"account":"main"}}"#, "[]"] {
            check(wrong, None);
        }
    }
}

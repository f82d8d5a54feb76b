//! The signed JSON webhook, by the Standard Webhooks specification.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::delivery::sign::{Signed, Signer};
use crate::delivery::target::{Answer, Verdict, answer};
use crate::store::delivery::{Claim, StandsIn, Trigger};

/// The longest text that is sent for a receiver: some ten SMS, which is more than a text that was
/// meant as one.
const REPLY_CHARS_MAX: usize = 500;

/// The headers of one attempt. The body is the event's stored bytes, at every attempt the same;
/// what varies is here.
#[must_use]
pub fn headers(
    claim: &Claim,
    signer: &Signer,
    timestamp: i64,
) -> Vec<(&'static str, Cow<'static, str>)> {
    let what = Signed { id: &claim.event_id, timestamp, body: &claim.body };
    let mut headers = vec![
        ("content-type", "application/json".into()),
        ("webhook-id", claim.event_id.clone().into()),
        ("webhook-timestamp", timestamp.to_string().into()),
        ("webhook-signature", signer.sign(what).into()),
        ("replyd-attempt", claim.attempt.to_string().into()),
        ("replyd-trigger", claim.trigger.as_str().into()),
    ];
    if let Some(StandsIn { subscriber, in_doubt }) = &claim.stands_in {
        headers.push(("replyd-stands-in-for", subscriber.clone().into()));
        headers.push(("replyd-in-doubt", in_doubt.to_string().into()));
    }
    headers
}

/// What an answer means. 2xx is a success whatever else it says; 410 says that the receiver is
/// gone for good. A receiver can ask for what it wants by the header `webhook-delivery`.
#[must_use]
pub fn judge(answer: Answer<'_>) -> Verdict {
    let verdict = match answer.status {
        200..=299 => answer::delivered(),
        _ => answer::by_status(answer),
    };
    answer::heeding(verdict, answer)
}

/// The text that a receiver wants sent to whoever wrote the reply: its answer is 200 with
/// `{"reply":"text"}`. Other events, and tests, are answered by nobody.
#[must_use]
pub fn reply(claim: &Claim, status: u16, answer: &[u8]) -> Option<String> {
    let is_reply = claim.event_id.starts_with("rpl_") || claim.event_id.starts_with("rpn_");
    if status != 200 || !is_reply || claim.trigger == Trigger::Test {
        return None;
    }
    let answer: Map<String, Value> = serde_json::from_slice(answer).ok()?;
    let text = answer.get("reply")?.as_str()?.trim();
    (!text.is_empty() && text.chars().count() <= REPLY_CHARS_MAX).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::target::Wish;
    use crate::store::attempt::Disabled;

    fn check(status: u16, webhook_delivery: Option<&str>, delivered: bool, wish: Wish) {
        let retry_after = Some(Duration::from_secs(7));
        let verdict = judge(Answer { status, retry_after, webhook_delivery, body: b"" });
        assert_eq!(verdict.trouble.is_none(), delivered, "{status} {webhook_delivery:?}");
        assert_eq!(verdict.wish, wish, "{status} {webhook_delivery:?}");
    }

    #[test]
    fn a_fallback_is_told_for_whom_it_stands_in() {
        let claim = |stands_in| Claim { stands_in, ..Claim::first(1, "rpl_a", "{}") };
        let further = |stands_in| headers(&claim(stands_in), &Signer::new(&[]), 0).split_off(6);
        assert_eq!(further(None), []);
        let stands_in = StandsIn { subscriber: "crm".to_owned(), in_doubt: true };
        assert_eq!(
            further(Some(stands_in)),
            [("replyd-stands-in-for", "crm".into()), ("replyd-in-doubt", "true".into())]
        );
    }

    #[test]
    fn only_2xx_is_delivered() {
        for status in [200, 201, 202, 204, 299] {
            check(status, None, true, Wish::None);
        }
        let wait = Wish::Wait(Duration::from_secs(7));
        for status in [100, 301, 302, 307, 400, 401, 404, 429, 500, 502, 599] {
            check(status, None, false, wait);
        }
    }

    #[test]
    fn only_a_plain_200_with_a_text_asks_for_a_message() {
        let claim = |event_id: &str, trigger| Claim { trigger, ..Claim::first(1, event_id, "{}") };
        let auto = claim("rpl_a", Trigger::Auto);
        let long = format!(r#"{{"reply":"{}"}}"#, "好".repeat(501));
        for (claim, status, answer, expected) in [
            (&auto, 200, r#"{"reply":" 好的 ","other":1}"#, Some("好的")),
            (&claim("rpn_a", Trigger::Replay), 200, r#"{"reply":"a"}"#, Some("a")),
            (&auto, 201, r#"{"reply":"a"}"#, None),
            (&auto, 200, r#"{"reply":null}"#, None),
            (&auto, 200, r#"{"reply":"  "}"#, None),
            (&auto, 200, r#"{"reply":1}"#, None),
            (&auto, 200, r#"["reply"]"#, None),
            (&auto, 200, "ok", None),
            (&auto, 200, &long, None),
            (&claim("evt_a", Trigger::Auto), 200, r#"{"reply":"a"}"#, None),
            (&claim("rpl_a", Trigger::Test), 200, r#"{"reply":"a"}"#, None),
        ] {
            assert_eq!(reply(claim, status, answer.as_bytes()).as_deref(), expected, "{answer}");
        }
    }

    #[test]
    fn a_receiver_can_ask_to_be_left_alone() {
        let wait = Wish::Wait(Duration::from_secs(7));
        let (asked, gone) = (Wish::Disable(Disabled::Asked), Wish::Disable(Disabled::Gone));
        check(410, None, false, gone);
        check(410, Some("abort-message"), false, gone);
        check(500, Some("disable"), false, asked);
        check(200, Some(" Disable "), true, asked);
        check(422, Some("abort-message"), false, Wish::Abort);
        check(200, Some("abort-message"), true, Wish::None);
        check(500, Some("enable"), false, wait);
        check(500, Some("disabled"), false, wait);
    }
}

//! The signed JSON webhook, by the Standard Webhooks specification.

use crate::config::WebhookSecret;
use crate::delivery::sign::{self, Signed};
use crate::delivery::target::{Answer, Verdict, Wish};
use crate::store::attempt::{Disabled, Trouble};
use crate::store::delivery::Claim;

/// The headers of one attempt. The body is the event's stored bytes, at every attempt the same;
/// what varies is here.
#[must_use]
pub fn headers(
    claim: &Claim,
    secrets: &[WebhookSecret],
    timestamp: i64,
) -> [(&'static str, String); 6] {
    let what = Signed { id: &claim.event_id, timestamp, body: &claim.body };
    [
        ("content-type", "application/json".to_owned()),
        ("webhook-id", claim.event_id.clone()),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", sign::sign(secrets, what)),
        ("replyd-attempt", claim.attempt.to_string()),
        ("replyd-trigger", claim.trigger.as_str().to_owned()),
    ]
}

/// What an answer means. 2xx is a success whatever else it says; 410 says that the receiver is
/// gone for good. A receiver can ask for what it wants by the header `webhook-delivery`.
#[must_use]
pub fn judge(answer: Answer<'_>) -> Verdict {
    let status = answer.status;
    let trouble = (!(200..300).contains(&status)).then_some(Trouble::Status { status });
    let header = answer.webhook_delivery.map(str::trim_ascii).unwrap_or_default();
    let wish = match trouble {
        _ if header.eq_ignore_ascii_case("disable") => Wish::Disable(Disabled::Asked),
        None => Wish::None,
        Some(_) if status == 410 => Wish::Disable(Disabled::Gone),
        Some(_) if header.eq_ignore_ascii_case("abort-message") => Wish::Abort,
        Some(_) => answer.retry_after.map_or(Wish::None, Wish::Wait),
    };
    Verdict { trouble, wish }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(status: u16, webhook_delivery: Option<&str>, delivered: bool, wish: Wish) {
        let retry_after = Some(Duration::from_secs(7));
        let verdict = judge(Answer { status, retry_after, webhook_delivery, body: b"" });
        assert_eq!(verdict.trouble.is_none(), delivered, "{status} {webhook_delivery:?}");
        assert_eq!(verdict.wish, wish, "{status} {webhook_delivery:?}");
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

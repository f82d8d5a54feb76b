//! The signed JSON webhook, by the Standard Webhooks specification.

use crate::config::WebhookSecret;
use crate::delivery::sign::{self, Signed};
use crate::delivery::target::Verdict;
use crate::store::delivery::Claim;

/// The headers of one attempt. The body is the event's stored bytes, at every attempt the same;
/// what varies is here.
#[must_use]
pub fn headers(
    claim: &Claim,
    secrets: &[WebhookSecret],
    timestamp: i64,
) -> [(&'static str, String); 6] {
    let what = Signed { id: &claim.event_id, timestamp, body: claim.body.as_bytes() };
    [
        ("content-type", "application/json".to_owned()),
        ("webhook-id", claim.event_id.clone()),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", sign::sign(secrets, what)),
        ("replyd-attempt", claim.attempt.to_string()),
        ("replyd-trigger", claim.trigger.as_str().to_owned()),
    ]
}

/// What an answer's status means.
#[must_use]
pub fn judge(status: u16) -> Verdict {
    let reason = match status {
        200..=299 => return Verdict::Delivered,
        300..=399 => {
            format!("HTTP {status}: a redirect, which is never followed; configure the final URL")
        }
        401 | 403 => {
            format!("HTTP {status}: the receiver refuses us; check its secret and its access rules")
        }
        404 | 405 => format!("HTTP {status}: nothing at this URL takes webhooks"),
        410 => format!("HTTP {status}: the receiver is gone"),
        413 => format!("HTTP {status}: the receiver finds the event too large"),
        429 => format!("HTTP {status}: the receiver wants fewer requests"),
        400..=499 => format!("HTTP {status}: the receiver did not accept it"),
        502..=504 => {
            format!("HTTP {status}: the receiver's server is not reached by its own front")
        }
        _ => format!("HTTP {status}: the receiver failed"),
    };
    Verdict::Failed(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2xx_is_delivered() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(judge(status), Verdict::Delivered, "{status}");
        }
        for status in [100, 301, 302, 307, 400, 401, 404, 410, 429, 500, 502, 599] {
            assert!(matches!(judge(status), Verdict::Failed(_)), "{status}");
        }
    }
}

//! From the gateway's answer to the receiver's door.

use replyd::gateway::simulator::{Habits, NewReply};
use serde_json::json;

use crate::support::{Home, Receiver, SECRET, Settings, UID, gateway};

/// The provider's own example: two replies, one of them to a sub-extension.
const EXAMPLE: [(&str, &str, &str, &str); 2] = [
    ("13912341234", "中国短信测试回复", "2008-05-27 12:10:11", "1068112227282"),
    ("15912343333", "中国短信测试回复2", "2008-05-27 13:11:11", "106811222728200"),
];

fn example() -> impl Iterator<Item = NewReply> {
    EXAMPLE.iter().map(|(mobile, text, time, gateway)| {
        NewReply::text(mobile, text, time.parse().unwrap(), gateway)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_providers_example_arrives_as_two_webhooks_that_a_public_library_verifies() {
    let (gateway, receiver) = (gateway(Habits::default()).await, Receiver::start().await);
    for reply in example() {
        gateway.arrive(UID, reply);
    }
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        min_interval: "10m",
        ..Settings::default()
    });
    let service = home.serve();
    let mut webhooks = receiver.wait_for(2).await;
    assert_eq!(service.stop(), Some(0));
    webhooks.sort_by_key(|webhook| webhook.json()["timestamp"].to_string());
    for (webhook, (mobile, text, time, gateway)) in webhooks.iter().zip(EXAMPLE) {
        webhook.verify(SECRET);
        let replied_at = format!("{}+08:00", time.replace(' ', "T"));
        let expected = json!({
            "type": "reply.received",
            "timestamp": replied_at,
            "data": {
                "id": webhook.id(),
                "account": "main",
                "from": mobile,
                "content": text,
                "replied_at": replied_at,
                "gateway": gateway,
                "occurrence": 1,
                "lossy": false,
                "suspect": null,
                "extension": null,
                "in_reply_to": null,
            },
        });
        assert_eq!(webhook.json(), expected);
        assert!(webhook.id().starts_with("rpl_"));
        assert_eq!(webhook.headers["content-type"], "application/json");
        assert_eq!(webhook.headers["replyd-attempt"], "1");
        assert_eq!(webhook.headers["replyd-trigger"], "auto");
    }
    assert_eq!(receiver.webhooks().len(), 2);
}

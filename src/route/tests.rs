//! Who is told what, by rows of subscribers.

use super::*;
use crate::time::UnixMs;

/// Subscribers by the types and accounts that they ask for.
fn subscribers(of: &[(&str, &[EventType], &[&str])]) -> Vec<(String, Route)> {
    let route = |events: &[EventType], accounts: &[&str]| Route {
        events: events.to_vec(),
        accounts: accounts.iter().map(|name| (*name).to_owned()).collect(),
        ..Route::default()
    };
    of.iter()
        .map(|(name, events, accounts)| ((*name).to_owned(), route(events, accounts)))
        .collect()
}

#[test]
fn notices_go_by_type_and_account_and_none_to_a_subscriber_about_itself() {
    let both = [EventType::SubscriberFailing, EventType::Recovered];
    let rows = subscribers(&[
        ("crm", &both, &[]),
        ("ops", &both, &["main"]),
        ("other", &both, &["other"]),
        ("replies", &[EventType::ReplyReceived], &[]),
    ]);
    let failing = |subscriber| Notice::SubscriberFailing {
        subscriber,
        since: UnixMs(0),
        disables_at: UnixMs(0),
        last_trouble: "",
    };
    for (notice, account, expected) in [
        (Notice::Recovered, Some("main"), &[0, 1][..]),
        (Notice::Recovered, Some("other"), &[0, 2]),
        // Which accounts one asks for does not matter for what is about none.
        (failing("crm"), None, &[1, 2]),
        (failing("ops"), None, &[0, 2]),
        (failing("replies"), None, &[0, 1, 2]),
    ] {
        assert_eq!(told(&notice, account, &rows), expected, "{notice:?} {account:?}");
    }
    let gone = Notice::SubscriberDisabled { subscriber: "crm", since: None, reason: "gone" };
    assert!(told(&gone, None, &rows).is_empty());
}

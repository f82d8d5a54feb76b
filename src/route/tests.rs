//! Who is told what, by rows of subscribers.

use super::*;
use crate::reply::{Fingerprint, IdKey, Mobile};
use crate::time::BeijingTime;

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

/// A reply of this second.
fn reply(replied_at: BeijingTime) -> Reply {
    let mobile = Mobile::parse("13900000001").unwrap();
    let of = Fingerprint { account: "main", mobile: &mobile, replied_at, content: b"" };
    Reply {
        id: IdKey::from_secret(b"a key").reply_id(of, 1),
        account: "main".into(),
        content: "TD".into(),
        content_raw: None,
        gateway: "1069".into(),
        occurrence: 1,
        suspect: None,
        extension: None,
        in_reply_to: None,
        replied_at,
        mobile: mobile.clone(),
    }
}

#[test]
fn a_reply_that_was_too_old_when_it_was_kept_is_not_wanted() {
    let replied_at = BeijingTime::from_unix_seconds(1_000_000);
    let kept_after = |ms: i64| UnixMs(replied_at.unix_ms().0 + ms);
    let day_ms = 86_400_000;
    let of_a_day = Route { since_ms: Some(day_ms), ..Route::default() };
    for (after_ms, expected) in [(day_ms, true), (day_ms + 1, false), (-day_ms, true)] {
        let kept = kept_after(after_ms);
        assert_eq!(of_a_day.wants(&reply(replied_at), kept), expected, "{after_ms}");
        assert!(Route::default().wants(&reply(replied_at), kept));
    }
}

#[test]
fn a_match_is_of_replies_and_narrows_no_other_event() {
    let filter: Filter = serde_json::from_str(r#"{"content":"^N$"}"#).unwrap();
    let events = vec![EventType::ReplyReceived, EventType::Recovered];
    let route = Route { filter, events, ..Route::default() };
    assert!(!route.wants(&reply(BeijingTime::from_unix_seconds(0)), UnixMs(0)));
    assert!(route.wants_event(EventType::Recovered, Some("main")));
}

#[test]
fn a_row_that_an_older_version_wrote_wants_what_it_wanted() {
    let row = r#"{"accounts":["main"],"events":["reply.received"],"hold_suspect":true}"#;
    let route: Route = serde_json::from_str(row).unwrap();
    let accounts = vec!["main".to_owned()];
    assert_eq!(route, Route { accounts, hold_suspect: true, ..Route::default() });
}

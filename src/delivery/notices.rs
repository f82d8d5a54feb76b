//! What is told of a subscriber to the others: that it takes nothing, and that it was disabled.

use crate::event::{self, Notice, NoticeOf};
use crate::reply::subscriber_event_id;
use crate::route::{self, Route};
use crate::store::read::NewEvent;
use crate::time::UnixMs;

/// Renders a notice about a subscriber, and says which of `subscribers` want it; never the one
/// that it is about. The same notice of the same moment has the same id.
#[must_use]
pub fn tell(notice: Notice<'_>, at: UnixMs, subscribers: &[(String, Route)]) -> NewEvent {
    let event_type = notice.event_type();
    let about = notice.about_subscriber().unwrap_or_default();
    let id = subscriber_event_id(about, event_type.as_str(), at);
    NewEvent {
        body: event::notice(NoticeOf { id: &id, account: None, at }, notice),
        event_type,
        subscribers: route::told(&notice, None, subscribers),
        id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventType;

    #[test]
    fn others_are_told_under_an_id_of_its_own() {
        let events = vec![EventType::SubscriberFailing, EventType::SubscriberDisabled];
        let route = Route { events, ..Route::default() };
        let rows = [("crm".to_owned(), route.clone()), ("ops".to_owned(), route)];
        let disabled =
            |subscriber| Notice::SubscriberDisabled { subscriber, since: None, reason: "gone" };
        let event = tell(disabled("crm"), UnixMs(0), &rows);
        assert_eq!(event.subscribers, [1]);
        let id = event.id;
        assert_eq!(id.len(), "evt_".len() + 32);
        assert!(event.body.contains(&format!(r#""data":{{"id":"{id}","account":null"#)));
        assert_eq!(tell(disabled("crm"), UnixMs(0), &[]).id, id);
        let (since, disables_at) = (UnixMs(0), UnixMs(0));
        let failing =
            Notice::SubscriberFailing { subscriber: "crm", since, disables_at, last_trouble: "" };
        for other in [
            tell(disabled("crm"), UnixMs(1), &rows),
            tell(disabled("ops"), UnixMs(0), &rows),
            tell(failing, UnixMs(0), &rows),
        ] {
            assert_ne!(other.id, id);
        }
    }
}

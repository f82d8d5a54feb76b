use std::collections::BTreeSet;

use super::*;
use crate::reply::Mobile;
use crate::store::sqlite::{leases, schema};

/// A delivery that a test puts into the store.
#[derive(Clone, Copy)]
pub(in crate::store::sqlite) struct Put<'a> {
    pub(in crate::store::sqlite) subscriber: &'a str,
    pub(in crate::store::sqlite) state: DeliveryState,
    pub(in crate::store::sqlite) mobile: Option<&'a str>,
    pub(in crate::store::sqlite) created: i64,
}

/// A store with these subscribers and nothing else.
pub(in crate::store::sqlite) fn store(subscribers: &[&str]) -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    schema::bring_up_to_date(&mut connection).unwrap();
    for name in subscribers {
        let put = "INSERT INTO subscriber (name, route, enabled) VALUES (?1, '{}', 1)";
        connection.execute(put, [name]).unwrap();
    }
    connection
}

/// The state that stands in the row of a delivery which is seen in this one.
pub(in crate::store::sqlite) fn kept(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Sending => DeliveryState::Waiting.as_str(),
        _ => state.as_str(),
    }
}

/// A worker has the delivery in hand until then.
pub(in crate::store::sqlite) fn take(
    connection: &Connection,
    subscriber: &str,
    delivery: i64,
    end: i64,
) {
    leases::renew(connection, None, subscriber, (&[delivery], UnixMs(end))).unwrap();
}

/// Puts a delivery with an event of its own; its number.
pub(in crate::store::sqlite) fn put(connection: &Connection, put: Put<'_>) -> i64 {
    let number: i64 =
        connection.query_row("SELECT count(*) + 1 FROM event", [], |row| row.get(0)).unwrap();
    let (id, event_type, account) = match put.mobile {
        Some(_) => (format!("rpl_{number}"), "reply.received", "main"),
        None => (format!("evt_{number}"), "gap.opened", "other"),
    };
    let body = serde_json::json!({ "data": { "account": account, "from": put.mobile } });
    connection
        .execute(
            "INSERT INTO event (id, type, body, mobile, replied_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![id, event_type, body.to_string(), put.mobile, put.created],
        )
        .unwrap();
    connection
        .execute(
            "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms, mobile, replied_at)
             SELECT ?1, seq, 'auto', ?2, ?3, ?3, mobile, replied_at FROM event WHERE id = ?4",
            params![put.subscriber, kept(put.state), put.created, id],
        )
        .unwrap();
    let delivery = connection.last_insert_rowid();
    if put.state == DeliveryState::Sending {
        take(connection, put.subscriber, delivery, put.created);
    }
    delivery
}

const MINE: &str = "13900000001";
const HERS: &str = "13900000002";

/// For each subscriber and state a delivery of a person's reply, every fifth of no reply, made one
/// after the other.
fn full() -> (Connection, Vec<(i64, Put<'static>)>) {
    let connection = store(&["crm", "erp", "ops"]);
    let mut all = Vec::new();
    for round in 0..4 {
        for state in DeliveryState::ALL {
            for (number, subscriber) in ["crm", "erp"].into_iter().enumerate() {
                let created = 1_000 + i64::try_from(all.len()).unwrap();
                let mobile = match all.len() % 5 {
                    4 => None,
                    _ => Some(if (round + number) % 3 == 0 { MINE } else { HERS }),
                };
                let one = Put { subscriber, state, mobile, created };
                all.push((put(&connection, one), one));
            }
        }
    }
    (connection, all)
}

/// Whether a delivery is what is looked for.
type Fits = fn(&Put<'_>) -> bool;

/// Every filter that narrows something down, with what of the deliveries it lets through.
fn filters() -> Vec<(DeliveryFilter, Fits)> {
    use DeliveryState::{Cancelled, Delivered, Failed, Held, Sending, Waiting};
    let any = DeliveryFilter::default;
    let of = |states: &[DeliveryState]| DeliveryFilter { states: states.to_vec(), ..any() };
    let crm = Some("crm".to_owned());
    let mine = Mobile::parse("+8613900000001");
    vec![
        (any(), |_| true),
        (DeliveryFilter { subscriber: crm.clone(), ..any() }, |put| put.subscriber == "crm"),
        (DeliveryFilter { subscriber: Some("ops".to_owned()), ..any() }, |_| false),
        (of(&[Held]), |put| put.state == Held),
        (of(&[Failed]), |put| put.state == Failed),
        (of(&[Failed, Cancelled]), |put| matches!(put.state, Failed | Cancelled)),
        (of(&[Waiting]), |put| put.state == Waiting),
        (of(&[Sending]), |put| put.state == Sending),
        (of(&[Sending, Failed]), |put| matches!(put.state, Sending | Failed)),
        (of(&[Waiting, Sending]), |put| matches!(put.state, Waiting | Sending)),
        (of(&[Held, Waiting]), |put| matches!(put.state, Held | Waiting)),
        (of(&[Delivered]), |put| put.state == Delivered),
        (DeliveryFilter { account: Some("main".to_owned()), ..any() }, |put| put.mobile.is_some()),
        (DeliveryFilter { event_type: Some("gap.opened".to_owned()), ..any() }, |put| {
            put.mobile.is_none()
        }),
        (DeliveryFilter { mobile: mine.clone(), ..any() }, |put| put.mobile == Some(MINE)),
        (DeliveryFilter { mobile: mine, subscriber: crm.clone(), ..of(&[Failed]) }, |put| {
            put.mobile == Some(MINE) && put.subscriber == "crm" && put.state == Failed
        }),
        (DeliveryFilter { event_id: Some("rpl_7".to_owned()), ..any() }, |put| {
            put.created == 1_006
        }),
        (
            DeliveryFilter {
                event_id: Some("rpl_7".to_owned()),
                subscriber: Some("erp".to_owned()),
                ..any()
            },
            |_| false,
        ),
        (DeliveryFilter { trigger: Some(Trigger::Test), ..any() }, |_| false),
        (DeliveryFilter { since: Some(UnixMs(1_010)), ..any() }, |put| put.created >= 1_010),
        (DeliveryFilter { until: Some(UnixMs(1_010)), ..of(&[Waiting]) }, |put| {
            put.created < 1_010 && put.state == Waiting
        }),
        (
            DeliveryFilter {
                subscriber: crm,
                since: Some(UnixMs(1_010)),
                until: Some(UnixMs(1_020)),
                ..any()
            },
            |put| put.subscriber == "crm" && (1_010..1_020).contains(&put.created),
        ),
    ]
}

#[test]
fn every_filter_lets_through_what_it_says_newest_first() {
    let (connection, all) = full();
    for (filter, fits) in filters() {
        let mut expected: Vec<i64> =
            all.iter().filter(|(_, put)| fits(put)).map(|(id, _)| *id).collect();
        let found = matching(&connection, &filter).unwrap();
        let ids: BTreeSet<i64> = found.iter().flat_map(|(_, ids)| ids.clone()).collect();
        assert_eq!(ids, expected.iter().copied().collect(), "{filter:?}");
        for (subscriber, ids) in &found {
            assert!(ids.is_sorted(), "{filter:?}");
            for id in ids {
                assert!(all.iter().any(|(other, put)| other == id && put.subscriber == subscriber));
            }
        }
        expected.reverse();
        for limit in [1, 3, 1_000] {
            let found = list(&connection, &filter, None, limit).unwrap();
            for row in &found {
                assert!(all.iter().any(|(id, put)| *id == row.id && put.state == row.state));
            }
            let found: Vec<i64> = found.iter().map(|row| row.id).collect();
            let newest: Vec<i64> = expected.iter().copied().take(limit).collect();
            assert_eq!(found, newest, "{filter:?}");
        }
    }
}

#[test]
fn no_search_goes_through_all_deliveries() {
    let (connection, _) = full();
    for (filter, _) in filters() {
        for (columns, newest) in [(COLUMNS, true), ("delivery.id", false)] {
            for (start, _) in starts(&connection, &filter, newest).unwrap() {
                let order = "ORDER BY created_ms DESC, delivery.id DESC";
                let sql = format!("EXPLAIN QUERY PLAN {}", sql(columns, start, &filter, order));
                let mut plan = connection.prepare(&sql).unwrap();
                let nothing = rusqlite::params_from_iter([None::<i64>; 11]);
                let steps: Vec<String> = plan
                    .query_map(nothing, |row| row.get(3))
                    .unwrap()
                    .map(Result::unwrap)
                    .collect();
                // What is in hand is little, whatever there is of deliveries.
                let is_long = |step: &&String| {
                    step.contains("SCAN") && !step.contains("lease") && !step.contains("json_each")
                };
                assert_eq!(steps.iter().find(is_long), None, "{filter:?}: {steps:?}");
            }
        }
    }
}

#[test]
fn many_that_wait_are_listed_by_when_they_were_made() {
    let (connection, _) = full();
    let waiting =
        DeliveryFilter { states: vec![DeliveryState::Waiting], ..DeliveryFilter::default() };
    let index = |newest| index(&connection, &waiting, "crm", newest).unwrap();
    assert_eq!(index(true), "delivery_due");
    let many =
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 10000)
        INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
        SELECT 'crm', 1, 'auto', 'waiting', 5000 + n, 0 FROM number";
    connection.execute_batch(many).unwrap();
    assert_eq!(index(true), "delivery_made");
    // For all of them, age does not matter.
    assert_eq!(index(false), "delivery_due");
    let newest = list(&connection, &waiting, None, 2).unwrap();
    assert_eq!(newest.iter().map(|row| row.created.0).collect::<Vec<_>>(), [15_000, 14_999]);
}

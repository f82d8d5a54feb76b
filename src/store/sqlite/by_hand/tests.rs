use super::*;
use crate::store::attempt::{Next, Trouble};
use crate::store::sqlite::search::tests::{Put, kept, put, store};

fn of(state: DeliveryState) -> Put<'static> {
    Put { subscriber: "crm", state, mobile: Some("13900000001"), created: 7 }
}

fn columns(connection: &Connection, id: i64) -> (String, String, i64, Option<i64>, Option<i64>) {
    let sql =
        "SELECT state, trigger, due_ms, released_ms, failing_since_ms FROM delivery WHERE id = ?1";
    let read =
        |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
    connection.query_row(sql, [id], read).unwrap()
}

#[test]
fn only_what_is_in_the_right_state_is_changed() {
    use DeliveryState::{Cancelled, Failed, Held, Waiting};
    for (todo, from, to) in [
        (Act::Release, vec![Held], Waiting),
        (Act::Retry, vec![Failed, Cancelled, Waiting], Waiting),
        (Act::Cancel, vec![Held, Waiting], Cancelled),
    ] {
        for state in DeliveryState::ALL {
            let connection = store(&["crm"]);
            let (id, other) = (put(&connection, of(state)), put(&connection, of(state)));
            connection.execute("UPDATE lease SET end_ms = 101", []).unwrap();
            let before = columns(&connection, id);
            let fits = from.contains(&state);
            assert_eq!(todo.applies_to(state), fits);
            // One that is gone keeps nothing from happening to the others.
            let changed = act(&connection, &[999, id], todo, UnixMs(100)).unwrap();
            assert_eq!(changed, usize::from(fits), "{todo:?} {state:?}");
            let after = columns(&connection, id);
            assert_eq!(after.0, kept(if fits { to } else { state }), "{todo:?} {state:?}");
            assert_eq!(columns(&connection, other), before, "{todo:?} {state:?}");
            if !fits {
                assert_eq!(after, before);
            }
        }
    }
}

#[test]
fn what_a_sender_had_in_hand_that_is_no_more_can_be_cancelled() {
    let connection = store(&["crm"]);
    let id = put(&connection, of(DeliveryState::Sending));
    connection.execute("UPDATE lease SET end_ms = 100", []).unwrap();
    assert_eq!(act(&connection, &[id], Act::Cancel, UnixMs(99)).unwrap(), 0);
    assert_eq!(act(&connection, &[id], Act::Cancel, UnixMs(100)).unwrap(), 1);
    assert_eq!(states(&connection, &[id]).unwrap(), [(id, Some(DeliveryState::Cancelled))]);
}

#[test]
fn a_retry_counts_from_now_and_its_attempts_go_on() {
    let connection = store(&["crm"]);
    let failed = put(&connection, of(DeliveryState::Failed));
    let (late, soon) = (
        put(&connection, of(DeliveryState::Waiting)),
        put(&connection, of(DeliveryState::Waiting)),
    );
    let set =
        "UPDATE delivery SET due_ms = 900, attempts = 4, failing_since_ms = 8 WHERE id IN (?1, ?2)";
    connection.execute(set, [failed, late]).unwrap();
    assert_eq!(act(&connection, &[failed, late, soon], Act::Retry, UnixMs(100)).unwrap(), 3);
    let waiting = || "waiting".to_owned();
    let retried = (waiting(), "retry".to_owned(), 100, Some(100), None);
    assert_eq!(columns(&connection, failed), retried);
    let hurried = (waiting(), "retry".to_owned(), 100, Some(100), Some(8));
    assert_eq!(columns(&connection, late), hurried);
    let untouched = (waiting(), "auto".to_owned(), 7, None, None);
    assert_eq!(columns(&connection, soon), untouched);
    let attempts = "SELECT attempts FROM delivery WHERE id = ?1";
    let attempts: i64 = connection.query_row(attempts, [failed], |row| row.get(0)).unwrap();
    assert_eq!(attempts, 4);
}

#[test]
fn all_about_a_delivery_is_found_with_its_attempts_oldest_first() {
    let connection = store(&["crm", "erp"]);
    let hers = Put { mobile: Some("13900000002"), ..of(DeliveryState::Waiting) };
    let later = Put { created: 9, ..of(DeliveryState::Waiting) };
    let erps = Put { subscriber: "erp", ..of(DeliveryState::Waiting) };
    let notice = Put { mobile: None, ..of(DeliveryState::Waiting) };
    let first = put(&connection, of(DeliveryState::Waiting));
    let ids = [hers, later, erps, notice].map(|one| put(&connection, one));
    let behind = |id| detail(&connection, id, UnixMs(100)).unwrap().unwrap().behind;
    assert_eq!(behind(first), None);
    assert_eq!(ids.map(behind), [None, Some(first), None, None]);
    connection.execute("UPDATE delivery SET state = 'failed' WHERE id = ?1", [first]).unwrap();
    assert_eq!(behind(ids[1]), None);
    assert!(detail(&connection, 999, UnixMs(100)).unwrap().is_none());
    for number in 1..=i64::try_from(DeliveryDetail::ATTEMPTS_MAX).unwrap() + 2 {
        connection
            .execute(
                r#"INSERT INTO attempt (delivery_id, number, started_ms, duration_ms, http_status, trouble, answer, next, tls_us)
                   VALUES (?1, ?2, 5, 6, 500, '{"kind":"status","status":500}', x'6e6f', '{"then":"delivered"}', 3000)"#,
                [first, number],
            )
            .unwrap();
    }
    let found = detail(&connection, first, UnixMs(100)).unwrap().unwrap();
    let numbers: Vec<u32> = found.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, (3..=102).collect::<Vec<_>>());
    let last = found.attempts.last().unwrap();
    assert_eq!(
        (&last.trouble, &last.next),
        (&Some(Trouble::Status { status: 500 }), &Next::Delivered)
    );
    assert_eq!((last.timings.tls, last.timings.connect), (Some(Duration::from_millis(3)), None));
    assert_eq!((last.answer.as_slice(), last.took), (&b"no"[..], Duration::from_millis(6)));
    assert_eq!(found.subscriber.name, "crm");
}

#[test]
fn who_waits_behind_a_cancelled_one_goes() {
    let connection = store(&["crm"]);
    let first = put(&connection, of(DeliveryState::Waiting));
    let second = put(&connection, Put { created: 9, ..of(DeliveryState::Waiting) });
    let put_off = "UPDATE delivery SET due_ms = 600000, in_line = 1 WHERE id = ?1";
    connection.execute(put_off, [second]).unwrap();
    act(&connection, &[first], Act::Cancel, UnixMs(100)).unwrap();
    assert_eq!(columns(&connection, second).2, 9);
}

#[test]
fn one_that_has_failed_for_long_holds_nobody_back() {
    let connection = store(&["crm"]);
    let first = put(&connection, of(DeliveryState::Waiting));
    let second = put(&connection, Put { created: 9, ..of(DeliveryState::Waiting) });
    let fails = "UPDATE delivery SET failing_since_ms = 1000, due_ms = 9000000 WHERE id = ?1";
    connection.execute(fails, [first]).unwrap();
    let behind = |now| detail(&connection, second, UnixMs(now)).unwrap().unwrap().behind;
    assert_eq!((behind(2_000), behind(700_000)), (Some(first), None));
    // When it is due again it goes first.
    assert_eq!(behind(9_000_000), Some(first));
}

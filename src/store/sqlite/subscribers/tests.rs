use super::*;
use crate::route::Route;
use crate::store::delivery::{DeliveryState, SubscriberSpec};
use crate::store::sqlite::accounts::put_subscribers;
use crate::store::sqlite::search::tests::{Put, put, store, take};
use crate::store::sqlite::turns;

const NOW: UnixMs = UnixMs(5_000);

fn of(subscriber: &str, state: DeliveryState, created: i64) -> Put<'_> {
    Put { subscriber, state, mobile: None, created }
}

fn names(connection: &Connection) -> Vec<String> {
    rows(connection).unwrap().into_iter().map(|row| row.name).collect()
}

fn count(connection: &Connection, rows: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {rows}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn a_backlog_is_counted_by_state() {
    let connection = store(&["crm", "erp"]);
    assert_eq!(backlog(&connection, "crm").unwrap(), Backlog::default());
    let mut created = 100;
    for (subscriber, times) in [("crm", 2), ("erp", 1)] {
        for state in DeliveryState::ALL.into_iter().cycle().take(6 * times) {
            put(&connection, of(subscriber, state, created));
            created += 1;
        }
    }
    let expected = Backlog { waiting: 4, oldest: Some(UnixMs(101)), held: 2, failed: 2 };
    assert_eq!(backlog(&connection, "crm").unwrap(), expected);
    assert_eq!(open_up_to(&connection, "crm", 10).unwrap(), 4);
    assert_eq!(open_up_to(&connection, "crm", 3).unwrap(), 3);
}

#[test]
fn the_last_attempts_are_the_subscribers_own() {
    let connection = store(&["crm", "erp"]);
    let crm = put(&connection, of("crm", DeliveryState::Waiting, 1));
    let erp = put(&connection, of("erp", DeliveryState::Waiting, 1));
    for number in 1..=5 {
        for id in [crm, erp] {
            let put = r#"INSERT INTO attempt (delivery_id, number, started_ms, duration_ms, next)
                VALUES (?1, ?2, 1, 1, '{"then":"delivered"}')"#;
            connection.execute(put, [id, number]).unwrap();
        }
    }
    let found = last_attempts(&connection, "crm", 3).unwrap();
    let found: Vec<_> = found.iter().map(|attempt| (attempt.delivery, attempt.number)).collect();
    assert_eq!(found, [(crm, 5), (crm, 4), (crm, 3)]);
    assert!(last_attempts(&connection, "ops", 3).unwrap().is_empty());
}

#[test]
fn enabling_forgets_what_counted_against_it_and_disabling_keeps_the_first_reason() {
    let connection = store(&["crm", "erp"]);
    let crm = || rows(&connection).unwrap().remove(0);
    disable(&connection, "crm", NOW).unwrap();
    assert_eq!(crm().disabled, Some((NOW, Disabled::ByHand)));
    let gone = "UPDATE subscriber SET disabled_ms = 3, disabled_why = 'gone', failing_since_ms = 2, failing_told = 1,
        pace = '{}'";
    connection.execute_batch(gone).unwrap();
    disable(&connection, "crm", NOW).unwrap();
    assert_eq!(crm().disabled, Some((UnixMs(3), Disabled::Gone)));
    enable(&connection, "crm", NOW).unwrap();
    assert_eq!((crm().disabled, crm().failing_since), (None, None));
    let cleared =
        "subscriber WHERE failing_told = 0 AND pace IS NULL AND resumed_ms = 5000 AND name = 'crm'";
    assert_eq!(count(&connection, cleared), 1);
    assert_eq!(count(&connection, "subscriber WHERE disabled_why = 'gone' AND name = 'erp'"), 1);
}

#[test]
fn whoever_takes_deliveries_again_gets_what_failed_and_what_is_behind_it_in_order() {
    for is_back in [
        |connection: &Connection| enable(connection, "crm", NOW).unwrap(),
        |connection: &Connection| {
            let spec = |enabled| SubscriberSpec {
                name: "crm".to_owned(),
                route: Route::default(),
                enabled,
            };
            for enabled in [false, true] {
                put_subscribers(connection, &[spec(enabled)], NOW).unwrap();
            }
        },
    ] {
        let connection = store(&["crm"]);
        let [failed, behind, soon] =
            [1, 2, 3].map(|created| put(&connection, of("crm", DeliveryState::Waiting, created)));
        let other = put(&connection, of("crm", DeliveryState::Held, 4));
        connection
            .execute(
                "UPDATE delivery SET due_ms = 9000000, in_line = 1,
                     failing_since_ms = iif(id = ?1, 2000, NULL) WHERE id IN (?1, ?2)",
                [failed, behind],
            )
            .unwrap();
        connection
            .execute_batch("UPDATE subscriber SET failing_since_ms = 2000, failing_told = 2001")
            .unwrap();
        is_back(&connection);
        let due = |id: i64| -> (i64, Option<i64>) {
            let sql = "SELECT due_ms, failing_since_ms FROM delivery WHERE id = ?1";
            connection.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        let all = [failed, behind, soon, other].map(due);
        assert!(all.iter().all(|(due, failing)| *due <= NOW.0 && failing.is_none()), "{all:?}");
        assert!(all.is_sorted(), "{all:?}");
        let row = rows(&connection).unwrap().remove(0);
        assert_eq!(row.failing_since, None);
        assert_eq!(
            count(&connection, "subscriber WHERE failing_told = 0 AND resumed_ms = 5000"),
            1
        );
    }
}

/// Hands everything on; how much that was.
fn rename(connection: &Connection, old: &str, new: &str) -> usize {
    assert_eq!(begin_rename(connection, old, new).unwrap(), None);
    let mut renamed = 0;
    while let Some(moved) = hand_on(connection, old).unwrap() {
        assert!(moved <= 1_000);
        renamed += moved;
    }
    renamed
}

#[test]
fn a_renamed_subscriber_has_all_that_it_had() {
    let connection = store(&["crm", "erp"]);
    connection
        .execute_batch("UPDATE subscriber SET pace = '{}', resumed_ms = 4, disabled_ms = 3, disabled_why = 'gone' WHERE name = 'crm'")
        .unwrap();
    for state in DeliveryState::ALL {
        put(&connection, of("crm", state, 1));
        put(&connection, of("erp", state, 1));
    }
    let more =
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 1500)
        INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
        SELECT 'crm', 1, 'auto', 'delivered', n, n FROM number";
    connection.execute_batch(more).unwrap();
    assert_eq!(begin_rename(&connection, "nobody", "new").unwrap(), Some(Renamed::Unknown));
    assert_eq!(begin_rename(&connection, "crm", "erp").unwrap(), Some(Renamed::Taken));
    assert_eq!(names(&connection), ["crm", "erp"]);
    assert_eq!(rename(&connection, "crm", "new"), 1_506);
    assert_eq!(names(&connection), ["erp", "new"]);
    assert_eq!(count(&connection, "delivery WHERE subscriber = 'new'"), 1_506);
    assert_eq!(count(&connection, "delivery WHERE subscriber = 'erp'"), 6);
    let kept =
        "subscriber WHERE name = 'new' AND pace = '{}' AND resumed_ms = 4 AND disabled_why = 'gone'
        AND enabled = 1 AND absent = 0 AND route = '{}' AND renamed_to IS NULL";
    assert_eq!(count(&connection, kept), 1);
}

#[test]
fn a_rename_that_ended_early_is_told_and_goes_on() {
    let connection = store(&["crm", "erp"]);
    put(&connection, of("crm", DeliveryState::Waiting, 1));
    assert_eq!(begin_rename(&connection, "crm", "new").unwrap(), None);
    let row = rows(&connection).unwrap().remove(0);
    assert_eq!((row.absent, row.renamed_to.as_deref()), (true, Some("new")));
    // Two names at once would share the deliveries out.
    assert_eq!(begin_rename(&connection, "crm", "erp").unwrap(), Some(Renamed::Taken));
    assert_eq!(rename(&connection, "crm", "new"), 1);
    assert_eq!(names(&connection), ["erp", "new"]);
}

#[test]
fn nothing_is_removed_to_which_something_waits() {
    use DeliveryState::{Delivered, Held, Sending, Waiting};
    for (state, created, expected) in [
        (Held, 1, Removed::Waiting(1)),
        (Waiting, 1, Removed::Waiting(1)),
        (Sending, 9_000, Removed::Sending(UnixMs(9_000))),
        // Its sender is no more, and nobody knows what became of it.
        (Sending, 1, Removed::Waiting(1)),
        (Delivered, 1, Removed::Done),
    ] {
        let connection = store(&["crm", "erp"]);
        put(&connection, of("crm", state, created));
        assert_eq!(remove(&connection, "crm", NOW).unwrap(), expected, "{state:?}");
        let left: &[&str] = if expected == Removed::Done { &["erp"] } else { &["crm", "erp"] };
        assert_eq!(names(&connection), left);
        // What was delivered can still be looked for.
        assert_eq!(all_names(&connection).unwrap(), ["crm", "erp"]);
        assert_eq!(
            count(&connection, "in_hand"),
            i64::from(matches!(expected, Removed::Sending(_)))
        );
        assert_eq!(remove(&connection, "erp", NOW).unwrap(), Removed::Done);
        assert!(!all_names(&connection).unwrap().contains(&"erp".to_owned()));
    }
}

#[test]
fn a_name_that_was_removed_can_be_given_again() {
    let connection = store(&["crm", "erp"]);
    put(&connection, of("crm", DeliveryState::Delivered, 1));
    assert_eq!(remove(&connection, "crm", NOW).unwrap(), Removed::Done);
    assert_eq!(rename(&connection, "erp", "crm"), 0);
    assert_eq!(names(&connection), ["crm"]);
    assert_eq!(
        count(&connection, "subscriber WHERE name = 'crm' AND removed_ms IS NULL AND absent = 0"),
        1
    );
}

#[test]
fn what_is_in_hand_under_the_old_name_stays_in_that_hand_under_the_new_one() {
    let connection = store(&["crm"]);
    let one = put(&connection, of("crm", DeliveryState::Waiting, 1));
    assert_eq!(begin_rename(&connection, "crm", "new").unwrap(), None);
    // The worker of the old name goes on until it is stopped.
    take(&connection, "crm", one, 9_000);
    while hand_on(&connection, "crm").unwrap().is_some() {}
    let due = |own| turns::next_due(&connection, "new", own).unwrap();
    assert_eq!(due(None), Some(UnixMs(9_000)), "when the lease ends");
    assert_eq!(names(&connection), ["new"]);
}

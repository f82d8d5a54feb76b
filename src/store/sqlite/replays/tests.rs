use std::collections::BTreeMap;

use super::*;
use crate::store::replay::{Advance, REPLAY_LEASE, ReplayJob, ReplayLease, ReplayState, Selection};
use crate::store::sqlite::{retention, schema};
use crate::store::{OpenMode, Store};
use crate::time::Hour;

const NOW: UnixMs = UnixMs(2_000_000_000_000);

fn request() -> ReplayRequest {
    ReplayRequest {
        first: Hour::from_number(9),
        last: Hour::from_number(10),
        account: None,
        subscribers: vec!["crm".to_owned(), "erp".to_owned()],
        selection: Selection::All,
        as_new: false,
        new_since: None,
    }
}

fn id(number: usize) -> String {
    format!("rpl_{number:032x}")
}

/// Rows of a store: an account `main` and one `second`, subscribers `crm`, which gets both, and
/// `erp`, which gets the second's, and replies of the hours 9 and 10, several of each second, and
/// some before and behind. Every third is the second account's. Read 5 brought them.
fn rows(replies: usize) -> String {
    let mut rows = "INSERT INTO account (name, id_key, settings, login, box) VALUES
             ('main', x'00', '', x'00', x'00'), ('second', x'00', '', x'00', x'01');
         INSERT INTO read (id, account, state, charset, started_ms, deadline_boot, deadline_boot_ms)
             VALUES (5, 'main', 'ingested', 'gbk', 0, 'a', 0);"
        .to_owned();
    let all = serde_json::to_string(&Route::default()).unwrap();
    let some = Route { accounts: vec!["second".to_owned()], ..Route::default() };
    let some = serde_json::to_string(&some).unwrap();
    rows += &format!(
        "INSERT INTO subscriber (name, route, enabled) VALUES ('crm', '{all}', 1), ('erp', '{some}', 1);"
    );
    let first = Hour::from_number(9).start().unix_seconds();
    let times = (0..replies).map(|number| first + (number / 5 % 7200) as i64);
    let times = [first - 1, first + 7200].into_iter().chain(times);
    // Kept in another order than they were written in.
    let mut all: Vec<_> = times.enumerate().collect();
    all.reverse();
    for (number, time) in all {
        let (id, account) = (id(number), if number % 3 == 0 { "second" } else { "main" });
        let mobile = format!("139{number:08}");
        rows += &format!(
            "INSERT INTO reply (id, identity, occurrence, account, mobile, replied_at, content, gateway, read_id, kept_ms)
                 VALUES ('{id}', x'{number:08x}', 1, '{account}', '{mobile}', {time}, 'a', '1069', 5, 0);
             INSERT INTO event (id, type, body, mobile, replied_at)
                 VALUES ('{id}', 'reply.received', '{{\"data\":{{\"id\":\"{id}\"}}}}', '{mobile}', {time});"
        );
    }
    rows
}

fn store(replies: usize) -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    schema::bring_up_to_date(&mut connection).unwrap();
    connection.execute_batch(&format!("BEGIN; {} COMMIT", rows(replies))).unwrap();
    connection
}

fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn text(connection: &Connection, sql: &str) -> String {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn begun(connection: &Connection, request: &ReplayRequest) -> ReplayLease {
    begin(connection, request, extent(connection, request).unwrap(), NOW).unwrap()
}

/// Carries a replay out to its end, under the lease that began it.
fn carried_out(connection: &Connection, request: &ReplayRequest) -> ReplayJob {
    let mut lease = begun(connection, request);
    loop {
        match advance(connection, lease.job, Some(lease), NOW).unwrap().unwrap() {
            Advance::Moved(_, held) => lease = held,
            Advance::Over(job) => return job,
            Advance::Elsewhere(job) => panic!("replay {} is held by nobody else", job.id),
        }
    }
}

/// What a request would deliver, in sum.
fn looked(connection: &Connection, request: &ReplayRequest) -> (usize, Vec<(String, usize)>) {
    let extent = extent(connection, request).unwrap();
    let (mut replies, mut sum, mut cursor) = (0, BTreeMap::new(), None);
    loop {
        let looked = look(connection, request, extent, cursor).unwrap();
        replies += looked.replies;
        for (name, count) in looked.deliveries {
            *sum.entry(name).or_default() += count;
        }
        cursor = looked.next;
        if cursor.is_none() {
            assert_eq!(replies, extent.replies);
            return (replies, sum.into_iter().collect());
        }
    }
}

fn counts(crm: usize, erp: usize) -> Vec<(String, usize)> {
    vec![("crm".to_owned(), crm), ("erp".to_owned(), erp)]
}

/// Deliveries of replays: how many, and of how many replies to how many subscribers.
const MADE: &str =
    "SELECT count(*) FROM delivery WHERE trigger = 'replay' AND lane = 1 AND state = 'waiting'
    AND mobile IS NOT NULL AND replied_at IS NOT NULL";
const PAIRS: &str = "SELECT count(*) FROM (SELECT DISTINCT subscriber, event_seq FROM delivery)";

#[test]
fn a_replay_is_what_was_looked_at_and_each_reply_is_told_once() {
    let connection = store(1_200);
    let of = |account: Option<&str>, subscribers: &[&str]| ReplayRequest {
        account: account.map(str::to_owned),
        subscribers: subscribers.iter().map(|name| (*name).to_owned()).collect(),
        ..request()
    };
    for (request, replies, deliveries) in [
        (of(None, &["crm", "erp"]), 1_200, counts(1_200, 400)),
        (of(None, &["erp"]), 1_200, counts(0, 400)[1..].to_vec()),
        (of(Some("main"), &["crm", "erp"]), 800, counts(800, 0)),
        (of(Some("nobody"), &["crm", "erp"]), 0, counts(0, 0)),
    ] {
        connection.execute_batch("DELETE FROM delivery").unwrap();
        assert_eq!(looked(&connection, &request), (replies, deliveries.clone()));
        assert_eq!(number(&connection, MADE), 0, "looking made something");
        let job = carried_out(&connection, &request);
        assert_eq!((job.replies, job.looked_at), (replies, replies));
        assert_eq!((job.state, job.ended), (ReplayState::Done, Some(NOW)));
        assert_eq!(job.deliveries, deliveries);
        assert_eq!(super::job(&connection, job.id).unwrap().as_ref(), Some(&job));
        let sum = deliveries.iter().map(|(_, count)| *count as i64).sum::<i64>();
        assert_eq!((number(&connection, MADE), number(&connection, PAIRS)), (sum, sum));
    }
    let numbers: Vec<i64> = jobs(&connection, None, 3).unwrap().iter().map(|job| job.id).collect();
    assert_eq!(numbers, [4, 3, 2]);
}

#[test]
fn the_more_subscribers_there_are_the_fewer_replies_has_a_piece() {
    let connection = store(600);
    let pieces = |request: &ReplayRequest| {
        let lease = begun(&connection, request);
        match advance(&connection, lease.job, Some(lease), NOW).unwrap().unwrap() {
            Advance::Moved(job, _) | Advance::Over(job) | Advance::Elsewhere(job) => job.looked_at,
        }
    };
    assert_eq!(pieces(&request()), PIECE_REPLIES);
    let mut many = request();
    for number in 0..98 {
        let name = format!("s{number}");
        connection
            .execute("INSERT INTO subscriber (name, route, enabled) SELECT ?1, route, 1 FROM subscriber WHERE name = 'crm'", [&name])
            .unwrap();
        many.subscribers.push(name);
    }
    assert_eq!(pieces(&many), PIECE_DELIVERIES / 100);
}

#[test]
fn a_piece_is_found_by_the_index_in_its_order() {
    let connection = store(1);
    let explain = format!("EXPLAIN QUERY PLAN {REPLIES_BEHIND}");
    let mut statement = connection.prepare(&explain).unwrap();
    let plan = statement.query_map([0; 7], |row| row.get(3)).unwrap();
    let plan = plan.collect::<Result<Vec<String>, _>>().unwrap().join("; ");
    let order = "SEARCH reply USING INDEX reply_time ((replied_at,account)>(?,?) AND replied_at<?)";
    assert!(plan.starts_with(order) && !plan.contains("TEMP B-TREE"), "{plan}");
}

#[test]
fn what_comes_or_goes_meanwhile_is_left_to_its_own_deliveries() {
    let connection = store(1_200);
    let lease = begun(&connection, &request());
    let Advance::Moved(_, lease) =
        advance(&connection, lease.job, Some(lease), NOW).unwrap().unwrap()
    else {
        panic!("one piece was enough")
    };
    let late = Hour::from_number(10).start().unix_seconds();
    connection
        .execute_batch(&format!(
            "INSERT INTO reply (seq, id, identity, occurrence, account, mobile, replied_at, content, gateway, read_id, kept_ms)
                 SELECT 9000, 'rpl_ffffffffffffffffffffffffffffffff', x'ff', 1, account, mobile, {late}, content, gateway, read_id, 0
                 FROM reply WHERE seq = 1;
             INSERT INTO event (id, type, body, mobile, replied_at) SELECT id, 'reply.received', '', mobile, replied_at FROM reply WHERE seq = 9000;"
        ))
        .unwrap();
    // The last one that is to be told.
    retention::drop_reply(&connection, 2).unwrap();
    let mut last = advance(&connection, lease.job, Some(lease), NOW).unwrap().unwrap();
    while let Advance::Moved(_, lease) = last {
        last = advance(&connection, lease.job, Some(lease), NOW).unwrap().unwrap();
    }
    let Advance::Over(job) = last else { panic!("{last:?}") };
    assert_eq!((job.replies, job.looked_at), (1_200, 1_199));
    assert_eq!(
        number(
            &connection,
            "SELECT count(*) FROM delivery JOIN event ON event.seq = event_seq WHERE event.id GLOB 'rpl_ffff*'"
        ),
        0
    );
}

#[test]
fn nobody_goes_on_with_what_somebody_holds() {
    let connection = store(3_000);
    let first = begun(&connection, &request());
    let end = NOW.after(REPLAY_LEASE);
    let advance = |lease, now| advance(&connection, first.job, lease, now).unwrap().unwrap();
    let elsewhere = |advance: Advance| matches!(advance, Advance::Elsewhere(_));
    assert_eq!(left(&connection, NOW).unwrap(), [0; 0]);
    assert!(elsewhere(advance(None, NOW)) && elsewhere(advance(None, UnixMs(end.0 - 1))));
    // Its holder fell silent: the next who looks takes it up.
    assert_eq!(left(&connection, end).unwrap(), [first.job]);
    let Advance::Moved(job, second) = advance(None, end) else { panic!("not taken up") };
    assert_eq!(job.looked_at, PIECE_REPLIES);
    assert!(elsewhere(advance(Some(first), end)), "two hold it");
    // Late, and taken up by nobody: its own lease is good still.
    let later = end.after(REPLAY_LEASE * 3);
    let Advance::Moved(job, second) = advance(Some(second), later) else { panic!("lost") };
    assert_eq!(job.looked_at, 2 * PIECE_REPLIES);
    // What is let go need not be waited for; by whom it is not held it is not let go.
    leave(&connection, first, later).unwrap();
    assert!(elsewhere(advance(None, later)));
    leave(&connection, second, later).unwrap();
    let Advance::Moved(_, third) = advance(None, later) else { panic!("not let go") };
    // A lease that ends in a far future was taken by a wrong clock.
    assert!(elsewhere(advance(None, later)));
    assert_eq!(left(&connection, NOW).unwrap(), [first.job]);
    assert!(matches!(advance(None, NOW), Advance::Moved(..)));
    assert!(elsewhere(advance(Some(third), NOW)));
    assert_eq!(number(&connection, PAIRS), number(&connection, "SELECT count(*) FROM delivery"));
}

#[test]
fn a_cancelled_replay_keeps_what_it_made_and_makes_no_more() {
    let connection = store(1_200);
    let lease = begun(&connection, &request());
    advance(&connection, lease.job, Some(lease), NOW).unwrap();
    let made = number(&connection, MADE);
    assert!(made > 0);
    let later = UnixMs(NOW.0 + 1);
    assert_eq!(cancel(&connection, lease.job, later).unwrap(), Some(ReplayState::Running));
    assert_eq!(left(&connection, UnixMs(i64::MAX / 2)).unwrap(), [0; 0]);
    let over = advance(&connection, lease.job, Some(lease), later).unwrap();
    let Some(Advance::Over(job)) = over else { panic!("{over:?}") };
    assert_eq!((job.state, job.ended, job.looked_at), (ReplayState::Cancelled, Some(later), 500));
    assert_eq!(number(&connection, MADE), made);
    assert_eq!(cancel(&connection, lease.job, NOW).unwrap(), Some(ReplayState::Cancelled));
    assert_eq!(super::job(&connection, lease.job).unwrap().unwrap().ended, Some(later));
    assert_eq!(cancel(&connection, 99, NOW).unwrap(), None);
    assert_eq!(advance(&connection, 99, None, NOW).unwrap(), None);
}

#[test]
fn only_what_is_missing_is_chosen_whichever_event_told_it() {
    let connection = store(30);
    let missing = ReplayRequest { selection: Selection::Missing, ..request() };
    let failed = ReplayRequest { selection: Selection::Failed, ..request() };
    assert_eq!(looked(&connection, &missing).1, counts(30, 10));
    assert_eq!(looked(&connection, &failed).1, counts(0, 0));
    carried_out(
        &connection,
        &ReplayRequest { as_new: true, subscribers: vec!["crm".to_owned()], ..missing.clone() },
    );
    assert_eq!(looked(&connection, &missing).1, counts(0, 10), "told as new, it has them");
    connection.execute_batch("UPDATE delivery SET state = 'failed' WHERE id % 2 = 0").unwrap();
    assert_eq!(looked(&connection, &missing).1, counts(15, 10));
    assert_eq!(looked(&connection, &failed).1, counts(15, 0));
    for expected in [counts(15, 10), counts(0, 0)] {
        assert_eq!(carried_out(&connection, &missing).deliveries, expected);
    }
}

#[test]
fn replies_told_as_new_have_ids_of_their_replay_and_go_with_their_reply() {
    let connection = store(600);
    connection.execute_batch("UPDATE event SET masked_body = replace(body, '{\"data\"', '{\"masked\":1,\"data\"') WHERE seq % 2 = 0").unwrap();
    let as_new = ReplayRequest { as_new: true, ..request() };
    let first = carried_out(&connection, &as_new);
    assert_eq!(first.deliveries, counts(600, 200));
    let events = "SELECT count(*) FROM event WHERE replay_of IS NOT NULL AND type = 'reply.received' AND id GLOB 'rpn_*'
        AND mobile IS NOT NULL";
    assert_eq!(number(&connection, events), 600, "one event for all subscribers");
    assert_eq!(
        number(
            &connection,
            "SELECT count(*) FROM event WHERE replay_of IS NOT NULL AND masked_body IS NOT NULL"
        ),
        300
    );
    assert_eq!(number(&connection, MADE), 800);
    let reply = ReplyId::parse(&id(7)).unwrap();
    let new = reply.as_new(first.id, first.created);
    let of = |column: &str| {
        text(
            &connection,
            &format!("SELECT {column} FROM event WHERE replay_of = '{reply}' ORDER BY seq"),
        )
    };
    assert_eq!(of("id"), new);
    let data = format!(r#""data":{{"id":"{new}","replay_of":"{reply}"}}}}"#);
    assert_eq!(of("body"), format!("{{{data}"));
    let masked = "SELECT count(*) FROM event WHERE replay_of IS NOT NULL
        AND masked_body IS NOT replace(body, '{\"data\"', '{\"masked\":1,\"data\"')";
    assert_eq!(number(&connection, masked), 300, "those that had no masked body");
    // Another replay tells it under another id, of the reply and not of its copies.
    carried_out(&connection, &as_new);
    assert_eq!(number(&connection, events), 1_200);
    assert_eq!(
        number(
            &connection,
            "SELECT count(*) FROM event WHERE replay_of IS NOT NULL AND replay_of NOT GLOB 'rpl_*'"
        ),
        0
    );
    // It goes with its reply, and keeps it while something brings it.
    connection.execute_batch("UPDATE delivery SET state = 'delivered'").unwrap();
    let seq = number(&connection, &format!("SELECT seq FROM reply WHERE id = '{reply}'"));
    let found = || {
        let cutoff = UnixMs(i64::MAX);
        let chunks =
            retention::find(&connection, crate::store::retention::Kind::Replies, cutoff).unwrap();
        chunks.iter().map(|chunk| retention::drop_chunk(&connection, chunk).unwrap()).sum::<usize>()
    };
    let last = format!(
        "(SELECT max(delivery.id) FROM delivery JOIN event ON event.seq = event_seq WHERE replay_of = '{reply}')"
    );
    connection
        .execute_batch(&format!("UPDATE delivery SET state = 'waiting' WHERE id = {last}"))
        .unwrap();
    assert_eq!(found(), 601, "all others, and the two of other hours");
    assert_eq!(number(&connection, "SELECT count(*) FROM event WHERE id != 'none'"), 3);
    assert_eq!(retention::drop_reply(&connection, seq).unwrap(), 1);
    for table in ["reply", "event WHERE id != 'none'", "delivery"] {
        assert_eq!(number(&connection, &format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

#[test]
fn replays_that_are_over_are_let_go_with_the_journal() {
    use crate::store::retention::Kind;
    let connection = store(1_200);
    carried_out(&connection, &request());
    let running = begun(&connection, &request());
    for (cutoff, left) in [(NOW, vec![1, 2]), (UnixMs(NOW.0 + 1), vec![2])] {
        for chunk in retention::find(&connection, Kind::Replays, cutoff).unwrap() {
            retention::drop_chunk(&connection, &chunk).unwrap();
        }
        let mut jobs: Vec<i64> =
            jobs(&connection, None, 9).unwrap().iter().map(|job| job.id).collect();
        jobs.sort();
        assert_eq!(jobs, left);
    }
    assert_eq!(number(&connection, "SELECT count(*) FROM replay_job_subscriber"), 2);
    assert_eq!(number(&connection, MADE), 1_600, "what it made stays");
    // A subscriber that is removed or renamed does not stand in the way, nor is it.
    connection.execute_batch("DELETE FROM delivery; UPDATE subscriber SET name = 'bi' WHERE name = 'crm'; DELETE FROM subscriber WHERE name = 'erp'").unwrap();
    let mut last = advance(&connection, running.job, Some(running), NOW).unwrap().unwrap();
    while let Advance::Moved(_, lease) = last {
        last = advance(&connection, lease.job, Some(lease), NOW).unwrap().unwrap();
    }
    let Advance::Over(job) = last else { panic!("{last:?}") };
    assert_eq!(job.deliveries, [("bi".to_owned(), 1_200)]);
}

/// A store on disk that is closed, or rather dropped, after every piece of a replay: as far as
/// another process can see, whoever carried it out was killed.
#[tokio::test]
async fn a_replay_whose_carrier_is_killed_between_any_two_pieces_tells_each_reply_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("replyd.db");
    let store = Store::open(&path, OpenMode::Create).unwrap();
    store.execute(&rows(1_700)).await;
    let extent = store.replay_extent(request()).await.unwrap();
    let mut job = store.begin_replay(request(), extent, NOW).await.unwrap().job;
    drop(store);
    let (mut now, mut looked_at) = (NOW, Vec::new());
    loop {
        let store = Store::open(&path, OpenMode::Existing).unwrap();
        now = now.after(REPLAY_LEASE);
        assert_eq!(store.left_replays(now).await.unwrap(), [job]);
        match store.advance_replay(job, None, now).await.unwrap().unwrap() {
            Advance::Moved(moved, _) => {
                job = moved.id;
                looked_at.push(moved.looked_at);
            }
            Advance::Over(over) => {
                looked_at.push(over.looked_at);
                assert_eq!(over.deliveries, counts(1_700, 567));
                break;
            }
            Advance::Elsewhere(_) => panic!("held by nobody"),
        }
    }
    assert_eq!(looked_at, [500, 1_000, 1_500, 1_700]);
    let store = Store::open(&path, OpenMode::Existing).unwrap();
    assert_eq!(store.count("delivery").await, 1_700 + 567);
    assert_eq!(
        store.count("(SELECT DISTINCT subscriber, event_seq FROM delivery)").await,
        1_700 + 567
    );
}

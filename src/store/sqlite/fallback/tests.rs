use super::*;
use crate::store::attempt::{Attempt, Next};
use crate::store::delivery::Claim;
use crate::store::fallback::Judgement;

use crate::store::sqlite::outcomes::record_one;
use crate::store::sqlite::{leases, schema, search, turns};
use crate::store::turn::{Lanes, Line, Turn};

const NOW: UnixMs = UnixMs(10_000_000);
const LATER: UnixMs = UnixMs(10_060_000);
const MADE: i64 = 9_000_000;

/// `crm` with deliveries of four replies and of a notice; `duty` and `last` take over.
fn store(route: &str) -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::bring_up_to_date(&mut connection).unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    let reply = |number: i64, suspect: &str| {
        format!(
            r#"({number}, 'rpl_{number}', 'reply.received', '{{"type":"reply.received","data":{{"id":"rpl_{number}","from":"1390000000{number}","suspect":{suspect}}}}}', '1390000000{number}', {number})"#
        )
    };
    let replies = [reply(1, "null"), reply(2, "null"), reply(3, "\"lossy\""), reply(4, "null")];
    connection
        .execute_batch(&format!(
            "INSERT INTO subscriber (name, route, enabled) VALUES ('crm', '{{}}', 1), ('duty', '{route}', 1), ('last', '{{}}', 1);
             INSERT INTO event (seq, id, type, body, mobile, replied_at) VALUES {};
             INSERT INTO event (seq, id, type, body) VALUES
                 (5, 'evt_5', 'subscriber.failing', '{{\"data\":{{\"subscriber\":\"duty\"}}}}'),
                 (6, 'evt_6', 'gap.opened', '{{\"data\":{{}}}}');
             INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, mobile, replied_at)
                 SELECT seq, 'crm', seq, 'auto', 'waiting', {MADE}, coalesce(replied_at * 1000, {MADE}), mobile, replied_at
                 FROM event ORDER BY seq;",
            replies.join(", ")
        ))
        .unwrap();
    connection
}

fn all_to_first(_: &SubscriberRow, _: &[Option<SubscriberRow>], _: UnixMs) -> Option<Relief> {
    Some(Relief { by: 0, untried: true, is_trial: false })
}

fn tried_to_first(_: &SubscriberRow, _: &[Option<SubscriberRow>], _: UnixMs) -> Option<Relief> {
    Some(Relief { by: 0, untried: false, is_trial: false })
}

fn trial_of_first(_: &SubscriberRow, _: &[Option<SubscriberRow>], _: UnixMs) -> Option<Relief> {
    Some(Relief { by: 0, untried: true, is_trial: true })
}

fn broken(trouble: Option<&Trouble>) -> bool {
    matches!(trouble, None | Some(Trouble::Broken { .. }))
}

fn of(relief: fn(&SubscriberRow, &[Option<SubscriberRow>], UnixMs) -> Option<Relief>) -> TakeOver {
    TakeOver {
        subscriber: "crm".to_owned(),
        chain: vec!["duty".to_owned(), "last".to_owned()],
        judgement: Judgement { relief, leaves_doubt: broken },
        now: NOW,
    }
}

fn taken(connection: &Connection, of: &TakeOver) -> (usize, usize) {
    let is_due = is_due(connection, of).unwrap();
    let taken = take_over(connection, of).unwrap();
    assert_eq!(is_due, taken.is_some());
    taken.map_or((0, 0), |taken| {
        assert_eq!(taken.by, of.chain[0]);
        (taken.deliveries, taken.in_doubt)
    })
}

/// Event, state, for whom and whether in doubt, of all deliveries to a subscriber.
fn deliveries(connection: &Connection, subscriber: &str) -> Vec<(i64, String, Option<i64>, bool)> {
    let sql = "SELECT event_seq, state, stands_in_for, in_doubt FROM delivery WHERE subscriber = ?1 ORDER BY event_seq, id";
    let mut statement = connection.prepare(sql).unwrap();
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    statement.query_map([subscriber], read).unwrap().collect::<Result<_, _>>().unwrap()
}

fn states(connection: &Connection, subscriber: &str) -> Vec<(i64, String)> {
    deliveries(connection, subscriber)
        .into_iter()
        .map(|(event, state, ..)| (event, state))
        .collect()
}

fn waiting(events: &[i64]) -> Vec<(i64, String)> {
    events.iter().map(|event| (*event, "waiting".to_owned())).collect()
}

fn claimed(connection: &Connection, subscriber: &str, limit: usize) -> Vec<Claim> {
    let turn = Turn::first(subscriber, NOW, LATER, Line::OneByOne);
    let lanes = Lanes { new: limit, replays: 0 };
    turns::take(connection, &turn, (UnixMs(0), lanes)).unwrap().claims
}

fn tried(connection: &Connection, claim: &Claim, trouble: Option<Trouble>) {
    let next = match trouble {
        None => Next::Delivered,
        Some(_) => Next::Retry { at: LATER, wait_ms: 1, asked: false },
    };
    let attempt = Attempt { trouble, ..Attempt::under(claim, NOW, next) };
    record_one(connection, attempt).unwrap();
}

fn cut() -> Option<Trouble> {
    Some(Trouble::Broken { detail: String::new() })
}

fn unconnected() -> Option<Trouble> {
    Some(Trouble::Connect { detail: String::new() })
}

#[test]
fn each_is_moved_once_and_told_of_at_both_ends() {
    let connection = store("{}");
    assert_eq!(taken(&connection, &of(all_to_first)), (5, 0));
    // What is about the fallback itself is not told to it.
    let mut left = vec![(5, "waiting".to_owned())];
    left.extend([1, 2, 3, 4, 6].map(|event| (event, "cancelled".to_owned())));
    left.sort();
    assert_eq!(states(&connection, "crm"), left);
    assert_eq!(states(&connection, "duty"), waiting(&[1, 2, 3, 4, 6]));
    assert_eq!(taken(&connection, &of(all_to_first)), (0, 0));
    let first = search::one(&connection, 2).unwrap().unwrap();
    let second = first.taken_over_by.unwrap();
    assert_eq!((second.subscriber.as_str(), second.in_doubt), ("duty", false));
    let second = search::one(&connection, second.delivery).unwrap().unwrap();
    let first = second.stands_in_for.unwrap();
    assert_eq!((first.delivery, first.subscriber.as_str()), (2, "crm"));
    // It goes out by the time of its reply, and says for whom.
    let claims = claimed(&connection, "duty", 9);
    let ids: Vec<&str> = claims.iter().map(|claim| claim.event_id.as_str()).collect();
    assert_eq!(ids, ["rpl_1", "rpl_2", "rpl_3", "rpl_4", "evt_6"]);
    assert!(claims.iter().all(|claim| {
        claim
            .stands_in
            .as_ref()
            .is_some_and(|for_whom| for_whom.subscriber == "crm" && !for_whom.in_doubt)
    }));
}

#[test]
fn what_is_under_way_stays_until_its_outcome() {
    let connection = store("{}");
    let claims = claimed(&connection, "crm", 2);
    assert_eq!(taken(&connection, &of(all_to_first)), (3, 0));
    tried(&connection, &claims[0], unconnected());
    tried(&connection, &claims[1], None);
    assert_eq!(taken(&connection, &of(all_to_first)), (1, 0));
    assert_eq!(states(&connection, "duty"), waiting(&[1, 3, 4, 6]));
    assert_eq!(states(&connection, "crm")[1], (2, "delivered".to_owned()));
}

#[test]
fn what_may_have_arrived_is_moved_in_doubt() {
    let connection = store("{}");
    let claims = claimed(&connection, "crm", 4);
    let [cut_off, refused, given_back, dead] = &claims[..] else { panic!("four") };
    tried(&connection, cut_off, cut());
    tried(&connection, refused, unconnected());
    leases::give_back(&connection, given_back.lease, given_back.delivery).unwrap();
    let late = TakeOver { now: LATER, ..of(tried_to_first) };
    // Of the one whose sender died nobody knows; what was given back was not tried.
    assert_eq!(taken(&connection, &late), (3, 2));
    let moved: Vec<_> = deliveries(&connection, "duty")
        .into_iter()
        .map(|(event, _, _, doubt)| (event, doubt))
        .collect();
    assert_eq!(moved, [(1, true), (2, false), (4, true)]);
    // An outcome that comes all the same changes nothing.
    tried(&connection, dead, None);
    assert_eq!(states(&connection, "crm")[3], (4, "cancelled".to_owned()));
    assert_eq!(deliveries(&connection, "duty").len(), 3);
    // A later attempt that was refused takes no doubt away, and neither does the next fallback.
    for claim in claimed(&connection, "duty", 3) {
        tried(&connection, &claim, unconnected());
    }
    let further = TakeOver {
        subscriber: "duty".to_owned(),
        chain: vec!["last".to_owned()],
        ..of(all_to_first)
    };
    assert_eq!(taken(&connection, &further), (3, 2));
    let ids: Vec<_> = deliveries(&connection, "last").into_iter().map(|it| (it.0, it.3)).collect();
    assert_eq!(ids, moved);
}

#[test]
fn nobody_is_told_twice_by_one_subscriber() {
    let connection = store("{}");
    // These the fallback gets by itself, whatever became of them.
    connection
        .execute_batch(
            "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
             VALUES ('duty', 1, 'auto', 'delivered', 1, 1), ('duty', 2, 'auto', 'waiting', 1, 1),
                    ('duty', 3, 'auto', 'failed', 1, 1)",
        )
        .unwrap();
    assert_eq!(taken(&connection, &of(all_to_first)), (2, 0));
    assert_eq!(deliveries(&connection, "duty").len(), 5);
    assert_eq!(states(&connection, "crm")[..3], waiting(&[1, 2, 3]));
    // Brought back by hand, it is not taken over again.
    connection.execute("UPDATE delivery SET state = 'waiting' WHERE id = 4", []).unwrap();
    assert_eq!(taken(&connection, &of(all_to_first)), (0, 0));
}

#[test]
fn held_ones_replays_and_tests_stay() {
    let connection = store("{}");
    connection
        .execute_batch(
            "UPDATE delivery SET state = 'held' WHERE id = 1;
             UPDATE delivery SET trigger = 'replay', lane = 1 WHERE id = 2;
             UPDATE delivery SET trigger = 'test' WHERE id = 3;
             UPDATE delivery SET state = 'failed' WHERE id = 6;",
        )
        .unwrap();
    assert_eq!(taken(&connection, &of(all_to_first)), (1, 0));
    assert_eq!(states(&connection, "duty"), waiting(&[4]));
}

#[test]
fn the_fallbacks_own_ways_hold() {
    let connection = store(r#"{"mask":true,"hold_suspect":true,"events":[],"accounts":["other"]}"#);
    assert_eq!(taken(&connection, &of(all_to_first)), (5, 0));
    assert_eq!(states(&connection, "duty")[2], (3, "held".to_owned()));
    for claim in claimed(&connection, "duty", 9).iter().filter(|it| it.event_id.starts_with("rpl"))
    {
        let body = String::from_utf8(claim.body.to_vec()).unwrap();
        assert!(body.contains("139****000") && !body.contains("13900000"), "{body}");
    }
}

#[test]
fn one_on_trial_gets_one() {
    let connection = store("{}");
    assert_eq!(taken(&connection, &of(trial_of_first)), (1, 0));
    assert_eq!(taken(&connection, &of(trial_of_first)), (0, 0));
    let claims = claimed(&connection, "duty", 9);
    assert_eq!(taken(&connection, &of(trial_of_first)), (0, 0));
    tried(&connection, &claims[0], None);
    assert_eq!(taken(&connection, &of(trial_of_first)), (1, 0));
}

#[test]
fn one_persons_go_to_the_fallback_in_their_order() {
    let connection = store("{}");
    connection.execute("UPDATE delivery SET mobile = 'a' WHERE id <= 3", []).unwrap();
    let claims = claimed(&connection, "crm", 1);
    assert_eq!(claims.iter().map(|it| it.delivery).collect::<Vec<_>>(), [1]);
    // What is behind the one that is under way waits for its outcome, and nothing else does.
    assert_eq!(taken(&connection, &of(all_to_first)), (2, 0));
    assert_eq!(states(&connection, "duty"), waiting(&[4, 6]));
    tried(&connection, &claims[0], unconnected());
    assert_eq!(taken(&connection, &of(all_to_first)), (3, 0));
    let ids: Vec<String> =
        claimed(&connection, "duty", 1).into_iter().map(|it| it.event_id).collect();
    assert_eq!(ids, ["rpl_1"]);
    // A sender that died holds nobody for longer than its lease.
    let connection = store("{}");
    connection.execute("UPDATE delivery SET mobile = 'a' WHERE id <= 3", []).unwrap();
    claimed(&connection, "crm", 1);
    assert_eq!(taken(&connection, &TakeOver { now: LATER, ..of(all_to_first) }), (5, 1));
}

#[test]
fn one_persons_others_wait_for_a_moved_one_no_longer() {
    let connection = store("{}");
    connection.execute("UPDATE delivery SET mobile = 'a' WHERE id <= 2", []).unwrap();
    let claims = claimed(&connection, "crm", 9);
    assert_eq!(claims.len(), 5);
    // The second of the person was put off behind the first, which fails and is moved.
    tried(&connection, &claims[0], unconnected());
    assert_eq!(taken(&connection, &of(tried_to_first)), (1, 0));
    let left: Vec<i64> = claimed(&connection, "crm", 9).iter().map(|it| it.delivery).collect();
    assert_eq!(left, [2]);
}

#[test]
fn where_nobody_takes_over_nothing_moves() {
    let connection = store("{}");
    let nobody = |_: &SubscriberRow, _: &[Option<SubscriberRow>], _: UnixMs| None;
    assert_eq!(taken(&connection, &of(nobody)), (0, 0));
    let stranger = TakeOver { subscriber: "stranger".to_owned(), ..of(all_to_first) };
    assert_eq!(taken(&connection, &stranger), (0, 0));
}

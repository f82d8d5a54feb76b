use super::*;
use crate::store::delivery::{Claim, DeliveryState};
use crate::store::sqlite::search::tests::{Put, put, store};
use crate::store::sqlite::turns;
use crate::store::turn::{Lanes, Line, Turn};

const NOW: i64 = 10_000_000;
const LEASE_MS: i64 = 20_000;

/// So many deliveries to `crm`, each of a person of its own.
fn waiting(count: usize) -> Connection {
    let connection = store(&["crm"]);
    for number in 0..count {
        put_of(&connection, &format!("139{number:08}"));
    }
    connection
}

fn put_of(connection: &Connection, mobile: &str) {
    let (state, mobile) = (DeliveryState::Waiting, Some(mobile));
    put(connection, Put { subscriber: "crm", state, mobile, created: 7 });
}

/// A turn at a time of a worker that has this in hand, and may claim so many.
fn turn(
    connection: &Connection,
    now: i64,
    (lease, in_hand): (Option<i64>, &[i64]),
    limit: usize,
) -> (Vec<Claim>, Option<i64>, Option<UnixMs>) {
    let of = |delivery: &i64| Holding { delivery: *delivery, person: None };
    turn_with(connection, now, (lease, in_hand.iter().map(of).collect()), limit)
}

fn turn_with(
    connection: &Connection,
    now: i64,
    (lease, in_hand): (Option<i64>, Vec<Holding>),
    limit: usize,
) -> (Vec<Claim>, Option<i64>, Option<UnixMs>) {
    let (now, end) = (UnixMs(now), UnixMs(now + LEASE_MS));
    let turn = Turn { lease, in_hand, ..Turn::first("crm", now, end, Line::OneByOne) };
    let lanes = Lanes { new: limit, replays: 0 };
    let turns::Taken { claims, lease, next } =
        turns::take(connection, &turn, (UnixMs(0), lanes)).unwrap();
    assert!(claims.iter().all(|claim| Some(claim.lease) == lease));
    (claims, lease, next)
}

/// What a worker claims beside what it has claimed before and has in hand.
fn beside(connection: &Connection, claims: &[Claim], lease: Option<i64>) -> Vec<i64> {
    let in_hand = claims.iter().map(Claim::holding).collect();
    ids(&turn_with(connection, NOW, (lease, in_hand), 9).0)
}

fn ids(claims: &[Claim]) -> Vec<i64> {
    claims.iter().map(|claim| claim.delivery).collect()
}

fn in_hand(connection: &Connection) -> Vec<i64> {
    let mut all: Vec<i64> = all(connection).unwrap().into_keys().collect();
    all.sort_unstable();
    all
}

#[test]
fn what_is_in_hand_is_nobody_elses_until_its_lease_ends() {
    let connection = waiting(4);
    let (first, lease, next) = turn(&connection, NOW, (None, &[]), 2);
    // There may be more.
    assert_eq!((ids(&first), next), (vec![1, 2], Some(UnixMs(NOW))));
    // Another service's worker.
    let (second, other, next) = turn(&connection, NOW + 1, (None, &[]), 9);
    assert_eq!((ids(&second), next), (vec![3, 4], Some(UnixMs(NOW + LEASE_MS))));
    assert_ne!(lease, other);
    assert_eq!(in_hand(&connection), [1, 2, 3, 4]);
    // It has ended one of its two by then, and renews its lease; the first worker is no more.
    let (third, same, _) = turn(&connection, NOW + LEASE_MS, (other, &[4]), 9);
    assert_eq!((ids(&third), same), (vec![1, 2, 3], other));
    assert_eq!(third.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [2, 2, 1]);
    let (none, _, next) = turn(&connection, NOW + LEASE_MS, (None, &[]), 9);
    assert_eq!((ids(&none), next), (vec![], Some(UnixMs(NOW + 2 * LEASE_MS))));
}

#[test]
fn who_lost_its_lease_has_nothing_in_hand_any_more() {
    let connection = waiting(2);
    let (_, lease, _) = turn(&connection, NOW, (None, &[]), 9);
    let (others, other, _) = turn(&connection, NOW + LEASE_MS, (None, &[]), 9);
    assert_eq!(ids(&others), [1, 2]);
    let (none, none_either, _) = turn(&connection, NOW + LEASE_MS, (lease, &[1, 2]), 9);
    assert_eq!((ids(&none), none_either), (vec![], None));
    // Its own lease that has ended is still its own while nobody let it go.
    let (_, same, _) = turn(&connection, NOW + 9 * LEASE_MS, (other, &[1, 2]), 9);
    assert_eq!((same, in_hand(&connection)), (other, vec![1, 2]));
}

#[test]
fn what_is_not_in_hand_any_more_is_due_as_it_was_and_with_nothing_in_hand_there_is_no_lease() {
    let connection = waiting(3);
    let rows =
        "SELECT json_group_array(json_array(state, due_ms, attempts, in_line)) FROM delivery";
    let rows = || connection.query_row(rows, [], |row| row.get::<_, String>(0)).unwrap();
    let before = rows();
    let (_, lease, _) = turn(&connection, NOW, (None, &[]), 3);
    let (_, lease, next) = turn(&connection, NOW, (lease, &[2]), 0);
    assert_eq!((in_hand(&connection), next), (vec![2], Some(UnixMs(7))));
    assert_eq!(turns::next_due(&connection, "crm", lease).unwrap(), Some(UnixMs(7)));
    let (_, lease, _) = turn(&connection, NOW, (lease, &[]), 0);
    assert_eq!((lease, in_hand(&connection)), (None, vec![]));
    assert_eq!(rows(), before);
}

#[test]
fn what_is_in_hand_goes_before_what_the_same_person_wrote_later() {
    let connection = waiting(2);
    let (claims, lease, _) = turn(&connection, NOW, (None, &[]), 9);
    for mobile in ["13900000000", "13900000009"] {
        put_of(&connection, mobile);
    }
    assert_eq!(beside(&connection, &claims, lease), [4]);
}

#[test]
fn nobody_is_put_off_behind_what_was_erased_in_hand() {
    let connection = waiting(1);
    let (claims, lease, _) = turn(&connection, NOW, (None, &[]), 9);
    connection.execute("DELETE FROM delivery", []).unwrap();
    put_of(&connection, "13900000000");
    assert_eq!(beside(&connection, &claims, lease), [2]);
}

#[test]
fn a_lease_of_one_delivery_goes_with_it() {
    let connection = waiting(2);
    let (_, lease, _) = turn(&connection, NOW, (None, &[]), 2);
    give_back(&connection, lease.unwrap(), 1).unwrap();
    assert_eq!(in_hand(&connection), [2]);
    give_back(&connection, lease.unwrap(), 2).unwrap();
    assert!(!stands(&connection, lease.unwrap()).unwrap());
    // Its number is not another's.
    assert_ne!(turn(&connection, NOW, (None, &[]), 2).1, lease);
}

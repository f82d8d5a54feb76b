use super::*;
use crate::store::attempt::{Attempt, GivenUp, Next, Refusal, Trouble};
use crate::store::sqlite::outcomes::{record, record_one};
use crate::store::sqlite::{by_hand, leases, schema, turns};

const LEASE_MS: i64 = 20_000;
const MINUTE_MS: i64 = 60_000;

/// When deliveries are made.
const MADE: i64 = 10_000_000;

/// A subscriber's deliveries, each of a person who wrote at a second, made at one time.
struct Backlog {
    connection: Connection,
    now: i64,
}

impl Backlog {
    fn of(deliveries: &[(i64, &str, i64)]) -> Self {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::bring_up_to_date(&mut connection).unwrap();
        connection
            .execute_batch(
                "INSERT INTO subscriber (name, route, enabled) VALUES ('crm', '{}', 1);
                 INSERT INTO event (seq, id, type, body) VALUES (1, 'evt_a', 'gap.opened', '{}');",
            )
            .unwrap();
        let backlog = Self { connection, now: MADE };
        for (id, mobile, replied_at) in deliveries {
            backlog.put(*id, Some(mobile), *replied_at, NEW);
        }
        backlog
    }

    fn put(&self, id: i64, mobile: Option<&str>, replied_at: impl Into<Option<i64>>, lane: i64) {
        let replied_at = replied_at.into();
        let trigger = if lane == REPLAYS { "replay" } else { "auto" };
        self.connection
            .execute(
                "INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, mobile,
                                       replied_at, lane)
                 VALUES (?1, 'crm', 1, ?2, 'waiting', ?6, coalesce(?4 * 1000, ?6), ?3, ?4, ?5)",
                params![id, trigger, mobile, replied_at, lane, MADE],
            )
            .unwrap();
    }

    fn claim(&self, limit: usize) -> Vec<Claim> {
        self.claim_in(Line::OneByOne, Lanes { new: limit, replays: 0 })
    }

    fn claim_in(&self, line: Line, lanes: Lanes) -> Vec<Claim> {
        self.claim_since(UnixMs(0), line, lanes)
    }

    /// Claims for a subscriber that takes deliveries again since then.
    fn claim_since(&self, resumed: UnixMs, line: Line, lanes: Lanes) -> Vec<Claim> {
        let now = UnixMs(self.now);
        let turn = Turn::first("crm", now, UnixMs(self.now + LEASE_MS), line);
        turns::take(&self.connection, &turn, (resumed, lanes)).unwrap().claims
    }

    fn ids(&self, limit: usize) -> Vec<i64> {
        self.claim(limit).iter().map(|claim| claim.delivery).collect()
    }

    fn tried(&self, claim: &Claim, next: Next) {
        self.tried_with(claim, next, None);
    }

    fn tried_with(&self, claim: &Claim, next: Next, trouble: Option<Trouble>) {
        let attempt = Attempt { trouble, ..Attempt::under(claim, UnixMs(self.now), next) };
        record_one(&self.connection, attempt).unwrap();
    }

    fn fails(&self, claim: &Claim, wait_ms: i64) {
        self.failed(claim, wait_ms, None);
    }

    fn failed(&self, claim: &Claim, wait_ms: i64, trouble: Option<Trouble>) {
        let at = UnixMs(self.now + wait_ms);
        self.tried_with(claim, Next::Retry { at, wait_ms: 0, asked: false }, trouble);
    }
}

#[test]
fn one_persons_go_by_time_one_at_a_time_and_others_beside_them() {
    let backlog = Backlog::of(&[(1, "a", 30), (2, "a", 10), (3, "b", 20), (4, "a", 20)]);
    let first = backlog.claim(9);
    assert_eq!(first.iter().map(|claim| claim.delivery).collect::<Vec<_>>(), [2, 3]);
    assert!(backlog.ids(9).is_empty());
    backlog.tried(&first[0], Next::Delivered);
    let second = backlog.claim(9);
    assert_eq!(second.iter().map(|claim| claim.delivery).collect::<Vec<_>>(), [4]);
    // What arrives while another is under way waits its turn.
    backlog.put(5, Some("a"), 25, NEW);
    assert!(backlog.ids(9).is_empty());
    backlog.tried(&second[0], Next::Failed { why: GivenUp::Aborted });
    assert_eq!(backlog.ids(9), [5]);
}

#[test]
fn who_is_behind_one_of_a_turn_is_let_go_also_where_another_of_it_was_erased() {
    for erased in [1, 3] {
        let backlog = Backlog::of(&[(1, "a", 10), (2, "b", 20), (3, "c", 30)]);
        let claims = backlog.claim(9);
        backlog.put(4, Some("b"), 40, NEW);
        assert!(backlog.ids(9).is_empty());
        backlog.connection.execute("DELETE FROM delivery WHERE id = ?1", [erased]).unwrap();
        let delivered = |claim| Attempt::under(claim, UnixMs(backlog.now), Next::Delivered);
        record(&backlog.connection, &claims.iter().map(delivered).collect::<Vec<_>>()).unwrap();
        leases::renew(&backlog.connection, Some(claims[0].lease), "crm", (&[], UnixMs(0))).unwrap();
        assert_eq!(backlog.ids(9), [4], "{erased} erased");
    }
}

#[test]
fn of_what_a_large_turn_brought_all_is_recorded_but_what_was_erased() {
    const TURN: i64 = 70;
    for (erased, recorded) in [(None, TURN), (Some(7), TURN - 1)] {
        let names: Vec<String> = (0..=TURN).map(|number| number.to_string()).collect();
        let named = |id: i64| (id, names[usize::try_from(id).unwrap()].as_str(), id);
        let backlog = Backlog::of(&(1..=TURN).map(named).collect::<Vec<_>>());
        let claims = backlog.claim(names.len());
        backlog.connection.execute("DELETE FROM delivery WHERE id = ?1", [erased]).unwrap();
        let delivered = |claim| Attempt::under(claim, UnixMs(backlog.now), Next::Delivered);
        record(&backlog.connection, &claims.iter().map(delivered).collect::<Vec<_>>()).unwrap();
        let count =
            |sql: &str| -> i64 { backlog.connection.query_row(sql, [], |row| row.get(0)).unwrap() };
        assert_eq!(count("SELECT count(*) FROM delivery WHERE state = 'delivered'"), recorded);
        assert_eq!(
            count("SELECT count(*) FROM attempt JOIN delivery ON id = delivery_id"),
            recorded
        );
        assert_eq!(count("SELECT count(*) FROM attempt"), recorded, "erased: {erased:?}");
    }
}

#[test]
fn a_deliverys_time_counts_from_the_last_of_made_released_and_resumed() {
    let all = Lanes { new: 9, replays: 0 };
    let (made, later, last) = (UnixMs(MADE), UnixMs(MADE + 5_000), UnixMs(MADE + 9_000));
    for (released, resumed, counts_from) in [
        (None, UnixMs(0), made),
        (None, later, later),
        (Some(last), later, last),
        (Some(later), last, last),
    ] {
        let backlog = Backlog::of(&[(1, "a", 30)]);
        let sql = "UPDATE delivery SET released_ms = ?1";
        backlog.connection.execute(sql, [released.map(|released| released.0)]).unwrap();
        let claims = backlog.claim_since(resumed, Line::OneByOne, all);
        assert_eq!(claims[0].created, counts_from, "{released:?} {resumed:?}");
        // Also where it goes out in the place of another of its person.
        backlog.tried(&claims[0], Next::Retry { at: UnixMs(0), wait_ms: 0, asked: false });
        backlog.put(2, Some("a"), 31, NEW);
        let again = backlog.claim_since(resumed, Line::OneByOne, all);
        assert_eq!((again[0].delivery, again[0].created), (1, counts_from));
    }
}

#[test]
fn without_an_order_one_persons_go_beside_each_other() {
    let backlog = Backlog::of(&[(1, "a", 30), (2, "a", 10)]);
    let claims = backlog.claim_in(Line::Any, Lanes { new: 9, replays: 0 });
    assert_eq!(claims.iter().map(|claim| claim.delivery).collect::<Vec<_>>(), [2, 1]);
}

/// What is claimed for messages that hold several.
fn together(backlog: &Backlog, limit: usize) -> Vec<Claim> {
    backlog.claim_in(Line::Together, Lanes { new: limit, replays: 0 })
}

fn ids_of(claims: &[Claim]) -> Vec<i64> {
    claims.iter().map(|claim| claim.delivery).collect()
}

#[test]
fn together_one_persons_are_claimed_at_once_in_their_order() {
    let mut backlog = Backlog::of(&[(1, "a", 30), (2, "a", 10), (3, "b", 20), (4, "a", 20)]);
    let first = together(&backlog, 2);
    assert_eq!(ids_of(&first), [2, 3]);
    // While those are under way nobody of theirs overtakes them.
    assert_eq!(ids_of(&together(&backlog, 9)), [0; 0]);
    backlog.tried(&first[0], Next::Delivered);
    assert_eq!(ids_of(&together(&backlog, 9)), [4, 1]);
    // A sender that died: all of it goes again, in order, before what came since.
    backlog.put(5, Some("a"), 5, NEW);
    backlog.now += LEASE_MS;
    let again = together(&backlog, 9);
    assert_eq!(ids_of(&again), [3, 5, 4, 1]);
    assert_eq!(again.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [2, 1, 2, 2]);
}

#[test]
fn together_what_failed_goes_again_with_those_behind_it() {
    let mut backlog = Backlog::of(&[(1, "a", 10), (2, "a", 20), (3, "b", 5)]);
    let first = together(&backlog, 9);
    assert_eq!(ids_of(&first), [3, 1, 2]);
    for claim in &first {
        backlog.fails(claim, 5_000);
    }
    backlog.put(4, Some("a"), 30, NEW);
    backlog.put(5, Some("a"), 15, NEW);
    assert_eq!(ids_of(&together(&backlog, 9)), [0; 0]);
    backlog.now += 5_000;
    let again = together(&backlog, 9);
    let of_a: Vec<i64> = ids_of(&again).into_iter().filter(|id| *id != 3).collect();
    assert_eq!((of_a, again.len()), (vec![1, 5, 2, 4], 5));
    for claim in &again {
        backlog.tried(claim, Next::Delivered);
    }
    assert_eq!(ids_of(&together(&backlog, 9)), [0; 0]);
}

#[test]
fn together_one_that_fails_holds_its_person_for_ten_minutes_and_no_longer() {
    let mut backlog = Backlog::of(&[(1, "a", 10), (2, "a", 20)]);
    backlog.fails(&together(&backlog, 1)[0], 30 * MINUTE_MS);
    assert_eq!(ids_of(&together(&backlog, 9)), [0; 0]);
    backlog.now += 10 * MINUTE_MS;
    assert_eq!(ids_of(&together(&backlog, 9)), [2]);
}

#[test]
fn one_that_was_refused_among_others_is_known() {
    let mut backlog = Backlog::of(&[(1, "a", 10), (2, "b", 10)]);
    let refused = |refusal| Trouble::Product {
        product: "wecom".to_owned(),
        code: String::new(),
        message: String::new(),
        refusal,
    };
    for (claim, refusal) in together(&backlog, 9).iter().zip([Refusal::Refused, Refusal::Busy]) {
        backlog.failed(claim, 5_000, Some(refused(refusal)));
    }
    backlog.now += 5_000;
    let alone: Vec<bool> = together(&backlog, 9).iter().map(|claim| claim.alone).collect();
    assert_eq!(alone, [true, false]);
}

#[test]
fn one_that_fails_holds_its_person_for_ten_minutes_and_no_longer() {
    let mut backlog = Backlog::of(&[(1, "a", 10), (2, "a", 20), (3, "b", 10)]);
    let first = backlog.claim(9);
    let failed_at = backlog.now;
    backlog.fails(&first[0], 30 * MINUTE_MS);
    backlog.now = failed_at + 10 * MINUTE_MS - 1;
    assert_eq!(backlog.ids(9), [3], "b's claim was never recorded, and its lease is over");
    backlog.now = failed_at + 10 * MINUTE_MS;
    assert_eq!(backlog.ids(9), [2]);
}

#[test]
fn one_that_fails_again_and_again_goes_before_those_behind_it_while_it_holds_them() {
    let mut backlog = Backlog::of(&[(1, "a", 10), (2, "a", 20)]);
    let failed_at = backlog.now;
    backlog.fails(&backlog.claim(9)[0], MINUTE_MS);
    backlog.now += MINUTE_MS;
    let again = backlog.claim(9);
    assert_eq!((again[0].delivery, again[0].attempt, again.len()), (1, 2, 1));
    backlog.fails(&again[0], 5 * MINUTE_MS);
    backlog.now = failed_at + 6 * MINUTE_MS;
    let again = backlog.claim(9);
    assert_eq!((again[0].delivery, again.len()), (1, 1));
    backlog.fails(&again[0], 60 * MINUTE_MS);
    backlog.now = failed_at + 10 * MINUTE_MS;
    assert_eq!(backlog.ids(9), [2]);
}

#[test]
fn a_later_one_under_way_keeps_back_the_failing_one_until_it_ends() {
    let mut backlog = Backlog::of(&[(1, "a", 10), (2, "a", 20)]);
    backlog.fails(&backlog.claim(9)[0], 11 * MINUTE_MS);
    backlog.now += 11 * MINUTE_MS - 1_000;
    let later = backlog.claim(9);
    assert_eq!((later[0].delivery, later.len()), (2, 1));
    backlog.now += 1_000;
    assert!(backlog.ids(9).is_empty());
    backlog.tried(&later[0], Next::Delivered);
    backlog.now += LEASE_MS;
    assert_eq!(backlog.ids(9), [1]);
}

#[test]
fn one_whose_sender_died_goes_again_before_those_behind_it() {
    let mut backlog = Backlog::of(&[(1, "a", 10), (2, "a", 20)]);
    assert_eq!(backlog.ids(1), [1]);
    assert!(backlog.ids(1).is_empty());
    backlog.now += LEASE_MS;
    let again = backlog.claim(9);
    assert_eq!((again[0].delivery, again[0].attempt, again.len()), (1, 2, 1));
    backlog.tried(&again[0], Next::Delivered);
    assert_eq!(backlog.ids(9), [2]);
}

#[test]
fn attempts_with_one_number_are_both_kept_and_what_is_known_already_harms_no_turn() {
    let mut backlog = Backlog::of(&[(1, "a", 10)]);
    let claim = backlog.claim(1).remove(0);
    backlog.tried(&claim, Next::Failed { why: GivenUp::Aborted });
    backlog.tried(&claim, Next::Delivered);
    backlog.now += 1;
    backlog.tried(&claim, Next::Delivered);
    let kept = by_hand::detail(&backlog.connection, 1, UnixMs(MADE)).unwrap().unwrap().attempts;
    let kept: Vec<_> = kept.iter().map(|one| (one.number, one.started.0, &one.next)).collect();
    let first = Next::Failed { why: GivenUp::Aborted };
    assert_eq!(kept, [(1, MADE, &first), (1, MADE + 1, &Next::Delivered)]);
}

#[test]
fn an_unused_claim_is_due_again_and_counts_as_no_attempt() {
    let backlog = Backlog::of(&[(1, "a", 10), (2, "a", 20)]);
    let claim = backlog.claim(1).remove(0);
    leases::give_back(&backlog.connection, claim.lease, 1).unwrap();
    let again = backlog.claim(9);
    assert_eq!((again[0].delivery, again[0].attempt, again.len()), (1, 1, 1));
    // A claim that was made since is not undone.
    leases::give_back(&backlog.connection, claim.lease, 1).unwrap();
    assert!(backlog.ids(9).is_empty());
}

#[test]
fn replays_are_a_lane_of_their_own() {
    let backlog = Backlog::of(&[(1, "a", 10)]);
    backlog.put(2, Some("a"), 5, REPLAYS);
    backlog.put(3, Some("a"), 4, REPLAYS);
    assert_eq!(turns::next_due(&backlog.connection, "crm", None).unwrap(), Some(UnixMs(4_000)));
    let both = backlog.claim_in(Line::OneByOne, Lanes { new: 1, replays: 1 });
    let seen: Vec<_> = both.iter().map(|claim| (claim.delivery, claim.is_replay())).collect();
    assert_eq!(seen, [(1, false), (3, true)]);
}

#[test]
fn a_long_row_of_one_person_keeps_nobody_else_back() {
    let mut backlog = Backlog::of(&[]);
    for id in 1..=2_000 {
        backlog.put(id, Some("a"), id, NEW);
    }
    backlog.put(3_000, Some("b"), 1, NEW);
    let mut seen = Vec::new();
    for _ in 0..200 {
        seen.extend(backlog.ids(8));
        backlog.now += 1;
    }
    assert_eq!(seen, [1, 3_000]);
    // What was put off is not looked at again and again.
    let due = "SELECT count(*) FROM delivery
               WHERE due_ms <= ?1 AND id NOT IN (SELECT delivery_id FROM in_hand)";
    let due: i64 = backlog.connection.query_row(due, [backlog.now], |row| row.get(0)).unwrap();
    assert_eq!(due, 0);
}

#[test]
fn events_that_are_nobodys_wait_for_nobody() {
    let backlog = Backlog::of(&[]);
    backlog.put(1, None, None, NEW);
    backlog.put(2, None, None, NEW);
    assert_eq!(backlog.ids(9), [1, 2]);
}

#[test]
fn claims_and_looks_for_the_next_are_made_by_the_indexes() {
    let backlog = Backlog::of(&[]);
    for (sql, index) in [
        (
            "SELECT id FROM delivery WHERE subscriber = 'a' AND lane = 0 AND due_ms <= 5 AND state = 'waiting' ORDER BY due_ms, id LIMIT 5",
            "delivery_due",
        ),
        (
            "SELECT id FROM delivery WHERE subscriber = 'a' AND mobile = 'b' AND lane = 0 AND in_line = 1 AND state = 'waiting' ORDER BY replied_at, id LIMIT 5",
            "delivery_line",
        ),
    ] {
        let mut plan = backlog.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps: Vec<String> =
            plan.query_map([], |row| row.get(3)).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(steps.len(), 1, "{steps:?}");
        assert!(steps[0].starts_with("SEARCH") && steps[0].contains(index), "{steps:?}");
    }
}

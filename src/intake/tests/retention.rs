//! What is let go, what stays, and that nothing that went comes back.

use super::*;
use crate::store::attempt::{Attempt, GivenUp, Next};
use crate::store::delivery::Claim;
use crate::store::retention::{Cutoffs, Kind};

pub(super) const DAY: Duration = Duration::from_hours(24);

impl Life {
    /// Lets go of what was kept before these many days, however many looks it takes.
    async fn purge(&self, bodies: u32, attempts: u32, replies: u32, tombstones: u32) {
        let before = |days| self.now.unix.before(DAY * days);
        let cutoffs = Cutoffs {
            bodies: before(bodies),
            attempts: before(attempts),
            replies: before(replies),
            tombstones: before(tombstones),
        };
        for kind in Kind::ALL {
            while self.look(kind, cutoffs.of(kind)).await > 0 {}
        }
    }

    /// One look at one kind. Says how much went.
    async fn look(&self, kind: Kind, cutoff: UnixMs) -> usize {
        let mut purged = 0;
        for chunk in self.store.kept_before(kind, cutoff).await.unwrap() {
            purged += self.store.purge(chunk).await.unwrap();
        }
        purged
    }

    async fn claim(&self) -> Vec<Claim> {
        let now = self.now.unix;
        self.store.claim("crm", now, now.after(TIMEOUT), 9).await.unwrap()
    }

    pub(super) async fn tried(&self, claim: &Claim, next: Next) {
        let attempt = Attempt {
            took: Duration::from_secs(1),
            http_status: Some(200),
            ..Attempt::under(claim, self.now.unix, next)
        };
        self.store.record_attempt(attempt).await.unwrap();
    }

    async fn deliver(&self) {
        for claim in self.claim().await {
            self.tried(&claim, Next::Delivered).await;
        }
    }

    /// Reads the record once more, as its hour shows it, so many times.
    async fn read_again(&mut self, copies: usize) -> Ingested {
        self.pass(INTERVAL);
        let body = format!("{RECORD}{}", RECORD.replace("100", "").repeat(copies - 1));
        let hour = "2026-11-22_09".parse().unwrap();
        self.read(Some(hour), answer(Ending::Announced, &body)).await
    }

    async fn counts(&self) -> [i64; 5] {
        let count = |rows| self.store.count(rows);
        [
            count("reply").await,
            // One row may keep the newest number, and tells nothing.
            count("event WHERE type != 'none'").await,
            count("delivery").await,
            count("attempt").await,
            count("tally").await,
        ]
    }
}

#[tokio::test]
async fn a_purged_reply_leaves_a_tombstone_by_which_it_is_known_again() {
    let mut life = Life::begin().await;
    life.read(None, answer(Ending::Announced, RECORD)).await;
    life.deliver().await;
    life.pass(DAY * 364);
    life.purge(14, 400, 365, 400).await;
    assert_eq!(life.counts().await, [1, 1, 1, 1, 1]);
    life.pass(DAY * 2);
    life.purge(14, 400, 365, 400).await;
    assert_eq!(life.counts().await, [0, 0, 0, 0, 1]);
    assert_eq!(life.read_again(1).await.new, 0, "it came back");
    // And a further equal text is the second one.
    assert_eq!(life.read_again(2).await.new, 1);
    assert_eq!(life.counts().await, [1, 1, 1, 0, 1]);
    assert_eq!(life.store.count("reply WHERE occurrence = 2").await, 1);
}

#[tokio::test]
async fn a_reply_stays_until_each_of_its_deliveries_is_done() {
    let mut life = Life::begin().await;
    life.read(None, answer(Ending::Announced, RECORD)).await;
    life.pass(DAY * 366);
    life.purge(14, 30, 365, 400).await;
    assert_eq!(life.counts().await, [1, 1, 1, 0, 1], "it waits");
    let [claim] = &life.claim().await[..] else { panic!("one delivery") };
    life.purge(14, 30, 365, 400).await;
    assert_eq!(life.counts().await, [1, 1, 1, 0, 1], "it is being sent");
    life.tried(claim, Next::Retry { at: life.now.unix, wait_ms: 0, asked: false }).await;
    life.pass(DAY * 31);
    life.purge(14, 30, 365, 400).await;
    assert_eq!(life.counts().await, [1, 1, 1, 0, 1], "it waits again, without its old attempt");
    let [claim] = &life.claim().await[..] else { panic!("one delivery") };
    life.tried(claim, Next::Failed { why: GivenUp::Aborted }).await;
    life.purge(14, 30, 365, 400).await;
    assert_eq!(life.counts().await, [0, 0, 0, 0, 1], "it is done");
}

#[tokio::test]
async fn an_erased_reply_leaves_nothing_but_its_tombstone() {
    let mut life = Life::begin().await;
    life.read(None, answer(Ending::Announced, RECORD)).await;
    let [claim] = &life.claim().await[..] else { panic!("one delivery") };
    life.tried(claim, Next::Retry { at: life.now.unix, wait_ms: 0, asked: false }).await;
    // It is erased while it is being sent.
    let [claim] = &life.claim().await[..] else { panic!("one delivery") };
    assert_eq!(life.store.erase(1).await, 1);
    assert_eq!(life.counts().await, [0, 0, 0, 0, 1]);
    life.tried(claim, Next::Delivered).await;
    assert_eq!(life.counts().await, [0, 0, 0, 0, 1]);
    assert_eq!(life.read_again(1).await.new, 0, "it came back");
    life.pass(INTERVAL);
    let again = life.read(None, answer(Ending::Cut, &format!("{RECORD}{{&}}"))).await;
    assert_eq!(again.new, 0, "it came back");
    assert_eq!(life.read_again(2).await.new, 1);
    assert_eq!(life.store.count("reply WHERE occurrence = 2").await, 1);
}

#[tokio::test]
async fn a_body_goes_once_it_is_taken_in_and_is_known_again_all_the_same() {
    let mut life = Life::begin().await;
    life.read(None, answer(Ending::Announced, RECORD)).await;
    life.pass(INTERVAL);
    let faulty = "100{&}nobody||b||2026-11-22 09:59:58||1069";
    life.read(None, answer(Ending::Announced, faulty)).await;
    life.pass(INTERVAL);
    let open = life.ask(None).await;
    life.answered(open, answer(Ending::Announced, &RECORD.replace("TD", "T"))).await;
    let kept = "read WHERE length(body) > 0";
    life.pass(DAY * 13);
    life.purge(14, 30, 365, 400).await;
    assert_eq!(life.store.count(kept).await, 3);
    life.pass(DAY * 2);
    life.purge(14, 30, 365, 400).await;
    assert_eq!(life.store.count(kept).await, 1, "what is not taken in stays");
    assert_eq!(life.store.count("fault WHERE bytes = x'' AND kind = 'no_number'").await, 1);
    assert_eq!(life.decide(life.prepare(open).await).await.unwrap().new, 1);
    // The equal body of a cache is no second read of the box.
    assert_eq!(life.read(None, answer(Ending::Announced, RECORD)).await.new, 0);
}

#[tokio::test]
async fn the_journal_goes_when_nothing_needs_it() {
    let mut life = Life::begin().await;
    life.read(None, answer(Ending::Announced, RECORD)).await;
    life.deliver().await;
    life.pass(INTERVAL);
    life.read(None, answer(Ending::Cut, "")).await;
    life.pass(INTERVAL);
    life.read(Some("2026-11-22_08".parse().unwrap()), answer(Ending::Announced, "")).await;
    life.pass(INTERVAL);
    life.read(None, answer(Ending::Announced, "")).await;
    let owed = life.store.count("hour WHERE state = 'owed'").await;
    let verified = life.store.count("hour WHERE state = 'verified'").await;
    assert!(owed > 0 && verified > 0, "{owed} {verified}");
    life.pass(DAY * 399);
    life.purge(14, 30, 365, 400).await;
    assert_eq!(life.counts().await, [0, 0, 0, 0, 1]);
    assert_eq!(life.store.count("read").await, 4, "too young");
    life.pass(DAY * 2);
    life.purge(14, 30, 365, 400).await;
    // The hour of the text is owed: its tombstone is still needed, as is the read that owed it.
    assert_eq!(life.store.count("hour").await, owed);
    assert_eq!(life.counts().await, [0, 0, 0, 0, 1]);
    let newest = "read WHERE hour IS NULL AND id = (SELECT max(id) FROM read WHERE verdict = 'proven' AND hour IS NULL)";
    assert_eq!(life.store.count(newest).await, 1, "what a pause is counted from");
    life.store.execute("UPDATE hour SET state = 'given_up'").await;
    life.purge(14, 30, 365, 400).await;
    assert_eq!(life.store.count("hour").await, 0);
    assert_eq!(life.counts().await, [0, 0, 0, 0, 0]);
    assert_eq!(life.store.count("read").await, 2, "the newest proven and the newest doubtful one");
}

#[tokio::test]
async fn a_wrong_clock_costs_a_day_at_a_look_and_there_is_one_look_an_hour() {
    let mut life = Life::begin().await;
    for day in 0..5 {
        let body = RECORD.replace("TD", &format!("{day}"));
        life.read(None, answer(Ending::Announced, &body)).await;
        life.deliver().await;
        life.pass(DAY);
    }
    let right = life.now.unix;
    life.now.unix = at("2036-01-01 00:00:00");
    let cutoff = life.now.unix.before(DAY * 365);
    assert!(life.store.begin_look(life.now.unix).await.unwrap());
    assert_eq!(life.look(Kind::Replies, cutoff).await, 1);
    assert_eq!(life.look(Kind::Bodies, cutoff).await, 1);
    assert_eq!(life.store.count("reply").await, 4);
    for (later, is_time) in [(0, false), (59, false), (60, true), (90, false)] {
        let now = life.now.unix.after(Duration::from_mins(later));
        assert_eq!(life.store.begin_look(now).await.unwrap(), is_time, "{later}");
    }
    // The clock is right again: the look of the future holds nothing up.
    assert!(life.store.begin_look(right).await.unwrap());
    assert!(!life.store.begin_look(right).await.unwrap());
    // One that is not set yet says nothing at all.
    assert!(!life.store.begin_look(UnixMs(0)).await.unwrap());
}

#[tokio::test]
async fn events_that_tell_of_no_reply_go_too() {
    let mut life = Life::begin().await;
    let now = life.now.unix.0;
    life.store
        .execute(&format!(
            "INSERT INTO event (id, type, body) VALUES ('evt_1', 'gap.opened', '{{}}'), ('evt_2', 'gap.closed', '{{}}');
             INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
                 VALUES ('crm', 1, 'auto', 'delivered', {now}, {now}), ('crm', 2, 'auto', 'waiting', {now}, {now});"
        ))
        .await;
    life.pass(DAY * 364);
    life.purge(14, 30, 365, 400).await;
    assert_eq!(life.store.count("event").await, 2);
    life.pass(DAY * 2);
    life.purge(14, 30, 365, 400).await;
    assert_eq!((life.store.count("event").await, life.store.count("delivery").await), (1, 1));
}

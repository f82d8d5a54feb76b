//! A store of years: how large it is once what is kept long enough goes, day by day.
//!
//! Days of reads, replies, deliveries that fail now and then, attempts, gaps, hours, messages and
//! replays, with the retention that is the default and a look at it each day. `REPLYD_TEST_YEAR` says
//! how many replies come each day; in CI they are a few. What is kept longest is kept for 400 days, so
//! that these are lived, and then another year, in which the store must not grow any more.

use rusqlite::Connection;

use super::retention::DAY;
use super::*;
use crate::store::retention::{Cutoffs, Kind};

/// Replies of a day, in CI.
const REPLIES: usize = 12;
/// Reads in which they come.
const READS: usize = 2;
/// What the default retention keeps longest, in days, and a month to settle.
const FILLED: usize = 430;
const DAYS: usize = FILLED + 365;
/// How much more of the file there may be on any later day: a store is not the same each day.
const GROWTH_MAX: f64 = 1.05;
/// The part of the file that may lie free at most once it is filled.
const FREE_MAX: f64 = 0.1;

/// What the store is on a day.
#[derive(Clone, Copy, Debug)]
struct Size {
    pages: i64,
    free: i64,
    rows: [i64; 10],
}

impl Life {
    async fn pages(&self) -> i64 {
        let look = |connection: &Connection| {
            Ok(connection.pragma_query_value(None, "page_count", |row| row.get(0))?)
        };
        self.store.audit(look).await.unwrap()
    }

    async fn size(&self) -> Size {
        let look = |connection: &Connection| {
            let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0));
            let mut rows = [0; 10];
            let tables = [
                "reply",
                "event",
                "delivery",
                "attempt",
                "tally",
                "read",
                "hour",
                "message",
                "replay_job",
                "audit_entry",
            ];
            for (rows, table) in rows.iter_mut().zip(tables) {
                let sql = format!("SELECT count(*) FROM {table}");
                *rows = connection.query_row(&sql, [], |row| row.get(0))?;
            }
            Ok(Size { pages: pragma("page_count")?, free: pragma("freelist_count")?, rows })
        };
        self.store.audit(look).await.unwrap()
    }

    /// One day: what comes is read and delivered, and what is old enough goes.
    async fn day(&mut self, day: usize, replies: usize) {
        let morning = self.now.clone();
        for read in 0..READS {
            let share = (read + 1) * replies / READS - read * replies / READS;
            let body = self.box_of(day, read, share);
            // A read is cut now and then, and its hours are read again.
            let is_cut = (day * READS + read).is_multiple_of(97);
            self.pass(INTERVAL);
            self.read(None, answer(if is_cut { Ending::Cut } else { Ending::Announced }, &body))
                .await;
            self.deliver_some(day).await;
            self.pass(DAY / 6);
        }
        let owed = "UPDATE hour SET state = 'verified', gap = NULL WHERE state = 'owed'";
        self.store.execute(owed).await;
        let now = self.now.unix.0;
        self.store
            .execute(&format!(
                "INSERT INTO message (id, account, text, charset, created_ms) VALUES ('msg_{day}', 'main', 'text', 'gbk', {now});
                 INSERT INTO message_call (message, number, state, status) SELECT max(seq), 1, 'accepted', 100 FROM message;
                 INSERT INTO recipient (message, mobile, call) SELECT max(seq), '13900000001', 1 FROM message;
                 INSERT INTO replay_job (state, first_hour, last_hour, selection, as_new, newest_seq, replies, created_ms, cursor_replied_at, lease_end_ms)
                     VALUES ('done', 1, 1, 'all', 0, 1, 1, {now}, 1, {now});
                 INSERT INTO event (id, type, body) VALUES ('evt_{day}', 'gap.opened', '{{}}');
                 INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
                     SELECT 'crm', max(seq), 'auto', 'delivered', {now}, {now} FROM event;
                 INSERT INTO audit_entry (at_ms, token, action, target, outcome) VALUES ({now}, 'panel', 'delivery.retry', '1', 'done');"
            ))
            .await;
        let before = |days| self.now.unix.before(DAY * days);
        let cutoffs = Cutoffs {
            bodies: before(14),
            attempts: before(30),
            replies: before(365),
            tombstones: before(400),
        };
        for kind in Kind::ALL {
            for chunk in self.store.kept_before(kind, cutoffs.of(kind)).await.unwrap() {
                self.store.purge(chunk).await.unwrap();
            }
        }
        self.now = morning.after(DAY);
    }

    /// What the gateway's box holds: each text is another one, of other lengths.
    fn box_of(&self, day: usize, read: usize, replies: usize) -> String {
        let written = self.now.unix.beijing();
        let record = |number: usize| {
            let text = "回复".repeat(1 + (day + number) % 20);
            format!("{{&}}139{number:08}||{day} {read} {text}||{written}||1069")
        };
        (0..replies).fold("100".to_owned(), |body, number| body + &record(number))
    }

    /// One in ten fails first, one in a hundred for good.
    async fn deliver_some(&mut self, day: usize) {
        let mut number = day;
        loop {
            let now = self.now.unix;
            let claims = self.store.claim("crm", now, now.after(TIMEOUT), 64).await.unwrap();
            if claims.is_empty() {
                return;
            }
            for claim in claims {
                number += 1;
                let next = match (number % 100, claim.attempt) {
                    (0, _) => Next::Failed { why: crate::store::attempt::GivenUp::Aborted },
                    (1..=10, 1) => Next::Retry { at: now, wait_ms: 0, asked: false },
                    _ => Next::Delivered,
                };
                self.tried(&claim, next).await;
            }
        }
    }
}

#[tokio::test]
async fn a_store_grows_until_its_retention_is_reached_and_no_more() {
    let replies = std::env::var("REPLYD_TEST_YEAR").map_or(REPLIES, |each| each.parse().unwrap());
    let mut life = Life::begin().await;
    let mut months = Vec::new();
    let (mut filled, mut most): (Option<Size>, i64) = (None, 0);
    for day in 1..=DAYS {
        life.day(day, replies).await;
        if day.is_multiple_of(30) || day == FILLED {
            let size = life.size().await;
            months.push((day, size));
            if day == FILLED {
                filled = Some(size);
            }
        }
        if day > FILLED {
            most = most.max(life.pages().await);
        }
    }
    let filled = filled.unwrap();
    let end = life.size().await;
    assert!(
        most as f64 <= filled.pages as f64 * GROWTH_MAX,
        "{filled:?}, at most {most}: {months:#?}"
    );
    assert!(end.free as f64 <= end.pages as f64 * FREE_MAX, "{end:?}");
    // What is kept is what came in the time for which it is kept, and no more.
    let each = i64::try_from(replies).unwrap();
    let [reply, event, delivery, attempt, tally, read, hour, message, job, change] = end.rows;
    for (what, rows, most) in [
        ("replies", reply, 367 * each),
        ("events", event, 367 * (each + 1)),
        ("deliveries", delivery, 367 * (each + 1)),
        ("attempts", attempt, 32 * each * 2),
        ("tombstones", tally, 402 * each),
        ("reads", read, 402 * i64::try_from(READS).unwrap() + 10),
        ("hours", hour, 402 * 24),
        ("messages", message, 367),
        ("replays", job, 402),
        ("changes by the API", change, 402),
    ] {
        assert!(rows > 0 && rows <= most, "{rows} {what}, more than {most}");
    }
    let mib = |day: usize| {
        let size = months.iter().find(|(at, _)| *at == day).unwrap().1;
        format!("{:.1}", size.pages as f64 * 4096.0 / 1024.0 / 1024.0)
    };
    crate::intake::figures::tell(
        "the store's size over years, with the default retention",
        &format!("{replies} replies a day, {DAYS} days"),
        &format!(
            "{} MiB after 3 months, {} after 6, {} after 12, {} when its retention is reached, {} half a year later, {} at the end; {}% of it free",
            mib(90),
            mib(180),
            mib(360),
            mib(FILLED),
            mib(600),
            mib(780),
            100 * end.free / end.pages
        ),
    )
    .unwrap();
}

//! A burst of replies to a robot that takes twenty messages a minute: turns, plans and pace with a
//! real store, in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use super::*;
use crate::delivery::target::tests::WECOM;
use crate::language::Language;
use crate::route::Route;
use crate::store::OpenMode;
use crate::store::attempt::{Next, Refusal, Trouble};
use crate::store::delivery::SubscriberSpec;

const REPLIES: usize = 1_000;
const PERSONS: usize = 37;
const MINUTE_MS: i64 = 60_000;
/// 2026-11-22 10:00:00 in Beijing.
const TEN: i64 = 1_795_312_800_000;
/// Which of its messages the robot is too busy to take.
const BUSY: [usize; 2] = [3, 9];

/// A robot as its product keeps it: more than twenty messages in a minute block it.
#[derive(Default)]
struct Robot {
    taken_at: VecDeque<i64>,
    asked: usize,
    texts: Vec<String>,
}

impl Robot {
    /// Whether it takes a message.
    fn take(&mut self, text: &str, now: UnixMs) -> bool {
        assert!(text.len() <= WECOM.rules.max, "{} bytes", text.len());
        self.taken_at.retain(|at| now.0 - at < MINUTE_MS);
        self.taken_at.push_back(now.0);
        assert!(self.taken_at.len() <= 20, "the limit is broken at {now:?}");
        self.asked += 1;
        if BUSY.contains(&self.asked) {
            return false;
        }
        self.texts.push(text.to_owned());
        true
    }
}

/// A store with a burst of replies: the first third is one person's.
async fn burst(path: &Path) -> Store {
    let store = Store::open(path, OpenMode::Create).unwrap();
    let spec = SubscriberSpec { name: "chat".to_owned(), route: Route::default(), enabled: true };
    store.put_configuration(Vec::new(), vec![spec], Clock::system().now()).await.unwrap();
    let mut connection = rusqlite::Connection::open(path).unwrap();
    let rows = connection.transaction().unwrap();
    for number in 0..REPLIES {
        let person = if number < REPLIES / 3 { 0 } else { number % PERSONS };
        let mobile = format!("1390000{person:04}");
        let replied = TEN / 1000 + number as i64 / 4;
        let at = UnixMs(replied * 1000).beijing().rfc3339();
        let body = format!(
            r#"{{"type":"reply.received","timestamp":"{at}","data":{{"id":"rpl_{number}","from":"{mobile}","content":"={number}=","gateway":"1068"}}}}"#
        );
        rows.execute(
            "INSERT INTO event (id, type, body, mobile, replied_at) VALUES (?1, 'reply.received', ?2, ?3, ?4)",
            (format!("rpl_{number}"), body, &mobile, replied),
        )
        .unwrap();
        rows.execute(
            "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms, mobile, replied_at)
             VALUES ('chat', last_insert_rowid(), 'auto', 'waiting', ?1, ?2, ?3, ?4)",
            (TEN + 600_000, replied * 1000, mobile, replied),
        )
        .unwrap();
    }
    rows.commit().unwrap();
    store
}

fn outcome(claim: &Claim, now: UnixMs, is_taken: bool) -> Attempt {
    let busy = Trouble::Product {
        product: "wecom".to_owned(),
        code: "-1".to_owned(),
        message: String::new(),
        refusal: Refusal::Busy,
    };
    let again = Next::Retry { at: now.after(Duration::from_secs(5)), wait_ms: 5_000, asked: false };
    let next = if is_taken { Next::Delivered } else { again };
    let trouble = (!is_taken).then_some(busy);
    Attempt { http_status: Some(200), trouble, ..Attempt::under(claim, now, next) }
}

#[tokio::test]
async fn a_burst_arrives_complete_and_in_order_without_once_breaking_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let store = burst(&folder.path().join("replyd.db")).await;
    let shape = Shape { target: WECOM, language: Language::Zh, own: None, is_of_one: false };
    let limits = Limits { concurrency: 1, rate: WECOM.facts.rate };
    let rules = Rules { limits, disable_after: Duration::from_hours(24), wait_max: Duration::ZERO };
    let (mut robot, mut now) = (Robot::default(), UnixMs(TEN + 600_000));
    let began = now;
    let (mut outcomes, mut lease, mut gives_back) = (Vec::new(), None, false);
    for _ in 0..10_000 {
        let turn = Turn {
            outcomes: std::mem::take(&mut outcomes),
            lease,
            gives_back: std::mem::take(&mut gives_back),
            ..Turn::first("chat", now, now.after(Duration::from_secs(25)), Line::Together)
        };
        let room = Lanes { new: 128, replays: 16 };
        let asked =
            Asked { rules, shape: Some(shape.clone()), is_quiet: false, room, under_way: 0 };
        let (turned, messages) = take_turn(&store, Arc::new(turn), asked).await.unwrap();
        lease = turned.lease;
        let plan = shape.plan(&turned.claims, messages);
        let mut has_failed = false;
        for message in &plan.messages {
            let claims: Vec<Claim> = message.iter().map(|at| turned.claims[*at].clone()).collect();
            if has_failed {
                gives_back = true;
                continue;
            }
            let is_taken = robot.take(&shape.message(&claims).text, now);
            has_failed = !is_taken;
            outcomes.extend(claims.iter().map(|claim| outcome(claim, now, is_taken)));
        }
        gives_back |= !plan.left.is_empty();
        let is_done = outcomes.is_empty() && !gives_back;
        if is_done && turned.next.is_none() {
            break;
        }
        let pace = standing::pace_of(&turned.standing);
        let opens = pace.opens(limits, now).unwrap_or(now.after(Duration::from_millis(50)));
        now = if is_done { opens } else { now.after(Duration::from_millis(50)) };
    }
    let figures = store.figures().await.unwrap();
    assert_eq!((figures.delivered, figures.pending), (REPLIES as u64, 0));
    let all = robot.texts.join("\n");
    let mut last = BTreeMap::new();
    let mut seen = 0;
    for line in all.lines().filter(|line| line.contains('=')) {
        let (before, number) = line.split_once('=').unwrap();
        let number: usize = number.trim_end_matches('=').parse().unwrap();
        let mobile = before.split(' ').nth(1).unwrap().to_owned();
        assert!(last.insert(mobile, number).is_none_or(|former| former < number), "{line}");
        seen += 1;
    }
    assert_eq!(seen, REPLIES, "each once, and whole");
    let (messages, minutes) = (robot.asked, now.since(began).as_secs() / 60);
    assert!(messages < 60 && minutes < 5, "{messages} messages in {minutes} minutes");
}

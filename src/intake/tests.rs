//! An account's life in virtual time: the planner, the store and what is decided of answers,
//! with every clock, wait and answer made up.

mod life;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::config::{Cron, Reconcile};
use crate::gateway::charset::Charset;
use crate::gateway::client::{Ending, ReadMode, Received};
use crate::gateway::tx::Outcome;
use crate::intake::hours;
use crate::intake::ingest::{self, Account};
use crate::intake::plan::{self, Step, Wishes};
use crate::reply::{IdKey, Mobile};
use crate::route::Route;
use crate::store::Store;
use crate::store::attempt::{Attempt, GivenUp, Next};
use crate::store::delivery::{Claim, SubscriberSpec};
use crate::store::error::StoreError;
use crate::store::hour::{HourRow, HourState};
use crate::store::message::NewMessage;
use crate::store::read::{
    AccountSettings, AccountSpec, Begin, Ingested, ReadId, ReadRequest, Source,
};
use crate::store::turn::{Decided, Lanes, Line, Standing, Turn};
use crate::time::{BeijingTime, Hour, UnixMs};

mod clock;
mod retention;
mod year;

const INTERVAL: Duration = Duration::from_mins(10);
const TIMEOUT: Duration = Duration::from_mins(5);
const SCHEDULE: &str = "0 */10 * * * *";
const RECORD: &str = "100{&}13900000001||TD||2026-11-22 09:59:58||1069";

struct Life {
    store: Store,
    now: Moment,
}

fn at(text: &str) -> UnixMs {
    text.parse::<BeijingTime>().unwrap().unix_ms()
}

fn settings() -> AccountSettings {
    AccountSettings {
        number: None,
        min_interval: INTERVAL,
        recover: Duration::from_hours(24),
        schedule: SCHEDULE.to_owned(),
    }
}

fn answer(ending: Ending, body: &str) -> Received {
    let http_status = (ending != Ending::Unanswered).then_some(200);
    Received { http_status, ending, body: body.as_bytes().to_vec(), error: None }
}

fn request(hour: Option<Hour>) -> ReadRequest {
    ReadRequest {
        account: "main".to_owned(),
        hour,
        charset: Charset::Gbk,
        timeout: TIMEOUT,
        min_interval: INTERVAL,
        room: 0,
    }
}

/// An account that reads this box.
fn account(name: &str, mailbox: &[u8]) -> AccountSpec {
    let key = IdKey::from_secret(b"a key");
    AccountSpec {
        name: name.to_owned(),
        settings: settings(),
        configured_key: None,
        derived_key: key.clone(),
        login: key,
        mailbox: IdKey::from_secret(mailbox),
    }
}

impl Life {
    async fn begin() -> Self {
        let store = Store::in_memory().unwrap();
        let account = account("main", b"a key");
        let subscriber =
            SubscriberSpec { name: "crm".to_owned(), route: Route::default(), enabled: true };
        let now = Moment { unix: at("2026-11-22 10:00:00"), boot_ms: 0, boot: Arc::from("a") };
        store.put_configuration(vec![account], vec![subscriber], now.clone()).await.unwrap();
        Self { store, now }
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now.after(span);
    }

    /// Begins a read, which must be possible.
    async fn ask(&self, hour: Option<Hour>) -> ReadId {
        match self.store.begin_read(request(hour), self.now.clone()).await.unwrap() {
            Begin::Begun(read) => read,
            Begin::Busy(wait) => panic!("the slot is taken for {wait:?}"),
        }
    }

    async fn answered(&self, read: ReadId, received: Received) {
        self.store.finish_read(read, received, self.now.clone(), INTERVAL).await.unwrap();
    }

    /// Parses what there is of a read now; what the parts come to is decided later.
    async fn prepare(&self, read: ReadId) -> (Source, ingest::Prepared) {
        let open = self.store.open_read(read).await.unwrap().unwrap();
        let source = Source::Read { id: read, answered: open.answered };
        let account = Account {
            name: "main".to_owned(),
            settings: settings(),
            key: IdKey::from_secret(b"a key"),
        };
        (source, ingest::prepare(&open, account, self.now.unix))
    }

    async fn decide(&self, (source, prepared): (Source, ingest::Prepared)) -> Option<Ingested> {
        let questions = prepared.questions();
        let decide = move |known| prepared.decide(&known);
        self.store.take_in(source, questions, decide, self.now.clone()).await.unwrap()
    }

    async fn read(&mut self, hour: Option<Hour>, received: Received) -> Ingested {
        let read = self.ask(hour).await;
        self.pass(Duration::from_secs(2));
        self.answered(read, received).await;
        self.decide(self.prepare(read).await).await.unwrap()
    }

    /// Lives by the planner for so long. Gives what was asked when.
    async fn live(
        &mut self,
        span: Duration,
        answer: impl Fn(Option<Hour>) -> Received,
    ) -> Vec<(UnixMs, Option<Hour>)> {
        let schedule = Cron::parse(SCHEDULE).unwrap();
        let wishes =
            Wishes { schedule: &schedule, read: ReadMode::Plain, reconcile: Reconcile::Off };
        let end = self.now.after(span);
        let mut asked = Vec::new();
        while self.now.unix < end.unix {
            let view = self.store.view("main", ReadMode::Plain, self.now.clone()).await.unwrap();
            let hour = match plan::next_step(&view, &wishes, false, &self.now) {
                Step::Rest(rest) => {
                    self.pass(rest.max(Duration::from_secs(1)));
                    continue;
                }
                Step::Plain => None,
                Step::Hour(hour) => Some(hour),
                other => panic!("not by this plan: {other:?}"),
            };
            asked.push((self.now.unix, hour));
            self.read(hour, answer(hour)).await;
        }
        asked
    }
}

#[tokio::test]
async fn where_no_plain_read_is_proven_every_hour_is_read_after_its_end_all_the_same() {
    starves_no_hour(|_| answer(Ending::Connection, "")).await;
    starves_no_hour(|hour| match hour {
        Some(_) => answer(Ending::Announced, ""),
        None => answer(Ending::TimedOut, ""),
    })
    .await;
}

async fn starves_no_hour(answer: impl Fn(Option<Hour>) -> Received) {
    let mut life = Life::begin().await;
    let first = life.now.unix;
    let asked = life.live(Duration::from_hours(30), answer).await;
    let settled =
        |hour: &Hour| asked.iter().any(|(when, read)| *read == Some(*hour) && *when > hour.end());
    let last = life.now.unix.before(Duration::from_hours(12)).beijing().hour();
    let hours: Vec<Hour> =
        first.before(Duration::from_hours(24)).beijing().hour().through(last).collect();
    let missed: Vec<String> =
        hours.iter().filter(|hour| !settled(hour)).map(Hour::to_string).collect();
    assert!(missed.is_empty(), "never read when over: {missed:?}");
    let plain = asked.iter().filter(|(_, hour)| hour.is_none()).count();
    assert!(plain * 5 >= asked.len() * 2, "{plain} of {} reads were plain", asked.len());
}

#[tokio::test]
async fn where_no_end_is_announced_two_equal_reads_since_the_last_doubt_verify_an_hour() {
    let mut life = Life::begin().await;
    let unannounced = || answer(Ending::Connection, "");
    let hour: Hour = "2026-11-22_10".parse().unwrap();
    let verified = format!("hour WHERE state = 'verified' AND hour = {}", hour.number());
    for _ in 0..5 {
        life.read(None, unannounced()).await;
        life.pass(INTERVAL);
    }
    // While it runs, and twice when it is settled.
    for (time, is_verified) in
        [("10:55:00", false), ("11:20:00", false), ("11:40:00", true), ("11:52:00", true)]
    {
        life.now.unix = at(&format!("2026-11-22 {time}"));
        life.read(Some(hour), unannounced()).await;
        assert_eq!(life.store.count(&verified).await, i64::from(is_verified), "{time}");
        life.pass(INTERVAL);
    }
    life.read(None, answer(Ending::TimedOut, "")).await;
    for _ in 0..6 {
        life.pass(INTERVAL);
        life.read(None, unannounced()).await;
    }
    for is_verified in [false, true] {
        life.pass(INTERVAL);
        life.read(Some(hour), unannounced()).await;
        assert_eq!(life.store.count(&verified).await, i64::from(is_verified));
    }
}

#[tokio::test]
async fn a_gateway_that_is_well_again_ends_what_is_owed() {
    let mut life = Life::begin().await;
    life.live(Duration::from_hours(3), |_| answer(Ending::Unanswered, "")).await;
    assert!(life.store.figures().await.unwrap().hours_owed > 24);
    life.live(Duration::from_hours(24), |_| answer(Ending::Announced, "")).await;
    assert_eq!(life.store.figures().await.unwrap().hours_owed, 0);
}

#[tokio::test]
async fn an_answer_that_comes_while_its_lack_is_taken_in_is_not_lost() {
    let mut life = Life::begin().await;
    let read = life.ask(None).await;
    assert!(life.store.open_reads("main", life.now.clone()).await.unwrap().is_empty());
    life.pass(TIMEOUT + INTERVAL);
    assert_eq!(life.store.open_reads("main", life.now.clone()).await.unwrap(), [read]);
    let lack = life.prepare(read).await;
    life.answered(read, answer(Ending::TimedOut, &format!("{RECORD}{{&}}"))).await;
    assert_eq!(life.decide(lack).await, None);
    let late = life.prepare(read).await;
    assert_eq!(life.decide(late).await.unwrap().new, 1);
}

#[tokio::test]
async fn a_late_answer_overrides_what_its_read_was_taken_for() {
    let mut life = Life::begin().await;
    let read = life.ask(None).await;
    life.pass(TIMEOUT + INTERVAL);
    let ingested = life.decide(life.prepare(read).await).await.unwrap();
    assert_eq!(ingested.verdict.reason(), Some("never_answered"));
    life.answered(read, answer(Ending::Announced, RECORD)).await;
    let ingested = life.decide(life.prepare(read).await).await.unwrap();
    assert_eq!((ingested.verdict.as_str(), ingested.new), ("proven", 1));
}

#[tokio::test]
async fn taking_in_twice_keeps_once() {
    let mut life = Life::begin().await;
    let read = life.ask(None).await;
    life.pass(Duration::from_secs(2));
    life.answered(read, answer(Ending::Announced, RECORD)).await;
    // Whoever left it there, it is to be taken in.
    assert_eq!(life.store.open_reads("main", life.now.clone()).await.unwrap(), [read]);
    let (one, other) = (life.prepare(read).await, life.prepare(read).await);
    assert_eq!(life.decide(one).await.unwrap().new, 1);
    assert_eq!(life.decide(other).await, None);
    let figures = life.store.figures().await.unwrap();
    assert_eq!((figures.replies, figures.deliveries), (1, 1));
}

#[tokio::test]
async fn times_that_a_wrong_clock_set_are_mended() {
    let mut life = Life::begin().await;
    let right = life.now.clone();
    life.now.unix = at("2036-01-01 00:00:00");
    life.read(None, answer(Ending::Cut, &format!("{RECORD}{{&}}"))).await;
    let later = right.unix.after(Duration::from_mins(1));
    // An attempt of that time fails.
    let claim = life.store.claim("crm", later, later, 9).await.unwrap().remove(0);
    let retry = Next::Retry { at: life.now.unix, wait_ms: 0, asked: false };
    life.store.record_attempt(tried(claim, later, retry)).await.unwrap();
    assert!(life.store.claim("crm", later, later, 9).await.unwrap().is_empty());
    assert!(life.store.mend_times(right.unix).await.unwrap() > 1);
    assert_eq!(life.store.mend_times(right.unix).await.unwrap(), 0);
    assert_eq!(life.store.claim("crm", later, later, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn reconciling_looks_at_what_never_was_and_again_at_what_was_verified_early() {
    let mut life = Life::begin().await;
    let hour = |text: &str| text.parse::<Hour>().unwrap();
    let (first, last) = (hour("2026-11-22_06"), hour("2026-11-22_09"));
    // Two hours after its end, and twenty minutes; and one that the gateway never showed whole.
    for (read, minutes) in [("2026-11-22_07", 10), ("2026-11-22_09", 11), ("2026-11-22_06", 11)] {
        life.pass(Duration::from_mins(minutes));
        life.read(Some(hour(read)), answer(Ending::Announced, "")).await;
    }
    life.store.execute("UPDATE hour SET state = 'given_up' WHERE hour % 24 = 6").await;
    let stands = async |life: &Life| {
        let owed = hours::owed_for_reconciling(first, last, ReadMode::Plain);
        life.store.reconcile("main", owed, last).await.unwrap();
        let rows = life.store.hours("main", first, last).await.unwrap();
        let state = |row: &HourRow| match row.state {
            HourState::Owed => row.not_before.beijing().to_string(),
            other => other.as_str().to_owned(),
        };
        rows.iter().map(state).collect::<Vec<_>>()
    };
    let once = ["given_up", "verified", "2026-11-22 09:15:00", "2026-11-22 12:00:00"];
    assert_eq!(stands(&life).await, once);
    let plain = [None; 9].into_iter();
    for read in plain.chain(["2026-11-22_08", "2026-11-22_09"].map(hour).map(Some)) {
        life.pass(Duration::from_mins(11));
        life.read(read, answer(Ending::Announced, "")).await;
    }
    assert_eq!(stands(&life).await, ["given_up", "verified", "verified", "verified"]);
}

#[tokio::test]
async fn whether_a_box_was_read_under_another_name_before_is_known() {
    let mut life = Life::begin().await;
    life.read(None, answer(Ending::Announced, "")).await;
    let further = vec![account("renamed", b"a key"), account("stranger", b"another key")];
    life.store.put_configuration(further, Vec::new(), life.now.clone()).await.unwrap();
    let had_other_name = async |life: &Life, name: &str| {
        let view = life.store.view(name, ReadMode::Plain, life.now.clone()).await.unwrap();
        (view.first_read.is_some(), view.had_other_name)
    };
    assert_eq!(had_other_name(&life, "renamed").await, (false, false));
    life.pass(Duration::from_hours(1));
    for name in ["renamed", "stranger"] {
        let request = ReadRequest { account: name.to_owned(), ..request(None) };
        let begun = life.store.begin_read(request, life.now.clone()).await.unwrap();
        assert!(matches!(begun, Begin::Begun(_)));
    }
    assert_eq!(had_other_name(&life, "main").await, (true, false));
    assert_eq!(had_other_name(&life, "renamed").await, (true, true));
    assert_eq!(had_other_name(&life, "stranger").await, (true, false));
}

#[tokio::test]
async fn the_hour_for_which_a_cut_record_waits_is_read_first() {
    let mut life = Life::begin().await;
    let view = |life: &Life| {
        let (store, now) = (life.store.clone(), life.now.clone());
        async move { store.view("main", ReadMode::Plain, now).await.unwrap() }
    };
    // The record was written in the hour before the one that runs.
    life.read(None, answer(Ending::Cut, RECORD)).await;
    life.pass(INTERVAL);
    assert_eq!(
        view(&life).await.owed.map(|hour| hour.to_string()).as_deref(),
        Some("2026-11-22_09")
    );
    let hour = view(&life).await.owed;
    assert_eq!(life.read(hour, answer(Ending::Announced, &format!("{RECORD}07"))).await.new, 1);
    life.pass(INTERVAL);
    assert_eq!(
        view(&life).await.owed.map(|hour| hour.to_string()).as_deref(),
        Some("2026-11-22_10")
    );
}

#[tokio::test]
async fn of_one_persons_replies_the_first_written_goes_first_however_late_it_came() {
    let mut life = Life::begin().await;
    life.read(None, answer(Ending::Announced, RECORD)).await;
    life.pass(INTERVAL);
    let earlier = "100{&}13900000001||N||2026-11-22 09:40:00||1069";
    life.read(None, answer(Ending::Announced, earlier)).await;
    let now = life.now.unix;
    let turn = Turn::first("crm", now, now.after(TIMEOUT), Line::OneByOne);
    let decide = |standing: Standing, _: &[Attempt]| Decided {
        standing,
        tell: None,
        allowed: Lanes { new: 9, replays: 0 },
        spend: Box::new(|_| None),
    };
    let claims = life.store.turn(Arc::new(turn), decide).await.unwrap().claims;
    assert_eq!(claims.len(), 1);
    assert!(String::from_utf8_lossy(&claims[0].body).contains("2026-11-22T09:40:00"));
}

#[tokio::test]
async fn a_reply_names_the_message_that_it_answers() {
    let mut life = Life::begin().await;
    let message = NewMessage {
        id: "msg_00000000000000000000000000000001".to_owned(),
        account: "main".to_owned(),
        text: "您的快递到了".to_owned(),
        charset: Charset::Gbk,
        mid: None,
        at: None,
        calls: vec![vec![Mobile::parse("13900000001").unwrap()]],
        answers: None,
    };
    let sent = at("2026-11-22 09:50:00");
    let seq = life.store.put_message(message, sent).await.unwrap().unwrap();
    assert!(life.store.begin_call(seq, 0, sent).await.unwrap());
    life.store.end_call(seq, 0, Outcome::Accepted, sent).await.unwrap();
    let other = "{&}13900000002||N||2026-11-22 09:59:58||1069";
    life.read(None, answer(Ending::Announced, &format!("{RECORD}{other}"))).await;
    let claims = life.store.claim("crm", life.now.unix, life.now.unix, 9).await.unwrap();
    let bodies: Vec<_> =
        claims.iter().map(|claim| String::from_utf8_lossy(&claim.body).into_owned()).collect();
    let named = |message: &str| format!("\"in_reply_to\":{message}");
    assert!(bodies[0].contains(&named("\"msg_00000000000000000000000000000001\"")), "{bodies:?}");
    assert!(bodies[1].contains(&named("null")), "{bodies:?}");
    assert_eq!(life.store.count("reply WHERE in_reply_to IS NOT NULL").await, 1);
}

/// What an attempt under a claim came to.
fn tried(claim: Claim, started: UnixMs, next: Next) -> Attempt {
    Attempt::under(&claim, started, next)
}

#[tokio::test]
async fn a_sender_whose_lease_ended_undoes_nothing() {
    let mut life = Life::begin().await;
    life.read(None, answer(Ending::Announced, RECORD)).await;
    let claim = |now: UnixMs| life.store.claim("crm", now, now.after(INTERVAL), 9);
    let first = claim(life.now.unix).await.unwrap().remove(0);
    let later = life.now.unix.after(INTERVAL);
    let second = claim(later).await.unwrap().remove(0);
    assert_eq!((first.delivery, first.lease + 1), (second.delivery, second.lease));
    let given_up = Next::Failed { why: GivenUp::Aborted };
    for (claim, next) in [(first, given_up), (second, Next::Delivered)] {
        life.store.record_attempt(tried(claim, later, next)).await.unwrap();
    }
    let figures = life.store.figures().await.unwrap();
    assert_eq!((figures.delivered, figures.pending, figures.attempts), (1, 0, 2));
}

#[tokio::test]
async fn the_slot_outlives_its_process_and_a_read_that_was_not_sent_gives_it_back() {
    let mut life = Life::begin().await;
    let view = |life: &Life| {
        let (store, now) = (life.store.clone(), life.now.clone());
        async move {
            plan::blocked_for(
                &store.view("main", ReadMode::Plain, now.clone()).await.unwrap(),
                &now,
            )
        }
    };
    let read = life.ask(None).await;
    life.pass(Duration::from_mins(1));
    assert_eq!(view(&life).await, TIMEOUT + INTERVAL - Duration::from_mins(1));
    life.answered(read, answer(Ending::Announced, "")).await;
    assert_eq!(view(&life).await, INTERVAL);
    life.pass(INTERVAL);
    let unsent = life.ask(None).await;
    life.store.abandon_read(unsent, life.now.clone()).await.unwrap();
    assert_eq!(view(&life).await, Duration::ZERO);
}

#[tokio::test]
async fn an_answer_stored_late_does_not_bring_the_next_read_forward() {
    let mut life = Life::begin().await;
    let first = life.ask(None).await;
    let ended = life.now.after(Duration::from_secs(2));
    // The store was full until long after; meanwhile another process read.
    life.pass(Duration::from_mins(40));
    life.read(None, answer(Ending::Announced, "")).await;
    let late = answer(Ending::Announced, RECORD);
    life.store.finish_read(first, late, ended, INTERVAL).await.unwrap();
    let view = life.store.view("main", ReadMode::Plain, life.now.clone()).await.unwrap();
    assert_eq!(plan::blocked_for(&view, &life.now), INTERVAL);
}

#[tokio::test]
async fn a_disk_without_room_for_the_largest_answer_is_told_before_the_request() {
    let mut life = Life::begin().await;
    let wanting = ReadRequest { room: u64::MAX, ..request(None) };
    let begun = life.store.begin_read(wanting, life.now.clone()).await;
    assert!(matches!(begun, Err(StoreError::NoRoom { needed: u64::MAX, .. })), "{begun:?}");
    // It left no row and took no slot.
    assert_eq!(
        life.store.view("main", ReadMode::Plain, life.now.clone()).await.unwrap().last_due,
        None
    );
    life.read(None, answer(Ending::Announced, "")).await;
}

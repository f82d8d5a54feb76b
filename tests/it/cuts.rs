//! An answer of forty records is cut at any byte, by the real binary's reckoning: in the end each
//! record is kept once, with its own text and gateway number.
//!
//! One service reads many accounts, each of which sees another cut. `REPLYD_TEST_CUTS` says how
//! many bytes lie between two cuts, and `all` stands for one; the unit tests of intake cut at
//! every byte always.

use std::fmt::Write as _;
use std::time::Duration;

use replyd::clock::Clock;
use replyd::gateway::simulator::{
    Asked, Consume, Ending, Fault, Habits, NewAccount, NewReply, Options, ReadRequest, Simulator,
};
use replyd::time::{BeijingTime, Hour};
use tokio::task::JoinSet;

use crate::chance::{self, figure};
use crate::forty::{Forty, records};
use crate::intake::count;
use crate::support::{Home, Receiver, Service, now, query, until};

/// Bytes between two cuts, in CI.
const STRIDE: usize = 117;
/// Accounts of one service.
const ACCOUNTS: usize = 40;
/// Services at once: most of their time is waiting.
const AT_ONCE: usize = 4;
/// So long that a service with so many accounts reads each one's hour within two of them.
const INTERVAL: Duration = Duration::from_secs(3);
/// Seconds that must be left of an hour for the records and for the first reads of them.
const LEFT_OF_HOUR_S: i64 = 120;

/// How the answer ends.
type Framing = fn(usize) -> Fault;

/// What is kept of a record: number, text, time, gateway number.
type Kept = (String, String, i64, String);

const FRAMINGS: [(&str, Framing); 3] = [
    ("with a length", |after| Fault::CutBody { after }),
    ("in chunks", |after| Fault::CutChunked { after }),
    ("without a length", |after| Fault::CutUnannounced { after }),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cut_at_any_byte_is_kept_whole_in_the_end() {
    let stride = match std::env::var("REPLYD_TEST_CUTS").as_deref() {
        Ok("all") => 1,
        _ => chance::size("REPLYD_TEST_CUTS", STRIDE),
    };
    let body_bytes = answer_bytes();
    let (mut batches, mut cuts) = (Vec::new(), 0);
    for (number, (framing, consume)) in kinds().enumerate() {
        // Each kind begins elsewhere, so that together they meet more places.
        let places: Vec<usize> = (number * stride / 9..body_bytes).step_by(stride).collect();
        cuts += places.len();
        batches.extend(places.chunks(ACCOUNTS).map(|places| (framing, consume, places.to_vec())));
    }
    let services = batches.len();
    let mut running = JoinSet::new();
    for (framing, consume, places) in batches {
        if running.len() == AT_ONCE {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(recovers(framing, consume, places));
    }
    while let Some(recovered) = running.join_next().await {
        recovered.unwrap();
    }
    figure(
        "an answer of 40 records cut anywhere, with a length, in chunks, without either",
        &format!("{cuts} cuts of {body_bytes} bytes, every {stride}, {services} services"),
        &format!("{} records: each kept once, with its own text and gateway number", cuts * 40),
    );
}

/// Every way to end under every way to let go of what was handed out.
fn kinds() -> impl Iterator<Item = ((&'static str, Framing), Consume)> {
    let consumes = [Consume::AtRequest, Consume::AtLastByte, Consume::AtNextRead];
    FRAMINGS.into_iter().flat_map(move |framing| consumes.map(|consume| (framing, consume)))
}

/// The length of the answer that is cut.
fn answer_bytes() -> usize {
    let record = |record: &Forty| {
        let around = "{&}||||2026-11-22 10:20:00||".len();
        around + record.mobile.len() + record.content.len() + record.gateway.len()
    };
    "100".len() + records().iter().map(record).sum::<usize>()
}

/// The time of the first record: now. Where this hour is about to end, the next one is waited
/// for, because the newest owed hour is read first.
async fn first() -> BeijingTime {
    let now = now();
    let left = now.hour().end().seconds() - now.unix_seconds();
    if left >= LEFT_OF_HOUR_S {
        return now;
    }
    tokio::time::sleep(Duration::from_secs(left.unsigned_abs())).await;
    now.hour().end().beijing()
}

async fn recovers((name, fault): (&str, Framing), consume: Consume, places: Vec<usize>) {
    let context = format!("{name}, {consume:?}");
    let habits = Habits { consume, min_interval: INTERVAL, ..Habits::default() };
    let uids: Vec<String> = places.iter().map(|place| format!("cut{place}")).collect();
    let account = |uid: &String| NewAccount { uid: uid.clone(), ..NewAccount::example() };
    let accounts = uids.iter().map(account).collect();
    let options = Options { habits, accounts, ..Options::default() };
    let gateway = Simulator::start(options, Clock::system()).await.unwrap();
    let first = first().await;
    for (uid, place) in uids.iter().zip(&places) {
        arrive(&gateway, uid, first);
        gateway.fault_next_of(uid, fault(*place));
    }
    let receiver = Receiver::start().await;
    let home = Home::with(&config(&gateway, &uids, &receiver));
    let service = home.serve();
    is_read_again(&gateway, &home, &uids, first.hour(), consume).await;
    stops(service, &home);
    let mut expected: Vec<Kept> = records().iter().map(|record| kept_of(record, first)).collect();
    expected.sort();
    for (uid, place) in uids.iter().zip(&places) {
        assert_eq!(kept(&home, uid), expected, "cut behind byte {place}, {context}");
    }
    let told = receiver.webhooks().len();
    assert_eq!(told, uids.len() * expected.len(), "webhooks, {context}");
    assert_eq!(gateway.early_reads(), 0, "asked too early, {context}");
    let broken = gateway.requests().iter().filter(|read| read.ending == Ending::Broken).count();
    assert_eq!(broken, uids.len(), "answers that broke, {context}");
    gateway.stop().await;
}

fn arrive(gateway: &Simulator, uid: &str, first: BeijingTime) {
    for record in records() {
        let replied_at = BeijingTime::from_unix_seconds(first.unix_seconds() + record.second);
        let Forty { mobile, content, gateway: number, .. } = record;
        let gateway_number = number.to_owned();
        gateway.arrive(uid, NewReply { mobile, content, replied_at, gateway: gateway_number });
    }
}

fn config(gateway: &Simulator, uids: &[String], receiver: &Receiver) -> String {
    let (base_url, pwd) = (gateway.base_url(), NewAccount::example().pwd);
    let mut config = "[server]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    for uid in uids {
        write!(
            config,
            "[[account]]\nname = \"{uid}\"\nbase_url = \"{base_url}\"\nuid = \"{uid}\"\n\
             password_md5 = \"{pwd}\"\nschedule = \"* * * * * *\"\nmin_interval = \"3s\"\n\
             recover = \"0s\"\n"
        )
        .unwrap();
    }
    config + &receiver.subscription("crm")
}

/// Waits until each account's hour was read whole and all of it was told, and where the gateway
/// hands out the same once more, until it has.
async fn is_read_again(
    gateway: &Simulator,
    home: &Home,
    uids: &[String],
    hour: Hour,
    consume: Consume,
) {
    let hands_out_again = |read: &ReadRequest| {
        consume == Consume::AtRequest || (read.asked == Asked::Plain && read.handed_out > 0)
    };
    until("every hour, read whole", || {
        let requests = gateway.requests();
        let whole: Vec<_> = requests.iter().filter(|read| read.ending == Ending::Whole).collect();
        uids.iter().all(|uid| {
            let mut own = whole.iter().filter(|read| read.uid == *uid);
            own.clone().any(|read| read.asked == Asked::Hour(hour))
                && own.any(|read| hands_out_again(read))
        })
    })
    .await;
    let told = || {
        count(home, "delivery WHERE state != 'delivered'") == 0
            && count(home, "delivery") >= i64::try_from(uids.len() * 40).unwrap()
    };
    until("all of it to be told", told).await;
    // Some account is being read at any moment: what was begun until now is waited for.
    let last: i64 = query(home, "SELECT coalesce(max(id), 0) FROM read");
    let open = format!("read WHERE id <= {last} AND state IN ('started', 'received')");
    until("what was read to be taken in", || count(home, &open) == 0).await;
}

fn stops(service: Service, home: &Home) {
    assert_eq!(service.stop(), Some(0), "{}", home.log());
}

fn kept_of(record: &Forty, first: BeijingTime) -> Kept {
    let (text, _) = encoding_rs::GBK.decode_without_bom_handling(&record.content);
    let second = first.unix_seconds() + record.second;
    (record.mobile_kept.clone(), text.into_owned(), second, record.gateway.to_owned())
}

/// What the store keeps of an account, sorted.
fn kept(home: &Home, account: &str) -> Vec<Kept> {
    let store = rusqlite::Connection::open(home.path("replyd.db")).unwrap();
    let sql = "SELECT mobile, content, replied_at, gateway FROM reply WHERE account = ?1";
    let mut statement = store.prepare(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let mut kept: Vec<Kept> =
        statement.query_map([account], row).unwrap().collect::<Result<_, _>>().unwrap();
    kept.sort();
    kept
}

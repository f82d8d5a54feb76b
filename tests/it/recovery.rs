//! How long it takes from `kill -9` to ready, with many replies stored.
//!
//! `REPLYD_TEST_RECOVERY` says how many. The store is filled by SQL, as the product would have
//! filled it; then the service is killed while it writes, with a log that no checkpoint has
//! emptied. What is measured is the time from the start of the process until `/readyz` says 200.
//! No time is asserted in CI, whose machines differ; the full run wants less than a second.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use replyd::gateway::simulator::{Habits, NewReply, Simulator};
use rusqlite::config::DbConfig;

use crate::chance::{self, figure};
use crate::intake::count;
use crate::support::{Home, PATIENCE, Receiver, Service, Settings, UID, gateway, now};

/// Replies in the store, in CI.
const REPLIES: usize = 20_000;
/// From so many on, the time is asserted: a run of that size is made where it is to be measured.
const MEASURED: usize = 1_000_000;
const READY_MAX: Duration = Duration::from_secs(1);
/// Starts of which the slowest counts.
const STARTS: usize = 3;
/// Bytes that the log has at least when the service is killed: in CI, and where it is measured,
/// which is four times as long as one that nobody keeps long.
const LOG_BYTES_MIN: u64 = 8 * 1024 * 1024;
const LOG_BYTES_MEASURED: u64 = 64 * 1024 * 1024;
/// Replies of one answer while the log grows.
const ANSWERED: usize = 2_000;

/// `?1` replies, ten to a read, a hundred or more of each mobile, each told.
const FILL: &str = "
INSERT INTO read (account, state, charset, started_ms, deadline_boot, deadline_boot_ms, ended_ms, ending,
                  http_status, body, body_sha256, status, verdict, records, faults, replies_new)
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 / 10)
SELECT 'main', 'ingested', 'gbk', 1700000000000 + i * 600000, 'a', i, 1700000000000 + i * 600000, 'announced',
       200, randomblob(600), randomblob(32), 100, 'proven', 10, 0, 10 FROM n;
INSERT INTO reply (id, identity, occurrence, account, mobile, replied_at, content, gateway, read_id, kept_ms)
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
SELECT 'rpl_' || lower(hex(randomblob(16))), randomblob(32), 1, 'main', '1390000' || printf('%04d', i % 10000),
       1700000000 + i * 60, 'reply ' || i, '1068112227282', (SELECT max(id) FROM read), 1700000000000 + i * 60000
FROM n;
INSERT INTO tally (identity, account, hour, plain, seen)
SELECT identity, account, replied_at / 3600 + 8, 1, 0 FROM reply;
INSERT INTO event (id, type, body) SELECT id, 'reply.received', printf('%400d', seq) FROM reply;
INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms, attempts)
SELECT 'crm', seq, 'auto', 'delivered', 1700000000000, 1700000000000, 1 FROM event;
INSERT INTO attempt (delivery_id, number, started_ms, duration_ms, http_status, next)
SELECT id, 1, 1700000000000, 20, 204, 'delivered' FROM delivery;
";

#[tokio::test(flavor = "multi_thread")]
async fn from_kill_9_to_ready_takes_as_long_with_many_replies_as_with_none() {
    let replies = chance::size("REPLYD_TEST_RECOVERY", REPLIES);
    let (_gateway, _receiver, empty) = stage().await;
    let nothing = slowest(&empty);
    let (gateway, _receiver, home) = stage_filled(replies).await;
    let mut ready = Duration::ZERO;
    let log_bytes_min = if replies < MEASURED { LOG_BYTES_MIN } else { LOG_BYTES_MEASURED };
    let mut log_bytes = 0;
    for _ in 0..STARTS {
        log_bytes = log_bytes.max(killed_at_work(&gateway, &home, log_bytes_min).await);
        ready = ready.max(time_to_ready(&home).0);
    }
    let ratio = ready.as_secs_f64() / nothing.as_secs_f64();
    let store_bytes = std::fs::metadata(home.path("replyd.db")).unwrap().len();
    figure(
        "`kill -9` under load to ready",
        &format!(
            "{replies} replies, store of {} MB, log of {} MB",
            store_bytes / 1_000_000,
            log_bytes / 1_000_000
        ),
        &format!(
            "{} ms, the slowest of {STARTS}; {ratio:.1} times a start on an empty store ({} ms)",
            ready.as_millis(),
            nothing.as_millis()
        ),
    );
    if replies >= MEASURED {
        assert!(ready < READY_MAX, "{ready:?} to ready");
    }
}

async fn stage() -> (Simulator, Receiver, Home) {
    let habits = Habits { min_interval: Duration::from_millis(50), ..Habits::default() };
    let (gateway, receiver) = (gateway(habits).await, Receiver::start().await);
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        // A read that the kill broke off is waited for so long, which has to be less than the test's patience.
        timeout: "10s",
        account: "recover = \"1h\"",
        ..Settings::default()
    });
    (gateway, receiver, home)
}

async fn stage_filled(replies: usize) -> (Simulator, Receiver, Home) {
    let stage = stage().await;
    let home = &stage.2;
    let (_, service) = time_to_ready(home);
    assert_eq!(service.stop(), Some(0));
    let store = rusqlite::Connection::open(home.path("replyd.db")).unwrap();
    let fill = || {
        store.execute_batch("PRAGMA synchronous = OFF; BEGIN").unwrap();
        store.execute_batch(&FILL.replace("?1", &replies.to_string())).unwrap();
        store.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        // What a gigabyte on its way to the disk costs is not what is measured.
        std::fs::File::open(home.path("replyd.db")).unwrap().sync_all().unwrap();
    };
    tokio::task::block_in_place(fill);
    let kept = usize::try_from(count(home, "reply")).unwrap();
    assert!(kept >= replies);
    stage
}

/// Lets the service take in answers until its log is long, which a reader that stays keeps from
/// being emptied, and kills it in the middle. The log's bytes.
async fn killed_at_work(gateway: &Simulator, home: &Home, log_bytes_min: u64) -> u64 {
    let (_, service) = time_to_ready(home);
    let reader = rusqlite::Connection::open(home.path("replyd.db")).unwrap();
    reader.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let _kept: i64 = reader.query_row("SELECT max(seq) FROM reply", [], |row| row.get(0)).unwrap();
    let log_bytes = || std::fs::metadata(home.path("replyd.db-wal")).map_or(0, |log| log.len());
    let started = Instant::now();
    while log_bytes() < log_bytes_min {
        assert!(started.elapsed() < PATIENCE, "the log does not grow\n{}", home.log());
        if gateway.waiting(UID) < ANSWERED {
            for number in 0..ANSWERED {
                let mobile = format!("139{:08}", number % 100_000);
                gateway.arrive(UID, NewReply::text(&mobile, &"字".repeat(200), now(), "1069"));
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    service.kill();
    // Without emptying the log, which whoever closes the store last else does.
    drop(reader);
    log_bytes()
}

/// The slowest start on a store without replies.
fn slowest(home: &Home) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..STARTS {
        let (ready, service) = time_to_ready(home);
        service.kill();
        slowest = slowest.max(ready);
    }
    slowest
}

/// Starts the service and waits until it is ready, without a pause between two questions.
fn time_to_ready(home: &Home) -> (Duration, Service) {
    drop(std::fs::remove_file(home.path("log")));
    let started = Instant::now();
    let service = home.serve();
    let ready = || {
        let address = loop {
            assert!(started.elapsed() < PATIENCE, "does not listen\n{}", home.log());
            match address(home) {
                Some(address) => break address,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        while !is_ready(address) {
            assert!(started.elapsed() < PATIENCE, "is not ready\n{}", home.log());
            std::thread::sleep(Duration::from_millis(1));
        }
        started.elapsed()
    };
    (tokio::task::block_in_place(ready), service)
}

/// Where the service says that it listens.
pub(crate) fn address(home: &Home) -> Option<SocketAddr> {
    let log = home.log();
    let line = log.lines().find(|line| line.contains("replyd runs"))?;
    let text = line.split("listen=").nth(1)?.split_whitespace().next()?;
    text.trim_matches('"').parse().ok()
}

fn is_ready(address: SocketAddr) -> bool {
    get(address, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// What the service answers.
pub(crate) fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

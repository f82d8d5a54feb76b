//! The product's own way: a store on disk, answers taken in, and a worker for each subscriber.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use replyd::clock::Clock;
use replyd::config::{Config, Secrets, SubscriberConfig};
use replyd::delivery::channel::Channel;
use replyd::delivery::worker::Worker;
use replyd::gateway::charset::Charset;
use replyd::gateway::client::{Ending, Received};
use replyd::intake::take_in::TakeIn;
use replyd::metrics::Metrics;
use replyd::reply::IdKey;
use replyd::route::Route;
use replyd::store::delivery::SubscriberSpec;
use replyd::store::read::{AccountSettings, AccountSpec, Begin, ReadRequest};
use replyd::store::{OpenMode, Store};
use replyd::time::BeijingTime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const INTERVAL: Duration = Duration::from_mins(10);
const ACCOUNT: &str = "main";
/// The dead subscriber's name.
const DEAD: &str = "dead";
const DEAD_CONCURRENCY: usize = 8;
/// Replies of one answer.
const ANSWER: usize = 20_000;
/// The first reply's second: 2026-11-01 00:00:00 in Beijing.
const FIRST: i64 = 1_793_462_400;

/// A service's store, and the subscribers to which it delivers.
pub(crate) struct Product {
    folder: tempfile::TempDir,
    store: Store,
    clock: Clock,
    subscribers: Vec<SubscriberConfig>,
    /// The dead one, where there is one.
    dead: Option<SubscriberConfig>,
    arrived: AtomicUsize,
}

/// Workers that deliver until they are stopped.
pub(crate) struct Workers {
    running: JoinSet<()>,
    stop: CancellationToken,
}

impl Workers {
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while self.running.join_next().await.is_some() {}
    }
}

fn configured(count: usize, concurrency: usize, url: &str) -> Vec<SubscriberConfig> {
    let names: Vec<String> = (0..count).map(|number| format!("crm-{number}")).collect();
    named(&names, concurrency, url)
}

fn named(names: &[String], concurrency: usize, url: &str) -> Vec<SubscriberConfig> {
    let mut text =
        "[[account]]\nname = \"main\"\nbase_url = \"http://127.0.0.1:9\"\nuid = \"9999\"\n\
                    password_md5 = \"fa246d0262c3925617b0c72bb20eeb1d\"\n"
            .to_owned();
    for name in names {
        text += &format!(
            "[[subscriber]]\nname = \"{name}\"\nurl = \"{url}\"\nallow_private = true\n\
             secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\nconcurrency = {concurrency}\n"
        );
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Config::load(file.path(), Secrets::Read, &[]).unwrap().subscribers
}

impl Product {
    /// A fresh store that knows one account and so many subscribers.
    pub(crate) async fn new(subscribers: usize, concurrency: usize, url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("replyd.db"), OpenMode::Create).unwrap();
        let subscribers = configured(subscribers, concurrency, url);
        let product = Self {
            folder,
            store,
            clock: Clock::system(),
            subscribers,
            dead: None,
            arrived: AtomicUsize::new(0),
        };
        product.configure().await;
        product
    }

    async fn configure(&self) {
        let key = IdKey::from_secret(b"a key");
        let account = AccountSpec {
            name: ACCOUNT.to_owned(),
            settings: AccountSettings {
                number: Some("1068112227282".to_owned()),
                min_interval: INTERVAL,
                recover: Duration::from_hours(24),
                schedule: "0 */10 * * * *".to_owned(),
            },
            configured_key: None,
            derived_key: key.clone(),
            login: key.clone(),
            mailbox: key,
        };
        let spec = |subscriber: &SubscriberConfig| SubscriberSpec {
            name: subscriber.name.clone(),
            route: Route::default(),
            enabled: true,
        };
        let specs = self.subscribers.iter().chain(&self.dead).map(spec).collect();
        self.store.put_configuration(vec![account], specs, self.clock.now()).await.unwrap();
    }

    /// Takes in answers of so many replies in all, each of another second.
    pub(crate) async fn arrive(&self, replies: usize) {
        let mut left = replies;
        while left > 0 {
            let now = left.min(ANSWER);
            let first = self.arrived.fetch_add(now, Ordering::Relaxed);
            self.take_in(body(now, first)).await;
            left -= now;
        }
    }

    async fn take_in(&self, body: Vec<u8>) {
        let request = ReadRequest {
            account: ACCOUNT.to_owned(),
            hour: None,
            charset: Charset::Gbk,
            timeout: Duration::from_mins(5),
            min_interval: INTERVAL,
            room: 0,
        };
        // As if every former read had been long ago.
        let slot = self.clock.now().after(INTERVAL);
        let Begin::Begun(read) = self.store.begin_read(request, slot).await.unwrap() else {
            panic!("no slot lasts longer than the interval");
        };
        let received =
            Received { http_status: Some(200), ending: Ending::Announced, body, error: None };
        self.store.finish_read(read, received, self.clock.now(), INTERVAL).await.unwrap();
        let take_in = TakeIn::new(self.store.clone(), self.clock.clone());
        take_in.read(read).await.unwrap().expect("nobody else takes it in");
    }

    /// Begins to deliver.
    pub(crate) fn work(&self) -> Workers {
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        for config in self.subscribers.iter().chain(&self.dead) {
            let worker = Worker::new(
                self.store.clone(),
                self.clock.clone(),
                config.clone(),
                &Metrics::default(),
            )
            .unwrap();
            let stop = stop.clone();
            running.spawn(async move { worker.run(stop).await.unwrap() });
        }
        Workers { running, stop }
    }

    /// Waits until every delivery to the living is recorded, for which it asks the store so often.
    pub(crate) async fn until_delivered(&self, look: Duration) {
        let store = rusqlite::Connection::open(self.folder.path().join("replyd.db")).unwrap();
        let mut any = store
            .prepare("SELECT 1 FROM delivery WHERE subscriber = ?1 AND state = 'waiting' LIMIT 1")
            .unwrap();
        for subscriber in &self.subscribers {
            while any.exists([&subscriber.name]).unwrap() {
                tokio::time::sleep(look).await;
            }
        }
    }

    /// How many transactions were committed.
    pub(crate) fn commits(&self) -> u64 {
        self.store.commits()
    }

    /// Keeps so many replies as delivered long ago.
    pub(crate) async fn fill(&self, replies: usize) {
        let path = self.folder.path().join("replyd.db");
        let rows = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {replies})
             INSERT INTO event (id, type, body, mobile, replied_at)
             SELECT 'evt_' || i, 'reply.received', printf('%400d', i), '1390' || printf('%07d', i), i FROM n;
             INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms, mobile, replied_at)
             SELECT 'crm-0', seq, 'auto', 'delivered', 1, 1, mobile, replied_at FROM event;
             INSERT INTO attempt (delivery_id, number, started_ms, duration_ms, http_status, next)
             SELECT id, 1, 1, 20, 204, '{{\"then\":\"delivered\"}}' FROM delivery;"
        );
        rusqlite::Connection::open(path).unwrap().execute_batch(&rows).unwrap();
    }

    /// Keeps so many deliveries that are due for a subscriber whose server is gone, and which has a
    /// worker as the others have.
    pub(crate) async fn dead_backlog(&mut self, deliveries: usize) {
        self.fill(deliveries).await;
        self.dead = named(&[DEAD.to_owned()], DEAD_CONCURRENCY, &closed_url()).pop();
        self.configure().await;
        // As they are when they were just made: due by when they were written, never tried, and far
        // from being given up.
        let (path, now) = (self.folder.path().join("replyd.db"), self.clock.unix().0);
        let rows = format!(
            "DELETE FROM attempt;
             UPDATE delivery SET state = 'waiting', subscriber = '{DEAD}', created_ms = {now},
                 due_ms = replied_at * 1000"
        );
        rusqlite::Connection::open(path).unwrap().execute_batch(&rows).unwrap();
    }

    /// How many attempts at the dead subscriber were recorded as failed.
    pub(crate) fn dead_attempts(&self) -> i64 {
        let store = rusqlite::Connection::open(self.folder.path().join("replyd.db")).unwrap();
        let sql = "SELECT count(*) FROM attempt JOIN delivery ON delivery.id = delivery_id
                   WHERE subscriber = ?1 AND trouble IS NOT NULL";
        store.query_row(sql, [DEAD], |row| row.get(0)).unwrap()
    }

    /// Changes the rows of so many deliveries as delivering them does, by the same kind of statements
    /// in commits of as many, and does nothing else: what the store alone takes.
    pub(crate) fn change_rows(&self, deliveries: usize) {
        const GROUP: usize = 256;
        let store = rusqlite::Connection::open(self.folder.path().join("replyd.db")).unwrap();
        store
            .execute_batch(
                "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -32768;
                 INSERT INTO lease (id, subscriber, end_ms, deliveries) VALUES (1, 'crm-0', 0, '[]')",
            )
            .unwrap();
        let mut claim =
            store.prepare("UPDATE lease SET end_ms = ?2, deliveries = ?1 WHERE id = 1").unwrap();
        let mut put = store
            .prepare(
                "INSERT OR FAIL INTO attempt (delivery_id, number, started_ms, duration_ms, address, http_status, next, first_byte_us)
                 SELECT value, 1, ?2, 1, '127.0.0.1:8000', 204, '{\"then\":\"delivered\"}', 70 FROM json_each(?1)",
            )
            .unwrap();
        let mut end = store
            .prepare(
                "UPDATE OR FAIL delivery SET state = 'delivered', attempts = 1, in_line = 0
                 WHERE id IN (SELECT value FROM json_each(?1))",
            )
            .unwrap();
        let now = self.clock.unix().0;
        for chunk in (1..=deliveries).collect::<Vec<_>>().chunks(GROUP) {
            let ids = serde_json::to_string(chunk).unwrap();
            store.execute_batch("BEGIN IMMEDIATE").unwrap();
            put.execute(rusqlite::params![ids, now]).unwrap();
            end.execute([&ids]).unwrap();
            claim.execute(rusqlite::params![ids, now + 25_000]).unwrap();
            store.execute_batch("COMMIT").unwrap();
        }
    }

    /// The bodies of so many replies' events.
    pub(crate) async fn bodies(replies: usize) -> Vec<String> {
        let product = Self::new(1, 8, "http://127.0.0.1:9/").await;
        product.arrive(replies).await;
        let store = rusqlite::Connection::open(product.folder.path().join("replyd.db")).unwrap();
        let mut bodies = store.prepare("SELECT body FROM event ORDER BY seq").unwrap();
        let bodies = bodies.query_map([], |row| row.get(0)).unwrap();
        bodies.collect::<Result<_, _>>().unwrap()
    }
}

/// Where nobody listens: a port that was free a moment ago.
fn closed_url() -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{address}/")
}

/// Posts the bodies to each subscriber by the product's client, and does nothing else.
pub(crate) async fn ceiling(bodies: &[String], subscribers: usize, concurrency: usize, url: &str) {
    let mut posting = JoinSet::new();
    for config in configured(subscribers, concurrency, url) {
        let channel = Arc::new(Channel::new(&config).unwrap());
        let (next, bodies) = (Arc::new(AtomicUsize::new(0)), Arc::new(bodies.to_vec()));
        for _ in 0..concurrency {
            let (channel, next, bodies) = (channel.clone(), next.clone(), bodies.clone());
            posting.spawn(async move {
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let headers = [("content-type", "application/json".into())];
                    let exchange =
                        channel.post(headers, body.clone(), Duration::from_secs(15)).await;
                    assert_eq!(exchange.http_status, Some(204));
                }
            });
        }
    }
    while let Some(posted) = posting.join_next().await {
        posted.unwrap();
    }
}

/// An answer of so many records, each of a second and a person of its own.
fn body(records: usize, first: usize) -> Vec<u8> {
    let mut body = b"100".to_vec();
    for number in first..first + records {
        let replied_at = BeijingTime::from_unix_seconds(FIRST + i64::try_from(number / 5).unwrap());
        let mobile = 13_900_000_000_u64 + u64::try_from(number % 100_000).unwrap();
        let record =
            format!("{{&}}{mobile}||好的,收到,谢谢 {number}||{replied_at}||106811222728200");
        body.extend(Charset::Gbk.encode(&record).unwrap());
    }
    body
}

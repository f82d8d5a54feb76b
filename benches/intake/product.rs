//! The product's own way: a store on disk, an account, three subscribers, and answers taken in.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use replyd::clock::{Clock, Moment};
use replyd::gateway::charset::Charset;
use replyd::gateway::client::{Ending, Received};
use replyd::intake::take_in::TakeIn;
use replyd::reply::IdKey;
use replyd::route::Route;
use replyd::store::delivery::SubscriberSpec;
use replyd::store::read::{AccountSettings, AccountSpec, Begin, Ingested, ReadId, ReadRequest};
use replyd::store::{OpenMode, Store};
use replyd::time::{BeijingTime, Hour, UnixMs};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const INTERVAL: Duration = Duration::from_mins(10);
const ACCOUNT: &str = "main";
const SUBSCRIBERS: [&str; 3] = ["crm", "archive", "alarm"];
/// What customers write, short and less so.
const TEXTS: [&str; 8] = [
    "TD",
    "好的,收到",
    "1",
    "请问什么时候可以到货?我下午不在家,放在门口就可以了,谢谢",
    "退订",
    "不需要,请不要再发了",
    "明天上午十点可以,地址是人民路12号3单元",
    "同意",
];
/// The first reply's second: 2026-11-01 00:00:00 in Beijing.
const FIRST: i64 = 1_793_462_400;
/// Replies that come within one second.
const EACH_SECOND: usize = 5;

/// A service's store in a folder of its own.
pub(crate) struct Product {
    folder: tempfile::TempDir,
    store: Store,
    clock: Clock,
}

impl Product {
    /// A fresh store that knows one account and three subscribers, all of which want all.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("replyd.db"), OpenMode::Create).unwrap();
        let key = IdKey::from_secret(b"a key");
        let settings = AccountSettings {
            number: Some("1068112227282".to_owned()),
            min_interval: INTERVAL,
            recover: Duration::from_hours(24),
            schedule: "0 */10 * * * *".to_owned(),
        };
        let account = AccountSpec {
            name: ACCOUNT.to_owned(),
            settings,
            configured_key: None,
            derived_key: key.clone(),
            login: key.clone(),
            mailbox: key,
        };
        let subscriber = |name: &str| SubscriberSpec {
            name: name.to_owned(),
            route: Route::default(),
            enabled: true,
        };
        let clock = Clock::system();
        let subscribers = SUBSCRIBERS.map(subscriber).to_vec();
        store.put_configuration(vec![account], subscribers, clock.now()).await.unwrap();
        Self { folder, store, clock }
    }

    /// Where the store's file is.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("replyd.db")
    }

    /// Lets go of the store and keeps its folder.
    pub(crate) fn close(self) -> tempfile::TempDir {
        self.folder
    }

    /// Begins a read, as if every former one had been long ago.
    pub(crate) async fn begin(&self, hour: Option<Hour>) -> ReadId {
        let request = ReadRequest {
            account: ACCOUNT.to_owned(),
            hour,
            charset: Charset::Gbk,
            timeout: Duration::from_mins(5),
            min_interval: INTERVAL,
            room: 0,
        };
        let begun = match self.store.begin_read(request, self.after_the_slot()).await.unwrap() {
            Begin::Begun(read) => Some(read),
            Begin::Busy(_) => None,
        };
        begun.expect("no slot lasts longer than the interval")
    }

    /// The slot counts from the end of the last read: begun an interval later, this one is due.
    fn after_the_slot(&self) -> Moment {
        self.clock.now().after(INTERVAL)
    }

    /// Keeps a whole answer.
    pub(crate) async fn receive(&self, read: ReadId, body: Vec<u8>) {
        let received =
            Received { http_status: Some(200), ending: Ending::Announced, body, error: None };
        self.store.finish_read(read, received, self.clock.now(), INTERVAL).await.unwrap();
    }

    /// Takes in what was received.
    pub(crate) async fn take_in(&self, read: ReadId) -> Ingested {
        let take_in = TakeIn::new(self.store.clone(), self.clock.clone());
        take_in.read(read).await.unwrap().expect("nobody else takes it in")
    }

    /// Writes a little again and again, until it is asked how long that took at most.
    pub(crate) fn watch_writer(&self) -> Waits {
        let (store, stop) = (self.store.clone(), CancellationToken::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            while !stopped.is_cancelled() {
                let started = Instant::now();
                store.claim("crm", UnixMs(0), UnixMs(0), 1).await.unwrap();
                longest = longest.max(started.elapsed());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            longest
        });
        Waits { stop, task }
    }
}

/// One who writes a little again and again.
pub(crate) struct Waits {
    stop: CancellationToken,
    task: JoinHandle<Duration>,
}

impl Waits {
    /// How long its longest write took.
    pub(crate) async fn longest(self) -> Duration {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

/// An answer of so many records, numbered from `first`; every fiftieth text comes twice.
pub(crate) fn body(records: usize, first: usize) -> Vec<u8> {
    let mut body = b"100".to_vec();
    for number in first..first + records {
        let of = if number % 50 == 49 && number > first { number - 1 } else { number };
        let text = TEXTS.iter().cycle().nth(of % TEXTS.len()).unwrap();
        let second = FIRST + i64::try_from(of / EACH_SECOND).unwrap();
        let replied_at = BeijingTime::from_unix_seconds(second);
        let mobile = 13_900_000_000_u64 + u64::try_from(of * 7 % 10_000).unwrap();
        let extension = of % 100;
        let record = format!("{{&}}{mobile}||{text}||{replied_at}||1068112227282{extension:02}");
        body.extend(Charset::Gbk.encode(&record).unwrap());
    }
    body
}

//! The service under load for a while, with all that can be wrong at its receivers: what it takes of
//! the machine stays as it is, and everything is delivered.
//!
//! `REPLYD_TEST_SOAK` says for how many seconds; in CI it is a few. Two hundred customers write each
//! second. One receiver is well, one takes its time, one fails all the time until the end, and one is a
//! chat that is told of some. Meanwhile somebody reads metrics and lists replies. Looked at are the
//! process's memory, its open files and the log beside its store, once it has warmed up and at the end.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use replyd::gateway::simulator::{Habits, NewReply, Simulator};

use crate::chance::{self, figure};
use crate::intake::count;
use crate::recovery::{address, get};
use crate::support::{Home, Service, Settings, UID, config, gateway, now, subscriber, until};

/// Seconds in CI.
const SECONDS: usize = 8;
/// From so many on it is a soak, and its memory is judged.
const MEASURED: usize = 300;
const PER_SECOND: usize = 200;
/// Of so many replies the chat is told one.
const CHAT_EACH: usize = 100;
/// How long the slow receiver takes.
const SLOWNESS: Duration = Duration::from_millis(150);
/// How much more memory there may be at the end than when it had warmed up, in MiB: of a soak, and
/// in CI, where caches are still being filled.
const GROWTH_MIB_MAX: u64 = 16;
const GROWTH_MIB_IN_CI: u64 = 64;
/// Open files more than when it had warmed up: a connection each that is just being replaced.
const FILES_MORE_MAX: usize = 16;
/// The log's bound, twice: it is cut after a commit that made it longer.
const LOG_BYTES_MAX: u64 = 2 * 16 * 1024 * 1024;
/// How long what is left may take to be delivered at the end.
const END_MAX: Duration = Duration::from_mins(10);

/// A receiver that counts what it is told, and by how many requests.
#[derive(Clone, Default)]
struct Counter {
    ids: Arc<Mutex<HashSet<String>>>,
    requests: Arc<AtomicU64>,
    takes: Arc<Mutex<Duration>>,
    fails: Arc<AtomicBool>,
}

impl Counter {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(receive)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn told(&self) -> usize {
        self.ids.lock().unwrap().len()
    }
}

async fn receive(State(counter): State<Counter>, headers: HeaderMap) -> (StatusCode, &'static str) {
    let takes = *counter.takes.lock().unwrap();
    tokio::time::sleep(takes).await;
    counter.requests.fetch_add(1, Ordering::Relaxed);
    if counter.fails.load(Ordering::SeqCst) {
        return (StatusCode::SERVICE_UNAVAILABLE, "not now");
    }
    let id = headers.get("webhook-id").map(|id| id.to_str().unwrap().to_owned());
    counter.ids.lock().unwrap().extend(id);
    (StatusCode::OK, "ok")
}

/// What the process takes.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    memory_mib: u64,
    files: usize,
    log_bytes: u64,
}

fn taken(service: &Service, home: &Home) -> Taken {
    let process = Path::new("/proc").join(service.id().to_string());
    let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = resident.map_or(0, |text| text.trim().trim_end_matches(" kB").parse().unwrap());
    Taken {
        memory_mib: kib / 1024,
        files: std::fs::read_dir(process.join("fd")).map_or(0, Iterator::count),
        log_bytes: std::fs::metadata(home.path("replyd.db-wal")).map_or(0, |log| log.len()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_files_and_log_stay_as_they_are_under_load() {
    let seconds = chance::size("REPLYD_TEST_SOAK", SECONDS);
    let habits = Habits { min_interval: Duration::ZERO, ..Habits::default() };
    let gateway = gateway(habits).await;
    let [well, slow, failing, chat] = [(); 4].map(|()| Counter::default());
    *slow.takes.lock().unwrap() = SLOWNESS;
    failing.fails.store(true, Ordering::SeqCst);
    let settings = Settings { base_url: &gateway.base_url(), ..Settings::default() };
    let local = "allow_private = true\n";
    let sections = [
        subscriber("well", &well.start().await, local),
        subscriber("slow", &slow.start().await, &format!("{local}concurrency = 64")),
        subscriber("failing", &failing.start().await, local),
        subscriber(
            "chat",
            &chat.start().await,
            &format!("{local}format = \"mattermost\"\nmatch = {{ content = \" 0+$\" }}"),
        )
        .replace(&format!("secret = \"{}\"\n", crate::support::SECRET), ""),
    ];
    let home = Home::with(&[config(&settings), sections.concat()].concat());
    let service = home.serve();
    until("the service", || address(&home).is_some()).await;

    let written = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let customers = tokio::spawn(write(gateway.clone(), Arc::clone(&written), Arc::clone(&stop)));
    let onlooker = tokio::spawn(look_on(address(&home).unwrap(), Arc::clone(&stop)));
    let (mut warm, mut most) = (Taken::default(), Taken::default());
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    for second in 0..=seconds {
        ticks.tick().await;
        let taken = taken(&service, &home);
        if second == seconds / 3 {
            warm = taken;
        }
        most.memory_mib = most.memory_mib.max(taken.memory_mib);
        most.log_bytes = most.log_bytes.max(taken.log_bytes);
        most.files = most.files.max(taken.files);
        if seconds >= MEASURED && second % 30 == 0 {
            let told = [&well, &slow, &chat].map(Counter::told);
            chance::say(&format!("{second} s: {taken:?}, told {told:?}"));
        }
    }
    let end = taken(&service, &home);
    stop.store(true, Ordering::SeqCst);
    customers.await.unwrap();
    onlooker.await.unwrap();
    let written = usize::try_from(written.load(Ordering::SeqCst)).unwrap();
    assert!(written >= seconds * PER_SECOND * 9 / 10, "only {written} were written");

    failing.fails.store(false, Ordering::SeqCst);
    *slow.takes.lock().unwrap() = Duration::ZERO;
    let started = Instant::now();
    loop {
        let left = count(&home, "delivery WHERE state != 'delivered'");
        let replies = usize::try_from(count(&home, "reply")).unwrap();
        if left == 0 && replies == written {
            break;
        }
        assert!(started.elapsed() < END_MAX, "{left} deliveries are left, {replies} replies kept");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let drained = taken(&service, &home);
    assert_eq!([&well, &slow, &failing].map(Counter::told), [written; 3]);
    assert!(chat.requests.load(Ordering::SeqCst) > 0);
    assert_eq!(service.stop(), Some(0));
    gateway.stop().await;

    figure(
        "soak: one receiver well, one slow, one failing, one chat",
        &format!(
            "{seconds} s, {written} replies at {PER_SECOND}/s, {} deliveries",
            deliveries(&home)
        ),
        &format!(
            "all delivered; memory {} MiB when warm, {} at the end, {} once the failing one was served; \
             open files {}, {}, {}; log at most {} MiB",
            warm.memory_mib,
            end.memory_mib,
            drained.memory_mib,
            warm.files,
            end.files,
            drained.files,
            most.log_bytes.div_ceil(1024 * 1024)
        ),
    );
    assert!(most.log_bytes <= LOG_BYTES_MAX, "log: {most:?}");
    assert!(most.files <= warm.files + FILES_MORE_MAX, "open files: {warm:?}, at most {most:?}");
    assert!(drained.files <= warm.files + FILES_MORE_MAX, "open files: {warm:?}, {drained:?}");
    let growth_max = if seconds >= MEASURED { GROWTH_MIB_MAX } else { GROWTH_MIB_IN_CI };
    assert!(end.memory_mib <= warm.memory_mib + growth_max, "memory: {warm:?}, then {end:?}");
}

fn deliveries(home: &Home) -> i64 {
    count(home, "delivery")
}

/// Customers write at an even rate, whoever listens.
async fn write(gateway: Simulator, written: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    const BEATS_PER_SECOND: usize = 20;
    let period = Duration::from_secs(1) / u32::try_from(BEATS_PER_SECOND).unwrap();
    let mut beats = tokio::time::interval(period);
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        beats.tick().await;
        for _ in 0..PER_SECOND / BEATS_PER_SECOND {
            let mobile = format!("139{:08}", number % 10_000_000);
            let text = format!("reply {number} {:02}", number % CHAT_EACH);
            gateway.arrive(UID, NewReply::text(&mobile, &text, now(), "1068112227282"));
            number += 1;
        }
        written.store(number.try_into().unwrap(), Ordering::SeqCst);
    }
}

/// Somebody watches: what a monitor asks for, as often as one does at most.
async fn look_on(address: std::net::SocketAddr, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        for path in ["/metrics", "/readyz", "/livez"] {
            let asked = tokio::task::spawn_blocking(move || get(address, path));
            drop(asked.await.unwrap());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

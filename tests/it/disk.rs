//! A disk that fails at any write of a cycle: start, read, keep, take in, deliver, stop.
//!
//! `failing_disk.c`, built when the test runs and loaded into the real binary before the C
//! library, fails the n-th write, sync or truncation of the store's files, once or until the
//! disk is well again. `REPLYD_TEST_WRITES` says how many writes lie between two that fail, and
//! `all` stands for one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use replyd::gateway::simulator::{Habits, NewReply, Simulator};
use replyd::time::BeijingTime;
use tokio::task::JoinSet;

use crate::chance::{self, figure};
use crate::intake::count;
use crate::support::{
    Home, PATIENCE, Receiver, Service, Settings, UID, gateway, now, query, until,
};

/// Writes between two that fail, in CI.
const STRIDE: usize = 11;
/// Cases at once: most of their time is waiting.
const AT_ONCE: usize = 16;
/// Calls that a disk which goes on failing must have refused before it is well again: the
/// service has tried more than once.
const REFUSED: usize = 4;
/// How long ago the customers wrote: their hours are over, and read for good at once.
const LATE_S: i64 = 110 * 60;
const REPLIES: usize = 3;
const ERRORS: [(&str, i32); 2] = [("ENOSPC", 28), ("EIO", 5)];

/// How a disk fails.
#[derive(Clone, Copy, Debug)]
struct Failure {
    error: (&'static str, i32),
    /// The first call that fails.
    at: usize,
    /// Whether it fails until the disk is well again, and not once.
    lasts: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Met {
    /// No such call was made.
    Nothing,
    /// The service told and went on when the disk did.
    WentOn,
    /// It ended with an error, and was right after another start.
    Ended,
    /// It was stopping anyway.
    Stopped,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_at_any_write_loses_nothing_and_doubles_nothing() {
    let stride = match std::env::var("REPLYD_TEST_WRITES").as_deref() {
        Ok("all") => 1,
        _ => chance::size("REPLYD_TEST_WRITES", STRIDE),
    };
    let folder = tempfile::tempdir().unwrap();
    let library = Arc::new(build(folder.path()));
    let writes = writes_of_a_cycle(&library).await;
    let mut failures = Vec::new();
    for (number, error) in ERRORS.into_iter().enumerate() {
        for (other, lasts) in [true, false].into_iter().enumerate() {
            // Each kind begins elsewhere, so that together they meet more writes.
            let first = 1 + (2 * number + other) * stride / 4;
            let places = (first..=writes).step_by(stride);
            failures.extend(places.map(|at| Failure { error, at, lasts }));
        }
    }
    let cases = failures.len();
    let mut met: HashMap<Met, usize> = HashMap::new();
    let mut running = JoinSet::new();
    let mut left = failures.into_iter();
    loop {
        while running.len() < AT_ONCE
            && let Some(failure) = left.next()
        {
            running.spawn(survives(Arc::clone(&library), failure));
        }
        let Some(survived) = running.join_next().await else { break };
        *met.entry(survived.unwrap()).or_default() += 1;
    }
    let count = |kind| met.get(&kind).copied().unwrap_or_default();
    assert!(count(Met::Nothing) <= cases / 10, "too few calls failed: {met:?}");
    assert!(count(Met::WentOn) > 0 && count(Met::Ended) > 0, "{met:?}");
    figure(
        "ENOSPC and EIO at each write of a cycle, once and lasting",
        &format!("{cases} failures, every {stride} of {writes} writes"),
        &format!(
            "0 lost, 0 doubled, 0 reads into a store that fails; {} went on by themselves, {} \
             ended with an error and were right after a start, {} were stopping",
            count(Met::WentOn),
            count(Met::Ended),
            count(Met::Stopped)
        ),
    );
}

/// Builds the failing disk.
fn build(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/failing_disk.c");
    let library = folder.join("failing_disk.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
    assert!(compiler.status().unwrap().success(), "cannot build the failing disk");
    library
}

/// A service with a failing disk, and all around it.
struct Stage {
    gateway: Simulator,
    receiver: Receiver,
    home: Home,
}

impl Stage {
    async fn set() -> Self {
        let habits = Habits { min_interval: Duration::from_millis(50), ..Habits::default() };
        let (gateway, receiver) = (gateway(habits).await, Receiver::start().await);
        let home = Home::new(&Settings {
            base_url: &gateway.base_url(),
            subscribers: &[("crm", &receiver.url)],
            timeout: "1s",
            account: "recover = \"2h\"",
            subscriber: "allow_private = true\ntimeout = \"400ms\"",
            ..Settings::default()
        });
        let written = BeijingTime::from_unix_seconds(now().unix_seconds() - LATE_S);
        for number in 0..REPLIES {
            let mobile = format!("1390000000{number}");
            gateway.arrive(UID, NewReply::text(&mobile, "好", written, "1068112227282"));
        }
        Self { gateway, receiver, home }
    }

    fn serve(&self, library: &Path, failure: Option<Failure>) -> Service {
        let store = std::fs::canonicalize(self.home.path(".")).unwrap().join("replyd.db");
        let mut command = self.home.command(&["run"]);
        command
            .env("LD_PRELOAD", library)
            .env("FAILING_DISK", store)
            .env("FAILING_DISK_COUNT", self.home.path("calls"));
        if let Some(Failure { error, at, lasts }) = failure {
            command.env("FAILING_DISK_AT", at.to_string());
            command.env("FAILING_DISK_ERRNO", error.1.to_string());
            if lasts {
                command.env("FAILING_DISK_WELL", self.home.path("well"));
            }
        }
        self.home.spawn(command)
    }

    /// How many calls were refused.
    fn refused(&self) -> usize {
        self.calls().iter().filter(|call| **call == b'x').count()
    }

    fn calls(&self) -> Vec<u8> {
        std::fs::read(self.home.path("calls")).unwrap_or_default()
    }

    /// Whether every reply was told, and that is on disk.
    fn is_told(&self) -> bool {
        let has_store =
            self.home.path("replyd.db").exists() && self.receiver.webhooks().len() >= REPLIES;
        has_store && {
            let told = count(&self.home, "delivery WHERE state = 'delivered'");
            usize::try_from(told).unwrap() == REPLIES
        }
    }
}

async fn writes_of_a_cycle(library: &Path) -> usize {
    let stage = Stage::set().await;
    let service = stage.serve(library, None);
    until("all to be told", || stage.is_told()).await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(stage.refused(), 0);
    stage.gateway.stop().await;
    stage.calls().len()
}

async fn survives(library: Arc<PathBuf>, failure: Failure) -> Met {
    let stage = Stage::set().await;
    let mut service = stage.serve(&library, Some(failure));
    let started = Instant::now();
    while service.is_running() && stage.refused() == 0 && !stage.is_told() {
        assert!(started.elapsed() < PATIENCE, "{failure:?}: nothing happens\n{}", stage.home.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut is_told = stage.is_told();
    if !is_told && failure.lasts && service.is_running() {
        is_left_alone(&stage, &mut service, failure).await;
    }
    stage.home.write("well", "");
    while !is_told && service.is_running() {
        let lost = || format!("{failure:?}: it does not go on\n{}", stage.home.log());
        assert!(started.elapsed() < PATIENCE, "{}", lost());
        tokio::time::sleep(Duration::from_millis(20)).await;
        is_told = stage.is_told();
    }
    let met = ends(&stage, service, failure).await;
    let service = stage.home.serve();
    until(&format!("{failure:?}: all to be told"), || stage.is_told()).await;
    // What could be doubled is read again.
    let asked = stage.gateway.requests().len();
    until("another read", || stage.gateway.requests().len() > asked + 1).await;
    assert_eq!(service.stop(), Some(0));
    is_right(&stage, failure);
    stage.gateway.stop().await;
    met
}

/// A store that cannot be written gets no more to keep: the read that was under way is the last
/// one, however often the service tries.
async fn is_left_alone(stage: &Stage, service: &mut Service, failure: Failure) {
    let asked = stage.gateway.requests().len();
    let started = Instant::now();
    while service.is_running() && stage.refused() < REFUSED {
        let log = || stage.home.log();
        assert!(started.elapsed() < PATIENCE, "{failure:?}: it does not try again\n{}", log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = stage.home.log();
    let asked_since = stage.gateway.requests().len() - asked;
    assert!(asked_since <= 1, "{failure:?}: asked {asked_since} times\n{log}");
    assert!(log.contains("the store cannot be written"), "{failure:?}: it does not tell\n{log}");
}

/// Ends the service where it has not ended by itself.
async fn ends(stage: &Stage, mut service: Service, failure: Failure) -> Met {
    let went_on = stage.refused() > 0;
    if service.is_running() {
        assert_eq!(service.stop(), Some(0), "{failure:?}\n{}", stage.home.log());
        // Who lives on has lost no answer for want of a disk, though its hour would bring it back.
        let dropped = count(&stage.home, "read WHERE state = 'unanswered'");
        assert_eq!(dropped, 0, "{failure:?}: an answer was dropped\n{}", stage.home.log());
        return match (went_on, stage.refused()) {
            (true, _) => Met::WentOn,
            (false, 0) => Met::Nothing,
            (false, _) => Met::Stopped,
        };
    }
    let (code, log) = (service.ended().await, stage.home.log());
    assert_eq!(code, Some(1), "{failure:?}\n{log}");
    assert!(log.contains("the store cannot be written"), "{failure:?}: no clear words\n{log}");
    Met::Ended
}

/// Each reply is kept once and told under one id with one body, and the store is whole.
fn is_right(stage: &Stage, failure: Failure) {
    let log = || stage.home.log();
    assert_eq!(count(&stage.home, "reply"), 3, "{failure:?}: kept\n{}", log());
    assert_eq!(stage.gateway.early_reads(), 0, "{failure:?}: asked too early\n{}", log());
    let mut bodies: HashMap<String, Bytes> = HashMap::new();
    for webhook in stage.receiver.webhooks() {
        let first = bodies.entry(webhook.id().to_owned()).or_insert_with(|| webhook.body.clone());
        assert_eq!(*first, webhook.body, "{failure:?}: one id with two bodies");
    }
    assert_eq!(bodies.len(), REPLIES, "{failure:?}: ids\n{}", log());
    let whole: String = query(&stage.home, "PRAGMA integrity_check");
    assert_eq!(whole, "ok", "{failure:?}");
}

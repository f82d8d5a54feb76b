//! How fast replies are delivered, against what the same HTTP client can do with nothing else.
//!
//! `cargo bench --bench delivery` takes in answers of 100,000 replies and delivers each to one and
//! to five subscribers the whole way: claimed, signed, posted over kept connections to a receiver
//! of its own process, recorded and synced. In the same run the ceiling: the same client posts the
//! same bodies to the same receiver; and the same rows, changed with nothing else done.
//!
//! `-- --grown` adds the cost of a delivery with a thousand and with a million replies stored,
//! `-- --backlog` a million deliveries that are due for a dead subscriber while its worker tries
//! it, `-- --replies N` takes another number. Without `--bench`, as by `cargo test --benches`, it
//! is a small run.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark measures with the machine's clock, prints, and stops at what it does not expect"
)]

use std::time::{Duration, Instant};

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "intake/process.rs"]
mod process;
#[path = "delivery/product.rs"]
mod product;
#[path = "delivery/receiver.rs"]
mod receiver;

use product::{Product, ceiling};
use receiver::Receiver;

const REPLIES: usize = 100_000;
const SMALL: usize = 500;
/// A store that has lived for years, and one that has not.
const GROWN: [usize; 2] = [1_000, 1_000_000];
const BACKLOG: usize = 1_000_000;
/// Odd, so that the median is one that was measured.
const ROUNDS: usize = 5;
/// How often the store is asked whether all is delivered. Where a rate is measured, seldom: each look
/// is work of the store that no service has. Where the time of a single delivery is, often.
const LOOK: Duration = Duration::from_millis(5);
const LOOK_CLOSELY: Duration = Duration::from_millis(1);

/// What delivering took.
#[derive(Clone, Copy)]
struct Took {
    clock: Duration,
    processor: Duration,
    deliveries: usize,
    commits: u64,
}

impl Took {
    fn rate(&self) -> f64 {
        self.deliveries as f64 / self.clock.as_secs_f64()
    }

    fn micros(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.deliveries as f64
    }
}

fn main() {
    if std::env::args().any(|argument| argument == receiver::ROLE) {
        return receiver::serve();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    // Cargo says `--bench` when the figures are asked for.
    if !asked("--bench") {
        let receiver = Receiver::start();
        for subscribers in [1, 5] {
            let took = deliver(SMALL, subscribers, 8, &receiver).await;
            assert_eq!(took.deliveries, SMALL * subscribers);
        }
        latency(20, &receiver).await;
        beside_dead(SMALL, SMALL, &receiver).await;
        return;
    }
    let replies = number("--replies").unwrap_or(REPLIES);
    println!(
        "| deliveries | concurrency | rate | ceiling | part | processor time each | the client alone | the rows alone | commits each |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let receiver = Receiver::start();
    for (subscribers, concurrency) in [(1, 8), (5, 8), (1, 64)] {
        let mut pairs = Vec::new();
        for _ in 0..ROUNDS {
            let took = deliver(replies, subscribers, concurrency, &receiver).await;
            let top = post(replies, subscribers, concurrency, &receiver).await;
            pairs.push((took, top, change_rows(replies, subscribers).await));
        }
        pairs.sort_by(|(one, top, _), (other, other_top, _)| {
            (one.rate() / top.rate()).total_cmp(&(other.rate() / other_top.rate()))
        });
        let (took, top, rows) = pairs[ROUNDS / 2];
        println!(
            "| {replies} to {subscribers} | {concurrency} | {:.0}/s | {:.0}/s | {:.2} | {:.0} µs | {:.0} µs | {:.0} µs | {:.3} |",
            took.rate(),
            top.rate(),
            took.rate() / top.rate(),
            took.micros(),
            top.micros(),
            rows.micros(),
            took.commits as f64 / took.deliveries as f64
        );
    }
    latency(200, &receiver).await;
    if asked("--grown") {
        grown(&receiver).await;
    }
    if asked("--backlog") {
        backlog(&receiver).await;
    }
}

fn number(flag: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != flag);
    arguments.nth(1).map(|number| number.parse().unwrap())
}

/// Delivers so many replies to each of so many subscribers.
async fn deliver(
    replies: usize,
    subscribers: usize,
    concurrency: usize,
    receiver: &Receiver,
) -> Took {
    let product = Product::new(subscribers, concurrency, &receiver.url()).await;
    product.arrive(replies).await;
    time(&product, replies * subscribers).await
}

async fn time(product: &Product, deliveries: usize) -> Took {
    let (commits, busy, started) = (product.commits(), process::busy(), Instant::now());
    let workers = product.work();
    product.until_delivered(LOOK).await;
    let took = Took {
        clock: started.elapsed(),
        processor: process::busy() - busy,
        deliveries,
        commits: product.commits() - commits,
    };
    workers.stop().await;
    took
}

/// The ceiling: the same client posts as many bodies to the same receiver.
async fn post(replies: usize, subscribers: usize, concurrency: usize, receiver: &Receiver) -> Took {
    let bodies = Product::bodies(replies).await;
    let (busy, started) = (process::busy(), Instant::now());
    ceiling(&bodies, subscribers, concurrency, &receiver.url()).await;
    Took {
        clock: started.elapsed(),
        processor: process::busy() - busy,
        deliveries: replies * subscribers,
        commits: 0,
    }
}

/// The same rows, changed in the same kind of store with nothing else done.
async fn change_rows(replies: usize, subscribers: usize) -> Took {
    let product = Product::new(subscribers, 8, "http://127.0.0.1:9/").await;
    product.arrive(replies).await;
    let (busy, started) = (process::busy(), Instant::now());
    product.change_rows(replies * subscribers);
    Took {
        clock: started.elapsed(),
        processor: process::busy() - busy,
        deliveries: replies * subscribers,
        commits: 0,
    }
}

/// How long a single reply takes from the commit that made its delivery to the receiver.
async fn latency(times: usize, receiver: &Receiver) {
    let product = Product::new(1, 8, &receiver.url()).await;
    let workers = product.work();
    let mut took = Vec::new();
    for _ in 0..times {
        // It is kept, and its delivery made, when this returns.
        product.arrive(1).await;
        let made = Instant::now();
        product.until_delivered(LOOK_CLOSELY).await;
        took.push(made.elapsed());
    }
    workers.stop().await;
    took.sort();
    println!(
        "\nfrom the commit that made it until it is delivered and recorded, one at a time: median {:.1} ms, 95 of 100 within {:.1} ms",
        took[times / 2].as_secs_f64() * 1e3,
        took[times * 95 / 100].as_secs_f64() * 1e3
    );
}

/// The processor time of a delivery with few and with many replies stored, in turns: how fast the
/// machine is changes within minutes.
async fn grown(receiver: &Receiver) {
    let [few, many] = GROWN;
    let mut stores = Vec::new();
    for stored in [few, many] {
        let product = Product::new(1, 8, &receiver.url()).await;
        product.fill(stored).await;
        stores.push(product);
    }
    let mut parts = Vec::new();
    for _ in 0..ROUNDS {
        let mut micros = Vec::new();
        for product in &stores {
            product.arrive(REPLIES / 5).await;
            micros.push(time(product, REPLIES / 5).await.micros());
        }
        println!(
            "{:.0} µs of processor time each with {few} replies stored before, {:.0} µs with {many}",
            micros[0], micros[1]
        );
        parts.push(micros[1] / micros[0]);
    }
    println!("so many times as much: {:.2}, the median of {ROUNDS} pairs", median(parts));
}

/// What a million deliveries for a dead subscriber cost the others: so many rates with them and
/// without, in turns.
async fn backlog(receiver: &Receiver) {
    let mut parts = Vec::new();
    for _ in 0..ROUNDS {
        let alone = deliver(REPLIES, 1, 8, receiver).await.rate();
        let (beside, attempts, grew_mib) = beside_dead(BACKLOG, REPLIES, receiver).await;
        println!(
            "{alone:.0}/s alone; {beside:.0}/s and {grew_mib} MiB more with {BACKLOG} deliveries due for a dead \
             subscriber, which was tried {attempts} times meanwhile"
        );
        parts.push(beside / alone);
    }
    println!("of its rate without them: {:.2}, the median of {ROUNDS} pairs", median(parts));
}

fn median(mut parts: Vec<f64>) -> f64 {
    parts.sort_by(f64::total_cmp);
    parts[parts.len() / 2]
}

/// Delivers so many replies while as many as `waiting` are due for a dead subscriber, whose worker
/// claims, fails and probes: the rate, its attempts, and by how many MiB the memory grew.
async fn beside_dead(waiting: usize, replies: usize, receiver: &Receiver) -> (f64, i64, usize) {
    let mut product = Product::new(1, 8, &receiver.url()).await;
    product.dead_backlog(waiting).await;
    product.arrive(replies).await;
    let before = process::reset_peak();
    let took = time(&product, replies).await;
    let grew = process::peak().saturating_sub(before) / (1024 * 1024);
    let attempts = product.dead_attempts();
    assert!(attempts > 0, "the dead subscriber was not tried");
    (took.rate(), attempts, grew)
}

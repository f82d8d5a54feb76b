//! How fast an answer is taken in, against what SQLite can do with the same rows.
//!
//! `cargo bench --bench intake` takes in a 100,000-record answer as the product does, from the
//! received body to the commit of replies, counts, events and three subscribers' deliveries; and
//! then puts exactly these rows into a fresh file with the same tables, settings and statements,
//! with nothing else done. Both alternate for some rounds, and the medians are compared.
//!
//! `-- --large` adds an answer of the greatest length that is read, with what it takes of memory
//! and how long it keeps other writers waiting; `-- --grown` adds small answers into an empty
//! store and into one of a million replies. A run by `cargo test` is a small one, for its checks.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark measures with the machine's clock, prints, and stops at what it does not expect"
)]

use std::time::{Duration, Instant};

use replyd::gateway::rx;

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "intake/ceiling.rs"]
mod ceiling;
#[path = "../tests/proofs/figures.rs"]
mod figures;
#[path = "intake/process.rs"]
mod process;
#[path = "intake/product.rs"]
mod product;

use ceiling::Rows;
use product::{Product, body};

/// Records of the answer that the promise is about.
const RECORDS: usize = 100_000;
/// Odd, so that the median is one that was measured.
const ROUNDS: usize = 5;
/// The promise: the product's rate is at least this part of the ceiling.
const RATIO_MIN: f64 = 0.5;
/// The greatest length of an answer.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A store that has lived for years.
const GROWN: usize = 1_000_000;
const SMALL: usize = 1_000;

#[tokio::main]
async fn main() {
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    // Cargo says `--bench` when the figures are asked for.
    if !asked("--bench") {
        compare(SMALL, 1).await;
        grown(SMALL, 10).await;
        return;
    }
    let rates = compare(RECORDS, ROUNDS).await;
    if asked("--large") {
        large().await;
    }
    if asked("--grown") {
        grown(GROWN, SMALL).await;
    }
    let Rates { product, ceiling } = rates.by_clock;
    let ratio = rates.by_clock.ratio();
    let size = format!("{product:.0} rows/s, ceiling {ceiling:.0} rows/s");
    println!("by processor time the ratio is {:.2}", rates.by_processor.ratio());
    println!("{size}: by the clock the ratio is {ratio:.2}");
    let proof = "intake of 100,000 records, three subscribers";
    figures::tell(proof, &size, &format!("{ratio:.2}")).unwrap();
    // The promise is of a rate: how busy the processor was on the way is no part of it.
    assert!(ratio >= RATIO_MIN, "intake is slower than promised: {ratio:.2}");
}

/// Rows a second.
struct Rates {
    product: f64,
    ceiling: f64,
}

impl Rates {
    /// From the medians of the rounds.
    fn new(rows: usize, product: &mut [Duration], ceiling: &mut [Duration]) -> Self {
        let rate = |took: &mut [Duration]| rows as f64 / median(took).as_secs_f64();
        Self { product: rate(product), ceiling: rate(ceiling) }
    }

    fn ratio(&self) -> f64 {
        self.product / self.ceiling
    }
}

/// The rates by the clock, and by the time that processors spent.
struct Compared {
    by_clock: Rates,
    by_processor: Rates,
}

/// Takes in one answer as the product does and puts its rows by themselves, in turns.
async fn compare(records: usize, rounds: usize) -> Compared {
    let body = body(records, 0);
    let started = Instant::now();
    let parsed = rx::parse(&body).records.len();
    let took = started.elapsed();
    assert_eq!(parsed, records);
    let megabytes = body.len() as f64 / 1e6;
    println!("parsing {megabytes:.1} MB: {:.0} MB/s", megabytes / took.as_secs_f64());

    let (mut product_took, mut ceiling_took) = (Vec::new(), Vec::new());
    let (mut product_busy, mut ceiling_busy) = (Vec::new(), Vec::new());
    let mut rows_put = 0;
    for round in 1..=rounds {
        let product = Product::new().await;
        let read = product.begin(None).await;
        let (started, busy) = (Instant::now(), process::busy());
        product.receive(read, body.clone()).await;
        let ingested = product.take_in(read).await;
        product_took.push(started.elapsed());
        product_busy.push(process::busy() - busy);
        assert_eq!(ingested.new, records);

        let rows = Rows::read(&product.path());
        rows_put = rows.count();
        assert!(rows_put > 5 * records, "replies, events and three deliveries of each, and counts");
        let ceiling = Product::new().await;
        ceiling.begin(None).await;
        let path = ceiling.path();
        let ceiling_file = ceiling.close();
        let busy = process::busy();
        ceiling_took.push(rows.put(&path));
        ceiling_busy.push(process::busy() - busy);
        assert_eq!(Rows::read(&path).digest(), rows.digest(), "both hold the same");
        drop(ceiling_file);
        println!(
            "round {round}: product {:.2?}, of it {:.2?} on a processor; ceiling {:.2?}, of it {:.2?}",
            product_took.last().unwrap(),
            product_busy.last().unwrap(),
            ceiling_took.last().unwrap(),
            ceiling_busy.last().unwrap()
        );
    }
    println!("{records} records are {rows_put} rows");
    Compared {
        by_clock: Rates::new(rows_put, &mut product_took, &mut ceiling_took),
        by_processor: Rates::new(rows_put, &mut product_busy, &mut ceiling_busy),
    }
}

fn median(took: &mut [Duration]) -> Duration {
    took.sort_unstable();
    *took.get(took.len() / 2).expect("there was a round")
}

/// An answer as long as any that is read.
async fn large() {
    let record = body(RECORDS, 0).len() / RECORDS;
    let records = BODY_BYTES_MAX / (record + 1);
    let body = body(records, 0);
    let product = Product::new().await;
    let read = product.begin(None).await;
    product.receive(read, body.clone()).await;
    let before = process::reset_peak();
    let waits = product.watch_writer();
    let started = Instant::now();
    let ingested = product.take_in(read).await;
    let took = started.elapsed();
    let longest = waits.longest().await;
    assert_eq!(ingested.new, records);
    println!(
        "an answer of {} MiB, {records} records: {took:.1?}; another writer waited up to {longest:.1?}; \
         memory {} MiB at its peak, {} MiB before",
        body.len() >> 20,
        process::peak() >> 20,
        before >> 20
    );
}

/// Small answers into an empty store and into one that holds many replies.
async fn grown(replies: usize, small: usize) {
    let empty = Product::new().await;
    println!("into an empty store, {small} records: {}", small_reads(&empty, 0, small).await);
    let full = Product::new().await;
    for part in 0..10 {
        let read = full.begin(None).await;
        full.receive(read, body(replies / 10, part * replies / 10)).await;
        full.take_in(read).await;
    }
    println!("into one of {replies} replies: {}", small_reads(&full, replies, small).await);
}

/// The median times of plain reads of new replies and of an hour read of known ones.
async fn small_reads(product: &Product, from: usize, records: usize) -> String {
    let mut plain = Vec::new();
    for round in 0..ROUNDS {
        let from = from + round * records;
        let read = product.begin(None).await;
        let started = Instant::now();
        product.receive(read, body(records, from)).await;
        assert_eq!(product.take_in(read).await.new, records);
        plain.push(started.elapsed());
    }
    let mut hour = Vec::new();
    for round in 0..ROUNDS {
        let known = body(records, from + round * records);
        let of = rx::parse(&known).records.first().unwrap().replied_at.hour();
        let read = product.begin(Some(of)).await;
        let started = Instant::now();
        product.receive(read, known).await;
        assert_eq!(product.take_in(read).await.new, 0);
        hour.push(started.elapsed());
    }
    format!(
        "plain read of new replies {:.1?}, hour read of known ones {:.1?}",
        median(&mut plain),
        median(&mut hour)
    )
}

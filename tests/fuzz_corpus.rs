//! What the fuzz targets check, on a stable toolchain: over every file of their corpora, over
//! random bodies made of the protocol's own pieces, and over bodies that are long.
//!
//! The checks stand in `fuzz/checks/`, once for the fuzzers and for this.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "what goes wrong in a test's helpers is to panic, and a seed is taken from the clock"
)]

use std::path::Path;
use std::time::SystemTime;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

#[path = "../fuzz/checks/config.rs"]
mod config;
#[path = "proofs/figures.rs"]
mod figures;
#[path = "../fuzz/checks/mm.rs"]
mod mm;
#[path = "../fuzz/checks/rx.rs"]
mod rx;
#[path = "../fuzz/checks/status.rs"]
mod status;

/// A corpus is read by people and cloned by everybody: small files, and not too many.
const FILES: std::ops::RangeInclusive<usize> = 10..=300;
const FILE_BYTES_MAX: u64 = 8 * 1024;
/// Random bodies in `cargo test`; `PROPTEST_CASES` has its way.
const CASES: u32 = 512;
/// A body at which work that grows with the square of the size does not end.
const LONG: usize = 512 * 1024;

/// What bodies are made of, and what breaks them.
const PIECES: [&[u8]; 34] = [
    b"100",
    b"101",
    b"10",
    b"{&}",
    b"||",
    b"|",
    b"{&",
    b"{",
    b"}",
    b"10086",
    b"+8613900000001",
    b"008613900000001",
    b"12",
    b"123456789012345678901",
    b"2026-11-22 10:00:00",
    b"2026-02-30 10:00:00",
    b"2026-11-22 24:00:00",
    b"2026-11-22 10:00:6",
    b"||2026-11-22 10:00:00||",
    b"||2026-11-22 10:00:00||1069{&}",
    b"10086||TD||2026-11-22 10:00:00||1069{&}",
    b"1069",
    b"TD",
    b" ",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\x83\x7c",
    b"\xab\x7c",
    b"\xc4",
    b"\xd6\xd0\xb9\xfa",
    b"\xa3\xa0",
    b"\x80",
    b"\xff",
    b"\x81\x30\x81\x30",
];

#[test]
fn the_corpus_of_answers_holds() {
    replay("rx", rx::check);
}

#[test]
fn the_corpus_of_configurations_holds() {
    replay("config", config::check);
}

#[test]
fn the_corpus_of_statuses_holds() {
    replay("status", status::check);
}

#[test]
fn the_corpus_of_figures_holds() {
    replay("mm", mm::check);
}

/// Checks every file of a target's corpus, and that the corpus is small.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut broken = Vec::new();
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() as u64 <= FILE_BYTES_MAX, "{}: too large", path.display());
        if std::panic::catch_unwind(|| check(&bytes)).is_err() {
            broken.push(path.display().to_string());
        }
        files += 1;
    }
    assert!(broken.is_empty(), "these do not hold (see above):\n{}", broken.join("\n"));
    assert!(FILES.contains(&files), "{files} files in {}", folder.display());
    let size = format!("{files} files");
    figures::tell(&format!("fuzz corpus: {target}"), &size, "all hold").unwrap();
}

#[test]
fn random_bodies_of_the_protocols_own_pieces_hold() {
    let piece = prop::sample::select(PIECES.to_vec()).prop_map(<[u8]>::to_vec);
    let piece = prop_oneof![9 => piece, 1 => prop::collection::vec(any::<u8>(), 1..4)];
    let tail = prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat());
    let heads = vec![&b"100{&}"[..], b"100{&}10086||", b"10086||", b""];
    let body =
        (prop::sample::select(heads), tail).prop_map(|(head, tail)| Body([head, &tail].concat()));
    let seed = std::env::var("REPLYD_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed: u64 = seed.unwrap_or_else(|| u64::from(since.subsec_nanos()));
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = cases.unwrap_or(CASES);
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_be_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &key);
    let result = TestRunner::new_with_rng(config, rng).run(&body, |body| {
        rx::check(&body.0);
        status::check(&body.0);
        mm::check(&body.0);
        Ok::<(), TestCaseError>(())
    });
    if let Err(TestError::Fail(reason, body)) = &result {
        panic!(
            "{reason}\n{body:?}\nagain: REPLYD_TEST_SEED={seed} PROPTEST_CASES={cases} cargo test \
             --test fuzz_corpus random_bodies"
        );
    }
    result.unwrap();
    figures::tell("random answers to /rx", &format!("{cases} bodies"), "all hold").unwrap();
}

/// A body, shown as a byte string of Rust.
struct Body(Vec<u8>);

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Nothing is measured: where work grew with the square of these sizes, this would not end.
#[test]
fn the_work_grows_no_faster_than_the_body() {
    let date = "||2026-11-22 10:00:00||";
    let heads = ["100{&}", "100{&}10086||"];
    let repeated = ["{&}", "||", "{&}||", "1", " ", "\r\n", "|", date, "2026-11-22 10:00:00||"];
    for head in heads {
        for piece in repeated.iter().map(|piece| (*piece).to_owned()).chain([
            format!("{date}1{{&}}"),
            format!("{date} {{&}}"),
            format!("10086||{date}{{&"),
            format!("{}{date}", "1".repeat(1_000)),
            format!("{}{{&}}{date}", " ".repeat(1_000)),
        ]) {
            let body = format!("{head}{}", piece.repeat(LONG / piece.len()));
            let answer = replyd::gateway::rx::parse(body.as_bytes());
            assert!(!answer.is_empty);
        }
    }
}

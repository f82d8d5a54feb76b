//! A store's file that is damaged, and one that is closed well.

use replyd::gateway::simulator::Simulator;
use rusqlite::Connection;

use crate::intake::{RECOVER, count, habits, stage};
use crate::support::{Home, Receiver, ends, stderr, until};

/// Rows of a table that nothing reads at start, with this in each.
const MARK: &str = "a fault that nobody looks at";
const PAGE: usize = 4096;

/// A store with many pages of faults, and its gateway, which was read once.
async fn with_faults() -> (Simulator, Receiver, Home) {
    let (gateway, receiver, home) = stage(habits(), RECOVER).await;
    ends(&home, &["run", "--once"], 0);
    let store = Connection::open(home.path("replyd.db")).unwrap();
    let faults = format!(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 2000)
         INSERT INTO fault (read_id, offset, kind, bytes)
             SELECT 1, n, 'no_number', CAST('{MARK}' || hex(zeroblob(100)) AS BLOB) FROM number"
    );
    store.execute_batch(&faults).unwrap();
    store.close().unwrap();
    (gateway, receiver, home)
}

/// Writes over the middle of a page of faults.
fn damage(home: &Home) {
    let path = home.path("replyd.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let marks: Vec<usize> = bytes
        .windows(MARK.len())
        .enumerate()
        .filter_map(|(at, window)| (window == MARK.as_bytes()).then_some(at))
        .collect();
    let page = marks[marks.len() / 2] / PAGE * PAGE;
    bytes[page + PAGE / 4..page + PAGE * 3 / 4].fill(0xff);
    std::fs::write(path, bytes).unwrap();
}

#[track_caller]
fn says_what_to_do(told: &str) {
    for words in ["replyd.db is damaged", "restore a backup", "sqlite3", ".recover"] {
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_leaves_one_whole_file() {
    let (gateway, _receiver, home) = stage(habits(), RECOVER).await;
    let service = home.serve();
    until("a read", || !gateway.requests().is_empty()).await;
    assert!(home.path("replyd.db-wal").exists());
    assert_eq!(service.stop(), Some(0));
    assert!(!home.path("replyd.db-wal").exists(), "a log is left");
    let copy = Home::with("");
    std::fs::copy(home.path("replyd.db"), copy.path("replyd.db")).unwrap();
    assert!(count(&copy, "read") > 0);
    ends(&home, &["run", "--once"], 0);
    assert!(!home.path("replyd.db-wal").exists(), "a log is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_the_start_does_not_meet_ends_the_service() {
    let (_gateway, _receiver, home) = with_faults().await;
    let service = home.serve();
    until("the service", || home.log().contains("replyd runs")).await;
    assert_eq!(service.stop(), Some(0), "a whole store is damaged: {}", home.log());
    damage(&home);
    assert_eq!(home.serve().ended().await, Some(1), "{}", home.log());
    assert!(home.log().contains("the service stops"), "{}", home.log());
    says_what_to_do(&home.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_unclean_stop_a_single_run_looks_before_it_reads() {
    let (gateway, _receiver, home) = with_faults().await;
    let service = home.serve();
    until("a read", || gateway.requests().len() > 1).await;
    service.kill();
    assert!(home.path("replyd.db-wal").exists());
    // What is in the log is not damaged with the file: none of it is of this table.
    damage(&home);
    let asked = gateway.requests().len();
    let output = home.run(&["run", "--once"]);
    assert_eq!(output.status.code(), Some(1));
    says_what_to_do(&stderr(&output));
    assert_eq!(gateway.requests().len(), asked, "the box was emptied into a damaged store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_off_is_refused() {
    let (_gateway, _receiver, home) = with_faults().await;
    let path = home.path("replyd.db");
    let length = std::fs::metadata(&path).unwrap().len();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(length / 2).unwrap();
    assert_eq!(home.serve().ended().await, Some(1), "{}", home.log());
    says_what_to_do(&home.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_store_or_was_changed_is_refused() {
    let (gateway, _receiver, home) = with_faults().await;
    let asked = gateway.requests().len();
    let path = home.path("replyd.db");
    let whole = std::fs::read(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("DROP INDEX delivery_due").unwrap();
    let output = home.run(&["run"]);
    assert_eq!(output.status.code(), Some(78));
    let told = stderr(&output);
    assert!(told.contains("lacks the index \"delivery_due\""), "{told}");
    let mut noise = whole;
    noise[..PAGE].fill(7);
    std::fs::write(&path, noise).unwrap();
    let output = home.run(&["run"]);
    assert_eq!(output.status.code(), Some(1));
    says_what_to_do(&stderr(&output));
    assert_eq!(gateway.requests().len(), asked);
}

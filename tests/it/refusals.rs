//! A store that this program must not use: it says so, ends, asks nothing of the gateway, and
//! leaves the file as it was.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use replyd::gateway::simulator::Simulator;

use crate::intake::{RECOVER, habits, stage};
use crate::support::{Home, Receiver, UID, ends, reply};

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

/// A gateway with a reply in its box, and a home with a store that was used before.
async fn used() -> (Simulator, Receiver, Home) {
    let (gateway, receiver, home) = stage(habits(), RECOVER).await;
    ends(&home, &["run", "--once"], 0);
    // All of it in one file: a log that is left would mend what is damaged here.
    execute(&home, "PRAGMA wal_checkpoint(TRUNCATE)");
    gateway.arrive(UID, reply("13900000001", "stays"));
    (gateway, receiver, home)
}

fn execute(home: &Home, sql: &str) {
    rusqlite::Connection::open(home.path("replyd.db")).unwrap().execute_batch(sql).unwrap();
}

/// Waits for a process that must end by itself: its code and what it said.
async fn refusal(home: &Home, command: Command) -> (Option<i32>, String) {
    drop(std::fs::remove_file(home.path("log")));
    let ended = home.spawn(command).ended().await;
    (ended, home.log())
}

/// Runs the service and the commands that read, and checks that each ends by this code with
/// these words, that nothing was asked, and that the file is as it was.
async fn is_refused(gateway: &Simulator, home: &Home, code: i32, words: &str) {
    let asked = gateway.requests().len();
    let before = std::fs::read(home.path("replyd.db")).unwrap();
    for command in [&["run"][..], &["run", "--once"], &["poll"]] {
        let (ended, talk) = refusal(home, home.command(command)).await;
        assert_eq!(ended, Some(code), "{command:?}: {talk}");
        assert!(talk.contains(words), "{command:?}: {talk}");
    }
    assert_eq!(gateway.requests().len(), asked, "asked for what could not be kept");
    assert_eq!(gateway.waiting(UID), 1, "the box was emptied");
    assert!(std::fs::read(home.path("replyd.db")).unwrap() == before, "the file was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_refused() {
    const WORDS: &str = "replyd.db is damaged or is no store of replyd";
    let damages: [fn(&mut Vec<u8>); 4] = [
        // The head of the file, noise in its place, its schema, and less of it than there was.
        |bytes| bytes[..100].fill(0),
        |bytes| bytes.fill(7),
        |bytes| bytes[100..4096].fill(0xff),
        |bytes| bytes.truncate(5_000),
    ];
    for damage in damages {
        let (gateway, _receiver, home) = used().await;
        let mut bytes = std::fs::read(home.path("replyd.db")).unwrap();
        damage(&mut bytes);
        home.write_bytes("replyd.db", &bytes);
        is_refused(&gateway, &home, 1, WORDS).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_refused() {
    let (gateway, _receiver, home) = used().await;
    home.write("replyd.db", &"dear diary\n".repeat(100));
    is_refused(&gateway, &home, 1, "replyd.db is damaged or is no store of replyd").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_program_is_refused() {
    let (gateway, _receiver, home) = used().await;
    std::fs::remove_file(home.path("replyd.db")).unwrap();
    execute(&home, "CREATE TABLE theirs (a)");
    is_refused(&gateway, &home, 78, "the file is a database of another program").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_newer_version_is_refused() {
    let (gateway, _receiver, home) = used().await;
    execute(&home, "PRAGMA user_version = 99");
    is_refused(&gateway, &home, 78, "the store is of version 99, and this program knows up to")
        .await;
}

/// As another user than the one who made the store: only a superuser's test can become one.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_user_is_refused() {
    let (gateway, _receiver, home) = used().await;
    if !is_superuser() {
        return;
    }
    let store = home.path("replyd.db");
    std::os::unix::fs::chown(&store, Some(NOBODY), None).unwrap();
    is_refused(&gateway, &home, 78, "belongs to user 65534, and this is user 0").await;
    std::os::unix::fs::chown(&store, Some(0), None).unwrap();
    // And the other way round: even with every right on the files.
    allow(&home.path("."), 0o777);
    allow(&store, 0o666);
    let mut command = home.command(&["run"]);
    command.uid(NOBODY);
    let (ended, talk) = refusal(&home, command).await;
    assert_eq!(ended, Some(78), "{talk}");
    assert!(talk.contains("belongs to user 0, and this is user 65534"), "{talk}");
    assert_eq!(gateway.waiting(UID), 1, "the box was emptied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_is_refused() {
    let (gateway, _receiver, home) = stage(habits(), RECOVER).await;
    gateway.arrive(UID, reply("13900000001", "stays"));
    allow(&home.path("."), 0o555);
    let mut command = home.command(&["run"]);
    if is_superuser() {
        // No folder is closed to a superuser.
        command.uid(NOBODY);
    }
    let (ended, talk) = refusal(&home, command).await;
    assert_eq!(ended, Some(1), "{talk}");
    assert!(talk.contains("cannot use") && talk.contains("Permission denied"), "{talk}");
    assert!(gateway.requests().is_empty(), "asked for what could not be kept");
    allow(&home.path("."), 0o755);
}

/// Files that are there and cannot be written: nothing is asked either.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_written_is_refused() {
    let (gateway, _receiver, home) = used().await;
    let asked = gateway.requests().len();
    let mut command = home.command(&["run"]);
    if is_superuser() {
        std::os::unix::fs::chown(home.path("replyd.db"), Some(NOBODY), None).unwrap();
        command.uid(NOBODY);
    }
    allow(&home.path("replyd.db"), 0o444);
    allow(&home.path("."), 0o555);
    let (ended, talk) = refusal(&home, command).await;
    assert_eq!(ended, Some(1), "{talk}");
    assert!(talk.contains("the store cannot be written"), "{talk}");
    assert_eq!(gateway.requests().len(), asked, "asked for what could not be kept");
    allow(&home.path("."), 0o755);
}

fn is_superuser() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

//! `backup`: a copy that is whole while the service writes, and what a service makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use replyd::gateway::simulator::Habits;
use rusqlite::Connection;
use serde_json::Value;

use crate::intake::count;
use crate::support::{
    Home, Receiver, Settings, UID, config, ends, execute, gateway, query, reply, stderr, stdout,
    until,
};

/// Replies before the copy is made, while it is, and after it.
const EACH: usize = 40;

fn left_over(home: &Home) -> Vec<String> {
    let names = std::fs::read_dir(home.path(".")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| name.starts_with(".replyd-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_loses_no_reply_and_gives_none_a_second_id() {
    let habits = Habits { min_interval: Duration::ZERO, ..Habits::default() };
    let (gateway, receiver) = (gateway(habits).await, Receiver::start().await);
    let settings = Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        account: "recover = \"1h\"",
        ..Settings::default()
    };
    let home = Home::new(&settings);
    let arrive = |from: usize| {
        for number in from..from + EACH {
            gateway.arrive(UID, reply(&format!("139{number:08}"), &format!("text {number}")));
        }
    };
    arrive(0);
    let service = home.serve();
    receiver.wait_for(EACH).await;
    arrive(EACH);
    let out = ends(&home, &["backup", "copy.db", "--json"], 0);
    let told: Value = serde_json::from_str(&out).unwrap();
    arrive(2 * EACH);
    receiver.wait_for(3 * EACH).await;
    service.kill();

    let kept = told["replies"].as_u64().unwrap();
    assert!((EACH as u64..=2 * EACH as u64).contains(&kept), "{told}");
    let restored = Home::with(&config(&settings));
    std::fs::rename(home.path("copy.db"), restored.path("replyd.db")).unwrap();
    assert_eq!(count(&restored, "reply"), i64::try_from(kept).unwrap());
    // It lay there for ten minutes.
    execute(
        &restored,
        "UPDATE read SET started_ms = started_ms - 600000, ended_ms = ended_ms - 600000;
         UPDATE account SET slot_unix_ms = slot_unix_ms - 600000, slot_boot_ms = slot_boot_ms - 600000",
    );
    let service = restored.serve();
    until("every reply to be back", || count(&restored, "reply") == 3 * EACH as i64).await;
    until("all to be delivered", || count(&restored, "delivery WHERE state != 'delivered'") == 0)
        .await;
    assert_eq!(service.stop(), Some(0));
    assert_eq!(count(&restored, "hour WHERE cause = 'pause'"), count(&restored, "hour"));

    let mut ids = BTreeMap::<String, BTreeSet<String>>::new();
    for webhook in receiver.webhooks() {
        ids.entry(webhook.field("content")).or_default().insert(webhook.id().to_owned());
    }
    assert_eq!(ids.len(), 3 * EACH);
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
    let bodies: BTreeSet<_> = receiver.webhooks().into_iter().map(|one| one.body).collect();
    assert_eq!(bodies.len(), 3 * EACH, "a receiver was told two different things");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_its_owners_whole_and_in_the_place_of_nothing() {
    let empty = Home::new(&Settings::default());
    ends(&empty, &["backup", "copy.db"], 66);
    assert!(!empty.path("copy.db").exists() && !empty.path("replyd.db").exists());
    let (gateway, receiver) = (gateway(Habits::default()).await, Receiver::start().await);
    gateway.arrive(UID, reply("13900000001", "收到"));
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        ..Settings::default()
    });
    ends(&home, &["run", "--once"], 0);
    let out = ends(&home, &["backup", "copy.db"], 0);
    assert!(out.starts_with("1 reply, 1 delivery and 1 read in copy.db, "), "{out}");
    assert!(out.ends_with(" KiB, checked\n"), "{out}");
    let path = home.path("copy.db");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let copy = Connection::open(&path).unwrap();
    for (sql, expected) in [
        ("PRAGMA integrity_check", "ok"),
        ("SELECT content FROM reply", "收到"),
        ("SELECT state FROM delivery", "delivered"),
    ] {
        let found: String = copy.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(found, expected, "{sql}");
    }
    drop(copy);
    let before = std::fs::read(&path).unwrap();
    for (file, expected, words) in [
        ("copy.db", 2, "copy.db is there already"),
        ("replyd.db", 2, "replyd.db is there already"),
        ("replyd.db-journal", 2, "is a part of the store"),
        ("no/copy.db", 1, "no/copy.db cannot be written"),
        (".", 2, "is there already"),
    ] {
        let output = home.run(&["backup", file]);
        assert_eq!(output.status.code(), Some(expected), "{file} {}", stderr(&output));
        assert!(
            stderr(&output).contains(words) && stdout(&output).is_empty(),
            "{}",
            stderr(&output)
        );
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(left_over(&home), [""; 0]);
    assert_eq!(home.run(&["backup"]).status.code(), Some(2));
    // A copy is a store like any other.
    std::fs::rename(&path, home.path("replyd.db")).unwrap();
    assert!(ends(&home, &["replies", "list"], 0).contains("收到"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_cannot_be_whole_is_none() {
    let (gateway, receiver) = (gateway(Habits::default()).await, Receiver::start().await);
    gateway.arrive(UID, reply("13900000001", "收到"));
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &receiver.url)],
        ..Settings::default()
    });
    ends(&home, &["run", "--once"], 0);
    execute(
        &home,
        "INSERT INTO fault (read_id, offset, kind, bytes)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             SELECT 1, i, 'no_number', zeroblob(200) FROM n;
         PRAGMA wal_checkpoint(TRUNCATE)",
    );
    // A disk that has no room for it.
    let mut shell = std::process::Command::new("sh");
    let script = r#"trap '' XFSZ; ulimit -f 64; exec "$0" backup copy.db"#;
    shell.args(["-c", script, env!("CARGO_BIN_EXE_replyd")]).current_dir(home.path("."));
    let output =
        tokio::task::block_in_place(|| shell.env_remove("REPLYD_CONFIG").output().unwrap());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("copy.db cannot be written"), "{}", stderr(&output));
    // A page of the store that is none.
    let root: i64 = query(&home, "SELECT rootpage FROM sqlite_schema WHERE name = 'fault'");
    let mut bytes = std::fs::read(home.path("replyd.db")).unwrap();
    let page = usize::try_from(root - 1).unwrap() * 4096;
    bytes[page..page + 4096].fill(0xff);
    home.write_bytes("replyd.db", &bytes);
    let output = home.run(&["backup", "copy.db"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("is damaged"), "{}", stderr(&output));
    assert!(!home.path("copy.db").exists());
    assert_eq!(left_over(&home), [""; 0]);
}

//! A newer program on a store of an earlier version, as its user meets it: the real binary brings
//! stores of every version up to date, goes on with what was under way in them, and reads again
//! without a second copy of anything; killed in the middle, it leaves one version or the other.
//!
//! What stands in the stores is in `src/store/sqlite/migrations/rows`, by the version that wrote it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use replyd::gateway::simulator::{Habits, NewReply};
use replyd::time::BeijingTime;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::chance::{self, Dice, figure};
use crate::intake::count;
use crate::support::{Home, Receiver, Settings, UID, ends, gateway, query, stderr, until};

/// The hour of the replies in the stores.
const HOUR: &str = "2008-05-27_14";
/// The first version that knows erased texts.
const ERASED_SINCE: usize = 10;
/// Times that an upgrade is killed, in CI.
const KILLS: usize = 6;
/// Deliveries in a store whose upgrade is killed: it takes long enough to be met anywhere.
const DELIVERIES: usize = 20_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sqlite/migrations")
}

/// The version that this program makes of a store.
fn newest() -> usize {
    (1..).take_while(|number| folder().join(format!("{number:04}.sql")).exists()).count()
}

/// A store of this version, with rows of every version up to it.
fn make(path: &Path, version: usize) -> Connection {
    let store = Connection::open(path).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    store.execute_batch("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON").unwrap();
    for number in 1..=version {
        let sql = |name: String| std::fs::read_to_string(folder().join(name)).unwrap();
        let rows = std::fs::read_to_string(folder().join(format!("rows/{number:04}.sql")));
        let (tables, rows) = (sql(format!("{number:04}.sql")), rows.unwrap_or_default());
        store.execute_batch(&format!("BEGIN; {tables}; {rows}; COMMIT")).unwrap();
    }
    store.pragma_update(None, "application_id", 0x7270_7964).unwrap();
    store.pragma_update(None, "user_version", version).unwrap();
    store
}

/// Columns of rows that no upgrade may change, as text.
fn kept(path: &Path) -> BTreeSet<String> {
    let store = Connection::open(path).unwrap();
    let mut all = BTreeSet::new();
    for sql in [
        "SELECT 'reply', seq, id, hex(identity), occurrence, mobile, replied_at, content, gateway, suspect FROM reply",
        "SELECT 'event', seq, id, type, body, 0, 0, 0, 0, 0 FROM event",
        "SELECT 'tally', hex(identity), account, hour, plain, seen, 0, 0, 0, 0 FROM tally",
        "SELECT 'delivery', id, subscriber, event_seq, trigger, created_ms, state = 'held', 0, 0, 0 FROM delivery",
        "SELECT 'attempt', delivery_id, number, started_ms, duration_ms, http_status, 0, 0, 0, 0 FROM attempt",
    ] {
        let mut statement = store.prepare(sql).unwrap();
        let row = |row: &rusqlite::Row<'_>| {
            let cell = |number| row.get::<_, rusqlite::types::Value>(number);
            (0..10).map(|number| Ok(format!("{:?}", cell(number)?))).collect::<Result<Vec<_>, _>>()
        };
        let rows = statement.query_map([], row).unwrap();
        all.extend(rows.map(|row: rusqlite::Result<_>| row.unwrap().join(" ")));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_each_version_goes_on_where_it_was() {
    let mut running = JoinSet::new();
    for version in 1..newest() {
        running.spawn(goes_on(version));
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

async fn goes_on(version: usize) {
    let habits = Habits { min_interval: Duration::ZERO, ..Habits::default() };
    let (gateway, crm) = (gateway(habits).await, Receiver::start().await);
    let home = Home::new(&Settings {
        base_url: &gateway.base_url(),
        subscribers: &[("crm", &crm.url)],
        schedule: "0 0 0 1 1 *",
        account: "reconcile = \"off\"",
        ..Settings::default()
    });
    let path = home.path("replyd.db");
    drop(make(&path, version));
    let before = kept(&path);
    // What was read is what the gateway shows by its hour; its box is empty.
    let shown = "SELECT json_group_array(json_array(mobile, content, replied_at, gateway)) FROM (
        SELECT mobile, content, replied_at, gateway FROM reply
        UNION ALL SELECT '13900000006', 'not taken in', 1211870166, '1068112227282'
        UNION ALL SELECT mobile, CAST(content AS TEXT), replied_at, gateway
            FROM waiting_record, (SELECT 1 AS n UNION SELECT 2) WHERE n <= copies)";
    let replies: Vec<(String, String, i64, String)> =
        serde_json::from_str(&query::<String>(&home, shown)).unwrap();
    // What was on disk and not taken in, and what waited for its hour, are replies then.
    let expected = i64::try_from(replies.len()).unwrap();
    // What was let go or erased is shown, too, and does not come back.
    let let_go =
        [("13900000009", "let go", 1_211_868_549), ("13900000010", "erased", 1_211_868_610)];
    let let_go = let_go.into_iter().take(if version < ERASED_SINCE { 1 } else { 2 });
    let let_go = let_go.map(|(mobile, content, at)| {
        (mobile.to_owned(), content.to_owned(), at, "1068112227282".to_owned())
    });
    let replies = [replies, let_go.collect()].concat();
    let tombstones = i64::try_from(replies.len()).unwrap() - expected;
    for (mobile, content, replied_at, number) in replies {
        let at = BeijingTime::from_unix_seconds(replied_at);
        gateway.arrive(UID, NewReply::text(&mobile, &content, at, &number));
    }
    let address = gateway.address();
    let drain = move || {
        let path = "/rx?uid=9999&pwd=fa246d0262c3925617b0c72bb20eeb1d";
        // Its answer is in GBK, and of no interest.
        drop(crate::recovery::get(address, path));
    };
    tokio::task::spawn_blocking(drain).await.unwrap();
    assert_eq!(gateway.waiting(UID), 0);

    // Only the service changes the store, but a backup can be made of it.
    let refused = home.run(&["replies", "list"]);
    assert_eq!(refused.status.code(), Some(78), "{}", stderr(&refused));
    let told = stderr(&refused);
    assert!(
        told.contains(&format!("of version {version}")) && told.contains("replyd run"),
        "{told}"
    );
    ends(&home, &["backup", "mine.db"], 0);

    let service = home.serve();
    until("what was read to be taken in", || {
        home.log().contains("replyd runs") && count(&home, "read WHERE state = 'received'") == 0
    })
    .await;
    until("what waited to be delivered", || {
        count(&home, "delivery WHERE subscriber = 'crm' AND state = 'waiting'") == 0
    })
    .await;
    let log = home.log();
    assert!(log.contains("is brought up to date") && log.contains("go back"), "{log}");
    let copy = home.path(&format!("replyd.db.before-v{}", newest()));
    assert_eq!((kept(&copy), kept(&home.path("mine.db"))), (before.clone(), before.clone()));
    let after = kept(&path);
    let lost: Vec<_> = before.difference(&after).collect();
    assert!(lost.is_empty(), "version {version} lost {lost:#?}");
    until("what waited to be kept", || count(&home, "reply") == expected).await;

    assert_eq!(service.stop(), Some(0));

    // The hour again: all of it is known.
    let again = ["replay", HOUR, "--refetch", "--wait", "1m", "--only", "missing", "--json"];
    let told: Value = serde_json::from_str(&ends(&home, &again, 0)).unwrap();
    let refetched = &told["refetched"][0];
    assert_eq!((&refetched["new"], &refetched["missing"]), (&json!(0), &json!(0)), "{told}");
    assert_eq!(refetched["known"], json!(expected + tombstones), "{told}");
    assert_eq!(count(&home, "reply"), expected, "{told}");
    // One id is one body, the stored one.
    let mut bodies: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for webhook in crm.webhooks() {
        bodies.entry(webhook.id().to_owned()).or_default().insert(webhook.body.to_vec());
    }
    for (id, bodies) in bodies {
        let stored: String = query(&home, &format!("SELECT body FROM event WHERE id = '{id}'"));
        assert_eq!(bodies, BTreeSet::from([stored.into_bytes()]), "version {version}: {id}");
    }
    gateway.stop().await;
}

/// A service with no one to deliver to and no gateway to read, whose store is large.
fn large(version: usize) -> (Home, PathBuf) {
    let home = Home::new(&Settings { schedule: "0 0 0 1 1 *", ..Settings::default() });
    let path = home.path("large.db");
    let store = make(&path, version);
    let fill = format!(
        "BEGIN;
         WITH RECURSIVE n (i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1000 + {DELIVERIES})
         INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms, attempts, lease)
             SELECT i, 'crm', 1 + i % 5, 'auto', 'delivered', 1211868000000 + i, 1211868000000 + i, 1, 1 FROM n;
         WITH RECURSIVE n (i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1000 + {DELIVERIES})
         INSERT INTO attempt (id, delivery_id, number, started_ms, duration_ms, http_status, next)
             SELECT i, i, 1, 1211868000000 + i, 9, 204, 'delivered' FROM n;
         COMMIT; PRAGMA wal_checkpoint(TRUNCATE)"
    );
    store.execute_batch(&fill).unwrap();
    (home, path)
}

fn version_of(path: &Path) -> usize {
    let store = Connection::open(path).unwrap();
    store.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_is_killed_leaves_one_version_or_the_other_whole() {
    const VERSION: usize = 3;
    let seed = chance::seed();
    let mut dice = Dice::new(seed);
    let (home, template) = large(VERSION);
    let (path, before) = (home.path("replyd.db"), kept(&template));
    let begin = || {
        for name in ["replyd.db-wal", "replyd.db-shm", "log"] {
            drop(std::fs::remove_file(home.path(name)));
        }
        std::fs::copy(&template, &path).unwrap();
        home.serve()
    };
    let started = std::time::Instant::now();
    let service = begin();
    until("the upgrade", || home.log().contains("replyd runs")).await;
    let took = u64::try_from(started.elapsed().as_millis()).unwrap();
    assert_eq!(service.stop(), Some(0));
    let kills = chance::size("REPLYD_TEST_UPGRADES", KILLS);
    let (mut was, mut is) = (0, 0);
    for _ in 0..kills {
        let service = begin();
        tokio::time::sleep(Duration::from_millis(dice.below(took + 50))).await;
        service.kill();
        match version_of(&path) {
            VERSION => {
                was += 1;
                assert_eq!(kept(&path), before, "REPLYD_TEST_SEED={seed}");
            }
            version => {
                is += 1;
                assert_eq!(version, newest());
            }
        }
        let whole: String = query(&home, "PRAGMA integrity_check");
        assert_eq!(whole, "ok");
        drop(std::fs::remove_file(home.path("log")));
        let service = home.serve();
        until("the upgrade", || home.log().contains("replyd runs")).await;
        assert_eq!(service.stop(), Some(0));
        assert_eq!(version_of(&path), newest());
        assert!(kept(&path).is_superset(&before), "REPLYD_TEST_SEED={seed}");
        let copy = home.path(&format!("replyd.db.before-v{}", newest()));
        assert_eq!((version_of(&copy), kept(&copy)), (VERSION, before.clone()));
        let left = std::fs::read_dir(home.path(".")).unwrap();
        let mut left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(!left.any(|name| name.contains("unfinished")));
    }
    figure(
        "`kill -9` while a store is brought up to date",
        &format!(
            "{kills} kills, {DELIVERIES} deliveries, from version {VERSION} to {}, seed {seed}",
            newest()
        ),
        &format!("{was} left the former version whole, {is} the new one; 0 rows lost"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_copy_can_be_made_the_service_does_not_start() {
    let (home, template) = large(3);
    let path = home.path("replyd.db");
    std::fs::copy(&template, &path).unwrap();
    let before = kept(&path);
    // A file cannot grow past a tenth of the store.
    let blocks = std::fs::metadata(&path).unwrap().len() / 5_120;
    let service = home.serve_with_files_of(blocks);
    assert_eq!(service.ended().await, Some(1), "{}", home.log());
    let log = home.log();
    assert!(log.contains("cannot be copied") && log.contains("backup_before_upgrade"), "{log}");
    assert_eq!((version_of(&path), kept(&path)), (3, before));
    let config = std::fs::read_to_string(home.path("config.toml")).unwrap();
    home.write("config.toml", &format!("[store]\nbackup_before_upgrade = false\n{config}"));
    let service = home.serve();
    until("the upgrade", || home.log().contains("replyd runs")).await;
    assert_eq!(service.stop(), Some(0));
    assert!(home.log().contains("was not copied before"), "{}", home.log());
    assert!(!home.path(&format!("replyd.db.before-v{}", newest())).exists());
}

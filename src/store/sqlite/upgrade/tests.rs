//! Stores of every earlier version, with rows of their time, become one of this version: nothing in
//! them is lost or changed, and there is a copy of what they were.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use rusqlite::OptionalExtension as _;
use rusqlite::types::Value;

use super::*;
use crate::reply::{Fingerprint, IdKey, Mobile};
use crate::store::sqlite::check::GivenUp;
use crate::store::sqlite::engine::Engine;
use crate::store::sqlite::file::OpenMode;
use crate::store::sqlite::schema::NEWEST;
use crate::time::BeijingTime;

/// A table's rows, each by its columns.
type Rows = Vec<BTreeMap<String, Value>>;

/// Columns whose values a migration rewrites, on purpose.
const REWRITTEN: [(&str, &str); 5] = [
    // 0005: words become facts.
    ("attempt", "next"),
    ("attempt", "trouble"),
    // 0005: whose a delivery is, and its lane; 0008: what stands in the way of others.
    ("delivery", "lane"),
    ("delivery", "in_line"),
    // 0013: what is in hand waits.
    ("delivery", "state"),
];

/// A store of this version at the path, with rows of every version up to it.
fn make(path: &Path, version: usize) {
    drop(std::fs::remove_file(path));
    let store = Connection::open(path).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sqlite/migrations");
    let sql = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    store.execute_batch("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON").unwrap();
    for number in 1..=version {
        let transaction = store.unchecked_transaction().unwrap();
        transaction.execute_batch(&sql(folder.join(format!("{number:04}.sql")))).unwrap();
        transaction.execute_batch(&sql(folder.join(format!("rows/{number:04}.sql")))).unwrap();
        transaction.commit().unwrap();
    }
    schema::mark(&store, version).unwrap();
}

fn in_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("replyd.db");
    (folder, path)
}

fn upgrade(path: &Path) -> Result<Done, StoreError> {
    carry_out(path, true, &GivenUp::default().look())
}

/// Every table but SQLite's own, with its rows in their order.
fn tables(path: &Path) -> BTreeMap<String, Rows> {
    let store = Connection::open(path).unwrap();
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let mut names = store.prepare(names).unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
    names.map(|name| (name.clone(), rows(&store, &name))).collect()
}

fn rows(store: &Connection, table: &str) -> Rows {
    let mut statement = store.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let read = |row: &rusqlite::Row<'_>| {
        let value = |(number, column): (usize, &String)| Ok((column.clone(), row.get(number)?));
        columns.iter().enumerate().map(value).collect()
    };
    let mut rows: Rows =
        statement.query_map([], read).unwrap().collect::<rusqlite::Result<_>>().unwrap();
    // By the first two columns, which are the key of each table or more than it; attempts, which had
    // another key once, by theirs.
    let of_attempts = ["delivery_id", "number", "started_ms"];
    let key_columns = match table {
        "attempt" => of_attempts.to_vec(),
        _ => columns.iter().take(2).map(String::as_str).collect(),
    };
    let key = |row: &BTreeMap<String, Value>| {
        key_columns.iter().map(|column| format!("{:?}", row[*column])).collect::<Vec<_>>()
    };
    rows.sort_by_cached_key(key);
    rows
}

fn version(path: &Path) -> usize {
    let store = Connection::open(path).unwrap();
    store.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_version_has_rows_in_every_table() {
    let (_folder, path) = in_folder();
    for version in 1..=NEWEST {
        make(&path, version);
        for (table, rows) in tables(&path) {
            let file = format!("src/store/sqlite/migrations/rows/{version:04}.sql");
            assert!(!rows.is_empty(), "version {version}: {table} has no row: add some to {file}");
        }
    }
}

#[test]
fn a_store_of_each_version_keeps_every_value_that_it_has() {
    for version in 1..NEWEST {
        let (_folder, path) = in_folder();
        make(&path, version);
        let before = tables(&path);
        assert!(matches!(upgrade(&path).unwrap(), Done::Here { copy: Some(_) }));
        let after = tables(&path);
        for (table, rows) in &before {
            let kept = &after[table];
            assert_eq!(rows.len(), kept.len(), "version {version}: rows of {table}");
            for (was, is) in rows.iter().zip(kept) {
                let stays = |(column, _): &(&String, &Value)| {
                    is.contains_key(*column)
                        && !REWRITTEN.contains(&(table.as_str(), column.as_str()))
                };
                for (column, value) in was.iter().filter(stays) {
                    // What was not known then may be known now; what was known stays.
                    let is_filled_in = *value == Value::Null && is[column] != Value::Null;
                    assert!(
                        is[column] == *value || is_filled_in && version < 5,
                        "version {version}: {table}.{column} was {value:?} and is {:?}",
                        is[column]
                    );
                }
            }
        }
        let store = Connection::open(&path).unwrap();
        let strays: i64 = store
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(strays, 0, "version {version}");
        let whole: String =
            store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(whole, "ok", "version {version}");
        drop(store);
        Engine::open(&path, OpenMode::Existing).unwrap();
    }
}

/// What a reply is called hangs on nothing but itself and its account's key, whichever version kept
/// it: an hour that is read again brings what is known.
#[test]
fn replies_of_every_version_have_the_ids_that_they_would_get_today() {
    let (_folder, path) = in_folder();
    make(&path, NEWEST);
    let store = Connection::open(&path).unwrap();
    let key = store
        .query_row("SELECT id_key FROM account WHERE name = 'main'", [], |row| row.get(0))
        .unwrap();
    let key = IdKey::from_stored(key);
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let replies = rows(&store, "reply");
    assert!(replies.len() > 8);
    for reply in replies {
        let (Value::Integer(replied_at), Value::Integer(occurrence)) =
            (&reply["replied_at"], &reply["occurrence"])
        else {
            panic!("{reply:?}");
        };
        let mobile = Mobile::parse(&text(&reply["mobile"])).unwrap();
        let (content, _, _) = encoding_rs::GBK.encode(match &reply["content"] {
            Value::Text(content) => content,
            other => panic!("{other:?}"),
        });
        let of = Fingerprint {
            account: "main",
            mobile: &mobile,
            replied_at: BeijingTime::from_unix_seconds(*replied_at),
            content: &content,
        };
        assert_eq!(Value::Blob(key.identity(of).0.to_vec()), reply["identity"], "{reply:?}");
        let occurrence = u32::try_from(*occurrence).unwrap();
        let id = key.reply_id(of, occurrence).as_str().to_owned();
        assert_eq!(id, text(&reply["id"]), "{reply:?}");
    }
}

#[test]
fn the_copy_is_the_store_as_it_was_and_its_owners_alone() {
    let (folder, path) = in_folder();
    make(&path, 3);
    let before = tables(&path);
    assert_eq!(pending(&path).unwrap(), Some(3));
    let Done::Here { copy: Some((copy, bytes)) } = upgrade(&path).unwrap() else {
        panic!("no copy")
    };
    assert_eq!(copy, folder.path().join(format!("replyd.db.before-v{NEWEST}")));
    assert_eq!(std::fs::metadata(&copy).unwrap().len(), bytes);
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!((version(&copy), version(&path)), (3, NEWEST));
    assert_eq!(tables(&copy), before);
    assert_eq!(pending(&path).unwrap(), None);
    assert!(matches!(upgrade(&path).unwrap(), Done::Elsewhere));
    // Going back is to put the copy in its place; the next upgrade copies that.
    std::fs::rename(&copy, &path).unwrap();
    assert_eq!(pending(&path).unwrap(), Some(3));
    upgrade(&path).unwrap();
    assert_eq!(tables(&copy), before);
}

#[test]
fn of_several_that_start_at_once_one_copies_and_upgrades() {
    for _ in 0..5 {
        let (folder, path) = in_folder();
        make(&path, 3);
        let done: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| upgrade(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let here = done.iter().filter(|done| matches!(done, Done::Here { .. })).count();
        assert_eq!(here, 1);
        let copy = format!("replyd.db.before-v{NEWEST}");
        assert_eq!(names(folder.path()), ["replyd.db".to_owned(), copy]);
    }
}

#[test]
fn a_store_that_cannot_be_copied_stays_as_it_was() {
    let (folder, path) = in_folder();
    make(&path, 2);
    let before = tables(&path);
    // What cannot be removed stands where the copy is to be made.
    let in_the_way = folder.path().join(format!("replyd.db.before-v{NEWEST}.unfinished"));
    std::fs::create_dir(&in_the_way).unwrap();
    let Err(error @ StoreError::NotCopied { .. }) = upgrade(&path) else { panic!("copied") };
    let words = error.to_string();
    assert!(words.contains(" 2 to ") && words.contains("backup_before_upgrade"), "{words}");
    assert_eq!((version(&path), tables(&path)), (2, before));
    // Somebody takes the way out.
    let done = carry_out(&path, false, &GivenUp::default().look()).unwrap();
    assert!(matches!(done, Done::Here { copy: None }));
    assert_eq!(version(&path), NEWEST);
}

#[test]
fn what_a_broken_off_copy_left_is_made_anew() {
    let (folder, path) = in_folder();
    make(&path, 2);
    let unfinished = folder.path().join(format!("replyd.db.before-v{NEWEST}.unfinished"));
    std::fs::write(&unfinished, vec![7; 10_000]).unwrap();
    upgrade(&path).unwrap();
    assert!(!unfinished.exists());
    assert_eq!(version(&folder.path().join(format!("replyd.db.before-v{NEWEST}"))), 2);
}

#[test]
fn a_migration_that_fails_leaves_the_store_of_its_version_whole() {
    let (_folder, newest) = in_folder();
    make(&newest, NEWEST);
    for version_was in 1..NEWEST {
        let (folder, path) = in_folder();
        make(&path, version_was);
        // What the last migration makes is in its way: all the others are done by then. What 0016 makes
        // stood up to version 13 under the same name: there what 0015 makes for a moment is in its way.
        let store = Connection::open(&path).unwrap();
        store.execute("ATTACH ?1 AS newest", [newest.to_str()]).unwrap();
        let last = "SELECT name FROM newest.sqlite_schema WHERE sql IS NOT NULL AND name NOT IN (SELECT name FROM main.sqlite_schema)
                    ORDER BY rowid DESC LIMIT 1";
        let last: Option<String> = store.query_row(last, [], |row| row.get(0)).optional().unwrap();
        let last = last.unwrap_or_else(|| "changed_checks".to_owned());
        store.execute_batch(&format!("CREATE TABLE main.{last} (a); DETACH newest")).unwrap();
        drop(store);
        let before = tables(&path);
        let failed = upgrade(&path).map(drop);
        assert!(matches!(failed, Err(StoreError::Other(_))), "{version_was} {last}: {failed:?}");
        assert_eq!((version(&path), tables(&path)), (version_was, before), "{version_was}");
        let copy = folder.path().join(format!("replyd.db.before-v{NEWEST}"));
        assert_eq!(version(&copy), version_was);
        let store = Connection::open(&path).unwrap();
        store.execute_batch(&format!("DROP TABLE {last}")).unwrap();
        drop(store);
        assert!(matches!(upgrade(&path).unwrap(), Done::Here { .. }));
    }
}

#[test]
fn an_upgrade_that_is_given_up_leaves_the_store_as_it_was() {
    let (folder, path) = in_folder();
    make(&path, 3);
    let before = tables(&path);
    let given_up = GivenUp::default();
    let look = given_up.look();
    drop(given_up);
    assert!(matches!(carry_out(&path, true, &look), Err(StoreError::Closed)));
    assert_eq!((version(&path), tables(&path)), (3, before));
    assert_eq!(names(folder.path()), ["replyd.db"]);
}

#[test]
fn two_copies_are_kept_and_no_other_file_is_touched() {
    let (folder, path) = in_folder();
    make(&path, NEWEST);
    let put = |name: &str| std::fs::write(folder.path().join(name), "x").unwrap();
    for name in ["before-v2", "before-v10", "before-v9", "before-vx", "before-v", "before-v11.mine"]
    {
        put(&format!("replyd.db.{name}"));
    }
    put("other.db.before-v3");
    assert_eq!(drop_copies(&path, UnixMs(i64::MIN)).unwrap(), 1);
    let left = [
        "other.db.before-v3",
        "replyd.db",
        "replyd.db.before-v",
        "replyd.db.before-v10",
        "replyd.db.before-v11.mine",
        "replyd.db.before-v9",
        "replyd.db.before-vx",
    ];
    assert_eq!(names(folder.path()), left);
    assert_eq!(drop_copies(&path, UnixMs(i64::MAX)).unwrap(), 2);
    assert_eq!(names(folder.path()).len(), left.len() - 2);
}

#[test]
fn only_an_upgrade_changes_a_store_of_an_earlier_version() {
    let (_folder, path) = in_folder();
    make(&path, 3);
    let before = std::fs::read(&path).unwrap();
    for mode in [OpenMode::Create, OpenMode::Existing] {
        let refused = Engine::open(&path, mode).map(drop);
        assert!(matches!(refused, Err(StoreError::Older { found: 3, .. })), "{refused:?}");
    }
    drop(Engine::open(&path, OpenMode::AsItIs).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(pending(&path.with_file_name("none")).unwrap(), None);
}

#[test]
fn a_newer_store_is_refused_untouched() {
    let (folder, path) = in_folder();
    make(&path, NEWEST);
    let store = Connection::open(&path).unwrap();
    store.execute_batch("CREATE TABLE of_tomorrow (a)").unwrap();
    schema::mark(&store, NEWEST + 1).unwrap();
    drop(store);
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(pending(&path), Err(StoreError::Refused(_))));
    assert!(matches!(upgrade(&path), Err(StoreError::Refused(_))));
    for mode in [OpenMode::Create, OpenMode::Existing, OpenMode::AsItIs] {
        assert!(matches!(Engine::open(&path, mode), Err(StoreError::Refused(_))));
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(names(folder.path()), ["replyd.db"]);
}

/// What a migration drops and what is deleted afterwards stands nowhere in the file, whether the file
/// was written anew or not: the setting is the connection's, not the file's.
#[test]
fn what_is_deleted_is_overwritten_after_an_upgrade_and_a_rewrite_too() {
    let (_folder, path) = in_folder();
    make(&path, 3);
    // In a table that a migration makes anew, and in one that it leaves alone.
    let store = Connection::open(&path).unwrap();
    let words = "secretword-of-a-";
    let fill = format!(
        "UPDATE attempt SET answer = CAST('{words}receiver' || printf('%0200d', id) AS BLOB);
         UPDATE reply SET content = '{words}customer' || printf('%0200d', seq);
         PRAGMA wal_checkpoint(TRUNCATE)"
    );
    store.execute_batch(&fill).unwrap();
    drop(store);
    upgrade(&path).unwrap();
    for is_written_anew in [false, true] {
        let connection = connect(&path).unwrap();
        let set: bool =
            connection.pragma_query_value(None, "secure_delete", |row| row.get(0)).unwrap();
        assert!(set);
        if is_written_anew {
            let restore = format!("UPDATE reply SET content = '{words}customer' WHERE seq = 2");
            connection.execute_batch(&restore).unwrap();
            assert!(file::rewrite(&connection, &path, u64::MAX).unwrap());
        }
        let erase = "UPDATE attempt SET answer = NULL; UPDATE reply SET content = ''";
        connection.execute_batch(erase).unwrap();
        assert!(file::empty_log(&connection).unwrap());
        drop(connection);
        assert_eq!(file::occurrences(&path, words.as_bytes()).unwrap(), 0, "{is_written_anew}");
    }
}

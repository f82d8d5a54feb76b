use super::*;

fn engine(folder: &tempfile::TempDir) -> Engine {
    Engine::open(&folder.path().join("replyd.db"), OpenMode::Create).unwrap()
}

async fn put(engine: &Engine, key: &'static str, fail: bool) -> Result<(), StoreError> {
    engine
        .write(move |connection| {
            connection.execute(
                "INSERT INTO account (name, id_key, settings, login, box) VALUES (?1, x'00', '', x'00', x'00')",
                [key],
            )?;
            if fail { Err(StoreError::Busy) } else { Ok(()) }
        })
        .await
}

async fn names(engine: &Engine) -> Vec<String> {
    let query = |connection: &Connection| {
        let mut statement = connection.prepare("SELECT name FROM account ORDER BY name")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    };
    engine.read(query).await.unwrap()
}

#[tokio::test]
async fn a_failed_act_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder);
    let (a, b, c) =
        tokio::join!(put(&engine, "a", false), put(&engine, "b", true), put(&engine, "c", false));
    assert!(a.is_ok() && c.is_ok());
    assert!(matches!(b, Err(StoreError::Busy)));
    assert_eq!(names(&engine).await, ["a", "c"]);
    let alone = put(&engine, "d", true).await;
    assert!(matches!(alone, Err(StoreError::Busy)));
    put(&engine, "e", false).await.unwrap();
    assert_eq!(names(&engine).await, ["a", "c", "e"]);
}

#[tokio::test]
async fn an_act_that_panics_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder);
    let broken = engine.write::<()>(|_| panic!("on purpose")).await;
    assert!(matches!(broken, Err(StoreError::Refused(_))), "{broken:?}");
    put(&engine, "later", false).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_told_to_every_act_of_the_group_and_keeps_none() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder);
    let limit = |connection: &Connection| {
        let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        connection.pragma_update(None, "max_page_count", pages)?;
        Ok(())
    };
    engine.write(limit).await.unwrap();
    let fill = |connection: &Connection| {
        connection.execute("INSERT INTO account (name, id_key, settings, login, box) VALUES ('big', zeroblob(1000000), '', x'00', x'00')", [])?;
        Ok(())
    };
    let (small, big) = tokio::join!(put(&engine, "a", false), engine.write(fill));
    assert!(matches!(big, Err(StoreError::Unwritable(_))), "{big:?}");
    // Whether the small act shared the full one's commit or came before it, its answer is true.
    assert_eq!(names(&engine).await, if small.is_ok() { vec!["a"] } else { vec![] });
    engine
        .write(|connection| Ok(connection.pragma_update(None, "max_page_count", 1 << 30)?))
        .await
        .unwrap();
    put(&engine, "later", false).await.unwrap();
}

#[tokio::test]
async fn the_file_is_its_owners_and_synced() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder);
    let mode = std::fs::metadata(engine.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let settings = |connection: &Connection| {
        let synchronous: i64 =
            connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        let journal: String =
            connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok((synchronous, journal))
    };
    assert_eq!(engine.write(settings).await.unwrap(), (2, "wal".to_owned()));
}

#[tokio::test]
async fn a_closed_store_has_no_log_and_answers_no_act() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder);
    let clone = engine.clone();
    put(&engine, "a", false).await.unwrap();
    engine.data_version().await.unwrap();
    assert_eq!(names(&engine).await, ["a"]);
    assert!(file::has_log(engine.path()));
    engine.close().await;
    assert!(!file::has_log(engine.path()));
    assert!(matches!(put(&clone, "b", false).await, Err(StoreError::Closed)));
    assert!(!Engine::open(engine.path(), OpenMode::Existing).unwrap().was_left_open());
}

#[tokio::test]
async fn a_check_that_is_given_up_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder);
    engine.quick_check().await.unwrap();
    let connection = connect(engine.path()).unwrap();
    let given_up = GivenUp::default();
    assert_eq!(check::damages(&connection, &given_up.look()).unwrap(), None);
    let look = given_up.look();
    let (begun, begins) = std::sync::mpsc::channel();
    let endless = std::thread::spawn(move || {
        let mut statement = connection.prepare(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number) SELECT n FROM number",
        )?;
        for number in statement.query_map([], |row| row.get::<_, i64>(0))? {
            number?;
            begun.send(()).unwrap();
        }
        Ok::<_, rusqlite::Error>(())
    });
    begins.recv().unwrap();
    drop(given_up);
    while begins.recv().is_ok() {}
    let ended = endless.join().unwrap().unwrap_err().sqlite_error_code();
    assert_eq!(ended, Some(rusqlite::ErrorCode::OperationInterrupted));
    let other = connect(engine.path()).unwrap();
    assert!(look.is_given_up() && check::damages(&other, &look).unwrap().is_none());
}

#[test]
fn several_make_one_store_together() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replyd.db");
        let open = || Engine::open(&path, OpenMode::Create).map(drop);
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(opened.iter().all(Result::is_ok), "{opened:?}");
    }
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.db");
    assert!(matches!(Engine::open(&missing, OpenMode::Existing), Err(StoreError::Missing(_))));
    let noise = folder.path().join("noise.db");
    std::fs::write(&noise, vec![7; 10_000]).unwrap();
    assert!(matches!(Engine::open(&noise, OpenMode::Create), Err(StoreError::Broken { .. })));
    let elsewhere = folder.path().join("no/such/folder.db");
    assert!(matches!(Engine::open(&elsewhere, OpenMode::Create), Err(StoreError::Path { .. })));
}

/// Writes so much, a quarter of a MiB at a time; the longest that the log was.
async fn write_mib(engine: &Engine, mib: u64) -> u64 {
    let mut longest = 0;
    for _ in 0..mib * 4 {
        let put = |connection: &Connection| {
            let sql = "INSERT OR REPLACE INTO account (name, id_key, settings, login, box)
                 VALUES ('big', zeroblob(262144), '', x'00', x'00')";
            Ok(connection.execute(sql, [])?)
        };
        engine.write(put).await.unwrap();
        longest = longest.max(log_bytes(engine));
    }
    longest
}

fn log_bytes(engine: &Engine) -> u64 {
    std::fs::metadata(file::log_of(engine.path())).map_or(0, |log| log.len())
}

/// Looks at the store, and goes on looking for a while.
async fn look(engine: Engine, looks_on: std::sync::mpsc::Receiver<()>, for_ms: u64) {
    let query = move |connection: &Connection| {
        let transaction = connection.unchecked_transaction()?;
        transaction.query_row("SELECT count(*) FROM account", [], |row| row.get::<_, i64>(0))?;
        // Ends when somebody says so or when it is over, whichever comes first.
        let _is_over = looks_on.recv_timeout(Duration::from_millis(for_ms));
        Ok(())
    };
    engine.read(query).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_stays_short_where_somebody_reads_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut readers = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (engine, stop) = (engine.clone(), Arc::clone(&stop));
        readers.spawn(async move {
            let mut looks = 0;
            while !stop.load(Ordering::SeqCst) {
                // Of different lengths, so that never all of them end together.
                let (_goes_on, looks_on) = std::sync::mpsc::channel();
                look(engine.clone(), looks_on, 11 + 4 * number).await;
                looks += 1;
            }
            looks
        });
    }
    let longest = write_mib(&engine, 96).await;
    stop.store(true, Ordering::SeqCst);
    assert!(readers.join_all().await.into_iter().all(|looks| looks > 1));
    // Uncut it would be six times as long as it may be. By as much as it may be it grows while the
    // readers on it are waited for, and again where a busy machine keeps one on it for longer.
    let bound = 4 * crate::store::sqlite::wal::LOG_BYTES_MAX;
    assert!(longest <= bound, "{longest} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_somebody_kept_long_is_cut_when_they_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder);
    let (goes_on, looks_on) = std::sync::mpsc::channel();
    let reader = tokio::spawn(look(engine.clone(), looks_on, 60_000));
    let bound = crate::store::sqlite::wal::LOG_BYTES_MAX;
    let mut written = 0;
    while log_bytes(&engine) <= 3 * bound {
        written += 1;
        assert!(written < 200, "nobody keeps it");
        write_mib(&engine, 1).await;
    }
    drop(goes_on);
    reader.await.unwrap();
    write_mib(&engine, 20).await;
    assert!(log_bytes(&engine) <= bound, "{} bytes", log_bytes(&engine));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_nobody_waits_for_ends_and_its_connection_serves_others() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder);
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (ended, has_ended) = tokio::sync::oneshot::channel();
    let endless = move |connection: &Connection| {
        let sql =
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        rows.next()?;
        begun.send(()).unwrap();
        let mut next = rows.next();
        while let Ok(Some(_)) = next {
            next = rows.next();
        }
        ended.send(next.is_err()).unwrap();
        Ok(())
    };
    let searching = tokio::spawn({
        let engine = engine.clone();
        async move { engine.search(endless).await }
    });
    has_begun.await.unwrap();
    searching.abort();
    assert!(has_ended.await.unwrap());
    put(&engine, "a", false).await.unwrap();
    for _ in 0..10 {
        assert_eq!(names(&engine).await, ["a"]);
    }
    let found = engine.search(|connection| {
        Ok(connection.query_row("SELECT count(*) FROM account", [], |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(found.await.unwrap(), 1);
}

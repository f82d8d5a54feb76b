//! The tables, and how a store of an older version gets those of this one.
//!
//! Migrations only go forward, all that a store lacks in one transaction; `user_version` counts
//! them. A store of a newer version is refused: its promises are not known here. Copying a store
//! before it is changed is `upgrade`'s.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use rusqlite::{Connection, TransactionBehavior};

use crate::store::error::StoreError;

/// What marks a file as a store of this program: `rpyd`.
const APPLICATION_ID: i32 = 0x7270_7964;
/// The migrations, in their order; the first makes an empty file a store.
static MIGRATIONS: [&str; 16] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
    include_str!("migrations/0012.sql"),
    include_str!("migrations/0013.sql"),
    include_str!("migrations/0014.sql"),
    include_str!("migrations/0015.sql"),
    include_str!("migrations/0016.sql"),
];

/// The version that this program makes of a store.
pub(crate) const NEWEST: usize = MIGRATIONS.len();

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// Nothing is in it yet.
    Empty,
    /// A store of this earlier version.
    Older(usize),
    /// A store of this program's version.
    Current,
}

/// Refuses a file that is no store of this program or of a newer version, before anything is
/// written to it.
pub(super) fn vet(connection: &mut Connection) -> Result<(), StoreError> {
    // One transaction, so that a store that another process just makes is seen whole or not.
    missing(&*connection.transaction()?).map(drop)
}

/// How far the file is; one of this version is seen to be as it says.
pub(super) fn age(connection: &mut Connection) -> Result<Age, StoreError> {
    age_within(&*connection.transaction()?)
}

/// The same in the transaction that there is.
pub(super) fn age_within(connection: &Connection) -> Result<Age, StoreError> {
    match NEWEST.saturating_sub(missing(connection)?.len()) {
        0 => Ok(Age::Empty),
        NEWEST => require_tables(connection).map(|()| Age::Current),
        version => Ok(Age::Older(version)),
    }
}

/// Makes an empty file a store, unless another process has done so just now; runs whatever
/// migrations it has not seen.
pub(super) fn bring_up_to_date(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let missing = missing(&transaction)?;
    if missing.is_empty() {
        return require_tables(&transaction);
    }
    migrate(&transaction)?;
    Ok(transaction.commit()?)
}

/// Runs the migrations that the store has not seen, in the transaction that there is.
pub(super) fn migrate(connection: &Connection) -> Result<(), StoreError> {
    for migration in missing(connection)? {
        connection.execute_batch(migration)?;
    }
    require_tables(connection)?;
    mark(connection, NEWEST)
}

/// Marks the file as a store of this version.
pub(super) fn mark(connection: &Connection, version: usize) -> Result<(), StoreError> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok(connection.pragma_update(None, "user_version", version)?)
}

/// The migrations that the store has not seen.
fn missing(connection: &Connection) -> Result<&'static [&'static str], StoreError> {
    let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (version, tables) != (0, 0) {
        return Err(StoreError::Refused("the file is a database of another program".to_owned()));
    }
    MIGRATIONS.get(version..).ok_or_else(|| {
        StoreError::Refused(format!(
            "the store is of version {version}, and this program knows up to {NEWEST}: install the \
             newer program again, or put the copy back that it made beside the store"
        ))
    })
}

/// Refuses a store whose tables and indexes are not those of its version: an act that finds less
/// than it relies on, or a unique index gone, would do harm in silence. What there is besides, such
/// as an index that somebody added, is left alone.
fn require_tables(connection: &Connection) -> Result<(), StoreError> {
    let found = objects(connection)?;
    match model()?.iter().find(|object| !found.contains(object)) {
        None => Ok(()),
        Some((kind, name, _)) => Err(StoreError::Refused(format!(
            "the store lacks the {kind} {name:?} as version {} of it has it: somebody changed it; restore a backup",
            MIGRATIONS.len()
        ))),
    }
}

/// What the migrations make of an empty file, which is found out once.
fn model() -> Result<&'static BTreeSet<Object>, StoreError> {
    static MODEL: OnceLock<BTreeSet<Object>> = OnceLock::new();
    if let Some(model) = MODEL.get() {
        return Ok(model);
    }
    let empty = Connection::open_in_memory()?;
    for migration in MIGRATIONS {
        empty.execute_batch(migration)?;
    }
    let found = objects(&empty)?;
    Ok(MODEL.get_or_init(|| found))
}

/// Kind, name and statement.
type Object = (String, String, String);

/// Everything in a schema but SQLite's own.
fn objects(connection: &Connection) -> Result<BTreeSet<Object>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_becomes_a_store_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        bring_up_to_date(&mut connection).unwrap();
        bring_up_to_date(&mut connection).unwrap();
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM reply", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
    }

    /// A store as the migrations before 0004 left it, with a delivery of each state.
    fn before_0004() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        let earlier = MIGRATIONS.split(|sql| sql.contains("former_delivery")).next().unwrap();
        for migration in earlier {
            connection.execute_batch(migration).unwrap();
        }
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", earlier.len()).unwrap();
        let rows = "
            INSERT INTO account (name, id_key, settings, login, box) VALUES ('main', x'00', '', x'00', x'00');
            INSERT INTO read (id, account, state, charset, started_ms, deadline_boot, deadline_boot_ms)
                VALUES (7, 'main', 'ingested', 'gbk', 1, '', 1);
            INSERT INTO waiting_record
                VALUES (1, 7, 'main', 1, 5, '13900000001', 4, x'61', '10', 0),
                       (2, 7, 'main', 2, 5, '13900000002', 4, x'62', '10', 1);
            INSERT INTO subscriber (name, route, enabled) VALUES ('crm', '{}', 1);
            INSERT INTO event (seq, id, type, body) VALUES (1, 'rpl_a', 'reply.received', '{}');
            INSERT INTO delivery VALUES
                (1, 'crm', 1, 'auto', 'waiting', 10, 11, 0, 0), (2, 'crm', 1, 'replay', 'sending', 20, 21, 1, 2),
                (3, 'crm', 1, 'auto', 'delivered', 30, 31, 3, 4), (4, 'crm', 1, 'retry', 'failed', 40, 41, 5, 6),
                (5, 'crm', 1, 'test', 'cancelled', 50, 51, 0, 0), (900, 'crm', 1, 'auto', 'waiting', 60, 61, 0, 0);
            INSERT INTO attempt (delivery_id, number, started_ms, duration_ms, next)
                VALUES (3, 1, 1, 1, ''), (3, 2, 1, 1, ''), (4, 1, 1, 1, '');
            DELETE FROM delivery WHERE id = 900;";
        connection.execute_batch(rows).unwrap();
        connection
    }

    fn text(connection: &Connection, sql: &str) -> String {
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn deliveries_can_be_held_and_keep_all_that_they_were() {
        let mut connection = before_0004();
        let deliveries = "SELECT group_concat(concat_ws(' ', id, subscriber, event_seq, trigger, state, created_ms,
            due_ms, attempts), '; ' ORDER BY id) FROM delivery";
        // Since 0013 a delivery that a worker has in hand waits.
        let before = text(&connection, deliveries).replace("sending", "waiting");
        assert_eq!(before.matches(';').count(), 4);
        bring_up_to_date(&mut connection).unwrap();
        assert_eq!(text(&connection, deliveries), before);
        let waiting = "SELECT group_concat(concat(id, ' ', copies, ' ', content, ' ', suspect), '; ' ORDER BY id)
            FROM waiting_record";
        assert_eq!(text(&connection, waiting), "1 1 a ; 2 2 b may_hold_two");
        let tables = "SELECT group_concat(name, ' ' ORDER BY name) FROM sqlite_schema WHERE name GLOB '*delivery*'
            OR name GLOB 'former*'";
        assert_eq!(
            text(&connection, tables),
            "attempt_delivery delivery delivery_due delivery_ended delivery_event delivery_held delivery_line delivery_made delivery_stand_in"
        );
        // The attempts have their deliveries again, and none other can be had.
        let strays: i64 = connection
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(strays, 0);
        let attempt =
            "INSERT INTO attempt (delivery_id, number, started_ms, duration_ms, next) VALUES";
        connection.execute_batch(&format!("{attempt} (5, 1, 1, 1, '')")).unwrap();
        connection.execute_batch(&format!("{attempt} (900, 1, 1, 1, '')")).unwrap_err();
        connection.execute_batch("DELETE FROM delivery WHERE id = 3").unwrap_err();
        let parents = "SELECT group_concat(\"table\", ' ' ORDER BY \"table\") FROM pragma_foreign_key_list('delivery')";
        assert_eq!(text(&connection, parents), "event subscriber");
        // No number is given twice, also where the highest one is gone.
        put_delivery(&connection, "auto", "held").unwrap();
        assert_eq!(connection.last_insert_rowid(), 901);
    }

    fn put_delivery(
        connection: &Connection,
        trigger: &str,
        state: &str,
    ) -> rusqlite::Result<usize> {
        connection.execute(
            "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
             VALUES ('crm', 1, ?1, ?2, 1, 1)",
            [trigger, state],
        )
    }

    #[test]
    fn a_delivery_has_a_state_and_a_trigger_that_there_are() {
        let mut upgraded = before_0004();
        bring_up_to_date(&mut upgraded).unwrap();
        for state in ["held", "waiting", "delivered", "failed", "cancelled"] {
            put_delivery(&upgraded, "auto", state).unwrap();
        }
        for trigger in ["retry", "replay", "test"] {
            put_delivery(&upgraded, trigger, "waiting").unwrap();
        }
        for (trigger, state) in [("auto", "lost"), ("auto", "sending"), ("chance", "waiting")] {
            let refused = put_delivery(&upgraded, trigger, state).unwrap_err().to_string();
            assert!(refused.contains("CHECK"), "{trigger} {state}: {refused}");
        }
        assert_eq!(text(&upgraded, "PRAGMA integrity_check"), "ok");
    }

    #[test]
    fn foreign_and_newer_files_are_refused() {
        let mut newer = Connection::open_in_memory().unwrap();
        bring_up_to_date(&mut newer).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(bring_up_to_date(&mut newer), Err(StoreError::Refused(_))));
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE theirs (a)").unwrap();
        assert!(matches!(bring_up_to_date(&mut foreign), Err(StoreError::Refused(_))));
    }
    #[test]
    fn a_store_that_is_not_as_its_version_says_is_refused() {
        for change in [
            "DROP TABLE fault",
            "DROP INDEX delivery_due",
            "DROP INDEX delivery_due; CREATE INDEX delivery_due ON delivery (due_ms)",
            "ALTER TABLE reply RENAME COLUMN suspect TO suspicion",
            "ALTER TABLE reply ADD COLUMN mine TEXT",
        ] {
            let mut connection = Connection::open_in_memory().unwrap();
            bring_up_to_date(&mut connection).unwrap();
            connection.execute_batch(change).unwrap();
            let refused = bring_up_to_date(&mut connection);
            assert!(matches!(refused, Err(StoreError::Refused(_))), "{change}: {refused:?}");
        }
        let mut connection = Connection::open_in_memory().unwrap();
        bring_up_to_date(&mut connection).unwrap();
        connection.execute_batch("CREATE INDEX mine ON reply (content); ANALYZE").unwrap();
        bring_up_to_date(&mut connection).unwrap();
    }

    #[test]
    fn a_store_of_an_older_version_becomes_one_of_this() {
        for version in 1..MIGRATIONS.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            for migration in &MIGRATIONS[..version] {
                connection.execute_batch(migration).unwrap();
            }
            connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
            connection.pragma_update(None, "user_version", version).unwrap();
            bring_up_to_date(&mut connection).unwrap();
            bring_up_to_date(&mut connection).unwrap();
        }
    }
}

//! The ceiling: the product's rows, read back and put into another file with nothing else done.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use sha2::{Digest, Sha256};

/// A table that intake fills: what is in it, in the order of its key, as the parameters of the
/// statement with which the product puts it.
struct Table {
    select: &'static str,
    insert: &'static str,
    /// All there is of it, to compare.
    all: &'static str,
}

const TABLES: [Table; 4] = [
    Table {
        select: "SELECT identity, account, hour, plain, seen FROM tally ORDER BY identity",
        insert: "INSERT INTO tally (identity, account, hour, plain, seen) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (identity) DO UPDATE SET plain = excluded.plain, seen = excluded.seen",
        all: "SELECT * FROM tally ORDER BY identity",
    },
    Table {
        select: "SELECT id, identity, occurrence, account, mobile, replied_at, content, content_raw, gateway,
                        suspect, extension, read_id, kept_ms FROM reply ORDER BY seq",
        insert: "INSERT INTO reply (id, identity, occurrence, account, mobile, replied_at, content, content_raw,
                                    gateway, suspect, extension, read_id, kept_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        all: "SELECT * FROM reply ORDER BY seq",
    },
    Table {
        select: "SELECT id, type, body, mobile, replied_at FROM event ORDER BY seq",
        insert: "INSERT INTO event (id, type, body, mobile, replied_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        all: "SELECT * FROM event ORDER BY seq",
    },
    Table {
        select: "SELECT subscriber, json_group_array(event_seq ORDER BY id), created_ms FROM delivery
                 GROUP BY subscriber, created_ms ORDER BY min(id)",
        insert: "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms, mobile, replied_at)
                 SELECT ?1, value, 'auto', 'waiting', ?3, min(?3, coalesce(replied_at * 1000, ?3)), mobile, replied_at
                 FROM json_each(?2) CROSS JOIN event ON event.seq = value",
        all: "SELECT * FROM delivery ORDER BY id",
    },
];

/// Every row that an answer became, in memory.
pub(crate) struct Rows {
    tables: Vec<Vec<Vec<Value>>>,
    count: usize,
    digest: String,
}

impl Rows {
    /// Reads them from a store's file.
    pub(crate) fn read(path: &Path) -> Self {
        let connection = connect(path);
        let tables = TABLES.iter().map(|table| rows(&connection, table.select)).collect();
        let mut digest = Sha256::new();
        let mut count = 0;
        for table in &TABLES {
            for row in rows(&connection, table.all) {
                digest.update(format!("{row:?}\n"));
                count += 1;
            }
            digest.update("end\n");
        }
        Self { tables, count, digest: hex::encode(digest.finalize()) }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// What is the same for equal rows: of every column, also those that take their default.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Puts them into another store's file in one transaction, and says how long that took.
    pub(crate) fn put(&self, path: &Path) -> Duration {
        let connection = connect(path);
        let started = Instant::now();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for (table, rows) in TABLES.iter().zip(&self.tables) {
            let mut insert = connection.prepare(table.insert).unwrap();
            for row in rows {
                insert.execute(params_from_iter(row)).unwrap();
            }
        }
        connection.execute_batch("COMMIT").unwrap();
        started.elapsed()
    }
}

fn rows(connection: &Connection, select: &str) -> Vec<Vec<Value>> {
    let mut statement = connection.prepare(select).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

/// With the settings of the store's writer.
fn connect(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024).unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    connection.pragma_update(None, "cache_size", -32 * 1024).unwrap();
    connection
}

//! What attempts came to: recorded, and, where the lease still stands under which they were made, what
//! follows for the delivery and for those of the same person behind it.
//!
//! Most attempts deliver, so that the rows of a turn are put, and those deliveries ended, by one
//! statement each: what SQLite sets up for a statement costs more than the row that it changes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use rusqlite::{Connection, Statement, ToSql, params};

use crate::store::attempt::{Attempt, GivenUp, Next};
use crate::store::error::StoreError;
use crate::store::sqlite::claims::{HOLD, let_next_go, ready};
use crate::store::sqlite::{json, leases, messages};
use crate::time::{UnixMs, millis};

/// Records attempts. An outcome counts only while its lease stands: a sender whose lease ended must
/// not undo what a later one did. One whose delivery is gone meanwhile, because its reply was
/// erased, leaves nothing.
pub(crate) fn record(connection: &Connection, attempts: &[Attempt]) -> Result<(), StoreError> {
    if attempts.is_empty() {
        return Ok(());
    }
    put(connection, attempts)?;
    let leases: BTreeSet<i64> = attempts.iter().map(|attempt| attempt.lease).collect();
    let mut standing = BTreeSet::new();
    for lease in leases {
        if leases::stands(connection, lease)? {
            standing.insert(lease);
        }
    }
    let mut delivered = Vec::new();
    for attempt in attempts.iter().filter(|attempt| standing.contains(&attempt.lease)) {
        match attempt.next {
            Next::Delivered => delivered.push(attempt.delivery),
            _ => follow(connection, attempt)?,
        }
    }
    end(connection, &delivered)?;
    for attempt in attempts {
        if let Some(text) = &attempt.reply {
            messages::put_answer(connection, attempt.delivery, text, attempt.started)?;
        }
    }
    Ok(())
}

/// Records an attempt, and takes its delivery out of its lease.
pub(crate) fn record_one(connection: &Connection, attempt: Attempt) -> Result<(), StoreError> {
    let (lease, delivery) = (attempt.lease, attempt.delivery);
    record(connection, &[attempt])?;
    leases::give_back(connection, lease, delivery)
}

/// Attempts whose rows one statement puts. Most turns have more of them.
const ROWS: usize = 32;
/// The columns of an attempt's row that are put.
const COLUMNS: usize = 13;

static PUT_ROWS: LazyLock<String> = LazyLock::new(|| put_sql(ROWS));
static PUT_ROW: LazyLock<String> = LazyLock::new(|| put_sql(1));

/// Puts so many attempts, but for those whose delivery is gone, and what is known already: no turn may
/// fail for ever because of a row. OR FAIL, here and where deliveries end: else SQLite copies every page
/// first, to undo the statement alone. What fails is undone with its whole act.
fn put_sql(rows: usize) -> String {
    let row = format!("({})", ["?"; COLUMNS].join(", "));
    let rows = vec![row; rows].join(", ");
    format!(
        "INSERT OR FAIL INTO attempt (delivery_id, number, started_ms, duration_ms, address, http_status, trouble, answer,
                              next, resolve_us, connect_us, tls_us, first_byte_us)
         SELECT delivery.id, column2, column3, column4, column5, column6, column7, column8, column9, column10,
                column11, column12, column13
         FROM (VALUES {rows}) CROSS JOIN delivery ON delivery.id = column1 WHERE true
         ON CONFLICT DO NOTHING"
    )
}

fn put(connection: &Connection, attempts: &[Attempt]) -> Result<(), StoreError> {
    let mut texts = Texts::default();
    for part in attempts.chunks(ROWS) {
        let (sql, rows) = if part.len() == ROWS { (&PUT_ROWS, ROWS) } else { (&PUT_ROW, 1) };
        let mut statement = connection.prepare_cached(sql)?;
        for attempts in part.chunks(rows) {
            let mut next = Place { statement: &mut statement, number: 0 };
            for attempt in attempts {
                bind(&mut next, attempt, &mut texts)?;
            }
            statement.raw_execute()?;
        }
        // Those that send share the cores with the store's thread: none of them waits for a whole part.
        std::thread::yield_now();
    }
    Ok(())
}

/// The next place of a statement that takes a value.
struct Place<'a, 'c> {
    statement: &'a mut Statement<'c>,
    number: usize,
}

impl Place<'_, '_> {
    fn takes(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.number += 1;
        self.statement.raw_bind_parameter(self.number, value)
    }
}

/// The texts of what the attempts of a turn mostly have in common, which is not written anew for each.
#[derive(Default)]
struct Texts {
    address: Last<SocketAddr>,
    next: Last<Next>,
}

/// A value's text, kept for when the next one is the same.
struct Last<T>(Option<(T, String)>);

impl<T> Default for Last<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Clone + PartialEq> Last<T> {
    fn text(
        &mut self,
        value: &T,
        write: impl FnOnce(&T) -> Result<String, StoreError>,
    ) -> Result<&str, StoreError> {
        let last = match self.0.take() {
            Some(last) if last.0 == *value => last,
            _ => (value.clone(), write(value)?),
        };
        Ok(&self.0.insert(last).1)
    }
}

/// Binds an attempt's row, in the order of the columns.
fn bind(next: &mut Place<'_, '_>, attempt: &Attempt, texts: &mut Texts) -> Result<(), StoreError> {
    let timings = &attempt.timings;
    let trouble = attempt.trouble.as_ref().map(json::write);
    next.takes(attempt.delivery)?;
    next.takes(attempt.number)?;
    next.takes(attempt.started.0)?;
    next.takes(millis(attempt.took))?;
    let address = attempt.address.as_ref();
    let address = address.map(|address| texts.address.text(address, |it| Ok(it.to_string())));
    next.takes(address.transpose()?)?;
    next.takes(attempt.http_status)?;
    next.takes(trouble.transpose()?)?;
    next.takes((!attempt.answer.is_empty()).then_some(&attempt.answer))?;
    next.takes(texts.next.text(&attempt.next, json::write)?)?;
    for span in [timings.resolve, timings.connect, timings.tls, timings.first_byte] {
        next.takes(micros(span))?;
    }
    Ok(())
}

/// Ends deliveries that were delivered, and lets those go that were put off behind them.
fn end(connection: &Connection, deliveries: &[i64]) -> Result<(), StoreError> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let ids = json::write(deliveries)?;
    let with_others_behind = with_others_behind(connection, &ids)?;
    connection
        .prepare_cached(
            "UPDATE OR FAIL delivery SET state = 'delivered', attempts = attempts + 1, in_line = 0
             WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'waiting'",
        )?
        .execute([ids])?;
    for delivery in with_others_behind {
        let_next_go(connection, delivery, UnixMs(0))?;
    }
    Ok(())
}

/// Those of one subscriber's deliveries behind which others of the same person are in line. Mostly
/// nobody of the subscriber's is in line at all: that is looked for first. Its name is the one that the
/// deliveries have now, and some of them may be gone.
fn with_others_behind(connection: &Connection, ids: &str) -> Result<Vec<i64>, StoreError> {
    let any = "SELECT 1 FROM delivery INDEXED BY delivery_line
         WHERE in_line = 1 AND subscriber = (SELECT mine.subscriber FROM json_each(?1)
                                             CROSS JOIN delivery AS mine ON mine.id = value LIMIT 1)
         LIMIT 1";
    if !connection.prepare_cached(any)?.exists([ids])? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(
        "SELECT mine.id FROM json_each(?1) CROSS JOIN delivery AS mine ON mine.id = value
         WHERE mine.state = 'waiting' AND EXISTS (
             SELECT 1 FROM delivery AS next INDEXED BY delivery_line
             WHERE next.subscriber = mine.subscriber AND next.mobile = mine.mobile AND next.lane = mine.lane
                 AND next.in_line = 1 AND next.state = 'waiting' AND next.id != mine.id)",
    )?;
    let found = statement.query_map([ids], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// What follows of an attempt that did not deliver.
fn follow(connection: &Connection, attempt: &Attempt) -> Result<(), StoreError> {
    let ended = attempt.started.after(attempt.took);
    // Where a delivery waits for its subscriber, it is due as it was.
    let (state, due) = match &attempt.next {
        Next::Delivered => ("delivered", None),
        Next::Retry { at, .. } => ("waiting", Some(*at)),
        Next::Wait { .. } => ("waiting", None),
        // Nobody is to be told it again, and nothing of the subscriber's is missing.
        Next::Failed { why: GivenUp::Test } => ("cancelled", None),
        Next::Failed { .. } | Next::Told { .. } => ("failed", None),
    };
    let failing_since = matches!(attempt.next, Next::Retry { .. }).then_some(ended.0);
    let sql = concat!(
        "UPDATE delivery SET state = ?2, attempts = attempts + 1, in_line = (?2 = 'waiting'), due_ms = coalesce(?3, ",
        ready!(),
        "), failing_since_ms = coalesce(failing_since_ms, ?4)
         WHERE id = ?1 AND state = 'waiting'"
    );
    let counts = connection.prepare_cached(sql)?.execute(params![
        attempt.delivery,
        state,
        due.map(|due| due.0),
        failing_since,
    ])?;
    if counts == 0 {
        return Ok(());
    }
    let not_before = match attempt.next {
        Next::Retry { .. } => failing_since_of(connection, attempt.delivery)?.after(HOLD),
        _ => UnixMs(0),
    };
    let_next_go(connection, attempt.delivery, not_before)
}

fn failing_since_of(connection: &Connection, delivery: i64) -> Result<UnixMs, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT coalesce(failing_since_ms, 0) FROM delivery WHERE id = ?1")?;
    Ok(UnixMs(statement.query_row([delivery], |row| row.get(0))?))
}

fn micros(span: Option<Duration>) -> Option<i64> {
    span.map(|span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

//! Where things stand, for those who watch. What is not done is counted by the indexes of what is
//! not done, so that a look costs as much as that and not as much as the store.

use rusqlite::Connection;

use crate::metrics::{AccountGauges, SubscriberGauges};
use crate::store::error::StoreError;
use crate::store::sqlite::subscribers as rows;

/// How many of an account's last reads are looked at for the last good one: before the first, and
/// while every plain read fails, there is none to be found at once.
const READS_LOOKED_AT: i64 = 100;

pub(crate) fn accounts(connection: &Connection) -> Result<Vec<AccountGauges>, StoreError> {
    // A good read is proven, or lacks nothing but an announced end, which some hosts never send.
    // That of the box is found by an index however long ago it is.
    let mut statement = connection.prepare_cached(&format!(
        "SELECT name, refused_status, balance, second_reader_ms / 1000,
             (SELECT max(ended_ms) / 1000 FROM (
                  SELECT ended_ms FROM (
                      SELECT ended_ms, verdict, reason FROM read INDEXED BY read_account
                      WHERE read.account = name ORDER BY id DESC LIMIT {READS_LOOKED_AT})
                  WHERE verdict = 'proven' OR reason = 'ended_with_connection'
                  UNION ALL SELECT * FROM (
                      SELECT ended_ms FROM read INDEXED BY read_plain
                      WHERE read.account = name AND hour IS NULL AND verdict = 'proven' ORDER BY id DESC LIMIT 1))),
             (SELECT count(*) FROM hour WHERE hour.account = name AND state = 'owed'),
             (SELECT count(*) FROM hour WHERE hour.account = name AND state = 'owed' AND gap IS NOT NULL)
         FROM account ORDER BY name",
    ))?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(AccountGauges {
            account: row.get(0)?,
            refused_status: row.get(1)?,
            balance: row.get(2)?,
            second_reader: row.get(3)?,
            last_good_read: row.get(4)?,
            hours_owed: row.get(5)?,
            gap_hours: row.get(6)?,
            ..AccountGauges::default()
        })
    };
    Ok(statement.query_map([], read)?.collect::<Result<_, _>>()?)
}

pub(crate) fn subscribers(connection: &Connection) -> Result<Vec<SubscriberGauges>, StoreError> {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let mut all = Vec::new();
    for row in rows::rows(connection)? {
        let backlog = rows::backlog(connection, &row.name)?;
        all.push(SubscriberGauges {
            subscriber: row.name,
            waiting: signed(backlog.waiting),
            held: signed(backlog.held),
            failed: signed(backlog.failed),
            oldest: backlog.oldest.map(|oldest| oldest.seconds()),
            failing_since: row.failing_since.map(|since| since.seconds()),
            is_disabled: row.disabled.is_some(),
        });
    }
    Ok(all)
}

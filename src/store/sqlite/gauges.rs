//! Where things stand, for those who watch. What is not done is counted by the indexes of what is
//! not done, so that a look costs as much as that and not as much as the store.

use rusqlite::Connection;

use crate::metrics::{AccountGauges, Gauges, SubscriberGauges};
use crate::store::error::StoreError;
use crate::store::sqlite::subscribers;

pub(crate) fn gauges(connection: &Connection) -> Result<Gauges, StoreError> {
    let bytes = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
    Ok(Gauges {
        accounts: accounts(connection)?,
        subscribers: of_subscribers(connection)?,
        store_bytes: connection.prepare_cached(bytes)?.query_row([], |row| row.get(0))?,
    })
}

fn accounts(connection: &Connection) -> Result<Vec<AccountGauges>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT name, refused_status, balance,
             (SELECT ended_ms / 1000 FROM read WHERE read.account = name AND verdict = 'proven' ORDER BY id DESC LIMIT 1),
             (SELECT count(*) FROM hour WHERE hour.account = name AND state = 'owed')
         FROM account ORDER BY name",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(AccountGauges {
            account: row.get(0)?,
            refused_status: row.get(1)?,
            balance: row.get(2)?,
            last_good_read: row.get(3)?,
            hours_owed: row.get(4)?,
        })
    };
    Ok(statement.query_map([], read)?.collect::<Result<_, _>>()?)
}

fn of_subscribers(connection: &Connection) -> Result<Vec<SubscriberGauges>, StoreError> {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let mut all = Vec::new();
    for row in subscribers::rows(connection)? {
        let backlog = subscribers::backlog(connection, &row.name)?;
        all.push(SubscriberGauges {
            subscriber: row.name,
            waiting: signed(backlog.waiting),
            held: signed(backlog.held),
            failed: signed(backlog.failed),
            oldest: backlog.oldest.map(|oldest| oldest.seconds()),
            is_disabled: row.disabled.is_some(),
        });
    }
    Ok(all)
}

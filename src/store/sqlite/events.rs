//! Events as somebody follows them.
//!
//! Their numbers grow in the order of commits, because there is one writer at a time, and none is
//! given twice. So whoever has seen all up to a number misses none behind it.

use rusqlite::Connection;

use crate::store::error::StoreError;
use crate::store::events::{EventPage, EventRow};

/// Events that are read at once.
const ROWS_MAX: usize = 500;
/// Bytes of bodies past which a page ends.
const PAGE_BYTES: usize = 1024 * 1024;

/// The events behind a number, oldest first.
pub(crate) fn behind(connection: &Connection, seq: i64) -> Result<EventPage, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT seq, type, body FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let limit = i64::try_from(ROWS_MAX).unwrap_or(i64::MAX);
    let mut found = statement.query([seq, limit])?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        let row = EventRow { seq: row.get(0)?, event_type: row.get(1)?, body: row.get(2)? };
        bytes += row.body.len();
        rows.push(row);
        if bytes >= PAGE_BYTES {
            return Ok(EventPage { rows, is_full: true });
        }
    }
    let is_full = rows.len() >= ROWS_MAX;
    Ok(EventPage { rows, is_full })
}

/// The number of the newest event.
pub(crate) fn newest(connection: &Connection) -> Result<i64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT coalesce(max(seq), 0) FROM event")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use crate::store::Store;

    #[tokio::test]
    async fn no_number_is_given_twice_also_where_the_newest_are_dropped() {
        let store = Store::in_memory().unwrap();
        let put = |id: &str| {
            format!("INSERT INTO event (id, type, body) VALUES ('{id}', 'gap.opened', '{{}}')")
        };
        for id in ["evt_1", "evt_2", "evt_3"] {
            store.execute(&put(id)).await;
        }
        for seq in [3, 2, 1] {
            store
                .audit(move |connection| super::super::retention::drop_event(connection, seq))
                .await
                .unwrap();
        }
        assert_eq!(store.newest_event().await.unwrap(), 3);
        store.execute(&put("evt_4")).await;
        assert_eq!(store.newest_event().await.unwrap(), 4);
        store.audit(|connection| super::super::retention::drop_event(connection, 4)).await.unwrap();
        store.execute(&put("evt_5")).await;
        let page = store.events_behind(3).await.unwrap();
        let told: Vec<(i64, &str)> =
            page.rows.iter().map(|row| (row.seq, row.event_type.as_str())).collect();
        assert_eq!(told, [(4, "none"), (5, "gap.opened")]);
        assert!(!page.is_full);
    }

    #[tokio::test]
    async fn a_page_ends_after_so_many_events_or_bytes() {
        let store = Store::in_memory().unwrap();
        store
            .execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
                 INSERT INTO event (id, type, body) SELECT 'evt_' || i, 'gap.opened', '{}' FROM n",
            )
            .await;
        let (first, second) =
            (store.events_behind(0).await.unwrap(), store.events_behind(500).await.unwrap());
        assert_eq!((first.rows.len(), first.is_full), (500, true));
        assert_eq!((second.rows.len(), second.is_full), (100, false));
        store.execute("UPDATE event SET body = printf('%700000d', 0)").await;
        let large = store.events_behind(0).await.unwrap();
        assert_eq!((large.rows.len(), large.is_full), (2, true));
    }
}

//! Deliveries as somebody looks at them and changes them by hand.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::reply::{Mobile, Suspicion};
use crate::store::delivery::{Act, DeliveryFilter, DeliveryRow, DeliveryState, Held, ReplyRow};
use crate::store::error::StoreError;
use crate::store::sqlite::claims::trigger;
use crate::store::sqlite::reads::named;
use crate::time::UnixMs;

/// The names of all subscribers that were ever configured.
pub(crate) fn subscriber_names(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT name FROM subscriber ORDER BY name")?;
    let names = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(names)
}

/// Lists deliveries, newest first.
pub(crate) fn list(
    connection: &Connection,
    filter: &DeliveryFilter,
) -> Result<Vec<DeliveryRow>, StoreError> {
    // A cross join is made in the order in which it is written: from the newest delivery on, so
    // that no more of them are looked at than are needed.
    let mut statement = connection.prepare_cached(
        "SELECT delivery.id, subscriber, event.id, type, trigger, state, attempts, created_ms, due_ms,
                reply.mobile, content, suspect
         FROM delivery CROSS JOIN event ON event.seq = event_seq
             LEFT JOIN reply ON reply.id = coalesce(replay_of, event.id)
         WHERE (?1 IS NULL OR subscriber = ?1) AND (?2 IS NULL OR state = ?2)
         ORDER BY delivery.id DESC LIMIT ?3",
    )?;
    let state = filter.state.map(DeliveryState::as_str);
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let rows = statement
        .query_map(params![filter.subscriber, state, limit], delivery_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

fn delivery_row(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        id: row.get(0)?,
        subscriber: row.get(1)?,
        event_id: row.get(2)?,
        event_type: row.get(3)?,
        trigger: named(4, &row.get::<_, String>(4)?, trigger)?,
        state: named(5, &row.get::<_, String>(5)?, DeliveryState::parse)?,
        attempts: row.get(6)?,
        created: UnixMs(row.get(7)?),
        due: UnixMs(row.get(8)?),
        reply: match row.get::<_, Option<String>>(9)? {
            Some(mobile) => Some(ReplyRow {
                mobile: named(9, &mobile, Mobile::parse)?,
                content: row.get(10)?,
                suspect: row
                    .get::<_, Option<String>>(11)?
                    .map(|word| named(11, &word, Suspicion::parse))
                    .transpose()?,
            }),
            None => None,
        },
    })
}

/// Where deliveries stand, by their numbers.
pub(crate) fn states(
    connection: &Connection,
    ids: &[i64],
) -> Result<Vec<(i64, Option<DeliveryState>)>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT state FROM delivery WHERE id = ?1")?;
    let mut states = Vec::with_capacity(ids.len());
    for id in ids {
        let read = |row: &Row<'_>| named(0, &row.get::<_, String>(0)?, DeliveryState::parse);
        states.push((*id, statement.query_row([id], read).optional()?));
    }
    Ok(states)
}

/// Does something to deliveries where it can be done, unless one is not there; says where they
/// stood.
pub(crate) fn act(
    connection: &Connection,
    ids: &[i64],
    act: Act,
    now: UnixMs,
) -> Result<Vec<(i64, Option<DeliveryState>)>, StoreError> {
    let stood = states(connection, ids)?;
    if stood.iter().any(|(_, state)| state.is_none()) {
        return Ok(stood);
    }
    let (state_after, released) = match act {
        Act::Release => (DeliveryState::Waiting, Some(now.0)),
        Act::Cancel => (DeliveryState::Cancelled, None),
    };
    let mut change = connection.prepare_cached(
        "UPDATE delivery SET state = ?2, due_ms = coalesce(?3, due_ms), released_ms = coalesce(?3, released_ms)
         WHERE id = ?1",
    )?;
    for (id, state) in &stood {
        if state.is_some_and(|state| act.applies_to(state)) {
            change.execute(params![id, state_after.as_str(), released])?;
        }
    }
    Ok(stood)
}

/// The held deliveries of each subscriber that has some.
pub(crate) fn held(
    connection: &Connection,
    subscriber: Option<&str>,
) -> Result<Vec<Held>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT subscriber, count(*), max(id) FROM delivery
         WHERE state = 'held' AND (?1 IS NULL OR subscriber = ?1) GROUP BY subscriber ORDER BY subscriber",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Held { subscriber: row.get(0)?, count: row.get(1)?, newest: row.get(2)? })
    };
    let held = statement.query_map([subscriber], read)?.collect::<Result<_, _>>()?;
    Ok(held)
}

/// Releases the oldest of those held deliveries, up to `limit`, and says how many.
pub(crate) fn release(
    connection: &Connection,
    held: &Held,
    limit: usize,
    now: UnixMs,
) -> Result<usize, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let released = connection
        .prepare_cached(
            "UPDATE delivery SET state = 'waiting', due_ms = ?4, released_ms = ?4 WHERE id IN
                (SELECT id FROM delivery WHERE state = 'held' AND subscriber = ?1 AND id <= ?2
                 ORDER BY id LIMIT ?3)",
        )?
        .execute(params![held.subscriber, held.newest, limit, now.0])?;
    Ok(released)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;

    /// A store with held deliveries of these numbers.
    fn store(ids: std::ops::RangeInclusive<i64>) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::bring_up_to_date(&mut connection).unwrap();
        connection
            .execute_batch(
                "INSERT INTO subscriber (name, route, enabled) VALUES ('crm', '{}', 1);
                 INSERT INTO event (seq, id, type, body) VALUES (1, 'evt_a', 'gap.opened', '{}');",
            )
            .unwrap();
        for id in ids {
            connection
                .execute(
                    "INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms)
                     VALUES (?1, 'crm', 1, 'auto', 'held', 7, 7)",
                    [id],
                )
                .unwrap();
        }
        connection
    }

    fn stand(connection: &Connection) -> Vec<DeliveryState> {
        let ids: Vec<i64> = (1..=5).collect();
        states(connection, &ids).unwrap().into_iter().filter_map(|(_, state)| state).collect()
    }

    #[test]
    fn a_release_is_of_what_was_counted_and_the_oldest_come_first() {
        use DeliveryState::{Held as H, Waiting as W};
        let connection = store(1..=4);
        let counted = held(&connection, Some("crm")).unwrap();
        assert_eq!(counted, [Held { subscriber: "crm".to_owned(), count: 4, newest: 4 }]);
        assert_eq!(held(&connection, Some("erp")).unwrap(), []);
        connection
            .execute_batch("INSERT INTO delivery (id, subscriber, event_seq, trigger, state, created_ms, due_ms) SELECT 5, subscriber, event_seq, trigger, state, 8, 8 FROM delivery WHERE id = 4")
            .unwrap();
        let release = || release(&connection, &counted[0], 3, UnixMs(100)).unwrap();
        assert_eq!((release(), stand(&connection)), (3, vec![W, W, W, H, H]));
        assert_eq!((release(), stand(&connection)), (1, vec![W, W, W, W, H]));
        assert_eq!((release(), stand(&connection)), (0, vec![W, W, W, W, H]));
        let of_another = Held { subscriber: "erp".to_owned(), count: 1, newest: 5 };
        assert_eq!(super::release(&connection, &of_another, 3, UnixMs(100)).unwrap(), 0);
    }

    #[test]
    fn only_what_is_in_the_right_state_is_changed_and_nothing_where_one_is_missing() {
        use DeliveryState::{Cancelled, Held, Waiting};
        for (todo, of, to) in
            [(Act::Release, vec![Held], Waiting), (Act::Cancel, vec![Held, Waiting], Cancelled)]
        {
            for state in DeliveryState::ALL {
                let connection = store(1..=5);
                let set = "UPDATE delivery SET state = ?1 WHERE id = 2";
                connection.execute(set, [state.as_str()]).unwrap();
                let stood = act(&connection, &[2, 6], todo, UnixMs(100)).unwrap();
                assert_eq!(stood, [(2, Some(state)), (6, None)]);
                assert_eq!(stand(&connection), [Held, state, Held, Held, Held]);
                let stood = act(&connection, &[2], todo, UnixMs(100)).unwrap();
                assert_eq!(stood, [(2, Some(state))]);
                let expected = if of.contains(&state) { to } else { state };
                assert_eq!(stand(&connection), [Held, expected, Held, Held, Held], "{todo:?}");
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_listed_too() {
        let filter = DeliveryFilter { limit: 2, ..DeliveryFilter::default() };
        let rows = list(&store(1..=3), &filter).unwrap();
        let rows: Vec<_> =
            rows.iter().map(|row| (row.id, row.event_type.as_str(), row.reply.is_none())).collect();
        assert_eq!(rows, [(3, "gap.opened", true), (2, "gap.opened", true)]);
    }
}

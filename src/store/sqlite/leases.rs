//! Leases: what workers have in hand, and until when.
//!
//! One row says it of many deliveries; to take and to give back changes none of theirs. So a worker
//! writes anew in each turn what it has in hand. What a worker that is no more had in hand is let go
//! by whoever looks for something to claim after the lease's end.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use rusqlite::{Connection, Row, params};

use crate::store::delivery::{DeliveryState, Holding, Person};
use crate::store::error::StoreError;
use crate::store::sqlite::json;
use crate::time::UnixMs;

/// Deliveries that are in hand, and until when.
pub(super) type Ends = HashMap<i64, UnixMs>;

/// What is in hand of a subscriber's deliveries, whoever has it.
#[derive(Default)]
pub(super) struct InHand {
    deliveries: HashSet<i64>,
    /// Of whom something is in hand: what, and until when at the latest.
    persons: HashMap<Person, (i64, UnixMs)>,
    /// When the first ends of the leases of others.
    first_end: Option<UnixMs>,
}

impl InHand {
    /// What the worker has itself, until `end`, and what others have.
    pub(super) fn of(
        connection: &Connection,
        subscriber: &str,
        own: Option<i64>,
        (holdings, end): (&[Holding], UnixMs),
    ) -> Result<Self, StoreError> {
        let others = others(connection, subscriber, own)?;
        let first_end = others.iter().map(|(end, _)| *end).min();
        // About as many are claimed beside.
        let room = 2 * holdings.len();
        let mut all = Self {
            deliveries: HashSet::with_capacity(room),
            persons: HashMap::with_capacity(room),
            first_end,
        };
        for holding in holdings {
            all.add(holding.clone(), end);
        }
        let mut statement = connection.prepare_cached(
            "SELECT delivery.id, lane, mobile FROM json_each(?1) CROSS JOIN delivery ON delivery.id = value",
        )?;
        for (end, deliveries) in others {
            let mut rows = statement.query([deliveries])?;
            while let Some(row) = rows.next()? {
                let (lane, mobile) = (row.get(1)?, row.get::<_, Option<Arc<str>>>(2)?);
                let person = mobile.map(|mobile| Person { lane, mobile });
                all.add(Holding { delivery: row.get(0)?, person }, end);
            }
        }
        Ok(all)
    }

    pub(super) fn add(&mut self, holding: Holding, end: UnixMs) {
        self.deliveries.insert(holding.delivery);
        if let Some(person) = holding.person {
            let latest = self.persons.entry(person).or_insert((holding.delivery, end));
            if latest.1 < end {
                *latest = (holding.delivery, end);
            }
        }
    }

    pub(super) fn has(&self, delivery: i64) -> bool {
        self.deliveries.contains(&delivery)
    }

    /// What of the person's is in hand, and until when, at the latest; none where nothing is.
    pub(super) fn of_person(&self, person: &Person) -> Option<(i64, UnixMs)> {
        self.persons.get(person).copied()
    }

    /// When what another has in hand may be claimed, unless it ends before.
    pub(super) fn first_end(&self) -> Option<UnixMs> {
        self.first_end
    }
}

/// The ends and deliveries of a subscriber's leases but one.
fn others(
    connection: &Connection,
    subscriber: &str,
    but: Option<i64>,
) -> Result<Vec<(UnixMs, String)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT end_ms, deliveries FROM lease WHERE subscriber = ?1 AND id IS NOT ?2",
    )?;
    let read = |row: &Row<'_>| Ok((UnixMs(row.get(0)?), row.get(1)?));
    Ok(statement.query_map(params![subscriber, but], read)?.collect::<Result<_, _>>()?)
}

/// Whether a lease stands: nobody has let go what it holds.
pub(super) fn stands(connection: &Connection, lease: i64) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT 1 FROM lease WHERE id = ?1")?.exists([lease])?)
}

/// What is in hand under a lease. In whose line it goes out is not read: who only looks what is due
/// does not ask.
pub(super) fn deliveries(
    connection: &Connection,
    lease: Option<i64>,
) -> Result<Vec<Holding>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT delivery_id FROM in_hand WHERE lease_id = ?1")?;
    let read = |row: &Row<'_>| Ok(Holding { delivery: row.get(0)?, person: None });
    Ok(statement.query_map([lease], read)?.collect::<Result<_, _>>()?)
}

/// Writes down what a worker has in hand now. With nothing in hand there is no lease.
pub(super) fn renew(
    connection: &Connection,
    lease: Option<i64>,
    subscriber: &str,
    (deliveries, end): (&[i64], UnixMs),
) -> Result<Option<i64>, StoreError> {
    match lease {
        Some(lease) if deliveries.is_empty() => {
            connection.prepare_cached("DELETE FROM lease WHERE id = ?1")?.execute([lease])?;
            Ok(None)
        }
        None if deliveries.is_empty() => Ok(None),
        Some(lease) => {
            connection
                .prepare_cached("UPDATE lease SET end_ms = ?2, deliveries = ?3 WHERE id = ?1")?
                .execute(params![lease, end.0, json::write(deliveries)?])?;
            Ok(Some(lease))
        }
        None => {
            connection
                .prepare_cached(
                    "INSERT INTO lease (subscriber, end_ms, deliveries) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![subscriber, end.0, json::write(deliveries)?])?;
            Ok(Some(connection.last_insert_rowid()))
        }
    }
}

/// Takes a delivery out of a lease.
pub(super) fn give_back(
    connection: &Connection,
    lease: i64,
    delivery: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE lease SET deliveries = (SELECT json_group_array(value) FROM json_each(deliveries) WHERE value != ?2)
             WHERE id = ?1",
        )?
        .execute([lease, delivery])?;
    connection
        .prepare_cached("DELETE FROM lease WHERE id = ?1 AND deliveries = '[]'")?
        .execute([lease])?;
    Ok(())
}

/// Lets go what is in hand under leases that have ended, but for one's own. Each delivery may have
/// been tried: that counts as an attempt of which nothing is known.
pub(super) fn let_go(
    connection: &Connection,
    subscriber: &str,
    own: Option<i64>,
    now: UnixMs,
) -> Result<(), StoreError> {
    let mut ended = connection.prepare_cached(
        "DELETE FROM lease WHERE subscriber = ?1 AND id IS NOT ?2 AND end_ms <= ?3 RETURNING deliveries",
    )?;
    let ended = ended
        .query_map(params![subscriber, own, now.0], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    for deliveries in ended {
        connection
            .prepare_cached(
                "UPDATE delivery SET attempts = attempts + 1
                 WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'waiting'",
            )?
            .execute([deliveries])?;
    }
    Ok(())
}

/// When the last of a subscriber's leases ends; none where it has none.
pub(super) fn last_end(
    connection: &Connection,
    subscriber: &str,
) -> Result<Option<UnixMs>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT max(end_ms) FROM lease WHERE subscriber = ?1")?;
    Ok(statement.query_row([subscriber], |row| row.get::<_, Option<i64>>(0))?.map(UnixMs))
}

/// Leases of a subscriber that is being renamed hold for its new name: its deliveries go there.
pub(super) fn rename(connection: &Connection, old: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE lease SET subscriber = (SELECT renamed_to FROM subscriber WHERE name = ?1)
             WHERE subscriber = ?1",
        )?
        .execute([old])?;
    Ok(())
}

/// Where a delivery of this state is seen to stand, and until when it is in hand if it is.
pub(super) fn seen(
    in_hand: &Ends,
    delivery: i64,
    state: DeliveryState,
) -> (DeliveryState, Option<UnixMs>) {
    match in_hand.get(&delivery) {
        Some(end) if state == DeliveryState::Waiting => (DeliveryState::Sending, Some(*end)),
        _ => (state, None),
    }
}

/// The condition, on a row of `delivery`, that it is seen to stand so. The state is a literal of it,
/// else no partial index is used.
pub(super) fn is_seen(state: DeliveryState) -> String {
    const IN_HAND: &str = "IN (SELECT delivery_id FROM in_hand)";
    let waiting = DeliveryState::Waiting.as_str();
    match state {
        DeliveryState::Sending => format!("(state = '{waiting}' AND delivery.id {IN_HAND})"),
        DeliveryState::Waiting => format!("(state = '{waiting}' AND delivery.id NOT {IN_HAND})"),
        _ => format!("state = '{}'", state.as_str()),
    }
}

/// The condition that it is seen to stand in one of these; none where none is named.
pub(super) fn is_seen_in(states: &[DeliveryState]) -> Option<String> {
    use DeliveryState::{Sending, Waiting};
    let mut states = states.to_vec();
    let mut conditions = Vec::new();
    if states.contains(&Sending) && states.contains(&Waiting) {
        states.retain(|state| !matches!(state, Sending | Waiting));
        conditions.push(format!("state = '{}'", Waiting.as_str()));
    }
    conditions.extend(states.into_iter().map(is_seen));
    match conditions.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("({})", several.join(" OR "))),
    }
}

/// All that is in hand, and until when, of every subscriber: for those who look.
pub(super) fn all(connection: &Connection) -> Result<Ends, StoreError> {
    let mut statement = connection.prepare_cached("SELECT delivery_id, end_ms FROM in_hand")?;
    let read = |row: &Row<'_>| Ok((row.get(0)?, UnixMs(row.get(1)?)));
    Ok(statement.query_map([], read)?.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;

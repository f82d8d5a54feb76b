//! A worker's turn, and how a subscriber does.

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::attempt::{Attempt, Disabled};
use crate::store::delivery::Claim;
use crate::store::error::StoreError;
use crate::store::sqlite::accounts::routes;
use crate::store::sqlite::claims;
use crate::store::sqlite::ingest::keep_events;
use crate::store::sqlite::leases::{self, InHand};
use crate::store::sqlite::outcomes::record;
use crate::store::sqlite::reads::named;
use crate::store::turn::{Decided, Lanes, Standing, Tell, Turn, Turned};
use crate::time::UnixMs;

/// Records, lets `decide` judge, and claims. Says too whether anybody was told of the subscriber.
pub(crate) fn turn(
    connection: &Connection,
    turn: &Turn,
    decide: impl FnOnce(Standing, &[Attempt]) -> Decided,
) -> Result<(Turned, bool), StoreError> {
    record(connection, &turn.outcomes)?;
    let before = standing(connection, &turn.subscriber)?;
    let decided = decide(before.clone(), &turn.outcomes);
    let Taken { claims, lease, next } =
        take(connection, turn, (decided.standing.resumed, decided.allowed))?;
    let mut standing = decided.standing;
    standing.pace = (decided.spend)(&claims);
    if standing != before {
        put_standing(connection, &turn.subscriber, &standing, turn.now)?;
    }
    let has_told = decided.tell.is_some();
    if let Some(tell) = decided.tell {
        keep_told(connection, tell, turn.now)?;
    }
    Ok((Turned { claims, lease, next, standing }, has_told))
}

/// What a worker took.
pub(crate) struct Taken {
    pub(crate) claims: Vec<Claim>,
    pub(crate) lease: Option<i64>,
    pub(crate) next: Option<UnixMs>,
}

/// Claims what is due, after what was in the hands of workers that are no more was let go, and writes
/// down what the worker has in hand then.
pub(crate) fn take(
    connection: &Connection,
    turn: &Turn,
    (resumed, allowed): (UnixMs, Lanes),
) -> Result<Taken, StoreError> {
    let Turn { subscriber, now, lease_end, .. } = turn;
    // What was let go meanwhile is not the worker's any more.
    let own = match turn.lease {
        Some(lease) if leases::stands(connection, lease)? => Some(lease),
        _ => None,
    };
    leases::let_go(connection, subscriber, own, *now)?;
    let mine = if own.is_some() { turn.in_hand.as_slice() } else { &[] };
    let mut in_hand = InHand::of(connection, subscriber, own, (mine, *lease_end))?;
    let (mut claims, may_have_more) =
        claims::claim(connection, turn, (resumed, allowed), &mut in_hand)?;
    let claimed = claims.iter().map(|claim| claim.delivery);
    let deliveries: Vec<i64> = mine.iter().map(|one| one.delivery).chain(claimed).collect();
    let lease = leases::renew(connection, own, subscriber, (&deliveries, *lease_end))?;
    for claim in &mut claims {
        claim.lease = lease.unwrap_or_default();
    }
    let next = match may_have_more {
        // To find out is for when there is room for more.
        true => Some(turn.due),
        false => claims::next_due(connection, subscriber, &in_hand)?,
    };
    Ok(Taken { claims, lease, next })
}

/// When the next delivery is due of those that nobody has in hand, or a worker's lease ends whose
/// deliveries are due then. `own` is the worker's that asks.
pub(crate) fn next_due(
    connection: &Connection,
    subscriber: &str,
    own: Option<i64>,
) -> Result<Option<UnixMs>, StoreError> {
    let mine = leases::deliveries(connection, own)?;
    let in_hand = InHand::of(connection, subscriber, own, (&mine, UnixMs(i64::MAX)))?;
    claims::next_due(connection, subscriber, &in_hand)
}

/// How a subscriber does.
pub(crate) fn standing(connection: &Connection, subscriber: &str) -> Result<Standing, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT disabled_why, failing_since_ms, failing_told, resumed_ms, pace FROM subscriber WHERE name = ?1",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let why: Option<String> = row.get(0)?;
        Ok(Standing {
            disabled: why.map(|why| named(0, &why, Disabled::parse)).transpose()?,
            failing_since: row.get::<_, Option<i64>>(1)?.map(UnixMs),
            failing_told: row.get::<_, i64>(2).map(|told| (told != 0).then_some(UnixMs(told)))?,
            resumed: UnixMs(row.get(3)?),
            pace: row.get(4)?,
        })
    };
    Ok(statement.query_row([subscriber], read).optional()?.unwrap_or_default())
}

fn put_standing(
    connection: &Connection,
    subscriber: &str,
    standing: &Standing,
    now: UnixMs,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE subscriber SET disabled_why = ?2, failing_since_ms = ?3, failing_told = ?4, resumed_ms = ?5,
                    pace = ?6, disabled_ms = iif(?2 IS NULL, NULL, coalesce(disabled_ms, ?7)) WHERE name = ?1",
        )?
        .execute(params![
            subscriber,
            standing.disabled.map(Disabled::as_str),
            standing.failing_since.map(|since| since.0),
            // 0 is no time.
            standing.failing_told.map_or(0, |told| told.0),
            standing.resumed.0,
            standing.pace,
            now.0,
        ])?;
    Ok(())
}

/// Keeps what is told, and its deliveries.
fn keep_told(connection: &Connection, tell: Tell, now: UnixMs) -> Result<(), StoreError> {
    let routes = routes(connection)?;
    let events = tell(&routes);
    let names: Vec<String> = routes.into_iter().map(|(name, _)| name).collect();
    keep_events(connection, &events, &names, now)
}

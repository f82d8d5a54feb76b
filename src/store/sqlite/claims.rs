//! Claims: which of a subscriber's deliveries go out now, by lease, in one person's order.
//!
//! A delivery that may not go out yet, because another of the same person is under way or is to go
//! first, is put off; the outcome of that other lets it go. So what waits in a row is looked at
//! once, and not in every turn.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::delivery::{Claim, Trigger};
use crate::store::error::StoreError;
use crate::store::sqlite::reads::named;
use crate::store::turn::{Lanes, Turn};
use crate::time::UnixMs;

/// How long one that fails holds back those of the same person behind it, and how long one is put
/// off that the outcome of another will let go before.
pub(super) const HOLD: Duration = Duration::from_mins(10);
/// How many failing ones of a person are looked at before another may go out.
const FAILING_MAX: i64 = 8;

/// The two lanes, as the store numbers them.
const NEW: i64 = 0;
const REPLAYS: i64 = 1;

/// Claims up to so many of each lane.
pub(crate) fn claim(
    connection: &Connection,
    turn: &Turn,
    resumed: UnixMs,
    allowed: Lanes,
) -> Result<Vec<Claim>, StoreError> {
    let mut claims = Vec::new();
    for (lane, limit) in [(NEW, allowed.new), (REPLAYS, allowed.replays)] {
        let lane = Lane { connection, turn, resumed, lane };
        lane.claim(limit, &mut claims)?;
    }
    Ok(claims)
}

/// When the subscriber's next delivery is due.
pub(crate) fn next_due(
    connection: &Connection,
    subscriber: &str,
) -> Result<Option<UnixMs>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT due_ms FROM delivery WHERE subscriber = ?1 AND lane = ?2 AND state IN ('waiting', 'sending')
         ORDER BY due_ms LIMIT 1",
    )?;
    let mut next = None;
    for lane in [NEW, REPLAYS] {
        let due = statement
            .query_row(params![subscriber, lane], |row| row.get(0).map(UnixMs))
            .optional()?;
        next = [next, due].into_iter().flatten().min();
    }
    Ok(next)
}

/// Lets the next of a person's deliveries go that was put off: no earlier than `not_before`, where
/// one that fails holds it until then.
pub(super) fn let_next_go(
    connection: &Connection,
    subscriber: &str,
    mobile: &str,
    lane: i64,
    not_before: UnixMs,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE delivery SET due_ms = max(coalesce(released_ms, created_ms), ?4)
             WHERE id = (SELECT id FROM delivery INDEXED BY delivery_mobile
                         WHERE subscriber = ?1 AND mobile = ?2 AND lane = ?3 AND state IN ('waiting', 'sending')
                           AND state = 'waiting' AND failing_since_ms IS NULL
                         ORDER BY replied_at, id LIMIT 1)
               AND due_ms > max(coalesce(released_ms, created_ms), ?4)",
        )?
        .execute(params![subscriber, mobile, lane, not_before.0])?;
    Ok(())
}

/// A delivery that is due.
struct Candidate {
    id: i64,
    mobile: Option<String>,
    has_failed: bool,
}

/// What goes out of a person's deliveries.
enum Turnout {
    /// This one.
    Goes(i64),
    /// None, before then.
    Nothing(UnixMs),
}

/// One lane of a subscriber, in one turn.
struct Lane<'a> {
    connection: &'a Connection,
    turn: &'a Turn,
    resumed: UnixMs,
    lane: i64,
}

impl Lane<'_> {
    fn claim(&self, limit: usize, claims: &mut Vec<Claim>) -> Result<(), StoreError> {
        let end = claims.len() + limit;
        // What is put off costs a look, too: enough of them that a turn claims what it may, few
        // enough that it is short.
        let mut looks = limit.saturating_mul(4);
        while claims.len() < end && looks > 0 {
            let wanted = end - claims.len();
            let candidates = self.candidates(wanted)?;
            looks = looks.saturating_sub(candidates.len());
            for candidate in &candidates {
                self.consider(candidate, claims)?;
            }
            // These were all that is due.
            if candidates.len() < wanted {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What is due, the longest first. A delivery whose sender died is due when its lease has
    /// ended.
    fn candidates(&self, limit: usize) -> Result<Vec<Candidate>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, mobile, failing_since_ms IS NOT NULL FROM delivery
             WHERE subscriber = ?1 AND lane = ?2 AND due_ms <= ?3 AND state IN ('waiting', 'sending')
             ORDER BY due_ms, id LIMIT ?4",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Candidate { id: row.get(0)?, mobile: row.get(1)?, has_failed: row.get(2)? })
        };
        let due = params![self.turn.subscriber, self.lane, self.turn.due.0, limit];
        Ok(statement.query_map(due, read)?.collect::<Result<_, _>>()?)
    }

    /// Claims the candidate, or the one of its person that goes first, or puts it off.
    fn consider(&self, candidate: &Candidate, claims: &mut Vec<Claim>) -> Result<(), StoreError> {
        let Some(mobile) = candidate.mobile.as_deref().filter(|_| self.turn.ordered) else {
            claims.push(self.take(candidate.id)?);
            return Ok(());
        };
        let until = match self.turnout(candidate, mobile)? {
            Turnout::Goes(id) => {
                claims.push(self.take(id)?);
                if id == candidate.id {
                    return Ok(());
                }
                self.behind(candidate, self.turn.lease_end)
            }
            Turnout::Nothing(until) => until,
        };
        // Unless it was claimed a moment ago, as the one that goes before another.
        self.connection
            .prepare_cached("UPDATE delivery SET due_ms = ?2 WHERE id = ?1 AND due_ms <= ?3")?
            .execute(params![candidate.id, until.0, self.turn.due.0])?;
        Ok(())
    }

    /// Until when a candidate is put off behind one that is under way. One that has failed is let
    /// go by nobody, so it comes again when the lease ends.
    fn behind(&self, candidate: &Candidate, lease_end: UnixMs) -> UnixMs {
        if candidate.has_failed { lease_end } else { self.turn.now.after(HOLD) }
    }

    /// Which of the candidate's person goes out.
    fn turnout(&self, candidate: &Candidate, mobile: &str) -> Result<Turnout, StoreError> {
        let mut open = self.connection.prepare_cached(
            "SELECT id, due_ms, failing_since_ms FROM delivery INDEXED BY delivery_mobile
             WHERE subscriber = ?1 AND mobile = ?2 AND lane = ?3 AND state IN ('waiting', 'sending') AND state = ?4
             ORDER BY replied_at, id LIMIT ?5",
        )?;
        let read = |row: &rusqlite::Row<'_>| {
            let (due, since) = (row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?);
            Ok((row.get::<_, i64>(0)?, UnixMs(due), since.map(UnixMs)))
        };
        let mut rows = |state: &str| -> Result<Vec<_>, StoreError> {
            let of = params![self.turn.subscriber, mobile, self.lane, state, FAILING_MAX];
            Ok(open.query_map(of, read)?.collect::<Result<_, _>>()?)
        };
        let now = self.turn.due;
        let sending = rows("sending")?;
        if let Some((_, lease_end, _)) = sending.iter().find(|(_, due, _)| *due > now) {
            return Ok(Turnout::Nothing(self.behind(candidate, *lease_end)));
        }
        // One whose sender died goes again before all others.
        if let Some((id, ..)) = sending.first() {
            return Ok(Turnout::Goes(*id));
        }
        for (id, due, failing_since) in rows("waiting")? {
            match failing_since {
                Some(since) if due > now && since.after(HOLD) > now => {
                    return Ok(Turnout::Nothing(since.after(HOLD)));
                }
                Some(_) if due > now => {}
                _ => return Ok(Turnout::Goes(id)),
            }
        }
        Ok(Turnout::Goes(candidate.id))
    }

    /// Claims a delivery.
    fn take(&self, id: i64) -> Result<Claim, StoreError> {
        let claim = self
            .connection
            .prepare_cached(
                "SELECT delivery.id, lease + 1, event.id, iif(masked, masked_body, body), trigger,
                        max(coalesce(released_ms, created_ms), ?2), attempts + 1
                 FROM delivery JOIN event ON event.seq = event_seq WHERE delivery.id = ?1",
            )?
            .query_row(params![id, self.resumed.0], |row| {
                Ok(Claim {
                    delivery: row.get(0)?,
                    lease: row.get(1)?,
                    event_id: row.get(2)?,
                    body: row.get(3)?,
                    trigger: named(4, &row.get::<_, String>(4)?, Trigger::parse)?,
                    created: UnixMs(row.get(5)?),
                    attempt: row.get(6)?,
                })
            })?;
        self.connection
            .prepare_cached(
                "UPDATE delivery SET state = 'sending', lease = ?2, due_ms = ?3, attempts = ?4 WHERE id = ?1",
            )?
            .execute(params![id, claim.lease, self.turn.lease_end.0, claim.attempt])?;
        Ok(claim)
    }
}

#[cfg(test)]
mod tests;

//! Claims: which of a subscriber's deliveries go out now, by lease, in one person's order.
//!
//! What is ready is due by the time at which its reply was written, so that claiming what is due
//! longest keeps one person's order. What stands in its way is in line: what is under way, what has
//! failed, and what was put off behind either, until the outcome of that lets it go. So what waits
//! in a row is looked at once, and not in every turn.

use std::collections::HashSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::store::delivery::{Claim, StandsIn, Trigger};
use crate::store::error::StoreError;
use crate::store::sqlite::accounts::conversion;
use crate::store::sqlite::reads::named;
use crate::store::turn::{Lanes, Line, Turn};
use crate::time::{BeijingTime, UnixMs};

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
        Lane { connection, turn, resumed, lane }.claim(limit, &mut claims)?;
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

/// When a delivery is due that nothing keeps back: by when its reply was written, because of one
/// person's that are ready the first written goes first.
macro_rules! ready {
    () => {
        "min(coalesce(released_ms, created_ms), coalesce(replied_at * 1000, created_ms))"
    };
}
pub(super) use ready;

/// Lets the next of the same person's deliveries go that was put off: no earlier than `not_before`,
/// where one that fails holds it until then.
pub(super) fn let_next_go(
    connection: &Connection,
    delivery: i64,
    not_before: UnixMs,
) -> Result<(), StoreError> {
    let next: Option<i64> = connection
        .prepare_cached(
            "SELECT next.id FROM delivery AS mine CROSS JOIN delivery AS next INDEXED BY delivery_line
                 ON next.subscriber = mine.subscriber AND next.mobile = mine.mobile AND next.lane = mine.lane
             WHERE mine.id = ?1 AND next.in_line = 1 AND next.state = 'waiting' AND next.failing_since_ms IS NULL
             ORDER BY next.replied_at, next.id LIMIT 1",
        )?
        .query_row([delivery], |row| row.get(0))
        .optional()?;
    if let Some(next) = next {
        connection
            .prepare_cached(concat!(
                "UPDATE delivery SET due_ms = max(",
                ready!(),
                ", ?2) WHERE id = ?1 AND due_ms > max(",
                ready!(),
                ", ?2)"
            ))?
            .execute(params![next, not_before.0])?;
    }
    Ok(())
}

/// A delivery that is due, as it would be claimed.
struct Candidate {
    claim: Claim,
    mobile: Option<String>,
    replied_at: Option<i64>,
    has_failed: bool,
    /// Whether others of the same person are in line.
    has_others: bool,
}

/// What [`candidate`] reads; `?1` is when the subscriber took deliveries again.
const CANDIDATE: &str = "delivery.id, lease + 1, event.id, iif(masked, masked_body, body), trigger, \
     max(coalesce(released_ms, created_ms), ?1), attempts + 1, \
     delivery.mobile, delivery.replied_at, failing_since_ms IS NOT NULL, \
     failing_since_ms IS NOT NULL AND (SELECT trouble ->> 'refusal' FROM attempt WHERE delivery_id = delivery.id \
                                       ORDER BY id DESC LIMIT 1) IS 'refused', \
     EXISTS (SELECT 1 FROM delivery AS other INDEXED BY delivery_line \
             WHERE other.subscriber = delivery.subscriber AND other.mobile = delivery.mobile \
                 AND other.lane = delivery.lane AND other.in_line = 1), \
     (SELECT first.subscriber FROM delivery AS first WHERE first.id = delivery.stands_in_for), in_doubt";

fn candidate(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    let in_doubt = row.get(13)?;
    let replied_at: Option<i64> = row.get(8)?;
    Ok(Candidate {
        claim: Claim {
            delivery: row.get(0)?,
            lease: row.get(1)?,
            event_id: row.get(2)?,
            body: row.get::<_, String>(3)?.into(),
            trigger: named(4, row.get_ref(4)?.as_str()?, Trigger::parse)?,
            created: UnixMs(row.get(5)?),
            written: replied_at.map(|second| BeijingTime::from_unix_seconds(second).unix_ms()),
            attempt: row.get(6)?,
            alone: row.get(10)?,
            stands_in: row
                .get::<_, Option<String>>(12)?
                .map(|subscriber| StandsIn { subscriber, in_doubt }),
        },
        mobile: row.get(7)?,
        replied_at,
        has_failed: row.get(9)?,
        has_others: row.get(11)?,
    })
}

/// What goes out of a person's deliveries.
enum Turnout {
    /// The candidate.
    Candidate,
    /// Another, which goes before it.
    Other(i64),
    /// None, before then.
    Nothing(UnixMs),
}

/// Until when a candidate is put off behind one that is under way. One that has failed is let go by
/// nobody, so it comes again when the lease ends.
fn behind(turn: &Turn, has_failed: bool, lease_end: UnixMs) -> UnixMs {
    if has_failed { lease_end } else { turn.now.after(HOLD) }
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
            let found = candidates.len();
            looks = looks.saturating_sub(found);
            self.consider(candidates, end, claims)?;
            // These were all that is due.
            if found < wanted {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Claims those of the candidates before whom nobody goes, by one statement, and then looks at
    /// the others one by one, until there are so many claims.
    fn consider(
        &self,
        candidates: Vec<Candidate>,
        limit: usize,
        claims: &mut Vec<Claim>,
    ) -> Result<(), StoreError> {
        let mut persons = HashSet::new();
        let is_free = |candidate: &Candidate| match &candidate.mobile {
            Some(mobile) if self.turn.line == Line::OneByOne => {
                !candidate.has_others && persons.insert(mobile.clone())
            }
            Some(_) if self.turn.line == Line::Together => !candidate.has_others,
            _ => true,
        };
        let (free, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(is_free);
        self.take(&free)?;
        claims.extend(free.into_iter().map(|candidate| candidate.claim));
        for candidate in others {
            match self.turn.line {
                Line::Together => self.consider_all_of(candidate, limit, claims)?,
                Line::Any | Line::OneByOne => self.consider_one(candidate, claims)?,
            }
        }
        Ok(())
    }

    /// What is due, the longest first. A delivery whose sender died is due when its lease has
    /// ended.
    fn candidates(&self, limit: usize) -> Result<Vec<Candidate>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {CANDIDATE} FROM delivery INDEXED BY delivery_due CROSS JOIN event ON event.seq = event_seq
             WHERE subscriber = ?2 AND lane = ?3 AND due_ms <= ?4 AND state IN ('waiting', 'sending')
             ORDER BY due_ms, delivery.id LIMIT ?5"
        ))?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let Turn { subscriber, due, .. } = self.turn;
        let due = params![self.resumed.0, subscriber, self.lane, due.0, limit];
        Ok(statement.query_map(due, candidate)?.collect::<Result<_, _>>()?)
    }

    /// Claims the candidate, or the one of its person that goes first, or puts it off.
    fn consider_one(
        &self,
        candidate: Candidate,
        claims: &mut Vec<Claim>,
    ) -> Result<(), StoreError> {
        let until = match self.turnout(&candidate)? {
            Turnout::Candidate => {
                self.take(std::slice::from_ref(&candidate))?;
                claims.push(candidate.claim);
                return Ok(());
            }
            Turnout::Other(other) => {
                let other = self.of(other)?;
                self.take(std::slice::from_ref(&other))?;
                claims.push(other.claim);
                behind(self.turn, candidate.has_failed, self.turn.lease_end)
            }
            Turnout::Nothing(until) => until,
        };
        self.put_off(&candidate, until)
    }

    /// Makes a candidate due later, in line; unless it was claimed a moment ago, as the one that
    /// goes before another.
    fn put_off(&self, candidate: &Candidate, until: UnixMs) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE delivery SET due_ms = ?2, in_line = 1 WHERE id = ?1 AND due_ms <= ?3",
            )?
            .execute(params![candidate.claim.delivery, until.0, self.turn.due.0])?;
        Ok(())
    }

    /// Which of the candidate's person goes out.
    fn turnout(&self, candidate: &Candidate) -> Result<Turnout, StoreError> {
        // In the order of the states what is being sent comes first.
        let mut statement = self.connection.prepare_cached(
            "SELECT id, due_ms, failing_since_ms, state = 'sending', replied_at FROM delivery INDEXED BY delivery_line
             WHERE subscriber = ?1 AND mobile = ?2 AND lane = ?3 AND in_line = 1 ORDER BY state, replied_at, id LIMIT ?4",
        )?;
        let (mine, now) = ((candidate.replied_at, candidate.claim.delivery), self.turn.due);
        let of = params![self.turn.subscriber, candidate.mobile, self.lane, FAILING_MAX];
        let mut line = statement.query(of)?;
        let mut whose_sender_died = None;
        while let Some(row) = line.next()? {
            let id: i64 = row.get(0)?;
            let (due, is_sending) = (UnixMs(row.get(1)?), row.get(3)?);
            let failing_since = row.get::<_, Option<i64>>(2)?.map(UnixMs);
            match failing_since {
                _ if is_sending && due > now => {
                    return Ok(Turnout::Nothing(behind(self.turn, candidate.has_failed, due)));
                }
                _ if is_sending => {
                    whose_sender_died.get_or_insert(id);
                }
                // What was written later stands in nobody's way.
                _ if whose_sender_died.is_some() || (row.get(4)?, id) >= mine => break,
                Some(since) if due > now && since.after(HOLD) > now => {
                    return Ok(Turnout::Nothing(since.after(HOLD)));
                }
                Some(_) if due > now => {}
                _ => return Ok(Turnout::Other(id)),
            }
        }
        // It goes again before all others.
        Ok(match whose_sender_died {
            Some(id) if id != candidate.claim.delivery => Turnout::Other(id),
            _ => Turnout::Candidate,
        })
    }

    /// A delivery as it would be claimed.
    fn of(&self, id: i64) -> Result<Candidate, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {CANDIDATE} FROM delivery CROSS JOIN event ON event.seq = event_seq WHERE delivery.id = ?2"
        ))?;
        Ok(statement.query_row([self.resumed.0, id], candidate)?)
    }

    fn take(&self, candidates: &[Candidate]) -> Result<(), StoreError> {
        let ids: Vec<i64> = candidates.iter().map(|candidate| candidate.claim.delivery).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let ids = serde_json::to_string(&ids).map_err(conversion)?;
        self.connection
            .prepare_cached(
                "UPDATE delivery SET state = 'sending', lease = lease + 1, due_ms = ?2, attempts = attempts + 1,
                     in_line = (mobile IS NOT NULL)
                 WHERE id IN (SELECT value FROM json_each(?1))",
            )?
            .execute(params![ids, self.turn.lease_end.0])?;
        Ok(())
    }
}

mod together;

#[cfg(test)]
mod tests;

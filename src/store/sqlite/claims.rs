//! Claims: which of a subscriber's deliveries go out now, in one person's order.
//!
//! What is ready is due by the time at which its reply was written, so that claiming what is due
//! longest keeps one person's order. What stands in its way is what a worker has in hand, and what
//! is in line: what has failed, and what was put off behind either, until the outcome of that lets
//! it go. So what waits in a row is looked at once, and not in every turn. A claim changes no
//! delivery: what is claimed is written into the worker's [lease](super::leases).

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::store::delivery::{Claim, Person, StandsIn, Trigger};
use crate::store::error::StoreError;
use crate::store::sqlite::json;
use crate::store::sqlite::leases::InHand;
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

/// Claims up to so many of each lane of what is in nobody's hand, and adds it to that. Under which
/// lease is not known yet. Says too whether a lane gave all that it may, so that it may have more.
pub(super) fn claim(
    connection: &Connection,
    turn: &Turn,
    (resumed, allowed): (UnixMs, Lanes),
    in_hand: &mut InHand,
) -> Result<(Vec<Claim>, bool), StoreError> {
    let (mut claims, mut may_have_more) = (Vec::new(), false);
    for (lane, limit) in [(NEW, allowed.new), (REPLAYS, allowed.replays)] {
        let before = claims.len();
        let mut lane = Lane { connection, turn, resumed, lane, in_hand };
        lane.claim(limit, &mut claims)?;
        may_have_more |= limit > 0 && claims.len() - before >= limit;
    }
    Ok((claims, may_have_more))
}

/// When the subscriber's next delivery is due of those that are in nobody's hand, or may be given
/// back by one who is no more.
pub(super) fn next_due(
    connection: &Connection,
    subscriber: &str,
    in_hand: &InHand,
) -> Result<Option<UnixMs>, StoreError> {
    let mut next = in_hand.first_end();
    for lane in [NEW, REPLAYS] {
        let first = free(connection, (subscriber, lane), UnixMs(i64::MAX), 1, in_hand)?;
        let due = first.first().map(|(due, _)| *due);
        next = [next, due].into_iter().flatten().min();
    }
    Ok(next)
}

/// The first of a subscriber's lane, so many of them, that are due by then and in nobody's hand: when
/// each is due, and its number. By the index alone: what is in hand stands at its beginning, and is
/// quicker passed over here than by a statement that is told of it.
fn free(
    connection: &Connection,
    (subscriber, lane): (&str, i64),
    until: UnixMs,
    limit: usize,
    in_hand: &InHand,
) -> Result<Vec<(UnixMs, i64)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT due_ms, id FROM delivery INDEXED BY delivery_due
         WHERE subscriber = ?1 AND lane = ?2 AND due_ms <= ?3 AND state = 'waiting' ORDER BY due_ms, id",
    )?;
    let mut rows = statement.query(params![subscriber, lane, until.0])?;
    let mut free = Vec::new();
    while free.len() < limit {
        let Some(row) = rows.next()? else { break };
        let id = row.get(1)?;
        if !in_hand.has(id) {
            free.push((UnixMs(row.get(0)?), id));
        }
    }
    Ok(free)
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
    replied_at: Option<i64>,
    has_failed: bool,
    /// Whether others of the same person are in line.
    has_others: bool,
}

impl Candidate {
    fn mobile(&self) -> Option<&str> {
        self.claim.person.as_ref().map(|person| &*person.mobile)
    }
}

/// What [`candidate`] reads; `?1` is when the subscriber took deliveries again, `?2` its name. What mostly
/// is not there is not looked up for each: others in line where none of the subscriber's are, and what a
/// delivery stands in for that stands in for nothing.
const CANDIDATE: &str = "delivery.id, event.id, iif(masked, masked_body, body), trigger, \
     max(coalesce(released_ms, created_ms), ?1), attempts + 1, \
     delivery.mobile, delivery.replied_at, failing_since_ms IS NOT NULL, \
     iif(failing_since_ms IS NULL, FALSE, \
         (SELECT trouble ->> 'refusal' FROM attempt WHERE delivery_id = delivery.id \
          ORDER BY number DESC, started_ms DESC LIMIT 1) IS 'refused'), \
     iif(EXISTS (SELECT 1 FROM delivery AS any INDEXED BY delivery_line \
                 WHERE any.subscriber = ?2 AND any.in_line = 1), \
         EXISTS (SELECT 1 FROM delivery AS other INDEXED BY delivery_line \
                 WHERE other.subscriber = delivery.subscriber AND other.mobile = delivery.mobile \
                     AND other.lane = delivery.lane AND other.in_line = 1), FALSE), \
     iif(stands_in_for IS NULL, NULL, \
         (SELECT first.subscriber FROM delivery AS first WHERE first.id = delivery.stands_in_for)), in_doubt";

fn candidate(row: &Row<'_>, lane: i64) -> rusqlite::Result<Candidate> {
    let mobile = row.get_ref(6)?.as_str_or_null()?;
    let in_doubt = row.get(12)?;
    let replied_at: Option<i64> = row.get(7)?;
    Ok(Candidate {
        claim: Claim {
            delivery: row.get(0)?,
            lease: 0,
            event_id: row.get(1)?,
            body: Bytes::copy_from_slice(row.get_ref(2)?.as_bytes()?),
            trigger: named(3, row.get_ref(3)?.as_str()?, Trigger::parse)?,
            created: UnixMs(row.get(4)?),
            written: replied_at.map(|second| BeijingTime::from_unix_seconds(second).unix_ms()),
            person: mobile.map(|mobile| Person { lane, mobile: mobile.into() }),
            attempt: row.get(5)?,
            alone: row.get(9)?,
            stands_in: row
                .get::<_, Option<String>>(11)?
                .map(|subscriber| StandsIn { subscriber, in_doubt }),
        },
        replied_at,
        has_failed: row.get(8)?,
        has_others: row.get(10)?,
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

/// Until when a candidate is put off behind one that is in hand. One that has failed is let go by
/// nobody, so it comes again when the lease ends.
fn behind(turn: &Turn, has_failed: bool, lease_end: UnixMs) -> UnixMs {
    if has_failed { lease_end } else { turn.now.after(HOLD) }
}

/// Until when a candidate is put off behind one that fails since then and is tried again when it is
/// due. One that has failed itself is let go by nobody, so it comes again with that one.
fn behind_failing(has_failed: bool, (since, due): (UnixMs, UnixMs)) -> UnixMs {
    let held = since.after(HOLD);
    if has_failed { held.min(due) } else { held }
}

/// One lane of a subscriber, in one turn.
struct Lane<'a> {
    connection: &'a Connection,
    turn: &'a Turn,
    resumed: UnixMs,
    lane: i64,
    in_hand: &'a mut InHand,
}

impl Lane<'_> {
    fn claim(&mut self, limit: usize, claims: &mut Vec<Claim>) -> Result<(), StoreError> {
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

    /// Claims those of the candidates before whom nobody goes, and then looks at the others one by
    /// one, until there are so many claims.
    fn consider(
        &mut self,
        candidates: Vec<Candidate>,
        limit: usize,
        claims: &mut Vec<Claim>,
    ) -> Result<(), StoreError> {
        let mut others = Vec::new();
        for candidate in candidates {
            let is_free = candidate.claim.person.is_none()
                || self.turn.line == Line::Any
                || !candidate.has_others && self.held_until(&candidate)?.is_none();
            if is_free { self.take(candidate, claims) } else { others.push(candidate) }
        }
        for candidate in others {
            // Unless it was claimed a moment ago, as the one that goes before another.
            match self.turn.line {
                _ if self.in_hand.has(candidate.claim.delivery) => {}
                Line::Together => self.consider_all_of(candidate, limit, claims)?,
                Line::Any | Line::OneByOne => self.consider_one(candidate, claims)?,
            }
        }
        Ok(())
    }

    /// Until when something of the candidate's person is in hand, if anything is: where they go one
    /// by one also what this turn has claimed.
    fn held_until(&self, candidate: &Candidate) -> Result<Option<UnixMs>, StoreError> {
        let person = candidate.claim.person.as_ref();
        let Some((delivery, end)) = person.and_then(|person| self.in_hand.of_person(person)) else {
            return Ok(None);
        };
        // One whose reply was erased meanwhile would let nobody go that was put off behind it.
        let mut statement =
            self.connection.prepare_cached("SELECT 1 FROM delivery WHERE id = ?1")?;
        Ok(statement.exists([delivery])?.then_some(end))
    }

    /// What is due and in nobody's hand, the longest first.
    fn candidates(&self, limit: usize) -> Result<Vec<Candidate>, StoreError> {
        let Turn { subscriber, due, .. } = self.turn;
        let free = free(self.connection, (subscriber, self.lane), *due, limit, self.in_hand)?;
        // Mostly one lane is empty.
        if free.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i64> = free.into_iter().map(|(_, id)| id).collect();
        let ids = json::write(&ids)?;
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {CANDIDATE} FROM json_each(?3) AS free CROSS JOIN delivery ON delivery.id = free.value
                 CROSS JOIN event ON event.seq = event_seq
             ORDER BY free.rowid"
        ))?;
        let of = params![self.resumed.0, subscriber, ids];
        let read = |row: &Row<'_>| candidate(row, self.lane);
        Ok(statement.query_map(of, read)?.collect::<Result<_, _>>()?)
    }

    /// Claims the candidate, or the one of its person that goes first, or puts it off.
    fn consider_one(
        &mut self,
        candidate: Candidate,
        claims: &mut Vec<Claim>,
    ) -> Result<(), StoreError> {
        let until = match self.turnout(&candidate)? {
            Turnout::Candidate => {
                self.take(candidate, claims);
                return Ok(());
            }
            Turnout::Other(other) => {
                let other = self.of(other)?;
                self.take(other, claims);
                behind(self.turn, candidate.has_failed, self.turn.lease_end)
            }
            Turnout::Nothing(until) => until,
        };
        self.put_off(&candidate, until)
    }

    /// Makes a candidate due later, in line.
    fn put_off(&self, candidate: &Candidate, until: UnixMs) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE delivery SET due_ms = ?2, in_line = 1 WHERE id = ?1")?
            .execute([candidate.claim.delivery, until.0])?;
        Ok(())
    }

    /// Which of the candidate's person goes out.
    fn turnout(&self, candidate: &Candidate) -> Result<Turnout, StoreError> {
        if let Some(end) = self.held_until(candidate)? {
            return Ok(Turnout::Nothing(behind(self.turn, candidate.has_failed, end)));
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT id, due_ms, failing_since_ms, replied_at FROM delivery INDEXED BY delivery_line
             WHERE subscriber = ?1 AND mobile = ?2 AND lane = ?3 AND in_line = 1 AND state = 'waiting'
             ORDER BY replied_at, id LIMIT ?4",
        )?;
        let (mine, now) = ((candidate.replied_at, candidate.claim.delivery), self.turn.due);
        let of = params![self.turn.subscriber, candidate.mobile(), self.lane, FAILING_MAX];
        let mut line = statement.query(of)?;
        while let Some(row) = line.next()? {
            let (id, due): (i64, _) = (row.get(0)?, UnixMs(row.get(1)?));
            match row.get::<_, Option<i64>>(2)?.map(UnixMs) {
                // What was written later stands in nobody's way.
                _ if (row.get(3)?, id) >= mine => break,
                Some(since) if due > now && since.after(HOLD) > now => {
                    let failing = (since, due);
                    return Ok(Turnout::Nothing(behind_failing(candidate.has_failed, failing)));
                }
                Some(_) if due > now => {}
                _ => return Ok(Turnout::Other(id)),
            }
        }
        Ok(Turnout::Candidate)
    }

    /// A delivery as it would be claimed.
    fn of(&self, id: i64) -> Result<Candidate, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {CANDIDATE} FROM delivery CROSS JOIN event ON event.seq = event_seq WHERE delivery.id = ?3"
        ))?;
        let of = params![self.resumed.0, self.turn.subscriber, id];
        Ok(statement.query_row(of, |row| candidate(row, self.lane))?)
    }

    fn take(&mut self, candidate: Candidate, claims: &mut Vec<Claim>) {
        let mut holding = candidate.claim.holding();
        // What goes out together may be joined by more of the same person in this turn.
        if self.turn.line == Line::Together {
            holding.person = None;
        }
        self.in_hand.add(holding, self.turn.lease_end);
        claims.push(candidate.claim);
    }
}

mod together;

#[cfg(test)]
mod tests;

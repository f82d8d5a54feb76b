//! Claims of one person that go out together, in the order of their replies: for messages that
//! hold several.

use rusqlite::params;

use super::{Candidate, HOLD, Lane, behind, behind_failing};
use crate::store::delivery::Claim;
use crate::store::error::StoreError;
use crate::time::UnixMs;

/// How many of a person's that stand in line are looked at for one candidate.
const LOOKS_MAX: i64 = 512;

/// One that stands in line.
struct InLine {
    id: i64,
    due: UnixMs,
    failing_since: Option<UnixMs>,
    replied_at: Option<i64>,
}

impl Lane<'_> {
    /// Claims the candidate with all of its person's that may go beside it, in their order, up to
    /// `limit` claims; or puts it off. What is in line behind it goes along, because nothing of the
    /// person's is left that it would have to wait for.
    pub(super) fn consider_all_of(
        &mut self,
        candidate: Candidate,
        limit: usize,
        claims: &mut Vec<Claim>,
    ) -> Result<(), StoreError> {
        let now = self.turn.due;
        if let Some(end) = self.held_until(&candidate)? {
            return self.put_off(&candidate, behind(self.turn, candidate.has_failed, end));
        }
        let line = self.line_of(&candidate)?;
        let mine = (candidate.replied_at, candidate.claim.delivery);
        let is_in_line = line.iter().any(|one| one.id == mine.1);
        let mut is_taken = false;
        for one in line {
            if claims.len() >= limit {
                return Ok(());
            }
            if !is_in_line && !is_taken && (one.replied_at, one.id) > mine {
                self.claim_of(mine.1, claims)?;
                is_taken = true;
            }
            match one.failing_since {
                _ if self.in_hand.has(one.id) => continue,
                _ if one.id == mine.1 => {}
                // It holds those behind it for a while, and then no more.
                Some(since) if one.due > now && since.after(HOLD) > now => {
                    let is_before = !is_taken && (one.replied_at, one.id) < mine;
                    return match is_before {
                        true => {
                            let until = behind_failing(candidate.has_failed, (since, one.due));
                            self.put_off(&candidate, until)
                        }
                        false => Ok(()),
                    };
                }
                Some(_) if one.due > now => continue,
                _ => {}
            }
            self.claim_of(one.id, claims)?;
            is_taken |= one.id == mine.1;
        }
        if !is_taken && claims.len() < limit {
            self.claim_of(mine.1, claims)?;
        }
        Ok(())
    }

    fn claim_of(&mut self, id: i64, claims: &mut Vec<Claim>) -> Result<(), StoreError> {
        let candidate = self.of(id)?;
        self.take(candidate, claims);
        Ok(())
    }

    /// The person's that stand in line, by the time of their replies.
    fn line_of(&self, candidate: &Candidate) -> Result<Vec<InLine>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, due_ms, failing_since_ms, replied_at FROM delivery INDEXED BY delivery_line
             WHERE subscriber = ?1 AND mobile = ?2 AND lane = ?3 AND in_line = 1 AND state = 'waiting'
             ORDER BY replied_at, id LIMIT ?4",
        )?;
        let of = params![self.turn.subscriber, candidate.mobile(), self.lane, LOOKS_MAX];
        let read = |row: &rusqlite::Row<'_>| {
            Ok(InLine {
                id: row.get(0)?,
                due: UnixMs(row.get(1)?),
                failing_since: row.get::<_, Option<i64>>(2)?.map(UnixMs),
                replied_at: row.get(3)?,
            })
        };
        Ok(statement.query_map(of, read)?.collect::<Result<_, _>>()?)
    }
}

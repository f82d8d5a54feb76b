//! Claims of one person that go out together, in the order of their replies: for messages that
//! hold several.

use rusqlite::params;

use super::{Candidate, HOLD, Lane, behind};
use crate::store::delivery::Claim;
use crate::store::error::StoreError;
use crate::time::UnixMs;

/// How many of a person's that stand in line are looked at for one candidate.
const LOOKS_MAX: i64 = 512;

/// One that stands in line.
struct InLine {
    id: i64,
    due: UnixMs,
    is_sending: bool,
    failing_since: Option<UnixMs>,
    replied_at: Option<i64>,
}

impl Lane<'_> {
    /// Claims the candidate with all of its person's that may go beside it, in their order, up to
    /// `limit` claims; or puts it off. What is in line behind it goes along, because nothing of the
    /// person's is left that it would have to wait for.
    pub(super) fn consider_all_of(
        &self,
        candidate: Candidate,
        limit: usize,
        claims: &mut Vec<Claim>,
    ) -> Result<(), StoreError> {
        let now = self.turn.due;
        let is_claimed =
            |id: i64, claims: &[Claim]| claims.iter().any(|claim| claim.delivery == id);
        if is_claimed(candidate.claim.delivery, claims) {
            return Ok(());
        }
        let line = self.line_of(&candidate)?;
        let is_elsewhere =
            |one: &&InLine| one.is_sending && one.due > now && !is_claimed(one.id, claims);
        if let Some(other) = line.iter().find(is_elsewhere) {
            return self.put_off(&candidate, behind(self.turn, candidate.has_failed, other.due));
        }
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
                _ if is_claimed(one.id, claims) => continue,
                _ if one.id == mine.1 || one.is_sending => {}
                // It holds those behind it for a while, and then no more.
                Some(since) if one.due > now && since.after(HOLD) > now => {
                    let is_before = !is_taken && (one.replied_at, one.id) < mine;
                    return match is_before && !is_claimed(mine.1, claims) {
                        true => self.put_off(&candidate, since.after(HOLD)),
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

    fn claim_of(&self, id: i64, claims: &mut Vec<Claim>) -> Result<(), StoreError> {
        let candidate = self.of(id)?;
        self.take(std::slice::from_ref(&candidate))?;
        claims.push(candidate.claim);
        Ok(())
    }

    /// The person's that stand in line, by the time of their replies.
    fn line_of(&self, candidate: &Candidate) -> Result<Vec<InLine>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, due_ms, state = 'sending', failing_since_ms, replied_at FROM delivery INDEXED BY delivery_line
             WHERE subscriber = ?1 AND mobile = ?2 AND lane = ?3 AND in_line = 1 AND state IN ('waiting', 'sending')
             ORDER BY replied_at, id LIMIT ?4",
        )?;
        let of = params![self.turn.subscriber, candidate.mobile, self.lane, LOOKS_MAX];
        let read = |row: &rusqlite::Row<'_>| {
            Ok(InLine {
                id: row.get(0)?,
                due: UnixMs(row.get(1)?),
                is_sending: row.get(2)?,
                failing_since: row.get::<_, Option<i64>>(3)?.map(UnixMs),
                replied_at: row.get(4)?,
            })
        };
        Ok(statement.query_map(of, read)?.collect::<Result<_, _>>()?)
    }
}

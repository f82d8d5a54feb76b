//! What is told beside replies: refusals, gaps, faults, a second reader.

use std::time::Duration;

use super::Prepared;
use super::owed::Hours;
use crate::event::Notice;
use crate::gateway::rx::FaultKind;
use crate::intake::plan;
use crate::intake::standing::{self, Teller};
use crate::intake::verdict::Door;
use crate::store::read::{Known, NewEvent, Standing};

/// Reads by hour and replies that must have been missed before a second reader is told of: one
/// reply that a carrier brought late is none.
const MISSED_READS: u32 = 2;
const MISSED_REPLIES: u32 = 3;
/// How long after one alarm the next may come.
const ALARM_AGAIN: Duration = Duration::from_hours(24);

impl Prepared {
    /// What the answer says of the account's standing.
    pub(super) fn standing(&self, known: &Known) -> Standing {
        if !self.read.kind.is_read() {
            return Standing::Unknown;
        }
        match self.door {
            Door::Open => Standing::Admitted,
            Door::Shut(status) => plan::pause_after(status, known.refusals)
                .map_or(Standing::Unknown, |pause| Standing::Refused(status, pause)),
            Door::Unsaid => Standing::Unknown,
        }
    }

    /// The events beside the replies.
    pub(super) fn events(
        &self,
        known: &Known,
        hours: &Hours,
        missed: u32,
        standing: Standing,
    ) -> Vec<NewEvent> {
        let teller = Teller {
            key: &self.account.key,
            account: &self.account.name,
            at: self.read.now,
            read: self.read.id,
            subscribers: &known.subscribers,
        };
        let mut notices = Vec::new();
        notices.extend(standing::notice(standing, known.refusals, self.read.now));
        if let Some((gap, reason)) = &hours.opened {
            let (first, last, hours) = (gap.first, gap.last, gap.owed);
            notices.push(Notice::GapOpened { first, last, hours, reason });
        }
        if let Some(gap) = hours.closed {
            let (first, last) = (gap.first, gap.last);
            let (verified, given_up) = (gap.verified, gap.given_up);
            notices.push(Notice::GapClosed { first, last, verified, given_up });
        }
        if self.read.kind.is_read() {
            notices.extend(self.unparsed(known));
        }
        notices.extend(self.second_reader(known, missed));
        notices.into_iter().map(|notice| teller.tell(notice)).collect()
    }

    /// Faults are told once: not again when their hour is read again. The open end of a cut
    /// answer is no fault of its records, and another protocol's page is told in the log.
    fn unparsed(&self, known: &Known) -> Option<Notice<'static>> {
        let again = known.hour.is_some_and(|row| row.tries > 0);
        let told = |kind: &str| {
            kind != FaultKind::NotProtocol.as_str()
                && (kind != FaultKind::NoEnd.as_str() || self.end_announced)
        };
        let kind = self.faults.iter().map(|fault| fault.kind).find(|kind| told(kind))?;
        let (read, faults) = (self.read.id.0, self.faults.len());
        (!again).then_some(Notice::RecordUnparsed { read, faults, kind })
    }

    fn second_reader(&self, known: &Known, missed: u32) -> Option<Notice<'static>> {
        let reads = known.missed.reads + 1;
        let replies = known.missed.replies.saturating_add(missed);
        let told_lately =
            known.missed.told.is_some_and(|told| told.after(ALARM_AGAIN) > self.read.now);
        (missed > 0 && reads >= MISSED_READS && replies >= MISSED_REPLIES && !told_lately)
            .then_some(Notice::SecondReader { replies, reads })
    }
}

//! What an answer, or the lack of one, means for the hours: owed, verified, given up, missed.

use std::collections::HashMap;
use std::time::Duration;

use super::{Group, Kind, Prepared};
use crate::config::Cron;
use crate::intake::hours::{self, Doubted, HourRead};
use crate::reply::Identity;
use crate::store::hour::{Cause, Gap, HourChange, HourState, OwedHour};
use crate::store::read::{Known, NewReply, Verdict};
use crate::time::{Hour, UnixMs};

/// Reads in a row whose answers ended with their connection, after which that is the host's way.
const WAY_OF_HOST: u32 = 6;
/// The verdict's reason where nothing else is wrong with an answer than that nothing announced
/// its end.
const UNANNOUNCED: &str = "ended_with_connection";
/// How long before a proven plain read a reply must be stamped to have been in the box by then.
const IN_THE_BOX: Duration = Duration::from_hours(1);

/// What becomes of the hours.
#[derive(Default)]
pub(super) struct Hours {
    pub(super) changes: Vec<HourChange>,
    /// The gap that opens, and why.
    pub(super) opened: Option<(Gap, &'static str)>,
    pub(super) closed: Option<Gap>,
    /// Known copies of the hour that was read which the answer did not hold.
    pub(super) missing: u32,
    /// When that hour is read again because it is over and lacks one.
    pub(super) short_until: Option<UnixMs>,
}

impl Prepared {
    /// Decides on the hours. `raised_nothing` are those of copies that raised no count.
    pub(super) fn hours(&self, known: &Known, raised_nothing: Vec<Hour>) -> Hours {
        let mut owed = self.owed(known, raised_nothing);
        let opened = hours::join_gap(&mut owed, &known.gaps, self.read.id);
        let reason = match self.verdict.reason() {
            Some(reason) if self.read.kind == Kind::Plain => reason,
            _ => Cause::Pause.as_str(),
        };
        let mut all = Hours {
            changes: hours::changes(owed),
            opened: opened.map(|gap| (gap, reason)),
            ..Hours::default()
        };
        if let Kind::Hour(hour) = self.read.kind {
            self.settle(hour, known, &mut all);
        }
        all
    }

    fn owed(&self, known: &Known, raised_nothing: Vec<Hour>) -> Vec<OwedHour> {
        if !self.read.kind.is_read() {
            return Vec::new();
        }
        let doubted = Doubted {
            read: self.read.id,
            started: self.read.started,
            ended: self.read.now,
            last_proven: known.proven_plain.map(|(_, last)| last),
            previous_plain: known.previous_plain,
            recover: self.account.settings.recover,
        };
        let mut owed = match (self.read.kind, self.verdict) {
            (Kind::Plain, Verdict::Doubtful(_)) => match known.previous_plain {
                Some(previous) if self.is_way_of_host(known) => {
                    hours::owed_by_way_of_host(&doubted, previous)
                }
                _ => hours::owed_by_doubt(&doubted, self.stamped.iter().copied(), Cause::Doubt),
            },
            (Kind::Plain, Verdict::Proven) => {
                hours::owed_once_more(raised_nothing.into_iter(), self.read.now)
            }
            _ => Vec::new(),
        };
        if self.follows_pause(known) && !matches!(self.verdict, Verdict::Refused(_)) {
            owed.extend(hours::owed_by_doubt(&doubted, std::iter::empty(), Cause::Pause));
        }
        owed
    }

    fn is_way_of_host(&self, known: &Known) -> bool {
        self.verdict == Verdict::Doubtful(UNANNOUNCED) && known.unannounced + 1 >= WAY_OF_HOST
    }

    fn follows_pause(&self, known: &Known) -> bool {
        let settings = &self.account.settings;
        known.previous_ended.is_some_and(|ended| {
            let schedule = Cron::parse(&settings.schedule).ok();
            let due = schedule.and_then(|schedule| schedule.next_after(ended));
            hours::is_pause(ended, self.read.started, due, settings.min_interval)
        })
    }

    fn settle(&self, hour: Hour, known: &Known, all: &mut Hours) {
        // What waits for its whole number is shown all the same.
        let shown = |group: &Group| (group.identity, group.copies + u32::from(group.waits));
        let held: HashMap<Identity, u32> = self.groups.iter().map(shown).collect();
        let lacking = |(identity, count): &(Identity, u32)| {
            count.saturating_sub(held.get(identity).copied().unwrap_or(0))
        };
        let missing = known.copies_of_hour.iter().map(lacking).sum();
        let read = HourRead {
            id: self.read.id,
            hour,
            started: self.read.started,
            now: self.read.now,
            verdict: self.verdict,
            confirmed: self.is_way_of_host(known)
                && known
                    .hour_same_before
                    .is_some_and(|before| hours::confirms(before, hour, known.hour.as_ref())),
            held: held.values().sum(),
            known: known.copies_of_hour.iter().map(|(_, count)| count).sum(),
            missing,
            min_interval: self.account.settings.min_interval,
        };
        all.missing = missing;
        if let Some(after) = hours::settle(known.hour, read) {
            all.closed =
                known.hour.and_then(|before| hours::closed_gap(&before, &after, &known.gaps));
            let was_short = known.hour.map_or(0, |before| before.shorts);
            let is_short = after.state == HourState::Owed && after.shorts > was_short;
            all.short_until = is_short.then_some(after.not_before);
            all.changes.push(HourChange::Set(after));
        }
    }

    /// New replies of a read by hour that a proven plain read before it should have brought. One
    /// that a doubtful read may have swallowed says nothing, nor does one that was stamped before
    /// the account was first read.
    pub(super) fn missed(&self, known: &Known, replies: &[NewReply]) -> u32 {
        let (Kind::Hour(_), Some((first, last))) = (self.read.kind, known.proven_plain) else {
            return 0;
        };
        let in_doubt = known.hour.is_some_and(|row| {
            row.state == HourState::Owed
                && matches!(row.cause, Cause::Doubt | Cause::Pause | Cause::Routine)
        });
        if in_doubt {
            return 0;
        }
        let was_in_the_box = |new: &&NewReply| {
            let stamped = new.reply.replied_at.unix_ms();
            stamped >= first && stamped.after(IN_THE_BOX) <= last
        };
        u32::try_from(replies.iter().filter(was_in_the_box).count()).unwrap_or(u32::MAX)
    }
}

//! From a stored answer to replies and their deliveries: parsed, judged, counted, decided.
//!
//! What is decided here is kept by the store in one transaction, so that a reply is never there
//! without its deliveries, and a read never taken in twice.

use std::collections::HashMap;

use crate::event;
use crate::gateway::charset::Charset;
use crate::gateway::client::Ending;
use crate::gateway::rx::{self, Answer, Record};
use crate::gateway::status::Status;
use crate::intake::count::{self, Body};
use crate::intake::suspicion::{self, Surroundings, Trace};
use crate::intake::verdict::{self, Door};
use crate::reply::{Fingerprint, IdKey, Identity, Mobile, Reply, Suspicion};
use crate::store::read::{
    AccountSettings, Known, NewFault, NewReply, OpenRead, Outcome, Questions, ReadId, Tally,
    Verdict, WaitingRecord,
};
use crate::time::{BeijingTime, Hour, UnixMs};

mod notices;
mod owed;

/// Intervals that the last record of a cut body waits for its hour.
const WAITING_INTERVALS: u32 = 2;

/// An account as keeping its replies needs it.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub settings: AccountSettings,
    /// The key of its replies' ids.
    pub key: IdKey,
}

/// Equal records of one body.
struct Group {
    identity: Identity,
    mobile: Mobile,
    replied_at: BeijingTime,
    content: Vec<u8>,
    suspect: Option<Suspicion>,
    /// The gateway numbers of the copies, in their order.
    gateways: Vec<String>,
    /// How many copies there are: more than `gateways` where some were told before.
    copies: u32,
    /// Whether one more was taken out, which waits for its hour.
    waits: bool,
}

/// An answer that was parsed and judged, and waits for what the store knows.
pub struct Prepared {
    account: Account,
    read: ReadFacts,
    verdict: Verdict,
    /// What it says of the account's standing.
    door: Door,
    status: Option<Status>,
    http_status: Option<u16>,
    error: Option<String>,
    records: usize,
    groups: Vec<Group>,
    /// Where each record of the body is: its group, and its place among the copies.
    order: Vec<(usize, usize)>,
    faults: Vec<NewFault>,
    /// The hours of its records and faults.
    stamped: Vec<Hour>,
    /// Whether the answer's end was announced and met.
    end_announced: bool,
    /// The last record of a cut body, if nothing follows its gateway number: its group.
    cut_last: Option<usize>,
}

/// What brought the records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Hour(Hour),
    /// One record of an earlier read, which waited.
    Waiting,
    /// The answer to a read, of an hour or not, that was taken in before; parsed again.
    Again(Option<Hour>),
}

impl Kind {
    /// Whether it has just been read: only then does it say anything of hours, of the account's
    /// standing, or of what is to be told.
    fn is_read(self) -> bool {
        matches!(self, Self::Plain | Self::Hour(_))
    }
}

struct ReadFacts {
    kind: Kind,
    id: ReadId,
    charset: Charset,
    started: UnixMs,
    /// When its answer ended, or was given up.
    now: UnixMs,
}

/// Parses and judges a stored answer, or the lack of one.
#[must_use]
pub fn prepare(read: &OpenRead, account: Account, now: UnixMs) -> Prepared {
    let answer = rx::parse(&read.body);
    let verdict = verdict::judge(read.ending, read.http_status, &answer);
    let (groups, order) = group(&answer, &account);
    let end_announced = read.ending == Ending::Announced;
    let last = answer.records.last().filter(|record| record.ends_body && !end_announced);
    let cut_last = last.and_then(|record| {
        let identity = account.key.identity(fingerprint(record, &account.name));
        groups.iter().position(|group| group.identity == identity)
    });
    Prepared {
        verdict,
        door: verdict::door(verdict, read.ending, &answer),
        status: answer.status,
        http_status: read.http_status,
        error: read.error.clone(),
        records: answer.records.len(),
        faults: faults(&answer),
        stamped: stamped(&answer),
        end_announced,
        cut_last,
        groups,
        order,
        read: ReadFacts {
            kind: read.hour.map_or(Kind::Plain, Kind::Hour),
            id: read.id,
            charset: read.charset,
            started: read.started,
            now: read.ended.unwrap_or(now),
        },
        account,
    }
}

/// Parses an answer again that was taken in before, for what the version that did so missed.
///
/// Its copies were counted then, as plain ones or as seen. Now they count as the most seen in one
/// body: that raises the count of a text by what was missed of it, and doubles nothing. What is
/// known to be gone (purged or erased) has its counts still, and does not come back.
#[must_use]
pub fn prepare_again(read: &OpenRead, account: Account, now: UnixMs) -> Prepared {
    let mut prepared = prepare(read, account, now);
    prepared.read.kind = Kind::Again(read.hour);
    prepared
}

fn fingerprint<'a>(record: &'a Record<'_>, account: &'a str) -> Fingerprint<'a> {
    Fingerprint {
        account,
        mobile: &record.mobile,
        replied_at: record.replied_at,
        content: record.content,
    }
}

fn group(answer: &Answer<'_>, account: &Account) -> (Vec<Group>, Vec<(usize, usize)>) {
    let mut groups: Vec<Group> = Vec::new();
    let mut order = Vec::with_capacity(answer.records.len());
    let mut places: HashMap<Identity, usize> = HashMap::new();
    for record in &answer.records {
        let identity = account.key.identity(fingerprint(record, &account.name));
        let place = *places.entry(identity).or_insert_with(|| {
            groups.push(Group {
                identity,
                mobile: record.mobile.clone(),
                replied_at: record.replied_at,
                content: record.content.to_vec(),
                suspect: record.may_hold_two.then_some(Suspicion::MayHoldTwo),
                gateways: Vec::new(),
                copies: 0,
                waits: false,
            });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            order.push((place, group.gateways.len()));
            group.gateways.push(record.gateway.to_owned());
            group.copies += 1;
        }
    }
    (groups, order)
}

fn faults(answer: &Answer<'_>) -> Vec<NewFault> {
    let keep = |fault: &rx::Fault<'_>| NewFault {
        offset: fault.offset,
        kind: fault.kind.as_str(),
        bytes: fault.bytes.to_vec(),
    };
    answer.faults.iter().map(keep).collect()
}

fn stamped(answer: &Answer<'_>) -> Vec<Hour> {
    let records = answer.records.iter().map(|record| record.replied_at);
    let faults = answer.faults.iter().filter_map(|fault| fault.replied_at);
    let mut hours: Vec<Hour> = records.chain(faults).map(BeijingTime::hour).collect();
    hours.sort_unstable();
    hours.dedup();
    hours
}

impl Prepared {
    /// What must be known before this can be decided.
    #[must_use]
    pub fn questions(&self) -> Questions {
        let cut = self.cut_last.and_then(|place| self.groups.get(place));
        let mut identities: Vec<_> = self.groups.iter().map(|group| group.identity).collect();
        // In the order of the store's key: neighbours are found together.
        identities.sort_unstable();
        let writer = |group: &Group| (group.identity, group.mobile.clone(), group.replied_at);
        Questions {
            identities,
            gateway: cut.and_then(|group| group.gateways.last().cloned()),
            writers: self.groups.iter().map(writer).collect(),
        }
    }

    /// Decides what to keep.
    #[must_use]
    pub fn decide(mut self, known: &Known) -> Outcome {
        self.mark_suspects(known);
        let waiting = self.set_aside_cut_record(known);
        let is_plain = self.read.kind == Kind::Plain;
        // It proves nothing of what the box held: neither new copies nor that there are no others.
        if self.verdict == Verdict::Proven && is_plain && known.body_seen_before {
            self.verdict = Verdict::Doubtful("repeated");
        }
        let body = match self.verdict {
            Verdict::Proven if is_plain => Body::Disjoint,
            _ => Body::Single,
        };
        let mut kept = Kept::default();
        for group in &self.groups {
            kept.add(group, body, &self, known);
        }
        let hours = self.hours(known, kept.raised_nothing);
        let missed = self.missed(known, &kept.replies);
        let standing = self.standing(known);
        let events = self.events(known, &hours, missed, standing);
        Outcome {
            verdict: self.verdict,
            status: self.status,
            http_status: self.http_status,
            error: self.error,
            records: self.records,
            tallies: kept.tallies,
            replies: kept.replies,
            faults: self.faults,
            waiting,
            hours: hours.changes,
            events,
            missed,
            missing: hours.missing,
            short_until: hours.short_until,
            standing,
        }
    }

    /// Marks the groups of which a copy may be forged by its text, with the first copy's mark.
    fn mark_suspects(&mut self, known: &Known) {
        let trace = |(place, copy): &(usize, usize)| {
            let group = self.groups.get(*place)?;
            Some(Trace {
                replied_at: group.replied_at,
                gateway: group.gateways.get(*copy)?,
                may_hold_two: group.suspect == Some(Suspicion::MayHoldTwo),
            })
        };
        let traces: Vec<Trace<'_>> = self.order.iter().filter_map(trace).collect();
        let body = Surroundings {
            number: self.account.settings.number.as_deref(),
            hour: match self.read.kind {
                Kind::Hour(hour) => Some(hour),
                Kind::Again(hour) => hour,
                Kind::Plain | Kind::Waiting => None,
            },
            started: self.read.started,
            ended: self.read.now,
            last_proven: known.proven_plain.map(|(_, last)| last),
            cut_behind_last: self.cut_last.is_some(),
        };
        let marks = suspicion::judge(&traces, body);
        for ((place, _), mark) in self.order.iter().zip(marks) {
            if let Some(group) = self.groups.get_mut(*place) {
                group.suspect = group.suspect.or(mark);
            }
        }
    }

    /// Takes the last record of a cut body out of its group, when its gateway number may be cut
    /// and is new to the account: its hour, read again, will tell the whole number.
    fn set_aside_cut_record(&mut self, known: &Known) -> Option<WaitingRecord> {
        let place = self.cut_last?;
        if matches!(self.read.kind, Kind::Again(_)) && !known.record_waits {
            // It waited long ago, and was kept as it is or told by its hour.
            return None;
        }
        let group = self.groups.get_mut(place)?;
        // An empty number says nothing: it may be the beginning of any.
        if known.gateway_known && group.gateways.last().is_some_and(|gateway| !gateway.is_empty()) {
            return None;
        }
        let gateway = group.gateways.pop()?;
        let copies = group.copies;
        group.copies -= 1;
        group.waits = true;
        let interval = self.account.settings.min_interval;
        Some(WaitingRecord {
            read: self.read.id,
            charset: self.read.charset,
            account: self.account.name.clone(),
            copies,
            release: self.read.now.after(interval * WAITING_INTERVALS),
            mobile: group.mobile.clone(),
            replied_at: group.replied_at,
            content: group.content.clone(),
            gateway,
            suspect: group.suspect,
        })
    }
}

/// Keeps a record that waited as it is, unless its text was counted meanwhile.
#[must_use]
pub fn release(record: &WaitingRecord, account: Account) -> Prepared {
    let of = Fingerprint {
        account: &record.account,
        mobile: &record.mobile,
        replied_at: record.replied_at,
        content: &record.content,
    };
    Prepared {
        groups: vec![Group {
            identity: account.key.identity(of),
            mobile: record.mobile.clone(),
            replied_at: record.replied_at,
            content: record.content.clone(),
            suspect: record.suspect,
            gateways: vec![record.gateway.clone()],
            copies: record.copies,
            waits: false,
        }],
        verdict: Verdict::Doubtful("cut"),
        door: Door::Unsaid,
        status: None,
        http_status: None,
        error: None,
        records: 1,
        faults: Vec::new(),
        stamped: Vec::new(),
        end_announced: false,
        order: Vec::new(),
        cut_last: None,
        read: ReadFacts {
            kind: Kind::Waiting,
            id: record.read,
            charset: record.charset,
            started: record.release,
            now: record.release,
        },
        account,
    }
}

/// What the groups come to.
#[derive(Default)]
struct Kept {
    tallies: Vec<(Identity, Hour, Tally)>,
    replies: Vec<NewReply>,
    /// The hours of copies that made no reply.
    raised_nothing: Vec<Hour>,
}

impl Kept {
    /// Counts a group and makes the replies it calls for.
    fn add(&mut self, group: &Group, body: Body, prepared: &Prepared, known: &Known) {
        let nothing = Tally::default();
        let before = known.tallies.get(&group.identity).unwrap_or(&nothing);
        let counted = count::count(before, group.copies, &group.gateways, body);
        let first = before.plain.max(before.seen) + 1;
        for (occurrence, gateway) in (first..).zip(counted.new) {
            let mut reply = prepared.reply(group, occurrence, gateway);
            reply.in_reply_to = known.answered.get(&group.identity).cloned();
            let (mut subscribers, mut held, mut is_masked) = (Vec::new(), Vec::new(), false);
            for (index, (_, route)) in known.subscribers.iter().enumerate() {
                if route.wants(&reply, known.now) {
                    subscribers.push(index);
                    is_masked |= route.mask;
                    held.extend(route.holds(&reply).then_some(index));
                }
            }
            self.replies.push(NewReply {
                identity: group.identity,
                event: event::reply_received(&reply),
                masked_event: is_masked.then(|| event::reply_received_masked(&reply)),
                subscribers,
                held,
                reply,
            });
        }
        if counted.tally != *before {
            self.tallies.push((group.identity, group.replied_at.hour(), counted.tally));
        }
        if counted.raised_nothing {
            self.raised_nothing.push(group.replied_at.hour());
        }
    }
}

impl Prepared {
    fn reply(&self, group: &Group, occurrence: u32, gateway: String) -> Reply {
        let account = &self.account;
        let of = Fingerprint {
            account: &account.name,
            mobile: &group.mobile,
            replied_at: group.replied_at,
            content: &group.content,
        };
        let decoded = self.read.charset.decode(&group.content);
        let behind =
            account.settings.number.as_deref().and_then(|number| gateway.strip_prefix(number));
        Reply {
            id: account.key.reply_id(of, occurrence),
            account: account.name.clone(),
            mobile: group.mobile.clone(),
            content: decoded.text,
            content_raw: decoded.lossy.then(|| group.content.clone()),
            replied_at: group.replied_at,
            occurrence,
            suspect: group.suspect,
            in_reply_to: None,
            extension: behind.filter(|rest| !rest.is_empty()).map(str::to_owned),
            gateway,
        }
    }
}

#[cfg(test)]
mod tests;

//! What one worker has at hand: claims that are about to go out, attempts under way, and what they
//! came to until it is recorded. It decides what is begun and when a turn is taken; its claims are
//! sent by [`attempts`](super::attempts).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::delivery::pace::{Limits, Pace, replays_of};
use crate::delivery::sender::Sender;
use crate::delivery::standing;
use crate::store::attempt::Attempt;
use crate::store::delivery::{Claim, Holding};
use crate::store::turn::{Lanes, Turn, Turned};
use crate::time::{UnixMs, millis};

/// What a claim's lease lasts beyond its attempt's timeout: time to record the outcome.
pub(super) const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// A claim that is not begun so long after it was made is given back: its lease would end while it
/// is under way.
pub(super) const STARTED_WITHIN: Duration = Duration::from_secs(5);
/// Outcomes that are recorded together without waiting for more: enough that a commit's own cost
/// is small beside theirs.
const GROUP: usize = 256;
/// Outcomes wait about so long for more of their kind while others are under way: until the clock comes to
/// a multiple of it. All workers then take their turns together, and these share a commit.
const LINGER: Duration = Duration::from_millis(20);
/// The most claims in one turn.
const CLAIMS_MAX: usize = 1_024;
/// The most outcomes that wait to be recorded: while the store takes none, nothing more is sent.
/// With what is under way they are what a death of the process has told twice.
const UNRECORDED_MAX: usize = 512;
/// How soon is looked again for what is due and may not be claimed for a reason that ends by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The least and the most claims that are looked at for one message of a product: what does not fit
/// into it is given back.
const DIGEST_CLAIMS: (usize, usize) = (64, 512);

/// The claims of one request.
pub(super) type Request = Arc<[Claim]>;

/// A request, and until when it may be begun.
struct Ready {
    claims: Request,
    begin_by: UnixMs,
}

/// An attempt that begins.
pub(super) struct Begun {
    /// Which of the desk's attempts it is.
    pub(super) number: u64,
    /// What it is to bring.
    pub(super) claims: Request,
}

/// An attempt that ended.
pub(super) struct Ended {
    /// Which it was.
    pub(super) number: u64,
    /// What it came to; nothing where it panicked.
    pub(super) attempts: Option<Vec<Attempt>>,
}

/// What an attempt was to bring that panicked. Of it nothing is known: it stays in hand as long as a
/// sender's that died.
struct Lost {
    claims: Request,
    until: UnixMs,
}

/// What a desk gives to a turn.
pub(super) struct HandOver {
    pub(super) outcomes: Vec<Attempt>,
    pub(super) lease: Option<i64>,
    /// What is claimed under that lease, and neither tried nor given back.
    pub(super) in_hand: Vec<Holding>,
    /// Whether anything is given back.
    pub(super) gives_back: bool,
    /// How many more of each lane can be at hand.
    pub(super) room: Lanes,
    /// How many are claimed and not recorded.
    pub(super) under_way: usize,
}

/// One worker's work at hand.
pub(super) struct Desk {
    sender: Arc<Sender>,
    limits: Limits,
    new: VecDeque<Ready>,
    replays: VecDeque<Ready>,
    /// The lease under which all is in hand that was claimed since the last was lost.
    lease: Option<i64>,
    /// Attempts under way, by their numbers, and how many of them bring a replay.
    running: BTreeMap<u64, Request>,
    replays_running: usize,
    /// The next attempt's number.
    number: u64,
    lost: Vec<Lost>,
    outcomes: Vec<Attempt>,
    /// How many more the turn under way records.
    recording: usize,
    /// When the first of the outcomes came.
    since: UnixMs,
    /// Whether claims were given back since the turn under way began.
    gives_back: bool,
    /// Attempts begun since the last turn: so many, and as many again, are claimed in the next.
    begun: usize,
    /// How many the last message of a product held.
    held: usize,
    /// How many may be under way, by the subscriber's pace.
    pace: Pace,
    /// When is looked for what is due.
    look_at: UnixMs,
    /// Whether something changed since the turn under way began.
    has_changed: bool,
    /// Before then the store is not tried again.
    not_before: UnixMs,
    failures: usize,
    is_closed: bool,
}

impl Desk {
    pub(super) fn new(sender: Arc<Sender>, limits: Limits) -> Self {
        Self {
            sender,
            limits,
            new: VecDeque::new(),
            replays: VecDeque::new(),
            lease: None,
            running: BTreeMap::new(),
            replays_running: 0,
            number: 0,
            lost: Vec::new(),
            outcomes: Vec::new(),
            recording: 0,
            since: UnixMs(0),
            gives_back: false,
            begun: 0,
            held: 0,
            pace: Pace::default(),
            look_at: UnixMs(0),
            has_changed: false,
            not_before: UnixMs(0),
            failures: 0,
            is_closed: false,
        }
    }

    fn now(&self) -> UnixMs {
        self.sender.clock().unix()
    }

    /// Begins an attempt if one may be begun: what is new first, and no more replays at once than
    /// their part.
    pub(super) fn begin(&mut self) -> Option<Begun> {
        while self.may_begin() {
            let next = self.new.pop_front().or_else(|| self.replays.pop_front());
            let Ready { claims, begin_by } = next?;
            if self.now() > begin_by {
                self.gives_back = true;
                continue;
            }
            self.number += 1;
            self.replays_running += usize::from(is_replay(&claims));
            self.running.insert(self.number, Arc::clone(&claims));
            self.begun += claims.len();
            self.held = claims.len();
            return Some(Begun { number: self.number, claims });
        }
        None
    }

    fn may_begin(&self) -> bool {
        let may_replay = self.replays_running < replays_of(self.limits.concurrency);
        let has_ready = !self.new.is_empty() || may_replay && !self.replays.is_empty();
        has_ready
            && self.running.len() < self.limits.concurrency
            && self.unrecorded() < UNRECORDED_MAX
    }

    /// How many attempts are under way, and how many would be if all that is ready were begun.
    pub(super) fn busy_with(&self) -> (usize, usize) {
        let running = self.running.len();
        let all = running + self.new.len() + self.replays.len();
        (running, all.min(self.limits.concurrency))
    }

    /// Whether nothing is under way, and nothing can be begun before a turn was taken.
    pub(super) fn is_at_rest(&self) -> bool {
        self.running.is_empty() && !self.may_begin()
    }

    /// How many attempts have ended of which the store does not know yet.
    fn unrecorded(&self) -> usize {
        self.outcomes.len() + self.recording
    }

    /// Takes what an attempt came to. Says whether that changes when a turn is taken.
    pub(super) fn end(&mut self, ended: Ended) -> bool {
        let Some(claims) = self.running.remove(&ended.number) else { return false };
        self.replays_running -= usize::from(is_replay(&claims));
        let Some(attempts) = ended.attempts else {
            self.failures += 1;
            let until = self.now().after(self.sender.config().timeout + LEASE_MARGIN);
            self.lost.push(Lost { claims, until });
            return false;
        };
        let before = self.outcomes.len();
        let failures = attempts.iter().filter(|attempt| attempt.trouble.is_some()).count();
        self.failures += failures;
        if before == 0 {
            self.since = self.now();
        }
        self.outcomes.extend(attempts);
        // What is behind may be of the same person, and may not overtake.
        if failures > 0 && self.sender.shape().is_some() {
            self.give_back_all();
        }
        before == 0 || before < GROUP && self.outcomes.len() >= GROUP
    }

    /// How long until a turn is to be taken; zero when it is now.
    pub(super) fn rest(&self, now: UnixMs) -> Duration {
        if self.not_before > now {
            return self.not_before.since(now);
        }
        let is_idle = self.is_idle();
        if self.outcomes.len() >= GROUP || is_idle && self.has_something_to_hand_over() {
            return Duration::ZERO;
        }
        let linger = match self.outcomes.is_empty() {
            true => Duration::MAX,
            false => recorded_by(self.since).since(now),
        };
        let wants = self.new.is_empty() && self.running.len() < self.limits.concurrency;
        let first_lost = self.lost.iter().map(|lost| lost.until).min();
        let look_at = first_lost.map_or(self.look_at, |until| until.min(self.look_at));
        let look = if wants { look_at.since(now) } else { Duration::MAX };
        linger.min(look)
    }

    /// Whether nothing is under way or about to be.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.new.is_empty() && self.replays.is_empty()
    }

    /// How many more of each lane can be at hand.
    fn room(&self) -> Lanes {
        if self.is_closed {
            return Lanes::default();
        }
        if self.sender.shape().is_some() {
            let (least, most) = DIGEST_CLAIMS;
            let new = if self.is_idle() { (2 * self.held).clamp(least, most) } else { 0 };
            return Lanes { new, replays: replays_of(new).min(new) };
        }
        let wanted = (2 * self.begun).clamp(self.limits.concurrency, CLAIMS_MAX);
        let free = self.limits.concurrency.saturating_sub(self.running.len());
        let replays = replays_of(wanted).min(replays_of(self.limits.concurrency) * 4);
        Lanes {
            new: wanted.max(free).saturating_sub(self.new.len()),
            replays: replays.saturating_sub(self.replays.len() + self.replays_running),
        }
    }

    /// How many are claimed and not recorded.
    fn under_way(&self) -> usize {
        let waiting = self.new.iter().chain(&self.replays);
        self.running.len() + waiting.map(|ready| ready.claims.len()).sum::<usize>()
    }

    /// What is claimed under the lease that stands, and neither tried nor given back.
    fn in_hand(&self) -> Vec<Holding> {
        let tried = self.running.values().chain(self.lost.iter().map(|lost| &lost.claims));
        let ready = self.new.iter().chain(&self.replays).map(|ready| &ready.claims);
        let claims = tried.chain(ready).flat_map(|claims| claims.iter());
        let mut in_hand = Vec::with_capacity(self.under_way());
        let mine = claims.filter(|claim| Some(claim.lease) == self.lease);
        in_hand.extend(mine.map(Claim::holding));
        in_hand
    }

    /// What the next turn records, and what it may claim.
    pub(super) fn hand_over(&mut self) -> HandOver {
        let (room, under_way) = (self.room(), self.under_way());
        self.begun = 0;
        self.has_changed = false;
        let (now, lost) = (self.now(), self.lost.len());
        self.lost.retain(|lost| lost.until > now);
        self.gives_back |= self.lost.len() < lost;
        // About as many come until the next turn.
        let next = Vec::with_capacity(self.outcomes.len());
        let outcomes = std::mem::replace(&mut self.outcomes, next);
        self.recording = outcomes.len();
        HandOver {
            outcomes,
            lease: self.lease,
            in_hand: self.in_hand(),
            gives_back: std::mem::take(&mut self.gives_back),
            room,
            under_way,
        }
    }

    pub(super) fn has_something_to_hand_over(&self) -> bool {
        !self.outcomes.is_empty() || self.gives_back
    }

    /// Takes what a turn brought that began then; a product lets so many messages through.
    pub(super) fn turned(
        &mut self,
        turned: Turned,
        messages_max: usize,
        (began, now): (UnixMs, UnixMs),
    ) {
        self.recording = 0;
        if turned.lease != self.lease {
            // Others may have what was claimed under the lease that is no more.
            self.new.clear();
            self.replays.clear();
        }
        self.lease = turned.lease;
        let begin_by = began.after(STARTED_WITHIN);
        let is_empty = turned.claims.is_empty();
        for claims in self.requests(turned.claims, messages_max) {
            let lane = if is_replay(&claims) { &mut self.replays } else { &mut self.new };
            lane.push_back(Ready { claims, begin_by });
        }
        self.pace = standing::pace_of(&turned.standing);
        self.look_at = match turned.next {
            _ if self.has_changed => UnixMs(0),
            _ if turned.standing.disabled.is_some() => UnixMs(i64::MAX),
            None => UnixMs(i64::MAX),
            Some(due) if due <= now && is_empty => self.opens(now),
            Some(due) => due.max(now),
        };
        // Claimed before it was seen that the receiver is down, or wants no more.
        let is_left_alone = self.pace.not_before() > now || turned.standing.disabled.is_some();
        if self.is_closed || is_left_alone {
            self.give_back_all();
        }
    }

    /// The claims of each request; what no message holds now is given back.
    fn requests(&mut self, claims: Vec<Claim>, messages_max: usize) -> Vec<Request> {
        let Some(shape) = self.sender.shape().cloned() else {
            return claims.into_iter().map(|claim| Arc::new([claim]) as Request).collect();
        };
        let plan = shape.plan(&claims, messages_max);
        let of = |which: &[usize]| {
            which.iter().filter_map(|at| claims.get(*at).cloned()).collect::<Request>()
        };
        self.gives_back |= !plan.left.is_empty();
        plan.messages.iter().map(|which| of(which)).collect()
    }

    /// When is looked again for what is due and was not allowed.
    fn opens(&self, now: UnixMs) -> UnixMs {
        let quiet_until = self.sender.config().quiet_hours.and_then(|hours| hours.end(now));
        let opens = self.pace.opens(self.limits, now).max(quiet_until);
        opens.unwrap_or(now).max(now.after(LOOK_AGAIN))
    }

    /// Takes back what could not be recorded, and tries no sooner than that.
    pub(super) fn take_back(&mut self, turn: &Turn, not_before: UnixMs) {
        self.recording = 0;
        self.outcomes.splice(..0, turn.outcomes.iter().cloned());
        self.gives_back |= turn.gives_back;
        self.not_before = not_before;
    }

    /// Something changed in the store: there may be something due.
    pub(super) fn look_again(&mut self) {
        self.has_changed = true;
        self.look_at = UnixMs(0);
    }

    /// Begins nothing more, and gives back what was not begun.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.give_back_all();
    }

    fn give_back_all(&mut self) {
        self.gives_back |= !self.new.is_empty() || !self.replays.is_empty();
        self.new.clear();
        self.replays.clear();
    }

    /// How many attempts failed.
    pub(super) fn failures(&self) -> usize {
        self.failures
    }
}

/// When outcomes are recorded of which the first came then, at the latest. Not at once where that is
/// near: of many that come all the while most would be recorded in two parts.
fn recorded_by(first: UnixMs) -> UnixMs {
    let (linger, near) = (millis(LINGER), first.after(LINGER / 2));
    UnixMs(near.0.div_euclid(linger).saturating_add(1).saturating_mul(linger))
}

/// Whether a request brings only what was told before.
fn is_replay(claims: &[Claim]) -> bool {
    claims.iter().all(Claim::is_replay)
}

#[cfg(test)]
pub(super) mod tests;

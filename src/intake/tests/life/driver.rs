//! The one file of these lives that touches what is lived: planner, store and taking in, in the
//! steps in which the reader takes them.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::fate::{Fate, HOUR, MINUTE, SECOND, duration};
use crate::clock::Moment;
use crate::gateway::client::{ReadMode, Received};
use crate::intake::hours;
use crate::intake::ingest::{self, Account, Prepared};
use crate::intake::plan::{self, Step, Wishes};
use crate::intake::standing::{self, Teller};
use crate::reply::IdKey;
use crate::route::Route;
use crate::store::Store;
use crate::store::audit::{self, KeptHour, KeptReply};
use crate::store::delivery::SubscriberSpec;
use crate::store::read::{
    AccountSettings, AccountSpec, AccountView, Begin, Ingested, ProbeOutcome, ReadId, ReadRequest,
    Source,
};
use crate::time::{Hour, UnixMs, millis};

pub(super) const ACCOUNT: &str = "main";
pub(super) const SUBSCRIBERS: [&str; 2] = ["crm", "log"];
/// A request that has not gone out so long after its slot was taken never does.
pub(super) const BEGIN_MAX: Duration = Duration::from_secs(10);

/// What the planner wants.
pub(super) enum Wish {
    /// To rest for so long; it will want nothing before.
    Rest(i64),
    /// To ask whether the account is let in again.
    Probe,
    Read(Asking),
}

/// A read that the planner wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    /// The hour to read; none for a plain read.
    pub(super) hour: Option<Hour>,
    /// Whether the schedule wants it, and not what is owed.
    pub(super) is_due: bool,
    /// Whether a read of the other kind is wanted as well.
    pub(super) both: bool,
}

/// What was parsed and waits to be decided on.
pub(super) struct Deciding {
    source: Source,
    prepared: Prepared,
}

pub(super) struct Core {
    store: Store,
    key: IdKey,
}

/// An act in memory waits for nothing.
fn at_once<F: Future>(act: F) -> F::Output {
    match pin!(act).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("an act of a store in memory waited"),
    }
}

/// For how long the planner wants nothing. The reader asks again at least once a minute; where a
/// life is long, it asks when there is something that the planner may want, by its own view.
fn nap(fate: &Fate, view: &AccountView, due: Option<UnixMs>, rest: Duration, now: &Moment) -> i64 {
    if fate.minutely || rest < duration(MINUTE) {
        return millis(rest).max(SECOND);
    }
    let owed = view.owed.map_or(view.next_owed, |_| Some(now.unix));
    let next = [due, owed].into_iter().flatten().min();
    let until = next.map_or(rest, |next| next.since(now.unix));
    // An hour that ends may be one to reconcile.
    millis(until.max(plan::blocked_for(view, now))).clamp(MINUTE, 4 * HOUR)
}

fn settings(fate: &Fate) -> AccountSettings {
    AccountSettings {
        number: None,
        min_interval: fate.interval,
        recover: Duration::from_hours(24),
        schedule: fate.schedule.to_string(),
    }
}

impl Core {
    pub(super) fn new() -> Self {
        Self { store: Store::in_memory().unwrap(), key: IdKey::from_secret(b"a key") }
    }

    pub(super) fn key(&self) -> &IdKey {
        &self.key
    }

    /// What a service does when it starts.
    pub(super) fn start(&self, fate: &Fate, now: &Moment) {
        let account = AccountSpec {
            name: ACCOUNT.to_owned(),
            settings: settings(fate),
            configured_key: None,
            derived_key: self.key.clone(),
            login: self.key.clone(),
            mailbox: self.key.clone(),
        };
        let subscriber = |name: &str| SubscriberSpec {
            name: name.to_owned(),
            route: Route::default(),
            enabled: true,
        };
        let subscribers = SUBSCRIBERS.map(subscriber).to_vec();
        at_once(self.store.put_configuration(vec![account], subscribers, now.clone())).unwrap();
        self.mend(now);
        at_once(self.store.anchor_slot(ACCOUNT, now.clone())).unwrap();
    }

    /// What a service does now and then.
    pub(super) fn mend(&self, now: &Moment) {
        at_once(self.store.mend_times(now.unix)).unwrap();
    }

    /// What the planner wants now. `first` is what a process remembers: whether its first due
    /// read, which comes at start, is still to be made.
    pub(super) fn wish(&self, fate: &Fate, first: &mut Option<bool>, now: &Moment) -> Wish {
        let wishes =
            Wishes { schedule: &fate.schedule, read: fate.mode, reconcile: fate.reconcile };
        loop {
            let view = at_once(self.store.view(ACCOUNT, fate.mode, now.clone())).unwrap();
            let is_first = *first.get_or_insert(plan::blocked_for(&view, now).is_zero());
            let due = match view.last_due {
                Some(last) if !is_first && last <= now.unix => fate.schedule.next_after(last),
                _ => Some(now.unix),
            };
            // Where no read is plain, a read of the hour that runs is both.
            let running = (fate.mode == ReadMode::Hour).then(|| now.unix.beijing().hour());
            let both = view.owed.is_some_and(|owed| Some(owed) != running)
                && due.is_some_and(|due| due <= now.unix);
            let (hour, is_due) = match plan::next_step(&view, &wishes, is_first, now) {
                Step::Plain => (None, true),
                Step::Running(hour) => (Some(hour), true),
                Step::Hour(hour) => (Some(hour), false),
                Step::Probe => return Wish::Probe,
                Step::Rest(rest) => return Wish::Rest(nap(fate, &view, due, rest, now)),
                Step::Reconcile(first, last) => {
                    let owed = hours::owed_for_reconciling(first, last, fate.mode);
                    at_once(self.store.reconcile(ACCOUNT, owed, last)).unwrap();
                    continue;
                }
            };
            return Wish::Read(Asking { hour, is_due, both });
        }
    }

    /// Takes the account's probe, if it is still due.
    pub(super) fn begin_probe(&self, fate: &Fate, now: &Moment) -> bool {
        at_once(self.store.begin_probe(ACCOUNT, fate.interval, now.unix)).unwrap()
    }

    /// Keeps what a probe was answered.
    pub(super) fn end_probe(&self, received: Received, now: &Moment) {
        let (key, at) = (self.key.clone(), now.unix);
        let decide = move |refusals: u32, subscribers: &[(String, Route)]| {
            let standing = standing::judge_probe(&received, refusals);
            let teller = Teller { key: &key, account: ACCOUNT, at, read: ReadId(0), subscribers };
            let notice = standing::notice(standing, refusals, at);
            let events = notice.map(|notice| teller.tell(notice)).into_iter().collect();
            ProbeOutcome { standing, events }
        };
        at_once(self.store.end_probe(ACCOUNT, decide, at)).unwrap();
    }

    /// Asks for the slot.
    pub(super) fn begin(&self, fate: &Fate, hour: Option<Hour>, now: &Moment) -> Begin {
        let request = ReadRequest {
            account: ACCOUNT.to_owned(),
            hour,
            charset: fate.charset,
            timeout: fate.timeout,
            min_interval: fate.interval,
            room: 0,
        };
        at_once(self.store.begin_read(request, now.clone())).unwrap()
    }

    pub(super) fn abandon(&self, read: ReadId, now: &Moment) {
        at_once(self.store.abandon_read(read, now.clone())).unwrap();
    }

    pub(super) fn finish(&self, fate: &Fate, read: ReadId, received: &Received, ended: &Moment) {
        let done = self.store.finish_read(read, received.clone(), ended.clone(), fate.interval);
        at_once(done).unwrap();
    }

    /// The first of what is to be taken in, parsed.
    pub(super) fn open(&self, now: &Moment) -> Option<Deciding> {
        for read in at_once(self.store.open_reads(ACCOUNT, now.clone())).unwrap() {
            let Some(open) = at_once(self.store.open_read(read)).unwrap() else { continue };
            let source = Source::Read { id: read, answered: open.answered };
            let prepared = ingest::prepare(&open, self.account(), now.unix);
            return Some(Deciding { source, prepared });
        }
        let waiting = at_once(self.store.waiting_due(ACCOUNT, now.unix)).unwrap();
        let (row, record) = waiting.into_iter().next()?;
        let prepared = ingest::release(&record, self.account());
        Some(Deciding { source: Source::Waiting(row), prepared })
    }

    fn account(&self) -> Account {
        let (settings, key) = at_once(self.store.account(ACCOUNT)).unwrap().unwrap();
        Account { name: ACCOUNT.to_owned(), settings, key }
    }

    pub(super) fn decide(&self, deciding: Deciding, now: &Moment) -> Option<Ingested> {
        let Deciding { source, prepared } = deciding;
        let questions = prepared.questions();
        let decide = move |known| prepared.decide(&known);
        at_once(self.store.take_in(source, questions, decide, now.clone())).unwrap()
    }

    pub(super) fn replies_after(&self, seq: i64) -> Vec<KeptReply> {
        at_once(self.store.audit(move |store| audit::replies_after(store, seq))).unwrap()
    }

    pub(super) fn hours_left(&self) -> Vec<KeptHour> {
        at_once(self.store.audit(|store| audit::hours_left(store, ACCOUNT))).unwrap()
    }

    pub(super) fn reads_open(&self) -> Vec<ReadId> {
        at_once(self.store.audit(audit::reads_open)).unwrap()
    }

    pub(super) fn records_waiting(&self) -> Vec<(String, i64, Vec<u8>)> {
        at_once(self.store.audit(audit::records_waiting)).unwrap()
    }

    /// Replies without exactly one delivery to each subscriber, and deliveries in all.
    pub(super) fn deliveries(&self) -> (i64, i64) {
        let amiss = at_once(self.store.audit(audit::deliveries_amiss)).unwrap();
        (amiss, at_once(self.store.audit(audit::deliveries)).unwrap())
    }
}

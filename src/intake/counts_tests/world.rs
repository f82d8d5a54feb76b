//! The real intake over a store in memory, one step at a time, and what it told subscribers.
//! Everything that the model touches of the product stands here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::truth::{Answer, TEXTS, Text, Truth};
use crate::clock::Moment;
use crate::gateway::charset::Charset;
use crate::gateway::client::{Ending, ReadMode, Received};
use crate::intake::ingest::{self, Account, Prepared};
use crate::reply::IdKey;
use crate::route::Route;
use crate::store::Store;
use crate::store::delivery::SubscriberSpec;
use crate::store::hour::{HourChange, HourState};
use crate::store::read::{
    AccountSettings, AccountSpec, Begin, ReadId, ReadRequest, Source, Verdict,
};
use crate::time::{BeijingTime, Hour};

const ACCOUNT: &str = "main";
const INTERVAL: Duration = Duration::from_mins(10);
const TIMEOUT: Duration = Duration::from_mins(5);
/// How long after its end an hour may be verified.
const SETTLED: Duration = Duration::from_mins(15);

/// A read as the gateway saw it.
struct Asked {
    hour: Option<Hour>,
    held: BTreeMap<Text, usize>,
    begun: Moment,
}

/// Hours that were verified while something was decided.
type Verified = Arc<Mutex<Vec<Hour>>>;

/// What there is: the gateway, the store, and what a process has in its memory.
pub(super) struct World {
    store: Store,
    pub(super) now: Moment,
    pub(super) truth: Truth,
    asked: HashMap<ReadId, Asked>,
    on_the_wire: Vec<(ReadId, Received)>,
    prepared: Vec<(ReadId, Source, Prepared)>,
    /// The gateway numbers of a text's replies, as subscribers were told of them.
    told: BTreeMap<Text, Vec<String>>,
    ids: BTreeSet<String>,
    /// The gateway numbers that a cut made shorter.
    cut_numbers: BTreeMap<Text, Vec<String>>,
    /// The copies summed over proven plain reads.
    disjoint: BTreeMap<Text, usize>,
    /// How many copies may be told with another copy's gateway number.
    loosely_paired: BTreeMap<Text, usize>,
}

fn settings() -> AccountSettings {
    AccountSettings {
        number: None,
        min_interval: INTERVAL,
        recover: Duration::from_hours(24),
        schedule: "0 */10 * * * *".to_owned(),
    }
}

fn key() -> IdKey {
    IdKey::from_secret(b"a key")
}

impl World {
    pub(super) async fn begin() -> Self {
        let now: BeijingTime = "2026-11-22 10:05:00".parse().unwrap();
        let now = Moment { unix: now.unix_ms(), boot_ms: 0, boot: Arc::from("a") };
        Self {
            store: new_store(&now).await,
            now,
            truth: Truth::default(),
            asked: HashMap::new(),
            on_the_wire: Vec::new(),
            prepared: Vec::new(),
            told: BTreeMap::new(),
            ids: BTreeSet::new(),
            cut_numbers: BTreeMap::new(),
            disjoint: BTreeMap::new(),
            loosely_paired: BTreeMap::new(),
        }
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now = self.now.after(span);
    }

    /// How many replies of a text were told.
    pub(super) fn count(&self, text: Text) -> usize {
        self.told.get(&text).map_or(0, Vec::len)
    }

    /// A process dies: what it had in memory is gone, answers on the wire included.
    pub(super) fn restart(&mut self) {
        self.prepared.clear();
        self.on_the_wire.clear();
    }

    /// Begins a read as soon as the slot is free.
    pub(super) async fn ask(&mut self, hour: Option<Hour>) -> ReadId {
        loop {
            let request = ReadRequest {
                account: ACCOUNT.to_owned(),
                hour,
                charset: Charset::Gbk,
                timeout: TIMEOUT,
                min_interval: INTERVAL,
                room: 0,
            };
            match self.store.begin_read(request, self.now.clone()).await.unwrap() {
                Begin::Busy(wait) => self.pass(wait),
                Begin::Begun(read) => {
                    let asked = Asked { hour, held: BTreeMap::new(), begun: self.now.clone() };
                    self.asked.insert(read, asked);
                    return read;
                }
            }
        }
    }

    /// The gateway answers a read; how much of it comes is another matter.
    pub(super) fn answered(&mut self, read: ReadId, answer: &Answer) {
        self.asked.get_mut(&read).unwrap().held = answer.held.clone();
    }

    /// Excuses a told gateway number that is no copy's: a cut made it shorter.
    pub(super) fn excuse_cut(&mut self, (text, number): (Text, &str)) {
        self.cut_numbers.entry(text).or_default().push(number.to_owned());
    }

    /// An answer is there, and may come into the store.
    pub(super) fn send(&mut self, read: ReadId, ending: Ending, body: Vec<u8>) {
        let received = Received { http_status: Some(200), ending, body, error: None };
        self.on_the_wire.push((read, received));
    }

    /// One of the answers on the wire comes into the store; the last one, if there are not so many.
    pub(super) async fn store_one(&mut self, choice: usize) {
        let Some(last) = self.on_the_wire.len().checked_sub(1) else { return };
        let (read, received) = self.on_the_wire.remove(choice.min(last));
        self.pass(Duration::from_secs(2));
        self.store.finish_read(read, received, self.now.clone(), INTERVAL).await.unwrap();
    }

    /// The reads that are to be taken in.
    pub(super) async fn open(&self) -> Vec<ReadId> {
        self.store.open_reads(ACCOUNT, self.now.clone()).await.unwrap()
    }

    /// Parses what there is of a read; it is decided later.
    pub(super) async fn prepare(&mut self, read: ReadId) {
        let Some(open) = self.store.open_read(read).await.unwrap() else { return };
        let source = Source::Read { id: read, answered: open.answered };
        let prepared = ingest::prepare(&open, account(), self.now.unix);
        self.prepared.push((read, source, prepared));
    }

    /// Decides one of those that are prepared.
    pub(super) async fn decide(&mut self, choice: usize) {
        if self.prepared.is_empty() {
            return;
        }
        let (read, source, prepared) = self.prepared.remove(choice % self.prepared.len());
        let verified = Verified::default();
        let held = self.asked[&read].held.clone();
        let before: Vec<usize> = held.keys().map(|text| self.count(*text)).collect();
        let verdict = self.take_in(source, prepared, &verified).await;
        self.learn().await;
        match verdict {
            _ if self.asked[&read].hour.is_some() => self.check_hour(read, verdict, &verified),
            Some(Verdict::Proven) => {
                for ((text, held), before) in held.into_iter().zip(before) {
                    // The same words in two proven reads are two replies, at once.
                    let disjoint = self.disjoint.entry(text).or_default();
                    *disjoint += held;
                    assert!(self.told[&text].len() >= *disjoint, "{text:?}: {disjoint} came");
                    self.excuse_pairing(text, held - (self.count(text) - before));
                }
            }
            _ => {}
        }
    }

    /// Proven plain copies made no reply, for as many were known: of which of them the number was
    /// told, counts cannot say, and a later read may tell the wrong ones of the others.
    fn excuse_pairing(&mut self, text: Text, copies: usize) {
        *self.loosely_paired.entry(text).or_default() += copies;
    }

    /// Takes in all that is open, as every heartbeat does.
    pub(super) async fn take_in_open(&mut self) {
        for read in self.open().await {
            self.prepare(read).await;
            self.decide(self.prepared.len() - 1).await;
        }
        for (row, record) in self.store.waiting_due(ACCOUNT, self.now.unix).await.unwrap() {
            let prepared = ingest::release(&record, account());
            self.take_in(Source::Waiting(row), prepared, &Verified::default()).await;
            self.learn().await;
        }
    }

    async fn take_in(
        &self,
        source: Source,
        prepared: Prepared,
        verified: &Verified,
    ) -> Option<Verdict> {
        let (questions, verified) = (prepared.questions(), Arc::clone(verified));
        let decide = move |known| {
            let outcome = prepared.decide(&known);
            for change in &outcome.hours {
                if let HourChange::Set(row) = change
                    && row.state == HourState::Verified
                {
                    verified.lock().unwrap().push(row.hour);
                }
            }
            outcome
        };
        let ingested = self.store.take_in(source, questions, decide, self.now.clone()).await;
        ingested.unwrap().map(|ingested| ingested.verdict)
    }

    /// The owed hour whose turn it is now, if there is one, and whether any will be.
    pub(super) async fn owed(&self) -> (Option<Hour>, bool) {
        let view = self.store.view(ACCOUNT, ReadMode::Plain, self.now.clone()).await.unwrap();
        (view.owed, view.next_owed.is_some())
    }

    /// A proven read of an hour showed all that it held; it verified it only if that is all.
    fn check_hour(&self, read: ReadId, verdict: Option<Verdict>, verified: &Verified) {
        let asked = &self.asked[&read];
        for (text, held) in &asked.held {
            let told = self.count(*text);
            assert!(
                verdict != Some(Verdict::Proven) || told >= *held,
                "{text:?}: {told} told of {held}"
            );
        }
        for hour in verified.lock().unwrap().iter() {
            assert_eq!(Some(*hour), asked.hour);
            assert!(asked.begun.unix >= hour.end().after(SETTLED), "{hour} verified too early");
            for (text, told) in self.told.iter().filter(|(text, _)| text.1.hour() == *hour) {
                assert_eq!(asked.held.get(text), Some(&told.len()), "{hour} verified, {text:?}");
            }
        }
    }

    /// Reads what subscribers are told, and compares it with the truth.
    async fn learn(&mut self) {
        let lease_end = self.now.unix.after(Duration::from_hours(24 * 365));
        let claims = self.store.claim("crm", self.now.unix, lease_end, 1_000).await.unwrap();
        for claim in claims {
            let event: serde_json::Value = serde_json::from_slice(&claim.body).unwrap();
            if event["type"] != "reply.received" {
                continue;
            }
            let data = &event["data"];
            assert_eq!(data["id"], claim.event_id);
            let text = text_of(data);
            let told = self.told.entry(text).or_default();
            assert_eq!(data["occurrence"], told.len() + 1, "{text:?}: the number is not the next");
            let gateway = data["gateway"].as_str().unwrap().to_owned();
            told.push(gateway);
            assert!(self.ids.insert(claim.event_id), "{text:?}: an id that was told before");
            let (told, true_count) = (told.len(), self.truth.count(text));
            assert!(told <= true_count, "{text:?}: {told} told of {true_count}");
            self.check_gateways(text);
        }
        let kept = self.store.figures().await.unwrap().replies;
        assert_eq!(kept, self.ids.len() as u64, "what is kept is told once, and stays");
    }

    /// Each told gateway number is that of a real copy of its own, or excused.
    fn check_gateways(&self, text: Text) {
        let real = self.truth.gateways(text);
        let mut left = real.clone();
        let mut cut = self.cut_numbers.get(&text).cloned().unwrap_or_default();
        let mut loose = self.loosely_paired.get(&text).copied().unwrap_or_default();
        for told in &self.told[&text] {
            if let Some(place) = left.iter().position(|number| *number == *told) {
                left.swap_remove(place);
            } else if let Some(place) = cut.iter().position(|number| *number == *told) {
                cut.swap_remove(place);
            } else if loose > 0 && real.contains(&told.as_str()) {
                loose -= 1;
            } else {
                let told = &self.told[&text];
                panic!("{text:?}: the gateway numbers {told:?} are not of {real:?}");
            }
        }
    }

    /// All that ever arrived was told, and under ids that an empty store would give it too.
    pub(super) async fn check_complete(&mut self) {
        for (text, copies) in self.truth.all() {
            assert_eq!(self.count(text), copies, "{text:?}");
        }
        let ids = std::mem::take(&mut self.ids);
        self.told.clear();
        self.restart();
        self.store = new_store(&self.now).await;
        let hours: BTreeSet<Hour> = self.truth.all().keys().map(|text| text.1.hour()).collect();
        for hour in hours {
            let answer = self.truth.hour(hour, false);
            self.read_whole(Some(hour), &answer).await;
        }
        assert_eq!(self.ids, ids, "read again into an empty store");
    }

    /// A read to which nothing happens.
    pub(super) async fn read_whole(&mut self, hour: Option<Hour>, answer: &Answer) {
        let read = self.ask(hour).await;
        self.answered(read, answer);
        if hour.is_none() {
            self.truth.empty_box();
        }
        self.send(read, Ending::Announced, answer.body.clone());
        self.store_one(usize::MAX).await;
        self.take_in_open().await;
    }
}

async fn new_store(now: &Moment) -> Store {
    let store = Store::in_memory().unwrap();
    let account = AccountSpec {
        name: ACCOUNT.to_owned(),
        settings: settings(),
        configured_key: None,
        derived_key: key(),
        login: key(),
        mailbox: key(),
    };
    let subscriber =
        SubscriberSpec { name: "crm".to_owned(), route: Route::default(), enabled: true };
    store.put_configuration(vec![account], vec![subscriber], now.clone()).await.unwrap();
    store
}

fn account() -> Account {
    Account { name: ACCOUNT.to_owned(), settings: settings(), key: key() }
}

/// Which of the gateway's texts an event tells of.
fn text_of(data: &serde_json::Value) -> Text {
    let is_told =
        |(mobile, content): &(&str, &str)| data["from"] == *mobile && data["content"] == *content;
    let place = TEXTS.iter().position(is_told).unwrap_or_else(|| panic!("nobody wrote {data}"));
    let replied_at = data["replied_at"].as_str().unwrap().replace('T', " ");
    (place, replied_at.trim_end_matches("+08:00").parse().unwrap())
}

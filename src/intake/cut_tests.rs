//! An answer of forty records, cut at every byte: what is kept in the end is each record once,
//! with its own text and gateway number.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::Moment;
use crate::gateway::charset::Charset;
use crate::gateway::client::{Ending, Received};
use crate::intake::ingest::{self, Account};
use crate::reply::IdKey;
use crate::store::Store;
use crate::store::read::{AccountSettings, AccountSpec, Begin, ReadRequest, Source};
use crate::time::{BeijingTime, Hour};

#[path = "../../tests/it/forty.rs"]
mod forty;

const INTERVAL: Duration = Duration::from_mins(10);
/// Accounts in one store, each of which sees another cut.
const ACCOUNTS: usize = 200;

/// Bytes from cut to cut where it comes again: no record is shorter, and after a while each of its
/// bytes is met.
const AGAIN_STRIDE: usize = 7;

/// What is kept of a record: number, text, time, gateway number.
type Kept = (String, String, BeijingTime, String);

struct Desk {
    store: Store,
    now: Moment,
}

fn settings() -> AccountSettings {
    AccountSettings {
        number: None,
        min_interval: INTERVAL,
        recover: Duration::from_hours(1),
        schedule: "0 */10 * * * *".to_owned(),
    }
}

fn first() -> BeijingTime {
    "2026-11-22 10:20:00".parse().unwrap()
}

fn key() -> IdKey {
    IdKey::from_secret(b"a key")
}

impl Desk {
    async fn open(accounts: usize) -> Self {
        let store = Store::in_memory().unwrap();
        let now = Moment {
            unix: first().unix_ms().after(Duration::from_mins(2)),
            boot_ms: 0,
            boot: Arc::from("a"),
        };
        let spec = |number: usize| AccountSpec {
            name: number.to_string(),
            settings: settings(),
            configured_key: None,
            derived_key: key(),
            login: key(),
            mailbox: IdKey::from_secret(number.to_string().as_bytes()),
        };
        let accounts = (0..accounts).map(spec).collect();
        store.put_configuration(accounts, Vec::new(), now.clone()).await.unwrap();
        Self { store, now }
    }

    /// Reads and takes in; the replies that are new.
    async fn read(
        &mut self,
        account: usize,
        hour: Option<Hour>,
        ending: Ending,
        body: &[u8],
    ) -> Vec<Kept> {
        self.now = self.now.after(INTERVAL);
        let request = ReadRequest {
            account: account.to_string(),
            hour,
            charset: Charset::Gbk,
            timeout: Duration::ZERO,
            min_interval: INTERVAL,
            room: 0,
        };
        let Begin::Begun(id) = self.store.begin_read(request, self.now.clone()).await.unwrap()
        else {
            panic!("the slot is taken");
        };
        let received =
            Received { http_status: Some(200), ending, body: body.to_vec(), error: None };
        self.store.finish_read(id, received, self.now.clone(), INTERVAL).await.unwrap();
        let open = self.store.open_read(id).await.unwrap().unwrap();
        let account = Account { name: account.to_string(), settings: settings(), key: key() };
        let prepared = ingest::prepare(&open, account, self.now.unix);
        self.take_in(Source::Read { id, answered: true }, prepared).await
    }

    /// Keeps the records that waited long enough as they are; the replies that are new.
    async fn release(&mut self, number: usize) -> Vec<Kept> {
        self.now = self.now.after(INTERVAL * 2);
        let name = number.to_string();
        let mut new = Vec::new();
        for (row, record) in self.store.waiting_due(&name, self.now.unix).await.unwrap() {
            let account = Account { name: name.clone(), settings: settings(), key: key() };
            let prepared = ingest::release(&record, account);
            new.extend(self.take_in(Source::Waiting(row), prepared).await);
        }
        new
    }

    async fn take_in(&self, source: Source, prepared: ingest::Prepared) -> Vec<Kept> {
        let questions = prepared.questions();
        let new = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&new);
        let decide = move |known| {
            let outcome = prepared.decide(&known);
            let kept = outcome.replies.iter().map(|new| {
                let reply = &new.reply;
                let mobile = reply.mobile.as_str().to_owned();
                (mobile, reply.content.clone(), reply.replied_at, reply.gateway.clone())
            });
            told.lock().unwrap().extend(kept);
            outcome
        };
        let taken = self.store.take_in(source, questions, decide, self.now.clone()).await.unwrap();
        let new = std::mem::take(&mut *new.lock().unwrap());
        assert_eq!(taken.unwrap().new, new.len());
        new
    }
}

fn replied_at(record: &forty::Forty) -> BeijingTime {
    BeijingTime::from_unix_seconds(first().unix_seconds() + record.second)
}

/// The answer that holds all forty, and what is to be kept of it, sorted.
fn forty() -> (Vec<u8>, Vec<Kept>) {
    let (mut body, mut kept) = (b"100".to_vec(), Vec::new());
    for record in forty::records() {
        let (mobile, time) = (&record.mobile, replied_at(&record));
        body.extend_from_slice(format!("{{&}}{mobile}||").as_bytes());
        body.extend_from_slice(&record.content);
        body.extend_from_slice(format!("||{time}||{}", record.gateway).as_bytes());
        let text = Charset::Gbk.decode(&record.content).text;
        kept.push((record.mobile_kept, text, time, record.gateway.to_owned()));
    }
    kept.sort();
    (body, kept)
}

/// Cuts the answer at every byte that a stride leads to, reads on as `then` does, and compares
/// what was kept.
async fn check(
    ending: Ending,
    stride: usize,
    then: impl AsyncFn(&mut Desk, usize, &[u8]) -> Vec<Kept>,
) {
    let (body, expected) = forty();
    assert_eq!(expected.len(), 40);
    let mut desk = Desk::open(ACCOUNTS).await;
    for (number, cut) in (0..=body.len()).step_by(stride).enumerate() {
        let account = number % ACCOUNTS;
        if account == 0 {
            desk = Desk::open(ACCOUNTS).await;
        }
        let mut kept = desk.read(account, None, ending, &body[..cut]).await;
        kept.extend(then(&mut desk, account, &body).await);
        kept.sort();
        assert_eq!(kept, expected, "cut behind byte {cut}, {ending:?}");
    }
}

#[tokio::test]
async fn an_answer_cut_at_any_byte_comes_back_whole_with_its_hour() {
    for ending in [Ending::Cut, Ending::Connection] {
        check(ending, 1, async |desk, account, body| {
            desk.read(account, Some(first().hour()), Ending::Announced, body).await
        })
        .await;
    }
}

#[tokio::test]
async fn a_cut_answer_that_comes_again_is_not_doubled() {
    check(Ending::Cut, AGAIN_STRIDE, async |desk, account, body| {
        let mut kept = desk.read(account, None, Ending::Announced, body).await;
        kept.extend(desk.read(account, Some(first().hour()), Ending::Announced, body).await);
        kept.extend(desk.release(account).await);
        kept
    })
    .await;
}

//! The gateway's books: accounts, the replies that arrived, the boxes from which they are handed
//! out, and what was sent. Pure: the time is an argument, and what happens to an answer on its
//! way is told by [`Ledger::end_read`].
//!
//! This file does not know HTTP, nor how a request is written.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::habits::{Consume, Habits, TimeMarks, TooEarly};
use super::records::{
    AnsweredBy, Asked, BegunRead, Ending, LedgerReply, Login, Message, NewAccount, NewReply, Read,
    ReadRequest, Sent, Ticket,
};
use crate::gateway::charset::Charset;
use crate::gateway::status::Status;
use crate::time::UnixMs;

/// Requests and sent messages that are remembered: enough for months of reads, and bounded.
const RECORDS_MAX: usize = 100_000;
const OUT_OF_CREDIT: Status = Status(102);

struct Account {
    pwd: String,
    number: String,
    balance: u32,
    sent: u64,
    /// What every call is answered while it is set.
    status: Option<Status>,
    /// The numbers of the replies that a plain read has still to hand out: the box.
    waiting: BTreeSet<usize>,
    /// Those in the box that a whole answer held: the next plain read drops them.
    handed: BTreeSet<usize>,
    /// When the last read ended, or began while it has not.
    last_read: Option<UnixMs>,
    /// The last whole answer to a plain read, and to a read by hour: what a cache repeats.
    cached: Vec<(Asked, Vec<u8>)>,
}

/// A read between its begin and its end.
struct OpenRead {
    uid: String,
    asked: Asked,
    numbers: Vec<usize>,
    /// Whether it was neither refused nor too early.
    admitted: bool,
    /// The gateway's own answer, which a cache may keep.
    answer: Option<Vec<u8>>,
}

/// Why a read is not answered with replies.
struct Refusal {
    status: Option<Status>,
    early: bool,
}

/// The books of a gateway.
pub struct Ledger {
    habits: Habits,
    accounts: BTreeMap<String, Account>,
    replies: Vec<LedgerReply>,
    open: BTreeMap<Ticket, OpenRead>,
    requests: VecDeque<ReadRequest>,
    /// The ticket of the first of `requests`.
    first_ticket: u64,
    early_reads: u64,
    sent: VecDeque<Sent>,
}

impl Ledger {
    /// Empty books.
    #[must_use]
    pub fn new(habits: Habits, accounts: Vec<NewAccount>) -> Self {
        Self {
            habits,
            accounts: accounts.into_iter().map(opened).collect(),
            replies: Vec::new(),
            open: BTreeMap::new(),
            requests: VecDeque::new(),
            first_ticket: 0,
            early_reads: 0,
            sent: VecDeque::new(),
        }
    }

    /// How this gateway behaves.
    #[must_use]
    pub fn habits(&self) -> Habits {
        self.habits
    }

    /// Puts a reply into the books and into the account's box; its number is its place in
    /// [`Ledger::replies`]. One for an account that does not exist is in no box.
    pub fn arrive(&mut self, uid: &str, reply: NewReply) -> usize {
        let number = self.replies.len();
        let NewReply { mobile, content, replied_at, gateway } = reply;
        let uid = uid.to_owned();
        if let Some(account) = self.accounts.get_mut(&uid) {
            account.waiting.insert(number);
        }
        self.replies.push(LedgerReply { uid, mobile, content, replied_at, gateway, handed_out: 0 });
        number
    }

    /// Every reply that ever arrived, in order.
    #[must_use]
    pub fn replies(&self) -> &[LedgerReply] {
        &self.replies
    }

    /// How many replies are in an account's box. By [`Consume::AtNextRead`] these include those
    /// of a whole answer that the next read will drop.
    #[must_use]
    pub fn waiting(&self, uid: &str) -> usize {
        self.accounts.get(uid).map_or(0, |account| account.waiting.len())
    }

    /// The numbers of the replies that the next plain read would hand out.
    #[cfg(test)]
    pub(crate) fn in_box(&self, uid: &str) -> Vec<usize> {
        let waiting = |account: &Account| {
            account.waiting.difference(&account.handed).copied().collect::<Vec<_>>()
        };
        self.accounts.get(uid).map(waiting).unwrap_or_default()
    }

    /// The number that an account sends from.
    #[must_use]
    pub fn number(&self, uid: &str) -> Option<&str> {
        self.accounts.get(uid).map(|account| account.number.as_str())
    }

    /// Reads that came too early, over all accounts.
    #[must_use]
    pub fn early_reads(&self) -> u64 {
        self.early_reads
    }

    /// The last requests to `/rx`, oldest first: 100,000 at most.
    pub fn requests(&self) -> impl Iterator<Item = &ReadRequest> {
        self.requests.iter()
    }

    /// The last messages sent, oldest first: 100,000 at most.
    pub fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter()
    }

    /// Answers every call of an account with a code, or no longer.
    pub fn set_status(&mut self, uid: &str, status: Option<Status>) {
        if let Some(account) = self.accounts.get_mut(uid) {
            account.status = status;
        }
    }

    /// Checks a login.
    ///
    /// # Errors
    /// The code to answer when the login is wrong, or when the account has a status set.
    pub fn admit(&self, login: Login<'_>) -> Result<(), Status> {
        let known = self.accounts.get(login.uid).filter(|account| account.pwd == login.pwd);
        known.ok_or(Status::LOGIN_FAILED)?.status.map_or(Ok(()), Err)
    }

    /// Begins a read: judges it and, where the gateway answers, makes up the answer. What it
    /// hands out leaves the box when the habits say so.
    ///
    /// The interval counts from every read that logged in, named an hour that is one, and was
    /// not itself too early, however its answer went and whoever gave it.
    pub fn begin_read(&mut self, read: &Read<'_>, now: UnixMs) -> BegunRead {
        let uid = read.login.uid;
        let judged = self.judge(read, now);
        let admitted = judged.is_ok();
        let numbers = match (&judged, read.by) {
            (Ok(()), AnsweredBy::Gateway) => self.hand_out(uid, read.asked),
            _ => Vec::new(),
        };
        let refusal = judged.err();
        let early = refusal.as_ref().is_some_and(|refusal| refusal.early);
        let status = match (read.by, refusal) {
            (AnsweredBy::Elsewhere(status), _) => status,
            (AnsweredBy::Gateway, Some(refusal)) => refusal.status,
            (AnsweredBy::Gateway, None) => (!numbers.is_empty()).then_some(Status::OK),
        };
        let body = match read.by {
            AnsweredBy::Gateway => self.body(status, &numbers, read.charset),
            AnsweredBy::Elsewhere(_) => Vec::new(),
        };
        if let Some(account) = self.accounts.get_mut(uid).filter(|_| admitted) {
            account.last_read = Some(now);
        }
        self.early_reads += u64::from(early);
        let (uid, asked, handed_out) = (uid.to_owned(), read.asked, numbers.len());
        let ticket = self.remember(ReadRequest {
            at: now,
            uid: uid.clone(),
            asked,
            early,
            handed_out,
            status,
            ending: Ending::Open,
        });
        let answer = (read.by == AnsweredBy::Gateway).then(|| body.clone());
        self.open.insert(ticket, OpenRead { uid, asked, numbers, admitted, answer });
        BegunRead { ticket, body }
    }

    /// Ends a read: `at` is the moment before its last byte was written, so that no client can
    /// think it over sooner than the gateway does. Gives the request as it now stands in the
    /// books; `None` when it had ended before.
    pub fn end_read(&mut self, ticket: Ticket, ending: Ending, at: UnixMs) -> Option<ReadRequest> {
        let open = self.open.remove(&ticket)?;
        if let Some(account) = self.accounts.get_mut(&open.uid).filter(|_| open.admitted) {
            account.last_read = account.last_read.max(Some(at));
        }
        if ending == Ending::Whole && open.admitted {
            self.went_out_whole(open);
        }
        let place = usize::try_from(ticket.0.checked_sub(self.first_ticket)?).ok()?;
        let request = self.requests.get_mut(place)?;
        request.ending = ending;
        Some(request.clone())
    }

    /// What a cache before the gateway would answer: the last whole answer to the same question.
    #[must_use]
    pub fn cached(&self, login: Login<'_>, asked: Asked) -> Option<Vec<u8>> {
        self.admit(login).ok()?;
        let cached = &self.accounts.get(login.uid)?.cached;
        cached.iter().find(|(question, _)| *question == asked).map(|(_, body)| body.clone())
    }

    /// Sends a message to each of its numbers, or to none.
    ///
    /// # Errors
    /// The code to answer when the account may not, or has not the credit for all of them.
    pub fn send(
        &mut self,
        login: Login<'_>,
        message: Message,
        now: UnixMs,
    ) -> Result<Sent, Status> {
        self.admit(login)?;
        let account = self.accounts.get_mut(login.uid).ok_or(Status::LOGIN_FAILED)?;
        let count = u32::try_from(message.mobiles.len()).map_err(|_| Status::TOO_MANY_NUMBERS)?;
        account.balance = account.balance.checked_sub(count).ok_or(OUT_OF_CREDIT)?;
        account.sent += u64::from(count);
        let sent = Sent { uid: login.uid.to_owned(), at: now, message };
        push_bounded(&mut self.sent, sent.clone());
        Ok(sent)
    }

    /// Messages left.
    #[must_use]
    pub fn balance(&self, uid: &str) -> u32 {
        self.accounts.get(uid).map_or(0, |account| account.balance)
    }

    /// Messages sent in all.
    #[must_use]
    pub fn sent_count(&self, uid: &str) -> u64 {
        self.accounts.get(uid).map_or(0, |account| account.sent)
    }

    fn judge(&self, read: &Read<'_>, now: UnixMs) -> Result<(), Refusal> {
        let refused = |status| Refusal { status: Some(status), early: false };
        self.admit(read.login).map_err(refused)?;
        if read.asked == Asked::BadHour {
            return Err(refused(Status::OPERATION_FAILED));
        }
        let last = self.accounts.get(read.login.uid).and_then(|account| account.last_read);
        if last.is_none_or(|last| now.since(last) >= self.habits.min_interval) {
            return Ok(());
        }
        let status = match self.habits.too_early {
            TooEarly::TooFrequent => Some(Status::TOO_FREQUENT),
            TooEarly::OperationFailed => Some(Status::OPERATION_FAILED),
            TooEarly::Empty => None,
        };
        Err(Refusal { status, early: true })
    }

    /// The numbers of the replies that answer a question.
    fn hand_out(&mut self, uid: &str, asked: Asked) -> Vec<usize> {
        let Some(account) = self.accounts.get_mut(uid) else { return Vec::new() };
        let numbers: Vec<usize> = match asked {
            Asked::Plain => {
                let handed = std::mem::take(&mut account.handed);
                account.waiting.retain(|number| !handed.contains(number));
                account.waiting.iter().copied().collect()
            }
            Asked::Hour(hour) => {
                let of_hour =
                    |reply: &LedgerReply| reply.uid == uid && reply.replied_at.hour() == hour;
                let replies = self.replies.iter().enumerate();
                replies.filter(|(_, reply)| of_hour(reply)).map(|(number, _)| number).collect()
            }
            Asked::BadHour => Vec::new(),
        };
        if self.habits.consume == Consume::AtRequest && marks_read(self.habits, asked) {
            leave(&mut account.waiting, &numbers);
        }
        numbers
    }

    fn went_out_whole(&mut self, read: OpenRead) {
        let Some(account) = self.accounts.get_mut(&read.uid) else { return };
        for number in &read.numbers {
            if let Some(reply) =
                self.replies.get_mut(*number).filter(|_| read.asked == Asked::Plain)
            {
                reply.handed_out += 1;
            }
        }
        if marks_read(self.habits, read.asked) {
            match self.habits.consume {
                Consume::AtRequest => {}
                Consume::AtLastByte => leave(&mut account.waiting, &read.numbers),
                Consume::AtNextRead => account.handed.extend(&read.numbers),
            }
        }
        if let Some(answer) = read.answer {
            let is_plain = read.asked == Asked::Plain;
            account.cached.retain(|(asked, _)| (*asked == Asked::Plain) != is_plain);
            account.cached.push((read.asked, answer));
        }
    }

    /// The answer as the document writes it: nothing where there is neither a code nor a reply.
    fn body(&self, status: Option<Status>, numbers: &[usize], charset: Charset) -> Vec<u8> {
        let mut body = status.map(|status| status.0.to_string().into_bytes()).unwrap_or_default();
        for reply in numbers.iter().filter_map(|number| self.replies.get(*number)) {
            let replied_at = reply.replied_at.to_string();
            let content = in_charset(&reply.content, charset);
            body.extend_from_slice(b"{&}");
            let fields = [
                reply.mobile.as_bytes(),
                &content,
                replied_at.as_bytes(),
                reply.gateway.as_bytes(),
            ];
            body.extend_from_slice(&fields.join(&b"||"[..]));
        }
        body
    }

    fn remember(&mut self, request: ReadRequest) -> Ticket {
        self.first_ticket += u64::from(push_bounded(&mut self.requests, request));
        let count = u64::try_from(self.requests.len()).unwrap_or(u64::MAX);
        Ticket(self.first_ticket + count - 1)
    }
}

fn opened(account: NewAccount) -> (String, Account) {
    let NewAccount { uid, pwd, number, balance } = account;
    let account = Account {
        pwd,
        number,
        balance,
        sent: 0,
        status: None,
        waiting: BTreeSet::new(),
        handed: BTreeSet::new(),
        last_read: None,
        cached: Vec::new(),
    };
    (uid, account)
}

/// Whether an answer to this takes its replies out of the box.
fn marks_read(habits: Habits, asked: Asked) -> bool {
    asked == Asked::Plain || habits.time_marks == TimeMarks::Read
}

/// Takes replies out of a box.
fn leave(waiting: &mut BTreeSet<usize>, numbers: &[usize]) {
    for number in numbers {
        waiting.remove(number);
    }
}

/// A content as an answer of that charset gives it. Bytes that are no characters stay as they
/// are in GBK; a host that converts them can only put U+FFFD in their place.
fn in_charset(content: &[u8], charset: Charset) -> Vec<u8> {
    match charset {
        Charset::Gbk => content.to_vec(),
        Charset::Utf8 => Charset::Gbk.decode(content).text.into_bytes(),
    }
}

/// Adds to the end; whether the first had to go for it.
fn push_bounded<T>(list: &mut VecDeque<T>, item: T) -> bool {
    let full = list.len() >= RECORDS_MAX;
    if full {
        list.pop_front();
    }
    list.push_back(item);
    full
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;

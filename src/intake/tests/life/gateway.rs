//! The gateway: the simulator's books in virtual time, and which read took which reply out of
//! the box.

use std::collections::HashMap;

use super::customers::{Written, as_answered};
use super::dice::Dice;
use super::fate::Fate;
use super::line::{self, Mishap, Passage};
use crate::gateway::charset::Charset;
use crate::gateway::client::{self, Received};
use crate::gateway::simulator::ledger::Ledger;
use crate::gateway::simulator::{AnsweredBy, Asked, BegunRead, Login, NewAccount, Read, Ticket};
use crate::gateway::status::Status;
use crate::store::read::ReadId;
use crate::time::{Hour, UnixMs};

pub(super) const UID: &str = "9999";
const PWD: &str = "fa246d0262c3925617b0c72bb20eeb1d";
const LOGIN: Login<'_> = Login { uid: UID, pwd: PWD };

pub(super) struct Gateway {
    ledger: Ledger,
    charset: Charset,
    /// How many of the writings have arrived: their places are their numbers in the books.
    pub(super) arrived: usize,
    /// The read that took each of them out of the box.
    pub(super) taken_by: Vec<Option<ReadId>>,
    /// What a cache before the gateway keeps: the last answer to a plain read, and to one by hour,
    /// that went out whole and that the reader has. One that it never had it could only take for
    /// new: that hides what came since, until the hours are reconciled.
    cached: Vec<(Asked, Vec<u8>)>,
    /// The last answer to a read of each hour that broke.
    broken: HashMap<Hour, Vec<u8>>,
    /// Those that are out of the box since this was last looked at.
    pub(super) newly_out: Vec<usize>,
}

/// A request that is being answered.
pub(super) struct Flight {
    pub(super) read: ReadId,
    ticket: Option<Ticket>,
    /// The gateway's whole answer, if it gave any.
    pub(super) asked: Asked,
    pub(super) whole: Option<Vec<u8>>,
    pub(super) mishap: Option<Mishap>,
    pub(super) passage: Passage,
    /// When its last byte comes, or the client gives up.
    pub(super) ends: i64,
}

impl Flight {
    /// Only silence lasts until the client gives up.
    pub(super) fn give_up(&mut self, at: i64) {
        if self.ends > at {
            self.ends = at;
            self.passage.received.ending = client::Ending::TimedOut;
        }
    }
}

impl Gateway {
    pub(super) fn of(fate: &Fate) -> Self {
        Self {
            ledger: Ledger::new(fate.habits, vec![NewAccount::example()]),
            charset: fate.charset,
            arrived: 0,
            taken_by: Vec::new(),
            cached: Vec::new(),
            broken: HashMap::new(),
            newly_out: Vec::new(),
        }
    }

    /// Lets arrive what arrives until now.
    pub(super) fn arrive(&mut self, written: &Written, now: i64) {
        while let Some(next) = written.writings.get(self.arrived).filter(|next| next.at <= now) {
            self.ledger.arrive(UID, next.reply.clone());
            self.taken_by.push(None);
            self.arrived += 1;
        }
    }

    pub(super) fn set_status(&mut self, code: Option<u16>) {
        self.ledger.set_status(UID, code.map(Status));
    }

    /// What `/mm` is answered.
    pub(super) fn figures(&self, dice: &mut Dice, trouble: bool) -> Received {
        let whole = match self.ledger.admit(LOGIN) {
            Ok(()) => b"100||22348".to_vec(),
            Err(status) => line::code(status),
        };
        let (ending, body) = match dice.below(if trouble { 4 } else { 1 }) {
            0 => (client::Ending::Announced, whole),
            1 => (client::Ending::Connection, whole),
            2 => (client::Ending::Unanswered, Vec::new()),
            _ => (client::Ending::Announced, b"<html>404</html>".to_vec()),
        };
        Received { http_status: Some(200), ending, body, error: None }
    }

    pub(super) fn early_reads(&self) -> u64 {
        self.ledger.early_reads()
    }

    pub(super) fn box_is_empty(&self) -> bool {
        self.ledger.in_box(UID).is_empty()
    }

    /// A request arrives and is answered.
    pub(super) fn answer(
        &mut self,
        fate: &Fate,
        dice: &mut Dice,
        (read, hour): (ReadId, Option<Hour>),
        now: i64,
    ) -> Flight {
        let mut mishap = dice.chance(fate.rates(now).mishap).then(|| Mishap::drawn(dice));
        let asked = hour.map_or(Asked::Plain, Asked::Hour);
        let repeated = match mishap {
            Some(Mishap::Repeat) => self.repeated(asked),
            _ => None,
        };
        if matches!(mishap, Some(Mishap::NotReached)) {
            let passage = line::pass(fate, dice, 200, Vec::new(), mishap.as_ref());
            return Flight {
                read,
                ticket: None,
                asked,
                whole: None,
                mishap,
                ends: now + passage.lasts,
                passage,
            };
        }
        let by = match (&mishap, &repeated) {
            (Some(Mishap::Status(code)), _) => AnsweredBy::Elsewhere(Some(Status(*code))),
            (Some(Mishap::Elsewhere(_)), _) | (_, Some(_)) => AnsweredBy::Elsewhere(None),
            _ => AnsweredBy::Gateway,
        };
        let request = Read { login: LOGIN, asked, charset: self.charset, by };
        let BegunRead { ticket, body } = self.ledger.begin_read(&request, UnixMs(now));
        self.look(read);
        let (http_status, body) = match (&mishap, repeated) {
            (_, Some(cached)) => (200, cached),
            (Some(Mishap::Status(code)), _) => (200, line::code(Status(*code))),
            (Some(Mishap::Elsewhere(rubbish) | Mishap::Instead(rubbish)), _) => {
                (rubbish.0, rubbish.1.to_vec())
            }
            (Some(Mishap::Shuffled), _) => (200, self.shuffled(dice, &body)),
            (Some(Mishap::Newline), _) => (200, [&body, &b"\r\n"[..]].concat()),
            (Some(Mishap::Mark), _) => (200, [&b"\xef\xbb\xbf"[..], &body].concat()),
            _ => (200, body),
        };
        if body.is_empty() && matches!(mishap, Some(Mishap::Cut(_))) {
            mishap = Some(Mishap::Unanswered);
        }
        let is_own = by == AnsweredBy::Gateway && !matches!(mishap, Some(Mishap::Instead(_)));
        let whole = is_own.then(|| body.clone());
        let length = body.len();
        let mut passage = line::pass(fate, dice, http_status, body, mishap.as_ref());
        if let Asked::Hour(hour) = asked
            && passage.received.body.len() < length
        {
            self.break_off(hour, &mut passage.received);
        }
        Flight {
            asked,
            whole,
            read,
            ticket: Some(ticket),
            mishap,
            ends: now + passage.lasts,
            passage,
        }
    }

    /// An answer to a read of an hour broke. Where nothing announces an end, one that breaks where the
    /// last one did looks like the truth in every byte, and no reader can tell: that, it must not.
    fn break_off(&mut self, hour: Hour, received: &mut Received) {
        let before = self.broken.insert(hour, received.body.clone());
        if before.is_some_and(|before| before == received.body) {
            received.ending = client::Ending::TimedOut;
        }
    }

    /// An answer has ended. Where the client is gone before, the gateway may have written it all.
    pub(super) fn end(&mut self, flight: &Flight, now: i64) {
        if let Some(ticket) = flight.ticket {
            // The last byte is written before it comes.
            let written = UnixMs(now.min(flight.ends - line::LATENCY_MIN));
            self.ledger.end_read(ticket, flight.passage.ending, written);
            self.look(flight.read);
        }
    }

    /// The reader has kept an answer: where that was whole, a cache may repeat it from now on.
    pub(super) fn kept(&mut self, asked: Asked, received: &Received, whole: Option<Vec<u8>>) {
        let whole = whole.filter(|whole| *whole == received.body);
        if let Some(whole) = whole {
            let is_plain = asked == Asked::Plain;
            self.cached.retain(|(asked, _)| (*asked == Asked::Plain) != is_plain);
            self.cached.push((asked, whole));
        }
    }

    /// Looks which replies have left the box.
    fn look(&mut self, read: ReadId) {
        let in_box = self.ledger.in_box(UID);
        for (number, taken_by) in self.taken_by.iter_mut().enumerate() {
            if taken_by.is_none() && in_box.binary_search(&number).is_err() {
                *taken_by = Some(read);
                self.newly_out.push(number);
            }
        }
    }

    /// What a cache may answer. That there is nothing new, which was true before, it must not
    /// say of a box that has something since, nor an old hour's answer of an hour that has more:
    /// such a lie looks like the truth in every byte, and no reader can tell.
    fn repeated(&self, asked: Asked) -> Option<Vec<u8>> {
        self.ledger.admit(LOGIN).ok()?;
        let cached = self.cached.iter().find(|(question, _)| *question == asked)?.1.clone();
        let lies = match asked {
            Asked::Hour(hour) => cached != self.hour(hour),
            _ => !cached.starts_with(b"100") && !self.box_is_empty(),
        };
        (!lies).then_some(cached)
    }

    /// The true answer to a read of an hour.
    pub(super) fn hour(&self, hour: Hour) -> Vec<u8> {
        let of_hour = |number: &usize| self.ledger.replies()[*number].replied_at.hour() == hour;
        let numbers: Vec<usize> = (0..self.arrived).filter(of_hour).collect();
        self.body(&numbers)
    }

    fn body(&self, numbers: &[usize]) -> Vec<u8> {
        let status = if numbers.is_empty() { Vec::new() } else { b"100".to_vec() };
        let records = numbers.iter().map(|number| self.record(*number));
        std::iter::once(status).chain(records).collect::<Vec<_>>().concat()
    }

    /// A reply as an answer holds it, behind its separator.
    fn record(&self, number: usize) -> Vec<u8> {
        let reply = &self.ledger.replies()[number];
        let (mobile, gateway) = (reply.mobile.as_bytes(), reply.gateway.as_bytes());
        let (time, content) =
            (reply.replied_at.to_string(), as_answered(&reply.content, self.charset));
        [&b"{&}"[..], mobile, b"||", &content, b"||", time.as_bytes(), b"||", gateway].concat()
    }

    /// A body with its records in another order.
    fn shuffled(&self, dice: &mut Dice, body: &[u8]) -> Vec<u8> {
        let Some(mut rest) = body.strip_prefix(b"100").filter(|rest| !rest.is_empty()) else {
            return body.to_vec();
        };
        let mut records = Vec::new();
        for number in 0..self.arrived {
            let record = self.record(number);
            match rest.strip_prefix(record.as_slice()) {
                Some(behind) if behind.is_empty() || behind.starts_with(b"{&}") => {
                    records.push(record);
                    rest = behind;
                }
                _ => {}
            }
        }
        assert!(rest.is_empty(), "an answer holds what is not in the books");
        dice.shuffle(&mut records);
        std::iter::once(b"100".to_vec()).chain(records).collect::<Vec<_>>().concat()
    }
}

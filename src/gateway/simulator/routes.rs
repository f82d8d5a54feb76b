//! From a request to what is written in answer to it. Pure but for the books that it keeps.

use std::collections::{BTreeMap, VecDeque};

use super::fault::{Chaos, Dice, Fault};
use super::ledger::Ledger;
use super::records::{AnsweredBy, Asked, Call, Login, Message, Read, Sent, Ticket};
use super::request::{Method, Request};
use super::script::{Answer, Script};
use crate::gateway::charset::Charset;
use crate::gateway::status::Status;
use crate::reply::Mobile;
use crate::time::{BeijingTime, UnixMs};

/// The most numbers that one call may name, by GET and by POST.
const NUMBERS_MAX_BY_GET: usize = 50;
const NUMBERS_MAX_BY_POST: usize = 2000;
const ILLEGAL_CHARACTERS: Status = Status(104);

/// The gateway's books and what is to go wrong next.
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) faults: VecDeque<Fault>,
    /// Faults that wait for one account's requests; these come first.
    pub(super) faults_of: BTreeMap<String, VecDeque<Fault>>,
    dice: Option<Dice>,
}

/// What to do about a request.
pub(super) struct Exchange {
    pub(super) script: Script,
    /// The read that this is the answer to.
    pub(super) ticket: Option<Ticket>,
    /// What was sent by it.
    pub(super) sent: Option<Sent>,
    /// What it was, where it neither read nor sent.
    pub(super) call: Option<Call>,
}

impl State {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, faults: VecDeque::new(), faults_of: BTreeMap::new(), dice: None }
    }

    pub(super) fn set_chaos(&mut self, chaos: Option<Chaos>) {
        self.dice = chaos.map(Dice::new);
    }

    /// Does what a request asks and says how to answer.
    pub(super) fn exchange(&mut self, request: &Request, now: UnixMs) -> Exchange {
        match request.path() {
            "/rx" => self.rx(request, now),
            "/tx" => match self.tx(request, now) {
                Ok(sent) => Exchange { sent: Some(sent), ..says(code(Status::OK)) },
                Err(status) => called(says(code(status)), request, Some(status), now),
            },
            "/mm" => {
                let (status, body) = self.mm(request);
                called(says(body), request, Some(status), now)
            }
            _ => called(refuses(404), request, None, now),
        }
    }

    fn rx(&mut self, request: &Request, now: UnixMs) -> Exchange {
        let (login, asked) = (login(request), asked(request));
        let honoured = self.ledger.habits().honours_encode;
        let charset = if honoured { charset(request) } else { Charset::Gbk };
        let own = self.faults_of.get_mut(login.uid).and_then(VecDeque::pop_front);
        let fault = own.or_else(|| self.faults.pop_front());
        let instead = fault.as_ref().and_then(|fault| self.instead(fault, request, charset));
        let by = match (&instead, &fault) {
            (None, _) => AnsweredBy::Gateway,
            (Some(_), Some(Fault::Status(status))) => AnsweredBy::Elsewhere(Some(*status)),
            (Some(_), _) => AnsweredBy::Elsewhere(None),
        };
        let begun = self.ledger.begin_read(&Read { login, asked, charset, by }, now);
        let answer = instead.unwrap_or_else(|| text(begun.body, charset));
        let fault = fault.or_else(|| self.dice.as_mut()?.fault(answer.body.len()));
        let script = Script::new(&answer, fault.as_ref());
        Exchange { script, ticket: Some(begun.ticket), sent: None, call: None }
    }

    /// What is answered in place of the gateway's answer, where the fault is such.
    fn instead(&self, fault: &Fault, request: &Request, charset: Charset) -> Option<Answer> {
        match fault {
            Fault::Answer { http_status, content_type, body } => Some(Answer {
                http_status: *http_status,
                content_type: content_type.clone(),
                location: (300..400).contains(http_status).then(|| request.target.clone()),
                body: body.clone(),
            }),
            Fault::Status(status) => Some(text(code(*status), Charset::Gbk)),
            Fault::Repeat => {
                let cached = self.ledger.cached(login(request), asked(request));
                cached.map(|body| text(body, charset))
            }
            _ => None,
        }
    }

    fn tx(&mut self, request: &Request, now: UnixMs) -> Result<Sent, Status> {
        let login = login(request);
        self.ledger.admit(login)?;
        self.ledger.send(login, message(request)?, now)
    }

    fn mm(&self, request: &Request) -> (Status, Vec<u8>) {
        let login = login(request);
        let figure = match self.ledger.admit(login) {
            Err(status) => return (status, code(status)),
            Ok(()) if request.text("cmd") == Some("send") => self.ledger.sent_count(login.uid),
            Ok(()) => u64::from(self.ledger.balance(login.uid)),
        };
        (Status::OK, format!("100||{figure}").into_bytes())
    }
}

/// The answer to a request that neither read nor sent.
fn called(exchange: Exchange, request: &Request, status: Option<Status>, now: UnixMs) -> Exchange {
    let call = Call {
        at: now,
        path: request.path().to_owned(),
        uid: login(request).uid.to_owned(),
        status,
        http_status: if status.is_some() { 200 } else { 404 },
    };
    Exchange { call: Some(call), ..exchange }
}

/// An answer that is an HTTP status and nothing else.
pub(super) fn refuses(http_status: u16) -> Exchange {
    let answer = Answer { http_status, ..text(Vec::new(), Charset::Gbk) };
    Exchange { script: Script::new(&answer, None), ticket: None, sent: None, call: None }
}

fn says(body: Vec<u8>) -> Exchange {
    let script = Script::new(&text(body, Charset::Gbk), None);
    Exchange { script, ticket: None, sent: None, call: None }
}

fn text(body: Vec<u8>, charset: Charset) -> Answer {
    let name = match charset {
        Charset::Gbk => "gbk",
        Charset::Utf8 => "utf-8",
    };
    let content_type = format!("text/plain; charset={name}");
    Answer { http_status: 200, content_type, location: None, body }
}

fn code(status: Status) -> Vec<u8> {
    status.0.to_string().into_bytes()
}

fn login(request: &Request) -> Login<'_> {
    let field = |name| request.text(name).unwrap_or_default();
    Login { uid: field("uid"), pwd: field("pwd") }
}

fn asked(request: &Request) -> Asked {
    match request.text("time").map(str::parse) {
        None => Asked::Plain,
        Some(Ok(hour)) => Asked::Hour(hour),
        Some(Err(_)) => Asked::BadHour,
    }
}

fn charset(request: &Request) -> Charset {
    if request.text("encode") == Some("utf8") { Charset::Utf8 } else { Charset::Gbk }
}

/// Reads what is to be sent, or says with which code it is refused.
fn message(request: &Request) -> Result<Message, Status> {
    let mobiles = request.text("mobile").unwrap_or_default();
    let content = request.bytes("content").unwrap_or_default();
    if mobiles.is_empty() || content.is_empty() {
        return Err(Status::EMPTY);
    }
    let numbers_max = match request.method {
        Method::Get => NUMBERS_MAX_BY_GET,
        Method::Post => NUMBERS_MAX_BY_POST,
    };
    let mobiles: Vec<String> = mobiles.split(',').map(str::to_owned).collect();
    if mobiles.len() > numbers_max {
        return Err(Status::TOO_MANY_NUMBERS);
    }
    if mobiles.iter().any(|mobile| Mobile::parse(mobile).is_none()) {
        return Err(Status::WRONG_NUMBER);
    }
    let content = charset(request).decode(content);
    if content.lossy {
        return Err(ILLEGAL_CHARACTERS);
    }
    let mid = request.text("mid").map(str::to_owned);
    Ok(Message { mobiles, content: content.text, send_at: send_at(request)?, mid })
}

fn send_at(request: &Request) -> Result<Option<BeijingTime>, Status> {
    let Some(minute) = request.text("time") else { return Ok(None) };
    let second = format!("{minute}:00");
    second.parse().map(Some).map_err(|_| Status::WRONG_SCHEDULE)
}

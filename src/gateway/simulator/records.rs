//! What stands in the gateway's books, and what is asked of them.

use std::fmt;

use encoding_rs::GB18030;
use md5::{Digest, Md5};

use crate::gateway::charset::Charset;
use crate::gateway::status::Status;
use crate::time::{BeijingTime, Hour, UnixMs};

/// An account as the gateway's operator opens it.
#[derive(Clone)]
pub struct NewAccount {
    /// The login's name.
    pub uid: String,
    /// The login's password in the form in which it is sent: 32 lower-case hex digits.
    pub pwd: String,
    /// The number that the account sends from; a `mid` is added to its end.
    pub number: String,
    /// Messages that it may still send.
    pub balance: u32,
}

impl NewAccount {
    /// An account with the number and the credit of the provider's own examples.
    #[must_use]
    pub fn with_login(uid: &str, password: &str) -> Self {
        let pwd = hex::encode(Md5::digest(password));
        Self { uid: uid.into(), pwd, ..Self::example() }
    }

    /// The account of the provider's own examples.
    #[must_use]
    pub fn example() -> Self {
        Self {
            uid: "9999".into(),
            pwd: "fa246d0262c3925617b0c72bb20eeb1d".into(),
            number: "1068112227282".into(),
            balance: 22_348,
        }
    }
}

impl fmt::Debug for NewAccount {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount").field("uid", &self.uid).finish_non_exhaustive()
    }
}

/// What a request logs in with.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The account.
    pub uid: &'a str,
    /// The password as sent.
    pub pwd: &'a str,
}

/// A reply on its way into the gateway. The simulator's customers are made up, so it prints
/// whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReply {
    /// Who wrote, in the form in which the gateway gives it (`+86` in front, say). ASCII.
    pub mobile: String,
    /// The content's bytes: GBK where they are characters at all.
    pub content: Vec<u8>,
    /// When it was written; a late one is simply older.
    pub replied_at: BeijingTime,
    /// The number that was answered. ASCII, may be empty.
    pub gateway: String,
}

impl NewReply {
    /// A reply of characters. Those that GBK lacks are written in four bytes (GB18030).
    #[must_use]
    pub fn text(mobile: &str, text: &str, replied_at: BeijingTime, gateway: &str) -> Self {
        let content = GB18030.encode(text).0.into_owned();
        Self { mobile: mobile.into(), content, replied_at, gateway: gateway.into() }
    }
}

/// A reply in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerReply {
    /// The account it came to.
    pub uid: String,
    /// Who wrote.
    pub mobile: String,
    /// The content's bytes.
    pub content: Vec<u8>,
    /// When it was written.
    pub replied_at: BeijingTime,
    /// The number that was answered.
    pub gateway: String,
    /// In how many plain answers it went out that went out whole.
    pub handed_out: u32,
}

/// What an `/rx` request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// What is in the box.
    Plain,
    /// The replies of an hour.
    Hour(Hour),
    /// A `time` that is no hour.
    BadHour,
}

/// Who answers a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnsweredBy {
    /// The gateway, with replies.
    Gateway,
    /// Somebody before it, or the gateway with a code alone: nothing is handed out.
    Elsewhere(Option<Status>),
}

/// A read to begin.
#[derive(Clone, Copy)]
pub struct Read<'a> {
    /// Who asks.
    pub login: Login<'a>,
    /// What for.
    pub asked: Asked,
    /// In which charset the answer is.
    pub charset: Charset,
    /// Who answers.
    pub by: AnsweredBy,
}

/// Names a read between its begin and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub(super) u64);

/// A read that has begun: the gateway's answer to it, empty where somebody else answers.
pub struct BegunRead {
    /// To end it with.
    pub ticket: Ticket,
    /// The answer's body.
    pub body: Vec<u8>,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is still on its way.
    Open,
    /// Its last byte was written without an error.
    Whole,
    /// It was cut, stalled to its end, or the client was gone.
    Broken,
}

/// An `/rx` request in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// When it had arrived whole.
    pub at: UnixMs,
    /// The account that it named.
    pub uid: String,
    /// What it asked for.
    pub asked: Asked,
    /// Whether it came too early.
    pub early: bool,
    /// How many replies the gateway's answer held, sent whole or not.
    pub handed_out: usize,
    /// The code at the answer's head; `None` for an empty body and for what is no code.
    pub status: Option<Status>,
    /// How the answer ended.
    pub ending: Ending,
}

/// A request that neither read nor sent anything: for an account's figures, to send what was
/// refused, or of no call of this protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When it had arrived.
    pub at: UnixMs,
    /// Its path without the query; empty where it could not be read.
    pub path: String,
    /// The account that it named; perhaps none.
    pub uid: String,
    /// The code that it was answered; `None` where that was no answer of this protocol.
    pub status: Option<Status>,
    /// The HTTP status of the answer.
    pub http_status: u16,
}

/// A message that an account sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Sent {
    /// The account.
    pub uid: String,
    /// When it was accepted.
    pub at: UnixMs,
    /// What was to be sent.
    pub message: Message,
}

impl fmt::Debug for Sent {
    /// Without numbers and content: the program that sends them may mean real people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent")
            .field("uid", &self.uid)
            .field("at", &self.at)
            .field("mobiles", &self.message.mobiles.len())
            .finish_non_exhaustive()
    }
}

/// A message to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// To whom.
    pub mobiles: Vec<String>,
    /// The text.
    pub content: String,
    /// When to send it, if not at once.
    pub send_at: Option<BeijingTime>,
    /// The sub-extension to send from.
    pub mid: Option<String>,
}

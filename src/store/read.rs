//! What the store takes and gives when replies are read and kept.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::event::EventType;
use crate::gateway::charset::Charset;
use crate::gateway::client::Ending;
use crate::gateway::status::Status;
use crate::reply::{IdKey, Identity, Mobile, Reply, Suspicion};
use crate::route::Route;
use crate::store::hour::{Gap, HourChange, HourRow};
use crate::store::slot::Slot;
use crate::time::{BeijingTime, Hour, UnixMs};

/// The number of a read, in the order in which they were begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadId(pub i64);

impl fmt::Display for ReadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What keeping replies needs to know of an account, whichever process does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    /// The account's own gateway number.
    pub number: Option<String>,
    /// The least time between the end of a read and the next.
    pub min_interval: Duration,
    /// How far back a first doubtful read owes its hours.
    pub recover: Duration,
    /// When due reads are made: cron with seconds, Beijing time.
    pub schedule: String,
}

/// An account as `run` writes it into the store.
#[derive(Clone, Debug)]
pub struct AccountSpec {
    /// Its name.
    pub name: String,
    /// What keeping its replies needs to know.
    pub settings: AccountSettings,
    /// The configured key of its replies' ids, if there is one.
    pub configured_key: Option<IdKey>,
    /// The key to begin with when none is configured.
    pub derived_key: IdKey,
    /// What changes when uid or password do.
    pub login: IdKey,
    /// What is the same for all accounts that read one box: those of one gateway and uid.
    pub mailbox: IdKey,
}

/// A request that asks for the account's slot.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// The account's name.
    pub account: String,
    /// The hour to read by `time`; none for a plain read.
    pub hour: Option<Hour>,
    /// The charset in which the answer will be.
    pub charset: Charset,
    /// After which the read is over at the latest.
    pub timeout: Duration,
    /// The least time between the end of a read and the next.
    pub min_interval: Duration,
    /// Bytes that the store's disk must have for the answer.
    pub room: u64,
}

/// Whether a read may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// It may, at once: its row is on disk and the slot is taken.
    Begun(ReadId),
    /// The slot is taken for so long.
    Busy(Duration),
}

/// What the planner must know of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountView {
    /// Until when its gateway is not asked; none before its first read.
    pub slot: Option<Slot>,
    /// When its last due read began: a plain one, or by `ReadMode::Hour` one of the hour that
    /// ran then.
    pub last_due: Option<UnixMs>,
    /// Whether its last read was a due one, and not one of an owed hour.
    pub last_was_due: bool,
    /// The owed hour whose turn it is.
    pub owed: Option<Hour>,
    /// When the next owed hour may be read, where none may now.
    pub next_owed: Option<UnixMs>,
    /// Until when the gateway's refusal of the account is respected.
    pub refused_until: Option<UnixMs>,
    /// The code with which the gateway refused the account, where only a probe may follow.
    pub refused_status: Option<Status>,
    /// When the account's first read began.
    pub first_read: Option<UnixMs>,
    /// Whether its box was read before that under another name.
    pub had_other_name: bool,
    /// The last hour up to which every ended one was owed for reconciling.
    pub reconciled: Option<Hour>,
}

/// A read whose answer, or lack of one, waits to be taken in.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenRead {
    /// Its number.
    pub id: ReadId,
    /// The account's name.
    pub account: String,
    /// The hour it read; none for a plain read.
    pub hour: Option<Hour>,
    /// The charset of its body.
    pub charset: Charset,
    /// Whether an answer is stored; if not, its deadline has passed without one.
    pub answered: bool,
    /// When it began.
    pub started: UnixMs,
    /// When its answer ended.
    pub ended: Option<UnixMs>,
    /// How its answer ended.
    pub ending: Ending,
    /// The status line's number.
    pub http_status: Option<u16>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// What came.
    pub body: Vec<u8>,
}

/// The last record of a cut body, whose gateway number may be cut too.
#[derive(Clone, PartialEq, Eq)]
pub struct WaitingRecord {
    /// The read that brought it.
    pub read: ReadId,
    /// The charset of its content.
    pub charset: Charset,
    /// The account's name.
    pub account: String,
    /// How many copies of it that read brought.
    pub copies: u32,
    /// When it is kept as it is.
    pub release: UnixMs,
    /// Who wrote.
    pub mobile: Mobile,
    /// The gateway's reply time.
    pub replied_at: BeijingTime,
    /// What was typed, undecoded.
    pub content: Vec<u8>,
    /// The gateway number, perhaps cut.
    pub gateway: String,
    /// What makes it doubtful, if anything.
    pub suspect: Option<Suspicion>,
}

/// What is taken in: a read, or a record that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A read: its answer, or the lack of one. Which of both was decided on matters, because an
    /// answer can still come while its lack is being taken in.
    Read {
        /// Its number.
        id: ReadId,
        /// Whether there is an answer.
        answered: bool,
    },
    /// A record that waited, by its row.
    Waiting(i64),
    /// A read that was taken in and is parsed again.
    Reparse(ReadId),
}

/// What the store is asked before it is decided what to keep.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// The texts that were read.
    pub identities: Vec<Identity>,
    /// A gateway number of which it matters whether the account has it.
    pub gateway: Option<String>,
    /// Who wrote each of the texts, and when.
    pub writers: Vec<(Identity, Mobile, BeijingTime)>,
}

/// How often a text was seen, and what was made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The copies summed over proven plain reads, which the provider promises to be disjoint.
    pub plain: u32,
    /// The most copies in any other single body.
    pub seen: u32,
    /// The gateway numbers of the replies made of it, in their order.
    pub gateways: Vec<String>,
}

/// The store's answers, from within the transaction that keeps what is decided from them.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The tallies of those texts that were seen before.
    pub tallies: HashMap<Identity, Tally>,
    /// The id of the message that a text answers, where one was sent from here.
    pub answered: HashMap<Identity, String>,
    /// Whether the account has the gateway number that was asked for.
    pub gateway_known: bool,
    /// Whether another plain read, begun or taken in earlier, brought this very body.
    pub body_seen_before: bool,
    /// Whether the last record of the read, which is parsed again, still waits for its hour.
    pub record_waits: bool,
    /// When the first and the last proven plain read before this one began.
    pub proven_plain: Option<(UnixMs, UnixMs)>,
    /// When the last read before this one ended that the gateway did not refuse.
    pub previous_ended: Option<UnixMs>,
    /// When the last plain read before this one began that the gateway did not refuse.
    pub previous_plain: Option<UnixMs>,
    /// How many reads in a row before this one ended with their connection, announced by
    /// nothing; counted up to six.
    pub unannounced: u32,
    /// The last read of the same hour and when it began, where it brought this very body and
    /// nothing announced its end.
    pub hour_same_before: Option<(ReadId, UnixMs)>,
    /// How many reads in a row the account was refused, this one not counted.
    pub refusals: u32,
    /// The hour that was read, as it stands.
    pub hour: Option<HourRow>,
    /// The known copies of each text of the hour that was read.
    pub copies_of_hour: Vec<(Identity, u32)>,
    /// The gaps that are open.
    pub gaps: Vec<Gap>,
    /// What other reads by hour of the last days brought that a plain read should have.
    pub missed: Missed,
    /// The moment at which what is decided is kept.
    pub now: UnixMs,
    /// Every subscriber, by its name.
    pub subscribers: Vec<(String, Route)>,
}

/// Replies that came first by hour, though an earlier proven plain read should have had them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// The reads by hour that brought such.
    pub reads: u32,
    /// The replies.
    pub replies: u32,
    /// When a second reader was last told of.
    pub told: Option<UnixMs>,
}

/// How much a read's answer can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is whole and says what there was.
    Proven,
    /// It may have lacked something, for this reason.
    Doubtful(&'static str),
    /// The gateway turned the account away, for this reason: nothing was read.
    Refused(&'static str),
}

impl Verdict {
    /// The word for it in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Doubtful(_) => "doubtful",
            Self::Refused(_) => "refused",
        }
    }

    /// Why it is not proven.
    #[must_use]
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Proven => None,
            Self::Doubtful(reason) | Self::Refused(reason) => Some(reason),
        }
    }
}

/// A reply to keep, the event it becomes, and who is told.
#[derive(Clone)]
pub struct NewReply {
    /// The reply.
    pub reply: Reply,
    /// The text of which it is a copy.
    pub identity: Identity,
    /// The body of its event.
    pub event: String,
    /// The same for those that get numbers masked, if one of them wants it.
    pub masked_event: Option<String>,
    /// The subscribers that want it, as indexes into those that are known.
    pub subscribers: Vec<usize>,
    /// Those among them whose delivery waits until somebody releases it.
    pub held: Vec<usize>,
}

/// Something to tell beside replies, and who is told.
#[derive(Clone)]
pub struct NewEvent {
    /// Its id.
    pub id: String,
    /// What it tells of.
    pub event_type: EventType,
    /// Its body.
    pub body: String,
    /// The subscribers that want it, as indexes into those that are known.
    pub subscribers: Vec<usize>,
}

/// A stretch of a body that is kept as a fault.
#[derive(Clone)]
pub struct NewFault {
    /// Where it began in the body.
    pub offset: usize,
    /// What is wrong with it.
    pub kind: &'static str,
    /// What stood there.
    pub bytes: Vec<u8>,
}

/// What becomes of a read: all of it is kept in one transaction, or none.
#[derive(Clone)]
pub struct Outcome {
    /// How far the read is trusted.
    pub verdict: Verdict,
    /// The gateway's code.
    pub status: Option<Status>,
    /// The status line's number.
    pub http_status: Option<u16>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// How many records there were.
    pub records: usize,
    /// The new counts of the texts that were read, each with its hour.
    pub tallies: Vec<(Identity, Hour, Tally)>,
    /// The replies that the counts call for.
    pub replies: Vec<NewReply>,
    /// The stretches that are no records.
    pub faults: Vec<NewFault>,
    /// The record that waits for its hour.
    pub waiting: Option<WaitingRecord>,
    /// The hours that change.
    pub hours: Vec<HourChange>,
    /// What is told beside the replies.
    pub events: Vec<NewEvent>,
    /// How many of the replies an earlier proven plain read should have brought.
    pub missed: u32,
    /// How many known copies of the hour that was read it did not hold.
    pub missing: u32,
    /// When that hour is read again because it is over and lacks a known copy.
    pub short_until: Option<UnixMs>,
    /// What becomes of the account's standing with its gateway.
    pub standing: Standing,
}

/// What an answer says of the account's standing with its gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Unknown,
    /// It was let in.
    Admitted,
    /// It was refused with this code, and is left alone for so long.
    Refused(Status, Duration),
    /// The gateway answers, but no probe can tell: the next read must.
    Unclear,
}

/// A refusal for which an account is left alone: no call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The gateway's code.
    pub status: Status,
    /// Until when. Then a probe must tell that it is let in, but for a lock, which ends by itself.
    pub until: UnixMs,
}

/// What a probe of a refused account came to.
#[derive(Clone)]
pub struct ProbeOutcome {
    /// What it says of the account's standing.
    pub standing: Standing,
    /// What is told of it.
    pub events: Vec<NewEvent>,
}

/// What a read came to, for those who tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingested {
    /// The read.
    pub read: ReadId,
    /// How far it is trusted.
    pub verdict: Verdict,
    /// The gateway's code.
    pub status: Option<Status>,
    /// The status line's number.
    pub http_status: Option<u16>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// How many records it held.
    pub records: usize,
    /// How many stretches of it were no records.
    pub faults: usize,
    /// How many replies it made.
    pub new: usize,
    /// Of how many of those some bytes are no characters.
    pub lossy: usize,
    /// How many of them may not be what they seem.
    pub suspect: usize,
    /// How many hours it owes, or leaves owed.
    pub owed: usize,
    /// How many hours it gives up.
    pub given_up: usize,
    /// How many known copies of the hour that was read it did not hold.
    pub missing: u32,
    /// When that hour is read again because it is over and lacks a known copy.
    pub short_until: Option<UnixMs>,
    /// How long the account's gateway is left alone, if it refused us.
    pub pause: Option<Duration>,
    /// What is told beside the replies.
    pub told: Vec<EventType>,
}

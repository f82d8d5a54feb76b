//! Messages that are sent by the gateway: kept before they go out, so that none goes out twice and
//! a reply can name what it answers.

use std::time::Duration;

use crate::gateway::charset::Charset;
use crate::gateway::status::Status;
use crate::gateway::tx::Outcome;
use crate::reply::Mobile;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sqlite::messages;
use crate::time::{BeijingTime, UnixMs};

/// A message that is to be sent.
#[derive(Clone)]
pub struct NewMessage {
    /// Its public name: `msg_` and 32 hex digits.
    pub id: String,
    /// The account that sends it.
    pub account: String,
    /// What it says.
    pub text: String,
    /// The charset in which it goes out.
    pub charset: Charset,
    /// The sub-extension from which it goes out.
    pub mid: Option<String>,
    /// When the gateway is to send it; at once where none is given.
    pub at: Option<BeijingTime>,
    /// To whom, by call.
    pub calls: Vec<Vec<Mobile>>,
    /// Whose answer it is, if it is one.
    pub answers: Option<Answers>,
}

/// What a message answers that a receiver asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The reply's id.
    pub reply: String,
    /// The subscriber whose receiver asked.
    pub subscriber: String,
}

/// By what a client names its wish to send, and the digest of what it wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its name.
    pub key: String,
    /// The digest of all that was wished.
    pub digest: [u8; 32],
}

/// What a wish to send is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wished {
    /// It is new: this message is to be sent now.
    New(MessageSeq),
    /// The same was wished before: this message, by its id, is what came of it.
    Known(String),
    /// Something else was wished under this name.
    Other,
}

/// A message as it is kept. No `Debug`: it holds numbers.
#[derive(Clone)]
pub struct MessageDetail {
    /// Its id.
    pub id: String,
    /// The account that sends it.
    pub account: String,
    /// How many characters it has.
    pub characters: usize,
    /// The charset in which it goes out.
    pub charset: Charset,
    /// The sub-extension from which it goes out.
    pub mid: Option<String>,
    /// When the gateway is to send it; at once where none is given.
    pub at: Option<BeijingTime>,
    /// Its calls, in their order.
    pub calls: Vec<CallRow>,
}

/// A call of a message as it is kept. No `Debug`: it holds numbers.
#[derive(Clone)]
pub struct CallRow {
    /// Where it stands.
    pub state: String,
    /// The gateway's code.
    pub status: Option<Status>,
    /// What went wrong.
    pub detail: Option<String>,
    /// To whom, but for those who were erased since.
    pub to: Vec<Mobile>,
}

impl CallRow {
    /// Whether it may still be made, or is being made.
    #[must_use]
    pub fn is_open(&self) -> bool {
        ["waiting", "sending"].contains(&self.state.as_str())
    }
}

/// The number by which the store knows a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageSeq(pub i64);

/// A message that waits to be sent, in one call to one number.
#[derive(Clone)]
pub struct WaitingMessage {
    /// Its number.
    pub seq: MessageSeq,
    /// Its id.
    pub id: String,
    /// What it says.
    pub text: String,
    /// To whom.
    pub mobile: Mobile,
    /// The sub-extension from which it goes out.
    pub mid: Option<String>,
    /// Whose answer it is.
    pub answers: Answers,
    /// When it was made.
    pub created: UnixMs,
}

/// How many answers were sent lately, for one subscriber.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswersSent {
    /// For the subscriber, within the time of its rate.
    pub lately: u32,
    /// For the subscriber, since midnight in Beijing.
    pub today: u32,
    /// To the same mobile, within the last hour, whoever asked.
    pub to_mobile: u32,
}

impl Store {
    /// Keeps a message with its calls, none of which is made yet. None when the reply that it
    /// answers was answered before.
    ///
    /// # Errors
    /// The store's own.
    pub async fn put_message(
        &self,
        message: NewMessage,
        now: UnixMs,
    ) -> Result<Option<MessageSeq>, StoreError> {
        let put = move |connection: &_| messages::put(connection, &message, now);
        let put = self.engine.write(put).await?;
        self.changed();
        Ok(put)
    }

    /// What came of a wish to send; none where there was none of this name.
    ///
    /// # Errors
    /// The store's own.
    pub async fn wished(&self, wish: Wish) -> Result<Option<Wished>, StoreError> {
        self.engine.read(move |connection| messages::wished(connection, &wish)).await
    }

    /// A message by its id; none where there is no such one.
    ///
    /// # Errors
    /// The store's own.
    pub async fn message(&self, id: &str) -> Result<Option<MessageDetail>, StoreError> {
        let id = id.to_owned();
        self.engine.read(move |connection| messages::detail(connection, &id)).await
    }

    /// Marks a call as being made. False when it is not to be: it was made, or is being made.
    ///
    /// # Errors
    /// The store's own; nothing may be sent then.
    pub async fn begin_call(
        &self,
        message: MessageSeq,
        call: usize,
        now: UnixMs,
    ) -> Result<bool, StoreError> {
        self.engine
            .write(move |connection| messages::begin_call(connection, message, call, now))
            .await
    }

    /// Keeps what became of a call.
    ///
    /// # Errors
    /// The store's own.
    pub async fn end_call(
        &self,
        message: MessageSeq,
        call: usize,
        outcome: Outcome,
        now: UnixMs,
    ) -> Result<(), StoreError> {
        let end =
            move |connection: &_| messages::end_call(connection, message, call, &outcome, now);
        self.engine.write(end).await
    }

    /// Gives up the calls of a message that were not made.
    ///
    /// # Errors
    /// The store's own.
    pub async fn leave_unsent(
        &self,
        message: MessageSeq,
        now: UnixMs,
    ) -> Result<usize, StoreError> {
        self.engine.write(move |connection| messages::leave_unsent(connection, message, now)).await
    }

    /// Lets a call that reached nobody be made again.
    ///
    /// # Errors
    /// The store's own.
    pub async fn requeue(&self, message: MessageSeq) -> Result<(), StoreError> {
        self.engine.write(move |connection| messages::requeue(connection, message)).await
    }

    /// Withholds an answer that is not to be sent, for this reason.
    ///
    /// # Errors
    /// The store's own.
    pub async fn withhold(
        &self,
        message: MessageSeq,
        reason: &'static str,
        now: UnixMs,
    ) -> Result<(), StoreError> {
        self.engine
            .write(move |connection| messages::withhold(connection, message, reason, now))
            .await
    }

    /// Calls what was being sent too long ago unclear: whoever sent it is no more. What that left
    /// behind of the same message was never sent, and is not going to be. Says how many were unclear.
    ///
    /// # Errors
    /// The store's own.
    pub async fn close_lost_calls(&self, now: UnixMs) -> Result<usize, StoreError> {
        self.engine.write(move |connection| messages::close_lost_calls(connection, now)).await
    }

    /// The oldest answer of an account that waits to be sent.
    ///
    /// # Errors
    /// The store's own.
    pub async fn waiting_answer(
        &self,
        account: &str,
    ) -> Result<Option<WaitingMessage>, StoreError> {
        let account = account.to_owned();
        self.engine.read(move |connection| messages::waiting_answer(connection, &account)).await
    }

    /// How many answers were sent lately.
    ///
    /// # Errors
    /// The store's own.
    pub async fn answers_sent(
        &self,
        of: &WaitingMessage,
        per: Duration,
        now: UnixMs,
    ) -> Result<AnswersSent, StoreError> {
        let of = of.clone();
        self.engine.read(move |connection| messages::answers_sent(connection, &of, per, now)).await
    }

    /// Takes a number out of all that was sent to it, and a message that went to nobody else whole.
    /// Says how many messages went to it.
    ///
    /// # Errors
    /// The store's own.
    pub async fn erase_messages_to(&self, mobile: Mobile) -> Result<usize, StoreError> {
        self.engine.write(move |connection| messages::erase(connection, &mobile)).await
    }
}

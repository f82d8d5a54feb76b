//! Messages: sent once, however often a client asks.
//!
//! An SMS costs money and cannot be taken back. A client names each wish to send by a key; the key, a
//! digest of the wish and the message are one row. So the same wish again, after a timeout, a restart
//! of either side or by mistake, is told what came of the first and sends nothing.

use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::LOCATION;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::ask::{Ask, answer};
use super::operation::{Method, Operation, Taken, answer as good, of};
use super::parameter::{Kind, Parameter, one};
use super::problem::{Code, Problem};
use crate::clock::random_bytes;
use crate::config::AccountConfig;
use crate::sending::caller::Caller;
use crate::sending::letter;
use crate::sending::plan::{Asked, Plan, PlanError};
use crate::shape::Message;
use crate::store::audit_entry::NewAuditEntry;
use crate::store::message::{CallRow, MessageDetail, NewMessage, Wish, Wished};
use crate::store::token::Scope;

/// How long a client waits at most for what becomes of a message: longer than one call takes, and
/// within what a request may take.
const WAIT_MAX: Duration = Duration::from_secs(35);
const KEY: &str = "idempotency-key";
const KEY_PARAMETER: Parameter = one(
    KEY,
    Kind::Key,
    "What you call this message: a new UUID for each, and the same one for each retry. Needed unless `dry_run`.",
);

pub(super) static OPERATIONS: [Operation; 2] = [
    Operation {
        id: "send_message",
        method: Method::Post,
        path: "/api/v1/messages",
        about: "Send a text to one or to thousands of numbers",
        more: "Each number is sent to once, at most 2,000 in one call to the gateway. A call is made once: one whose \
               outcome is `unclear` may have gone out and is never made again. What the gateway refuses is in `calls`, \
               and no error of this request.",
        scope: Some(Scope::Admin),
        headers: &[KEY_PARAMETER],
        body: Taken::Json(of::<NewText>),
        answers: &[
            good(
                200,
                "Nothing was sent: it was a dry run, or the same was sent before, and this came of it.",
                of::<Message>,
            ),
            good(201, "All calls were made: see what came of each.", of::<Message>),
            good(202, "It is being sent; Location leads to what comes of it.", of::<Message>),
        ],
        problems: &[Code::IdempotencyKeyMissing, Code::IdempotencyKeyReused, Code::NameUnknown],
        act: |ask| Box::pin(send(ask)),
        ..Operation::LOOK
    },
    Operation {
        id: "show_message",
        path: "/api/v1/messages/{id}",
        about: "Show what became of a message",
        place: &[one("id", Kind::MessageId, "The message's id.")],
        answers: &[good(200, "The message.", of::<Message>)],
        act: |ask| Box::pin(show(ask)),
        ..Operation::LOOK
    },
];

/// What is to be sent.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewText {
    /// The numbers: mainland mobiles, and landlines with their area code.
    #[schemars(length(min = 1))]
    to: Vec<String>,
    /// What it says.
    #[schemars(length(min = 1))]
    text: String,
    /// The gateway sends it then, as YYYY-MM-DD HH:MM in Beijing time; else at once.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}$"))]
    at: Option<String>,
    /// Send from this sub-extension of the account's number, where the account has it.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[0-9]{1,20}$"))]
    mid: Option<String>,
    /// Send by this account; needed where there are several.
    #[serde(default)]
    account: Option<String>,
    /// Only say what would be sent.
    #[serde(default)]
    dry_run: bool,
}

impl NewText {
    /// The digest of all that is wished, each part with its length.
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut part = |text: Option<&str>| {
            let text = text.unwrap_or_default();
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        };
        for text in
            [self.account.as_deref(), self.at.as_deref(), self.mid.as_deref(), Some(&self.text)]
        {
            part(text);
        }
        self.to.iter().for_each(|number| part(Some(number)));
        digest.finalize().into()
    }
}

impl From<PlanError> for Problem {
    fn from(error: PlanError) -> Self {
        let detail = match &error {
            // Without them: they may be anybody's.
            PlanError::WrongNumbers(wrong) => {
                format!("{} of `to` are no numbers to send to", wrong.len())
            }
            error => error.to_string(),
        };
        Self::new(Code::BodyInvalid, detail).then(
            "Nothing was sent. Send mainland mobiles of 11 digits or landlines with their area code, a text, and a time to come.",
        )
    }
}

async fn send(ask: Ask) -> Result<Response, Problem> {
    let new: NewText = ask.json()?;
    let config = ask.config();
    let account = account(&config.accounts, new.account.as_deref())?.clone();
    let digest = new.digest();
    let dry_run = new.dry_run;
    let wish = match (ask.header(KEY), dry_run) {
        (Some(key), _) => Some(Wish { key: key.to_owned(), digest }),
        (None, true) => None,
        (None, false) => {
            let detail = "a message needs the header Idempotency-Key";
            return Err(Problem::new(Code::IdempotencyKeyMissing, detail));
        }
    };
    // Known before it is checked: a retry of what was to be sent at noon comes after noon.
    if let Some(wish) = wish.clone().filter(|_| !dry_run)
        && let Some(wished) = ask.store().wished(wish).await?
    {
        return known(&ask, wished).await;
    }
    let asked = Asked { to: new.to, text: new.text, at: new.at, mid: new.mid };
    let plan = Plan::new(asked, ask.now.beijing())?;
    match wish.filter(|_| !dry_run) {
        None => Ok(answer(200, &Message::planned(&account.name, &plan, None, &[]))),
        Some(wish) => send_new(ask, account, plan, wish).await,
    }
}

fn account<'a>(
    accounts: &'a [AccountConfig],
    named: Option<&str>,
) -> Result<&'a AccountConfig, Problem> {
    let names = || accounts.iter().map(|account| account.name.clone()).collect::<Vec<_>>();
    match (named, accounts) {
        (None, [only]) => Ok(only),
        (None, _) => {
            let detail = format!("`account` must name the one that sends: {}", names().join(", "));
            Err(Problem::new(Code::BodyInvalid, detail))
        }
        (Some(name), _) => {
            super::require("account", Some(name), names())?;
            let found = accounts.iter().find(|account| account.name == name);
            found.ok_or_else(|| Problem::new(Code::NameUnknown, "no account has this name"))
        }
    }
}

async fn send_new(
    ask: Ask,
    account: AccountConfig,
    plan: Plan,
    wish: Wish,
) -> Result<Response, Problem> {
    if ask.store().account(&account.name).await?.is_none() {
        let detail = "the account is not in the store yet";
        return Err(Problem::new(Code::NameUnknown, detail)
            .then("Wait until the service has read its configuration."));
    }
    let broken = |trouble: &dyn std::fmt::Display| {
        error!(error = %trouble, "a message cannot be sent");
        Problem::new(Code::StoreFailed, "nothing was sent; the service's log says why")
    };
    let clock = ask.api.seen.clock.clone();
    let caller =
        Caller::new(ask.store().clone(), clock, &account).map_err(|error| broken(&error))?;
    let random = random_bytes::<16>().map_err(|error| broken(&error))?;
    let id = format!("msg_{}", hex::encode(random));
    let message = NewMessage {
        id: id.clone(),
        account: account.name.clone(),
        text: plan.text.clone(),
        charset: plan.encoded.charset,
        mid: plan.mid.clone(),
        at: plan.at,
        calls: plan.calls.clone(),
        answers: None,
    };
    let entry = NewAuditEntry {
        token: ask.who().to_owned(),
        action: "messages.send",
        target: format!("{} numbers by {}", plan.numbers(), account.name),
    };
    let put = ask.store().audited(entry.clone()).put_message(message, wish, ask.now).await?;
    let Wished::New(seq) = put else { return known(&ask, put).await };
    super::tell(&entry, &id);
    let repeated = plan.repeated;
    // What has begun goes on, whoever waits for it; a stop lets the call under way end and makes no
    // other.
    let stop = ask.api.stop.clone();
    let sending = ask.api.acts.spawn(async move { send_all(&caller, seq, &plan, &stop).await });
    let is_over = tokio::time::timeout(WAIT_MAX, sending).await.is_ok();
    let detail = kept(&ask, &id).await?;
    let status = if is_over && !detail.calls.iter().any(CallRow::is_open) { 201 } else { 202 };
    Ok(located(answer(status, &Message::of(&detail, Some(repeated))), &id))
}

async fn send_all(
    caller: &Caller,
    seq: crate::store::message::MessageSeq,
    plan: &Plan,
    stop: &CancellationToken,
) {
    if let Err(error) = letter::send(caller, seq, plan, stop, |_| {}).await {
        error!(%error, message_seq = seq.0, "what became of a message cannot be kept");
    }
}

/// Tells what came of a wish that is known.
async fn known(ask: &Ask, wished: Wished) -> Result<Response, Problem> {
    let Wished::Known(id) = wished else {
        let detail = "another message was sent under this Idempotency-Key";
        return Err(Problem::new(Code::IdempotencyKeyReused, detail));
    };
    let detail = kept(ask, &id).await?;
    let status = if detail.calls.iter().any(CallRow::is_open) { 202 } else { 200 };
    let mut response = located(answer(status, &Message::of(&detail, None)), &id);
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(response)
}

fn located(mut response: Response, id: &str) -> Response {
    if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/messages/{id}")) {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

async fn kept(ask: &Ask, id: &str) -> Result<MessageDetail, Problem> {
    let missing = || Problem::new(Code::NotFound, "there is no message of this id");
    ask.store().message(id).await?.ok_or_else(missing)
}

async fn show(ask: Ask) -> Result<Response, Problem> {
    let detail = kept(&ask, ask.place("id")).await?;
    Ok(answer(200, &Message::of(&detail, None)))
}

//! A message that is sent, would be, or was.

use schemars::JsonSchema;
use serde::Serialize;

use crate::gateway::status::Status;
use crate::gateway::tx::Outcome;
use crate::reply::Mobile;
use crate::sending::plan::Plan;
use crate::store::message::MessageDetail;

/// A message, and what became of its calls to the gateway.
#[derive(Serialize, JsonSchema)]
pub struct Message {
    /// Its id; none where it is not sent.
    id: Option<String>,
    /// The account that sends it.
    account: String,
    /// To how many numbers it goes.
    numbers: usize,
    /// How many numbers stood there more than once; none where that is no longer known.
    repeated: Option<usize>,
    /// For how many numbers the gateway accepted it.
    accepted: usize,
    /// The charset in which it goes out.
    charset: &'static str,
    /// How many characters it has.
    characters: usize,
    /// When the gateway is to send it; none means at once.
    #[schemars(extend("format" = "date-time"))]
    at: Option<String>,
    /// The sub-extension from which it goes out.
    mid: Option<String>,
    /// The calls in which it goes out, each at most once.
    calls: Vec<MessageCall>,
}

/// A call to the gateway.
#[derive(Serialize, JsonSchema)]
pub(super) struct MessageCall {
    /// To how many numbers.
    numbers: usize,
    /// `planned`, `waiting`, `sending`, `accepted`, `refused`, `unsent` (nothing went out), `unclear`
    /// (it may have gone out: it is never made again), or `withheld`.
    state: String,
    /// The gateway's code.
    status: Option<u16>,
    /// What went wrong.
    error: Option<String>,
    /// To whom, where it did not go out or nobody knows, so that it can be sent again.
    to: Option<Vec<String>>,
}

impl MessageCall {
    fn new(to: &[Mobile], state: &str, status: Option<Status>, error: Option<String>) -> Self {
        let is_named = ["refused", "unsent", "unclear", "withheld"].contains(&state);
        let whom = || to.iter().map(|mobile| mobile.as_str().to_owned()).collect();
        Self {
            numbers: to.len(),
            state: state.to_owned(),
            status: status.map(|status| status.0),
            error,
            to: is_named.then(whom),
        }
    }
}

impl Message {
    /// The shape of a message that would be sent, or, where it has an id, of one of whose calls this
    /// has become so far.
    #[must_use]
    pub fn planned(account: &str, plan: &Plan, id: Option<&str>, outcomes: &[Outcome]) -> Self {
        let rest = if id.is_none() { "planned" } else { "unsent" };
        let call = |(at, to): (usize, &Vec<Mobile>)| match outcomes.get(at) {
            None => MessageCall::new(to, rest, None, None),
            Some(Outcome::Accepted) => MessageCall::new(to, "accepted", Some(Status::OK), None),
            Some(Outcome::Refused(status)) => {
                let error = Some(status.meaning().to_owned());
                MessageCall::new(to, "refused", Some(*status), error)
            }
            Some(Outcome::Unsent(detail)) => {
                MessageCall::new(to, "unsent", None, Some(detail.clone()))
            }
            Some(Outcome::Unclear(detail)) => {
                MessageCall::new(to, "unclear", None, Some(detail.clone()))
            }
        };
        Self {
            id: id.map(str::to_owned),
            account: account.to_owned(),
            numbers: plan.numbers(),
            repeated: Some(plan.repeated),
            accepted: 0,
            charset: plan.encoded.charset.as_str(),
            characters: plan.text.chars().count(),
            at: plan.at.map(|at| at.rfc3339()),
            mid: plan.mid.clone(),
            calls: plan.calls.iter().enumerate().map(call).collect(),
        }
        .counted()
    }

    /// The shape of a message as it is kept.
    #[must_use]
    pub fn of(detail: &MessageDetail, repeated: Option<usize>) -> Self {
        let calls = detail.calls.iter().map(|call| {
            let error = match call.status.filter(|_| call.state == "refused") {
                Some(status) => Some(status.meaning().to_owned()),
                None => call.detail.clone(),
            };
            MessageCall::new(&call.to, &call.state, call.status, error)
        });
        Self {
            id: Some(detail.id.clone()),
            account: detail.account.clone(),
            numbers: detail.calls.iter().map(|call| call.to.len()).sum(),
            repeated,
            accepted: 0,
            charset: detail.charset.as_str(),
            characters: detail.characters,
            at: detail.at.map(|at| at.rfc3339()),
            mid: detail.mid.clone(),
            calls: calls.collect(),
        }
        .counted()
    }

    fn counted(mut self) -> Self {
        let accepted = self.calls.iter().filter(|call| call.state == "accepted");
        self.accepted = accepted.map(|call| call.numbers).sum();
        self
    }
}

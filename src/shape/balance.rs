//! How many messages an account has left, or has sent.

use schemars::JsonSchema;
use serde::Serialize;

use crate::gateway::client::Figure;
use crate::gateway::mm::Said;

/// How many messages an account has left, or has sent in all: one of the two is there.
#[derive(Clone, Serialize, JsonSchema)]
pub struct Balance {
    /// The account.
    account: String,
    /// How many are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<Option<u64>>,
    /// How many were sent in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<Option<u64>>,
    /// The gateway's code.
    status: Option<u16>,
    /// What went wrong.
    error: Option<String>,
}

impl Balance {
    /// The shape of what the gateway said.
    #[must_use]
    pub fn of(said: &Said, account: &str, figure: Figure) -> Self {
        let (count, status, error) = match said {
            Said::Count(count) => (Some(*count), Some(100), None),
            Said::Refused(status) => (None, Some(status.0), Some(status.meaning().to_owned())),
            Said::Nothing(why) => (None, None, Some(why.clone())),
            Said::Strange => (None, None, Some("not an answer of the gateway".to_owned())),
        };
        let of = |one: Figure| (one == figure).then_some(count);
        Self {
            account: account.to_owned(),
            balance: of(Figure::Left),
            sent: of(Figure::Sent),
            status,
            error,
        }
    }
}

//! How many messages accounts have left, or have sent: asked of the gateway, and not more often than
//! that is good for.

use std::collections::HashMap;
use std::time::Duration;

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tracing::error;

use super::ask::{Ask, answer};
use super::operation::{Operation, answer as good, of};
use super::parameter::{Kind, one};
use super::problem::{Code, Problem};
use crate::clock::Clock;
use crate::config::AccountConfig;
use crate::gateway::client::{Client, Figure};
use crate::gateway::mm::{Said, judge};
use crate::intake::refusal;
use crate::shape::Balance;
use crate::store::Store;
use crate::time::millis;

/// How old a figure may be that is told again: a page that is looked at does not ask the gateway for
/// each look.
const AGE_MAX: Duration = Duration::from_secs(30);

pub(super) static OPERATIONS: [Operation; 1] = [Operation {
    id: "show_balance",
    path: "/api/v1/balance",
    about: "Show how many messages accounts have left, or have sent",
    more: "Asks the gateway, at most twice a minute for each figure. What it refuses is in the answer.",
    query: &[
        one("account", Kind::Name, "Only this account."),
        one("sent", Kind::Flag, "How many were sent in all, instead."),
    ],
    answers: &[good(200, "A figure for each account.", of::<BalanceList>)],
    problems: &[Code::NameUnknown],
    act: |ask| Box::pin(show(ask)),
    ..Operation::LOOK
}];

/// A figure for each account.
#[derive(Serialize, JsonSchema)]
struct BalanceList {
    /// In the configuration's order.
    items: Vec<Balance>,
}

/// What was asked lately: by account and figure, when, on the boot's clock.
#[derive(Default)]
pub(super) struct Kept(Mutex<HashMap<(String, bool), (i64, Balance)>>);

async fn show(ask: Ask) -> Result<Response, Problem> {
    let config = ask.config();
    let named = ask.text("account");
    let names = config.accounts.iter().map(|account| account.name.clone()).collect();
    super::require("account", named.as_deref(), names)?;
    let is_chosen =
        |account: &&AccountConfig| named.as_ref().is_none_or(|name| *name == account.name);
    let figure = if ask.flag("sent") { Figure::Sent } else { Figure::Left };
    // Held while the gateway is asked: whoever comes meanwhile is told the same.
    let mut kept = ask.api.balances.0.lock().await;
    let now_ms = ask.api.seen.clock.now().boot_ms;
    kept.retain(|_, (at_ms, _)| now_ms - *at_ms < millis(AGE_MAX));
    let mut asked = JoinSet::new();
    for account in config.accounts.iter().filter(is_chosen) {
        if !kept.contains_key(&(account.name.clone(), figure == Figure::Sent)) {
            let account = account.clone();
            let (store, clock) = (ask.store().clone(), ask.api.seen.clock.clone());
            asked.spawn(async move {
                let said = ask_gateway(&store, &clock, &account, figure).await;
                (account.name.clone(), Balance::of(&said, &account.name, figure))
            });
        }
    }
    while let Some(asked) = asked.join_next().await {
        if let Ok((name, balance)) = asked {
            kept.insert((name, figure == Figure::Sent), (now_ms, balance));
        }
    }
    let found = config.accounts.iter().filter(is_chosen).filter_map(|account| {
        kept.get(&(account.name.clone(), figure == Figure::Sent))
            .map(|(_, balance)| balance.clone())
    });
    Ok(answer(200, &BalanceList { items: found.collect() }))
}

/// Asks for a figure. An account that the gateway refused is left alone: it said so already.
async fn ask_gateway(
    store: &Store,
    clock: &Clock,
    account: &AccountConfig,
    figure: Figure,
) -> Said {
    match store.refusal(&account.name, &account.login(), clock.unix()).await {
        Ok(None) => {}
        Ok(Some(refusal)) => return Said::Refused(refusal.status),
        Err(error) => return Said::Nothing(error.to_string()),
    }
    let said = match Client::new(account.access()) {
        Ok(client) => judge(&client.mm(figure).await),
        Err(error) => Said::Nothing(error.to_string()),
    };
    if let Said::Refused(status) = said
        && let Err(error) = refusal::keep(store, clock, &account.name, status).await
    {
        error!(account = account.name, %error, "that the account was refused is not kept");
    }
    said
}

//! Subscribers: how they do, tested, enabled and disabled.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use tracing::error;

use super::ask::{Ask, answer};
use super::operation::{Method, Operation, answer as good, of};
use super::parameter::{Kind, Parameter, one};
use super::problem::{Code, Problem};
use crate::delivery::known::{Known, all};
use crate::delivery::try_out::{self, TryOutError};
use crate::shape::{Subscriber, SubscriberDetail, Switched, Tested};
use crate::store::audit_entry::{NewAuditEntry, Switch};
use crate::store::token::Scope;

/// How many of the last attempts are shown.
const ATTEMPTS_SHOWN: usize = 10;
const NAME: Parameter = one("name", Kind::Name, "The subscriber's name.");

pub(super) static OPERATIONS: [Operation; 5] = [
    Operation {
        id: "list_subscribers",
        path: "/api/v1/subscribers",
        about: "List subscribers",
        more: "Those of the configuration in its order, then those that only the store knows.",
        answers: &[good(200, "All subscribers.", of::<SubscriberList>)],
        act: |ask| Box::pin(list(ask)),
        ..Operation::LOOK
    },
    Operation {
        id: "show_subscriber",
        path: "/api/v1/subscribers/{name}",
        about: "Show a subscriber",
        more: "With its configuration, without secrets, and its last attempts.",
        place: &[NAME],
        answers: &[good(200, "The subscriber.", of::<SubscriberDetail>)],
        act: |ask| Box::pin(show(ask)),
        ..Operation::LOOK
    },
    Operation {
        id: "test_subscriber",
        method: Method::Post,
        path: "/api/v1/subscribers/{name}/test",
        about: "Send a subscriber one marked test message",
        more: "Signed and sent as any reply, once, also to a disabled subscriber.",
        scope: Some(Scope::Replay),
        place: &[NAME],
        answers: &[good(200, "What came of it: see `delivered`.", of::<Tested>)],
        problems: &[Code::StateConflict],
        act: |ask| Box::pin(test(ask)),
        ..Operation::LOOK
    },
    Operation {
        id: "enable_subscriber",
        method: Method::Post,
        path: "/api/v1/subscribers/{name}/enable",
        about: "Let a subscriber take deliveries again",
        more: "Where the configuration says `enabled = false`, it stays disabled: see `state`.",
        scope: Some(Scope::Admin),
        place: &[NAME],
        answers: &[good(200, "How it stands now.", of::<Switched>)],
        problems: &[Code::StateConflict],
        act: |ask| Box::pin(switch(ask, Switch::On)),
        ..Operation::LOOK
    },
    Operation {
        id: "disable_subscriber",
        method: Method::Post,
        path: "/api/v1/subscribers/{name}/disable",
        about: "Make a subscriber take nothing",
        more: "What comes for it waits until it is enabled.",
        scope: Some(Scope::Admin),
        place: &[NAME],
        answers: &[good(200, "How it stands now.", of::<Switched>)],
        problems: &[Code::StateConflict],
        act: |ask| Box::pin(switch(ask, Switch::Off)),
        ..Operation::LOOK
    },
];

/// All subscribers.
#[derive(Serialize, JsonSchema)]
struct SubscriberList {
    /// The subscribers.
    items: Vec<Subscriber>,
}

async fn list(ask: Ask) -> Result<Response, Problem> {
    let config = ask.config();
    let mut items = Vec::new();
    for known in all(&config, ask.store()).await? {
        let backlog = ask.store().backlog(&known.name).await?;
        items.push(Subscriber::of(&known, &backlog, ask.now));
    }
    Ok(answer(200, &SubscriberList { items }))
}

fn named<'a>(ask: &Ask, all: Vec<Known<'a>>) -> Result<Known<'a>, Problem> {
    let missing = || Problem::new(Code::NotFound, "there is no subscriber of this name");
    all.into_iter().find(|known| known.name == ask.place("name")).ok_or_else(missing)
}

async fn show(ask: Ask) -> Result<Response, Problem> {
    let config = ask.config();
    let known = named(&ask, all(&config, ask.store()).await?)?;
    let backlog = ask.store().backlog(&known.name).await?;
    let attempts = ask.store().last_attempts(&known.name, ATTEMPTS_SHOWN).await?;
    Ok(answer(200, &SubscriberDetail::of(&known, &backlog, &attempts, ask.now)))
}

async fn switch(ask: Ask, switch: Switch) -> Result<Response, Problem> {
    let config = ask.config();
    let known = named(&ask, all(&config, ask.store()).await?)?;
    if known.row.is_none() {
        let detail = "the subscriber is not in the store yet";
        return Err(Problem::new(Code::StateConflict, detail)
            .then("Wait until the service has read its configuration."));
    }
    let action = if switch == Switch::On { "subscribers.enable" } else { "subscribers.disable" };
    let entry = entry(&ask, action, &known.name);
    ask.store().audited(entry.clone()).switch(&known.name, switch, ask.now).await?;
    let known = named(&ask, all(&config, ask.store()).await?)?;
    super::tell(&entry, known.state());
    Ok(answer(200, &Switched::of(&known)))
}

fn entry(ask: &Ask, action: &'static str, name: &str) -> NewAuditEntry {
    NewAuditEntry { token: ask.who().to_owned(), action, target: format!("subscriber {name}") }
}

async fn test(ask: Ask) -> Result<Response, Problem> {
    let config = ask.config();
    let known = named(&ask, all(&config, ask.store()).await?)?;
    let Some(subscriber) = known.config.cloned() else {
        let detail = "the subscriber is not in the configuration, so it has no URL to send to";
        return Err(Problem::new(Code::StateConflict, detail));
    };
    let entry = entry(&ask, "subscribers.test", &subscriber.name);
    let api = ask.api.clone();
    // What has begun is ended and recorded, also where the client does not wait for it.
    let sending = api.acts.spawn(async move {
        let of = try_out::message(&config, &subscriber, ask.now)?;
        let store = ask.store();
        let claim = store.audited(entry.clone()).begin_test(of.clone()).await?;
        let recorded = claim.map(|claim| (store, claim));
        let clock = ask.api.seen.clock.clone();
        let tried = try_out::send(&subscriber, clock, &of, recorded).await?;
        super::tell(&entry, if tried.is_delivered { "delivered" } else { "not delivered" });
        Ok::<_, TryOutError>(Tested::of(&subscriber.name, &tried))
    });
    match sending.await {
        Ok(Ok(tested)) => Ok(answer(200, &tested)),
        Ok(Err(TryOutError::Store(error))) => Err(error.into()),
        Ok(Err(trouble)) => {
            error!(error = %trouble, "a subscriber cannot be tested");
            Err(Problem::new(Code::StoreFailed, "it could not be sent; the service's log says why"))
        }
        Err(_) => Err(Problem::new(Code::Stopping, "the service stops")),
    }
}

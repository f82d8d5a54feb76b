//! Deliveries retried, released and cancelled: one, several, or all that a filter lets through.
//!
//! A filter needs the number of deliveries that its author expects, as a dry run told it: where there
//! are more or fewer by now, nothing is done. What is done is done to those that were counted, and to
//! nothing that came since.

use std::collections::BTreeSet;

use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use super::ask::{Ask, answer};
use super::deliveries::{
    ACCOUNT, EVENT_ID, ID, MOBILE, SINCE, STATE, SUBSCRIBER, TRIGGER, TYPE, UNTIL, require_names,
};
use super::operation::{Answer, Method, Operation, Taken, answer as good, of};
use super::parameter::Parameter;
use super::problem::{Code, Problem};
use crate::reply::Mobile;
use crate::shape::Acted;
use crate::store::audit_entry::NewAuditEntry;
use crate::store::by_hand::{Act, DeliveryFilter};
use crate::store::delivery::{DeliveryState, Trigger};
use crate::store::token::Scope;
use crate::time::UnixMs;

/// The most deliveries that are named one by one.
const IDS_MAX: usize = 1_000;
/// The most that one request changes: some seconds of the writer, between its other work.
const CHANGED_MAX: usize = 100_000;

/// Which deliveries, and how sure of their number.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// These, by their numbers: at most 1,000.
    #[serde(default)]
    #[schemars(length(max = 1_000))]
    ids: Option<Vec<i64>>,
    /// All that this lets through; an empty object lets all of them through. Without `state`, those to
    /// which it is usually done: a retry to `failed`, the others to all to which they can be done.
    #[serde(default)]
    filter: Option<Filter>,
    /// Only say how many there are.
    #[serde(default)]
    dry_run: bool,
    /// With `filter`: how many there must be, as a dry run said. Else nothing is done.
    #[serde(default)]
    #[schemars(range(min = 0))]
    expect: Option<u64>,
}

/// What narrows deliveries down, as in the list of them.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    #[serde(default)]
    subscriber: Option<String>,
    #[serde(default)]
    state: Vec<String>,
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    mobile: Option<String>,
    #[serde(default)]
    since: Option<String>,
    #[serde(default)]
    until: Option<String>,
    #[serde(default)]
    r#type: Option<String>,
    #[serde(default)]
    trigger: Option<String>,
    #[serde(default)]
    event_id: Option<String>,
}

impl Filter {
    fn read(self, now: UnixMs) -> Result<DeliveryFilter, Problem> {
        let checked = |parameter: &Parameter, value: Option<String>| {
            let wrong =
                |why| Problem::new(Code::BodyInvalid, format!("`filter.{}` {why}", parameter.name));
            value.as_deref().map_or(Ok(()), |value| parameter.kind.check(value)).map_err(wrong)?;
            Ok::<_, Problem>(value)
        };
        let mut states = Vec::new();
        for word in self.state {
            states
                .extend(checked(&STATE, Some(word))?.and_then(|word| DeliveryState::parse(&word)));
        }
        let since = checked(&SINCE, self.since)?.and_then(|text| text.parse().ok());
        let until = checked(&UNTIL, self.until)?.and_then(|text| text.parse().ok());
        Ok(DeliveryFilter {
            subscriber: checked(&SUBSCRIBER, self.subscriber)?,
            states,
            account: checked(&ACCOUNT, self.account)?,
            mobile: checked(&MOBILE, self.mobile)?.and_then(|text| Mobile::parse(&text)),
            event_type: checked(&TYPE, self.r#type)?,
            event_id: checked(&EVENT_ID, self.event_id)?,
            trigger: checked(&TRIGGER, self.trigger)?.and_then(|word| Trigger::parse(&word)),
            since: since.map(|since: crate::time::Since| since.instant(now)),
            until: until.map(|until: crate::time::Until| until.instant(now)),
        })
    }
}

const ONE: Operation = Operation {
    method: Method::Post,
    scope: Some(Scope::Replay),
    place: &[ID],
    answers: &[DONE],
    problems: &[Code::StateConflict],
    ..Operation::LOOK
};
const MANY: Operation = Operation {
    method: Method::Post,
    scope: Some(Scope::Replay),
    body: Taken::Json(of::<Which>),
    answers: &[DONE],
    problems: &[Code::NotFound, Code::NameUnknown, Code::ExpectDiffers, Code::TooMany],
    more: "Name them by `ids`, or by `filter` with `dry_run` first and then with the count as `expect`.",
    ..Operation::LOOK
};
const DONE: Answer = good(200, "What came of it.", of::<Acted>);

pub(super) static OPERATIONS: [Operation; 6] = [
    Operation {
        id: "retry_delivery",
        path: "/api/v1/deliveries/{id}/retry",
        about: "Try a delivery again, now",
        more: "One that was given up or cancelled, or that waits for its next attempt.",
        act: |ask| Box::pin(one(ask, Act::Retry)),
        ..ONE
    },
    Operation {
        id: "release_delivery",
        path: "/api/v1/deliveries/{id}/release",
        about: "Let a held delivery go",
        act: |ask| Box::pin(one(ask, Act::Release)),
        ..ONE
    },
    Operation {
        id: "cancel_delivery",
        path: "/api/v1/deliveries/{id}/cancel",
        about: "Make a delivery never go out",
        more: "One that is held or waiting.",
        act: |ask| Box::pin(one(ask, Act::Cancel)),
        ..ONE
    },
    Operation {
        id: "retry_deliveries",
        path: "/api/v1/deliveries/retry",
        about: "Try deliveries again, now",
        act: |ask| Box::pin(several(ask, Act::Retry)),
        ..MANY
    },
    Operation {
        id: "release_deliveries",
        path: "/api/v1/deliveries/release",
        about: "Let held deliveries go",
        act: |ask| Box::pin(several(ask, Act::Release)),
        ..MANY
    },
    Operation {
        id: "cancel_deliveries",
        path: "/api/v1/deliveries/cancel",
        about: "Make deliveries never go out",
        act: |ask| Box::pin(several(ask, Act::Cancel)),
        ..MANY
    },
];

/// What is told of the change.
fn action(act: Act) -> &'static str {
    match act {
        Act::Retry => "deliveries.retry",
        Act::Release => "deliveries.release",
        Act::Cancel => "deliveries.cancel",
    }
}

async fn one(ask: Ask, act: Act) -> Result<Response, Problem> {
    let id = ask.number("id");
    let (ids, others) = by_number(&ask, act, [id].into()).await?;
    if let Some((id, state)) = others.first() {
        let detail = format!("delivery {id} is {}", state.as_str());
        return Err(Problem::new(Code::StateConflict, detail));
    }
    let done = carry_out(&ask, act, &ids, format!("delivery {id}")).await?;
    if done == 0 {
        // It changed since it was looked at.
        return Err(Problem::new(Code::StateConflict, format!("delivery {id} has just changed")));
    }
    Ok(answer(200, &Acted::of(act, (1, Some(done)), &[])))
}

async fn several(ask: Ask, act: Act) -> Result<Response, Problem> {
    let which: Which = ask.json()?;
    let wrong = |detail: &str| Err(Problem::new(Code::BodyInvalid, detail));
    let (ids, others, target) = match (which.ids, which.filter) {
        (Some(ids), None) => {
            if which.expect.is_some() {
                return wrong("`expect` is for a `filter`");
            }
            if ids.is_empty() || ids.len() > IDS_MAX {
                return wrong("`ids` must have 1 to 1000 numbers");
            }
            let (fit, others) = by_number(&ask, act, ids.into_iter().collect()).await?;
            (fit, others, "deliveries by number")
        }
        (None, Some(filter)) => {
            let ids = by_filter(&ask, act, filter).await?;
            if !which.dry_run {
                require_expected(which.expect, ids.len())?;
            }
            (ids, Vec::new(), "deliveries by filter")
        }
        _ => return wrong("there must be either `ids` or `filter`"),
    };
    let done = match which.dry_run {
        true => None,
        false => Some(carry_out(&ask, act, &ids, format!("{} {target}", ids.len())).await?),
    };
    Ok(answer(200, &Acted::of(act, (ids.len(), done), &others)))
}

type ByNumber = (Vec<i64>, Vec<(i64, DeliveryState)>);

/// Those to which it can be done, and the others. One that is not there refuses the whole: it was
/// meant for another.
async fn by_number(ask: &Ask, act: Act, ids: BTreeSet<i64>) -> Result<ByNumber, Problem> {
    let stood = ask.store().delivery_states(ids.into_iter().collect()).await?;
    if let Some((id, _)) = stood.iter().find(|(_, state)| state.is_none()) {
        let detail = format!("there is no delivery {id}; nothing was changed");
        return Err(Problem::new(Code::NotFound, detail));
    }
    let known = stood.into_iter().filter_map(|(id, state)| Some((id, state?)));
    let (fit, others): (Vec<_>, Vec<_>) = known.partition(|(_, state)| act.applies_to(*state));
    Ok((fit.into_iter().map(|(id, _)| id).collect(), others))
}

async fn by_filter(ask: &Ask, act: Act, filter: Filter) -> Result<Vec<i64>, Problem> {
    let filter = filter.read(ask.now)?.for_act(act).map_err(|state| {
        let detail =
            format!("`filter.state`: a {} is not for what is {}", act.as_str(), state.as_str());
        Problem::new(Code::BodyInvalid, detail)
    })?;
    require_names(ask, &filter).await?;
    let matching = ask.store().matching(filter).await?;
    let ids: Vec<i64> = matching.into_iter().flat_map(|(_, ids)| ids).collect();
    if ids.len() > CHANGED_MAX {
        let detail = format!("there are {}, and one request changes {CHANGED_MAX}", ids.len());
        return Err(
            Problem::new(Code::TooMany, detail).then("Name an earlier `until` or a later `since`.")
        );
    }
    Ok(ids)
}

/// Nobody acts on more than was seen.
fn require_expected(expect: Option<u64>, count: usize) -> Result<(), Problem> {
    let Some(expect) = expect else {
        let detail = "a `filter` needs `dry_run: true`, or the count that it said as `expect`";
        return Err(Problem::new(Code::BodyInvalid, detail));
    };
    if expect == count as u64 {
        return Ok(());
    }
    let detail = format!("{expect} were expected and there are {count}; nothing was changed");
    Err(Problem::new(Code::ExpectDiffers, detail))
}

async fn carry_out(ask: &Ask, act: Act, ids: &[i64], target: String) -> Result<usize, Problem> {
    let entry = NewAuditEntry { token: ask.who().to_owned(), action: action(act), target };
    let done = ask.store().audited(entry.clone()).act_on(ids, act, ask.now).await?;
    super::tell(&entry, &format!("{done} changed"));
    Ok(done)
}

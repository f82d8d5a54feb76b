//! Replays: replies delivered again, as jobs that outlive the request and the process.

use std::collections::BTreeMap;

use axum::http::header::LOCATION;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ask::{Ask, answer};
use super::operation::{Method, Operation, Taken, answer as good, of};
use super::page;
use super::parameter::{CURSOR, Kind, LIMIT, Parameter, one};
use super::problem::{Code, Problem};
use crate::delivery::replay::{Wanted, Wrong, look};
use crate::shape::{Replay, ReplayJobState, ReplaySum};
use crate::store::audit_entry::NewAuditEntry;
use crate::store::replay::{ReplayJob, ReplayState, Selection};
use crate::store::token::Scope;

const LIST: &str = "replays";
const JOB: Parameter = one("job", Kind::Number, "The replay's number.");
/// The most subscribers that are named one by one.
const SUBSCRIBERS_MAX: usize = 100;

pub(super) static OPERATIONS: [Operation; 4] = [
    Operation {
        id: "list_replays",
        path: "/api/v1/replays",
        about: "List replays",
        more: "The newest first.",
        query: &[LIMIT, CURSOR],
        answers: &[good(200, "A page of replays.", of::<ReplayPage>)],
        problems: &[Code::CursorInvalid],
        act: |ask| Box::pin(list(ask)),
        ..Operation::LOOK
    },
    Operation {
        id: "start_replay",
        method: Method::Post,
        path: "/api/v1/replays",
        about: "Deliver replies again",
        more: "Makes a job, which the service carries out, also after a restart. Receivers that dedupe by \
               `webhook-id` ignore what they have, unless it comes `as_new`.",
        scope: Some(Scope::Replay),
        body: Taken::Json(of::<NewReplay>),
        answers: &[
            good(
                200,
                "Nothing was made: it was a dry run, or there is no such reply.",
                of::<ReplaySum>,
            ),
            good(202, "A job was made; Location leads to it.", of::<ReplaySum>),
        ],
        problems: &[Code::NameUnknown],
        act: |ask| Box::pin(start(ask)),
        ..Operation::LOOK
    },
    Operation {
        id: "show_replay",
        path: "/api/v1/replays/{job}",
        about: "Show a replay and how far it is",
        place: &[JOB],
        answers: &[good(200, "The replay.", of::<Replay>)],
        act: |ask| Box::pin(show(ask)),
        ..Operation::LOOK
    },
    Operation {
        id: "cancel_replay",
        method: Method::Post,
        path: "/api/v1/replays/{job}/cancel",
        about: "End a replay that still runs",
        more: "The deliveries that it made stay.",
        scope: Some(Scope::Replay),
        place: &[JOB],
        answers: &[good(200, "The replay.", of::<Replay>)],
        problems: &[Code::StateConflict],
        act: |ask| Box::pin(cancel(ask)),
        ..Operation::LOOK
    },
];

/// A page of replays.
#[derive(Serialize, JsonSchema)]
struct ReplayPage {
    /// The replays.
    items: Vec<Replay>,
    /// The cursor of the next page; none where this is the last.
    next_cursor: Option<String>,
}

/// Which replies, only.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Only {
    /// Never delivered to the subscriber, and on no way to it.
    Missing,
    /// Whose last delivery to it was given up.
    Failed,
}

/// What is to be delivered again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewReplay {
    /// The hour in which the replies were written, in Beijing time.
    #[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{2}$"))]
    hour: String,
    /// All hours up to this one, itself included.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{2}$"))]
    to: Option<String>,
    /// Only to these; else to all that are configured.
    #[serde(default)]
    #[schemars(length(max = 100))]
    subscribers: Vec<String>,
    /// Only this account's replies.
    #[serde(default)]
    account: Option<String>,
    /// Only replies that a subscriber does not have.
    #[serde(default)]
    only: Option<Only>,
    /// As new events, with ids of their own.
    #[serde(default)]
    as_new: bool,
    /// Only say what would be delivered.
    #[serde(default)]
    dry_run: bool,
}

impl NewReplay {
    fn wanted(&self) -> Result<Wanted, Problem> {
        let hour = |name: &str, text: &str| {
            let wrong = |_| {
                Problem::new(
                    Code::BodyInvalid,
                    format!("`{name}` must be an hour like 2008-05-27_12"),
                )
            };
            text.parse().map_err(wrong)
        };
        if self.subscribers.len() > SUBSCRIBERS_MAX {
            return Err(Problem::new(Code::BodyInvalid, "`subscribers` may have 100 names"));
        }
        Ok(Wanted {
            hour: hour("hour", &self.hour)?,
            to: self.to.as_deref().map(|text| hour("to", text)).transpose()?,
            subscribers: self.subscribers.clone(),
            account: self.account.clone(),
            selection: match self.only {
                None => Selection::All,
                Some(Only::Missing) => Selection::Missing,
                Some(Only::Failed) => Selection::Failed,
            },
            as_new: self.as_new,
        })
    }
}

impl From<Wrong> for Problem {
    fn from(wrong: Wrong) -> Self {
        match &wrong {
            // Without the name that was asked for: it is not known to be one.
            Wrong::Unknown { noun, known, .. } => {
                Self::new(Code::NameUnknown, format!("no {noun} has this name; there is {known}"))
            }
            Wrong::OutOfOrder { .. } | Wrong::ToCome(_) => {
                Self::new(Code::BodyInvalid, wrong.to_string())
            }
        }
    }
}

async fn list(ask: Ask) -> Result<Response, Problem> {
    let limit = ask.limit();
    let jobs = ask.store().replay_jobs(ask.cursor(LIST)?, limit).await?;
    let next = jobs.last().filter(|_| jobs.len() == limit).map(|job| job.id);
    Ok(answer(
        200,
        &ReplayPage {
            items: jobs.iter().map(Replay::of).collect(),
            next_cursor: next.map(|id| page::write(LIST, &id)),
        },
    ))
}

async fn start(ask: Ask) -> Result<Response, Problem> {
    let new: NewReplay = ask.json()?;
    let wanted = new.wanted()?;
    let request = wanted.request(&ask.config(), ask.now)?;
    let store = ask.store();
    if let Some(name) = store.unknown_subscribers(request.subscribers.clone()).await?.first() {
        let detail = format!("subscriber {name:?} is not in the store yet");
        return Err(Problem::new(Code::NameUnknown, detail)
            .then("Wait until the service has read its configuration."));
    }
    let mut sum = ReplaySum {
        hour: wanted.hour.to_string(),
        to: wanted.to.map(|hour| hour.to_string()),
        only: ReplaySum::only(wanted.selection),
        as_new: wanted.as_new,
        dry_run: new.dry_run,
        refetched: None,
        replies: 0,
        deliveries: request
            .subscribers
            .iter()
            .map(|name| (name.clone(), 0))
            .collect::<BTreeMap<_, _>>(),
        jobs: Vec::new(),
    };
    if new.dry_run {
        (sum.replies, sum.deliveries) = look(store, &request, |_, _| {}).await?;
        return Ok(answer(200, &sum));
    }
    let extent = store.replay_extent(request.clone()).await?;
    sum.replies = extent.replies;
    if extent.replies == 0 || request.subscribers.is_empty() {
        return Ok(answer(200, &sum));
    }
    let entry = NewAuditEntry {
        token: ask.who().to_owned(),
        action: "replays.start",
        target: format!("hours {} to {}", request.first, request.last),
    };
    let job = store.audited(entry.clone()).put_replay(request, extent, ask.now).await?;
    super::tell(&entry, &format!("replay {job}"));
    sum.jobs.push(ReplayJobState::of(job, ReplayState::Running));
    let mut response = answer(202, &sum);
    if let Ok(place) = format!("/api/v1/replays/{job}").parse() {
        response.headers_mut().insert(LOCATION, place);
    }
    Ok(response)
}

async fn one_job(ask: &Ask) -> Result<ReplayJob, Problem> {
    let id = ask.number("job");
    let missing = || Problem::new(Code::NotFound, format!("there is no replay {id}"));
    ask.store().replay_job(id).await?.ok_or_else(missing)
}

async fn show(ask: Ask) -> Result<Response, Problem> {
    Ok(answer(200, &Replay::of(&one_job(&ask).await?)))
}

async fn cancel(ask: Ask) -> Result<Response, Problem> {
    let id = one_job(&ask).await?.id;
    let entry = NewAuditEntry {
        token: ask.who().to_owned(),
        action: "replays.cancel",
        target: format!("replay {id}"),
    };
    let stood = ask.store().audited(entry.clone()).cancel_replay(id, ask.now).await?;
    if let Some(stood) = stood.filter(|stood| *stood != ReplayState::Running) {
        let detail = format!("replay {id} does not run: it is {}", stood.as_str());
        return Err(Problem::new(Code::StateConflict, detail));
    }
    super::tell(&entry, "cancelled");
    show(ask).await
}

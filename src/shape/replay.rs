//! A replay: replies delivered again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::store::replay::{ReplayJob, ReplayState, Selection};

/// A replay, as a job of the store.
#[derive(Serialize, JsonSchema)]
pub struct Replay {
    /// Its number.
    job: i64,
    /// `running`, `done` or `cancelled`.
    state: &'static str,
    /// When it was asked for.
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// When it was done or cancelled.
    #[schemars(extend("format" = "date-time"))]
    ended_at: Option<String>,
    /// The first hour, as 2008-05-27_12.
    hour: String,
    /// The last hour.
    to: String,
    /// The account; none means all.
    account: Option<String>,
    /// `missing` or `failed`; none means all replies.
    only: Option<&'static str>,
    /// Whether they are told as new events.
    as_new: bool,
    /// Whether the hours were read from the gateway again.
    refetched: bool,
    /// Replies of the hours, as there were when it was asked for.
    replies: usize,
    /// How many of them were looked at.
    looked_at: usize,
    /// New deliveries, by subscriber.
    deliveries: BTreeMap<String, usize>,
}

/// The word for a selection; none for all.
#[must_use]
fn only(selection: Selection) -> Option<&'static str> {
    (selection != Selection::All).then(|| selection.as_str())
}

impl Replay {
    /// The shape of a replay.
    #[must_use]
    pub fn of(job: &ReplayJob) -> Self {
        let request = &job.request;
        Self {
            job: job.id,
            state: job.state.as_str(),
            created_at: job.created.beijing().rfc3339(),
            ended_at: job.ended.map(|ended| ended.beijing().rfc3339()),
            hour: request.first.to_string(),
            to: request.last.to_string(),
            account: request.account.clone(),
            only: only(request.selection),
            as_new: request.as_new,
            refetched: request.new_since.is_some(),
            replies: job.replies,
            looked_at: job.looked_at,
            deliveries: job.deliveries.iter().cloned().collect(),
        }
    }
}

/// A job of a replay, in short.
#[derive(Serialize, JsonSchema)]
pub struct ReplayJobState {
    /// Its number.
    job: i64,
    /// `running`, `done` or `cancelled`.
    state: &'static str,
}

impl ReplayJobState {
    /// The shape of where a job stands.
    #[must_use]
    pub fn of(job: i64, state: ReplayState) -> Self {
        Self { job, state: state.as_str() }
    }
}

/// What a wish to replay came to.
#[derive(Serialize, JsonSchema)]
pub struct ReplaySum {
    /// The first hour.
    pub hour: String,
    /// The last hour, where one was named.
    pub to: Option<String>,
    /// `missing` or `failed`; none means all replies.
    pub only: Option<&'static str>,
    /// Whether they are told as new events.
    pub as_new: bool,
    /// Whether nothing was made, and only counted.
    pub dry_run: bool,
    /// What was read from the gateway first; none where that was not wanted.
    pub refetched: Option<Vec<serde_json::Value>>,
    /// Replies of the hours.
    pub replies: usize,
    /// Deliveries that were or would be made, by subscriber. Of a job that still runs, see the job.
    pub deliveries: BTreeMap<String, usize>,
    /// The jobs that were made.
    pub jobs: Vec<ReplayJobState>,
}

impl ReplaySum {
    /// The word for a selection; none for all.
    #[must_use]
    pub fn only(selection: Selection) -> Option<&'static str> {
        only(selection)
    }
}

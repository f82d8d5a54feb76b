//! `replyd replay list`, `show` and `cancel`: the jobs that replays are.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::table::{Align, Table, visible};
use crate::cli::{load, output};
use crate::clock::Clock;
use crate::shape::Replay;
use crate::store::replay::{ReplayRequest, ReplayState, Selection};
use crate::store::{OpenMode, Store};

/// The most that a list shows: all of them are in memory at once.
const LIST_MAX: u64 = 10_000;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the replays that were asked for, newest first
    #[command(visible_alias = "jobs", after_help = LIST_HELP)]
    List(ListArguments),
    /// Show all about one replay
    #[command(after_help = SHOW_HELP)]
    Show(JobArguments),
    /// End a replay that still runs; the deliveries that it made stay
    #[command(after_help = CANCEL_HELP)]
    Cancel(JobArguments),
}

const LIST_HELP: &str = "\
Examples:
  replyd replay list
  replyd replay list --limit 100 --json";
const SHOW_HELP: &str = "\
Example:
  replyd replay show 3

Exit codes: 0 shown, 66 no such replay.";
const CANCEL_HELP: &str = "\
Example:
  replyd replay cancel 3      `deliveries cancel` is for the deliveries that it made

Exit codes: 0 ended, 1 it was over already, 66 no such replay.";

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=LIST_MAX))]
    limit: u64,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct JobArguments {
    /// The replay, as `replay list` numbers it
    #[arg(value_name = "JOB", value_parser = clap::value_parser!(i64).range(1..))]
    job: i64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command that the arguments name, on the store, beside the service or without it.
pub(super) async fn jobs(path: &Path, command: &Command) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    match command {
        Command::List(arguments) => list(&store, arguments).await,
        Command::Show(arguments) => show(&store, arguments).await,
        Command::Cancel(arguments) => cancel(&store, arguments).await,
    }
}

async fn list(store: &Store, arguments: &ListArguments) -> Result<Exit, Failure> {
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let jobs = store.replay_jobs(None, limit).await?;
    if arguments.json {
        jobs.iter().for_each(|job| output::json(&json!(Replay::of(job))));
        return Ok(Exit::Done);
    }
    if jobs.is_empty() {
        output::talk("nothing was replayed yet");
    }
    let mut table = Table::new([
        ("job", Align::Right),
        ("asked for", Align::Left),
        ("hours", Align::Left),
        ("of", Align::Left),
        ("state", Align::Left),
        ("looked at", Align::Right),
        ("replies", Align::Right),
        ("deliveries", Align::Right),
    ]);
    for job in &jobs {
        table.row([
            job.id.to_string(),
            job.created.beijing().to_string(),
            hours(&job.request),
            limits(&job.request).join(", "),
            job.state.as_str().to_owned(),
            job.looked_at.to_string(),
            job.replies.to_string(),
            job.deliveries.iter().map(|(_, made)| made).sum::<usize>().to_string(),
        ]);
    }
    table.print();
    Ok(Exit::Done)
}

async fn show(store: &Store, arguments: &JobArguments) -> Result<Exit, Failure> {
    let job = store.replay_job(arguments.job).await?.ok_or_else(|| none(arguments.job))?;
    if arguments.json {
        output::json(&json!(Replay::of(&job)));
        return Ok(Exit::Done);
    }
    let line = |name: &str, value: &str| output::data(&format!("{name:<12}{}", visible(value)));
    line("replay", &job.id.to_string());
    line("state", job.state.as_str());
    line("asked for", &format!("{} (Beijing time)", job.created.beijing()));
    if let Some(ended) = job.ended {
        line("ended", &ended.beijing().to_string());
    }
    line("hours", &hours(&job.request));
    let limits = limits(&job.request);
    if !limits.is_empty() {
        line("of", &limits.join(", "));
    }
    line("replies", &job.replies.to_string());
    line("looked at", &job.looked_at.to_string());
    for (subscriber, made) in &job.deliveries {
        line("deliveries", &format!("{made} to {subscriber}"));
    }
    Ok(Exit::Done)
}

async fn cancel(store: &Store, arguments: &JobArguments) -> Result<Exit, Failure> {
    let now = Clock::system().unix();
    let stood = store.cancel_replay(arguments.job, now).await?;
    let (Some(stood), Some(job)) = (stood, store.replay_job(arguments.job).await?) else {
        return Err(none(arguments.job));
    };
    if arguments.json {
        output::json(&json!(Replay::of(&job)));
    } else if stood == ReplayState::Running {
        let made: usize = job.deliveries.iter().map(|(_, made)| made).sum();
        output::data(&format!(
            "replay {} is cancelled: {} of {} replies were looked at; {} that it made {}",
            job.id,
            job.looked_at,
            job.replies,
            output::count(made, "delivery", "deliveries"),
            if made == 1 { "stays" } else { "stay" },
        ));
    }
    if stood != ReplayState::Running {
        output::talk(&format!("replay {} does not run: it is {}", job.id, stood.as_str()));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

fn none(job: i64) -> Failure {
    Failure::new(Exit::NotFound, format!("replyd: there is no replay {job}"))
}

fn hours(request: &ReplayRequest) -> String {
    match request.first == request.last {
        true => request.first.to_string(),
        false => format!("{} to {}", request.first, request.last),
    }
}

/// What was asked for of the hours, besides to whom it goes.
fn limits(request: &ReplayRequest) -> Vec<String> {
    let account = request.account.as_ref().map(|name| format!("account {name}"));
    let selection = match request.selection {
        Selection::All => None,
        selection => Some(format!("only {}", selection.as_str())),
    };
    let as_new = request.as_new.then(|| "as new".to_owned());
    account.into_iter().chain(selection).chain(as_new).collect()
}

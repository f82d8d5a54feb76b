//! `replyd replay HOUR`: the replies of an hour, or of several, again; and the jobs that this makes.

mod course;
mod jobs;
mod refetch;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::replay::course::Course;
use crate::cli::replay::refetch::{Refetch, Refetched};
use crate::cli::table::visible;
use crate::cli::{chosen, load, output, signals};
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::replay::{Wanted as Again, Wrong};
use crate::shape::{ReplayJobState, ReplaySum};
use crate::store::journal::JournalFilter;
use crate::store::read::ReadId;
use crate::store::replay::{ReplayRequest, ReplayState, Selection};
use crate::store::{OpenMode, Store};
use crate::time::{Hour, parse_duration};

/// The most hours read from the gateway again at once: as far back as an hour is ever owed, and
/// ten days of slots. What is in the store is replayed from as long ago as it is kept.
const REFETCHED_HOURS_MAX: i64 = 62 * 24;

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = AFTER_HELP,
    override_usage = "replyd replay [OPTIONS] <HOUR>\n       replyd replay <COMMAND>",
    subcommand_negates_reqs = true,
    // Also behind options that every command has: `replay --config FILE list`.
    subcommand_precedence_over_arg = true
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<jobs::Command>,
    #[command(flatten)]
    wanted: Option<Wanted>,
}

/// What is to be delivered again, and how.
#[derive(Debug, clap::Args)]
struct Wanted {
    /// The hour in which the replies were written, in Beijing time: 2008-05-27_12
    hour: Hour,
    /// All hours up to this one, itself included (with --refetch, at most 62 days)
    #[arg(long, value_name = "HOUR")]
    to: Option<Hour>,
    /// Only to this subscriber (repeatable)
    #[arg(long = "subscriber", value_name = "NAME")]
    subscribers: Vec<String>,
    /// Only this account's replies
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only replies that a subscriber does not have
    #[arg(long, value_name = "WHICH")]
    only: Option<Only>,
    /// As new events: with ids of their own, `rpn_…`, and the reply's as `replay_of` in the data
    #[arg(long)]
    as_new: bool,
    /// Read each hour from the gateway first, and say what was new
    #[arg(long, conflicts_with = "dry_run")]
    refetch: bool,
    /// With --refetch: wait so long in all for the gateway's slot, such as 30m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "refetch")]
    wait: Option<Duration>,
    /// Only say what would be delivered
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
The replies keep their ids: a receiver that dedupes by `webhook-id` ignores those that it has,
unless they come --as-new. The running service sends them, or its next start.

A replay is a job in the store. This command carries it out; where it is ended before that, the
running service goes on, or its next start, and no reply is delivered twice or left out. The same
replay asked for twice is two jobs, and delivers twice, unless --only tells what is still missing.

With --refetch each account's hours are read by `time`, one per slot of the gateway (ten minutes),
and of each it is said how many replies were new, how many known, and how many known ones were
missing in the answer. New ones are delivered as any new reply is. Where the slot is taken for
longer than --wait, it exits with 75 and says when the gateway may be asked; hours that were read
until then are delivered.

Examples:
  replyd replay 2008-05-27_12 --dry-run
  replyd replay 2008-05-27_00 --to 2008-05-27_23 --subscriber crm --only missing
  replyd replay 2008-05-27_12 --refetch --wait 30m
  replyd replay list

Exit codes: 0 done, 1 some of it failed, 66 nothing of that name, 69 the gateway gave no answer,
75 not yet, or ended before it was done; 77 the gateway refused the account, 78 configuration.";

/// Which replies are wanted, by what became of telling a subscriber before.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Only {
    /// Never delivered to it, and on no way to it
    Missing,
    /// Whose last delivery to it was given up
    Failed,
}

impl Wanted {
    fn last(&self) -> Hour {
        self.to.unwrap_or(self.hour)
    }

    fn selection(&self) -> Selection {
        match self.only {
            None => Selection::All,
            Some(Only::Missing) => Selection::Missing,
            Some(Only::Failed) => Selection::Failed,
        }
    }

    /// What is to be delivered again.
    fn again(&self) -> Again {
        Again {
            hour: self.hour,
            to: self.to,
            subscribers: self.subscribers.clone(),
            account: self.account.clone(),
            selection: self.selection(),
            as_new: self.as_new,
        }
    }

    /// Refuses more hours than are read from the gateway at once.
    fn require_few_hours(&self) -> Result<(), Failure> {
        let count = self.last().number() - self.hour.number() + 1;
        if self.refetch && count > REFETCHED_HOURS_MAX {
            return Err(Failure::usage(format!(
                "{count} hours are more than {REFETCHED_HOURS_MAX}, 62 days, which are the most to be refetched at once"
            )));
        }
        Ok(())
    }
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Unknown { .. } => Self::new(Exit::NotFound, format!("replyd: {wrong}")),
            Wrong::OutOfOrder { .. } | Wrong::ToCome(_) => Self::usage(wrong),
        }
    }
}

/// Carries out a replay, or looks at those that there are.
pub(super) async fn replay(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    match (&arguments.command, &arguments.wanted) {
        (Some(command), None) => jobs::jobs(path, command).await,
        (Some(_), Some(_)) => {
            Err(Failure::usage("an hour cannot be used with a command such as list"))
        }
        (None, Some(wanted)) => again(path, wanted).await,
        (None, None) => Err(Failure::usage("an hour is needed, such as 2008-05-27_12")),
    }
}

/// What the parts of a replay came to in sum.
#[derive(Default)]
struct Sum {
    replies: usize,
    deliveries: BTreeMap<String, usize>,
    /// The jobs, with how each stands.
    jobs: Vec<(i64, ReplayState)>,
}

impl Sum {
    fn add(&mut self, replies: usize, deliveries: &[(String, usize)]) {
        self.replies += replies;
        for (name, count) in deliveries {
            *self.deliveries.entry(name.clone()).or_default() += count;
        }
    }

    /// How the command ends where nothing else went wrong: a job that still runs is not done yet,
    /// and of one that was cancelled a part is missing.
    fn exit(&self) -> Exit {
        if self.jobs.iter().any(|(_, state)| *state == ReplayState::Cancelled) {
            Exit::Failed
        } else if self.jobs.iter().any(|(_, state)| *state == ReplayState::Running) {
            Exit::NotNow
        } else {
            Exit::Done
        }
    }
}

async fn again(path: &Path, wanted: &Wanted) -> Result<Exit, Failure> {
    let config = load(path)?;
    let clock = Clock::system();
    let mut request = wanted.again().request(&config, clock.unix())?;
    wanted.require_few_hours()?;
    let subscribers = request.subscribers.clone();
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    // What is read from the gateway is kept, even where nobody is told.
    if subscribers.is_empty() && !wanted.refetch {
        return Err(Failure::new(Exit::NotFound, "replyd: no subscriber is configured"));
    }
    // Looked at first, so that a name that is not in the store yet leaves nothing half done.
    if let Some(name) = store.unknown_subscribers(subscribers.clone()).await?.first() {
        return Err(chosen::not_stored("subscriber", name));
    }
    let is_look = wanted.dry_run || subscribers.is_empty();
    let mut sum = Sum::default();
    sum.deliveries.extend(subscribers.iter().map(|name| (name.clone(), 0)));
    let mut course = Course { store: &store, clock: &clock, sum: &mut sum };
    let mut refetched = Vec::new();
    if is_look && !wanted.refetch {
        course.look(&request).await?;
    } else {
        let stop = signals::listen().map_err(anyhow::Error::from)?.stop;
        let mut requests = vec![request.clone()];
        if wanted.refetch {
            request.new_since = Some(next_read(&store).await?);
            let mut refetch = Refetch {
                store: &store,
                clock: &clock,
                stop: &stop,
                patience: wanted.wait.unwrap_or_default(),
            };
            refetched = refetch_all(config, &mut refetch, wanted).await?;
            requests = requests_of(&request, &refetched);
        }
        for request in &requests {
            match is_look {
                true => course.look(request).await?,
                false => course.run(request, &stop).await?,
            }
        }
    }
    if wanted.json {
        output::json(&json!(as_shape(wanted, &sum, &refetched)));
    } else {
        in_words(wanted, &sum, &refetched);
    }
    let worst = refetched.iter().map(|refetched| refetched.exit).find(|exit| *exit != Exit::Done);
    Ok(worst.unwrap_or_else(|| sum.exit()))
}

/// The number that the next read will have, or a later one.
async fn next_read(store: &Store) -> Result<ReadId, Failure> {
    let last = store.journal(JournalFilter { limit: 1, ..JournalFilter::default() }).await?;
    Ok(ReadId(last.first().map_or(1, |row| row.id.0 + 1)))
}

async fn refetch_all(
    mut config: Config,
    refetch: &mut Refetch<'_>,
    wanted: &Wanted,
) -> Result<Vec<Refetched>, Failure> {
    if let Some(name) = &wanted.account {
        config.accounts.retain(|account| account.name == *name);
    }
    for account in &config.accounts {
        if refetch.store.account(&account.name).await?.is_none() {
            return Err(chosen::not_stored("account", &account.name));
        }
    }
    let tell = |refetched: &Refetched| {
        if !wanted.json {
            let Refetched { account, hour, words, .. } = refetched;
            output::data(&format!("{hour} {account}: {}", visible(words)));
        }
    };
    let mut all = Vec::new();
    for account in config.accounts {
        if refetch.stop.is_cancelled() {
            break;
        }
        let hours = wanted.hour.through(wanted.last());
        all.extend(refetch.account(account, hours, tell).await?);
    }
    Ok(all)
}

/// One request for each account's hours for which the gateway was asked: they are read in their
/// order, and the first that is not read ends them.
fn requests_of(request: &ReplayRequest, refetched: &[Refetched]) -> Vec<ReplayRequest> {
    let mut requests: Vec<ReplayRequest> = Vec::new();
    for Refetched { account, hour, .. } in refetched.iter().filter(|refetched| refetched.asked) {
        match requests.last_mut().filter(|last| last.account.as_ref() == Some(account)) {
            Some(last) => last.last = *hour,
            None => requests.push(ReplayRequest {
                account: Some(account.clone()),
                first: *hour,
                last: *hour,
                ..request.clone()
            }),
        }
    }
    requests
}

fn as_shape(wanted: &Wanted, sum: &Sum, refetched: &[Refetched]) -> ReplaySum {
    let refetched = refetched.iter().map(|refetched| refetched.json.clone()).collect::<Vec<_>>();
    ReplaySum {
        hour: wanted.hour.to_string(),
        to: wanted.to.map(|hour| hour.to_string()),
        only: ReplaySum::only(wanted.selection()),
        as_new: wanted.as_new,
        dry_run: wanted.dry_run,
        refetched: wanted.refetch.then_some(refetched),
        replies: sum.replies,
        deliveries: sum.deliveries.clone(),
        jobs: sum.jobs.iter().map(|(id, state)| ReplayJobState::of(*id, *state)).collect(),
    }
}

fn in_words(wanted: &Wanted, sum: &Sum, refetched: &[Refetched]) {
    if wanted.refetch && !refetched.iter().any(|refetched| refetched.asked) {
        output::talk("nothing was read, so nothing is delivered again");
        return;
    }
    let replies = output::count(sum.replies, "reply", "replies");
    let hours = match wanted.to {
        Some(last) => format!("{} to {last}", wanted.hour),
        None => wanted.hour.to_string(),
    };
    output::data(&format!("{hours}: {replies}"));
    let verb = match (wanted.dry_run, wanted.as_new) {
        (true, false) => "would be delivered again",
        (true, true) => "would be delivered again, as new",
        (false, false) => "will be delivered again by the running service, or at its next start",
        (false, true) => {
            "will be delivered again, as new, by the running service, or at its next start"
        }
    };
    for (subscriber, count) in &sum.deliveries {
        output::data(&format!("  {subscriber}: {count} {verb}"));
    }
    if sum.replies == 0 {
        output::talk(match wanted.to {
            Some(_) => "no reply of these hours is in the store",
            None => "no reply of this hour is in the store",
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_accounts_hours_that_were_read_are_one_request() {
        let hour = |text: &str| text.parse::<Hour>().unwrap();
        let request = ReplayRequest {
            first: hour("2008-05-27_12"),
            last: hour("2008-05-27_20"),
            account: None,
            subscribers: Vec::new(),
            selection: Selection::Missing,
            as_new: true,
            new_since: Some(ReadId(7)),
        };
        let refetched: Vec<Refetched> = [
            ("main", "2008-05-27_12", true),
            ("main", "2008-05-27_13", true),
            ("main", "2008-05-27_14", false),
            ("second", "2008-05-27_12", false),
            ("third", "2008-05-27_12", true),
        ]
        .into_iter()
        .map(|(account, at, asked)| Refetched {
            account: account.to_owned(),
            hour: hour(at),
            exit: Exit::Done,
            asked,
            words: String::new(),
            json: Value::Null,
        })
        .collect();
        let of = |account: &str, last: &str| ReplayRequest {
            account: Some(account.to_owned()),
            last: hour(last),
            ..request.clone()
        };
        let expected = [of("main", "2008-05-27_13"), of("third", "2008-05-27_12")];
        assert_eq!(requests_of(&request, &refetched), expected);
        assert_eq!(requests_of(&request, &[]), []);
    }
}

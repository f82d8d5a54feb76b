//! `replyd replay HOUR`: the replies of an hour, or of several, again.

mod refetch;

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::exit::{Exit, Failure};
use crate::cli::replay::refetch::{Refetch, Refetched};
use crate::cli::table::visible;
use crate::cli::{chosen, load, output, signals};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::journal::JournalFilter;
use crate::store::read::ReadId;
use crate::store::replay::{ReplayRequest, Replayed, Selection};
use crate::store::{OpenMode, Store};
use crate::time::{Hour, UnixMs, parse_duration};

/// The most hours replayed at once: as far back as an hour is ever owed.
const HOURS_MAX: i64 = 62 * 24;

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The hour in which the replies were written, in Beijing time: 2008-05-27_12
    hour: Hour,
    /// All hours up to this one, itself included (at most 62 days)
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
The replies keep their ids: a receiver that dedupes by `webhook-id` ignores those that it has. The
running service sends them, or its next start.

With --refetch each account's hours are read by `time`, one per slot of the gateway (ten minutes),
and of each it is said how many replies were new, how many known, and how many known ones were
missing in the answer. New ones are delivered as any new reply is. Where the slot is taken for
longer than --wait, it exits with 75 and says when the gateway may be asked; hours that were read
until then are delivered.";

/// Which replies are wanted, by what became of telling a subscriber before.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Only {
    /// Never delivered to it, and on no way to it
    Missing,
    /// Whose last delivery to it was given up
    Failed,
}

impl Arguments {
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

    /// Refuses hours that are no range, and those that nobody can have replied in yet.
    fn require_hours(&self, now: UnixMs) -> Result<(), Failure> {
        let (first, last) = (self.hour, self.last());
        if last < first {
            return Err(Failure::usage(format!(
                "the hours are out of order: {last} is before {first}"
            )));
        }
        if last > now.beijing().hour() {
            return Err(Failure::usage(format!("{last} has not begun yet (Beijing time)")));
        }
        let count = last.number() - first.number() + 1;
        if count > HOURS_MAX {
            return Err(Failure::usage(format!(
                "{count} hours are more than {HOURS_MAX}, 62 days"
            )));
        }
        Ok(())
    }
}

/// Makes new deliveries with the ids that the replies have: a receiver that dedupes will ignore
/// those that it has. The running service sends them.
pub(super) async fn replay(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let clock = Clock::system();
    arguments.require_hours(clock.now().unix)?;
    let wanted = wanted_subscribers(&config, arguments)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    // What is read from the gateway is kept, even where nobody is told.
    if wanted.is_empty() && !arguments.refetch {
        return Err(Failure::new(Exit::NotFound, "replyd: no subscriber is configured"));
    }
    let mut request = ReplayRequest {
        hour: arguments.hour,
        account: arguments.account.clone(),
        subscribers: wanted.clone(),
        selection: arguments.selection(),
        new_since: None,
        dry_run: true,
    };
    // Looked at first, so that a name that is not in the store yet leaves nothing half done.
    let mut replayed = store.replay(request.clone(), clock.now().unix).await?;
    let is_stored = |name: &String| replayed.deliveries.iter().any(|(stored, _)| stored == name);
    if let Some(name) = wanted.iter().find(|name| !is_stored(name)) {
        return Err(chosen::not_stored("subscriber", name));
    }
    clear(&mut replayed);
    request.dry_run = arguments.dry_run;
    let mut refetched = Vec::new();
    if arguments.refetch {
        request.new_since = Some(next_read(&store).await?);
        refetched = refetch(config, &store, &clock, arguments).await?;
        for asked in refetched.iter().filter(|refetched| refetched.asked) {
            request.account = Some(asked.account.clone());
            request.hour = asked.hour;
            add(&mut replayed, &store, &request, &clock).await?;
        }
    } else {
        for hour in arguments.hour.through(arguments.last()) {
            request.hour = hour;
            add(&mut replayed, &store, &request, &clock).await?;
        }
    }
    if arguments.json {
        output::json(&as_json(arguments, &replayed, &refetched));
    } else {
        in_words(arguments, &replayed, &refetched);
    }
    let worst = refetched.iter().map(|refetched| refetched.exit).find(|exit| *exit != Exit::Done);
    Ok(worst.unwrap_or(Exit::Done))
}

/// The names of the subscribers that were named, or of all.
fn wanted_subscribers(config: &Config, arguments: &Arguments) -> Result<Vec<String>, Failure> {
    let subscribers: Vec<&str> =
        config.subscribers.iter().map(|subscriber| subscriber.name.as_str()).collect();
    for name in &arguments.subscribers {
        chosen::require("subscriber", name, &subscribers)?;
    }
    let accounts: Vec<&str> = config.accounts.iter().map(|account| account.name.as_str()).collect();
    if let Some(name) = &arguments.account {
        chosen::require("account", name, &accounts)?;
    }
    if !arguments.subscribers.is_empty() {
        return Ok(arguments.subscribers.clone());
    }
    Ok(subscribers.into_iter().map(str::to_owned).collect())
}

/// The number that the next read will have, or a later one.
async fn next_read(store: &Store) -> Result<ReadId, Failure> {
    let last = store.journal(JournalFilter { limit: 1, ..JournalFilter::default() }).await?;
    Ok(ReadId(last.first().map_or(1, |row| row.id.0 + 1)))
}

async fn refetch(
    mut config: Config,
    store: &Store,
    clock: &Clock,
    arguments: &Arguments,
) -> Result<Vec<Refetched>, Failure> {
    if let Some(name) = &arguments.account {
        config.accounts.retain(|account| account.name == *name);
    }
    for account in &config.accounts {
        if store.account(&account.name).await?.is_none() {
            return Err(chosen::not_stored("account", &account.name));
        }
    }
    let stop = signals::listen().map_err(anyhow::Error::from)?;
    let patience = arguments.wait.unwrap_or_default();
    let mut refetch = Refetch { store, clock, stop: &stop, patience };
    let tell = |refetched: &Refetched| {
        if !arguments.json {
            let Refetched { account, hour, words, .. } = refetched;
            output::data(&format!("{hour} {account}: {}", visible(words)));
        }
    };
    let mut all = Vec::new();
    for account in config.accounts {
        if stop.is_cancelled() {
            break;
        }
        let hours = arguments.hour.through(arguments.last());
        all.extend(refetch.account(account, hours, tell).await?);
    }
    Ok(all)
}

/// Replays an hour and adds what it came to. One that has nothing to deliver is only looked at.
async fn add(
    sum: &mut Replayed,
    store: &Store,
    request: &ReplayRequest,
    clock: &Clock,
) -> Result<(), Failure> {
    let now = clock.now().unix;
    let look = ReplayRequest { dry_run: true, ..request.clone() };
    let mut replayed = store.replay(look, now).await?;
    if !request.dry_run && replayed.deliveries.iter().any(|(_, count)| *count > 0) {
        replayed = store.replay(request.clone(), now).await?;
    }
    sum.replies += replayed.replies;
    for ((_, sum), (_, count)) in sum.deliveries.iter_mut().zip(replayed.deliveries) {
        *sum += count;
    }
    Ok(())
}

fn clear(replayed: &mut Replayed) {
    replayed.replies = 0;
    replayed.deliveries.iter_mut().for_each(|(_, count)| *count = 0);
}

fn as_json(arguments: &Arguments, replayed: &Replayed, refetched: &[Refetched]) -> Value {
    let deliveries: serde_json::Map<String, Value> =
        replayed.deliveries.iter().map(|(name, count)| (name.clone(), json!(count))).collect();
    let only = arguments.only.and_then(|only| only.to_possible_value());
    let refetched = refetched.iter().map(|refetched| refetched.json.clone()).collect::<Vec<_>>();
    json!({
        "hour": arguments.hour.to_string(),
        "to": arguments.to.map(|hour| hour.to_string()),
        "only": only.map(|only| only.get_name().to_owned()),
        "dry_run": arguments.dry_run,
        "refetched": arguments.refetch.then_some(refetched),
        "replies": replayed.replies,
        "deliveries": deliveries,
    })
}

fn in_words(arguments: &Arguments, replayed: &Replayed, refetched: &[Refetched]) {
    if arguments.refetch && !refetched.iter().any(|refetched| refetched.asked) {
        output::talk("nothing was read, so nothing is delivered again");
        return;
    }
    let replies = output::count(replayed.replies, "reply", "replies");
    let hours = match arguments.to {
        Some(last) => format!("{} to {last}", arguments.hour),
        None => arguments.hour.to_string(),
    };
    output::data(&format!("{hours}: {replies}"));
    let verb = match arguments.dry_run {
        true => "would be delivered again",
        false => "will be delivered again by the running service, or at its next start",
    };
    for (subscriber, count) in &replayed.deliveries {
        output::data(&format!("  {subscriber}: {count} {verb}"));
    }
    if replayed.replies == 0 {
        output::talk(match arguments.to {
            Some(_) => "no reply of these hours is in the store",
            None => "no reply of this hour is in the store",
        });
    }
}

//! `replyd deliveries retry`, `release` and `cancel`: by number, or by filter with the count first.

use std::collections::BTreeSet;

use serde_json::json;

use crate::cli::deliveries::filter::{FilterArguments, NAMES};
use crate::cli::exit::{Exit, Failure};
use crate::cli::progress::Progress;
use crate::cli::{consent, output};
use crate::clock::Clock;
use crate::shape::Acted;
use crate::store::Store;
use crate::store::by_hand::Act;
use crate::store::delivery::DeliveryState;

/// Arguments of the three.
#[derive(Debug, clap::Args)]
#[group(id = "which", required = true, multiple = true, args = WHICH)]
pub(super) struct Arguments {
    /// The deliveries, as `deliveries list` numbers them
    #[arg(value_name = "ID", conflicts_with_all = NAMES, conflicts_with = "all", value_parser = clap::value_parser!(i64).range(1..))]
    ids: Vec<i64>,
    #[command(flatten)]
    filter: FilterArguments,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Only say how many there are
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const WHICH: [&str; 11] = [
    "ids",
    "all",
    "subscriber",
    "states",
    "account",
    "mobile",
    "since",
    "until",
    "event_type",
    "trigger",
    "id_of_event",
];

pub(super) const RETRY_HELP: &str = "\
Without --state, those that were given up (failed) are meant; cancelled ones, and waiting ones whose
next attempt is far off, where they are named. They go out now with the ids and the bytes that they
have, their attempts are numbered on, and `give_up` counts from now. What was delivered goes out
again by `replay`.

By filter, the count is said first; on a terminal it is asked whether to go on, elsewhere --yes has
to say so.

Examples:
  replyd deliveries retry 17 18
  replyd deliveries retry --subscriber crm --since 24h --dry-run
  replyd deliveries retry --subscriber crm --state failed --state waiting --yes";

pub(super) const RELEASE_HELP: &str = "\
Held are the deliveries of suspect replies to subscribers with `hold_suspect`. `give_up` counts from
the release.

Examples:
  replyd deliveries release 17 18
  replyd deliveries release --subscriber crm --dry-run";

pub(super) const CANCEL_HELP: &str = "\
By filter, the count is said first; on a terminal it is asked whether to go on, elsewhere --yes has
to say so. `retry` brings back what was cancelled.

Examples:
  replyd deliveries cancel 19
  replyd deliveries cancel --subscriber old-crm --until 2008-05-27 --dry-run";

/// The words for an act.
struct Words {
    /// What is done to them: `to retry`.
    to_do: &'static str,
    /// What was done to them, also in JSON.
    done: &'static str,
    /// What those are to which it cannot be done.
    fit: &'static str,
    /// What follows from it.
    then: &'static str,
}

fn words(act: Act) -> Words {
    let then = ": sent by the running service, or at its next start";
    match act {
        Act::Release => Words { to_do: "held", done: "released", fit: "held", then },
        Act::Retry => {
            Words { to_do: "to retry", done: "retried", fit: "failed, cancelled or waiting", then }
        }
        Act::Cancel => {
            Words { to_do: "to cancel", done: "cancelled", fit: "held or waiting", then: "" }
        }
    }
}

/// Does it to the deliveries that were named, or that the filter lets through.
pub(super) async fn act(store: &Store, act: Act, arguments: &Arguments) -> Result<Exit, Failure> {
    if arguments.ids.is_empty() {
        by_filter(store, act, arguments).await
    } else {
        by_number(store, act, arguments).await
    }
}

/// Does it to what was counted, and to nothing that came since.
async fn by_filter(store: &Store, act: Act, arguments: &Arguments) -> Result<Exit, Failure> {
    let now = Clock::system().unix();
    let filter = arguments.filter.filter(store, now).await?.for_act(act).map_err(|state| {
        let (state, fit) = (state.as_str(), words(act).fit);
        Failure::usage(format!("it is done to what is {fit}, not to what is {state}"))
    })?;
    let matching = store.matching(filter).await?;
    let by_subscriber: Vec<(String, usize)> =
        matching.iter().map(|(name, ids)| (name.clone(), ids.len())).collect();
    let ids: Vec<i64> = matching.into_iter().flat_map(|(_, ids)| ids).collect();
    let Words { to_do, .. } = words(act);
    let count = output::count(ids.len(), "delivery", "deliveries");
    let names: String =
        by_subscriber.iter().map(|(name, count)| format!(", {count} for {name}")).collect();
    if !arguments.json {
        output::data(&format!("{count} {to_do}{names}"));
    }
    // What is held was to be looked at, and somebody did: a release was never asked about.
    if act != Act::Release && !arguments.dry_run && !ids.is_empty() {
        consent::require(arguments.yes, ids.len() > 1, &format!("{count} {to_do}. Go on?"))?;
    }
    let done = if arguments.dry_run { 0 } else { carry_out(store, act, &ids).await? };
    tell(act, arguments, ids.len(), done, &[]);
    Ok(Exit::Done)
}

async fn by_number(store: &Store, act: Act, arguments: &Arguments) -> Result<Exit, Failure> {
    let distinct: BTreeSet<i64> = arguments.ids.iter().copied().collect();
    let stood = store.delivery_states(distinct.into_iter().collect()).await?;
    require_all(&stood)?;
    let known = stood.iter().filter_map(|(id, state)| Some((*id, (*state)?)));
    let (fit, others): (Vec<_>, Vec<_>) = known.partition(|(_, state)| act.applies_to(*state));
    let ids: Vec<i64> = fit.into_iter().map(|(id, _)| id).collect();
    let Words { to_do, fit, .. } = words(act);
    if !arguments.json {
        let count = output::count(ids.len(), "delivery", "deliveries");
        output::data(&format!("{count} {to_do} of {} named", stood.len()));
    }
    for (id, state) in &others {
        output::talk(&format!("delivery {id} is not {fit}: it is {}", state.as_str()));
    }
    let done = if arguments.dry_run { 0 } else { carry_out(store, act, &ids).await? };
    tell(act, arguments, ids.len(), done, &others);
    Ok(if others.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Refuses the whole when a number is wrong: it was meant for another delivery.
fn require_all(stood: &[(i64, Option<DeliveryState>)]) -> Result<(), Failure> {
    let missing: Vec<String> =
        stood.iter().filter(|(_, state)| state.is_none()).map(|(id, _)| id.to_string()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message =
        format!("replyd: there is no delivery {}; nothing was changed", missing.join(", "));
    Err(Failure::new(Exit::NotFound, message))
}

async fn carry_out(store: &Store, act: Act, ids: &[i64]) -> Result<usize, Failure> {
    let now = Clock::system().unix();
    let progress = Progress::of("deliveries", ids.len());
    Ok(store.act_on(ids, act, now, |done| progress.at(done)).await?)
}

fn tell(
    act: Act,
    arguments: &Arguments,
    count: usize,
    done: usize,
    others: &[(i64, DeliveryState)],
) {
    let words = words(act);
    if arguments.json {
        let done = (!arguments.dry_run).then_some(done);
        output::json(&json!(Acted::of(act, (count, done), others)));
    } else if arguments.dry_run {
        output::data(&format!("none {}: this was a dry run", words.done));
    } else {
        let then = if done == 0 { "" } else { words.then };
        output::data(&format!("{done} {}{then}", words.done));
    }
}

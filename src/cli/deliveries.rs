//! `replyd deliveries`: look at them, release held ones, cancel.

use std::collections::BTreeSet;
use std::path::Path;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::table::{Align, Table};
use crate::cli::{load, output};
use crate::clock::Clock;
use crate::store::delivery::{Act, DeliveryFilter, DeliveryRow, DeliveryState, Held};
use crate::store::{OpenMode, Store};

/// The most that a list shows: all of them are in memory at once.
const LIST_MAX: u64 = 10_000;

/// Arguments of `deliveries`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List deliveries, newest first
    List(ListArguments),
    /// Let held deliveries go: they go out now, under the ids that they have
    Release(ReleaseArguments),
    /// Make deliveries that are held or waiting never go out
    Cancel(CancelArguments),
}

#[derive(Debug, clap::Args)]
struct ListArguments {
    /// Only to this subscriber
    #[arg(long, value_name = "NAME")]
    subscriber: Option<String>,
    /// Only in this state
    #[arg(long, value_parser = state_parser())]
    state: Option<DeliveryState>,
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=LIST_MAX))]
    limit: u64,
    /// Show what was typed, too
    #[arg(long)]
    content: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(id = "which", required = true, multiple = true, args = ["ids", "subscriber", "all"])]
struct ReleaseArguments {
    /// The deliveries, as `deliveries list` numbers them
    #[arg(value_name = "ID", conflicts_with_all = ["subscriber", "all"])]
    ids: Vec<i64>,
    /// All that are held for this subscriber
    #[arg(long, value_name = "NAME")]
    subscriber: Option<String>,
    /// All that are held
    #[arg(long)]
    all: bool,
    /// Only say what would be released
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct CancelArguments {
    /// The deliveries, as `deliveries list` numbers them
    #[arg(value_name = "ID", required = true)]
    ids: Vec<i64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn state_parser() -> impl TypedValueParser<Value = DeliveryState> {
    PossibleValuesParser::new(DeliveryState::ALL.map(DeliveryState::as_str))
        .try_map(|word| DeliveryState::parse(&word).ok_or("no such state"))
}

/// Runs the command that the arguments name, on the store, beside the service or without it.
pub(super) async fn deliveries(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    match &arguments.command {
        Command::List(arguments) => list(&store, arguments).await,
        Command::Release(arguments) if arguments.ids.is_empty() => {
            release_all(&store, arguments).await
        }
        Command::Release(arguments) => release(&store, arguments).await,
        Command::Cancel(arguments) => cancel(&store, arguments).await,
    }
}

async fn list(store: &Store, arguments: &ListArguments) -> Result<Exit, Failure> {
    require_subscriber(store, arguments.subscriber.as_deref()).await?;
    let filter = DeliveryFilter {
        subscriber: arguments.subscriber.clone(),
        state: arguments.state,
        limit: usize::try_from(arguments.limit).unwrap_or(usize::MAX),
    };
    let deliveries = store.deliveries(filter).await?;
    if arguments.json {
        for delivery in &deliveries {
            output::json(&as_json(delivery, arguments.content));
        }
        return Ok(Exit::Done);
    }
    if deliveries.is_empty() {
        output::talk("there is no such delivery");
    }
    as_table(&deliveries, arguments.content).print();
    Ok(Exit::Done)
}

fn as_json(delivery: &DeliveryRow, content: bool) -> serde_json::Value {
    let reply = delivery.reply.as_ref();
    let is_due = matches!(delivery.state, DeliveryState::Waiting | DeliveryState::Sending);
    let mut json = json!({
        "id": delivery.id,
        "event_id": delivery.event_id,
        "type": delivery.event_type,
        "subscriber": delivery.subscriber,
        "state": delivery.state.as_str(),
        "trigger": delivery.trigger.as_str(),
        "attempts": delivery.attempts,
        "created_at": delivery.created.beijing().rfc3339(),
        "due_at": is_due.then(|| delivery.due.beijing().rfc3339()),
        "suspect": reply.and_then(|reply| reply.suspect).map(|suspect| suspect.as_str()),
        "from": reply.map(|reply| reply.mobile.to_string()),
    });
    if let (true, Some(fields)) = (content, json.as_object_mut()) {
        fields.insert("content".to_owned(), json!(reply.map(|reply| &reply.content)));
    }
    json
}

fn as_table(deliveries: &[DeliveryRow], content: bool) -> Table<9> {
    let mut table = Table::new([
        ("ID", Align::Right),
        ("EVENT", Align::Left),
        ("SUBSCRIBER", Align::Left),
        ("STATE", Align::Left),
        ("ATTEMPTS", Align::Right),
        ("MADE", Align::Left),
        ("SUSPECT", Align::Left),
        ("FROM", Align::Left),
        ("CONTENT", Align::Left),
    ]);
    for delivery in deliveries {
        let reply = delivery.reply.as_ref();
        let suspect = reply.and_then(|reply| reply.suspect).map(|suspect| suspect.as_str());
        let text = reply.filter(|_| content).map(|reply| reply.content.clone());
        table.row([
            delivery.id.to_string(),
            delivery.event_id.clone(),
            delivery.subscriber.clone(),
            delivery.state.as_str().to_owned(),
            delivery.attempts.to_string(),
            delivery.created.beijing().to_string(),
            suspect.unwrap_or_default().to_owned(),
            reply.map(|reply| reply.mobile.to_string()).unwrap_or_default(),
            text.unwrap_or_default(),
        ]);
    }
    table
}

async fn require_subscriber(store: &Store, name: Option<&str>) -> Result<(), Failure> {
    let Some(name) = name else { return Ok(()) };
    let known = store.subscriber_names().await?;
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let message = format!("replyd: no subscriber {name:?} in the store; there is {known}");
    Err(Failure::new(Exit::NotFound, message))
}

/// Releases what is held for one subscriber or for all: what was counted, and nothing that was
/// held since.
async fn release_all(store: &Store, arguments: &ReleaseArguments) -> Result<Exit, Failure> {
    require_subscriber(store, arguments.subscriber.as_deref()).await?;
    let held = store.held(arguments.subscriber.clone()).await?;
    let count: usize = held.iter().map(|held| held.count).sum();
    if !arguments.json {
        let name = |held: &Held| format!(", {} for {}", held.count, held.subscriber);
        let names: String = held.iter().map(name).collect();
        output::data(&format!("{} held{names}", output::count(count, "delivery", "deliveries")));
    }
    let mut released = 0;
    if !arguments.dry_run {
        let now = Clock::system().now().unix;
        for held in held {
            released += store.release(held, now).await?;
        }
    }
    tell_released(arguments, count, released, &[]);
    Ok(Exit::Done)
}

async fn release(store: &Store, arguments: &ReleaseArguments) -> Result<Exit, Failure> {
    let ids = distinct(&arguments.ids);
    let stood = store.delivery_states(ids.clone()).await?;
    require_all(&stood)?;
    let (held, others) = split(Act::Release, &stood);
    if !arguments.json {
        let count = output::count(held.len(), "delivery", "deliveries");
        output::data(&format!("{count} held of {} named", ids.len()));
    }
    let mut released = 0;
    if !arguments.dry_run {
        let stood = store.act_on(held.clone(), Act::Release, Clock::system().now().unix).await?;
        released = split(Act::Release, &stood).0.len();
    }
    tell_others("held", &others);
    tell_released(arguments, held.len(), released, &others);
    Ok(if others.is_empty() { Exit::Done } else { Exit::Failed })
}

async fn cancel(store: &Store, arguments: &CancelArguments) -> Result<Exit, Failure> {
    let ids = distinct(&arguments.ids);
    let stood = store.act_on(ids, Act::Cancel, Clock::system().now().unix).await?;
    require_all(&stood)?;
    let (cancelled, others) = split(Act::Cancel, &stood);
    tell_others("held or waiting", &others);
    if arguments.json {
        output::json(&json!({ "cancelled": cancelled.len(), "others": others_as_json(&others) }));
    } else {
        let count = output::count(cancelled.len(), "delivery", "deliveries");
        output::data(&format!("{count} cancelled"));
    }
    Ok(if others.is_empty() { Exit::Done } else { Exit::Failed })
}

fn distinct(ids: &[i64]) -> Vec<i64> {
    ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
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

/// Those to which it was done or can be, and the others with where they stand.
fn split(
    act: Act,
    stood: &[(i64, Option<DeliveryState>)],
) -> (Vec<i64>, Vec<(i64, DeliveryState)>) {
    let known = stood.iter().filter_map(|(id, state)| Some((*id, (*state)?)));
    let (fit, others): (Vec<_>, Vec<_>) = known.partition(|(_, state)| act.applies_to(*state));
    (fit.into_iter().map(|(id, _)| id).collect(), others)
}

fn tell_others(wanted: &str, others: &[(i64, DeliveryState)]) {
    for (id, state) in others {
        output::talk(&format!("delivery {id} is not {wanted}: it is {}", state.as_str()));
    }
}

fn others_as_json(others: &[(i64, DeliveryState)]) -> Vec<serde_json::Value> {
    others.iter().map(|(id, state)| json!({ "id": id, "state": state.as_str() })).collect()
}

fn tell_released(
    arguments: &ReleaseArguments,
    held: usize,
    released: usize,
    others: &[(i64, DeliveryState)],
) {
    if arguments.json {
        output::json(&json!({
            "dry_run": arguments.dry_run,
            "held": held,
            "released": released,
            "others": others_as_json(others),
        }));
    } else if arguments.dry_run {
        output::data("none released: this was a dry run");
    } else {
        let tail =
            if released == 0 { "" } else { ": sent by the running service, or at its next start" };
        output::data(&format!("{released} released{tail}"));
    }
}

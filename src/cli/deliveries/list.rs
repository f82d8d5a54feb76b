//! `replyd deliveries list`: the newest deliveries.

use serde_json::json;

use crate::cli::deliveries::filter::FilterArguments;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::cli::table::{Align, Table};
use crate::clock::Clock;
use crate::event::EventType;
use crate::shape::{Content, Delivery, Numbers, from, is_due};
use crate::store::Store;
use crate::store::by_hand::DeliveryRow;
use crate::store::delivery::Trigger;
use crate::time::UnixMs;

/// The most that a list shows: all of them are in memory at once.
const LIST_MAX: u64 = 10_000;

/// Arguments of `deliveries list`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: FilterArguments,
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

const AFTER_HELP: &str = "\
Examples:
  replyd deliveries list --state failed --since 7d
  replyd deliveries list --mobile 13912345678          what became of this person's replies?
  replyd deliveries list --id-of-event rpl_…           who was told of this one?
  replyd deliveries list --state held --content

TYPE and WHY are left out where they are reply.received and auto; WHY is \"for crm\" where it stands in
for one to crm that is down, and \"to duty\" where the fallback duty took it over. NEXT is how long until the next
attempt, or until a sender that died has to have answered. Numbers are masked.";

/// Lists deliveries, newest first.
pub(super) async fn list(store: &Store, arguments: &Arguments) -> Result<Exit, Failure> {
    let now = Clock::system().unix();
    let filter = arguments.filter.filter(store, now).await?;
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let deliveries = store.deliveries(filter, None, limit).await?;
    if arguments.json {
        let content = Content::shown_if(arguments.content);
        for delivery in &deliveries {
            output::json(&json!(Delivery::of(delivery, Numbers::Masked, content)));
        }
        return Ok(Exit::Done);
    }
    if deliveries.is_empty() {
        output::talk("there is no such delivery");
    }
    as_table(&deliveries, arguments.content, now).print();
    Ok(Exit::Done)
}

fn as_table(deliveries: &[DeliveryRow], content: bool, now: UnixMs) -> Table<11> {
    let mut table = Table::new([
        ("ID", Align::Right),
        ("SUBSCRIBER", Align::Left),
        ("TYPE", Align::Left),
        ("WHY", Align::Left),
        ("STATE", Align::Left),
        ("TRIES", Align::Right),
        ("MADE", Align::Left),
        ("NEXT", Align::Right),
        ("SUSPECT", Align::Left),
        ("FROM", Align::Left),
        ("CONTENT", Align::Left),
    ]);
    let unless =
        |usual: &str, word: &str| if word == usual { String::new() } else { word.to_owned() };
    for delivery in deliveries {
        let text = delivery.told.content.clone().filter(|_| content);
        table.row([
            delivery.id.to_string(),
            delivery.subscriber.clone(),
            unless(EventType::ReplyReceived.as_str(), &delivery.event_type),
            why(delivery),
            delivery.state.as_str().to_owned(),
            delivery.attempts.to_string(),
            delivery.created.beijing().to_string(),
            next(delivery, now).unwrap_or_default(),
            delivery.told.suspect.clone().unwrap_or_default(),
            from(delivery, Numbers::Masked).unwrap_or_default(),
            text.unwrap_or_default(),
        ]);
    }
    table
}

/// Why it exists, where that is not the usual reason, or whose it is now.
fn why(delivery: &DeliveryRow) -> String {
    match (&delivery.stands_in_for, &delivery.taken_over_by) {
        (_, Some(second)) => format!("to {}", second.subscriber),
        (Some(first), None) => format!("for {}", first.subscriber),
        (None, None) if delivery.trigger == Trigger::Auto => String::new(),
        (None, None) => delivery.trigger.as_str().to_owned(),
    }
}

fn next(delivery: &DeliveryRow, now: UnixMs) -> Option<String> {
    is_due(delivery).then(|| match delivery.due > now {
        true => output::short(delivery.due.since(now)),
        false => "now".to_owned(),
    })
}

//! Which deliveries a command is about: the options that all of them have.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::arguments;
use crate::cli::exit::{Exit, Failure};
use crate::event::{EventType, TEST_TYPE};
use crate::reply::Mobile;
use crate::store::Store;
use crate::store::by_hand::DeliveryFilter;
use crate::store::delivery::{DeliveryState, Trigger};
use crate::time::{Since, UnixMs, Until};

/// What narrows deliveries down. Each option is one more condition.
#[derive(Debug, clap::Args)]
pub(super) struct FilterArguments {
    /// Only to this subscriber
    #[arg(long, value_name = "NAME")]
    subscriber: Option<String>,
    /// Only in this state (repeatable)
    #[arg(long = "state", value_name = "STATE", value_parser = arguments::delivery_state())]
    states: Vec<DeliveryState>,
    /// Only about this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only of the replies of this number, which is compared as a whole: 13912345678
    #[arg(long, value_name = "NUMBER", value_parser = arguments::mobile)]
    mobile: Option<Mobile>,
    /// Only made since: 24h ago, on 2008-05-27, or in 2008-05-27_12 (Beijing time)
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
    /// Only made until: 24h ago, the end of 2008-05-27, or of 2008-05-27_12
    #[arg(long, value_name = "WHEN")]
    until: Option<Until>,
    /// Only of events of this type
    #[arg(long, value_name = "TYPE", value_parser = type_parser())]
    event_type: Option<String>,
    /// Only those that exist for this reason
    #[arg(long, value_name = "WHY", value_parser = trigger_parser())]
    trigger: Option<Trigger>,
    /// Only of this event: the `webhook-id` that the receiver saw, rpl_… or evt_…
    #[arg(long, value_name = "ID")]
    id_of_event: Option<String>,
}

/// The names by which clap knows the options, for groups that they are part of.
pub(super) const NAMES: [&str; 9] = [
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

fn trigger_parser() -> impl TypedValueParser<Value = Trigger> {
    PossibleValuesParser::new(Trigger::ALL.map(Trigger::as_str))
        .try_map(|word| Trigger::parse(&word).ok_or("no such trigger"))
}

fn type_parser() -> impl TypedValueParser<Value = String> {
    let words = EventType::WORDS.into_iter().map(|(word, _)| word);
    PossibleValuesParser::new(words.chain([TEST_TYPE]))
}

impl FilterArguments {
    /// What the store is asked for.
    ///
    /// # Errors
    /// Where a name is not known to the store.
    pub(super) async fn filter(
        &self,
        store: &Store,
        now: UnixMs,
    ) -> Result<DeliveryFilter, Failure> {
        if let Some(name) = &self.subscriber {
            require("subscriber", name, &store.subscriber_names().await?)?;
        }
        if let Some(name) = &self.account {
            require("account", name, &store.account_names().await?)?;
        }
        Ok(DeliveryFilter {
            subscriber: self.subscriber.clone(),
            states: self.states.clone(),
            account: self.account.clone(),
            mobile: self.mobile.clone(),
            event_type: self.event_type.clone(),
            event_id: self.id_of_event.clone(),
            trigger: self.trigger,
            since: self.since.map(|since| since.instant(now)),
            until: self.until.map(|until| until.instant(now)),
        })
    }
}

/// Refuses a name that the store does not know.
fn require(noun: &str, name: &str, known: &[String]) -> Result<(), Failure> {
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let message = format!("replyd: no {noun} {name:?} in the store; there is {known}");
    Err(Failure::new(Exit::NotFound, message))
}

//! `replyd subscribers test NAME`: one marked message, the real way.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::subscribers::known;
use crate::cli::subscribers::one::Arguments;
use crate::cli::{attempt, load, output};
use crate::clock::Clock;
use crate::config::{Config, SubscriberConfig};
use crate::delivery::try_out;
use crate::delivery::waiting::Readiness;
use crate::shape::Tested;
use crate::store::error::StoreError;
use crate::store::{OpenMode, Store};

pub(super) const AFTER_HELP: &str = "\
The message is signed and sent as any reply, once, also to a disabled subscriber. It can be told
from a reply by its type `subscriber.test`, its id evt_…, the header `replyd-trigger: test`, the
number 10000000000 and its text, which says that it is a test. It is recorded as a delivery.

Exits with 0 where it was delivered, 1 where it was not, 66 where there is no such subscriber.

Examples:
  replyd subscribers test crm
  replyd subscribers test crm --lang zh";

/// Sends the message and shows what came of it.
pub(super) async fn test(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = match Store::open(&config.store.path, OpenMode::Existing) {
        Ok(store) => Some(store),
        // A receiver can be tried before the first start.
        Err(StoreError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let subscriber = chosen(&config, store.as_ref(), &arguments.name).await?;
    let clock = Clock::system();
    let of = try_out::message(&config, subscriber, clock.unix()).map_err(anyhow::Error::from)?;
    let recorded = match &store {
        Some(store) => store.begin_test(of.clone()).await?.map(|claim| (store, claim)),
        None => None,
    };
    let tried =
        try_out::send(subscriber, clock, &of, recorded).await.map_err(anyhow::Error::from)?;
    if tried.delivery.is_none() {
        output::talk("not recorded: `replyd run` has not put the subscriber into a store yet");
    }
    if arguments.json {
        output::json(&json!(Tested::of(&subscriber.name, &tried)));
    } else {
        attempt::print(&tried.attempt, arguments.language.language());
    }
    let is_delivered = tried.is_delivered;
    if let (Some(store), Some(_)) = (&store, tried.delivery) {
        let known = known::one(&config, store, &subscriber.name).await?;
        if is_delivered && matches!(known.readiness(), Some(Readiness::Disabled { .. })) {
            output::talk(&format!(
                "it is disabled: `replyd subscribers enable {}` lets its deliveries go",
                subscriber.name
            ));
        }
    }
    Ok(if is_delivered { Exit::Done } else { Exit::Failed })
}

async fn chosen<'a>(
    config: &'a Config,
    store: Option<&Store>,
    name: &str,
) -> Result<&'a SubscriberConfig, Failure> {
    if let Some(found) = config.subscriber(name) {
        return Ok(found);
    }
    if let Some(store) = store
        && known::one(config, store, name).await.is_ok()
    {
        let message = format!(
            "replyd: the subscriber {name:?} is not in the configuration, so it has no URL to send to"
        );
        return Err(Failure::new(Exit::NotFound, message));
    }
    let names = config.subscribers.iter().map(|subscriber| subscriber.name.as_str());
    Err(known::unknown(name, names))
}

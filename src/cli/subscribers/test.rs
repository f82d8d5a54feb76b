//! `replyd subscribers test NAME`: one marked message, the real way.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::subscribers::known;
use crate::cli::subscribers::one::Arguments;
use crate::cli::{attempt, load, output};
use crate::clock::{Clock, random_bytes};
use crate::config::{Config, SubscriberConfig};
use crate::delivery::sender::Sender;
use crate::delivery::waiting::Readiness;
use crate::event;
use crate::store::attempt::Next;
use crate::store::error::StoreError;
use crate::store::subscribers::TestOf;
use crate::store::{OpenMode, Store};

/// What the delivery is this command's alone beyond its attempt's timeout: time to record it.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

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
    let sender = Sender::new(subscriber.clone(), Clock::system()).map_err(anyhow::Error::from)?;
    let of = test_of(&config, subscriber, sender.clock())?;
    let recorded = match &store {
        Some(store) => store.begin_test(of.clone()).await?.map(|claim| (store, claim)),
        None => None,
    };
    let claim = recorded.as_ref().map_or_else(|| of.claim(), |(_, claim)| claim.clone());
    let mut attempts = sender.attempt(std::slice::from_ref(&claim)).await;
    let attempt = attempts.pop().ok_or_else(|| anyhow::anyhow!("nothing was attempted"))?;
    let is_delivered = attempt.next == Next::Delivered;
    match &recorded {
        Some((store, _)) => store.record_attempt(attempt.clone()).await?,
        None => {
            output::talk("not recorded: `replyd run` has not put the subscriber into a store yet")
        }
    }
    let row = attempt.into();
    if arguments.json {
        output::json(&json!({
            "name": subscriber.name,
            "event_id": of.event_id,
            "delivery": recorded.as_ref().map(|(_, claim)| claim.delivery),
            "delivered": is_delivered,
            "attempt": attempt::as_json(&row),
        }));
    } else {
        attempt::print(&row, arguments.language.language());
    }
    if let Some((store, _)) = &recorded {
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

fn test_of(
    config: &Config,
    subscriber: &SubscriberConfig,
    clock: &Clock,
) -> Result<TestOf, Failure> {
    let id = random_bytes::<16>()
        .map_err(|error| Failure::new(Exit::Failed, format!("replyd: no randomness: {error}")))?;
    let event_id = format!("evt_{}", hex::encode(id));
    let account =
        subscriber.accounts.first().or(config.accounts.first().map(|account| &account.name));
    let account = account.map(String::as_str).unwrap_or_default();
    let now = clock.now().unix;
    Ok(TestOf {
        subscriber: subscriber.name.clone(),
        body: event::test(&event_id, account, subscriber.mask, now),
        event_type: event::TEST_TYPE,
        event_id,
        now,
        lease_end: now.after(subscriber.timeout + LEASE_MARGIN),
    })
}

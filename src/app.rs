//! Wiring: builds the service from its configuration, supervises its tasks, drains them.
//!
//! This is the one place that knows every room. A task that ends before it is told to takes the
//! service down with it, loudly: half a service would lose replies in silence.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::app::replays::Replays;
use crate::app::service::Service;
use crate::clock::Clock;
use crate::config::{AccountConfig, Config, ServerConfig, SubscriberConfig};
use crate::delivery::takeover::Takeover;
use crate::delivery::worker::Worker;
use crate::intake::balance::Balance;
use crate::intake::reader::{ReadResult, Reader};
use crate::metrics::Metrics;
use crate::pulse::Pulses;
use crate::reply::IdKey;
use crate::route::Route;
use crate::sending::outbox::Outbox;
use crate::store::delivery::SubscriberSpec;
use crate::store::error::StoreError;
use crate::store::read::{AccountSettings, AccountSpec, Verdict};
use crate::store::token::{TokenRow, TokenState};
use crate::store::upgrade::{Upgrade, Upgraded};
use crate::store::{OpenMode, Store};
use crate::time::{format_duration, millis};

mod changes;
mod manager;
mod replays;
mod retention;
mod service;
mod tasks;
mod upkeep;

/// How long a run that ends by itself waits for an account's slot: whoever starts it every ten
/// minutes finds the slot of the last time taken for as long as that read took.
const ONCE_WAIT_MAX: Duration = Duration::from_mins(1);

/// A service that is built and not yet running.
pub struct App {
    /// The configuration, which a reload replaces.
    config: watch::Sender<Arc<Config>>,
    clock: Clock,
    store: Store,
    metrics: Metrics,
    pulses: Pulses,
}

/// Other machines would reach the service, and nobody has a token.
#[derive(Debug, thiserror::Error)]
#[error(
    "server.listen is {listen}, which other machines reach, and no token is valid: make one with \
     `replyd token new --name NAME --scope read`, or listen on 127.0.0.1"
)]
pub struct NoToken {
    listen: SocketAddr,
}

/// What a run that ended by itself did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Once {
    /// Accounts whose read failed or was refused.
    pub reads_failed: usize,
    /// Attempts to deliver that failed; they are due again later.
    pub attempts_failed: usize,
}

impl App {
    /// Opens the store, making it if there is none and bringing it up to date if it is of an earlier
    /// version, and writes accounts and subscribers into it.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        bring_up_to_date(&config).await?;
        let store = Store::open(&config.store.path, OpenMode::Create)?;
        put_configuration(&store, &clock, &config).await?;
        store.mend_times(clock.unix()).await?;
        store.close_lost_calls(clock.unix()).await?;
        upkeep::take_in_of_former_accounts(&config, &clock, &store).await?;
        let config = watch::Sender::new(Arc::new(config));
        let (metrics, pulses) = (Metrics::default(), Pulses::default());
        Ok(Self { config, clock, store, metrics, pulses })
    }

    /// The service's store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Serves until told to stop, then drains: a read in flight and attempts under way end first.
    /// Whenever `reload` is notified, the configuration is read again.
    ///
    /// # Errors
    /// When a task fails or ends before it was told to.
    pub async fn run(self, stop: CancellationToken, reload: Arc<Notify>) -> anyhow::Result<()> {
        let config = self.config();
        self.require_token(&config.server).await?;
        let listen = config.server.listen;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        // A child of the caller's token: a failing task ends the service, not its caller.
        let service = Service::start(&self, listener, stop.child_token())?;
        info!(
            version = env!("CARGO_PKG_VERSION"),
            accounts = config.accounts.len(),
            subscribers = config.subscribers.len(),
            store = %config.store.path.display(),
            listen = %address,
            "replyd runs"
        );
        manager::ready();
        let result = service.supervise(&reload).await;
        self.store.close().await;
        info!("replyd has stopped");
        result
    }

    /// Where other machines reach the service, somebody must have a token already: else there is
    /// nobody for whom it listens there.
    async fn require_token(&self, server: &ServerConfig) -> anyhow::Result<()> {
        let now = self.clock.unix();
        let is_valid = |token: &TokenRow| token.state(now) == TokenState::Valid;
        if server.is_local() || self.store.tokens().await?.iter().any(is_valid) {
            return Ok(());
        }
        Err(NoToken { listen: server.listen }.into())
    }

    /// Reads each account once, if its slot is free or soon will be, goes on with replays, delivers
    /// what is due, and ends. Failed deliveries keep their time. Told to stop, it ends what is under way only.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn run_once(self, stop: &CancellationToken) -> anyhow::Result<Once> {
        // A run every few minutes does not read the whole store each time.
        if self.store.was_left_open() {
            stop.run_until_cancelled(upkeep::quick_check(&self.store)).await.unwrap_or(Ok(()))?;
        }
        let mut once = Once::default();
        let config = self.config();
        for config in config.accounts.iter().take_while(|_| !stop.is_cancelled()) {
            let reader = self.reader(config)?;
            if !self.read_once(&reader, config, stop).await? {
                once.reads_failed += 1;
            }
            if let Some(balance) = Balance::new(self.store.clone(), self.clock.clone(), config)? {
                balance.look_if_due().await?;
            }
        }
        Replays::new(self.store.clone(), self.clock.clone()).finish(stop).await?;
        once.attempts_failed += self.deliver_once(&config, stop).await?;
        for account in &config.accounts {
            self.outbox(account, &config.subscribers)?.run_once(stop).await?;
        }
        let looking = retention::look(&self.store, &self.clock, config.store.retain);
        stop.run_until_cancelled(looking).await;
        self.store.close().await;
        Ok(once)
    }

    /// Delivers what is due, and then what fallbacks took over from those that are down. Says how
    /// many attempts failed.
    async fn deliver_once(
        &self,
        config: &Config,
        stop: &CancellationToken,
    ) -> anyhow::Result<usize> {
        let mut failed = 0;
        // One more than the longest chain, which is of all.
        for _ in 0..=config.subscribers.len() {
            for one in config.subscribers.iter().filter(|subscriber| subscriber.enabled) {
                failed += self.worker(one)?.run_once(stop).await?;
            }
            let mut taken_over = 0;
            for mut takeover in
                config.subscribers.iter().filter_map(|one| self.takeover(config, one))
            {
                taken_over += takeover.finish(stop).await?;
            }
            if taken_over == 0 || stop.is_cancelled() {
                break;
            }
        }
        Ok(failed)
    }

    /// What takes over from a subscriber that has a fallback, also from one that is switched off.
    fn takeover(&self, config: &Config, subscriber: &SubscriberConfig) -> Option<Takeover> {
        let chain = config.fallbacks_of(&subscriber.name);
        let seen = (self.store.clone(), self.clock.clone(), self.metrics.clone());
        (!chain.is_empty()).then(|| Takeover::new(seen, subscriber.name.clone(), chain))
    }

    /// The configuration as it is now.
    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    fn reader(&self, config: &AccountConfig) -> anyhow::Result<Reader> {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Ok(Reader::new(store, clock, config.clone())?.counting(self.metrics.clone()))
    }

    fn worker(&self, config: &SubscriberConfig) -> anyhow::Result<Worker> {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Ok(Worker::new(store, clock, config.clone(), &self.metrics)?)
    }

    fn outbox(
        &self,
        account: &AccountConfig,
        subscribers: &[SubscriberConfig],
    ) -> anyhow::Result<Outbox> {
        Ok(Outbox::new(self.store.clone(), self.clock.clone(), account, subscribers)?)
    }

    /// Whether the account's read went well, or was not due.
    async fn read_once(
        &self,
        reader: &Reader,
        config: &AccountConfig,
        stop: &CancellationToken,
    ) -> anyhow::Result<bool> {
        let mut result = reader.step_once().await?;
        if let ReadResult::NotNow(wait) = result
            && wait <= ONCE_WAIT_MAX
            && stop.run_until_cancelled(self.clock.sleep(wait)).await.is_some()
        {
            result = reader.step_once().await?;
        }
        Ok(match result {
            ReadResult::Done(ingested) => ingested.verdict == Verdict::Proven,
            ReadResult::NotNow(wait) => {
                info!(
                    account = config.name,
                    next_read_in = format_duration(wait),
                    "not read: it is too early"
                );
                true
            }
            ReadResult::TakenElsewhere => true,
            ReadResult::Abandoned => false,
            ReadResult::NotTakenIn(reason) => {
                error!(account = config.name, reason, "an answer is not taken in; it is kept");
                false
            }
        })
    }
}

/// Brings a store of an earlier version up to date, once it was copied, and tells of it.
async fn bring_up_to_date(config: &Config) -> Result<(), StoreError> {
    let Some(upgrade) = Upgrade::pending(&config.store.path)? else { return Ok(()) };
    let (from, to) = (upgrade.from, upgrade.to);
    let is_copied = config.store.backup_before_upgrade;
    info!(from, to, is_copied, "the store is of an earlier version: it is brought up to date");
    match upgrade.carry_out(is_copied).await? {
        Upgraded::Copied { copy, bytes } => info!(
            copy = %copy.display(),
            bytes,
            "the store is up to date, and was copied before: to go back to the earlier replyd, put \
             the copy in the place of the store"
        ),
        Upgraded::NotCopied => warn!("the store is up to date, and was not copied before"),
        Upgraded::Elsewhere => info!("another process has brought the store up to date"),
    }
    Ok(())
}

/// Writes the configuration's accounts and subscribers into the store, all of them or none.
async fn put_configuration(store: &Store, clock: &Clock, config: &Config) -> anyhow::Result<()> {
    let accounts = config.accounts.iter().map(|account| account_spec(config, account)).collect();
    let subscribers = config.subscribers.iter().map(subscriber_spec).collect();
    Ok(store.put_configuration(accounts, subscribers, clock.now()).await?)
}

fn account_spec(config: &Config, account: &AccountConfig) -> AccountSpec {
    let login = account.login();
    AccountSpec {
        name: account.name.clone(),
        settings: AccountSettings {
            number: account.number.clone(),
            min_interval: account.min_interval,
            recover: account.recover,
            schedule: account.schedule.to_string(),
        },
        configured_key: config.store.id_key.clone(),
        derived_key: login.clone(),
        login,
        mailbox: IdKey::derive(account.base_url.as_str(), &account.uid),
    }
}

fn subscriber_spec(subscriber: &SubscriberConfig) -> SubscriberSpec {
    SubscriberSpec {
        name: subscriber.name.clone(),
        route: Route {
            accounts: subscriber.accounts.clone(),
            events: subscriber.events.clone(),
            filter: subscriber.filter.clone(),
            since_ms: subscriber.since.map(millis),
            mask: subscriber.mask,
            hold_suspect: subscriber.hold_suspect,
        },
        enabled: subscriber.enabled,
    }
}

#[cfg(test)]
mod tests;

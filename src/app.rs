//! Wiring: builds the service from its configuration, supervises its tasks, drains them.
//!
//! This is the one place that knows every room. A task that ends before it is told to takes the
//! service down with it, loudly: half a service would lose replies in silence.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::app::replays::Replays;
use crate::clock::Clock;
use crate::config::{AccountConfig, Config, SubscriberConfig};
use crate::delivery::takeover::Takeover;
use crate::delivery::worker::Worker;
use crate::intake::balance::Balance;
use crate::intake::reader::{ReadResult, Reader};
use crate::intake::take_in::TakeIn;
use crate::metrics::Metrics;
use crate::reply::IdKey;
use crate::route::Route;
use crate::schedule::Heartbeat;
use crate::sending::outbox::Outbox;
use crate::server::{self, Seen};
use crate::store::delivery::SubscriberSpec;
use crate::store::error::StoreError;
use crate::store::read::{AccountSettings, AccountSpec, Verdict};
use crate::store::upgrade::{Upgrade, Upgraded};
use crate::store::{OpenMode, Store};
use crate::time::{format_duration, millis};

mod replays;
mod retention;

/// How long a run that ends by itself waits for an account's slot: whoever starts it every ten
/// minutes finds the slot of the last time taken for as long as that read took.
const ONCE_WAIT_MAX: Duration = Duration::from_mins(1);

/// How often the store is looked over.
const UPKEEP_INTERVAL: Duration = Duration::from_mins(5);

/// A service that is built and not yet running.
pub struct App {
    config: Arc<Config>,
    /// What the server sees of the configuration.
    watched: watch::Sender<Arc<Config>>,
    clock: Clock,
    store: Store,
    metrics: Metrics,
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
        let accounts =
            config.accounts.iter().map(|account| account_spec(&config, account)).collect();
        let subscribers = config.subscribers.iter().map(subscriber_spec).collect();
        store.put_configuration(accounts, subscribers, clock.now()).await?;
        store.mend_times(clock.now().unix).await?;
        store.close_lost_calls(clock.now().unix).await?;
        for account in &config.accounts {
            store.anchor_slot(&account.name, clock.now()).await?;
        }
        take_in_of_former_accounts(&account_names(&config), &clock, &store).await?;
        let config = Arc::new(config);
        let watched = watch::Sender::new(Arc::clone(&config));
        Ok(Self { config, watched, clock, store, metrics: Metrics::default() })
    }

    /// The service's store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Serves until told to stop, then drains: a read in flight and attempts under way end first.
    ///
    /// # Errors
    /// When a task fails or ends before it was told to.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        // A child of the caller's token: a failing task ends the service, not its caller.
        let stop = stop.child_token();
        let listen = self.config.server.listen;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let mut tasks = Tasks::default();
        self.spawn(&mut tasks, listener, &stop)?;
        info!(
            version = env!("CARGO_PKG_VERSION"),
            accounts = self.config.accounts.len(),
            subscribers = self.config.subscribers.len(),
            store = %self.config.store.path.display(),
            listen = %address,
            "replyd runs"
        );
        let result = tasks.supervise(&stop).await;
        self.store.close().await;
        info!("replyd has stopped");
        result
    }

    fn spawn(
        &self,
        tasks: &mut Tasks,
        listener: TcpListener,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let heartbeat = Heartbeat::default();
        for config in &self.config.accounts {
            self.spawn_account(tasks, config, &heartbeat, stop)?;
        }
        for config in self.config.subscribers.iter().filter(|subscriber| subscriber.enabled) {
            let worker = self.worker(config)?;
            let stop = stop.clone();
            tasks.spawn(format!("subscriber {}", config.name), async move {
                Ok(worker.run(stop).await?)
            });
        }
        for takeover in self.takeovers() {
            let stop = stop.clone();
            tasks.spawn(format!("fallback of {}", takeover.subscriber()), async move {
                takeover.run(stop.clone()).await;
                Ok(())
            });
        }
        let (beat_stop, serve_stop) = (stop.clone(), stop.clone());
        tasks.spawn("heartbeat".to_owned(), async move {
            heartbeat.run(beat_stop).await;
            Ok(())
        });
        self.spawn_upkeep(tasks, stop);
        let seen = Seen {
            store: self.store.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            config: self.watched.subscribe(),
        };
        tasks.spawn("server".to_owned(), async move {
            Ok(server::serve(listener, seen, serve_stop).await?)
        });
        Ok(())
    }

    /// What is done for one account: its reads, its balance, its answers.
    fn spawn_account(
        &self,
        tasks: &mut Tasks,
        config: &AccountConfig,
        heartbeat: &Heartbeat,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let reader = self.reader(config)?;
        let (ticks, read_stop) = (heartbeat.ticks(), stop.clone());
        tasks.spawn(format!("account {}", config.name), async move {
            Ok(reader.run(ticks, read_stop).await?)
        });
        if let Some(balance) = Balance::new(self.store.clone(), self.clock.clone(), config)? {
            let stop = stop.clone();
            tasks.spawn(format!("balance of {}", config.name), async move {
                balance.run(stop).await;
                Ok(())
            });
        }
        let (outbox, stop) = (self.outbox(config)?, stop.clone());
        tasks.spawn(format!("outbox of {}", config.name), async move {
            outbox.run(stop).await;
            Ok(())
        });
        Ok(())
    }

    /// What keeps the store well.
    fn spawn_upkeep(&self, tasks: &mut Tasks, stop: &CancellationToken) {
        let (store, clock, upkeep_stop) = (self.store.clone(), self.clock.clone(), stop.clone());
        let configured = account_names(&self.config);
        tasks.spawn("upkeep".to_owned(), async move {
            upkeep_stop.run_until_cancelled(keep_up(store, clock, configured)).await;
            Ok(())
        });
        let (store, clock, purge_stop) = (self.store.clone(), self.clock.clone(), stop.clone());
        let retain = self.config.store.retain;
        tasks.spawn("retention".to_owned(), async move {
            purge_stop.run_until_cancelled(retention::keep_down(store, clock, retain)).await;
            Ok(())
        });
        let replays = Replays::new(self.store.clone(), self.clock.clone());
        let replay_stop = stop.clone();
        tasks.spawn("replays".to_owned(), async move {
            replays.run(replay_stop).await;
            Ok(())
        });
        let (store, check_stop) = (self.store.clone(), stop.clone());
        tasks.spawn("quick check".to_owned(), async move {
            let checked = check_stop.run_until_cancelled(quick_check(&store)).await;
            checked.unwrap_or(Ok(()))?;
            check_stop.cancelled().await;
            Ok(())
        });
        let (store, watch_stop) = (self.store.clone(), stop.clone());
        tasks.spawn("store watch".to_owned(), async move {
            watch_stop.run_until_cancelled(store.watch()).await;
            Ok(())
        });
    }

    /// Reads each account once, if its slot is free or soon will be, goes on with replays, delivers
    /// what is due, and ends. Failed deliveries keep their time. Told to stop, it ends what is under way only.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn run_once(self, stop: &CancellationToken) -> anyhow::Result<Once> {
        // A run every few minutes does not read the whole store each time.
        if self.store.was_left_open() {
            stop.run_until_cancelled(quick_check(&self.store)).await.unwrap_or(Ok(()))?;
        }
        let mut once = Once::default();
        for config in self.config.accounts.iter().take_while(|_| !stop.is_cancelled()) {
            let reader = self.reader(config)?;
            if !self.read_once(&reader, config, stop).await? {
                once.reads_failed += 1;
            }
            if let Some(balance) = Balance::new(self.store.clone(), self.clock.clone(), config)? {
                balance.look_if_due().await?;
            }
        }
        Replays::new(self.store.clone(), self.clock.clone()).finish(stop).await?;
        once.attempts_failed += self.deliver_once(stop).await?;
        for config in &self.config.accounts {
            self.outbox(config)?.run_once(stop).await?;
        }
        let looking = retention::look(&self.store, &self.clock, self.config.store.retain);
        stop.run_until_cancelled(looking).await;
        self.store.close().await;
        Ok(once)
    }

    /// Delivers what is due, and then what fallbacks took over from those that are down. Says how
    /// many attempts failed.
    async fn deliver_once(&self, stop: &CancellationToken) -> anyhow::Result<usize> {
        let mut failed = 0;
        // One more than the longest chain, which is of all.
        for _ in 0..=self.config.subscribers.len() {
            for config in self.config.subscribers.iter().filter(|subscriber| subscriber.enabled) {
                failed += self.worker(config)?.run_once(stop).await?;
            }
            let mut taken_over = 0;
            for takeover in self.takeovers() {
                taken_over += takeover.finish(stop).await?;
            }
            if taken_over == 0 || stop.is_cancelled() {
                break;
            }
        }
        Ok(failed)
    }

    /// What takes over from each subscriber that has a fallback, also from one that is switched off.
    fn takeovers(&self) -> Vec<Takeover> {
        let subscribers = self.config.subscribers.iter();
        let takeover = |subscriber: &SubscriberConfig| {
            let chain = self.config.fallbacks_of(&subscriber.name);
            let seen = (self.store.clone(), self.clock.clone(), self.metrics.clone());
            (!chain.is_empty()).then(|| Takeover::new(seen, subscriber.name.clone(), chain))
        };
        subscribers.filter_map(takeover).collect()
    }

    fn reader(&self, config: &AccountConfig) -> anyhow::Result<Reader> {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Ok(Reader::new(store, clock, config.clone())?.counting(self.metrics.clone()))
    }

    fn worker(&self, config: &SubscriberConfig) -> anyhow::Result<Worker> {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Ok(Worker::new(store, clock, config.clone(), self.metrics.clone())?)
    }

    fn outbox(&self, account: &AccountConfig) -> anyhow::Result<Outbox> {
        let subscribers = &self.config.subscribers;
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

/// Looks for damage in the store. Where there is some the service ends: the gateway's box is not
/// to be emptied into it. That nothing could be looked at is told; reads and writes show why.
async fn quick_check(store: &Store) -> Result<(), StoreError> {
    match store.quick_check().await {
        Err(error @ StoreError::Broken { .. }) => Err(error),
        Err(error) => {
            warn!(%error, "cannot look for damage in the store");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Sees now and then that nothing waits for a time that only a wrong clock could have set, or for a
/// process that has died.
async fn keep_up(store: Store, clock: Clock, configured: Vec<String>) {
    loop {
        tokio::time::sleep(UPKEEP_INTERVAL).await;
        if let Err(error) = take_in_of_former_accounts(&configured, &clock, &store).await {
            warn!(%error, "cannot look for answers of former accounts");
        }
        match store.mend_times(clock.now().unix).await {
            Ok(0) => {}
            Ok(mended) => {
                warn!(mended, "times far in the future were set to now: the clock was wrong")
            }
            Err(error) => warn!(%error, "cannot look for times that a wrong clock set"),
        }
        match store.close_lost_calls(clock.now().unix).await {
            Ok(0) => {}
            Ok(lost) => warn!(lost, "messages may have been sent: who sent them has died"),
            Err(error) => warn!(%error, "cannot look for messages whose sender has died"),
        }
    }
}

/// What was read for an account that is no longer configured is taken in all the same; nobody
/// else would. Those of configured accounts are taken in by their readers.
async fn take_in_of_former_accounts(
    configured: &[String],
    clock: &Clock,
    store: &Store,
) -> Result<(), StoreError> {
    let take_in = TakeIn::new(store.clone(), clock.clone());
    for name in store.account_names().await? {
        if !configured.contains(&name) {
            // Its answers are kept, and tried again when the store is next looked over.
            if let Err(error) = take_in.open(&name).await {
                error!(account = name, %error, "an answer of a former account is not taken in");
            }
        }
    }
    Ok(())
}

fn account_names(config: &Config) -> Vec<String> {
    config.accounts.iter().map(|account| account.name.clone()).collect()
}

fn account_spec(config: &Config, account: &AccountConfig) -> AccountSpec {
    let login = IdKey::derive(&account.uid, account.pwd.expose_secret());
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

/// The service's tasks, each with its name.
#[derive(Default)]
struct Tasks {
    running: JoinSet<(String, anyhow::Result<()>)>,
}

impl Tasks {
    fn spawn(
        &mut self,
        name: String,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.running.spawn(async move { (name, task.await) });
    }

    /// Waits for all of them. The first that ends untold stops the others.
    async fn supervise(mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut result = Ok(());
        while let Some(ended) = self.running.join_next().await {
            let trouble = match ended {
                Ok((_, Ok(()))) if stop.is_cancelled() => continue,
                Ok((name, Ok(()))) => anyhow!("the task {name:?} ended by itself"),
                Ok((name, Err(error))) => error.context(format!("the task {name:?} failed")),
                Err(error) => anyhow!(error).context("a task panicked"),
            };
            error!(error = format!("{trouble:#}"), "the service stops");
            stop.cancel();
            result = result.and(Err(trouble));
        }
        result
    }
}

#[cfg(test)]
mod tests;

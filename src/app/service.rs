//! A service that runs: its tasks, and what a reload of the configuration changes of them.
//!
//! A reload is all or nothing. Everything that the new configuration needs is built first, then
//! the store takes it in one transaction, and only then tasks are replaced; whatever fails before
//! that leaves everything as it was.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::changes::{Changes, Part, need_restart, without_restart};
use super::replays::Replays;
use super::tasks::Tasks;
use super::{App, manager, put_configuration, retention, upkeep};
use crate::config::{Config, Secrets};
use crate::delivery::target;
use crate::intake::balance::Balance;
use crate::schedule::Heartbeat;
use crate::server::{self, Seen};

/// How often, while it drains, the manager is told that the service still does.
const DRAIN_TOLD: Duration = Duration::from_secs(10);

/// A service that runs.
pub(super) struct Service<'a> {
    app: &'a App,
    tasks: Tasks,
    ticks: watch::Receiver<u64>,
    stop: CancellationToken,
}

/// A task that is ready to begin, and ends when it is told to.
type Task = Box<dyn FnOnce(CancellationToken) -> Running + Send>;
type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

fn task<F>(run: impl FnOnce(CancellationToken) -> F + Send + 'static) -> Task
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    Box::new(move |stop| Box::pin(run(stop)))
}

/// The same of what tells its own trouble, and goes on.
fn unfailing<F>(run: impl FnOnce(CancellationToken) -> F + Send + 'static) -> Task
where
    F: Future<Output = ()> + Send + 'static,
{
    task(|stop| {
        let running = run(stop);
        async move {
            running.await;
            Ok(())
        }
    })
}

impl<'a> Service<'a> {
    /// Starts every task.
    pub(super) fn start(
        app: &'a App,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let heartbeat = Heartbeat::default();
        let ticks = heartbeat.ticks();
        let mut service = Self { app, tasks: Tasks::default(), ticks, stop };
        let config = app.config();
        let changes = Changes::between(None, &config);
        let built = service.build(&changes, &config)?;
        service.begin(built);
        service.spawn_heartbeat(heartbeat);
        service.spawn_upkeep();
        service.spawn_server(listener);
        Ok(service)
    }

    /// Waits until all tasks have ended; reloads meanwhile when asked to. The first task that
    /// ends untold stops the others.
    pub(super) async fn supervise(mut self, reload: &Notify) -> anyhow::Result<()> {
        let (mut result, mut is_stopping) = (Ok(()), false);
        loop {
            if self.stop.is_cancelled() && !is_stopping {
                is_stopping = true;
                manager::stopping();
            }
            tokio::select! {
                ended = self.tasks.next_ended() => match ended {
                    None => return result,
                    Some(Ok(())) => {}
                    Some(Err(trouble)) => {
                        self.stop.cancel();
                        result = result.and(Err(trouble));
                    }
                },
                () = reload.notified(), if !is_stopping => self.reload_and_tell().await,
                () = self.stop.cancelled(), if !is_stopping => {}
                () = tokio::time::sleep(DRAIN_TOLD), if is_stopping => manager::drains(DRAIN_TOLD * 3),
            }
        }
    }

    async fn reload_and_tell(&mut self) {
        manager::reloading();
        let outcome = self.reload().await;
        if let Err(error) = &outcome {
            for line in format!("{error:#}").lines() {
                error!(problem = line, "not reloaded");
            }
            error!("the former configuration stays in force");
        }
        manager::reloaded(outcome.is_ok());
    }

    async fn reload(&mut self) -> anyhow::Result<()> {
        let old = self.app.config();
        let path = old.path.clone();
        let load = move || Config::load(&path, Secrets::Read, target::formats());
        let new = tokio::task::spawn_blocking(load).await??;
        for key in need_restart(&old, &new) {
            warn!(key, "changed, but only a restart can change it: it stays as it is");
        }
        let new = without_restart(&old, new);
        let changes = Changes::between(Some(&old), &new);
        let built = self.build(&changes, &new)?;
        put_configuration(&self.app.store, &self.app.clock, &new).await?;
        self.app.config.send_replace(Arc::new(new));
        for part in &changes.gone {
            self.tasks.end(&part.task());
        }
        self.begin(built);
        tell(&changes);
        Ok(())
    }

    /// Builds what is to begin, without beginning it.
    fn build(&self, changes: &Changes, config: &Config) -> anyhow::Result<Vec<(Part, Task)>> {
        let mut built = Vec::new();
        for part in &changes.begun {
            if let Some(task) = self.build_part(part, config).with_context(|| part.task())? {
                built.push((part.clone(), task));
            }
        }
        Ok(built)
    }

    fn build_part(&self, part: &Part, config: &Config) -> anyhow::Result<Option<Task>> {
        let account = |name| config.account(name).ok_or_else(|| anyhow!("not configured"));
        let subscriber = |name| config.subscriber(name).ok_or_else(|| anyhow!("not configured"));
        let (app, pulses) = (self.app, &self.app.pulses);
        Ok(match part {
            Part::Reader(name) => {
                let reader = app.reader(account(name)?)?.pulsing(pulses);
                let ticks = self.ticks.clone();
                Some(task(|stop| async move { Ok(reader.run(ticks, stop).await?) }))
            }
            Part::Balance(name) => {
                let balance = Balance::new(app.store.clone(), app.clock.clone(), account(name)?)?;
                balance.map(|balance| unfailing(|stop| balance.run(stop)))
            }
            Part::Outbox(name) => {
                let outbox = app.outbox(account(name)?, &config.subscribers)?;
                Some(unfailing(|stop| outbox.run(stop)))
            }
            Part::Worker(name) => {
                let worker = app.worker(subscriber(name)?)?.pulsing(pulses);
                Some(task(|stop| async move { Ok(worker.run(stop).await?) }))
            }
            Part::Takeover(name) => app
                .takeover(config, subscriber(name)?)
                .map(|takeover| unfailing(|stop| takeover.run(stop))),
        })
    }

    fn begin(&mut self, built: Vec<(Part, Task)>) {
        for (part, task) in built {
            self.tasks.replace(part.task(), &self.stop, task);
        }
    }

    fn spawn_heartbeat(&mut self, heartbeat: Heartbeat) {
        let (stop, pulses) = (self.stop.clone(), self.app.pulses.clone());
        self.tasks.spawn("heartbeat".to_owned(), &self.stop, async move {
            heartbeat.run(&pulses, stop).await;
            Ok(())
        });
        self.spawn_endless("service manager", manager::watch(self.ticks.clone()));
    }

    /// What keeps the store well.
    fn spawn_upkeep(&mut self) {
        let App { store, clock, config, .. } = self.app;
        let task = upkeep::keep_up(store.clone(), clock.clone(), config.subscribe());
        self.spawn_endless("upkeep", task);
        let task = retention::keep_down(store.clone(), clock.clone(), config.subscribe());
        self.spawn_endless("retention", task);
        let watched = store.clone();
        self.spawn_endless("store watch", async move { watched.watch().await });
        let (replays, stop) = (Replays::new(store.clone(), clock.clone()), self.stop.clone());
        self.tasks.spawn("replays".to_owned(), &self.stop, async move {
            replays.run(stop).await;
            Ok(())
        });
        let (store, stop) = (store.clone(), self.stop.clone());
        self.tasks.spawn("quick check".to_owned(), &self.stop, async move {
            let checked = stop.run_until_cancelled(upkeep::quick_check(&store)).await;
            checked.unwrap_or(Ok(()))?;
            stop.cancelled().await;
            Ok(())
        });
    }

    /// A task that has nothing to drain.
    fn spawn_endless(&mut self, name: &str, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(name.to_owned(), &self.stop, async move {
            stop.run_until_cancelled(task).await;
            Ok(())
        });
    }

    fn spawn_server(&mut self, listener: TcpListener) {
        let app = self.app;
        let seen = Seen {
            store: app.store.clone(),
            clock: app.clock.clone(),
            metrics: app.metrics.clone(),
            pulses: app.pulses.clone(),
            config: app.config.subscribe(),
        };
        let stop = self.stop.clone();
        self.tasks.spawn("server".to_owned(), &self.stop, async move {
            Ok(server::serve(listener, seen, stop).await?)
        });
    }
}

fn tell(changes: &Changes) {
    if *changes == Changes::default() {
        return info!("reloaded: no account and no subscriber has changed");
    }
    let names = |parts: &BTreeSet<Part>| {
        let names: Vec<_> = parts.iter().map(Part::task).collect();
        names.join(", ")
    };
    info!(begun = names(&changes.begun), ended = names(&changes.gone), "reloaded");
}

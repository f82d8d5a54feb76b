//! What the service manager is told, where there is one (systemd, by the protocol of `sd_notify`).

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tracing::debug;

/// The service runs.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("running")]);
}

/// The configuration is read again; what comes next is [`reloaded`].
pub(super) fn reloading() {
    let now = NotifyState::monotonic_usec_now().ok();
    let states: Vec<_> = std::iter::once(NotifyState::Reloading).chain(now).collect();
    tell(&states);
}

/// The reload is over, well or not.
pub(super) fn reloaded(is_new: bool) {
    let status = match is_new {
        true => "running",
        false => "running with the former configuration: the new one is wrong, see the log",
    };
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The service ends what is under way.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("ending what is under way")]);
}

/// What is under way is not over yet: the service is not to be killed for so long.
pub(super) fn drains(by: Duration) {
    let by = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::ExtendTimeoutUsec(by), NotifyState::Watchdog]);
}

/// Shows the manager's watchdog, for ever, that the heartbeat beats: twice as often as it wants.
pub(super) async fn watch(mut ticks: watch::Receiver<u64>) {
    let Some(silence) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    while ticks.changed().await.is_ok() {
        tell(&[NotifyState::Watchdog]);
        tokio::time::sleep(silence / 2).await;
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager does not listen");
    }
}

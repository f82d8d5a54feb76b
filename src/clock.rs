//! The only reader of the system's time and randomness.
//!
//! Everything else is told what time it is. A [`Moment`] holds two clocks because neither is
//! enough: the wall clock can be set, and the boot clock says nothing after a restart of the
//! machine. `clippy.toml` bans every other way to ask.

use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::time::{UnixMs, millis};

/// One instant, on both clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub unix: UnixMs,
    /// Milliseconds on the machine's own clock, which counts through suspends and which nobody
    /// can set. Comparable only between moments of one `boot`.
    pub boot_ms: i64,
    /// Which start of the machine `boot_ms` counts from.
    pub boot: Arc<str>,
}

impl Moment {
    /// The moment `by` later on both clocks.
    #[must_use]
    pub fn after(&self, by: Duration) -> Self {
        Self {
            unix: self.unix.after(by),
            boot_ms: self.boot_ms.saturating_add(millis(by)),
            boot: Arc::clone(&self.boot),
        }
    }
}

/// Where a process gets its time from. Cheap to clone; every clone shows the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    boot: Arc<str>,
    pace: Pace,
}

#[derive(Clone, Debug)]
enum Pace {
    /// The machine's own clocks.
    Real,
    /// A clock of its own that starts at `origin` and runs `speed` times as fast.
    Fast { origin: UnixMs, started: Instant, speed: u32 },
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self { boot: boot_id(), pace: Pace::Real }
    }

    /// A clock that shows `origin` now and runs `speed` times as fast as the machine's: the
    /// demo lives hours in seconds by it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this file is the one that may")]
    pub fn fast(origin: UnixMs, speed: u32) -> Self {
        let pace = Pace::Fast { origin, started: Instant::now(), speed: speed.max(1) };
        Self { boot: Arc::from("fast"), pace }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Moment {
        let boot = Arc::clone(&self.boot);
        match &self.pace {
            Pace::Real => Moment { unix: wall(), boot_ms: machine_ms(), boot },
            Pace::Fast { origin, started, speed } => {
                let lived = started.elapsed().saturating_mul(*speed);
                Moment { unix: origin.after(lived), boot_ms: millis(lived), boot }
            }
        }
    }

    /// What the wall clock shows now.
    #[must_use]
    pub fn unix(&self) -> UnixMs {
        match &self.pace {
            Pace::Real => wall(),
            Pace::Fast { .. } => self.now().unix,
        }
    }

    /// Waits until `span` has passed since `since` on the boot clock, which counts on while the
    /// machine sleeps; a timer of the runtime does not. So the clock is looked at whenever this
    /// is polled, and at least once a second.
    pub async fn sleep_from(&self, since: &Moment, span: Duration) {
        const LOOK: Duration = Duration::from_secs(1);
        let end = since.after(span).boot_ms;
        let mut timer = Box::pin(tokio::time::sleep(Duration::ZERO));
        std::future::poll_fn(|context| {
            loop {
                let left = end.saturating_sub(self.now().boot_ms);
                if left <= 0 {
                    return Poll::Ready(());
                }
                std::task::ready!(timer.as_mut().poll(context));
                let left = self.real(Duration::from_millis(left.unsigned_abs()));
                timer = Box::pin(tokio::time::sleep(left.min(LOOK)));
            }
        })
        .await;
    }

    /// How long `span` of this clock takes on the machine.
    #[must_use]
    pub fn real(&self, span: Duration) -> Duration {
        match &self.pace {
            Pace::Real => span,
            Pace::Fast { speed, .. } => span / *speed,
        }
    }

    /// Waits until `span` has passed on this clock.
    pub async fn sleep(&self, span: Duration) {
        tokio::time::sleep(self.real(span)).await;
    }
}

/// Measures how long something takes on the machine, whatever a clock shows meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Measures from now on.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this file is the one that may")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it has been since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

#[expect(clippy::disallowed_methods, reason = "this file is the one that may")]
fn wall() -> UnixMs {
    use std::time::SystemTime;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMs(millis(since))
}

fn machine_ms() -> i64 {
    #[cfg(target_os = "linux")]
    const MACHINE: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const MACHINE: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(MACHINE);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

/// The name of this start of the machine. Where the system has none, every process counts as a
/// start of its own, which only makes waits fall back on the wall clock.
fn boot_id() -> Arc<str> {
    let named = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    match named.as_deref().map(str::trim).filter(|id| !id.is_empty()) {
        Some(id) => Arc::from(id),
        None => Arc::from(random_bytes::<16>().map(hex::encode).unwrap_or_default()),
    }
}

/// Bytes that nobody can foretell, from the operating system.
///
/// # Errors
/// When the system has no randomness to give.
#[expect(clippy::disallowed_methods, reason = "this file is the one that may")]
pub fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(bytes)
}

/// A number from 0 up to but not including 1, for jitter; 0 where there is no randomness.
#[must_use]
pub fn random_fraction() -> f64 {
    let bytes = random_bytes::<4>().unwrap_or_default();
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_lives_more_than_the_machine() {
        let origin = UnixMs(1_000_000);
        let clock = Clock::fast(origin, 1_000);
        let first = clock.now();
        std::thread::sleep(Duration::from_millis(5));
        let second = clock.now();
        assert!(second.unix.since(first.unix) >= Duration::from_secs(5));
        assert!(second.boot_ms - first.boot_ms >= 5_000);
        assert_eq!(clock.real(Duration::from_secs(10)), Duration::from_millis(10));
    }

    #[tokio::test]
    async fn a_sleep_on_the_boot_clock_ends_when_it_has_passed() {
        let clock = Clock::fast(UnixMs(0), 1_000);
        let since = clock.now();
        clock.sleep_from(&since, Duration::from_secs(20)).await;
        assert!(clock.now().boot_ms - since.boot_ms >= 20_000);
        clock.sleep_from(&since, Duration::from_secs(20)).await;
    }

    #[test]
    fn the_system_clock_names_its_boot_and_goes_on() {
        let clock = Clock::system();
        let (first, second) = (clock.now(), clock.now());
        assert!(!first.boot.is_empty());
        assert!(second.boot_ms >= first.boot_ms);
        assert!((0.0..1.0).contains(&random_fraction()));
    }
}

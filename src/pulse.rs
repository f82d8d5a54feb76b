//! Whether tasks are alive: each says again and again until when it will have shown itself next.
//!
//! A task that ends is noticed by who waits for it. A task that hangs is noticed only here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;

/// The pulses of a service's tasks. Cheap to clone; every clone shows the same.
#[derive(Clone)]
pub struct Pulses {
    since: Stopwatch,
    tasks: Arc<Mutex<Tasks>>,
}

#[derive(Default)]
struct Tasks {
    /// The next task's number: two may have one name while one replaces the other.
    next: u64,
    /// The name of each, and until when it will have shown itself, in milliseconds.
    by_number: BTreeMap<u64, (String, Arc<AtomicU64>)>,
}

/// One task's pulse. It counts no more when it is dropped.
pub struct Pulse {
    pulses: Pulses,
    number: u64,
    until_ms: Arc<AtomicU64>,
}

impl Default for Pulses {
    fn default() -> Self {
        Self { since: Stopwatch::start(), tasks: Arc::default() }
    }
}

impl Pulses {
    /// A pulse for a task that is to show itself within `silence`.
    #[must_use]
    pub fn pulse(&self, name: &str, silence: Duration) -> Pulse {
        let until_ms = Arc::new(AtomicU64::new(0));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let number = tasks.next;
        tasks.next = number.wrapping_add(1);
        tasks.by_number.insert(number, (name.to_owned(), Arc::clone(&until_ms)));
        drop(tasks);
        let pulse = Pulse { pulses: self.clone(), number, until_ms };
        pulse.beat(silence);
        pulse
    }

    /// Every task's name, and whether it shows itself as it said.
    #[must_use]
    pub fn alive(&self) -> Vec<(String, bool)> {
        let now = self.now_ms();
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = |until_ms: &AtomicU64| now <= until_ms.load(Ordering::Relaxed);
        tasks.by_number.values().map(|(name, until)| (name.clone(), alive(until))).collect()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Pulse {
    /// It is alive, and will say so again within `silence`.
    pub fn beat(&self, silence: Duration) {
        let silence_ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
        let until = self.pulses.now_ms().saturating_add(silence_ms);
        self.until_ms.store(until, Ordering::Relaxed);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let mut tasks = self.pulses.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_for_longer_than_it_said_is_not_alive() {
        let pulses = Pulses::default();
        let long = pulses.pulse("long", Duration::from_hours(1));
        let short = pulses.pulse("short", Duration::ZERO);
        std::thread::sleep(Duration::from_millis(5));
        let of = |name: &str, alive| (name.to_owned(), alive);
        assert_eq!(pulses.alive(), [of("long", true), of("short", false)]);
        short.beat(Duration::from_hours(1));
        long.beat(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(pulses.alive(), [of("long", false), of("short", true)]);
        // Who replaces it has the same name; who has ended counts no more.
        let after = pulses.pulse("long", Duration::from_hours(1));
        drop(long);
        assert_eq!(pulses.alive(), [of("short", true), of("long", true)]);
        drop((short, after));
        assert!(pulses.alive().is_empty());
    }
}

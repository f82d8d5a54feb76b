//! What this process takes of the machine, where the system tells: elsewhere all of it is 0.

use std::time::Duration;

/// The time that processors spent on this process, in steps of 10 ms. On a machine that does
/// other work too it says more than the clock.
pub(crate) fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The most memory that was held since the last reset, in bytes.
pub(crate) fn peak() -> usize {
    memory("VmHWM:")
}

/// Forgets the peak, and says what is held now.
pub(crate) fn reset_peak() -> usize {
    drop(std::fs::write("/proc/self/clear_refs", "5"));
    memory("VmRSS:")
}

fn memory(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
    let kibibytes = line.trim().trim_end_matches("kB").trim().parse::<usize>();
    kibibytes.unwrap_or_default() * 1024
}

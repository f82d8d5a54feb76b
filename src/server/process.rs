//! What the system tells of this process. Where it has no `/proc`, nothing is known.

use std::fs;

/// The memory that it has, in bytes.
pub(super) fn resident() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    resident_of(&status)
}

fn resident_of(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib * 1024)
}

/// How many files it has open.
pub(super) fn open_files() -> Option<i64> {
    i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_read_from_its_line() {
        assert_eq!(
            resident_of("Name:\treplyd\nVmRSS:\t   12800 kB\nThreads:\t4\n"),
            Some(13_107_200)
        );
        for other in ["", "VmRSS:", "VmRSS:\tmany kB"] {
            assert_eq!(resident_of(other), None, "{other}");
        }
    }
}

//! What the system gives: open files, room on the store's disk, the store's files, and whether
//! another process works on them.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::cli::doctor::finding::Finding;
use crate::cli::exit::Exit;
use crate::config::Config;
use crate::intake::reader::ROOM;

/// Open files beside one for each delivery that may be under way: store, log, sockets of readers.
const FILES_BESIDE: u64 = 128;
/// A log that outgrew this is not brought into the file: something holds an old view open.
const LOG_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Whoever but the owner may do something with a file.
const OTHERS: u32 = 0o077;

/// How many files may be open at once.
pub(super) fn files(config: &Config) -> Finding {
    let about = "open files";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let under_way: usize = config.subscribers.iter().map(|subscriber| subscriber.concurrency).sum();
    let needed = FILES_BESIDE + u64::try_from(under_way).unwrap_or(u64::MAX - FILES_BESIDE);
    match limit {
        Some(limit) if limit < needed => Finding::warn(
            about,
            format!("{limit} may be open, and {needed} may be needed"),
            "`ulimit -n 4096`, or `LimitNOFILE=4096` in the systemd unit",
        ),
        Some(limit) => Finding::ok(about, format!("{limit} may be open, {needed} may be needed")),
        None => Finding::ok(about, "no limit"),
    }
}

/// Whether the store's disk has room for the largest answer.
pub(super) fn disk(store: &Path) -> Finding {
    let about = "disk";
    let place = if store.exists() { store } else { folder(store) };
    let disk = match rustix::fs::statvfs(place) {
        Ok(disk) => disk,
        Err(error) => {
            let what = format!("{}: {error}", place.display());
            return Finding::bad(
                Exit::Failed,
                about,
                what,
                "see that the folder of `store.url` is there",
            );
        }
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let (free_shown, needed) = (mebibytes(free), mebibytes(ROOM));
    if free < ROOM {
        let what =
            format!("{free_shown} MiB are free, and an answer may need {needed}: nothing is read");
        return Finding::bad(
            Exit::Failed,
            about,
            what,
            "make room, or set a shorter `store.retain`",
        );
    }
    Finding::ok(about, format!("{free_shown} MiB are free, an answer may need {needed}"))
}

fn mebibytes(bytes: u64) -> u64 {
    bytes / (1024 * 1024)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file beside the store's, by what is put behind its name.
fn beside(store: &Path, end: &str) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(end);
    PathBuf::from(path)
}

/// Who may read the store's files, and how large its log is.
pub(super) fn store_files(store: &Path) -> Vec<Finding> {
    let about = "store";
    let mut found = Vec::new();
    let mut open = Vec::new();
    for path in [store.to_owned(), beside(store, "-wal"), beside(store, "-shm")] {
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.mode() & OTHERS != 0 {
            open.push(path.display().to_string());
        }
        if path != store && metadata.len() > LOG_BYTES_MAX {
            let what = format!("{} has {} MiB", path.display(), mebibytes(metadata.len()));
            let mend = "end what reads the store for long; if nothing does, start the service anew";
            found.push(Finding::warn(about, what, mend));
        }
    }
    if !open.is_empty() {
        let files = open.join(" ");
        let what = format!("other users of this machine may read replies: {files}");
        found.push(Finding::warn(about, what, format!("chmod 600 {files}")));
    }
    found
}

/// The processes that work on the store. SQLite's processes hold a lock on the file beside it for
/// as long as they have it open, and Linux tells whose locks there are. Elsewhere nothing is known.
pub(super) fn processes(store: &Path) -> Vec<u32> {
    let Ok(shared) = fs::metadata(beside(store, "-shm")) else { return Vec::new() };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut processes = holders(&locks, shared.ino());
    processes.retain(|process| *process != std::process::id());
    processes
}

/// Who holds a lock on a file, by its number: `1: POSIX  ADVISORY  READ 1234 fe:00:56 128 128`.
fn holders(locks: &str, file: u64) -> Vec<u32> {
    let holder = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "->").collect();
        let [_, _, _, _, process, place, ..] = words.as_slice() else { return None };
        let number: u64 = place.rsplit(':').next()?.parse().ok()?;
        (number == file).then(|| process.parse().ok()).flatten()
    };
    let mut holders: Vec<u32> = locks.lines().filter_map(holder).collect();
    holders.sort_unstable();
    holders.dedup();
    holders
}

/// Who works on the store, and whether the service could listen.
pub(super) fn service(processes: &[u32], listen: SocketAddr) -> Finding {
    let about = "service";
    if let [one, more @ ..] = processes {
        let more =
            if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        return Finding::ok(about, format!("process {one}{more} works on the store"));
    }
    match TcpListener::bind(listen) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::warn(
            about,
            format!(
                "nothing works on the store, and {listen} is taken: `replyd run` cannot listen"
            ),
            "end what listens there, or set another `server.listen`",
        ),
        Err(error) => Finding::warn(
            about,
            format!("nothing works on the store, and nobody can listen on {listen}: {error}"),
            "set another `server.listen`",
        ),
        Ok(_) => Finding::ok(about, "nothing works on the store; `replyd run` is the service"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_locks_there_are_is_read() {
        let locks = "\
1: POSIX  ADVISORY  READ 32251 fe:00:1023 128 128
2: FLOCK  ADVISORY  WRITE 32234 fe:00:1008 0 EOF
3: POSIX  ADVISORY  WRITE 7 08:01:1023 120 120
3: -> POSIX  ADVISORY  WRITE 8 08:01:1023 120 120
4: POSIX  ADVISORY  READ 32251 fe:00:1023 124 124
5: OFDLCK ADVISORY  READ -1 fe:00:1023 124 124
nonsense
";
        assert_eq!(holders(locks, 1023), [7, 8, 32251]);
        assert_eq!(holders(locks, 1008), [32234]);
        assert_eq!(holders(locks, 1), Vec::<u32>::new());
    }
}

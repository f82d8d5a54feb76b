//! `replyd backup FILE`: a copy of the store that is whole, while the service runs.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::new_file::{Former, NewFile, shown, unwritable};
use crate::cli::progress::Progress;
use crate::cli::{load, output, signals};
use crate::store::delivery::Figures;
use crate::store::error::StoreError;
use crate::store::{OpenMode, Store};

/// How often it is looked how far the copy is.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// The progress counts in these.
const UNIT_BYTES: u64 = 1024;

/// Arguments of `backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The file to write, which must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
The copy is the store as it was at one moment, whatever is read and delivered meanwhile. It holds
whole numbers and texts, and only you can read it; it has its name only once it is whole, checked
page by page and on disk. What was erased is in no later copy.

The store holds all that is needed but the configuration and its secrets.

To restore: stop the service, put the copy in the place of the store (remove `-wal` and `-shm` files
that stand beside it), and start the service. What came since is read again by its hours, under the
ids that it had; what was delivered since may be delivered again, which receivers see by the id.
Between the last read of the old store and the first start wait as long as `min_interval`.

Examples:
  replyd backup /var/backups/replyd-2008-05-27.db
  replyd backup copy.db --json";

/// Copies the store.
pub(super) async fn backup(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    // Also one of an earlier version, before it is brought up to date.
    let store = Store::open(&config.store.path, OpenMode::AsItIs)?;
    require_stranger(&config.store.path, &arguments.file)?;
    let file = NewFile::begin(&arguments.file, Former::Kept, ": name another file")?;
    let ended = signals::ended().map_err(anyhow::Error::from)?;
    let figures = tokio::select! {
        () = pin!(ended) => Err(Failure::new(Exit::Failed, "replyd: stopped; no file was written")),
        figures = pin!(copy(&store, &file, &arguments.file)) => figures,
    }?;
    let bytes = file.finish()?;
    tell(arguments, &figures, bytes);
    Ok(Exit::Done)
}

/// Refuses a name that SQLite takes for a part of the store itself.
fn require_stranger(store: &Path, file: &Path) -> Result<(), Failure> {
    let part = |end: &str| {
        let mut name = store.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if ["-wal", "-shm", "-journal"].into_iter().any(|end| absolute(&part(end)) == absolute(file)) {
        return Err(Failure::usage(format_args!("{} is a part of the store", shown(file))));
    }
    Ok(())
}

async fn copy(store: &Store, file: &NewFile, name: &Path) -> Result<Figures, Failure> {
    let bytes = store.copy_bytes().await?;
    let progress = Progress::of("KiB", usize::try_from(bytes / UNIT_BYTES).unwrap_or(usize::MAX));
    let mut copied = pin!(store.copy_into(file.unfinished()));
    loop {
        let done = tokio::time::timeout(LOOK_INTERVAL, &mut copied).await;
        let Ok(done) = done else {
            let written = std::fs::metadata(file.unfinished()).map_or(0, |file| file.len());
            progress.at(usize::try_from(written / UNIT_BYTES).unwrap_or(usize::MAX));
            continue;
        };
        return done.map_err(|error| match error {
            StoreError::Path { source, .. } => unwritable(name, &source),
            other => other.into(),
        });
    }
}

fn tell(arguments: &Arguments, figures: &Figures, bytes: u64) {
    let Figures { reads, replies, deliveries, attempts, .. } = *figures;
    let file = &arguments.file;
    if arguments.json {
        output::json(&json!({
            "file": file.display().to_string(),
            "bytes": bytes,
            "replies": replies,
            "deliveries": deliveries,
            "attempts": attempts,
            "reads": reads,
        }));
        return;
    }
    let count = |number: u64, one, many| {
        output::count(usize::try_from(number).unwrap_or(usize::MAX), one, many)
    };
    let (replies, reads) = (count(replies, "reply", "replies"), count(reads, "read", "reads"));
    let deliveries = count(deliveries, "delivery", "deliveries");
    let kib = bytes.div_ceil(UNIT_BYTES);
    output::data(&format!(
        "{replies}, {deliveries} and {reads} in {}, {kib} KiB, checked",
        shown(file)
    ));
}

//! The store: whether it opens, whether it is whole, and what is owed.

use crate::cli::doctor::finding::Finding;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::config::Config;
use crate::store::error::StoreError;
use crate::store::{OpenMode, Store};

/// Opens the store, where there is one.
pub(super) fn open(config: &Config) -> Result<Store, Finding> {
    let about = "store";
    let path = config.store.path.display();
    Store::open(&config.store.path, OpenMode::Existing).map_err(|error| match error {
        StoreError::Missing(_) => {
            Finding::warn(about, format!("there is none at {path} yet"), "`replyd run` makes it")
        }
        StoreError::Busy => Finding::warn(
            about,
            "it is busy with another process",
            "try again; if it stays so, see which process that is",
        ),
        error @ StoreError::Older { .. } => Finding::warn(
            about,
            error.to_string(),
            "start the service: it copies the store beside its place first",
        ),
        error => {
            let Failure { exit, message } = error.into();
            let message = message.trim_start_matches("replyd: ").to_owned();
            Finding::bad(
                exit,
                about,
                message,
                "docs and README, \"How no reply is lost\": nothing is read until the store is right",
            )
        }
    })
}

/// Reads the whole file and looks for damage.
pub(super) async fn whole(store: &Store) -> Result<Finding, StoreError> {
    match store.quick_check().await {
        Ok(()) => {
            let figures = store.figures().await?;
            let replies = output::count(
                usize::try_from(figures.replies).unwrap_or(usize::MAX),
                "reply",
                "replies",
            );
            let what = format!(
                "opens and is whole; {replies} kept, {} of {} deliveries done",
                figures.delivered, figures.deliveries
            );
            Ok(Finding::ok("store", what))
        }
        Err(StoreError::Broken { path, found }) => Ok(Finding::bad(
            Exit::Failed,
            "store",
            format!("{} is damaged: {found}", path.display()),
            format!(
                "stop the service, keep a copy, and restore a backup, or save what is left by \
                 `sqlite3 {0} .recover | sqlite3 NEW.db`",
                path.display()
            ),
        )),
        Err(error) => Err(error),
    }
}

/// The hours in which replies of an account may be missing.
pub(super) async fn hours(store: &Store, account: &str) -> Result<Finding, StoreError> {
    let gaps = store.gaps(account).await?;
    let owed: u32 = gaps.iter().map(|gap| gap.owed).sum();
    let about = format!("account {account}");
    if owed == 0 {
        return Ok(Finding::ok(about, "no hour is in doubt"));
    }
    let owed = output::count(usize::try_from(owed).unwrap_or(usize::MAX), "hour", "hours");
    Ok(Finding::warn(
        about,
        format!("in {owed} replies may be missing"),
        format!(
            "`replyd coverage --account {account}` shows them; the service reads them again by itself"
        ),
    ))
}

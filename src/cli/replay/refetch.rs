//! Hours read from the gateway once more before their replies are delivered again.

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::cli::table::visible;
use crate::cli::told::{Told, told};
use crate::clock::Clock;
use crate::config::AccountConfig;
use crate::intake::reader::{ReadResult, Reader};
use crate::store::Store;
use crate::store::read::Ingested;
use crate::time::{Hour, UnixMs};

/// What an hour of an account came to.
pub(super) struct Refetched {
    pub(super) account: String,
    pub(super) hour: Hour,
    pub(super) exit: Exit,
    /// Whether the gateway was asked.
    pub(super) asked: bool,
    pub(super) words: String,
    pub(super) json: Value,
}

/// Reads hours by `time`, and waits for the slot.
pub(super) struct Refetch<'a> {
    pub(super) store: &'a Store,
    pub(super) clock: &'a Clock,
    pub(super) stop: &'a CancellationToken,
    /// How long it may still wait, in all.
    pub(super) patience: Duration,
}

impl Refetch<'_> {
    /// Reads the hours of an account one after the other, until one may not be read in time.
    pub(super) async fn account(
        &mut self,
        account: AccountConfig,
        hours: impl Iterator<Item = Hour>,
        mut tell: impl FnMut(&Refetched),
    ) -> Result<Vec<Refetched>, Failure> {
        let name = account.name.clone();
        self.store.anchor_slot(&name, self.clock.now()).await?;
        let reader = Reader::new(self.store.clone(), self.clock.clone(), account)?;
        let mut all = Vec::new();
        for hour in hours {
            let result = self.read(&reader, &name, hour).await?;
            let refetched = refetched(&name, hour, &result, self.clock.unix());
            tell(&refetched);
            let goes_on = refetched.asked && refetched.exit != Exit::Refused;
            all.push(refetched);
            if !goes_on {
                break;
            }
        }
        Ok(all)
    }

    /// Reads an hour, and waits for the slot as long as it has patience.
    async fn read(
        &mut self,
        reader: &Reader,
        account: &str,
        hour: Hour,
    ) -> Result<ReadResult, Failure> {
        loop {
            let wait = match reader.read_now(Some(hour)).await? {
                ReadResult::NotNow(wait) => wait,
                done => return Ok(done),
            };
            if wait > self.patience || !self.wait(account, wait).await {
                return Ok(ReadResult::NotNow(wait));
            }
            self.patience -= wait;
        }
    }

    /// Waits, and shows how long; says whether it came to the end.
    async fn wait(&self, account: &str, wait: Duration) -> bool {
        const STEP: Duration = Duration::from_secs(1);
        let progress = Progress::of_words();
        if progress.is_hidden() {
            let until = self.clock.unix().after(wait).beijing();
            output::talk(&format!("{account}: waits for the gateway's slot until {until}"));
        }
        let mut left = wait;
        while !left.is_zero() {
            let (minutes, seconds) = (left.as_secs() / 60, left.as_secs() % 60);
            progress.say(format!(
                "{}: waits for the gateway's slot, {minutes}:{seconds:02} left",
                visible(account)
            ));
            let step = left.min(STEP);
            // Told to stop, it does not wait for the step's end.
            if self.stop.run_until_cancelled(self.clock.sleep(step)).await.is_none() {
                break;
            }
            left -= step;
        }
        !self.stop.is_cancelled()
    }
}

fn refetched(account: &str, hour: Hour, result: &ReadResult, now: UnixMs) -> Refetched {
    let Told { exit, asked, words, mut json } = told(result, now, None, brought);
    let mut add = |key: &str, value: Value| json.insert(key.to_owned(), value);
    add("account", account.into());
    add("hour", hour.to_string().into());
    if let ReadResult::Done(ingested) = result {
        add("known", known(ingested).into());
        add("missing", ingested.missing.into());
    }
    Refetched { account: account.to_owned(), hour, exit, asked, words, json: Value::Object(json) }
}

fn brought(ingested: &Ingested, doubt: Option<String>) -> String {
    let Ingested { new, missing, .. } = ingested;
    let counts = format!("{new} new, {} known, {missing} missing", known(ingested));
    doubt.map_or_else(|| counts.clone(), |doubt| format!("{counts}; {doubt}"))
}

/// How many of its records were known before.
fn known(ingested: &Ingested) -> usize {
    ingested.records.saturating_sub(ingested.new)
}

//! Reads one account's gateway: carries out what the planner decides.
//!
//! The order of its steps is the product's first promise: the slot and the row before the
//! request, the raw body on disk before the parser, and nothing in memory that a death of the
//! process could take along but an answer still on the wire, which then owes its hours.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock::{Clock, Moment};
use crate::config::AccountConfig;
use crate::gateway::client::{BODY_BYTES_MAX, Client, ClientError, Figure, ReadMode, Received};
use crate::intake::hours;
use crate::intake::plan::{self, Step, Wishes};
use crate::intake::standing::{self, Teller};
use crate::intake::take_in::TakeIn;
use crate::metrics::Metrics;
use crate::pulse::Pulses;
use crate::route::Route;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::read::{AccountView, Begin, Ingested, ReadId, ReadRequest, Refusal, Standing};
use crate::time::{Hour, format_duration};

/// A request that has not gone out so long after its slot was taken never does: the process may
/// have slept, and the slot's arithmetic starts from when it was taken.
const BEGIN_MAX: Duration = Duration::from_secs(10);
/// Room that the store's disk must have before a read: the largest answer, once in the log and
/// once in the file.
pub const ROOM: u64 = 2 * BODY_BYTES_MAX as u64;
/// Wait before a store that failed is tried again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// A reader that has not come round for so long beside the time of a read hangs: the other calls
/// of a step take half a minute at most, and the store answers or fails.
const SILENCE_MAX: Duration = Duration::from_mins(5);

/// A step of intake that could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The gateway's client could not be built.
    #[error("account {account:?}: {source}")]
    Client {
        /// The account.
        account: String,
        /// Why not.
        source: ClientError,
    },
    /// The store refused.
    #[error("account {account:?}: {source}")]
    Store {
        /// The account.
        account: String,
        /// Why.
        source: StoreError,
    },
}

/// What became of a read that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadResult {
    /// It was made and taken in.
    Done(Ingested),
    /// The account's gateway is not asked for so long; nothing was sent.
    NotNow(Duration),
    /// It was not sent, because too long passed after its slot was taken.
    Abandoned,
    /// It was made and is kept; another process took it in.
    TakenElsewhere,
    /// It was made and is kept, but could not be taken in, for this reason; it is tried again.
    NotTakenIn(String),
}

/// Reads one account.
pub struct Reader {
    store: Store,
    clock: Clock,
    config: AccountConfig,
    client: Client,
    take_in: TakeIn,
    pulses: Pulses,
}

impl Reader {
    /// Prepares an account's reads. The account is in the store already.
    ///
    /// # Errors
    /// When its HTTP client cannot be built.
    pub fn new(store: Store, clock: Clock, config: AccountConfig) -> Result<Self, IntakeError> {
        let client = Client::new(config.access())
            .map_err(|source| IntakeError::Client { account: config.name.clone(), source })?;
        let take_in = TakeIn::new(store.clone(), clock.clone());
        let pulses = Pulses::default();
        Ok(Self { store, clock, config, client, take_in, pulses })
    }

    /// The same, whose reads are counted there.
    #[must_use]
    pub fn counting(self, metrics: Metrics) -> Self {
        Self { take_in: self.take_in.counting(metrics), ..self }
    }

    /// The same, which shows there that it is alive while it runs.
    #[must_use]
    pub fn pulsing(self, pulses: &Pulses) -> Self {
        Self { pulses: pulses.clone(), ..self }
    }

    /// Takes in and reads, for ever, until told to stop; a read in flight is waited for. Each
    /// tick of the heartbeat plans anew.
    ///
    /// # Errors
    /// When the store is closed. Everything else is told and tried again.
    pub async fn run(
        self,
        mut ticks: watch::Receiver<u64>,
        stop: CancellationToken,
    ) -> Result<(), IntakeError> {
        let name = format!("account {}", self.config.name);
        let silence = self.config.timeout + SILENCE_MAX;
        let pulse = self.pulses.pulse(&name, silence);
        let mut first = None;
        let mut taking = Trouble::of("an answer is not taken in; it is kept, and reading goes on");
        let mut trouble = Trouble::of("reading waits: nothing is asked for that could not be kept");
        while !stop.is_cancelled() {
            pulse.beat(silence);
            let rest = match self.take_in_and_step(&mut first, &mut taking).await {
                Ok(rest) => {
                    trouble.over(&self.config.name);
                    rest
                }
                Err(StoreError::Closed) => return Err(self.failed(StoreError::Closed)),
                Err(source) => {
                    trouble.tell(&self.config.name, &source);
                    STORE_RETRY
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                ticked = ticks.changed() => {
                    if ticked.is_err() {
                        // The heartbeat has ended, so the service is ending.
                        break;
                    }
                }
                () = self.clock.sleep(rest) => {}
            }
        }
        Ok(())
    }

    fn failed(&self, source: StoreError) -> IntakeError {
        IntakeError::Store { account: self.config.name.clone(), source }
    }

    /// Takes in what is open, then takes a step. A store that cannot keep what was read gets no
    /// more to keep; an answer that alone cannot be taken in stops nothing.
    async fn take_in_and_step(
        &self,
        first: &mut Option<bool>,
        taking: &mut Trouble,
    ) -> Result<Duration, StoreError> {
        match self.take_in.open(&self.config.name).await {
            Ok(()) => taking.over(&self.config.name),
            Err(source) if source.is_of_one_act() => taking.tell(&self.config.name, &source),
            Err(source) => return Err(source),
        }
        self.step(first).await
    }

    /// Does what the planner says; returns how long to rest.
    async fn step(&self, first: &mut Option<bool>) -> Result<Duration, StoreError> {
        let (view, now) = self.view().await?;
        // The first read comes at start if it may be made then, and else by the schedule.
        let is_first = *first.get_or_insert_with(|| plan::blocked_for(&view, &now).is_zero());
        let (hour, is_due) = match plan::next_step(&view, &self.wishes(), is_first, &now) {
            Step::Plain => (None, true),
            Step::Running(hour) => (Some(hour), true),
            Step::Hour(hour) => (Some(hour), false),
            Step::Reconcile(first, last) => {
                self.reconcile(first, last).await?;
                return Ok(Duration::ZERO);
            }
            Step::Probe => {
                self.probe().await?;
                return Ok(Duration::ZERO);
            }
            Step::Rest(rest) => return Ok(rest),
        };
        match self.read(hour).await? {
            ReadResult::NotNow(wait) => return Ok(wait),
            ReadResult::Abandoned => {}
            _ if is_due => *first = Some(false),
            _ => {}
        }
        Ok(Duration::ZERO)
    }

    async fn view(&self) -> Result<(AccountView, Moment), StoreError> {
        let now = self.clock.now();
        let view = self.store.view(&self.config.name, self.config.read, now.clone()).await?;
        Ok((view, now))
    }

    fn wishes(&self) -> Wishes<'_> {
        Wishes {
            schedule: &self.config.schedule,
            read: self.config.read,
            reconcile: self.config.reconcile,
        }
    }

    async fn reconcile(&self, first: Hour, last: Hour) -> Result<(), StoreError> {
        let owed = hours::owed_for_reconciling(first, last, self.config.read);
        self.store.reconcile(&self.config.name, owed, last).await
    }

    /// Asks, by a call that reads no reply, whether a refused account is let in again. Whoever
    /// dies meanwhile leaves the account alone for an interval.
    async fn probe(&self) -> Result<(), StoreError> {
        let (account, wait) = (self.config.name.clone(), self.config.min_interval);
        if !self.store.begin_probe(&account, wait, self.clock.unix()).await? {
            return Ok(());
        }
        let Some((_, key)) = self.store.account(&account).await? else { return Ok(()) };
        let received = self.client.mm(Figure::Left).await;
        let now = self.clock.unix();
        let name = account.clone();
        let decide = move |refusals: u32, subscribers: &[(String, Route)]| {
            let teller =
                Teller { key: &key, account: &name, at: now, read: ReadId(0), subscribers };
            standing::outcome(standing::judge_probe(&received, refusals), refusals, &teller)
        };
        match self.store.end_probe(&account, decide, now).await?.standing {
            Standing::Admitted => info!(account, "the gateway lets the account in again"),
            Standing::Refused(status, pause) => {
                let next_try_in = format_duration(pause);
                error!(account, %status, next_try_in, "the gateway still refuses the account");
            }
            Standing::Unknown => warn!(account, "a probe by /mm told nothing; it will be repeated"),
            Standing::Unclear => {
                warn!(account, "/mm cannot be understood: the next read will tell")
            }
        }
        Ok(())
    }

    /// Takes in what is open and does one step, without waiting: for a run that ends by itself.
    ///
    /// # Errors
    /// The store's own.
    pub async fn step_once(&self) -> Result<ReadResult, StoreError> {
        let (view, now, wait) = self.prepare().await?;
        if !wait.is_zero() {
            return Ok(ReadResult::NotNow(wait));
        }
        let mut step = plan::next_step(&view, &self.wishes(), true, &now);
        if let Step::Reconcile(first, last) = step {
            self.reconcile(first, last).await?;
            let (view, now) = self.view().await?;
            step = plan::next_step(&view, &self.wishes(), true, &now);
        }
        match step {
            Step::Hour(hour) | Step::Running(hour) => self.read(Some(hour)).await,
            Step::Plain => self.read(None).await,
            Step::Rest(rest) => Ok(ReadResult::NotNow(rest)),
            Step::Reconcile(..) | Step::Probe => Ok(ReadResult::NotNow(STORE_RETRY)),
        }
    }

    /// Takes in what is open, and probes an account that was refused if it is time to; then says
    /// where it stands, at what time, and how long it may not be read.
    async fn prepare(&self) -> Result<(AccountView, Moment, Duration), StoreError> {
        self.take_in.open_or_tell(&self.config.name).await?;
        let (view, now) = self.view().await?;
        if plan::is_probe_due(&view, &now) {
            self.probe().await?;
        }
        let (view, now) = self.view().await?;
        let wait = plan::blocked_for(&view, &now);
        Ok((view, now, wait))
    }

    /// The refusal for which the gateway is not to be called now, by whatever call. An account that
    /// is due for a probe is probed first.
    ///
    /// # Errors
    /// The store's own.
    pub async fn refusal(&self) -> Result<Option<Refusal>, StoreError> {
        let (account, login) = (&self.config.name, self.config.login());
        let refused = self.store.refusal(account, &login, self.clock.unix()).await?;
        let (view, now) = self.view().await?;
        if refused.is_none() || !plan::is_probe_due(&view, &now) {
            return Ok(refused);
        }
        self.probe().await?;
        self.store.refusal(account, &login, self.clock.unix()).await
    }

    /// Makes one read now, whatever the schedule says, if it may be made: of an hour, or the one
    /// that brings new replies.
    ///
    /// # Errors
    /// The store's own.
    pub async fn read_now(&self, hour: Option<Hour>) -> Result<ReadResult, StoreError> {
        let (_, now, wait) = self.prepare().await?;
        if !wait.is_zero() {
            return Ok(ReadResult::NotNow(wait));
        }
        let running = (self.config.read == ReadMode::Hour).then(|| now.unix.beijing().hour());
        self.read(hour.or(running)).await
    }

    /// Makes one read, if the slot is free: plain, or an hour by `time`.
    ///
    /// # Errors
    /// The store's own. An error before the request means that none was made.
    async fn read(&self, hour: Option<Hour>) -> Result<ReadResult, StoreError> {
        let taken = self.clock.now();
        let request = ReadRequest {
            account: self.config.name.clone(),
            hour,
            charset: self.config.charset,
            timeout: self.config.timeout,
            min_interval: self.config.min_interval,
            room: ROOM,
        };
        let read = match self.store.begin_read(request, taken.clone()).await? {
            Begin::Busy(wait) => return Ok(ReadResult::NotNow(wait)),
            Begin::Begun(read) => read,
        };
        let now = self.clock.now();
        let late = Duration::from_millis((now.boot_ms - taken.boot_ms).max(0).unsigned_abs());
        if late > BEGIN_MAX.min(self.config.timeout) {
            warn!(
                account = self.config.name,
                read = read.0,
                "a read was not sent: its slot was taken too long ago"
            );
            self.store.abandon_read(read, now).await?;
            return Ok(ReadResult::Abandoned);
        }
        let received =
            self.client.rx(hour, self.clock.sleep_from(&taken, self.config.timeout)).await;
        self.keep(read, received).await?;
        match self.take_in.read(read).await {
            Ok(None) => Ok(ReadResult::TakenElsewhere),
            Ok(Some(ingested)) => Ok(ReadResult::Done(ingested)),
            Err(source) if source.is_of_one_act() => Ok(ReadResult::NotTakenIn(source.to_string())),
            Err(source) => Err(source),
        }
    }

    /// Puts an answer on disk. There is no other copy of it, so a store that fails is tried
    /// again for as long as this process lives.
    async fn keep(&self, read: ReadId, received: Received) -> Result<(), StoreError> {
        let mut trouble =
            Trouble::of("an answer is not on disk yet; it is offered again and again");
        let ended = self.clock.now();
        let interval = self.config.min_interval;
        loop {
            match self.store.finish_read(read, received.clone(), ended.clone(), interval).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Closed) => return Err(StoreError::Closed),
                Err(source) => trouble.tell(&self.config.name, &source),
            }
            tokio::time::sleep(STORE_RETRY).await;
        }
    }
}

/// Tells of a failing store when it begins and when it ends, not at every try.
struct Trouble {
    consequence: &'static str,
    told: Option<String>,
}

impl Trouble {
    fn of(consequence: &'static str) -> Self {
        Self { consequence, told: None }
    }

    fn tell(&mut self, account: &str, error: &StoreError) {
        if self.is_news(error) {
            error!(account, %error, "{}", self.consequence);
        }
    }

    /// Whether this is another trouble than the one that was told. How much room is left is none:
    /// it is less with each line that is logged on the same disk.
    fn is_news(&mut self, error: &StoreError) -> bool {
        let trouble = match error {
            StoreError::NoRoom { .. } => "no room".to_owned(),
            other => other.to_string(),
        };
        let is_news = self.told.as_ref() != Some(&trouble);
        self.told = Some(trouble);
        is_news
    }

    fn over(&mut self, account: &str) {
        if self.told.take().is_some() {
            info!(account, "the store is well again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_that_lasts_is_told_once_however_its_numbers_change() {
        let mut trouble = Trouble::of("reading waits");
        let room = |free| StoreError::NoRoom { free, needed: 100 };
        assert!(trouble.is_news(&room(5)));
        assert!(!trouble.is_news(&room(4)));
        assert!(trouble.is_news(&StoreError::Busy));
        assert!(!trouble.is_news(&StoreError::Busy));
        assert!(trouble.is_news(&room(4)));
        trouble.over("main");
        assert!(trouble.is_news(&room(4)));
    }
}

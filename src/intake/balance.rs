//! Looks now and then how many messages an account has left, and tells when they are few.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::config::AccountConfig;
use crate::event::Notice;
use crate::gateway::client::{Client, Figure};
use crate::gateway::mm;
use crate::intake::reader::IntakeError;
use crate::intake::refusal;
use crate::intake::standing::Teller;
use crate::route::Route;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::read::ReadId;

/// The least time between two looks, whoever takes them.
const INTERVAL: Duration = Duration::from_hours(1);
/// How soon is looked whether one is due.
const REST: Duration = Duration::from_mins(1);

/// Watches one account's messages left.
pub struct Balance {
    store: Store,
    clock: Clock,
    account: String,
    threshold: usize,
    client: Client,
}

impl Balance {
    /// Prepares the looks at an account; none where its messages left are not to be watched.
    ///
    /// # Errors
    /// When its HTTP client cannot be built.
    pub fn new(
        store: Store,
        clock: Clock,
        config: &AccountConfig,
    ) -> Result<Option<Self>, IntakeError> {
        if config.balance_low == 0 {
            return Ok(None);
        }
        let account = config.name.clone();
        let client = Client::new(config.access())
            .map_err(|source| IntakeError::Client { account: account.clone(), source })?;
        Ok(Some(Self { store, clock, account, threshold: config.balance_low, client }))
    }

    /// Looks for ever, until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.look_if_due().await {
                warn!(account = self.account, %error, "cannot look how many messages are left");
            }
            if stop.run_until_cancelled(self.clock.sleep(REST)).await.is_none() {
                return;
            }
        }
    }

    /// Looks once, if a look is due.
    ///
    /// # Errors
    /// The store's own.
    pub async fn look_if_due(&self) -> Result<(), StoreError> {
        let (account, threshold) = (self.account.clone(), self.threshold);
        if !self.store.begin_balance_look(&account, INTERVAL, self.clock.unix()).await? {
            return Ok(());
        }
        let Some((_, key)) = self.store.account(&account).await? else { return Ok(()) };
        let received = self.client.mm(Figure::Left).await;
        let said = mm::judge(&received);
        if let mm::Said::Refused(status) = said {
            refusal::keep(&self.store, &self.clock, &account, status).await?;
        }
        let mm::Said::Count(balance) = said else {
            warn!(
                account,
                error = received.error,
                "the gateway did not say how many messages are left"
            );
            return Ok(());
        };
        let now = self.clock.unix();
        let name = account.clone();
        let tell = move |told: bool, subscribers: &[(String, Route)]| {
            let teller =
                Teller { key: &key, account: &name, at: now, read: ReadId(0), subscribers };
            let is_low = balance < threshold as u64;
            let notice = Notice::BalanceLow { balance, threshold };
            (is_low, (is_low && !told).then(|| teller.tell(notice)))
        };
        if self.store.keep_balance(&account, balance, tell, now).await? {
            warn!(account, balance, threshold, "few messages are left");
        } else {
            info!(account, balance, "messages left");
        }
        Ok(())
    }
}

//! Makes the calls of a message, one after the other.

use std::time::Duration;

use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::config::AccountConfig;
use crate::gateway::client::{Client, ClientError};
use crate::gateway::tx::{Call, Outcome};
use crate::intake::refusal;
use crate::reply::IdKey;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::message::MessageSeq;
use crate::store::read::Refusal;

/// How often, and how far apart, a store that fails is offered the outcome of a call.
const RECORD_TRIES: u32 = 10;
const RECORD_PAUSE: Duration = Duration::from_secs(1);

/// Makes calls for one account.
pub struct Caller {
    store: Store,
    clock: Clock,
    account: String,
    login: IdKey,
    client: Client,
}

impl Caller {
    /// Prepares the calls of an account, which is in the store already.
    ///
    /// # Errors
    /// When its HTTP client cannot be built.
    pub fn new(store: Store, clock: Clock, config: &AccountConfig) -> Result<Self, ClientError> {
        let client = Client::new(config.access())?;
        Ok(Self { store, clock, account: config.name.clone(), login: config.login(), client })
    }

    /// The refusal for which the account is left alone now.
    ///
    /// # Errors
    /// The store's own.
    pub(super) async fn refusal(&self) -> Result<Option<Refusal>, StoreError> {
        self.store.refusal(&self.account, &self.login, self.clock.unix()).await
    }

    /// Makes a call, unless it was begun before. While the gateway refuses the account it is called
    /// unsent: a further login would get the account locked.
    ///
    /// # Errors
    /// The store's own. Before the call nothing was sent; after it the outcome is in the log.
    pub async fn call(
        &self,
        message: MessageSeq,
        number: usize,
        call: Call<'_>,
    ) -> Result<Option<Outcome>, StoreError> {
        if !self.store.begin_call(message, number, self.clock.unix()).await? {
            return Ok(None);
        }
        let outcome = match self.refusal().await? {
            Some(Refusal { status, until }) => Outcome::Unsent(format!(
                "the gateway refused the account with {status}; it is left alone until {}",
                until.beijing()
            )),
            None => self.client.tx(call).await,
        };
        self.tell(message, number, call.numbers.len(), &outcome);
        self.record(message, number, &outcome).await?;
        if let Outcome::Refused(status) = outcome {
            refusal::keep(&self.store, &self.clock, &self.account, status).await?;
        }
        Ok(Some(outcome))
    }

    /// Gives up the calls of a message that were not made.
    ///
    /// # Errors
    /// The store's own.
    pub(super) async fn leave_unsent(&self, message: MessageSeq) -> Result<(), StoreError> {
        self.store.leave_unsent(message, self.clock.unix()).await.map(drop)
    }

    /// A store that is full or busy now may take it in a moment.
    async fn record(
        &self,
        message: MessageSeq,
        number: usize,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            let now = self.clock.unix();
            match self.store.end_call(message, number, outcome.clone(), now).await {
                Err(error) if tries < RECORD_TRIES && !matches!(error, StoreError::Closed) => {
                    warn!(account = self.account, %error, "what became of a message is not kept yet");
                }
                done => return done,
            }
            tries += 1;
            tokio::time::sleep(RECORD_PAUSE).await;
        }
    }

    fn tell(&self, message: MessageSeq, call: usize, numbers: usize, outcome: &Outcome) {
        // `message` is what the log calls its words.
        let (account, message_seq) = (&self.account, message.0);
        match outcome {
            Outcome::Accepted => info!(account, message_seq, call, numbers, "sent"),
            Outcome::Refused(status) => {
                error!(account, message_seq, call, numbers, %status, "not sent: the gateway refused it");
            }
            Outcome::Unsent(detail) => {
                error!(
                    account,
                    message_seq, call, numbers, detail, "not sent: nothing reached the gateway"
                );
            }
            Outcome::Unclear(detail) => {
                let words = "it may have been sent: the gateway did not say; it is not sent again";
                error!(account, message_seq, call, numbers, detail, "{words}");
            }
        }
    }
}

//! Which replies a command is about: the options that `list` and `export` have.

use crate::cli::exit::Failure;
use crate::cli::{arguments, chosen};
use crate::clock::Clock;
use crate::config::Config;
use crate::reply::Mobile;
use crate::store::Store;
use crate::store::delivery::DeliveryState;
use crate::store::replies::ReplyFilter;
use crate::time::{Since, Until};

/// What narrows replies down. Each option is one more condition.
#[derive(Debug, clap::Args)]
pub(super) struct FilterArguments {
    /// Only of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only of this number, which is compared as a whole: 13912345678
    #[arg(long, value_name = "NUMBER", value_parser = arguments::mobile)]
    mobile: Option<Mobile>,
    /// Only with this in the text, as it stands there: no pattern, capitals count
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    text: Option<String>,
    /// Only written since: 24h ago, on 2008-05-27, or in 2008-05-27_12 (Beijing time)
    #[arg(long, visible_alias = "since", value_name = "WHEN")]
    from: Option<Since>,
    /// Only written until: 24h ago, the end of 2008-05-27, or of 2008-05-27_12
    #[arg(long, visible_alias = "until", value_name = "WHEN")]
    to: Option<Until>,
    /// Only with a delivery in this state (repeatable)
    #[arg(long = "state", value_name = "STATE", value_parser = arguments::delivery_state())]
    states: Vec<DeliveryState>,
    /// Only those that are suspect
    #[arg(long)]
    suspect: bool,
}

impl FilterArguments {
    /// What the store is asked for.
    ///
    /// # Errors
    /// Where the account is not known.
    pub(super) async fn filter(
        &self,
        config: &Config,
        store: &Store,
    ) -> Result<ReplyFilter, Failure> {
        if let Some(name) = &self.account {
            chosen::accounts(config, store, Some(name)).await?;
        }
        let now = Clock::system().unix();
        Ok(ReplyFilter {
            account: self.account.clone(),
            mobile: self.mobile.clone(),
            text: self.text.clone(),
            from: self.from.map(|from| from.instant(now)),
            to: self.to.map(|to| to.instant(now)),
            states: self.states.clone(),
            suspect: self.suspect,
        })
    }
}

//! `replyd balance`: how many messages each account has left, or has sent.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::spoken::Spoken;
use crate::cli::{chosen, left_alone, load, output};
use crate::clock::Clock;
use crate::config::AccountConfig;
use crate::gateway::client::{Client, Figure};
use crate::gateway::mm::{self, Said};
use crate::intake::refusal;
use crate::language::Language;
use crate::shape::Balance;
use crate::store::error::StoreError;
use crate::store::{OpenMode, Store};

/// Arguments of `balance`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// How many messages were sent in all, instead
    #[arg(long)]
    sent: bool,
    /// Only this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    #[command(flatten)]
    language: Spoken,
    /// Print one JSON object per account
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Asks the gateway by /mm, which reads no reply. With `balance_low` in the configuration the service
asks by itself and tells subscribers of balance.low.

Examples:
  replyd balance
  replyd balance --sent --account main --json

Exit codes: 0 done, 1 an answer that is not the gateway's, 69 not reached, 75 locked and left alone,
77 refused. An account that the gateway refused is left alone for a while, and not asked then.";

/// Asks each account's gateway.
pub(super) async fn balance(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    if let Some(name) = &arguments.account {
        let known: Vec<&str> =
            config.accounts.iter().map(|account| account.name.as_str()).collect();
        chosen::require("account", name, &known)?;
    }
    let figure = if arguments.sent { Figure::Sent } else { Figure::Left };
    let is_chosen = |account: &&AccountConfig| {
        arguments.account.as_ref().is_none_or(|name| *name == account.name)
    };
    // Where none is yet, nothing is known of refusals, and nothing is kept of them.
    let store = match Store::open(&config.store.path, OpenMode::Existing) {
        Err(StoreError::Missing(_)) => None,
        opened => Some(opened?),
    };
    let (clock, language) = (Clock::system(), arguments.language.language());
    let mut worst = Exit::Done;
    for account in config.accounts.iter().filter(is_chosen) {
        let refused = match &store {
            Some(store) => left_alone::refusal(store, &clock, account).await?,
            None => None,
        };
        if let Some(refused) = refused {
            if worst == Exit::Done {
                worst = left_alone::exit(refused);
            }
            output::talk(&left_alone::words(&account.name, refused, language));
            if arguments.json {
                let said = Said::Refused(refused.status);
                output::json(&json!(Balance::of(&said, &account.name, figure)));
            }
            continue;
        }
        let client = Client::new(account.access())
            .map_err(|error| Failure::new(Exit::Failed, format!("replyd: {error}")))?;
        let said = mm::judge(&client.mm(figure).await);
        if let (Some(store), Said::Refused(status)) = (&store, &said) {
            refusal::keep(store, &clock, &account.name, *status).await?;
        }
        if worst == Exit::Done {
            worst = exit(&said);
        }
        match arguments.json {
            true => output::json(&json!(Balance::of(&said, &account.name, figure))),
            false => print(&said, &account.name, figure, language),
        }
    }
    Ok(worst)
}

fn exit(said: &Said) -> Exit {
    match said {
        Said::Count(_) => Exit::Done,
        Said::Refused(status) => super::send::exit_of(*status),
        Said::Nothing(_) => Exit::Unreachable,
        Said::Strange => Exit::Failed,
    }
}

fn print(said: &Said, account: &str, figure: Figure, language: Language) {
    match said {
        Said::Count(count) => {
            let messages = if *count == 1 { "message" } else { "messages" };
            let words = match (figure, language) {
                (Figure::Left, Language::Zh) => format!("剩余 {count} 条短信"),
                (Figure::Sent, Language::Zh) => format!("共已发送 {count} 条短信"),
                (Figure::Left, Language::En) => format!("{count} {messages} left"),
                (Figure::Sent, Language::En) => format!("{count} {messages} sent in all"),
            };
            output::data(&format!("{account}: {words}"));
        }
        Said::Refused(status) => output::talk(&format!(
            "{account}: {} {}. {}",
            status.0,
            status.meaning_in(language),
            status.advice(language)
        )),
        Said::Nothing(why) => {
            let words = language.pick("无法连接网关", "the gateway was not reached");
            output::talk(&format!("{account}: {words}: {why}"));
        }
        Said::Strange => output::talk(&format!(
            "{account}: {}",
            language.pick(
                "返回的不是网关的内容，请检查 base_url",
                "the answer is not the gateway's: check base_url"
            )
        )),
    }
}

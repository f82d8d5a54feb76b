//! `replyd balance`: how many messages each account has left, or has sent.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::cli::exit::{Exit, Failure};
use crate::cli::spoken::Spoken;
use crate::cli::{chosen, load, output};
use crate::config::AccountConfig;
use crate::gateway::client::{Client, Ending, Figure, Received};
use crate::gateway::mm;
use crate::gateway::status::Status;
use crate::language::Language;

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

Exit codes: 0 done, 1 an answer that is not the gateway's, 69 not reached, 77 refused.";

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
    let mut worst = Exit::Done;
    for account in config.accounts.iter().filter(is_chosen) {
        let client = Client::new(account.access())
            .map_err(|error| Failure::new(Exit::Failed, format!("replyd: {error}")))?;
        let said = judge(&client.mm(figure).await);
        if worst == Exit::Done {
            worst = said.exit();
        }
        match arguments.json {
            true => output::json(&Value::Object(said.json(&account.name, figure))),
            false => said.print(&account.name, figure, arguments.language.language()),
        }
    }
    Ok(worst)
}

/// What the gateway said.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Count(u64),
    Refused(Status),
    /// It was not reached, or broke off.
    Nothing(String),
    /// Something that is not of this protocol.
    Strange,
}

fn judge(received: &Received) -> Said {
    if !matches!(received.ending, Ending::Announced | Ending::Connection) {
        return Said::Nothing(received.error.clone().unwrap_or_else(|| "no answer".to_owned()));
    }
    match mm::parse(&received.body) {
        Some(figures) if figures.status != Status::OK => Said::Refused(figures.status),
        Some(mm::Figures { count: Some(count), .. }) => Said::Count(count),
        _ => Said::Strange,
    }
}

impl Said {
    fn exit(&self) -> Exit {
        match self {
            Self::Count(_) => Exit::Done,
            Self::Refused(status) => super::send::exit_of(*status),
            Self::Nothing(_) => Exit::Unreachable,
            Self::Strange => Exit::Failed,
        }
    }

    fn json(&self, account: &str, figure: Figure) -> Map<String, Value> {
        let key = if figure == Figure::Sent { "sent" } else { "balance" };
        let (mut count, mut status, mut error) = (Value::Null, json!(100), Value::Null);
        match self {
            Self::Count(found) => count = json!(found),
            Self::Refused(refused) => {
                status = json!(refused.0);
                error = json!(refused.meaning());
            }
            Self::Nothing(why) => {
                status = Value::Null;
                error = json!(why);
            }
            Self::Strange => {
                status = Value::Null;
                error = json!("not an answer of the gateway");
            }
        }
        [("account", json!(account)), (key, count), ("status", status), ("error", error)]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }

    fn print(&self, account: &str, figure: Figure, language: Language) {
        match self {
            Self::Count(count) => {
                let messages = if *count == 1 { "message" } else { "messages" };
                let words = match (figure, language) {
                    (Figure::Left, Language::Zh) => format!("剩余 {count} 条短信"),
                    (Figure::Sent, Language::Zh) => format!("共已发送 {count} 条短信"),
                    (Figure::Left, Language::En) => format!("{count} {messages} left"),
                    (Figure::Sent, Language::En) => format!("{count} {messages} sent in all"),
                };
                output::data(&format!("{account}: {words}"));
            }
            Self::Refused(status) => output::talk(&format!(
                "{account}: {} {}. {}",
                status.0,
                status.meaning_in(language),
                status.advice(language)
            )),
            Self::Nothing(why) => {
                let words = language.pick("无法连接网关", "the gateway was not reached");
                output::talk(&format!("{account}: {words}: {why}"));
            }
            Self::Strange => output::talk(&format!(
                "{account}: {}",
                language.pick(
                    "返回的不是网关的内容，请检查 base_url",
                    "the answer is not the gateway's: check base_url"
                )
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_of_the_gateway_counts() {
        let judged = |ending, body: &str| {
            let body = body.as_bytes().to_vec();
            judge(&Received { http_status: Some(200), ending, body, error: None })
        };
        assert_eq!(judged(Ending::Announced, "100||22348"), Said::Count(22_348));
        assert_eq!(judged(Ending::Announced, "101"), Said::Refused(Status(101)));
        for body in ["", "100", "<html>", "100||x"] {
            assert_eq!(judged(Ending::Announced, body), Said::Strange, "{body}");
        }
        assert!(matches!(judged(Ending::Cut, "100||2"), Said::Nothing(_)));
    }
}

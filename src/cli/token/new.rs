//! `replyd token new`: a fresh token.

use std::path::Path;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::{load, output};
use crate::clock::{Clock, random_bytes};
use crate::config;
use crate::server::token;
use crate::store::token::{NewToken, NotMade, Scope};
use crate::store::{OpenMode, Store};
use crate::time::parse_duration;

/// Arguments of `token new`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// What the token is called: the program or the person that has it
    #[arg(long, value_name = "NAME", value_parser = config::name)]
    name: String,
    /// What it allows (repeatable)
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = scope())]
    scopes: Vec<Scope>,
    /// After how long it is worth nothing, such as 90d; never, where this is not given
    #[arg(long, value_name = "DURATION", value_parser = life)]
    expires: Option<Duration>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
  read     look at everything that is kept, whole numbers and texts among it
  replay   have replies delivered again: retry, cancel and release deliveries, replay, test
  admin    everything else that changes something: send, enable and disable subscribers

None includes another. The token goes to stdout and nothing else does; it is shown this once.

Examples:
  replyd token new --name crm --scope read --expires 90d
  replyd token new --name console --scope read --scope replay --scope admin
  (umask 077; replyd token new --name crm --scope read > crm.token)";

fn scope() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str))
        .try_map(|word| Scope::parse(&word).ok_or("no such scope"))
}

/// A century is longer than any token is used, and far from where time ends.
const LIFE_MAX: Duration = Duration::from_hours(36_500 * 24);

fn life(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(life) if !life.is_zero() && life <= LIFE_MAX => Ok(life),
        Ok(_) => Err("must be more than nothing and at most 36500d".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Makes a token.
pub(super) async fn new(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    // It can be made before the first start, which may need it.
    let store = Store::open(&config.store.path, OpenMode::Create)?;
    let random = random_bytes().map_err(anyhow::Error::from)?;
    let (token, digest) = token::made(&random);
    let now = Clock::system().unix();
    let mut scopes = arguments.scopes.clone();
    scopes.sort_unstable();
    scopes.dedup();
    let expires = arguments.expires.map(|span| now.after(span));
    let name = arguments.name.clone();
    let new = NewToken { name: name.clone(), digest, scopes: scopes.clone(), expires };
    let put = store.put_token(new, now).await?;
    store.close().await;
    match put {
        Ok(_) => {}
        Err(NotMade::Taken) => {
            return Err(Failure::usage(format_args!(
                "a token {name:?} is in use: `replyd token revoke {name}` first, or choose another name"
            )));
        }
        Err(NotMade::TooMany) => {
            let most = Store::TOKENS_MAX;
            let message = format!("there are {most} tokens already: revoke those that nobody uses");
            return Err(Failure::usage(message));
        }
    }
    let expires_at = expires.map(|at| at.beijing());
    if arguments.json {
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let expires_at = expires_at.map(|at| at.rfc3339());
        output::json(&json!({
            "token": token, "name": name, "scopes": scopes, "expires_at": expires_at,
        }));
    } else {
        output::data(&token);
    }
    let until =
        expires_at.map_or_else(String::new, |at| format!(", good until {at} (Beijing time)"));
    output::talk(&format!("token {name:?}{until}: it is not shown again"));
    Ok(Exit::Done)
}

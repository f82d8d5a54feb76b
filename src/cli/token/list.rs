//! `replyd token list`: the tokens that there are and were.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::table::{Align, Table};
use crate::cli::{load, output};
use crate::clock::Clock;
use crate::store::token::{Scope, TokenRow};
use crate::store::{OpenMode, Store};
use crate::time::UnixMs;

/// Arguments of `token list`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
USED is when it was last used, to within ten minutes.

Examples:
  replyd token list
  replyd token list --json | jq -r 'select(.state == \"valid\").name'";

/// Lists the tokens.
pub(super) async fn list(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let now = Clock::system().unix();
    let tokens = store.tokens().await?;
    if arguments.json {
        tokens.iter().for_each(|token| output::json(&as_json(token, now)));
    } else if tokens.is_empty() {
        output::talk("there is no token: `replyd token new` makes one");
    } else {
        table(&tokens, now).print();
    }
    Ok(Exit::Done)
}

fn as_json(token: &TokenRow, now: UnixMs) -> serde_json::Value {
    let time = |at: UnixMs| at.beijing().rfc3339();
    json!({
        "name": token.name,
        "scopes": token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        "state": token.state(now).as_str(),
        "created_at": time(token.created),
        "expires_at": token.expires.map(time),
        "revoked_at": token.revoked.map(time),
        "used_at": token.used.map(time),
    })
}

fn table(tokens: &[TokenRow], now: UnixMs) -> Table<6> {
    let mut table = Table::new([
        ("NAME", Align::Left),
        ("SCOPES", Align::Left),
        ("STATE", Align::Left),
        ("MADE", Align::Left),
        ("EXPIRES", Align::Left),
        ("USED", Align::Left),
    ]);
    let time = |at: Option<UnixMs>| output::or_dash(at.map(|at| at.beijing()));
    for token in tokens {
        let scopes: Vec<&str> = token.scopes.iter().copied().map(Scope::as_str).collect();
        table.row([
            token.name.clone(),
            scopes.join(" "),
            token.state(now).as_str().to_owned(),
            time(Some(token.created)),
            time(token.expires),
            time(token.used),
        ]);
    }
    table
}

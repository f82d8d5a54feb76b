//! `replyd token revoke NAME`: one that is worth nothing from now on.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::{load, output};
use crate::clock::Clock;
use crate::store::{OpenMode, Store};

/// Arguments of `token revoke`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The token's name
    #[arg(value_name = "NAME")]
    name: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
A running service refuses it from its next request on; streams that it has open end within seconds.

Example:
  replyd token revoke crm

Exit codes: 0 revoked, 66 no such token in use.";

/// Revokes a token.
pub(super) async fn revoke(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let name = arguments.name.as_str();
    if !store.revoke_token(name, Clock::system().unix()).await? {
        let message = format!("replyd: no token {name:?} is in use");
        return Err(Failure::new(Exit::NotFound, message));
    }
    if arguments.json {
        output::json(&json!({ "name": name, "state": "revoked" }));
    } else {
        output::data(&format!("{name} is revoked"));
    }
    Ok(Exit::Done)
}

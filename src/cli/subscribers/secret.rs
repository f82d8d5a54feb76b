//! `replyd subscribers secret new`: a fresh signing secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::clock::random_bytes;

/// The most bytes that a secret may have.
const BYTES_MAX: usize = 64;

/// Arguments of `subscribers secret`.
#[derive(Debug, clap::Args)]
#[command(after_help = GROUP_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const GROUP_HELP: &str = "\
Example:
  replyd subscribers secret new";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print a fresh secret, and nothing else, to stdout
    New(NewArguments),
}

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
struct NewArguments {
    /// How many random bytes it holds (24 to 64)
    #[arg(long, value_name = "COUNT", default_value_t = 32, value_parser = clap::value_parser!(u8).range(24..=64))]
    bytes: u8,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
It needs no configuration and changes none.

Example:
  (umask 077; replyd subscribers secret new > crm.secret)";

/// Runs the command that the arguments name.
pub(super) fn secret(arguments: &Arguments) -> Result<Exit, Failure> {
    let Command::New(arguments) = &arguments.command;
    let random = random_bytes::<BYTES_MAX>()
        .map_err(|error| Failure::new(Exit::Failed, format!("replyd: no randomness: {error}")))?;
    let (key, _) = random.split_at_checked(usize::from(arguments.bytes)).unwrap_or((&random, &[]));
    let secret = format!("whsec_{}", BASE64.encode(key));
    if arguments.json {
        output::json(&json!({ "secret": secret }));
    } else {
        output::data(&secret);
    }
    output::talk(
        "to change a secret without a gap: put the new one first, secret = [new, old], and start the service \
         anew: both sign; let the receiver check with the new one; then take the old one out",
    );
    Ok(Exit::Done)
}

//! `replyd replies`: look at what was kept, export it, erase a person.

mod csv;
mod erase;
mod export;
mod filter;
mod list;
mod show;

use std::path::Path;
use std::str::FromStr;

use crate::cli::exit::{Exit, Failure};
use crate::cli::load;
use crate::store::delivery::DeliveryState;
use crate::store::{OpenMode, Store};

/// Arguments of `replies`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  replyd replies list --since 24h
  replyd replies export --format csv > replies.csv

Exit codes: 0 done, 1 some of it failed, 66 nothing of that name, 78 configuration.";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List replies, newest first
    List(list::Arguments),
    /// Show all about one reply: its fields, the read that brought it, who was told of it
    Show(show::Arguments),
    /// Write any number of replies, oldest first, as JSON lines or for a spreadsheet
    Export(export::Arguments),
    /// Erase all that is of one number, for good
    Erase(erase::Arguments),
}

/// Runs the command that the arguments name, on the store, beside the service or without it.
pub(super) async fn replies(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    match &arguments.command {
        Command::List(arguments) => list::list(&config, &store, arguments).await,
        Command::Show(arguments) => show::show(&store, arguments).await,
        Command::Erase(arguments) => erase::erase(&store, arguments).await,
        Command::Export(arguments) => export::export(&config, &store, arguments).await,
    }
}

/// The name of a reply as somebody types it: an id, or its beginning.
#[derive(Clone, Debug)]
struct ReplyName(String);

impl FromStr for ReplyName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("rpl_").or_else(|| text.strip_prefix("rpn_"));
        let is_hex =
            |digits: &str| digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match digits {
            Some(digits) if (4..=32).contains(&digits.len()) && is_hex(digits) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(
                "not the id of a reply, rpl_… or rpn_…, nor its beginning with at least 4 digits",
            ),
        }
    }
}

impl ReplyName {
    /// The id of the reply that is meant.
    ///
    /// # Errors
    /// Where there is none, or several begin so.
    async fn find(&self, store: &Store) -> Result<String, Failure> {
        let Self(name) = self;
        let mut ids = store.reply_ids(name).await?;
        if ids.len() > 1 {
            let ids = ids.join(", ");
            return Err(Failure::usage(format_args!(
                "several replies begin with {name}, among them {ids}"
            )));
        }
        let missing = || Failure::new(Exit::NotFound, format!("replyd: there is no reply {name}"));
        ids.pop().ok_or_else(missing)
    }
}

/// Where a reply's deliveries stand: `delivered`, or `delivered 2, failed 1`.
fn in_short(deliveries: &[(DeliveryState, u64)]) -> String {
    match deliveries {
        [(state, 1)] => state.as_str().to_owned(),
        _ => {
            let one = |(state, count): &(DeliveryState, u64)| format!("{} {count}", state.as_str());
            deliveries.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_named_by_its_id_or_the_beginning_of_it() {
        for good in ["rpl_a709", "rpn_0123456789abcdef", "rpl_a709f199bea5d26ec0923388d105bfee"] {
            assert!(good.parse::<ReplyName>().is_ok(), "{good}");
        }
        let wrong = [
            "",
            "rpl_",
            "rpl_a70",
            "a709f199",
            "evt_a709f199",
            "rpl_A709",
            "rpl_a709*",
            "rpl_a709f199bea5d26ec0923388d105bfee0",
        ];
        for wrong in wrong {
            assert!(wrong.parse::<ReplyName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn states_are_counted_where_there_are_several() {
        use DeliveryState::{Delivered, Failed};
        for (deliveries, expected) in [
            (&[][..], ""),
            (&[(Delivered, 1)], "delivered"),
            (&[(Delivered, 2)], "delivered 2"),
            (&[(Delivered, 2), (Failed, 1)], "delivered 2, failed 1"),
        ] {
            assert_eq!(in_short(deliveries), expected);
        }
    }
}

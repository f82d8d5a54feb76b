//! The arguments of a command about one subscriber that tells of it.

use crate::cli::spoken::Spoken;

/// Which subscriber, and how it is told of.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The subscriber
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) language: Spoken,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

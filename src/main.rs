//! Parses the command line, runs the command, ends with its exit code.

use clap::Parser;
use replyd::cli::{self, Arguments, Exit};

#[tokio::main]
async fn main() -> Exit {
    cli::run(Arguments::parse()).await
}

//! Parses the command line, runs the command, ends with its exit code.

use std::time::Duration;

use clap::Parser;
use replyd::cli::{self, Arguments, Exit};

/// Claims are allocated by the store's thread and freed by those that send, outcomes the other way;
/// the system's allocator makes such threads wait for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long work that cannot be stopped, such as a name being resolved, may hold up the end.
const END_MAX: Duration = Duration::from_secs(1);

fn main() -> std::io::Result<Exit> {
    cli::hide_panic_messages();
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(cli::run(arguments));
    runtime.shutdown_timeout(END_MAX);
    Ok(exit)
}

//! The command line: one file per command. Data goes to stdout, talk to stderr.

mod arguments;
mod attempt;
mod audit;
mod backup;
mod balance;
mod check;
mod chosen;
mod completions;
mod consent;
mod coverage;
mod deliveries;
mod demo;
mod doctor;
mod exit;
mod facts;
mod given;
mod health;
mod init;
mod left_alone;
mod listen;
mod log;
mod man;
mod new_file;
mod output;
mod poll;
mod progress;
mod reads;
mod receiving;
mod replay;
mod replies;
mod run;
mod send;
mod signals;
mod sim;
mod spoken;
mod subscribers;
mod table;
mod token;
mod told;
mod verify;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use crate::cli::exit::Exit;
use crate::cli::exit::Failure;
use crate::config::{Config, Secrets};
use crate::delivery::target;

/// Reads SMS replies from a gateway that hands each out once, keeps them, and delivers each to
/// every subscriber as a signed webhook.
#[derive(Debug, Parser)]
#[command(name = "replyd", version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Arguments {
    /// The configuration file
    #[arg(
        long,
        value_name = "FILE",
        env = "REPLYD_CONFIG",
        default_value = "config.toml",
        global = true
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  replyd demo                              see the whole way work, with no configuration
  replyd sim --replies-per-minute 12       1. a gateway to try with, in a terminal of its own
  replyd init --sim                        2. a configuration for it; `init` alone asks for yours
  replyd check                             3. is it right?
  replyd listen --subscriber crm           4. a receiver to try with, in a terminal of its own
  replyd run                               5. the service: the first reply comes within seconds
  replyd doctor                            what is wrong, and how to mend it?
  replyd subscribers test crm              does this receiver take what it is sent?
  replyd send --to 13900000001 '您好'      send a text
  replyd replay 2008-05-27_12 --dry-run    what would be delivered again?

Exit codes: 0 done, 1 some of it failed, 2 usage, 66 not found, 69 unreachable, 75 not now,
77 refused by the gateway, 78 configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole way on this machine: a gateway, the service and a receiver, on a fast clock
    Demo(demo::Arguments),
    /// Run the service: read on schedule, keep, deliver
    Run(run::Arguments),
    /// Write a commented configuration, with a secret of its own
    Init(init::Arguments),
    /// Check the configuration; touches neither network nor store
    Check(check::Arguments),
    /// Find what is wrong, and say how to mend it; reads no reply and sends none
    Doctor(doctor::Arguments),
    /// Ask the running service whether it lives and is ready
    Health(health::Arguments),
    /// Read each account's replies once, now, if its slot is free
    Poll(poll::Arguments),
    /// Deliver the replies of an hour, or of several, again; list and cancel such jobs
    Replay(replay::Arguments),
    /// Look at kept replies, export them, erase a person's
    Replies(replies::Arguments),
    /// Look at deliveries, try them again, release those that are held, cancel
    Deliveries(deliveries::Arguments),
    /// Look at subscribers, test, enable and disable them
    Subscribers(subscribers::Arguments),
    /// Send a text to one or to thousands of numbers
    Send(send::Arguments),
    /// How many messages each account has left, or has sent
    Balance(balance::Arguments),
    /// Show which hours are sure, and in which replies may be missing
    Coverage(coverage::Arguments),
    /// The journal of what was read
    Reads(reads::Arguments),
    /// Copy the store, whole and checked, while the service runs
    Backup(backup::Arguments),
    /// A gateway on this machine that hands out made-up replies, for tests
    Sim(sim::Arguments),
    /// Tokens for the HTTP API: make, list and revoke them
    Token(token::Arguments),
    /// What was changed by the HTTP API, and by whose token
    Audit(audit::Arguments),
    /// Listen for webhooks on this machine, verify them and explain what comes
    Listen(listen::Arguments),
    /// Say why a webhook's signature holds or does not
    Verify(verify::Arguments),
    /// Print what a shell needs to complete the commands and their options
    Completions(completions::Arguments),
    /// Print a manual page, or write all of them
    Man(man::Arguments),
}

/// A panic tells where it was and not what: its message may quote a reply's text.
pub fn hide_panic_messages() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        output::talk(&format!("replyd: an error of this program at {place}; please report it"));
    }));
}

/// Runs the command that the arguments name.
pub async fn run(arguments: Arguments) -> Exit {
    let config = arguments.config;
    let done = match arguments.command {
        Command::Demo(arguments) => demo::demo(&arguments).await,
        Command::Run(arguments) => run::run(&config, &arguments).await,
        Command::Init(arguments) => init::init(&config, &arguments).await,
        Command::Check(arguments) => check::check(&config, &arguments),
        Command::Doctor(arguments) => doctor::doctor(&config, &arguments).await,
        Command::Health(arguments) => health::health(&config, &arguments).await,
        Command::Poll(arguments) => poll::poll(&config, &arguments).await,
        Command::Replay(arguments) => replay::replay(&config, &arguments).await,
        Command::Replies(arguments) => replies::replies(&config, &arguments).await,
        Command::Deliveries(arguments) => deliveries::deliveries(&config, &arguments).await,
        Command::Subscribers(arguments) => subscribers::subscribers(&config, &arguments).await,
        Command::Send(arguments) => send::send(&config, &arguments).await,
        Command::Balance(arguments) => balance::balance(&config, &arguments).await,
        Command::Coverage(arguments) => coverage::coverage(&config, &arguments).await,
        Command::Reads(arguments) => reads::reads(&config, &arguments).await,
        Command::Backup(arguments) => backup::backup(&config, &arguments).await,
        Command::Sim(arguments) => sim::sim(&arguments).await,
        Command::Token(arguments) => token::token(&config, &arguments).await,
        Command::Audit(arguments) => audit::audit(&config, &arguments).await,
        Command::Listen(arguments) => listen::listen(&config, &arguments).await,
        Command::Verify(arguments) => verify::verify(&config, &arguments),
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::Man(arguments) => man::man(&arguments),
    };
    match done {
        Ok(exit) => exit,
        Err(failure) => {
            output::talk(&failure.message);
            failure.exit
        }
    }
}

/// Loads the configuration with its secrets, and starts the log.
fn load(path: &std::path::Path) -> Result<Config, Failure> {
    let config = Config::load(path, Secrets::Read, target::formats())?;
    log::start(&config.log);
    Ok(config)
}

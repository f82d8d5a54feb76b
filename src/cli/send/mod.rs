//! `replyd send`: sends a text to one or to thousands of numbers, by `/tx`.

mod account;
mod told;

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::app::App;
use crate::cli::exit::{Exit, Failure};
use crate::cli::progress::Progress;
use crate::cli::spoken::Spoken;
use crate::cli::{left_alone, load, signals};
use crate::clock::{Clock, random_bytes};
use crate::config::Config;
use crate::gateway::status::Status;
use crate::sending::caller::Caller;
use crate::sending::letter;
use crate::sending::plan::{Asked, Plan};
use crate::store::message::NewMessage;
use crate::store::{OpenMode, Store};
use told::Told;

/// The most that is read of a file of numbers, or of a text: some million numbers.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Arguments of `send`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// To these numbers: mainland mobiles, and landlines with their area code
    #[arg(long, value_name = "M[,M...]")]
    to: Vec<String>,
    /// To the numbers in this file, one a line or between commas; `-` is stdin
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
    /// The gateway sends it then, in Beijing time; else at once
    #[arg(long, value_name = "YYYY-MM-DD HH:MM")]
    at: Option<String>,
    /// Send from this sub-extension of the account's number, where the account has it
    #[arg(long, value_name = "X")]
    mid: Option<String>,
    /// Send by this account; needed where there are several
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    language: Spoken,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The text; `-` reads it from stdin
    text: String,
}

const AFTER_HELP: &str = "\
Numbers are checked before anything is sent, each is sent to once, and at most 2,000 go into one
call. The text goes out in GBK, or in UTF-8 where GBK cannot say it. A call is made once: where the
gateway does not say what became of it, it may have been sent, and it is not sent again.

Examples:
  replyd send --to 13900000001 '【公司】您的快递到了，回复 TD 退订'
  replyd send --to-file numbers.txt --at '2026-12-01 09:00' --mid 00 - < text.txt
  replyd send --to 13900000001,13900000002 --dry-run 'hello'

Exit codes: 0 all of it was accepted, 1 some of it was not, or nobody knows, 2 usage, 69 the gateway
was not reached, 75 not now, 77 refused (login, frozen, locked). An account that the gateway refused is
left alone for a while, and nothing is sent then.";

/// Sends.
pub(super) async fn send(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let clock = Clock::system();
    let asked = asked(arguments)?;
    let plan = Plan::new(asked, clock.unix().beijing()).map_err(Failure::usage)?;
    let account = account::account(&config.accounts, arguments.account.as_deref())?.clone();
    let mut told = Told::new(&account.name, plan, arguments.language.language());
    if arguments.dry_run {
        told.say(arguments.json);
        return Ok(Exit::Done);
    }
    let store = store(&config, &account.name, &clock).await?;
    if let Some(refusal) = left_alone::refusal(&store, &clock, &account).await? {
        let words = left_alone::words(&account.name, refusal, arguments.language.language());
        return Err(Failure::new(left_alone::exit(refusal), words));
    }
    let id = random_bytes::<16>().map_err(anyhow::Error::from)?;
    told.id = Some(format!("msg_{}", hex::encode(id)));
    let stop = signals::listen().map_err(anyhow::Error::from)?.stop;
    let caller = Caller::new(store.clone(), clock.clone(), &account)
        .map_err(|error| Failure::new(Exit::Failed, format!("replyd: {error}")))?;
    let message = NewMessage {
        id: told.id.clone().unwrap_or_default(),
        account: account.name.clone(),
        text: told.plan.text.clone(),
        charset: told.plan.encoded.charset,
        mid: told.plan.mid.clone(),
        at: told.plan.at,
        calls: told.plan.calls.clone(),
        answers: None,
    };
    let Some(message) = store.put_message(message, clock.unix()).await? else {
        return Err(Failure::new(Exit::Failed, "replyd: the message could not be kept"));
    };
    let progress = Progress::of("sending", told.plan.numbers());
    told.outcomes =
        letter::send(&caller, message, &told.plan, &stop, |done| progress.at(done)).await?;
    drop(progress);
    told.say(arguments.json);
    Ok(told.exit())
}

/// How a command ends to which the gateway said this.
pub(super) fn exit_of(status: Status) -> Exit {
    match status {
        Status::OK => Exit::Done,
        Status::LOCKED => Exit::Refused,
        status if status.refuses_account() => Exit::Refused,
        status if status.is_of_the_moment() => Exit::NotNow,
        _ => Exit::Failed,
    }
}

fn asked(arguments: &Arguments) -> Result<Asked, Failure> {
    let stdin = arguments.to_file.as_deref() == Some(Path::new("-"));
    if stdin && arguments.text == "-" {
        return Err(Failure::usage("only one of --to-file and the text can be read from stdin"));
    }
    let mut to = arguments.to.clone();
    if let Some(path) = &arguments.to_file {
        to.push(if stdin { read(std::io::stdin(), "stdin")? } else { read_file(path)? });
    }
    let text = match arguments.text.as_str() {
        // What an editor puts behind the last line is no part of the text.
        "-" => read(std::io::stdin(), "stdin")?.trim_end_matches(['\r', '\n']).to_owned(),
        text => text.to_owned(),
    };
    Ok(Asked { to, text, at: arguments.at.clone(), mid: arguments.mid.clone() })
}

fn read_file(path: &Path) -> Result<String, Failure> {
    let shown = path.display().to_string();
    let file = std::fs::File::open(path)
        .map_err(|error| Failure::new(Exit::NotFound, format!("replyd: {shown}: {error}")))?;
    read(file, &shown)
}

fn read(from: impl Read, name: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let wrong = |why: &str| Failure::usage(format!("{name}: {why}"));
    from.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| wrong(&format!("cannot be read as UTF-8 text: {error}")))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong("is longer than 16 MiB"));
    }
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// The store, with the account in it: who only sends never ran the service.
async fn store(config: &Config, account: &str, clock: &Clock) -> Result<Store, Failure> {
    let store = Store::open(&config.store.path, OpenMode::Create)?;
    if store.account(account).await?.is_none() {
        drop(store);
        let app = App::build(config.clone(), clock.clone()).await?;
        return Ok(app.store().clone());
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_exits() {
        let exits: Vec<u8> = [100, 101, 102, 103, 107, 109, 112, 114, 116, 117, 120, 999]
            .map(|code| exit_of(Status(code)) as u8)
            .into();
        assert_eq!(exits, [0, 77, 1, 75, 75, 77, 1, 77, 77, 77, 75, 75]);
    }
}

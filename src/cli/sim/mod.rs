//! `replyd sim`: the simulated gateway alone, for tests of one's own receiver and configuration.
//!
//! It listens as the provider does, and its customers write what they are told to: by arguments,
//! by lines on stdin, or by themselves at a pace.

mod customers;
mod show;

use std::io::{self, BufRead, IsTerminal, Read};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Interval, MissedTickBehavior};

use crate::cli::exit::{Exit, Failure};
use crate::cli::{output, signals};
use crate::clock::{Clock, random_bytes};
use crate::gateway::simulator::{
    Chaos, Consume, Habits, NewAccount, NewReply, Options, Simulator, TimeMarks, TooEarly,
};
use crate::gateway::status::Status;
use crate::time::{ParseTimeError, parse_duration};
use customers::{Customer, Customers};
use show::Show;

/// The address that the newcomer's commands and `init --sim` know.
pub(super) const ADDRESS: &str = "127.0.0.1:8481";
/// The login that goes with it: that of the provider's own examples.
pub(super) const UID: &str = "9999";
/// The password of that login; everybody knows it.
pub(super) const PASSWORD: &str = "9999";
/// The least time between two reads. The provider's ten minutes would make every test slow.
pub(super) const MIN_INTERVAL: &str = "5s";
/// So much of a line on stdin is one reply; what is longer is refused in pieces.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// So many lines may wait.
const LINES_MAX: usize = 64;

/// Arguments of `sim`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Where to listen; port 0 takes a free one and says which
    #[arg(long, value_name = "ADDRESS", default_value = ADDRESS)]
    listen: SocketAddr,
    /// Print one JSON object for each thing that happens
    #[arg(long)]
    json: bool,
    /// Show full numbers and what is sent, too
    #[arg(long)]
    content: bool,
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    replies: Replies,
    #[command(flatten)]
    behaviour: Behaviour,
}

/// The account that the gateway has.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The account")]
struct Account {
    /// The login's name
    #[arg(long, value_name = "UID", default_value = UID)]
    uid: String,
    /// The login's password; a made-up one, as it is seen by other users of this machine
    #[arg(long, value_name = "PASSWORD", default_value = PASSWORD)]
    password: String,
    /// The number that it sends from
    #[arg(long, value_name = "DIGITS", default_value = "1068112227282", value_parser = digits)]
    number: String,
    /// How many messages it may still send
    #[arg(long, value_name = "COUNT", default_value_t = 22_348)]
    balance: u32,
}

/// What customers write.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Replies (and each line `MOBILE TEXT` on stdin)")]
struct Replies {
    /// A reply that waits in the box from the start; may be repeated
    #[arg(long, value_name = "MOBILE=TEXT", value_parser = Customer::of_argument)]
    reply: Vec<Customer>,
    /// Customers write by themselves, so often
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=6000))]
    replies_per_minute: Option<u32>,
}

/// What the provider's document leaves open, and what goes wrong.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Behaviour")]
struct Behaviour {
    /// The least time between two reads of the account: the provider's is 10m
    #[arg(long, value_name = "DURATION", default_value = MIN_INTERVAL, value_parser = duration)]
    min_interval: Duration,
    /// The charset of answers; utf-8 where the client asks for it by `encode=utf8`
    #[arg(long, value_name = "CHARSET", value_enum, default_value_t = AnswerCharset::Gbk)]
    charset: AnswerCharset,
    /// When what a plain read takes leaves the box
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Leaves::Request)]
    consume: Leaves,
    /// What a read that comes too early is answered
    #[arg(long, value_name = "ANSWER", value_enum, default_value_t = Early::Code107)]
    too_early: Early,
    /// A read of an hour by `time` takes its replies out of the box, too
    #[arg(long)]
    hours_empty: bool,
    /// Answer every call with this code (109: the account is frozen)
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(100..=999))]
    status: Option<u16>,
    /// So many of a hundred answers to reads break: cut, stalled, or never begun
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    faults: Option<u8>,
    /// What chance begins with: the same seed and the same requests break the same answers
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

/// In which charset replies are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AnswerCharset {
    Gbk,
    #[value(name = "utf-8")]
    Utf8,
}

/// The words for [`Consume`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Leaves {
    /// When the request has been read, whatever becomes of the answer
    #[value(name = "at-request")]
    Request,
    /// When the answer's last byte was written
    #[value(name = "at-last-byte")]
    LastByte,
    /// When the next plain read comes
    #[value(name = "at-next-read")]
    NextRead,
}

/// The words for [`TooEarly`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Early {
    #[value(name = "107")]
    Code107,
    #[value(name = "103")]
    Code103,
    Empty,
}

const AFTER_HELP: &str = "\
It speaks /rx, /tx and /mm as the provider does. What is in its box is handed out once, and again
by `time`. Nothing is kept: when it ends, its replies are gone. Ctrl-C or SIGTERM ends it.

Examples:
  replyd sim                                           then, elsewhere: replyd init --sim
  replyd sim --reply 13900000001=TD --reply 13900000002=好的
  replyd sim --listen 127.0.0.1:0 --replies-per-minute 60 --json
  replyd sim --faults 30 --seed 7                      answers that break, the same ones each time

Exit codes: 0 ended by a signal, 1 cannot listen, 2 usage.";

/// Serves until a signal.
pub(super) async fn sim(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut ended = pin!(signals::ended().context("cannot listen for signals")?);
    let seed = arguments.behaviour.seed()?;
    let clock = Clock::system();
    let simulator = start(arguments, seed, &clock).await?;
    let mut events = simulator.events();
    let mut customers = Customers::new(&arguments.account.number, seed);
    let arrive = |reply: NewReply| simulator.arrive(&arguments.account.uid, reply);
    let show = Show { json: arguments.json, content: arguments.content };
    opening(arguments, &simulator, seed);
    for customer in &arguments.replies.reply {
        arrive(customers.reply(customer, clock.unix()));
    }
    let mut pace = arguments.replies.replies_per_minute.map(pace);
    let mut lines = typed();
    loop {
        tokio::select! {
            () = &mut ended => break,
            event = events.recv() => match event {
                Ok(event) => show.event(&event, clock.unix()),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    output::talk(&format!("{missed} things happened too fast to be shown"));
                }
                Err(broadcast::error::RecvError::Closed) => break,
            },
            Some(line) = lines.recv() => match Customer::of_line(&line) {
                Ok(None) => {}
                Ok(Some(customer)) => {
                    arrive(customers.reply(&customer, clock.unix()));
                }
                Err(error) => output::talk(&format!("no reply: {error}")),
            },
            () = next(pace.as_mut()) => {
                arrive(customers.next(clock.unix()));
            }
        }
    }
    simulator.stop().await;
    while let Ok(event) = events.try_recv() {
        show.event(&event, clock.unix());
    }
    closing(&simulator);
    Ok(Exit::Done)
}

impl Behaviour {
    fn habits(&self) -> Habits {
        Habits {
            consume: match self.consume {
                Leaves::Request => Consume::AtRequest,
                Leaves::LastByte => Consume::AtLastByte,
                Leaves::NextRead => Consume::AtNextRead,
            },
            time_marks: if self.hours_empty { TimeMarks::Read } else { TimeMarks::Unread },
            too_early: match self.too_early {
                Early::Code107 => TooEarly::TooFrequent,
                Early::Code103 => TooEarly::OperationFailed,
                Early::Empty => TooEarly::Empty,
            },
            min_interval: self.min_interval,
            honours_encode: self.charset == AnswerCharset::Utf8,
        }
    }

    /// The seed that was given, or one that nobody chose.
    fn seed(&self) -> Result<u64, Failure> {
        let random = || {
            let bytes = random_bytes::<4>().context("no randomness")?;
            Ok::<_, anyhow::Error>(u64::from(u32::from_le_bytes(bytes)))
        };
        Ok(self.seed.map_or_else(random, Ok)?)
    }
}

async fn start(arguments: &Arguments, seed: u64, clock: &Clock) -> anyhow::Result<Simulator> {
    let Account { uid, password, number, balance } = &arguments.account;
    let account = NewAccount {
        number: number.clone(),
        balance: *balance,
        ..NewAccount::with_login(uid, password)
    };
    let address = arguments.listen;
    let habits = arguments.behaviour.habits();
    let options = Options { address, habits, accounts: vec![account] };
    let simulator = Simulator::start(options, clock.clone()).await;
    let simulator = simulator.with_context(|| format!("cannot listen on {address}"))?;
    simulator.set_status(uid, arguments.behaviour.status.map(Status));
    simulator.set_chaos(arguments.behaviour.faults.map(|percent| Chaos { seed, percent }));
    Ok(simulator)
}

/// Says where it is, and what makes a configuration for it.
fn opening(arguments: &Arguments, simulator: &Simulator, seed: u64) {
    let (address, base_url) = (simulator.address(), simulator.base_url());
    output::talk(&format!("listening on {base_url}; Ctrl-C ends"));
    if !address.ip().is_loopback() {
        output::talk("note: whoever reaches this address may ask it; it is for tests only");
    }
    if arguments.behaviour.faults.is_some() {
        output::talk(&format!("answers break by chance, with --seed {seed}"));
    }
    let is_usual =
        |usual: &str, given: &str| if usual == given { None } else { Some(given.to_owned()) };
    let further = [
        is_usual(&format!("http://{ADDRESS}"), &base_url).map(|url| format!(" --base-url {url}")),
        is_usual(UID, &arguments.account.uid).map(|uid| format!(" --uid {}", output::shell(&uid))),
        is_usual(PASSWORD, &arguments.account.password)
            .map(|_| " --password-env REPLYD_PASSWORD".to_owned()),
    ];
    let further: String = further.into_iter().flatten().collect();
    output::talk(&format!("a configuration for it: replyd init --sim{further}"));
    if io::stdin().is_terminal() {
        output::talk("type MOBILE TEXT for a reply, such as: 13900000001 好的，收到");
    }
}

/// Says what there was in all.
fn closing(simulator: &Simulator) {
    let replies = simulator.ledger();
    let handed_out = replies.iter().filter(|reply| reply.handed_out > 0).count();
    output::talk(&format!(
        "{}, of which {handed_out} were handed out; {}, {} of them too early; {} sent",
        output::count(replies.len(), "reply", "replies"),
        output::count(simulator.requests().len(), "read", "reads"),
        simulator.early_reads(),
        output::count(simulator.sent().len(), "message", "messages"),
    ));
}

/// When customers write by themselves: evenly, the first after one wait.
fn pace(per_minute: u32) -> Interval {
    let wait = Duration::from_mins(1) / per_minute.max(1);
    let mut pace = tokio::time::interval(wait);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace.reset();
    pace
}

async fn next(pace: Option<&mut Interval>) {
    match pace {
        Some(pace) => {
            pace.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// The lines on stdin. They are read on a thread of its own, which ends with the process: nothing
/// can call it back from a terminal.
fn typed() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match (&mut input).take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if sender.blocking_send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    lines
}

fn duration(text: &str) -> Result<Duration, ParseTimeError> {
    parse_duration(text)
}

fn digits(text: &str) -> Result<String, &'static str> {
    let are_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if are_digits && text.len() <= 32 { Ok(text.to_owned()) } else { Err("must be digits") }
}

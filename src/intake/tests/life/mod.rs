//! Proof: weeks of an account's life in milliseconds, each drawn from one number.
//!
//! A life is a gateway with its habits, customers who write, a line on which answers break, and
//! a machine whose clock is wrong, whose processes die between any two acts and start again. The
//! planner, the store and what takes answers in are the real ones. After each step it is looked
//! whether anything was lost, doubled, asked too soon or starved; when the trouble is over, the
//! life goes on until nothing is owed, and then everything must be there.
//!
//! `REPLYD_TEST_SEEDS` is how many lives are lived, `REPLYD_TEST_SEED` the number of a single
//! one, `REPLYD_FIGURES` a file to which a line of figures is added.

mod customers;
mod dice;
mod driver;
mod fate;
mod gateway;
mod judge;
mod line;
mod machine;

use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::thread;

use self::customers::Written;
use self::dice::Dice;
use self::driver::Core;
use self::fate::{Clocks, DAY, Event, Fate, HOUR};
use self::gateway::Gateway;
use self::judge::{Broken, Judge};
use self::machine::{Machine, World};
use crate::gateway::client::ReadMode;
use crate::intake::figures;

/// Which part of the lives a process lives: its number, and how many there are.
const PART: &str = "REPLYD_TEST_PART";
/// Lives in a usual run of the tests.
const SEEDS: u64 = 2_000;
/// How long after its trouble a life may go on until nothing is owed.
const SETTLING_MAX: i64 = 60 * DAY;
/// How long it goes on at least: what came last has been read, and its hour is over.
const SETTLING_MIN: i64 = 3 * HOUR;
/// How many broken lives are told of.
const TOLD_MAX: usize = 12;

/// What a life came to.
#[derive(Default)]
struct Lived {
    ms: u64,
    reads: u64,
    replies: u64,
    /// Lives that were judged only after their clock was right, and how many replies of them.
    in_part: u64,
    replies_in_part: u64,
}

impl Lived {
    /// As a part of the lives prints it.
    fn line(&self) -> String {
        let Self { ms, reads, replies, in_part, replies_in_part } = self;
        format!("{ms} {reads} {replies} {in_part} {replies_in_part}")
    }

    fn add(&mut self, line: &str) {
        let mut figures = line.split(' ').map(|figure| figure.parse::<u64>().unwrap());
        let Self { ms, reads, replies, in_part, replies_in_part } = self;
        for sum in [ms, reads, replies, in_part, replies_in_part] {
            *sum += figures.next().unwrap();
        }
    }
}

fn live(seed: u64, journal: &mut Vec<String>) -> Result<Lived, Broken> {
    let fate = Fate::of(seed);
    let mut dice = Dice::of(!seed);
    let written = Written::of(&fate, &mut dice);
    let mut world = World {
        fate: &fate,
        written: &written,
        dice,
        gateway: Gateway::of(&fate),
        core: Core::new(),
        judge: Judge::of(&fate, &written),
        journal: Vec::new(),
    };
    let mut machine = Machine::of(&fate);
    world.core.start(&fate, &machine.clocks.now(fate.begin));
    let lived = through_trouble(&mut machine, &mut world)
        .and_then(|()| until_settled(&mut machine, &mut world))
        .map_err(|broken| format!("{broken}; at {}", fate::beijing(machine.next_at())));
    *journal = std::mem::take(&mut world.journal);
    let lived = lived?;
    world.judge.look_at_end(&written, &world.core)?;
    match world.gateway.early_reads() {
        0 => {
            let in_part = fate.clocks == Clocks::Wild;
            let judged = if in_part { world.judge.replies_judged() } else { 0 };
            Ok(Lived {
                ms: u64::try_from(lived - fate.begin).unwrap(),
                reads: world.judge.reads,
                replies: u64::try_from(world.judge.replies()).unwrap(),
                in_part: u64::from(in_part),
                replies_in_part: u64::from(judged),
            })
        }
        early => Err(format!("{early} requests came within the interval")),
    }
}

fn through_trouble(machine: &mut Machine, world: &mut World<'_>) -> Result<(), Broken> {
    let mut events = world.fate.events.iter().copied().peekable();
    loop {
        let now = machine.next_at();
        if let Some((at, event)) = events.next_if(|(at, _)| *at <= now) {
            happen(event, machine, world, at);
            continue;
        }
        if now >= world.fate.end {
            break;
        }
        machine.step(world)?;
        if world.gateway.early_reads() > 0 {
            return Err("a request came within the interval".to_owned());
        }
    }
    for (at, event) in events {
        if matches!(event, Event::Status(_)) {
            happen(event, machine, world, at);
        }
    }
    happen(Event::SetClock(0), machine, world, world.fate.end);
    Ok(())
}

fn happen(event: Event, machine: &mut Machine, world: &mut World<'_>, at: i64) {
    world.note(at, &format!("{event:?}"));
    match event {
        Event::SetClock(off) => {
            machine.set_clock(world.fate, off, at);
        }
        Event::Status(code) => world.gateway.set_status(code),
        Event::Kill(which) => machine.kill(world, which, at),
        Event::Reboot(down) => machine.reboot(world, at, down),
    }
    world.judge.look_at_gateway(world.written, &mut world.gateway);
}

/// Lives on without trouble until nothing is owed; says until when.
fn until_settled(machine: &mut Machine, world: &mut World<'_>) -> Result<i64, Broken> {
    loop {
        let now = machine.next_at();
        let since = now - world.fate.end;
        let drained = world.fate.mode == ReadMode::Hour || world.gateway.box_is_empty();
        let over = since > SETTLING_MIN && drained;
        let settled = over && world.judge.is_settled(world.fate, world.written, &world.core);
        if settled {
            return Ok(now);
        }
        if since > SETTLING_MAX {
            let lacking = world.judge.lacking(world.written);
            return Err(format!("long after all trouble something is owed; not kept: {lacking}"));
        }
        machine.step(world)?;
    }
}

#[test]
fn no_reply_is_lost_or_doubled_in_any_life() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("REPLYD_TEST_SEED") {
        let mut journal = Vec::new();
        if let Err(broken) = live(seed, &mut journal) {
            panic!("{}\n{broken}", journal.join("\n"));
        }
        return;
    }
    let seeds = number("REPLYD_TEST_SEEDS").unwrap_or(SEEDS);
    if let Ok(part) = std::env::var(PART) {
        let (first, step) = part.split_once('/').unwrap();
        return live_part(first.parse().unwrap(), step.parse().unwrap(), seeds);
    }
    let (mut lived, mut broken) = (Lived::default(), Vec::new());
    for line in parts() {
        let mut words = line.splitn(3, '\t');
        match (words.next(), words.next(), words.next()) {
            (Some("lived"), Some(figures), None) => lived.add(figures),
            (Some("broken"), Some(seed), Some(how)) => {
                broken.push((seed.parse().unwrap(), how.to_owned()));
            }
            // What the test runner says.
            _ => {}
        }
    }
    broken.sort();
    // Before anything can fail: a life that is broken belongs into the table.
    tell_figures(seeds, &lived, &broken);
    assert!(broken.is_empty(), "{}", told(&broken, seeds));
    assert!(lived.reads > seeds, "{} reads: the lives were not lived", lived.reads);
    let Lived { in_part, replies_in_part, .. } = lived;
    assert!(in_part < 10 || replies_in_part > in_part, "of {in_part} lives nothing was judged");
}

/// Lives the lives in as many processes as there are cores, and gives the lines that they print.
/// Not in threads: all stores in memory of one process share a lock.
fn parts() -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let start = |core| {
        let test = "intake::tests::life::no_reply_is_lost_or_doubled_in_any_life";
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(PART, format!("{core}/{cores}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let started: Vec<Child> = (0..cores).map(start).collect();
    // Each is read as it writes: one whose pipe is full would wait for the others to end.
    let output = |part: Child| thread::spawn(move || part.wait_with_output().unwrap());
    let read: Vec<_> = started.into_iter().map(output).collect();
    let mut lines = Vec::new();
    for output in read {
        let output = output.join().unwrap();
        assert!(output.status.success(), "a part of the lives ended with {}", output.status);
        lines.extend(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned));
    }
    lines
}

/// Lives every so manieth life, and prints what it came to.
fn live_part(first: u64, step: usize, seeds: u64) {
    let mut out = std::io::stdout().lock();
    for seed in (first..seeds).step_by(step) {
        let lived = catch_unwind(AssertUnwindSafe(|| live(seed, &mut Vec::new())))
            .unwrap_or_else(|_| Err("it panicked".to_owned()));
        match lived {
            Ok(lived) => writeln!(out, "\nlived\t{}", lived.line()).unwrap(),
            Err(broken) => writeln!(out, "\nbroken\t{seed}\t{broken}").unwrap(),
        }
    }
}

fn told(broken: &[(u64, Broken)], seeds: u64) -> String {
    let mut told = format!("{} of {seeds} lives are broken:", broken.len());
    for (seed, how) in broken.iter().take(TOLD_MAX) {
        write!(
            told,
            "\n  {how}\n    again: REPLYD_TEST_SEED={seed} cargo test --lib no_reply_is_lost_or_doubled_in_any_life"
        )
        .unwrap();
    }
    told
}

/// Adds the lives to the table of figures, where one is being made.
fn tell_figures(seeds: u64, lived: &Lived, broken: &[(u64, Broken)]) {
    let Lived { ms, reads, replies, in_part, replies_in_part } = lived;
    let weeks = ms / u64::try_from(7 * DAY).unwrap();
    let size = format!(
        "{seeds} seeds: {weeks} weeks, {reads} reads, {replies} replies; {in_part} of the lives judged only \
         after their clock was right, by {replies_in_part} replies"
    );
    let well = "0 lost, 0 second ids, 0 requests within the interval";
    let seen = match broken {
        [] => well.to_owned(),
        some => {
            let told = some.iter().take(TOLD_MAX).map(|(seed, _)| seed.to_string());
            let told = told.collect::<Vec<_>>().join(", ");
            let more = if some.len() > TOLD_MAX { " and more" } else { "" };
            format!("{} lives broken: seeds {told}{more}. In all others {well}", some.len())
        }
    };
    figures::tell("virtual time", &size, &seen).unwrap();
}

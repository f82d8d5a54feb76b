//! A model of the counts: whatever happens to reads, there are never more replies than there were
//! copies, and in the end there are as many.
//!
//! Random steps make a gateway's answers whole, cut, lost, late, repeated by a cache or turned
//! round; processes die, and answers are parsed before and decided after others. The gateway of
//! the model knows the truth. What it never does is what nothing could tell: a proven answer to
//! a read by `time` that lacks what was never seen, or a repeated *empty* one to a plain read.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::clock::Clock;
use crate::gateway::client::Ending;
use crate::intake::figures;
use crate::time::{BeijingTime, Hour};
use truth::{Answer, GATEWAYS, TEXTS};
use world::World;

mod truth;
mod world;

/// Runs in `cargo test`; `PROPTEST_CASES` has its way.
const CASES: u32 = 128;
const STEPS_MAX: usize = 40;
/// Reads of one hour that lack a known reply before it is given up: the model stays below.
const FORGOTTEN_MAX: usize = 3;
/// Rounds of reading what is owed until nothing is.
const ROUNDS_MAX: usize = 2_000;

#[derive(Clone, Debug)]
enum Step {
    /// Equal records of one second come to the gateway, of this hour or the last.
    Arrive { text: usize, gateway: usize, copies: usize, is_late: bool },
    /// A read, and what becomes of it.
    Read { ask: Ask, fate: Fate, reversed: bool, then: Then },
    /// An answer on the wire comes into the store, however late.
    Store { choice: usize },
    /// An open read is parsed; it is decided later.
    Prepare { choice: usize },
    /// Something that was parsed is decided.
    Decide { choice: usize },
    /// All that is open is taken in.
    TakeIn,
    /// The process dies and another begins.
    Restart,
    /// Time passes.
    Pass { minutes: u64 },
}

#[derive(Clone, Copy, Debug)]
enum Ask {
    Plain,
    /// An hour by `time`: the current one, or so many before.
    Hour {
        back: i64,
    },
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    /// All of it comes, announced.
    Whole,
    /// All of it comes, and nothing says so.
    Unannounced,
    /// It is cut, at so many thousandths of it. A plain read that breaks may have emptied the
    /// box all the same.
    Cut { permille: usize, how: Ending, empties: bool },
    /// Nothing comes.
    Lost { empties: bool },
    /// Something else comes.
    Rubbish { which: usize, empties: bool },
    /// A cache repeats an earlier plain answer.
    Repeated { back: usize },
    /// The gateway leaves out a copy that it has shown before.
    Forgetful,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    /// It is stored and taken in.
    TakenIn,
    /// It is stored; then the process dies or is slow.
    Stored,
    /// It is on the wire for long.
    Awaited,
}

/// Answers that are none: the account refused, not now, and another protocol.
const RUBBISH: [&str; 4] = ["101", "107", "<html>502</html>", "100{&}rubbish"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ask =
        prop_oneof![3 => Just(Ask::Plain), 2 => (0..3_i64).prop_map(|back| Ask::Hour { back })];
    let how = prop::sample::select(vec![Ending::Cut, Ending::Connection, Ending::TimedOut]);
    let cut = (0..=1_000_usize, how, any::<bool>());
    let fate = prop_oneof![
        4 => Just(Fate::Whole),
        2 => Just(Fate::Unannounced),
        4 => cut.prop_map(|(permille, how, empties)| Fate::Cut { permille, how, empties }),
        1 => any::<bool>().prop_map(|empties| Fate::Lost { empties }),
        1 => (0..RUBBISH.len(), any::<bool>())
            .prop_map(|(which, empties)| Fate::Rubbish { which, empties }),
        2 => (0..3_usize).prop_map(|back| Fate::Repeated { back }),
        1 => Just(Fate::Forgetful),
    ];
    let then =
        prop::sample::select(vec![Then::TakenIn, Then::TakenIn, Then::Stored, Then::Awaited]);
    let copies = prop_oneof![4 => Just(1_usize), 2 => 2..=5_usize];
    let arrive = (0..TEXTS.len(), 0..GATEWAYS.len(), copies, any::<bool>());
    let step = prop_oneof![
        6 => arrive.prop_map(|(text, gateway, copies, is_late)| {
            Step::Arrive { text, gateway, copies, is_late }
        }),
        8 => (ask, fate, any::<bool>(), then)
            .prop_map(|(ask, fate, reversed, then)| Step::Read { ask, fate, reversed, then }),
        1 => (0..4_usize).prop_map(|choice| Step::Store { choice }),
        1 => (0..4_usize).prop_map(|choice| Step::Prepare { choice }),
        1 => (0..4_usize).prop_map(|choice| Step::Decide { choice }),
        1 => Just(Step::TakeIn),
        1 => Just(Step::Restart),
        1 => (1..90_u64).prop_map(|minutes| Step::Pass { minutes }),
    ];
    prop::collection::vec(step, 1..=STEPS_MAX)
}

/// A life: the world, and what the gateway and the cache before it remember.
struct Life {
    world: World,
    /// The plain answers that a cache may repeat.
    cached: Vec<Answer>,
    forgotten: usize,
    reads: usize,
}

impl Life {
    async fn take(&mut self, step: &Step) {
        let world = &mut self.world;
        match *step {
            Step::Arrive { text, gateway, copies, is_late } => {
                let hour = world.now.unix.beijing().hour();
                let hour = Hour::from_number(hour.number() - i64::from(is_late));
                let second = BeijingTime::from_unix_seconds(hour.start().unix_seconds() + 7);
                world.truth.arrive((text, second), GATEWAYS[gateway], copies);
            }
            Step::Read { ask, fate, reversed, then } => self.read(ask, fate, reversed, then).await,
            Step::Store { choice } => world.store_one(choice).await,
            Step::Prepare { choice } => {
                let open = world.open().await;
                if !open.is_empty() {
                    world.prepare(open[choice % open.len()]).await;
                }
            }
            Step::Decide { choice } => world.decide(choice).await,
            Step::TakeIn => world.take_in_open().await,
            Step::Restart => world.restart(),
            Step::Pass { minutes } => world.pass(Duration::from_mins(minutes)),
        }
    }

    async fn read(&mut self, ask: Ask, fate: Fate, reversed: bool, then: Then) {
        self.reads += 1;
        let now = self.world.now.unix.beijing().hour();
        let hour = match ask {
            Ask::Plain => None,
            Ask::Hour { back } => Some(Hour::from_number(now.number() - back)),
        };
        let read = self.world.ask(hour).await;
        let mut answer = match hour {
            None => self.world.truth.plain(reversed),
            Some(hour) => self.world.truth.hour(hour, reversed),
        };
        let (mut ending, mut empties) = (Ending::Announced, hour.is_none());
        let mut body = answer.body.clone();
        match fate {
            Fate::Whole => {}
            Fate::Unannounced => ending = Ending::Connection,
            Fate::Cut { permille, how, empties: also } => {
                body.truncate(body.len() * permille / 1_000);
                ending = how;
                empties &= also;
            }
            Fate::Lost { empties: also } => empties &= also,
            Fate::Rubbish { which, empties: also } => {
                body = RUBBISH[which].as_bytes().to_vec();
                // An account that is turned away is not read.
                empties &= also && which > 0;
            }
            Fate::Repeated { back } => {
                if let (None, Some(cached)) = (hour, self.cached.iter().rev().nth(back)) {
                    answer = cached.clone();
                    body.clone_from(&answer.body);
                    empties = false;
                }
            }
            Fate::Forgetful => {
                if let Some(lacking) = hour.and_then(|hour| self.lacking(hour)) {
                    answer = lacking;
                    body.clone_from(&answer.body);
                }
            }
        }
        if ending != Ending::Announced
            && let Some(cut) = answer.number_cut_at(body.len())
        {
            self.world.excuse_cut(cut);
        }
        if !matches!(fate, Fate::Rubbish { .. }) {
            self.world.answered(read, &answer);
        }
        if empties {
            self.world.truth.empty_box();
            // What emptied the box was handed out whole: a cache on the way may have it.
            if !answer.body.is_empty() && !matches!(fate, Fate::Rubbish { .. }) {
                self.cached.push(answer);
            }
        }
        if !matches!(fate, Fate::Lost { .. }) {
            self.world.send(read, ending, body);
            self.bring(then).await;
        }
    }

    /// The answer without a copy that was told before, where the hour has one.
    fn lacking(&mut self, hour: Hour) -> Option<Answer> {
        let all = self.world.truth.all();
        let is_known = |(text, copies): &(&truth::Text, &usize)| {
            text.1.hour() == hour && self.world.count(**text) == **copies
        };
        let (text, _) = all.iter().find(is_known).filter(|_| self.forgotten < FORGOTTEN_MAX)?;
        self.forgotten += 1;
        Some(self.world.truth.hour_without_one(hour, *text))
    }

    async fn bring(&mut self, then: Then) {
        if matches!(then, Then::Awaited) {
            return;
        }
        self.world.store_one(usize::MAX).await;
        if matches!(then, Then::TakenIn) {
            self.world.take_in_open().await;
        }
    }

    /// Nothing goes wrong any more: what is owed is read, and nothing else but the box.
    async fn end(&mut self) {
        self.world.restart();
        self.world.pass(Duration::from_mins(80));
        self.world.take_in_open().await;
        let empty_the_box = self.world.truth.plain(false);
        self.world.read_whole(None, &empty_the_box).await;
        for _ in 0..ROUNDS_MAX {
            match self.world.owed().await {
                (Some(hour), _) => {
                    let answer = self.world.truth.hour(hour, false);
                    self.world.read_whole(Some(hour), &answer).await;
                }
                (None, true) => self.world.read_whole(None, &Answer::default()).await,
                (None, false) => {
                    self.world.take_in_open().await;
                    return self.world.check_complete().await;
                }
            }
        }
        panic!("hours are owed for ever");
    }
}

/// Lives these steps and says how many reads there were. Panics at the first broken promise.
fn live(steps: &[Step]) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let world = World::begin().await;
        let mut life = Life { world, cached: Vec::new(), forgotten: 0, reads: 0 };
        // Whatever is lost later came after this proven read, and is owed as far back.
        life.world.read_whole(None, &Answer::default()).await;
        for step in steps {
            life.take(step).await;
        }
        life.end().await;
        life.reads
    })
}

const PLAIN: Step =
    Step::Read { ask: Ask::Plain, fate: Fate::Whole, reversed: false, then: Then::TakenIn };

fn arrive(gateway: usize) -> Step {
    Step::Arrive { text: 0, gateway, copies: 1, is_late: false }
}

fn read(fate: Fate, then: Then) -> Step {
    Step::Read { ask: Ask::Plain, fate, reversed: false, then }
}

/// Steps that once broke a promise, as the model found them.
#[test]
fn an_answer_that_comes_after_its_repeat_adds_none() {
    let late = read(Fate::Whole, Then::Awaited);
    let repeat = read(Fate::Repeated { back: 0 }, Then::TakenIn);
    live(&[arrive(0), late, repeat, Step::Store { choice: 0 }]);
}

#[test]
fn new_copies_keep_their_own_gateway_numbers() {
    live(&[arrive(0), PLAIN, arrive(1), arrive(2), PLAIN]);
    let cut = Fate::Cut { permille: 999, how: Ending::Cut, empties: false };
    let other = Step::Arrive { text: 1, gateway: 0, copies: 1, is_late: false };
    live(&[arrive(1), PLAIN, arrive(1), arrive(2), other, read(cut, Then::TakenIn)]);
}

#[test]
fn counts_never_exceed_the_truth_and_reach_it() {
    let seed = std::env::var("REPLYD_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| Clock::system().unix().0.unsigned_abs());
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = cases.unwrap_or(CASES);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let reads = std::cell::Cell::new(0);
    let result = TestRunner::new_with_rng(config, rng).run(&steps(), |steps| {
        reads.set(reads.get() + live(&steps));
        Ok::<(), TestCaseError>(())
    });
    if let Err(TestError::Fail(reason, steps)) = &result {
        panic!(
            "{reason}\nthe steps, for a test of their own: {steps:?}\nagain: REPLYD_TEST_SEED={seed} \
             PROPTEST_CASES={cases} cargo test --lib counts_never_exceed"
        );
    }
    result.unwrap();
    let size = format!("{cases} lives, {} reads of any fate", reads.get());
    figures::tell("model of the counts", &size, "0 replies lost, 0 told twice").unwrap();
}

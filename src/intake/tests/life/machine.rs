//! The machine: its clocks, and the processes that run on it, act by act.

use std::sync::Arc;

use super::customers::Written;
use super::dice::Dice;
use super::driver::{Asking, BEGIN_MAX, Core, Deciding, Wish};
use super::fate::{Fate, HOUR, MINUTE, SECOND, beijing};
use super::gateway::{Flight, Gateway};
use super::judge::{Broken, Judge};
use super::line::LATENCY_MIN;
use crate::clock::Moment;
use crate::store::read::{Begin, ReadId};
use crate::time::{UnixMs, millis};

/// How often a process looks for times that a wrong clock set: seldom, because each look costs; and
/// within the time in which a service does after the clock was set.
const MENDS_EVERY: i64 = HOUR;
const MENDS_WITHIN: i64 = 5 * MINUTE;
/// Acts in one life: far more than any takes that rests when it has nothing to do.
const ACTS_MAX: u32 = 60_000;

/// The machine's clocks, by the true time.
pub(super) struct Clocks {
    /// By how much the wall clock is off, and since when it drifts from there.
    off: i64,
    set: i64,
    drift: i64,
    boot: Arc<str>,
    booted: i64,
    boots: u32,
}

impl Clocks {
    fn of(fate: &Fate) -> Self {
        let (set, drift) = (fate.begin, fate.drift);
        Self { off: 0, set, drift, boot: Arc::from("boot 0"), booted: set - HOUR, boots: 0 }
    }

    pub(super) fn now(&self, now: i64) -> Moment {
        let unix = UnixMs(now + self.off_at(now));
        Moment { unix, boot_ms: now - self.booted, boot: Arc::clone(&self.boot) }
    }

    /// By how much the wall clock was off when it showed this, since the machine came up.
    fn off_when(&self, shown: &Moment) -> i64 {
        shown.unix.0 - shown.boot_ms - self.booted
    }

    fn off_at(&self, now: i64) -> i64 {
        self.off + (now - self.set) * self.drift / 1_000_000
    }

    pub(super) fn set(&mut self, off: i64, now: i64) {
        (self.off, self.set) = (off, now);
    }

    fn boot(&mut self, now: i64) {
        self.boots += 1;
        self.boot = Arc::from(format!("boot {}", self.boots));
        self.booted = now;
    }
}

/// Where a process stands: what its next act is.
enum Next {
    /// It starts.
    Start,
    /// It takes in what is open, or plans.
    Look,
    Decide(Deciding),
    /// It asks for the slot.
    Begin(Asking),
    /// It has taken the account's probe, and asks.
    Probe,
    /// It sends the request of a read whose slot was taken then.
    Send {
        read: ReadId,
        asking: Asking,
        taken: Moment,
    },
    /// The request arrives at the gateway.
    /// It is given up at this time.
    Arrive(ReadId, Asking, i64),
    /// The answer ends.
    End(Flight, bool),
    /// It puts the answer on disk, which ended then.
    Keep(Flight, bool, Moment),
}

struct Process {
    next: Next,
    at: i64,
    /// Whether its first plain read is still to be made.
    first: Option<bool>,
    mends_at: i64,
}

impl Process {
    fn starting(at: i64) -> Self {
        Self { next: Next::Start, at, first: None, mends_at: at + MENDS_EVERY }
    }
}

/// What lives: everything that an act can touch.
pub(super) struct World<'a> {
    pub(super) fate: &'a Fate,
    pub(super) written: &'a Written,
    pub(super) dice: Dice,
    pub(super) gateway: Gateway,
    pub(super) core: Core,
    pub(super) judge: Judge,
    /// What happened, for whoever asks why a life is broken.
    pub(super) journal: Vec<String>,
}

impl World<'_> {
    pub(super) fn note(&mut self, now: i64, what: &str) {
        self.journal.push(format!("{} {what}", beijing(now)));
    }
}

/// The longest that a read keeps the slot, and a little more.
fn longest_wait(fate: &Fate) -> i64 {
    millis(fate.interval + fate.timeout) + MINUTE
}

pub(super) struct Machine {
    pub(super) clocks: Clocks,
    processes: Vec<Process>,
    /// By how much the clock was off when an account's slot was last taken or moved.
    off_at_slot: i64,
    acts: u32,
}

impl Machine {
    pub(super) fn of(fate: &Fate) -> Self {
        let start = |which| Process::starting(fate.begin + i64::try_from(which).unwrap() * SECOND);
        Self {
            clocks: Clocks::of(fate),
            processes: (0..fate.processes).map(start).collect(),
            off_at_slot: 0,
            acts: 0,
        }
    }

    /// When the next act is.
    pub(super) fn next_at(&self) -> i64 {
        self.processes.iter().map(|process| process.at).min().unwrap()
    }

    /// A process dies with what it had in its hands, and is started again.
    pub(super) fn kill(&mut self, world: &mut World<'_>, which: usize, now: i64) {
        let back = now + *world.dice.pick(&[SECOND, 5 * SECOND, 10 * MINUTE, 3 * HOUR]);
        // Nothing starts on a machine that is down.
        self.die(world, which, now, back.max(self.clocks.booted));
    }

    fn die(&mut self, world: &mut World<'_>, which: usize, now: i64, back: i64) {
        world.note(now, &format!("process {which} dies, back at {}", beijing(back)));
        let dead = std::mem::replace(&mut self.processes[which], Process::starting(back));
        if let Next::End(flight, _) = dead.next {
            world.gateway.end(&flight, now);
        }
    }

    /// The machine goes down, for so long at least, and comes up again.
    pub(super) fn reboot(&mut self, world: &mut World<'_>, now: i64, down: i64) {
        // After another boot only the wall clock tells how much of a wait is left. Where that was
        // set on meanwhile, the wait seems shorter than it is, and no reader can know; so here it
        // has passed by then.
        let on = self.clocks.off_at(now) > self.off_at_slot;
        let back = now + if on { down.max(longest_wait(world.fate)) } else { down };
        for which in 0..self.processes.len() {
            self.die(world, which, now, back + i64::try_from(which).unwrap());
        }
        self.clocks.boot(back);
    }

    /// The wall clock is set. Where that is on, and while the machine is down, it comes up when the
    /// wait has passed, as above. Who waits by the clock looks anew.
    pub(super) fn set_clock(&mut self, fate: &Fate, off: i64, now: i64) {
        self.clocks.set(off, now);
        if now < self.clocks.booted && off > self.off_at_slot {
            let longer = (now + longest_wait(fate) - self.clocks.booted).max(0);
            self.clocks.booted += longer;
            for process in &mut self.processes {
                process.at += longer;
            }
        }
        self.wake(now);
    }

    fn wake(&mut self, now: i64) {
        for process in &mut self.processes {
            process.mends_at = process.mends_at.min(now + MENDS_WITHIN);
            if matches!(process.next, Next::Look) {
                process.at = process.at.min(now.max(self.clocks.booted));
            }
        }
    }

    /// Does the next act of whoever is first.
    pub(super) fn step(&mut self, world: &mut World<'_>) -> Result<(), Broken> {
        self.acts += 1;
        if self.acts > ACTS_MAX {
            return Err("it never rests".to_owned());
        }
        let now = self.next_at();
        let which = self.processes.iter().position(|process| process.at == now).unwrap();
        let rates = world.fate.rates(now);
        if world.dice.chance(rates.death) {
            match world.dice.chance(150) {
                true => self.reboot(world, now, 2 * MINUTE),
                false => self.kill(world, which, now),
            }
            world.judge.look_at_gateway(world.written, &mut world.gateway);
            return Ok(());
        }
        world.gateway.arrive(world.written, now);
        let next = std::mem::replace(&mut self.processes[which].next, Next::Look);
        let (next, wait) = self.act(world, which, next, now)?;
        let late = world.dice.chance(rates.delay);
        let delay = if late { world.dice.between(SECOND, 15 * SECOND) } else { 1 };
        // An answer's end is when it is; all other acts can come late.
        let delay = if matches!(next, Next::End(..)) { 0 } else { delay };
        let process = &mut self.processes[which];
        (process.next, process.at) = (next, now + wait + delay);
        Ok(())
    }

    fn act(
        &mut self,
        world: &mut World<'_>,
        which: usize,
        next: Next,
        now: i64,
    ) -> Result<(Next, i64), Broken> {
        let (fate, moment) = (world.fate, self.clocks.now(now));
        Ok(match next {
            Next::Start => {
                world.core.start(fate, &moment);
                world.judge.mended(fate, world.written, now);
                (Next::Look, 0)
            }
            Next::Look => self.look(world, which, &moment, now),
            Next::Decide(deciding) => {
                let ingested = world.core.decide(deciding, &moment);
                world.note(now, &format!("took in {ingested:?}"));
                if let Some(ingested) = &ingested {
                    world.judge.look_at_taken_in(ingested)?;
                }
                world.judge.look_at_store(fate, world.written, &world.core)?;
                (Next::Look, 0)
            }
            Next::Begin(asking) => match world.core.begin(fate, asking.hour, &moment) {
                Begin::Busy(wait) => (Next::Look, millis(wait)),
                Begin::Begun(read) => {
                    self.off_at_slot = self.clocks.off_at(now);
                    let wall = moment.unix.0;
                    world.judge.look_at_read(&world.core, read, asking, wall)?;
                    (Next::Send { read, asking, taken: moment }, 0)
                }
            },
            Next::Probe => {
                let trouble = world.dice.chance(fate.rates(now).mishap);
                let received = world.gateway.figures(&mut world.dice, trouble);
                world.note(now, &format!("probe: {received:?}"));
                world.core.end_probe(received, &moment);
                (Next::Look, 0)
            }
            Next::Send { read, taken, .. }
                if moment.boot_ms - taken.boot_ms > millis(BEGIN_MAX.min(fate.timeout)) =>
            {
                world.note(now, &format!("abandons read {}", read.0));
                world.core.abandon(read, &moment);
                world.judge.unread();
                (Next::Look, 0)
            }
            Next::Send { read, asking, taken } => {
                let left = millis(fate.timeout) - (moment.boot_ms - taken.boot_ms);
                (Next::Arrive(read, asking, now + left), world.dice.between(LATENCY_MIN, SECOND))
            }
            Next::Arrive(read, asking, given_up) => {
                let hour = asking.hour;
                let mut flight = world.gateway.answer(fate, &mut world.dice, (read, hour), now);
                flight.give_up(given_up);
                world.judge.look_at_gateway(world.written, &mut world.gateway);
                let what =
                    (hour.map(|hour| hour.to_string()), &flight.mishap, flight.passage.ending);
                world.note(
                    now,
                    &format!("read {} asks {what:?}: {:?}", read.0, flight.passage.received),
                );
                let wait = flight.ends - now;
                (Next::End(flight, asking.is_due), wait)
            }
            Next::End(flight, is_due) => {
                world.gateway.end(&flight, now);
                world.judge.look_at_gateway(world.written, &mut world.gateway);
                // A store that cannot be written keeps an answer waiting, in memory.
                let late = world.dice.chance(fate.rates(now).delay / 3);
                let wait = if late { world.dice.below(40 * MINUTE) } else { 0 };
                (Next::Keep(flight, is_due, moment), wait)
            }
            Next::Keep(flight, is_due, ended) => {
                let (read, received) = (flight.read, flight.passage.received);
                world.core.finish(fate, read, &received, &ended);
                if world.dice.chance(fate.rates(now).delay) {
                    // What was kept and not answered for is offered again.
                    world.core.finish(fate, read, &received, &ended);
                }
                // The wait counts from when the answer ended, which can be long ago.
                self.off_at_slot = self.clocks.off_when(&ended);
                world.gateway.kept(flight.asked, &received, flight.whole);
                if is_due {
                    self.processes[which].first = Some(false);
                }
                (Next::Look, 0)
            }
        })
    }

    /// Takes in what is open, else does what the planner wants.
    fn look(
        &mut self,
        world: &mut World<'_>,
        which: usize,
        moment: &Moment,
        now: i64,
    ) -> (Next, i64) {
        let process = &mut self.processes[which];
        if now >= process.mends_at {
            process.mends_at = now + MENDS_EVERY;
            world.core.mend(moment);
            world.judge.mended(world.fate, world.written, now);
        }
        let mends_in = process.mends_at - now;
        if let Some(deciding) = world.core.open(moment) {
            return (Next::Decide(deciding), 0);
        }
        match world.core.wish(world.fate, &mut process.first, moment) {
            Wish::Rest(wait) if mends_in <= MENDS_WITHIN => (Next::Look, wait.min(mends_in)),
            Wish::Rest(wait) => (Next::Look, wait),
            Wish::Read(asking) => (Next::Begin(asking), 0),
            Wish::Probe if world.core.begin_probe(world.fate, moment) => (Next::Probe, LATENCY_MIN),
            Wish::Probe => (Next::Look, SECOND),
        }
    }
}

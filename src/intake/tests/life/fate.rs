//! What a seed decides before a life begins: the gateway's habits, the account's settings, and
//! which trouble comes when.

use std::time::Duration;

use super::dice::Dice;
use crate::config::{Cron, Reconcile};
use crate::gateway::charset::Charset;
use crate::gateway::client::ReadMode;
use crate::gateway::simulator::Habits;
use crate::time::{BeijingTime, UnixMs};

pub(super) const SECOND: i64 = 1_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// How far a clock may be off that is kept right by the network, to either side.
pub(super) const SKEW_MAX: i64 = 2 * MINUTE;
/// The most that a reply may reach the gateway after its stamp: the two hours for which carriers
/// are given credit, less what two clocks can differ.
pub(super) const LATE_MAX: i64 = 2 * HOUR - 3 * SKEW_MAX;

/// Rates of trouble, in thousandths of the chances that there are for it.
#[derive(Clone, Copy)]
pub(super) struct Rates {
    /// Answers that something happens to.
    pub(super) mishap: i64,
    /// Acts before which the process dies.
    pub(super) death: i64,
    /// Acts that take far longer than they should.
    pub(super) delay: i64,
}

const CALM: Rates = Rates { mishap: 10, death: 1, delay: 4 };
const ROUGH: Rates = Rates { mishap: 150, death: 12, delay: 20 };
const HOSTILE: Rates = Rates { mishap: 450, death: 40, delay: 50 };
pub(super) const NONE: Rates = Rates { mishap: 0, death: 0, delay: 0 };

/// How the machine's wall clock goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clocks {
    /// It is right.
    Right,
    /// It is off by up to two minutes, drifts, and is set now and then.
    Skewed,
    /// It is set wrong by hours and days, and right again before the trouble is over.
    Wild,
}

/// What happens to the machine or the gateway at some time, by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// The wall clock is off by so much from now on.
    SetClock(i64),
    /// The gateway answers every call with this code, or no longer.
    Status(Option<u16>),
    /// A process dies.
    Kill(usize),
    /// The machine is off for so long.
    Reboot(i64),
}

pub(super) struct Fate {
    pub(super) habits: Habits,
    pub(super) charset: Charset,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) schedule: Cron,
    pub(super) mode: ReadMode,
    pub(super) reconcile: Reconcile,
    pub(super) clocks: Clocks,
    /// Where the clock goes wild: since when it is right again.
    pub(super) right_from: Option<i64>,
    /// Parts of a million by which the wall clock runs fast.
    pub(super) drift: i64,
    pub(super) processes: usize,
    /// Whether the host says where its answers end.
    pub(super) announces: bool,
    /// Whether the planner is asked every minute, as it is in truth, or when it has work.
    pub(super) minutely: bool,
    pub(super) begin: i64,
    pub(super) end: i64,
    /// How many times customers write.
    pub(super) writings: usize,
    /// When which trouble rules; between them it is calm.
    episodes: Vec<(i64, i64, Rates)>,
    pub(super) events: Vec<(i64, Event)>,
}

/// Minutes between plain reads, and the schedule for it but for its second and minute.
const SCHEDULES: [(i64, &str); 6] = [
    (60, "* * * *"),
    (120, "*/2 * * *"),
    (180, "*/3 * * *"),
    (240, "*/4 * * *"),
    (360, "*/6 * * *"),
    (720, "*/12 * * *"),
];
/// Every code but 100, which is no trouble, and one that no document lists.
const CODES: [u16; 20] = [
    101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 119, 120,
    555,
];

impl Fate {
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed);
        let begin: BeijingTime = "2026-11-01 00:00:00".parse().unwrap();
        let begin = begin.unix_ms().0 + dice.below(30 * DAY);
        let all = Habits::all();
        let (place, minutely) = (usize::try_from(seed).unwrap() % all.len(), dice.chance(60));
        let span = if minutely { DAY } else { dice.between(7, 21) * DAY };
        // Long lives read seldom, so that every seed costs about the same.
        let (period, hours) = *match span {
            _ if minutely => dice.pick(&SCHEDULES[..1]),
            short if short < 10 * DAY => dice.pick(&SCHEDULES),
            _ => dice.pick(&SCHEDULES[2..]),
        };
        let announces = !dice.chance(70);
        let mode = if dice.chance(40) { ReadMode::Hour } else { ReadMode::Plain };
        let reconcile = match dice.below(12) {
            0 => Reconcile::Hourly,
            1..=3 => Reconcile::Nightly,
            _ => Reconcile::Off,
        };
        // Where each hour is read as a matter of course, two slots an hour are too few.
        let reads_all = !announces || mode == ReadMode::Hour || reconcile != Reconcile::Off;
        let slowest = if reads_all { 10 } else { 30 };
        let interval = slowest.min(*dice.pick(&[1, 5, 10, 10, 20, 30])) * MINUTE;
        // Read near the hour's end and begin more often than chance would.
        let minute = *dice.pick(&[0, 7, 29, 43, 58, 59]);
        let second = *dice.pick(&[0, 2, 31, 57, 59]);
        let schedule = match minutely && dice.chance(500) {
            true => format!("{second} */10 * * * *"),
            false => format!("{second} {minute} {hours}"),
        };
        let charset = if dice.chance(150) { Charset::Utf8 } else { Charset::Gbk };
        let clocks = *dice.pick(&[
            Clocks::Right,
            Clocks::Right,
            Clocks::Right,
            Clocks::Skewed,
            Clocks::Skewed,
            Clocks::Wild,
        ]);
        let mut fate = Self {
            habits: Habits { min_interval: duration(interval), honours_encode: true, ..all[place] },
            charset,
            interval: duration(interval),
            timeout: duration(*dice.pick(&[30 * SECOND, MINUTE, 5 * MINUTE])),
            schedule: Cron::parse(&schedule).unwrap(),
            drift: if clocks == Clocks::Right { 0 } else { dice.between(-20, 20) },
            mode,
            reconcile,
            clocks,
            right_from: None,
            processes: 1 + usize::from(dice.chance(200)),
            announces,
            minutely,
            begin,
            end: begin + span,
            writings: usize::try_from(dice.between(10, 80)).unwrap(),
            episodes: Vec::new(),
            events: Vec::new(),
        };
        fate.draw_episodes(&mut dice, period);
        fate.draw_events(&mut dice);
        fate.tame(&mut dice);
        fate
    }

    fn draw_episodes(&mut self, dice: &mut Dice, period: i64) {
        if dice.chance(100) {
            return;
        }
        for _ in 0..dice.between(1, 4) {
            let rates = *dice.pick(&[ROUGH, ROUGH, HOSTILE]);
            let from = dice.between(self.begin, self.end);
            let lasts = dice.between(1, 6) * (period * MINUTE).max(4 * HOUR);
            self.episodes.push((from, (from + lasts).min(self.end), rates));
        }
    }

    fn draw_events(&mut self, dice: &mut Dice) {
        let within = |dice: &mut Dice, fate: &Self| match fate.episodes.as_slice() {
            [] => dice.between(fate.begin, fate.end),
            _ if dice.chance(300) => dice.between(fate.begin, fate.end),
            some => {
                let (from, to, _) = *dice.pick(some);
                dice.between(from, to)
            }
        };
        for _ in 0..dice.below(4) {
            let (at, code) = (within(dice, self), *dice.pick(&CODES));
            let lasts = *dice.pick(&[20 * MINUTE, 2 * HOUR, 9 * HOUR, 30 * HOUR]);
            self.events.push((at, Event::Status(Some(code))));
            self.events.push(((at + dice.below(lasts)).min(self.end), Event::Status(None)));
        }
        for _ in 0..dice.below(3) {
            let which = dice.index(self.processes);
            self.events.push((within(dice, self), Event::Kill(which)));
        }
        for _ in 0..dice.below(3) {
            let down = *dice.pick(&[20 * SECOND, MINUTE, 20 * MINUTE, 5 * HOUR, 30 * HOUR]);
            self.events.push((within(dice, self), Event::Reboot(dice.between(down / 2, down))));
        }
        for _ in 0..dice.below(6) {
            let off = match self.clocks {
                Clocks::Right => continue,
                Clocks::Wild if dice.chance(500) => dice.between(-4 * DAY, 4 * DAY),
                _ => dice.between(-SKEW_MAX / 2, SKEW_MAX / 2),
            };
            self.events.push((within(dice, self), Event::SetClock(off)));
        }
        self.events.sort_by_key(|(at, _)| *at);
    }

    /// Where the clock goes wild, it is put right some time before the end, and there is trouble after
    /// that, so that there is something to judge. Where no such clock was drawn, it is skewed only.
    fn tame(&mut self, dice: &mut Dice) {
        if self.clocks != Clocks::Wild {
            return;
        }
        let span = self.end - self.begin;
        let right_from = self.end - dice.between(span / 8, span / 4);
        let is_wild =
            |event: &Event| matches!(event, Event::SetClock(off) if off.abs() > SKEW_MAX / 2);
        self.events.retain(|(at, event)| !is_wild(event) || *at < right_from);
        if !self.events.iter().any(|(_, event)| is_wild(event)) {
            self.clocks = Clocks::Skewed;
            return;
        }
        let (from, rates) = (dice.between(right_from, self.end), *dice.pick(&[ROUGH, HOSTILE]));
        self.episodes.push((from, self.end, rates));
        self.events.push((right_from, Event::SetClock(0)));
        self.events.sort_by_key(|(at, _)| *at);
        self.right_from = Some(right_from);
    }

    /// The rates of trouble at a time: none once the life's trouble is over.
    pub(super) fn rates(&self, now: i64) -> Rates {
        if now >= self.end {
            return NONE;
        }
        let ruling = self.episodes.iter().find(|(from, to, _)| (*from..*to).contains(&now));
        ruling.map_or(CALM, |(_, _, rates)| *rates)
    }

    /// Some time of this life, rather in its trouble than in its calm.
    pub(super) fn some_time(&self, dice: &mut Dice) -> i64 {
        match self.episodes.as_slice() {
            [] => dice.between(self.begin, self.end - HOUR),
            _ if dice.chance(400) => dice.between(self.begin, self.end - HOUR),
            some => {
                let (from, to, _) = *dice.pick(some);
                dice.between(from - 2 * HOUR, to).clamp(self.begin, self.end - HOUR)
            }
        }
    }
}

pub(super) fn duration(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap())
}

pub(super) fn beijing(ms: i64) -> BeijingTime {
    UnixMs(ms).beijing()
}

//! What must hold of every life, looked at after each step.

use std::collections::{BTreeSet, HashMap};

use super::customers::{Text, Written};
use super::driver::{ACCOUNT, Asking, Core, SUBSCRIBERS};
use super::fate::Fate;
use super::gateway::Gateway;
use crate::gateway::charset::Charset;
use crate::gateway::client::ReadMode;
use crate::reply::{Fingerprint, Mobile};
use crate::store::audit::{KeptHour, KeptReply};
use crate::store::read::{Ingested, ReadId, Verdict};
use crate::time::{BeijingTime, Hour};

/// What a life is broken by, in words.
pub(super) type Broken = String;

/// How many reads of one kind may follow each other while one of the other kind is wanted. Where only
/// hours are read, a due one that is begun a moment after its hour has ended is one of an hour that
/// is over, and the next is due once more.
fn in_a_row_max(mode: ReadMode) -> u32 {
    match mode {
        ReadMode::Plain => 1,
        ReadMode::Hour => 2,
    }
}

#[derive(Default)]
pub(super) struct Judge {
    /// By text: the copies that came to the gateway, left its box, are kept; and those that a
    /// cut record may have been taken for.
    came: Vec<u32>,
    out: Vec<u32>,
    kept: Vec<u32>,
    looked_like: Vec<u32>,
    /// Hours that begin then or later are judged, where not all are.
    judged_from: Option<i64>,
    /// By text: whether it may not be lost.
    judged: Vec<bool>,
    /// The reads that took each text's copies out of the box, with the hour of their records.
    carriers: HashMap<usize, Vec<(ReadId, Hour)>>,
    /// The texts of which less is kept than has left the box.
    wanting: BTreeSet<usize>,
    counted: usize,
    rows: HashMap<String, KeptReply>,
    last_seq: i64,
    /// The last kind of read, and how many of it there were while the other was wanted.
    in_a_row: (bool, u32),
    in_a_row_max: u32,
    /// Hours that are over and wait to be read, with the reads of each other hour since.
    passed_over: HashMap<Hour, HashMap<Hour, u32>>,
    /// What was ready to be read when a read of an hour was begun.
    begun: HashMap<ReadId, (Hour, HashMap<Hour, u32>)>,
    pub(super) reads: u64,
}

impl Judge {
    pub(super) fn of(fate: &Fate, written: &Written) -> Self {
        let nothing = vec![0; written.texts.len()];
        Self {
            judged_from: fate.right_from.map(|_| i64::MAX),
            judged: vec![fate.right_from.is_none(); written.texts.len()],
            came: nothing.clone(),
            out: nothing.clone(),
            kept: nothing.clone(),
            looked_like: nothing,
            in_a_row_max: in_a_row_max(fate.mode),
            ..Self::default()
        }
    }

    /// A process has looked for times that a wrong clock set. A clock that is wrong by days says
    /// nothing of when a reply was, and calls hours over that are to come; what those are can be
    /// seen once it is right, until they are over. So judged are the hours after that.
    pub(super) fn mended(&mut self, fate: &Fate, written: &Written, now: i64) {
        if self.judged_from != Some(i64::MAX) || fate.right_from.is_none_or(|from| now < from) {
            return;
        }
        self.judged_from = Some(now);
        let hour = |text: &Text| BeijingTime::from_unix_seconds(text.second).hour();
        self.judged = written.texts.iter().map(|text| self.is_judged(hour(text))).collect();
    }

    /// Whether nothing of an hour may be lost.
    fn is_judged(&self, hour: Hour) -> bool {
        self.judged_from.is_none_or(|from| hour.start().unix_ms().0 >= from)
    }

    pub(super) fn replies(&self) -> usize {
        self.rows.len()
    }

    /// How many replies are kept that could have been lost without this judge's leave.
    pub(super) fn replies_judged(&self) -> u32 {
        let kept = self.kept.iter().zip(&self.judged);
        kept.map(|(kept, judged)| if *judged { *kept } else { 0 }).sum()
    }

    /// Counts what came to the gateway and what left its box.
    pub(super) fn look_at_gateway(&mut self, written: &Written, gateway: &mut Gateway) {
        for writing in &written.writings[self.counted..gateway.arrived] {
            for text in &writing.becomes {
                self.came[*text] += 1;
            }
            if let Some(text) = writing.looks_like {
                self.looked_like[text] += 1;
            }
        }
        self.counted = gateway.arrived;
        for number in gateway.newly_out.drain(..) {
            let writing = &written.writings[number];
            let read = gateway.taken_by[number].unwrap();
            for text in &writing.becomes {
                self.out[*text] += 1;
                let carriers = self.carriers.entry(*text).or_default();
                carriers.push((read, writing.reply.replied_at.hour()));
                self.weigh(*text);
            }
        }
    }

    fn weigh(&mut self, text: usize) {
        if self.out[text] > self.kept[text] {
            self.wanting.insert(text);
        } else {
            self.wanting.remove(&text);
        }
    }

    /// Looks at what the store has kept since, and that nothing is missing that it does not
    /// know to be.
    pub(super) fn look_at_store(
        &mut self,
        fate: &Fate,
        written: &Written,
        core: &Core,
    ) -> Result<(), Broken> {
        for row in core.replies_after(self.last_seq) {
            self.last_seq = row.seq;
            let text = self.is_one_of_theirs(fate, written, core, &row)?;
            self.kept[text] += 1;
            self.weigh(text);
            if self.rows.insert(row.id.clone(), row).is_some() {
                return Err("an id was given twice".to_owned());
            }
        }
        self.nothing_is_missed(fate, written, core)
    }

    /// A reply that is kept was written, as often as it is kept, and has the id that is its own.
    fn is_one_of_theirs(
        &self,
        fate: &Fate,
        written: &Written,
        core: &Core,
        row: &KeptReply,
    ) -> Result<usize, Broken> {
        let bytes = row.content_raw.clone().unwrap_or_else(|| encoded(&row.content, fate.charset));
        let told = Text { mobile: row.mobile.clone(), second: row.replied_at, bytes };
        let Some(text) = written.find(&told) else {
            return Err(format!("{row:?} was never written"));
        };
        // A text that holds a date, cut behind the digits that follow it, is a record in every
        // byte: that reply nobody wrote, and nobody can tell.
        if self.kept[text] >= self.came[text] + self.looked_like[text] {
            return Err(format!("{row:?} was written {} times", self.came[text]));
        }
        let mobile = Mobile::parse(&row.mobile).unwrap();
        let replied_at = BeijingTime::from_unix_seconds(row.replied_at);
        let of =
            Fingerprint { account: ACCOUNT, mobile: &mobile, replied_at, content: &told.bytes };
        let own = core.key().reply_id(of, row.occurrence);
        let content = fate.charset.decode(&told.bytes).text;
        if own.as_str() != row.id || row.occurrence != self.kept[text] + 1 || content != row.content
        {
            return Err(format!("{row:?} is not what it should be: {own}"));
        }
        Ok(text)
    }

    /// What has left the box and is not kept is in a read that is still to be taken in, waits as
    /// a record, or its hour is owed.
    fn nothing_is_missed(&self, fate: &Fate, written: &Written, core: &Core) -> Result<(), Broken> {
        // Where no plain read is made, an hour is owed when it is over: nothing is lost before. Where
        // no answer says where it ends, every plain read owes the hours that were over, so that the
        // hour in which it lost a reply is owed by a later one. There the end of the life alone
        // tells.
        let at_the_end_only = fate.mode == ReadMode::Hour || !fate.announces;
        if self.wanting.is_empty() || at_the_end_only {
            return Ok(());
        }
        let (open, waiting) = (core.reads_open(), core.records_waiting());
        let left = core.hours_left();
        for text in self.wanting.iter().filter(|text| self.judged[**text]) {
            let carriers = &self.carriers[text];
            let at_hand = carriers.iter().any(|(read, hour)| {
                open.contains(read) || left.iter().any(|left| left.owed && left.hour == *hour)
            });
            let Text { mobile, second, bytes } = &written.texts[*text];
            let waits = |(whose, when, what): &(String, i64, Vec<u8>)| {
                (whose, when, what) == (mobile, second, bytes)
            };
            if !at_hand && !waiting.iter().any(waits) {
                let (read, hour) = carriers[carriers.len() - 1];
                let when = BeijingTime::from_unix_seconds(*second);
                return Err(format!(
                    "a reply of {when} that read {read} took out of the box is not kept ({} of {}), and its \
                     hour {hour} is not owed",
                    self.kept[*text], self.out[*text]
                ));
            }
        }
        Ok(())
    }

    /// Counts the reads of either kind, and of each hour while another waits.
    pub(super) fn look_at_read(
        &mut self,
        core: &Core,
        read: ReadId,
        asking: Asking,
        now_ms: i64,
    ) -> Result<(), Broken> {
        self.reads += 1;
        let Asking { hour, is_due: plain, both } = asking;
        let before = if self.in_a_row.0 == plain && both { self.in_a_row.1 } else { 0 };
        self.in_a_row = (plain, before + u32::from(both));
        if self.in_a_row.1 > self.in_a_row_max {
            let (one, other) = if plain { ("due", "owed") } else { ("owed", "due") };
            return Err(format!("{} {one} reads in a row starve {other} reads", self.in_a_row.1));
        }
        let (Some(hour), false) = (hour, plain) else { return Ok(()) };
        let left = core.hours_left();
        let in_gap = left.iter().any(|left| left.hour == hour && left.in_gap);
        // Hours of gaps come before those that are looked at as a matter of course.
        let is_ready = |left: &&KeptHour| {
            let is_over = left.hour.end().0 <= now_ms;
            left.owed && left.not_before_ms <= now_ms && is_over && (left.in_gap || !in_gap)
        };
        let ready = left.iter().filter(is_ready).map(|left| (left.hour, left.tries)).collect();
        self.begun.insert(read, (hour, ready));
        Ok(())
    }

    /// Counts how often hours that are over and may be read were passed over for another. A read
    /// that was refused read nothing.
    pub(super) fn look_at_taken_in(&mut self, ingested: &Ingested) -> Result<(), Broken> {
        let Some((read, ready)) = self.begun.remove(&ingested.read) else { return Ok(()) };
        if matches!(ingested.verdict, Verdict::Refused(_)) {
            return Ok(());
        }
        self.passed_over.retain(|hour, _| ready.contains_key(hour));
        self.passed_over.remove(&read);
        for (waiting, tries) in ready.into_iter().filter(|(waiting, _)| *waiting != read) {
            let others = self.passed_over.entry(waiting).or_default();
            let times = others.entry(read).or_default();
            *times += 1;
            // Each hour may be read as often as the waiting one was, and once more.
            if *times > tries + 2 {
                return Err(format!("hour {waiting} was passed over {times} times for {read}"));
            }
        }
        Ok(())
    }

    /// The read that was begun last was not sent.
    pub(super) fn unread(&mut self) {
        self.in_a_row = (self.in_a_row.0, 0);
        self.reads -= 1;
    }

    /// Whether trouble that is over has left nothing behind.
    pub(super) fn is_settled(&self, fate: &Fate, written: &Written, core: &Core) -> bool {
        let at_rest = core.reads_open().is_empty() && core.records_waiting().is_empty();
        if !fate.announces || fate.mode == ReadMode::Hour {
            // Every hour that ends is owed there, so that there is always one; all must have come.
            let is_kept = |(text, (came, kept)): (usize, (&u32, &u32))| {
                let is_judged = self.judged[text];
                !is_judged || came <= kept || written.claimed.contains(&text) && *kept > 0
            };
            return at_rest && self.came.iter().zip(&self.kept).enumerate().all(is_kept);
        }
        at_rest && !core.hours_left().iter().any(|left| left.owed)
    }

    /// The texts of which fewer copies are kept than came, for whoever looks into a broken life.
    pub(super) fn lacking(&self, written: &Written) -> String {
        let lacks = |text: &usize| self.judged[*text] && self.came[*text] > self.kept[*text];
        let seconds = (0..self.came.len()).filter(lacks).map(|text| written.texts[text].second);
        let times = seconds.map(|second| BeijingTime::from_unix_seconds(second).to_string());
        times.collect::<Vec<_>>().join(", ")
    }

    /// What must hold when a life is over: all is kept, once, unchanged, and told once to each.
    pub(super) fn look_at_end(&self, written: &Written, core: &Core) -> Result<(), Broken> {
        for (text, (came, kept)) in self.came.iter().zip(&self.kept).enumerate() {
            let extra = self.looked_like[text];
            let least = if written.claimed.contains(&text) { (*came).min(1) } else { *came };
            if !(least..=came + extra).contains(kept) && self.judged[text] {
                let Text { second, mobile, bytes } = &written.texts[text];
                let when = BeijingTime::from_unix_seconds(*second);
                return Err(format!(
                    "of {came} replies of {when}, {mobile} {bytes:?}, {kept} are kept"
                ));
            }
        }
        let rows = core.replies_after(0);
        if rows.len() != self.rows.len() || rows.iter().any(|row| self.rows[&row.id] != *row) {
            return Err("a reply has changed".to_owned());
        }
        let (amiss, deliveries) = core.deliveries();
        let due = i64::try_from(rows.len() * SUBSCRIBERS.len()).unwrap();
        if amiss != 0 || deliveries != due {
            return Err(format!("{deliveries} deliveries of {due}, {amiss} amiss"));
        }
        let given_up = core.hours_left().into_iter().find(|left| {
            let is_forged = written.forged_hours.contains(&left.hour);
            left.given_up && !is_forged && self.is_judged(left.hour)
        });
        match given_up {
            Some(left) => Err(format!("hour {} was given up", left.hour)),
            None => Ok(()),
        }
    }
}

fn encoded(text: &str, charset: Charset) -> Vec<u8> {
    charset.encode(text).unwrap_or_default()
}

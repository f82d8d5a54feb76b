//! `replyd replies erase --mobile NUMBER`: all that is of one person, for good.

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::progress::Progress;
use crate::cli::{arguments, consent, output};
use crate::clock::Clock;
use crate::intake::take_in::TakeIn;
use crate::reply::Mobile;
use crate::store::Store;
use crate::store::erasure::{Found, Holding};
use crate::time::UnixMs;

/// Looks that are made: more comes while a service runs, and each look finds what came since.
const LOOKS_MAX: usize = 10;
/// A file up to this size is written anew by itself where something is left over in its pages: that
/// takes some seconds, in which the service does not write.
const REWRITTEN_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Arguments of `replies erase`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The person's number, in whichever form: 13912345678, +8613912345678
    #[arg(long, value_name = "NUMBER", value_parser = arguments::mobile)]
    mobile: Mobile,
    /// Write the store's file anew at the end, whatever its size: nobody else writes meanwhile
    #[arg(long)]
    rewrite: bool,
    /// Only say what would be erased
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Erased are the number's replies at all accounts, what tells of them (events, deliveries, also those
that wait, attempts), records that wait, faults and receivers' answers that hold the number, what of
kept answers of the gateway is theirs, and messages that were sent to it. No later read of the hours
brings the replies back; a digest of each stays for that. The bytes are overwritten in the file, and
its log is emptied. The copies of the store that upgrades made beside it are removed, whatever is in
them.

What remains: what receivers were told, backups, exports, the log of the service (where numbers are
masked), and what other people wrote, even where it mentions the number. The gateway has its own
copy: where an hour is read again, the erased texts are cut out of the answer as it is taken in.

Examples:
  replyd replies erase --mobile 13912345678 --dry-run
  replyd replies erase --mobile 13912345678
  replyd replies erase --mobile 13912345678 --yes --json";

/// What came of it.
#[derive(Default)]
struct Done {
    holding: Holding,
    /// Whether the log of the store was emptied.
    log_emptied: bool,
    /// How often the number still stands in the store's files.
    left: usize,
    /// Whether the file was written anew, so that what is left in it is in use.
    rewritten: bool,
    mentions: usize,
    not_taken_in: usize,
    /// Copies from before upgrades that are there, or were removed.
    copies: usize,
}

/// Erases what is of the number, once somebody agreed.
pub(super) async fn erase(store: &Store, arguments: &Arguments) -> Result<Exit, Failure> {
    let mobile = &arguments.mobile;
    let found = store.find_person(mobile).await?;
    let mut done = Done { holding: found.holding, ..Done::default() };
    (done.mentions, done.not_taken_in) = (found.mentions, found.not_taken_in);
    done.copies = store.copies().await?.len();
    if !arguments.json {
        output::data(&format!("of {mobile}: {}", in_words(&found.holding)));
    }
    if arguments.dry_run {
        tell(arguments, &done);
        return Ok(Exit::Done);
    }
    if !found.holding.is_nothing() || found.not_taken_in > 0 || done.copies > 0 {
        consent::require(arguments.yes, true, &format!("Erase all of {mobile}, for good?"))?;
    }
    take_in(store).await?;
    carry_out(store, arguments, found, &mut done).await?;
    clean(store, arguments, &mut done).await?;
    tell(arguments, &done);
    Ok(if done.not_taken_in > 0 {
        Exit::NotNow
    } else if done.is_clean() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

impl Done {
    /// Whether nothing is left but, perhaps, what others wrote.
    fn is_clean(&self) -> bool {
        self.log_emptied && (self.left == 0 || self.mentions > 0 || self.rewritten)
    }
}

/// Takes in what was read and not taken in yet, as every process does: what is of the person in it
/// is then known by what it is.
async fn take_in(store: &Store) -> Result<(), Failure> {
    let take_in = TakeIn::new(store.clone(), Clock::system());
    for account in store.account_names().await? {
        take_in.open_or_tell(&account).await?;
    }
    Ok(())
}

/// Erases until a look finds nothing.
async fn carry_out(
    store: &Store,
    arguments: &Arguments,
    first: Found,
    done: &mut Done,
) -> Result<(), Failure> {
    let (mobile, now) = (&arguments.mobile, Clock::system().unix());
    let mut found = first;
    for look in 0..LOOKS_MAX {
        if look > 0 {
            found = store.find_person(mobile).await?;
            done.holding = sum(done.holding, found.holding);
        }
        (done.mentions, done.not_taken_in) = (found.mentions, found.not_taken_in);
        if found.pieces.is_empty() && look > 0 {
            return Ok(());
        }
        let progress = Progress::of("steps", found.pieces.len());
        let tell = |steps| progress.at(steps);
        store.erase_pieces(mobile, std::mem::take(&mut found.pieces), now, tell).await?;
    }
    let message = "replyd: more of this number keeps coming; run it again";
    Err(Failure::new(Exit::NotNow, message))
}

/// Sees to it that the files hold nothing of it.
async fn clean(store: &Store, arguments: &Arguments, done: &mut Done) -> Result<(), Failure> {
    done.copies = store.drop_copies(UnixMs(i64::MAX)).await?;
    let number = arguments.mobile.as_str().as_bytes();
    done.log_emptied = store.empty_log().await?;
    done.left = store.occurrences(number.to_vec()).await?;
    if arguments.rewrite || done.left > 0 {
        let bytes_max = if arguments.rewrite { u64::MAX } else { REWRITTEN_BYTES_MAX };
        done.rewritten = store.rewrite(bytes_max).await?;
        done.log_emptied = store.empty_log().await?;
        done.left = store.occurrences(number.to_vec()).await?;
    }
    Ok(())
}

fn sum(one: Holding, other: Holding) -> Holding {
    Holding {
        replies: one.replies + other.replies,
        deliveries: one.deliveries + other.deliveries,
        under_way: one.under_way + other.under_way,
        attempts: one.attempts + other.attempts,
        waiting_records: one.waiting_records + other.waiting_records,
        bodies: one.bodies + other.bodies,
        faults: one.faults + other.faults,
        answers: one.answers + other.answers,
        messages: one.messages + other.messages,
    }
}

fn in_words(holding: &Holding) -> String {
    let Holding { replies, deliveries, under_way, attempts, .. } = *holding;
    let mut deliveries_in_words = output::count(deliveries, "delivery", "deliveries");
    if under_way > 0 {
        deliveries_in_words += &format!(" ({under_way} not done)");
    }
    let parts = [
        (replies, output::count(replies, "reply", "replies")),
        (deliveries, deliveries_in_words),
        (attempts, output::count(attempts, "attempt", "attempts")),
        (
            holding.waiting_records,
            output::count(holding.waiting_records, "waiting record", "waiting records"),
        ),
        (holding.bodies, output::count(holding.bodies, "kept answer", "kept answers")),
        (holding.faults, output::count(holding.faults, "fault", "faults")),
        (
            holding.answers,
            output::count(holding.answers, "receiver's answer", "receivers' answers"),
        ),
        (holding.messages, output::count(holding.messages, "message", "messages")),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, words)| words).collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn tell(arguments: &Arguments, done: &Done) {
    let Done { holding, mentions, not_taken_in, left, log_emptied, rewritten, copies } = done;
    if arguments.json {
        output::json(&json!({
            "dry_run": arguments.dry_run,
            "from": arguments.mobile.to_string(),
            "replies": holding.replies,
            "deliveries": holding.deliveries,
            "under_way": holding.under_way,
            "attempts": holding.attempts,
            "waiting_records": holding.waiting_records,
            "bodies": holding.bodies,
            "faults": holding.faults,
            "answers": holding.answers,
            "messages": holding.messages,
            "mentions": mentions,
            "not_taken_in": not_taken_in,
            "log_emptied": log_emptied,
            "left": left,
            "copies": copies,
        }));
    } else if arguments.dry_run {
        output::data("nothing erased: this was a dry run");
    } else {
        output::data(&format!("erased: {}", in_words(holding)));
    }
    if *copies > 0 {
        let made = output::count(*copies, "copy", "copies");
        let what = if arguments.dry_run { "would be removed, too" } else { "removed" };
        output::talk(&format!("{made} of the store from before upgrades {what}"));
    }
    if *mentions > 0 {
        let replies = output::count(*mentions, "reply", "replies");
        output::talk(&format!(
            "{replies} of others mention the number: replyd replies list --text shows them"
        ));
    }
    if *not_taken_in > 0 {
        let answers = output::count(*not_taken_in, "answer", "answers");
        output::talk(&format!(
            "{answers} with the number could not be taken in yet: run this again once that is done"
        ));
    }
    if !arguments.dry_run && !log_emptied {
        output::talk(
            "the store's log could not be emptied, because another process reads it: run this again, or stop that process",
        );
    }
    if *left > 0 {
        let or_unused = match rewritten {
            true => "",
            false => ", or in pages that are used no more, which --rewrite makes an end of",
        };
        output::talk(&format!(
            "the number still stands {left} times in the store's file: in what others wrote or configured{or_unused}"
        ));
    }
}

//! `replyd coverage`: which hours are sure, which are not, and what was kept of each.

mod grid;

use std::path::Path;

use serde_json::json;

use crate::cli::coverage::grid::{Cell, Mark, Paint};
use crate::cli::exit::{Exit, Failure};
use crate::cli::table::{Align, Table};
use crate::cli::{chosen, load, output};
use crate::clock::Clock;
use crate::shape::Coverage;
use crate::store::hour::{HourRow, HourState};
use crate::store::journal::CoverageDetail;
use crate::store::{OpenMode, Store};
use crate::time::{Day, Hour, UnixMs};

/// The most days shown at once: as far back as an hour is ever owed.
const DAYS_MAX: i64 = 62;
/// Hours of a kind that are listed below the grid; `--json` has all.
const LISTED_MAX: usize = 20;

/// Arguments of `coverage`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Only this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// The last so many days, today included (1 to 62)
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=DAYS_MAX))]
    days: u16,
    /// From this day on, in Beijing time: 2008-05-27
    #[arg(long, value_name = "DAY", conflicts_with = "days")]
    from: Option<Day>,
    /// Up to this day, itself included [default: today]
    #[arg(long, value_name = "DAY", requires = "from")]
    to: Option<Day>,
    /// Print one JSON object per account
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
An hour is
  =  verified: the gateway, asked by `time` when the hour was over, showed all that is known of it
  ?  owed: replies of it may be missing; it is read by `time` when the slot is free
  !  given up: asked often enough, the gateway does not show all that is known of it
  .  not asked for: no read left it in doubt
The number before the sign counts the replies that are kept of the hour.

Examples:
  replyd coverage
  replyd coverage --account main --from 2008-05-01 --to 2008-05-31

Exit codes: 0 shown, 66 no store or no such account, 78 configuration.";

/// What is shown of one account.
struct Shown {
    detail: CoverageDetail,
    current: Hour,
}

/// Shows the hours of each account.
pub(super) async fn coverage(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let now = Clock::system().unix();
    let (first, last) = days(arguments, now)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let accounts = chosen::accounts(&config, &store, arguments.account.as_deref()).await?;
    for (index, account) in accounts.into_iter().enumerate() {
        let (begin, end) = (first.first_hour(), last.last_hour());
        let detail = store.coverage_detail(&account, begin, end).await?;
        let shown = Shown { detail, current: now.beijing().hour() };
        if arguments.json {
            let days = (first, last);
            output::json(&json!(Coverage::of(&shown.detail, days, shown.current)));
            continue;
        }
        if index > 0 {
            output::data("");
        }
        shown.print(first, last);
    }
    Ok(Exit::Done)
}

fn days(arguments: &Arguments, now: UnixMs) -> Result<(Day, Day), Failure> {
    let today = now.beijing().hour().day();
    let last = arguments.to.unwrap_or(today);
    let first = arguments.from.unwrap_or_else(|| today.before(arguments.days.saturating_sub(1)));
    match first.count_to(last) {
        0 => Err(Failure::usage(format!("--from {first} is after {last}"))),
        count if count > DAYS_MAX => Err(Failure::usage(format!(
            "{count} days are more than {DAYS_MAX}; name a later --from or an earlier --to"
        ))),
        _ => Ok((first, last)),
    }
}

impl Shown {
    fn cell(&self, hour: Hour) -> Cell {
        let replies = self.detail.replies(hour);
        let mark = match self.detail.rows.get(&hour).map(|row| row.state) {
            Some(HourState::Owed) => Mark::Owed,
            Some(HourState::Verified) => Mark::Verified,
            Some(HourState::GivenUp) => Mark::GivenUp,
            None if hour > self.current && replies == 0 => Mark::ToCome,
            None => Mark::Nothing,
        };
        Cell { mark, replies }
    }

    fn print(&self, first: Day, last: Day) {
        output::data(&format!("{}: {first} to {last}, hours in Beijing time", self.detail.account));
        output::data("");
        let days: Vec<(Day, Vec<Cell>)> = first
            .through(last)
            .map(|day| (day, day.hours().map(|hour| self.cell(hour)).collect()))
            .collect();
        let paint = if output::is_coloured() { Paint::Coloured } else { Paint::Plain };
        for line in grid::lines(&days, paint) {
            output::data(&line);
        }
        output::data("");
        output::data(grid::LEGEND);
        self.print_owed();
        self.print_short();
        self.print_given_up();
        if let Some(told) = self.detail.coverage.second_reader {
            output::data("");
            output::data(&format!(
                "Another program seems to read this account's replies too; last told at {}",
                told.beijing()
            ));
        }
    }

    fn print_owed(&self) {
        output::data("");
        if self.detail.coverage.owed == 0 {
            output::data("Nothing is owed.");
            return;
        }
        let owed = usize::try_from(self.detail.coverage.owed).unwrap_or(usize::MAX);
        let hours = output::count(owed, "hour is", "hours are");
        output::data(&format!("{hours} owed, and read by `time` when the slot is free."));
        if self.detail.gaps.is_empty() {
            output::data("No gap: nothing points to a lost reply.");
            return;
        }
        output::data("Gaps, in which replies may be missing:");
        let mut table = Table::new([
            ("first hour", Align::Left),
            ("last hour", Align::Left),
            ("owed", Align::Right),
            ("verified", Align::Right),
            ("given up", Align::Right),
            ("since read", Align::Right),
        ]);
        for gap in &self.detail.gaps {
            table.row([
                gap.first.to_string(),
                gap.last.to_string(),
                gap.owed.to_string(),
                gap.verified.to_string(),
                gap.given_up.to_string(),
                gap.id.to_string(),
            ]);
        }
        table.print();
    }

    /// The hours that are read again because the gateway did not show all that is known of them.
    fn print_short(&self) {
        self.print_hours(
            "Lacking",
            |row| row.state == HourState::Owed && row.shorts > 0,
            ("read again at", |row| row.not_before.beijing().to_string()),
        );
    }

    fn print_given_up(&self) {
        self.print_hours(
            "Given up",
            |row| row.state == HourState::GivenUp,
            ("cause", |row| row.cause.as_str().to_owned()),
        );
    }

    /// The hours of a kind, newest first, with what is told of each last.
    fn print_hours(
        &self,
        kind: &str,
        is_of_kind: fn(&HourRow) -> bool,
        (last, told): (&'static str, fn(&HourRow) -> String),
    ) {
        let mut rows: Vec<&HourRow> =
            self.detail.rows.values().filter(|row| is_of_kind(row)).collect();
        if rows.is_empty() {
            return;
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.hour));
        output::data("");
        output::data(&format!(
            "{kind}: the copies that the gateway showed last, and those known then:"
        ));
        let mut table = Table::new([
            ("hour", Align::Left),
            ("showed", Align::Right),
            ("known", Align::Right),
            ("tries", Align::Right),
            (last, Align::Left),
        ]);
        for row in rows.iter().take(LISTED_MAX) {
            table.row([
                row.hour.to_string(),
                output::or_dash(row.held),
                output::or_dash(row.known),
                row.tries.to_string(),
                told(row),
            ]);
        }
        table.print();
        if rows.len() > LISTED_MAX {
            output::data(&format!("  and {} more", rows.len() - LISTED_MAX));
        }
    }
}

//! Which hours are sure, and what was kept of each.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::{Ask, answer};
use super::operation::{Operation, answer as good, of};
use super::parameter::{Kind, one};
use super::problem::{Code, Problem};
use crate::shape::Coverage;
use crate::time::Day;

/// The most days shown at once: as far back as an hour is ever owed.
const DAYS_MAX: u16 = 62;
/// Days where nobody says how many.
const DAYS_DEFAULT: u16 = 7;

pub(super) static OPERATIONS: [Operation; 1] = [Operation {
    id: "show_coverage",
    path: "/api/v1/coverage",
    about: "Show which hours are sure",
    more: "Of each account, the last `days`, or from `from` to `to`: at most 62.",
    query: &[
        one("account", Kind::Name, "Only this account."),
        one("days", Kind::Days(DAYS_MAX), "The last so many days, today included; else 7."),
        one("from", Kind::Day, "From this day on, in Beijing time."),
        one("to", Kind::Day, "Up to this day, itself included; else today."),
    ],
    answers: &[good(200, "The hours of each account.", of::<CoverageList>)],
    problems: &[Code::NameUnknown],
    act: |ask| Box::pin(show(ask)),
    ..Operation::LOOK
}];

/// The hours of each account.
#[derive(Serialize, JsonSchema)]
struct CoverageList {
    /// One for each account.
    items: Vec<Coverage>,
}

async fn show(ask: Ask) -> Result<Response, Problem> {
    let (first, last) = days(&ask)?;
    let accounts = match ask.text("account") {
        Some(name) => {
            super::require_account(&ask, Some(&name)).await?;
            vec![name]
        }
        None => ask.store().account_names().await?,
    };
    let current = ask.now.beijing().hour();
    let mut items = Vec::new();
    for account in accounts {
        let (begin, end) = (first.first_hour(), last.last_hour());
        let detail = ask.store().coverage_detail(&account, begin, end).await?;
        items.push(Coverage::of(&detail, (first, last), current));
    }
    Ok(answer(200, &CoverageList { items }))
}

fn days(ask: &Ask) -> Result<(Day, Day), Problem> {
    let wrong = |detail: &str| Err(Problem::new(Code::QueryInvalid, detail));
    let today = ask.now.beijing().hour().day();
    let (days, from, to) =
        (ask.value::<u16>("days"), ask.value::<Day>("from"), ask.value::<Day>("to"));
    if days.is_some() && (from.is_some() || to.is_some()) {
        return wrong("there may be either `days`, or `from` and `to`");
    }
    if to.is_some() && from.is_none() {
        return wrong("`to` needs `from`");
    }
    let last = to.unwrap_or(today);
    let first =
        from.unwrap_or_else(|| today.before(days.unwrap_or(DAYS_DEFAULT).saturating_sub(1)));
    match first.count_to(last) {
        0 => wrong("`from` is after `to`, or after today"),
        count if count > i64::from(DAYS_MAX) => {
            wrong("there are more than 62 days from `from` to `to`")
        }
        _ => Ok((first, last)),
    }
}

//! `replyd subscribers show NAME`: one subscriber.

use std::path::Path;

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::subscribers::known;
use crate::cli::subscribers::one::Arguments;
use crate::cli::table::{Align, Table};
use crate::cli::{attempt, facts, load, output};
use crate::clock::Clock;
use crate::delivery::explain;
use crate::delivery::known::Known;
use crate::delivery::waiting::left_alone_until;
use crate::language::Language;
use crate::shape::SubscriberDetail;
use crate::store::by_hand::AttemptRow;
use crate::store::subscribers::Backlog;
use crate::store::{OpenMode, Store};
use crate::time::UnixMs;

/// How many of the last attempts are shown.
const ATTEMPTS_SHOWN: usize = 10;

pub(super) const AFTER_HELP: &str = "\
Examples:
  replyd subscribers show crm
  replyd subscribers show crm --json | jq .attempts

Exit codes: 0 shown, 66 no such subscriber, 78 configuration.";

/// Shows one subscriber.
pub(super) async fn show(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = load(path)?;
    let store = Store::open(&config.store.path, OpenMode::Existing)?;
    let known = known::one(&config, &store, &arguments.name).await?;
    let backlog = store.backlog(&known.name).await?;
    let now = Clock::system().unix();
    let attempts = store.last_attempts(&known.name, ATTEMPTS_SHOWN).await?;
    if arguments.json {
        output::json(&json!(SubscriberDetail::of(&known, &backlog, &attempts, now)));
    } else {
        print(&known, (&backlog, &attempts), arguments.language.language(), now);
    }
    Ok(Exit::Done)
}

fn print(
    known: &Known<'_>,
    (backlog, attempts): (&Backlog, &[AttemptRow]),
    language: Language,
    now: UnixMs,
) {
    let name = |zh, en| language.pick(zh, en);
    let time = |at: UnixMs| at.beijing().to_string();
    let row = known.row.as_ref();
    facts::print(
        0,
        &[
            (name("订阅方", "subscriber"), Some(known.name.clone())),
            (name("状态", "state"), Some(known.state().to_owned())),
            (name("原因", "reason"), known.why(language)),
            (name("等待", "waiting"), Some(backlog.waiting.to_string())),
            (name("最早的建立于", "oldest made"), backlog.oldest.map(time)),
            (name("被扣留", "held"), Some(backlog.held.to_string())),
            (name("已放弃", "failed"), Some(backlog.failed.to_string())),
            (name("持续失败自", "failing since"), row.and_then(|row| row.failing_since).map(time)),
            (
                name("暂停发送到", "left alone until"),
                row.and_then(|row| left_alone_until(row, now)).map(time),
            ),
        ],
    );
    if let Some(config) = known.config {
        output::data("");
        output::data(name("配置", "configuration"));
        let shown = config.shown().into_iter().map(|(key, value)| (key, Some(value)));
        facts::print(2, &shown.collect::<Vec<_>>());
    }
    if !attempts.is_empty() {
        output::data("");
        output::data(name("最近的投递尝试", "last attempts"));
        as_table(attempts, language).print();
    }
}

fn as_table(attempts: &[AttemptRow], language: Language) -> Table<6> {
    let mut table = Table::new([
        ("DELIVERY", Align::Right),
        ("TRY", Align::Right),
        ("BEGAN", Align::Left),
        ("TOOK", Align::Right),
        ("STATUS", Align::Right),
        ("RESULT", Align::Left),
    ]);
    for row in attempts {
        let result = match &row.trouble {
            Some(trouble) => explain::trouble(trouble, language),
            None => explain::next(&row.next, language),
        };
        table.row([
            row.delivery.to_string(),
            row.number.to_string(),
            row.started.beijing().to_string(),
            attempt::span(row.took),
            output::or_dash(row.http_status),
            result,
        ]);
    }
    table
}

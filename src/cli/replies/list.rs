//! `replyd replies list`: the newest replies.

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::cli::replies::filter::FilterArguments;
use crate::cli::replies::{ReplyName, in_short};
use crate::cli::table::{Align, Table};
use crate::config::Config;
use crate::shape::{Numbers, Reply};
use crate::store::Store;
use crate::store::replies::{Order, Page, ReplyFilter, ReplyRow, Stretch};

/// The most that a list shows: all of them are in memory at once. `export` writes any number.
const LIST_MAX: u64 = 10_000;
/// Letters of an id that are shown, `rpl_` among them: enough to name one of a million.
const ID_LETTERS: usize = 12;
/// Letters of a text that are looked at for a table: more than any terminal is wide.
const TEXT_LETTERS_MAX: usize = 1_000;

/// Arguments of `replies list`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: FilterArguments,
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=LIST_MAX))]
    limit: u64,
    /// Only those behind this one in the list: the last of the page before
    #[arg(long, value_name = "ID")]
    after: Option<ReplyName>,
    /// Show numbers whole, not as 139****5678
    #[arg(long)]
    numbers: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  replyd replies list --since 24h
  replyd replies list --text 退订 --from 2008-05-01 --to 2008-05-27
  replyd replies list --state failed --state held      whom did it not reach?
  replyd replies list --mobile 13912345678 --json

Times are when a reply was written, in Beijing time. DELIVERIES says how many stand where. Texts are
shown with control characters written out, as \\n or \\u{1b}, and cut to the terminal's width. The
beginning of an ID is enough for `show` and `--after`.";

/// Lists replies, newest first.
pub(super) async fn list(
    config: &Config,
    store: &Store,
    arguments: &Arguments,
) -> Result<Exit, Failure> {
    let filter = arguments.filter.filter(config, store).await?;
    let numbers = if arguments.numbers { Numbers::Whole } else { Numbers::Masked };
    let page = page(store, &filter, arguments).await?;
    if arguments.json {
        page.rows.iter().for_each(|row| output::json(&json!(Reply::of(row, numbers))));
        return Ok(Exit::Done);
    }
    if page.rows.is_empty() {
        output::talk("there is no such reply");
    }
    table(&page.rows, numbers).print();
    if let (Some(_), Some(last)) = (&page.next, page.rows.last()) {
        output::talk(&format!("there are more: --after {}", short(&last.id)));
    }
    Ok(Exit::Done)
}

/// As many as were asked for; `next` says whether there are more.
async fn page(store: &Store, filter: &ReplyFilter, arguments: &Arguments) -> Result<Page, Failure> {
    let mut behind = None;
    if let Some(name) = &arguments.after {
        let id = name.find(store).await?;
        behind = store.reply(&id).await?.map(|row| row.place());
    }
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let stretch =
        |behind, limit| Stretch { order: Order::NewestFirst, behind, limit, newest: None };
    let mut rows = Vec::new();
    loop {
        let page = store.replies(filter.clone(), stretch(behind, limit - rows.len())).await?;
        rows.extend(page.rows);
        behind = page.next;
        if behind.is_none() || rows.len() >= limit {
            break;
        }
    }
    if behind.is_some() {
        let more = store.replies(filter.clone(), stretch(behind.clone(), 1)).await?;
        behind = behind.filter(|_| !more.rows.is_empty());
    }
    Ok(Page { rows, next: behind })
}

fn table(rows: &[ReplyRow], numbers: Numbers) -> Table<7> {
    let mut table = Table::new([
        ("ID", Align::Left),
        ("TIME", Align::Left),
        ("FROM", Align::Left),
        ("ACCOUNT", Align::Left),
        ("DELIVERIES", Align::Left),
        ("SUSPECT", Align::Left),
        ("TEXT", Align::Left),
    ]);
    for row in rows {
        table.row([
            short(&row.id).to_owned(),
            row.replied_at.to_string(),
            numbers.show(row),
            row.account.clone(),
            in_short(&row.deliveries),
            row.suspect.clone().unwrap_or_default(),
            row.content.chars().take(TEXT_LETTERS_MAX).collect(),
        ]);
    }
    table
}

fn short(id: &str) -> &str {
    id.get(..ID_LETTERS).unwrap_or(id)
}

//! `replyd replies export`: any number of replies, in constant memory.
//!
//! They are read a stretch at a time, each by its own short look into the store, so that a long
//! export keeps neither the service from writing nor the log from being emptied.

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;

use clap::ValueEnum;
use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::new_file::{Former, NewFile, shown};
use crate::cli::progress::Progress;
use crate::cli::replies::csv::{self, Cell};
use crate::cli::replies::filter::FilterArguments;
use crate::cli::replies::in_short;
use crate::cli::{output, signals};
use crate::config::Config;
use crate::shape::{Numbers, Reply};
use crate::store::Store;
use crate::store::replies::{Order, ReplyFilter, ReplyRow, Stretch};

/// Replies that are in memory at once.
const STRETCH: usize = 1_000;

/// What the rows are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object per line, every text exactly as it was typed.
    Ndjson,
    /// For spreadsheets: whatever they might execute, and every number, is text behind a '.
    Csv,
}

/// Arguments of `replies export`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: FilterArguments,
    /// What the rows are written as
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// Begin with a byte order mark, by which Excel knows the file to be UTF-8
    #[arg(long)]
    bom: bool,
    /// Write into this file, which only you can read, and not to stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if there is one
    #[arg(long, requires = "output")]
    force: bool,
    /// JSON lines, which is the default
    #[arg(long, conflicts_with_all = ["format", "bom"])]
    json: bool,
}

const AFTER_HELP: &str = "\
Replies are written oldest first, whole numbers and texts among them, up to the newest that there is
when the command starts. The file has its name only once it is whole.

In CSV, times are Beijing time, and a ' stands before each number and whatever a spreadsheet might
take for a formula. Line ends in texts are kept; marks that turn letters round are written out.
Programs take the JSON lines.

Examples:
  replyd replies export --from 2008-05-01 --to 2008-05-31 --output may.ndjson
  replyd replies export --format csv --bom --output replies.csv
  replyd replies export --text 退订 | jq -r .from";

const HEADS: [&str; 15] = [
    "id",
    "account",
    "from",
    "content",
    "replied_at",
    "gateway",
    "occurrence",
    "lossy",
    "suspect",
    "extension",
    "in_reply_to",
    "content_raw",
    "kept_at",
    "read",
    "deliveries",
];

/// Where the rows go.
enum Sink {
    Stdout,
    File(NewFile),
}

/// What became of what was written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    All,
    /// Whoever read it has gone.
    Unwanted,
}

impl Sink {
    fn write(&mut self, text: &str) -> Result<Written, Failure> {
        match self {
            Self::File(file) => file.write(text.as_bytes()).map(|()| Written::All),
            Self::Stdout => output::all_of(text.as_bytes()).map_or_else(
                |error| Err(Failure::new(Exit::Failed, format!("replyd: stdout: {error}"))),
                |is_wanted| Ok(if is_wanted { Written::All } else { Written::Unwanted }),
            ),
        }
    }
}

/// Exports what the filter lets through.
pub(super) async fn export(
    config: &Config,
    store: &Store,
    arguments: &Arguments,
) -> Result<Exit, Failure> {
    if arguments.bom && arguments.format != Format::Csv {
        return Err(Failure::usage("a byte order mark is for spreadsheets: --format csv"));
    }
    let filter = arguments.filter.filter(config, store).await?;
    let former = if arguments.force { Former::Replaced } else { Former::Kept };
    let Some(path) = &arguments.output else {
        write(store, filter, arguments, &mut Sink::Stdout).await?;
        return Ok(Exit::Done);
    };
    let file = NewFile::begin(path, former, ": --force replaces it")?;
    let mut sink = Sink::File(file);
    let ended = signals::ended().map_err(anyhow::Error::from)?;
    let count = unless(ended, write(store, filter, arguments, &mut sink)).await??;
    if let Sink::File(file) = sink {
        file.finish()?;
    }
    let count = output::count(count, "reply", "replies");
    output::talk(&format!("{count} written to {}", shown(path)));
    Ok(Exit::Done)
}

/// Does it, unless somebody ends it before.
async fn unless<T>(
    ended: impl Future<Output = ()>,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    tokio::select! {
        () = pin!(ended) => Err(Failure::new(Exit::Failed, "replyd: stopped; no file was written")),
        done = pin!(work) => Ok(done),
    }
}

/// Writes stretch by stretch; how many replies it wrote.
async fn write(
    store: &Store,
    filter: ReplyFilter,
    arguments: &Arguments,
    sink: &mut Sink,
) -> Result<usize, Failure> {
    let extent = store.reply_extent(filter.clone()).await?;
    let progress = extent
        .count
        .map_or_else(|| Progress::of_some("replies"), |count| Progress::of("replies", count));
    // Rows that go to the terminal are progress enough.
    let is_seen = matches!(sink, Sink::File(_)) || output::columns().is_none();
    let (mut behind, mut done) = (None, 0);
    let mut text = head(arguments);
    loop {
        let newest = Some(extent.newest);
        let stretch = Stretch { order: Order::OldestFirst, behind, limit: STRETCH, newest };
        let page = store.replies(filter.clone(), stretch).await?;
        page.rows.iter().for_each(|row| put(&mut text, row, arguments.format));
        if sink.write(&text)? == Written::Unwanted {
            return Ok(done);
        }
        text.clear();
        done += page.rows.len();
        if is_seen {
            progress.at(done);
        }
        behind = page.next;
        if behind.is_none() {
            return Ok(done);
        }
    }
}

fn head(arguments: &Arguments) -> String {
    let mut text = String::new();
    if arguments.bom {
        text.push('\u{feff}');
    }
    if arguments.format == Format::Csv {
        csv::row(&mut text, &HEADS.map(Cell::Text));
    }
    text
}

fn put(text: &mut String, row: &ReplyRow, format: Format) {
    if format == Format::Ndjson {
        text.push_str(&output::escaped(&json!(Reply::of(row, Numbers::Whole)).to_string()));
        text.push('\n');
        return;
    }
    let lossy = if row.content_raw.is_some() { "true" } else { "false" };
    let raw = row.content_raw.as_ref().map(hex::encode).unwrap_or_default();
    let optional = |text: &'_ Option<String>| text.clone().unwrap_or_default();
    let cells = [
        Cell::Text(&row.id),
        Cell::Text(&row.account),
        Cell::Number(row.mobile.as_str()),
        Cell::Text(&row.content),
        Cell::Text(&row.replied_at.to_string()),
        Cell::Number(&row.gateway),
        Cell::Text(&row.occurrence.to_string()),
        Cell::Text(lossy),
        Cell::Text(&optional(&row.suspect)),
        Cell::Number(&optional(&row.extension)),
        Cell::Text(&optional(&row.in_reply_to)),
        Cell::Number(&raw),
        Cell::Text(&row.kept.beijing().to_string()),
        Cell::Text(&row.read.to_string()),
        Cell::Text(&in_short(&row.deliveries)),
    ];
    csv::row(text, &cells);
}

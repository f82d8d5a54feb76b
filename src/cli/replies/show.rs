//! `replyd replies show ID`: all about one reply.

use serde_json::json;

use crate::cli::exit::{Exit, Failure};
use crate::cli::reads;
use crate::cli::replies::ReplyName;
use crate::cli::table::{Align, Table};
use crate::cli::{facts, output};
use crate::shape::{Numbers, ReplyDetail as Shape};
use crate::store::Store;
use crate::store::journal::JournalRow;
use crate::store::replies::{ReplyDetail, ToldRow};

/// Arguments of `replies show`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The reply's id, which is the receiver's `webhook-id`, or its beginning; or that of an event
    /// by which a replay told it as new
    #[arg(value_name = "ID")]
    reply: ReplyName,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
The number and the text are shown whole, the text with control characters written out. The bytes
are shown, in hex, where some of them could not be read as characters.

Examples:
  replyd replies show rpl_a709f199
  replyd replies show rpn_a09a6697059b9f3a5237690d89346ad3
  replyd replies show rpl_a709f199 --json        with the events as they were told";

/// Shows one reply.
pub(super) async fn show(store: &Store, arguments: &Arguments) -> Result<Exit, Failure> {
    let id = arguments.reply.find(store).await?;
    let Some(detail) = store.reply_detail(&id).await? else {
        return Err(Failure::new(Exit::NotFound, format!("replyd: there is no reply {id}")));
    };
    if arguments.json {
        output::json(&json!(Shape::of(&detail, Numbers::Masked)));
    } else {
        print(&detail);
    }
    Ok(Exit::Done)
}

fn print(detail: &ReplyDetail) {
    let row = &detail.row;
    let there = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    facts::print(
        0,
        &[
            ("reply", Some(row.id.clone())),
            ("account", Some(row.account.clone())),
            ("from", Some(Numbers::Whole.show(row))),
            ("written", Some(row.replied_at.to_string())),
            ("content", Some(row.content.clone())),
            ("bytes", row.content_raw.as_ref().map(hex::encode)),
            ("gateway", there(&row.gateway)),
            ("extension", row.extension.clone()),
            ("in reply to", row.in_reply_to.clone()),
            ("copy", Some(row.occurrence.to_string()).filter(|_| row.occurrence > 1)),
            ("suspect", row.suspect.clone()),
            ("kept", Some(row.kept.beijing().to_string())),
            ("brought by", Some(brought_by(detail))),
        ],
    );
    for told in &detail.told {
        output::data("");
        let as_new = if told.id == row.id { "" } else { ", as new" };
        let none = if told.deliveries.is_empty() { ": nobody was to be told" } else { "" };
        output::data(&format!("told as {}{as_new}{none}", told.id));
        table(told).print();
    }
}

fn brought_by(detail: &ReplyDetail) -> String {
    let how = |read: &JournalRow| {
        let (began, kind) = (read.started.beijing(), reads::kind(read.hour));
        format!(" of {began}: {kind}, {}", reads::verdict(read))
    };
    let how = detail.read.as_ref().map(how).unwrap_or_default();
    format!("read {}{how}", detail.row.read)
}

fn table(told: &ToldRow) -> Table<6> {
    let mut table = Table::new([
        ("DELIVERY", Align::Right),
        ("SUBSCRIBER", Align::Left),
        ("WHY", Align::Left),
        ("STATE", Align::Left),
        ("TRIES", Align::Right),
        ("MADE", Align::Left),
    ]);
    for delivery in &told.deliveries {
        table.row([
            delivery.id.to_string(),
            delivery.subscriber.clone(),
            delivery.trigger.as_str().to_owned(),
            delivery.state.as_str().to_owned(),
            delivery.attempts.to_string(),
            delivery.created.beijing().to_string(),
        ]);
    }
    table
}

//! The journal of reads. A read's raw body is not here: it is the gateway's answer with everybody's
//! numbers in it, for whoever looks into a parser's mistake on the machine itself.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::{Ask, answer};
use super::operation::{Operation, answer as good, of};
use super::page;
use super::parameter::{CURSOR, Kind, LIMIT, one};
use super::problem::{Code, Problem};
use crate::shape::{Read, ReadDetail};
use crate::store::journal::JournalFilter;
use crate::store::read::ReadId;
use crate::time::Since;

const LIST: &str = "reads";

pub(super) static OPERATIONS: [Operation; 2] = [
    Operation {
        id: "list_reads",
        path: "/api/v1/reads",
        about: "List reads of the gateway",
        more: "The newest first.",
        query: &[
            one("account", Kind::Name, "Only of this account."),
            one("since", Kind::Since, "Only begun since."),
            one("doubtful", Kind::Flag, "Only those that were doubtful."),
            LIMIT,
            CURSOR,
        ],
        answers: &[good(200, "A page of reads.", of::<ReadPage>)],
        problems: &[Code::CursorInvalid, Code::NameUnknown],
        act: |ask| Box::pin(list(ask)),
        ..Operation::LOOK
    },
    Operation {
        id: "show_read",
        path: "/api/v1/reads/{read}",
        about: "Show a read",
        more: "Without its body, which `replyd reads show --raw` shows.",
        place: &[one("read", Kind::Number, "The read's number.")],
        answers: &[good(200, "The read.", of::<ReadDetail>)],
        act: |ask| Box::pin(show(ask)),
        ..Operation::LOOK
    },
];

/// A page of reads.
#[derive(Serialize, JsonSchema)]
struct ReadPage {
    /// The reads.
    items: Vec<Read>,
    /// The cursor of the next page; none where this is the last.
    next_cursor: Option<String>,
}

async fn list(ask: Ask) -> Result<Response, Problem> {
    let account = ask.text("account");
    super::require_account(&ask, account.as_deref()).await?;
    let limit = ask.limit();
    let filter = JournalFilter {
        account,
        since: ask.value("since").map(|since: Since| since.instant(ask.now)),
        doubtful: ask.flag("doubtful"),
        before: ask.cursor(LIST)?.map(ReadId),
        limit,
    };
    let rows = ask.store().journal(filter).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.id.0);
    Ok(answer(
        200,
        &ReadPage {
            items: rows.iter().map(Read::of).collect(),
            next_cursor: next.map(|id| page::write(LIST, &id)),
        },
    ))
}

async fn show(ask: Ask) -> Result<Response, Problem> {
    let id = ReadId(ask.number("read"));
    match ask.store().journal_entry(id).await? {
        Some((row, faults)) => Ok(answer(200, &ReadDetail::of(&row, &faults))),
        None => Err(Problem::new(Code::NotFound, format!("there is no read {id}"))),
    }
}

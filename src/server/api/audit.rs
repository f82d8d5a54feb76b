//! What was changed by the API, and by whose token.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::{Ask, answer};
use super::operation::{Operation, answer as good, of};
use super::page;
use super::parameter::{CURSOR, Kind, LIMIT, one};
use super::problem::{Code, Problem};
use crate::shape::AuditEntry;
use crate::store::audit_entry::AuditFilter;
use crate::time::Since;

const LIST: &str = "audit";

pub(super) static OPERATIONS: [Operation; 1] = [Operation {
    id: "list_audit_entries",
    path: "/api/v1/audit",
    about: "List what was changed by the API",
    more: "The newest first. No number and no text of anybody stands in it.",
    query: &[
        one("token", Kind::Name, "Only by tokens of this name."),
        one("since", Kind::Since, "Only since."),
        LIMIT,
        CURSOR,
    ],
    answers: &[good(200, "A page of entries.", of::<AuditPage>)],
    problems: &[Code::CursorInvalid],
    act: |ask| Box::pin(list(ask)),
    ..Operation::LOOK
}];

/// A page of entries.
#[derive(Serialize, JsonSchema)]
struct AuditPage {
    /// The entries.
    items: Vec<AuditEntry>,
    /// The cursor of the next page; none where this is the last.
    next_cursor: Option<String>,
}

async fn list(ask: Ask) -> Result<Response, Problem> {
    let limit = ask.limit();
    let filter = AuditFilter {
        token: ask.text("token"),
        since: ask.value("since").map(|since: Since| since.instant(ask.now)),
        before: ask.cursor(LIST)?,
    };
    let rows = ask.store().audit_entries(filter, limit).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.id);
    Ok(answer(
        200,
        &AuditPage {
            items: rows.iter().map(AuditEntry::of).collect(),
            next_cursor: next.map(|id| page::write(LIST, &id)),
        },
    ))
}

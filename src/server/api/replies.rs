//! Kept replies: listed and shown, with whole numbers. Whoever has a token with `read` is a program
//! that works with these people; only terminals mask.

use schemars::JsonSchema;
use serde::Serialize;

use super::ask::{Ask, answer};
use super::operation::{Operation, answer as good, of};
use super::page;
use super::parameter::{CURSOR, Kind, LIMIT, many, one};
use super::problem::{Code, Problem};
use crate::reply::Mobile;
use crate::shape::{Numbers, Reply, ReplyDetail};
use crate::store::delivery::DeliveryState;
use crate::store::replies::{Order, Place, ReplyFilter, Stretch};
use crate::time::{Since, Until};

/// What cursors of this list are called.
const LIST: &str = "replies";
const STATES: [&str; 6] = ["held", "waiting", "sending", "delivered", "failed", "cancelled"];

pub(super) static OPERATIONS: [Operation; 2] = [
    Operation {
        id: "list_replies",
        path: "/api/v1/replies",
        about: "List replies",
        more: "By when they were written. A reply that was kept while pages are gone through may or may not \
               be on one; each that was there before is on one, once. To be told of new ones, use /api/v1/events.",
        query: &[
            one("account", Kind::Name, "Only of this account."),
            one("mobile", Kind::Mobile, "Only of this number, compared as a whole."),
            one("text", Kind::Text, "Only with this in the text, letter by letter."),
            one("from", Kind::Since, "Only written since."),
            one("to", Kind::Until, "Only written until; a day or an hour is in it as a whole."),
            many("state", Kind::Word(&STATES), "Only with a delivery in this state."),
            one("suspect", Kind::Flag, "Only those that are suspect."),
            one("order", Kind::Word(&["newest", "oldest"]), "Which come first; else the newest."),
            LIMIT,
            CURSOR,
        ],
        answers: &[good(200, "A page of replies.", of::<ReplyPage>)],
        problems: &[Code::CursorInvalid, Code::NameUnknown],
        act: |ask| Box::pin(list(ask)),
        ..Operation::LOOK
    },
    Operation {
        id: "show_reply",
        path: "/api/v1/replies/{id}",
        about: "Show a reply",
        more: "With the read that brought it, the events that told it, and their deliveries.",
        place: &[one(
            "id",
            Kind::ReplyId,
            "The reply's id, or that of an event that told it as new.",
        )],
        answers: &[good(200, "The reply.", of::<ReplyDetail>)],
        act: |ask| Box::pin(show(ask)),
        ..Operation::LOOK
    },
];

/// A page of replies.
#[derive(Serialize, JsonSchema)]
struct ReplyPage {
    /// The replies.
    items: Vec<Reply>,
    /// The cursor of the next page; none where this is the last.
    next_cursor: Option<String>,
}

async fn list(ask: Ask) -> Result<axum::response::Response, Problem> {
    let account = ask.text("account");
    super::require_account(&ask, account.as_deref()).await?;
    let filter = ReplyFilter {
        account,
        mobile: ask.text("mobile").and_then(|text| Mobile::parse(&text)),
        text: ask.text("text"),
        from: ask.value("from").map(|from: Since| from.instant(ask.now)),
        to: ask.value("to").map(|to: Until| to.instant(ask.now)),
        states: ask.values("state", DeliveryState::parse),
        suspect: ask.flag("suspect"),
    };
    let oldest_first = ask.text("order").as_deref() == Some("oldest");
    let stretch = Stretch {
        order: if oldest_first { Order::OldestFirst } else { Order::NewestFirst },
        behind: ask.cursor::<Place>(LIST)?,
        limit: ask.limit(),
        newest: None,
    };
    let page = ask.store().replies(filter, stretch).await?;
    Ok(answer(
        200,
        &ReplyPage {
            items: page.rows.iter().map(|row| Reply::of(row, Numbers::Whole)).collect(),
            next_cursor: page.next.map(|place| page::write(LIST, &place)),
        },
    ))
}

async fn show(ask: Ask) -> Result<axum::response::Response, Problem> {
    let missing = || Problem::new(Code::NotFound, "there is no reply of this id");
    let id = ask.store().reply_ids(ask.place("id")).await?.pop().ok_or_else(missing)?;
    let detail = ask.store().reply_detail(&id).await?.ok_or_else(missing)?;
    Ok(answer(200, &ReplyDetail::of(&detail, Numbers::Whole)))
}

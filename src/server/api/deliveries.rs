//! Deliveries: listed and shown, with whole numbers and texts, as replies are.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::{Ask, answer};
use super::operation::{Operation, answer as good, of};
use super::page;
use super::parameter::{CURSOR, Kind, LIMIT, Parameter, many, one};
use super::problem::{Code, Problem};
use crate::config::Order;
use crate::delivery::waiting::Waits;
use crate::reply::Mobile;
use crate::shape::{Content, Delivery, DeliveryDetail, Numbers};
use crate::store::by_hand::{DeliveryFilter, DeliveryPlace, DeliveryRow};
use crate::store::delivery::{DeliveryState, Trigger};
use crate::time::{Since, Until};

/// What cursors of this list are called.
const LIST: &str = "deliveries";
pub(super) const STATES: [&str; 6] =
    ["held", "waiting", "sending", "delivered", "failed", "cancelled"];
pub(super) const TYPES: [&str; 11] = [
    "reply.received",
    "account.login_failed",
    "account.recovered",
    "account.second_reader",
    "gap.opened",
    "gap.closed",
    "record.unparsed",
    "subscriber.failing",
    "subscriber.disabled",
    "balance.low",
    "subscriber.test",
];
/// How a delivery is named.
pub(super) const ID: Parameter = one("id", Kind::Number, "The delivery's number.");

/// What narrows deliveries down.
pub(super) const SUBSCRIBER: Parameter = one("subscriber", Kind::Name, "Only to this subscriber.");
pub(super) const STATE: Parameter = many("state", Kind::Word(&STATES), "Only in this state.");
pub(super) const ACCOUNT: Parameter = one("account", Kind::Name, "Only about this account.");
pub(super) const MOBILE: Parameter =
    one("mobile", Kind::Mobile, "Only of this number's replies, compared as a whole.");
pub(super) const SINCE: Parameter = one("since", Kind::Since, "Only made since.");
pub(super) const UNTIL: Parameter = one("until", Kind::Until, "Only made until.");
pub(super) const TYPE: Parameter = one("type", Kind::Word(&TYPES), "Only of events of this type.");
pub(super) const TRIGGER: Parameter = one(
    "trigger",
    Kind::Word(&["auto", "retry", "replay", "test"]),
    "Only those that exist for this reason.",
);
pub(super) const EVENT_ID: Parameter =
    one("event_id", Kind::EventId, "Only of this event: the receiver's `webhook-id`.");

pub(super) static OPERATIONS: [Operation; 2] = [
    Operation {
        id: "list_deliveries",
        path: "/api/v1/deliveries",
        about: "List deliveries",
        more: "The newest first.",
        query: &[
            SUBSCRIBER, STATE, ACCOUNT, MOBILE, SINCE, UNTIL, TYPE, TRIGGER, EVENT_ID, LIMIT,
            CURSOR,
        ],
        answers: &[good(200, "A page of deliveries.", of::<DeliveryPage>)],
        problems: &[Code::CursorInvalid, Code::NameUnknown],
        act: |ask| Box::pin(list(ask)),
        ..Operation::LOOK
    },
    Operation {
        id: "show_delivery",
        path: "/api/v1/deliveries/{id}",
        about: "Show a delivery",
        more: "With why it waits, and every attempt that is kept.",
        place: &[ID],
        answers: &[good(200, "The delivery.", of::<DeliveryDetail>)],
        act: |ask| Box::pin(show(ask)),
        ..Operation::LOOK
    },
];

/// A page of deliveries.
#[derive(Serialize, JsonSchema)]
struct DeliveryPage {
    /// The deliveries.
    items: Vec<Delivery>,
    /// The cursor of the next page; none where this is the last.
    next_cursor: Option<String>,
}

/// Refuses names that nobody knows.
pub(super) async fn require_names(ask: &Ask, filter: &DeliveryFilter) -> Result<(), Problem> {
    super::require_account(ask, filter.account.as_deref()).await?;
    let names = ask.store().subscriber_names().await?;
    super::require("subscriber", filter.subscriber.as_deref(), names)
}

async fn list(ask: Ask) -> Result<Response, Problem> {
    let filter = DeliveryFilter {
        subscriber: ask.text("subscriber"),
        states: ask.values("state", DeliveryState::parse),
        account: ask.text("account"),
        mobile: ask.text("mobile").and_then(|text| Mobile::parse(&text)),
        event_type: ask.text("type"),
        event_id: ask.text("event_id"),
        trigger: ask.text("trigger").and_then(|word| Trigger::parse(&word)),
        since: ask.value("since").map(|since: Since| since.instant(ask.now)),
        until: ask.value("until").map(|until: Until| until.instant(ask.now)),
    };
    require_names(&ask, &filter).await?;
    let behind = ask.cursor::<DeliveryPlace>(LIST)?;
    let limit = ask.limit();
    let rows = ask.store().deliveries(filter, behind, limit).await?;
    // A page that is full may be followed by an empty one.
    let next = rows.last().filter(|_| rows.len() == limit).map(DeliveryRow::place);
    let shape = |row| Delivery::of(row, Numbers::Whole, Content::Shown);
    Ok(answer(
        200,
        &DeliveryPage {
            items: rows.iter().map(shape).collect(),
            next_cursor: next.map(|place| page::write(LIST, &place)),
        },
    ))
}

async fn show(ask: Ask) -> Result<Response, Problem> {
    let id = ask.number("id");
    let Some(mut detail) = ask.store().delivery(id, ask.now).await? else {
        return Err(Problem::new(Code::NotFound, format!("there is no delivery {id}")));
    };
    let config = ask.config();
    let subscriber = config.subscribers.iter().find(|one| one.name == detail.row.subscriber);
    if subscriber.is_some_and(|subscriber| subscriber.order == Order::None) {
        detail.behind = None;
    }
    let quiet_hours = subscriber.and_then(|subscriber| subscriber.quiet_hours);
    detail.quiet_until = quiet_hours.and_then(|hours| hours.end(ask.now));
    let waits = Waits::of(&detail, ask.now);
    let shown = (Numbers::Whole, Content::Shown);
    Ok(answer(200, &DeliveryDetail::of(&detail, waits.as_ref(), shown)))
}

//! A delivery: one event to one subscriber.

use schemars::JsonSchema;
use serde::Serialize;

use super::attempt::Attempt;
use super::reply::Numbers;
use crate::delivery::waiting::Waits;
use crate::language::Language;
use crate::reply::Mobile;
use crate::store::by_hand::{
    Act, Counterpart as CounterpartRow, DeliveryDetail as Detail, DeliveryRow,
};
use crate::store::delivery::DeliveryState;

/// A delivery: one event to one subscriber.
#[derive(Serialize, JsonSchema)]
pub struct Delivery {
    /// Its number.
    id: i64,
    /// The event's id, the receiver's `webhook-id`.
    event_id: String,
    /// The event's type.
    r#type: String,
    /// To whom it goes.
    subscriber: String,
    /// `held`, `waiting`, `sending`, `delivered`, `failed` or `cancelled`.
    state: &'static str,
    /// Why it exists: `auto`, `retry`, `replay` or `test`.
    trigger: &'static str,
    /// How often it was tried.
    attempts: u32,
    /// When it was made.
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// When it goes out next, where it waits; until when it is being sent, where it is.
    #[schemars(extend("format" = "date-time"))]
    due_at: Option<String>,
    /// The account that it is about.
    account: Option<String>,
    /// What makes its reply doubtful.
    suspect: Option<String>,
    /// Who wrote.
    from: Option<String>,
    /// The delivery in whose place this one goes out, because its subscriber was down.
    stands_in_for: Option<Counterpart>,
    /// The delivery that goes out in this one's place.
    taken_over_by: Option<Counterpart>,
    /// What was typed, where that is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    content: Option<String>,
}

/// A delivery of the same event to another subscriber, one of which goes out for the other.
#[derive(Serialize, JsonSchema)]
struct Counterpart {
    /// Its number.
    delivery: i64,
    /// To whom it goes.
    subscriber: String,
    /// Whether the first of the two may have reached its receiver all the same.
    in_doubt: bool,
}

impl Counterpart {
    fn of(row: &CounterpartRow) -> Self {
        let CounterpartRow { delivery, subscriber, in_doubt } = row;
        Self { delivery: *delivery, subscriber: subscriber.clone(), in_doubt: *in_doubt }
    }
}

/// Whether the delivery has a time at which it goes out.
#[must_use]
pub fn is_due(delivery: &DeliveryRow) -> bool {
    matches!(delivery.state, DeliveryState::Waiting | DeliveryState::Sending)
}

/// Who wrote; none where it tells of something else.
#[must_use]
pub fn from(delivery: &DeliveryRow, numbers: Numbers) -> Option<String> {
    let mobile = delivery.told.from.as_deref().and_then(Mobile::parse)?;
    Some(match numbers {
        Numbers::Whole => mobile.as_str().to_owned(),
        Numbers::Masked => mobile.to_string(),
    })
}

/// Whether what was typed is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// It is.
    Shown,
    /// It is not.
    Hidden,
}

impl Content {
    /// Shown, where this is true.
    #[must_use]
    pub fn shown_if(is_wanted: bool) -> Self {
        if is_wanted { Self::Shown } else { Self::Hidden }
    }
}

impl Delivery {
    /// The shape of a delivery.
    #[must_use]
    pub fn of(delivery: &DeliveryRow, numbers: Numbers, content: Content) -> Self {
        Self {
            id: delivery.id,
            event_id: delivery.event_id.clone(),
            r#type: delivery.event_type.clone(),
            subscriber: delivery.subscriber.clone(),
            state: delivery.state.as_str(),
            trigger: delivery.trigger.as_str(),
            attempts: delivery.attempts,
            created_at: delivery.created.beijing().rfc3339(),
            due_at: is_due(delivery).then(|| delivery.due.beijing().rfc3339()),
            account: delivery.told.account.clone(),
            suspect: delivery.told.suspect.clone(),
            from: from(delivery, numbers),
            stands_in_for: delivery.stands_in_for.as_ref().map(Counterpart::of),
            taken_over_by: delivery.taken_over_by.as_ref().map(Counterpart::of),
            content: delivery.told.content.clone().filter(|_| content == Content::Shown),
        }
    }
}

/// Why a delivery has not gone out yet.
#[derive(Serialize, JsonSchema)]
pub(super) struct Waiting {
    /// For what it waits.
    r#for: &'static str,
    /// The delivery of the same person that goes first.
    behind: Option<i64>,
    /// Until when.
    #[schemars(extend("format" = "date-time"))]
    until: Option<String>,
    /// In Chinese.
    zh: String,
    /// In English.
    en: String,
}

impl Waiting {
    fn of(waits: &Waits) -> Self {
        let (behind, until) = match waits {
            Waits::Behind(ahead) => (Some(*ahead), None),
            Waits::Time(at) | Waits::Quiet(at) | Waits::Pause(at) | Waits::Attempt(at) => {
                (None, Some(at.beijing().rfc3339()))
            }
            Waits::Release | Waits::Subscriber(_) | Waits::Turn => (None, None),
        };
        let (zh, en) = (waits.words(Language::Zh), waits.words(Language::En));
        Self { r#for: waits.as_str(), behind, until, zh, en }
    }
}

/// All about one delivery.
#[derive(Serialize, JsonSchema)]
pub struct DeliveryDetail {
    /// The delivery.
    delivery: Delivery,
    /// When somebody last released or retried it.
    #[schemars(extend("format" = "date-time"))]
    released_at: Option<String>,
    /// Why it has not gone out yet; none where it has, or never will.
    waits: Option<Waiting>,
    /// Its last attempts, oldest first, while they are kept.
    attempts: Vec<Attempt>,
}

impl DeliveryDetail {
    /// The shape of a delivery and its attempts.
    #[must_use]
    pub fn of(
        detail: &Detail,
        waits: Option<&Waits>,
        (numbers, content): (Numbers, Content),
    ) -> Self {
        Self {
            delivery: Delivery::of(&detail.row, numbers, content),
            released_at: detail.released.map(|at| at.beijing().rfc3339()),
            waits: waits.map(Waiting::of),
            attempts: detail.attempts.iter().map(Attempt::of).collect(),
        }
    }
}

/// A delivery to which something could not be done.
#[derive(Serialize, JsonSchema)]
struct Other {
    /// Its number.
    id: i64,
    /// Where it stands.
    state: &'static str,
}

/// What came of retrying, releasing or cancelling deliveries. Of the three counts, that of what was
/// done is there.
#[derive(Serialize, JsonSchema)]
pub struct Acted {
    /// Whether nothing was done, and only counted.
    dry_run: bool,
    /// To how many it can be done.
    count: usize,
    /// How many were retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize")]
    retried: Option<usize>,
    /// How many were released.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize")]
    released: Option<usize>,
    /// How many were cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize")]
    cancelled: Option<usize>,
    /// Those that were named, and to which it cannot be done.
    others: Vec<Other>,
}

impl Acted {
    /// The shape of what came of it: `done` of `count`, or nothing of them where nothing was to be.
    #[must_use]
    pub fn of(
        act: Act,
        (count, done): (usize, Option<usize>),
        others: &[(i64, DeliveryState)],
    ) -> Self {
        let of = |one: Act| (one == act).then(|| done.unwrap_or_default());
        let other = |(id, state): &(i64, DeliveryState)| Other { id: *id, state: state.as_str() };
        Self {
            dry_run: done.is_none(),
            count,
            retried: of(Act::Retry),
            released: of(Act::Release),
            cancelled: of(Act::Cancel),
            others: others.iter().map(other).collect(),
        }
    }
}

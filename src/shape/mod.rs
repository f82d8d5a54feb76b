//! What things look like as JSON to those who look at them: one shape of each, for the commands'
//! `--json` and for the HTTP API.
//!
//! Keys are always there, `null` where unknown; changes only add. Times are RFC 3339 in Beijing time.
//! These are promises, so they are types of their own: no row and no wire struct is shown as it is.

mod attempt;
mod audit_entry;
mod balance;
mod coverage;
mod delivery;
mod message;
mod read;
mod replay;
mod reply;
mod subscriber;
mod words;

pub use attempt::{Attempt, AttemptOfDelivery};
pub use audit_entry::AuditEntry;
pub use balance::Balance;
pub use coverage::Coverage;
pub use delivery::{Acted, Content, Delivery, DeliveryDetail, from, is_due};
pub use message::Message;
pub use read::{Read, ReadDetail};
pub use replay::{Replay, ReplayJobState, ReplaySum};
pub use reply::{Numbers, Reply, ReplyDetail};
pub use subscriber::{Subscriber, SubscriberDetail, Switched, Tested};
pub use words::Explained;

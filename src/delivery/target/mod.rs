//! What a delivery looks like to each kind of receiver, and what its answer means: pure.

use std::time::Duration;

use crate::store::attempt::{Disabled, Trouble};

pub mod webhook;

/// What of an answer is judged.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// How long to wait, by its `Retry-After` header.
    pub retry_after: Option<Duration>,
    /// Its `webhook-delivery` header.
    pub webhook_delivery: Option<&'a str>,
}

/// What an answer means for the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why the receiver does not have it; none where it has it.
    pub trouble: Option<Trouble>,
    /// What the receiver wants.
    pub wish: Wish,
}

/// What a receiver wants besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    None,
    /// To be told of this event no earlier than so much later.
    Wait(Duration),
    /// Never to be told of this event again.
    Abort,
    /// To be told of nothing any more.
    Disable(Disabled),
}

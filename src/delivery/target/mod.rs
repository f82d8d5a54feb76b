//! What a delivery looks like to each kind of receiver, and what its answer means: pure.

pub mod webhook;

/// What an answer means for the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// It does not, for this reason in plain words; it may later.
    Failed(String),
}

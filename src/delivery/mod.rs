//! From the store to the subscribers: at least once, to each by itself.
//!
//! What is due stands in the store; a worker per subscriber claims it, signs the stored bytes
//! anew, sends, and records the attempt and what follows from it. The pure files decide
//! ([`sign`], [`retry`], [`pace`], [`standing`], [`fallback`], [`target`], [`messages`], [`notices`]);
//! [`guard`] says which addresses may be reached, `channel` is the way to them, [`sender`] makes one
//! attempt, and [`worker`] and [`takeover`] carry out. Nothing here knows of gateways.

mod attempts;
pub mod channel;
mod desk;
pub mod diagnosis;
pub mod explain;
pub mod fallback;
pub mod guard;
pub mod known;
pub mod messages;
pub mod notices;
pub mod pace;
pub mod replay;
pub mod retry;
pub mod sender;
pub mod sign;
pub mod standing;
pub mod takeover;
pub mod target;
pub mod try_out;
pub mod waiting;
pub mod worker;

//! From the store to the subscribers: at least once, to each by itself.
//!
//! What is due stands in the store; a worker per subscriber claims it, signs the stored bytes
//! anew, sends, and records the attempt and what follows from it. The pure files decide
//! ([`sign`], [`retry`], [`pace`], [`standing`], [`target`]); [`guard`] says which addresses may be
//! reached; [`sender`] makes one attempt, and [`worker`] carries out. Nothing here knows of gateways.
//! ([`sign`], [`retry`], [`target`], [`notices`]); [`guard`] says which addresses may be reached; [`sender`] makes
//! one attempt, and [`worker`] carries out. Nothing here knows of gateways.

mod desk;
pub mod diagnosis;
mod exchange;
pub mod explain;
pub mod guard;
pub mod notices;
pub mod pace;
pub mod retry;
pub mod sender;
pub mod sign;
pub mod standing;
pub mod target;
pub mod worker;

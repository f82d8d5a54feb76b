//! From the gateway into the store, without loss.
//!
//! A plain read destroys what it returns. So it is a row before it is a request, its raw body is
//! on disk before anything parses it, and a read that cannot be shown to be whole owes the hours
//! in which something may be missing a second look. The pure files decide ([`plan`], [`verdict`],
//! [`count`], [`hours`], [`suspicion`], [`ingest`]); [`reader`] and [`take_in`] carry out. Nothing
//! here knows of subscribers' servers: replies and their deliveries meet in the store.

pub mod balance;
pub mod count;
pub mod hours;
pub mod ingest;
pub mod plan;
pub mod reader;
pub mod refusal;
pub mod standing;
pub mod suspicion;
pub mod take_in;
pub mod verdict;

#[cfg(test)]
mod counts_tests;
#[cfg(test)]
mod cut_tests;
#[cfg(test)]
#[path = "../../tests/proofs/figures.rs"]
mod figures;
#[cfg(test)]
mod tests;

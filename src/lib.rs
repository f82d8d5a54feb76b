//! `replyd` reads SMS replies from a gateway that hands each of them out once, keeps them, and
//! delivers each to every subscriber as a signed JSON webhook.
//!
//! Data flows one way, and the rooms are best read in that order: [`gateway`] speaks the
//! provider's protocol, [`intake`] reads it without loss, [`store`] keeps, [`delivery`] sends.
//! ARCHITECTURE.md is the map.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod event;
pub mod gateway;
pub mod intake;
pub mod language;
pub mod metrics;
pub mod pulse;
pub mod reply;
pub mod route;
pub mod schedule;
pub mod sending;
pub mod server;
pub mod shape;
pub mod store;
pub mod template;
pub mod time;
pub mod tls;

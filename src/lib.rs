//! `replyd` reads SMS replies from a gateway that hands each of them out once, keeps them, and
//! delivers each to every subscriber as a signed JSON webhook.

pub mod clock;
pub mod event;
pub mod gateway;
pub mod reply;
pub mod route;
pub mod time;

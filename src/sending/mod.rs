//! From the store to the gateway: sends messages, each at most once.
//!
//! An SMS costs money and cannot be taken back. So a call's row says that it is being made before
//! it is, and nothing that may have gone out is ever begun again: of a process that dies meanwhile,
//! or an answer that says nothing, the outcome is unclear, and somebody must look.
//!
//! [`plan`] says what is to be sent, [`letter`] makes all calls of a message, [`caller`] one of them. Receivers may answer a webhook with a text: [`limits`] decides
//! whether it goes out, and [`outbox`] sends it.

pub mod caller;
pub mod letter;
pub mod limits;
pub mod outbox;
pub mod plan;

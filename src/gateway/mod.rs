//! The provider's protocol: what is asked, what is answered, and a gateway to test against.

pub mod charset;
pub mod client;
pub mod mm;
pub mod rx;
pub mod simulator;
pub mod status;
pub mod tx;

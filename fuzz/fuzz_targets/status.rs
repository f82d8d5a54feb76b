//! Fuzzes what `checks/status.rs` says.
#![no_main]

#[path = "../checks/status.rs"]
mod status;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| status::check(bytes));

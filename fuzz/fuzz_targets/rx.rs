//! Fuzzes what `checks/rx.rs` says.
#![no_main]

#[path = "../checks/rx.rs"]
mod rx;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rx::check(bytes));

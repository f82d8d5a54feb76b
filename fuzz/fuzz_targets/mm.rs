//! Fuzzes what `checks/mm.rs` says.
#![no_main]

#[path = "../checks/mm.rs"]
mod mm;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mm::check(bytes));

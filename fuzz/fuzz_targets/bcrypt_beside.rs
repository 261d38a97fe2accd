#![no_main]

#[path = "../../crates/doorward-core/tests/fuzz/properties.rs"]
#[allow(dead_code)]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::bcrypt_beside(bytes));

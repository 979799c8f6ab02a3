//! Metadata: files as a server sends them, and files whose keys really signed what the fuzzer wrote.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trustgate::tuf::testing::verify_any;

fuzz_target!(|input: &[u8]| {
    let Some((role, text)) = input.split_first() else { return };
    verify_any(*role, text);
});

//! Canonical JSON: the pass in place and the rewriting must agree, and a canonical form is its own.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trustgate::tuf::testing::check_canonical;

fuzz_target!(|text: &[u8]| check_canonical(text));

//! `WWW-Authenticate`: whatever a server sends is read or refused, and what was read, written
//! down again, is read the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trustgate::http::{Challenge, ChallengeError, parse_challenges};

fuzz_target!(|value: &[u8]| {
    let Ok(challenges) = parse_challenges(value) else { return };
    let text = challenges.iter().map(written).collect::<Vec<_>>().join(", ");
    match parse_challenges(text.as_bytes()) {
        Ok(again) => assert_eq!(again, challenges),
        // Quoting makes it longer.
        Err(error) => assert_eq!(error, ChallengeError::TooLong, "{text}"),
    }
});

fn written(challenge: &Challenge) -> String {
    let parameters = challenge.parameters().map(|(name, value)| {
        format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    });
    format!("{} {}", challenge.scheme(), parameters.collect::<Vec<_>>().join(","))
}

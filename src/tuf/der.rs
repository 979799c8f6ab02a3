//! Writing DER: the few elements that keys and certificates of our own consist of.
//!
//! Reading is the crates' part. What is written here may be a private key, so that every buffer is
//! as large as it gets from the start, and is wiped.

use zeroize::Zeroizing;

/// One element: its tag, its length, and what is in it.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|it| it.len()).sum();
    let digits = length.to_be_bytes();
    let digits = digits.get(digits.len() - significant(length)..).unwrap_or_default();
    let mut out = Zeroizing::new(Vec::with_capacity(2 + digits.len() + length));
    out.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < LONG_FORM => out.push(short),
        _ => {
            // At most eight digits, so that their number fits the low bits.
            out.push(LONG_FORM | u8::try_from(digits.len()).unwrap_or_default());
            out.extend_from_slice(digits);
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// How many bytes a number needs.
fn significant(number: usize) -> usize {
    let zeros = usize::try_from(number.leading_zeros() / 8).unwrap_or_default();
    size_of::<usize>() - zeros
}

/// A positive integer of these big-endian bytes.
pub(crate) fn integer(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let start = bytes.iter().position(|it| *it != 0).unwrap_or(bytes.len().saturating_sub(1));
    let digits = bytes.get(start..).unwrap_or_default();
    // The highest bit is the sign.
    let sign: &[u8] = if digits.first().is_none_or(|it| *it >= 0x80) { &[0] } else { &[] };
    element(INTEGER, &[sign, digits])
}

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
const LONG_FORM: u8 = 0x80;

/// The constructed, context-specific element of this number, which is below 31.
pub(crate) fn context(number: u8) -> u8 {
    0xa0 | number
}

#[cfg(test)]
mod tests {
    use x509_cert::der::asn1::{OctetStringRef, UintRef};
    use x509_cert::der::{Decode as _, Encode as _};

    use super::*;

    #[test]
    fn lengths_and_signs_are_those_of_another_writer() {
        for length in [0, 1, 127, 128, 255, 256, 65535, 65536, 100_000] {
            let content = vec![7; length];
            let theirs = OctetStringRef::new(&content).unwrap().to_der().unwrap();
            assert_eq!(*element(OCTET_STRING, &[&content]), theirs, "{length}");
        }
        for bytes in [&[0_u8][..], &[0, 0], &[1], &[0x7f], &[0x80], &[0, 0x80], &[0, 0, 1, 2], &[0xff; 16]] {
            let ours = integer(bytes);
            let theirs = UintRef::new(bytes).unwrap();
            assert_eq!(*ours, theirs.to_der().unwrap(), "{bytes:?}");
            assert_eq!(UintRef::from_der(&ours).unwrap(), theirs);
        }
    }
}

//! Protobuf fields one by one, without merging: what a decoder would combine stays apart.

use prost::encoding::{WireType, decode_key, decode_varint};

/// One field of a message.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Value<'a>,
}

/// A field's value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number, of whatever width.
    Number,
    /// Text, bytes or a message.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The bytes of a message.
    pub(super) fn message(&self) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number => Err(WireError("a number stands where a message belongs")),
        }
    }

    /// A text.
    pub(super) fn text(&self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.message()?).map_err(|_| WireError("a text is not UTF-8"))
    }
}

/// What is wrong with the bytes.
#[derive(Debug)]
pub(super) struct WireError(pub(super) &'static str);

/// The fields of a message in their order; the first error is the last item.
pub(super) fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<Field<'_>, WireError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = next(&mut rest);
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn next<'a>(rest: &mut &'a [u8]) -> Result<Field<'a>, WireError> {
    let (number, wire_type) = decode_key(rest).map_err(|_| WireError("a field has no valid key"))?;
    let cut = || WireError("a field is cut short");
    let value = match wire_type {
        WireType::Varint => {
            decode_varint(rest).map_err(|_| cut())?;
            Value::Number
        }
        WireType::SixtyFourBit => {
            *rest = rest.get(8..).ok_or_else(cut)?;
            Value::Number
        }
        WireType::ThirtyTwoBit => {
            *rest = rest.get(4..).ok_or_else(cut)?;
            Value::Number
        }
        WireType::LengthDelimited => {
            let length = decode_varint(rest).map_err(|_| cut())?;
            let length = usize::try_from(length).map_err(|_| cut())?;
            let (bytes, after) = rest.split_at_checked(length).ok_or_else(cut)?;
            *rest = after;
            Value::Bytes(bytes)
        }
        WireType::StartGroup | WireType::EndGroup => {
            return Err(WireError("a group, which BuildKit never writes"));
        }
    };
    Ok(Field { number, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_and_foreign_bytes_are_errors() {
        for bytes in [
            &b"\x0a\x05abc"[..],
            b"\x0a",
            b"\x0b",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x08",
            b"\x0d\x00",
            b"\x00\x00",
        ] {
            let last = fields(bytes).last().unwrap();
            assert!(last.is_err(), "{bytes:?} gave {last:?}");
        }
        let numbers: Vec<u32> = fields(b"\x0a\x01x\x10\x01").map(|field| field.unwrap().number).collect();
        assert_eq!(numbers, [1, 2]);
    }
}

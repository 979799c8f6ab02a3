//! PEM text as Go writes and reads it: with headers, unlike RFC 7468 has it.
//!
//! Notary keeps what a key is for in headers, and OpenSSL keeps there how a key is encrypted. What is
//! between the lines may be a private key, so that no copy of it is left behind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// One block of PEM text.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// What the first line calls it.
    pub(super) label: String,
    /// In the order of the text.
    pub(super) headers: Vec<(String, String)>,
    /// What is encoded.
    pub(super) contents: Zeroizing<Vec<u8>>,
}

impl Block {
    /// Reads all blocks of a text; text around them is ignored, as it is everywhere.
    pub(super) fn parse_all(text: &[u8]) -> Result<Vec<Self>, String> {
        let mut blocks = Vec::new();
        let mut lines = text.split(|it| *it == b'\n').map(<[u8]>::trim_ascii).enumerate();
        while let Some((_, line)) = lines.next() {
            let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            let Some(label) = label(line, b"-----BEGIN ") else { continue };
            if blocks.len() >= BLOCK_LIMIT {
                return Err(format!("it holds more than {BLOCK_LIMIT} PEM blocks"));
            }
            blocks.push(Self::parse(label, &mut lines)?);
        }
        Ok(blocks)
    }

    /// Reads what follows the first line, up to the last one.
    fn parse<'a>(
        label_bytes: &[u8],
        lines: &mut impl Iterator<Item = (usize, &'a [u8])>,
    ) -> Result<Self, String> {
        let label_text = text(label_bytes).ok_or("the label of a PEM block is not text")?;
        let mut headers = Vec::new();
        let mut encoded = Zeroizing::new(Vec::new());
        let mut in_headers = true;
        for (index, line) in lines {
            if let Some(end) = label(line, b"-----END ") {
                if end != label_bytes {
                    return Err(format!("the PEM block {label_text:?} ends as something else"));
                }
                let contents = decode(&encoded).ok_or("the PEM block is not base64")?;
                return Ok(Self { label: label_text, headers, contents });
            }
            in_headers &= line.contains(&b':');
            if in_headers {
                if headers.len() >= HEADER_LIMIT {
                    return Err(format!("a PEM block has more than {HEADER_LIMIT} headers"));
                }
                headers.push(header(line).ok_or_else(|| format!("line {} is no PEM header", index + 1))?);
                continue;
            }
            reserve(&mut encoded, line.len());
            encoded.extend_from_slice(line);
        }
        Err(format!("the PEM block {label_text:?} does not end"))
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The text, byte for byte as Go writes it: headers by name, 64 characters a line.
    pub(super) fn to_text(&self) -> Zeroizing<Vec<u8>> {
        let encoded = Zeroizing::new(STANDARD.encode(&*self.contents));
        let mut headers: Vec<_> = self.headers.iter().collect();
        // Go writes `Proc-Type` first, as RFC 1421 wants it.
        headers.sort_by_key(|(name, _)| (name != PROC_TYPE, name.clone()));
        let head: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let head = head.concat();
        let blank = if headers.is_empty() { "" } else { "\n" };
        let first = format!("-----BEGIN {}-----\n{head}{blank}", self.label);
        let last = format!("-----END {}-----\n", self.label);
        let length = first.len() + encoded.len() + encoded.len().div_ceil(LINE) + last.len();
        let mut out = Zeroizing::new(Vec::with_capacity(length));
        out.extend_from_slice(first.as_bytes());
        for line in encoded.as_bytes().chunks(LINE) {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        out.extend_from_slice(last.as_bytes());
        out
    }
}

/// What a first or last line says between its dashes.
fn label<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(start)?.strip_suffix(b"-----")
}

/// Name and value of a line with a colon.
fn header(line: &[u8]) -> Option<(String, String)> {
    let colon = line.iter().position(|it| *it == b':')?;
    let (name, value) = line.split_at(colon);
    let name = text(name.trim_ascii()).filter(|it| !it.is_empty())?;
    Some((name, text(value.get(1..)?.trim_ascii())?))
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let printable = text.len() <= TEXT_LIMIT && !text.chars().any(char::is_control);
    printable.then(|| text.to_owned())
}

/// As Go, nothing but line breaks may be between the letters.
fn decode(encoded: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(vec![0; base64::decoded_len_estimate(encoded.len())]);
    let length = STANDARD.decode_slice(encoded, &mut out).ok()?;
    out.truncate(length);
    Some(out)
}

/// Makes room without leaving a copy behind.
fn reserve(buffer: &mut Zeroizing<Vec<u8>>, more: usize) {
    if buffer.capacity() - buffer.len() < more {
        let mut larger = Zeroizing::new(Vec::with_capacity((buffer.len() + more) * 2));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
}

pub(super) const PROC_TYPE: &str = "Proc-Type";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const LINE: usize = 64;
/// An export of all keys of a busy publisher has a few hundred.
const BLOCK_LIMIT: usize = 4096;
/// Notary writes three, OpenSSL two.
const HEADER_LIMIT: usize = 16;
/// A repository's name, the longest value, has at most 255 characters.
const TEXT_LIMIT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn block(headers: &[(&str, &str)], length: u8) -> Block {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let contents = Zeroizing::new((0..length).collect());
        Block { label: "PRIVATE KEY".to_owned(), headers, contents }
    }

    #[test]
    fn the_text_is_gos() {
        let text =
            block(&[("role", "targets"), ("gun", "127.0.0.1:5000/a"), ("Proc-Type", "4")], 50).to_text();
        let expected = "-----BEGIN PRIVATE KEY-----\n\
            Proc-Type: 4\ngun: 127.0.0.1:5000/a\nrole: targets\n\n\
            AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v\nMDE=\n\
            -----END PRIVATE KEY-----\n";
        assert_eq!(std::str::from_utf8(&text).unwrap(), expected);
        assert_eq!(text.len(), text.capacity(), "a buffer that grows leaves copies");
    }

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 2, 47, 48, 49, 200] {
            for headers in [&[][..], &[("gun", "a:1/b"), ("role", "root")]] {
                let block = block(headers, length);
                let read = Block::parse_all(&block.to_text()).unwrap();
                assert!(read == [block], "{length}");
            }
        }
    }

    #[test]
    fn other_ways_to_write_the_same() {
        let contents = |text: &str| -> Vec<Vec<u8>> {
            let blocks = Block::parse_all(text.as_bytes()).unwrap();
            blocks.into_iter().map(|it| it.contents.to_vec()).collect()
        };
        let none: Vec<Vec<u8>> = Vec::new();
        assert_eq!(contents(""), none);
        assert_eq!(contents("no PEM here"), none);
        for text in [
            "-----BEGIN A-----\nAQI=\n-----END A-----",
            "-----BEGIN A-----\r\nAQI=\r\n-----END A-----\r\n",
            "\u{feff}-----BEGIN A-----\nAQI=\n-----END A-----\n",
            "words\n-----BEGIN A-----\n\nA\nQI\n=\n-----END A-----\nwords",
            "-----BEGIN A-----\nrole: root\nAQI=\n-----END A-----\n",
            "  -----BEGIN A-----\n  AQI=\n  -----END A-----\n",
        ] {
            assert_eq!(contents(text), [[1, 2]], "{text:?}");
        }
    }

    #[test]
    fn damaged_text_is_refused() {
        for text in [
            "-----BEGIN A-----\nAQI=\n",
            "-----BEGIN A-----\nAQI=\n-----END B-----\n",
            "-----BEGIN A-----\nAQ=\n-----END A-----\n",
            "-----BEGIN A-----\nA!I=\n-----END A-----\n",
            "-----BEGIN A-----\nAQI=\nrole: root\n-----END A-----\n",
            "-----BEGIN A-----\n: x\n\nAQI=\n-----END A-----\n",
            "-----BEGIN \u{7}-----\nAQI=\n-----END \u{7}-----\n",
            &format!("-----BEGIN A-----\n{}\nAQI=\n-----END A-----\n", "a: b\n".repeat(17)),
            &"-----BEGIN A-----\nAQI=\n-----END A-----\n".repeat(4097),
        ] {
            assert!(Block::parse_all(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}

//! A file of metadata as it came over the wire: signed bytes and signatures, nothing interpreted.

use std::borrow::Cow;
use std::ops::Range;

use super::canonical;
use super::error::shown;
use super::json::{JsonError, Kind, Reader};
use super::scan::{Member, Scanned, scan};
use super::signature::Signature;
use super::view::{Parsed, View, is_case_variant, pick};
use super::{RoleName, TufError};

/// A file taken apart. The bytes that get interpreted are the bytes that signatures cover.
#[derive(Debug)]
pub(super) struct Document {
    raw: Vec<u8>,
    body: Body,
    /// Whether the body holds escapes of the wire form.
    escaped: bool,
    members: Vec<Member>,
    signatures: Vec<Signature>,
}

/// The signed object in canonical form or its wire form.
#[derive(Debug)]
enum Body {
    /// It stands in the file as it was signed.
    InPlace(Range<usize>),
    /// The file writes it otherwise.
    Rewritten(Vec<u8>),
}

impl Document {
    /// Takes a file apart. Only the frame around the signed object is looked at.
    pub(super) fn parse(role: &RoleName, raw: Vec<u8>) -> Result<Self, TufError> {
        let frame = Frame::read(role, &raw)?;
        Self::new(role, raw, frame)
    }

    /// The file and what was found in it.
    pub(super) fn new(role: &RoleName, raw: Vec<u8>, frame: Frame) -> Result<Self, TufError> {
        let signatures = frame.signatures;
        match frame.signed {
            Signed::InPlace(Scanned { range, escaped, members }) => {
                Ok(Self { raw, body: Body::InPlace(range), escaped, members, signatures })
            }
            Signed::Foreign(range) => {
                let malformed = |reason: String| TufError::Malformed { role: role.clone(), reason };
                let body = rewritten(&raw, range).map_err(|it| malformed(it.to_string()))?;
                let members = members(&body).map_err(malformed)?;
                Ok(Self { raw, body: Body::Rewritten(body), escaped: false, members, signatures })
            }
        }
    }

    /// A body of our own in canonical form, which nobody signed yet.
    pub(super) fn unsigned(body: Vec<u8>) -> Parsed<Self> {
        let members = members(&body)?;
        let in_place = Body::InPlace(0..body.len());
        Ok(Self { raw: body, body: in_place, escaped: false, members, signatures: Vec::new() })
    }

    /// The same with these signatures.
    pub(super) fn with_signatures(self, signatures: Vec<Signature>) -> Self {
        Self { signatures, ..self }
    }

    /// The file as it came.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    pub(super) fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The signed bytes.
    pub(super) fn message(&self) -> Cow<'_, [u8]> {
        let body = self.body();
        if self.escaped { Cow::Owned(canonical::from_wire(body)) } else { Cow::Borrowed(body) }
    }

    /// The signed object's bytes, as they are interpreted.
    fn body(&self) -> &[u8] {
        match &self.body {
            Body::InPlace(range) => self.raw.get(range.clone()).unwrap_or_default(),
            Body::Rewritten(body) => body,
        }
    }

    /// The named members of the signed object.
    pub(super) fn fields<const N: usize>(&self, names: [&str; N]) -> Parsed<[Option<View<'_>>; N]> {
        let mut fields = [None; N];
        for member in &self.members {
            let name = canonical::unescape(self.slice(&member.name));
            let name = std::str::from_utf8(&name).map_err(|it| it.to_string())?;
            pick(&names, &mut fields, name, self.view(&member.value))?;
        }
        Ok(fields)
    }

    /// Where a member of the signed object stands, for reading it later.
    pub(super) fn place(&self, name: &str) -> Option<Range<usize>> {
        self.members.iter().find(|it| self.slice(&it.name) == name.as_bytes()).map(|it| it.value.clone())
    }

    /// The value at a place.
    pub(super) fn view(&self, place: &Range<usize>) -> View<'_> {
        View::new(self.slice(place))
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        match &self.body {
            Body::InPlace(_) => &self.raw,
            Body::Rewritten(body) => body,
        }
        .get(range.clone())
        .unwrap_or_default()
    }
}

/// What is found in a file by one pass over its bytes, which takes no memory to speak of.
#[derive(Debug)]
pub(super) struct Frame {
    signed: Signed,
    signatures: Vec<Signature>,
}

impl Frame {
    /// Finds the signed object and the signatures.
    pub(super) fn read(role: &RoleName, raw: &[u8]) -> Result<Self, TufError> {
        let malformed = |reason: String| TufError::Malformed { role: role.clone(), reason };
        let parts = Parts::read(raw).map_err(|it| malformed(it.to_string()))?;
        let Some(signed) = parts.signed else {
            return Err(malformed("it has no member `signed`".to_owned()));
        };
        let signatures = parts.signatures.unwrap_or_default();
        if signatures.is_empty() {
            return Err(TufError::NoSignatures { role: role.clone() });
        }
        Ok(Self { signed, signatures })
    }
}

/// The two members of a file that matter.
struct Parts {
    signed: Option<Signed>,
    signatures: Option<Vec<Signature>>,
}

#[derive(Debug)]
enum Signed {
    /// Notary wrote it.
    InPlace(Scanned),
    /// JSON in another form, to be rewritten once the file's hash is known to be right.
    Foreign(Range<usize>),
}

impl Parts {
    fn read(raw: &[u8]) -> Result<Self, JsonError> {
        let mut parts = Self { signed: None, signatures: None };
        let mut reader = Reader::new(raw)?;
        reader.object(|reader, name| {
            if is_case_variant("signed", &name) || is_case_variant("signatures", &name) {
                return Err(reader.error(format!("the member {} is a case variant of another", shown(&name))));
            }
            let twice = match &*name {
                "signed" => parts.signed.is_some(),
                "signatures" => parts.signatures.is_some(),
                _ => return reader.skip(1),
            };
            if twice {
                return Err(reader.error(format!("the member {name:?} stands twice in the file")));
            }
            reader.kind()?;
            if name == "signed" {
                parts.signed = Some(read_signed(raw, reader)?);
            } else {
                let place = reader.clone();
                let mut list = Vec::new();
                canonical::rewrite(reader, &mut list, 1)?;
                let signatures = Signature::parse_list(View::new(&list)).map_err(|it| place.error(it))?;
                parts.signatures = Some(signatures);
            }
            Ok(())
        })?;
        reader.end()?;
        Ok(parts)
    }
}

/// Notary writes canonical bytes, which one pass checks and hashes; anything else is only skipped here.
fn read_signed(raw: &[u8], reader: &mut Reader<'_>) -> Result<Signed, JsonError> {
    let start = reader.position();
    if let Some(scanned) = scan(raw, start) {
        reader.jump(scanned.range.end);
        return Ok(Signed::InPlace(scanned));
    }
    if reader.kind()? != Kind::Object {
        return Err(reader.error("`signed` is not an object"));
    }
    reader.skip(0)?;
    Ok(Signed::Foreign(start..reader.position()))
}

/// The canonical form of the object that stands at a place.
fn rewritten(raw: &[u8], range: Range<usize>) -> Result<Vec<u8>, JsonError> {
    let start = range.start;
    let found = canonical::canonicalize(raw.get(range).unwrap_or_default());
    found.map_err(|it| JsonError { offset: it.offset + start, ..it })
}

fn members(body: &[u8]) -> Parsed<Vec<Member>> {
    let mut entries = View::new(body).entries()?;
    let mut members = Vec::new();
    while let Some(entry) = entries.next_ranges() {
        let (name, value) = entry?;
        members.push(Member { name, value });
    }
    Ok(members)
}

//! Documents on their way from signer to signer.
//!
//! Where more than one key must sign, a document is passed round in a file until enough have:
//! `{"document":{"signatures":[…],"signed":{…}},"format":…,"gun":…,"role":…}`. Nothing in the file says
//! whose signatures are needed: that is for the reader to know, from metadata that it trusts.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{AuthorError, Signer, UnsignedDocument};
use crate::image::Gun;
use crate::tuf::canonical;
use crate::tuf::document::Document;
use crate::tuf::metadata::Header;
use crate::tuf::signature::{self, Signature};
use crate::tuf::view::{Parsed, View};
use crate::tuf::{KeyId, PublicKey, RoleKeys, RoleName, Root, TARGETS_LIMIT, Targets, TufError, Version};

/// A document that collects signatures.
#[derive(Clone, Debug)]
pub struct PartialDocument {
    gun: Gun,
    signed: Signed,
}

/// What a document lacks before it can be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// How many more must sign.
    pub count: u64,
    /// Who may, of those who did not, by the IDs that metadata uses.
    pub keys: Vec<KeyId>,
}

impl PartialDocument {
    pub(super) fn new(gun: Gun, signed: Signed) -> Self {
        Self { gun, signed }
    }

    /// The repository.
    #[must_use]
    pub fn gun(&self) -> &Gun {
        &self.gun
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> &RoleName {
        &self.signed.document.role
    }

    /// The version that it will be.
    #[must_use]
    pub fn version(&self) -> Version {
        self.signed.document.version
    }

    /// When it will expire.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.signed.document.expires
    }

    /// The keys whose signatures it has.
    pub fn signatures(&self) -> impl Iterator<Item = &KeyId> {
        self.signed.signatures.iter().map(|it| &it.key_id)
    }

    /// What it says, before it is trusted: for showing to people what they are about to sign.
    pub fn unverified_targets(&self) -> Result<Targets, TufError> {
        let role = self.role();
        let document = Document::unsigned(self.signed.document.body.clone());
        let document = document.map_err(|reason| TufError::Malformed { role: role.clone(), reason })?;
        Targets::parse(role, &Arc::new(document), vec![String::new()])
    }

    /// What a `root` says, before it is trusted.
    pub fn unverified_root(&self) -> Result<Root, TufError> {
        let role = self.role();
        let document = Document::unsigned(self.signed.document.body.clone());
        let document = document.map_err(|reason| TufError::Malformed { role: role.clone(), reason })?;
        Root::parse(&document)
    }

    /// Adds the signatures of those of these who may sign and did not; returns how many were added.
    pub fn sign(&mut self, signers: &[&dyn Signer]) -> Result<usize, AuthorError> {
        self.signed.sign(signers)
    }

    /// Adds the signatures of another copy; returns how many were added.
    pub fn merge(&mut self, other: &Self) -> Result<usize, AuthorError> {
        if other.gun != self.gun || other.signed.document.body != self.signed.document.body {
            return Err(AuthorError::Different { role: self.role().clone() });
        }
        Ok(self.signed.add(other.signed.signatures.clone()))
    }

    /// What is missing; nothing, when it can be published.
    pub fn missing(&self) -> Result<Vec<Missing>, AuthorError> {
        self.signed.missing()
    }

    /// The file, if it is complete.
    pub fn finish(self) -> Result<Vec<u8>, AuthorError> {
        self.signed.finish()
    }

    /// The text that is passed round.
    pub fn to_text(&self) -> Result<Vec<u8>, AuthorError> {
        let [gun, role] = [self.gun.as_str(), self.role().as_str()].map(|it| Value::from(it).to_string());
        let head = format!(r#"{{"format":{FORMAT:?},"gun":{gun},"role":{role},"document":"#);
        let envelope = envelope(&self.signed.document.body, &self.signed.list()?);
        Ok([head.as_bytes(), &envelope, b"}\n"].concat())
    }

    /// Reads what was passed round for this role of this repository.
    ///
    /// `keys` are those that the role's trusted parent names for it; for `root`, those of the trusted
    /// root, which must sign beside those that the new one names itself. Signatures that do not fit
    /// are dropped.
    pub fn from_text(text: &[u8], gun: &Gun, role: &RoleName, keys: &RoleKeys) -> Result<Self, AuthorError> {
        if text.len() > TARGETS_LIMIT {
            return Err(malformed(format!("it is longer than {TARGETS_LIMIT} bytes")));
        }
        let canonical = canonical::canonicalize(text).map_err(|it| malformed(it.to_string()))?;
        let parts = Parts::read(View::new(&canonical)).map_err(malformed)?;
        if parts.gun != gun.as_str() || parts.role != role.as_str() {
            return Err(malformed(format!(
                "it is `{}` of `{}`, not `{role}` of `{gun}`",
                parts.role, parts.gun
            )));
        }
        let document = Arc::new(Document::unsigned(parts.body.to_vec()).map_err(malformed)?);
        let Header { version, expires } = Header::parse(&document, role).map_err(malformed)?;
        let mut demands = Vec::new();
        if *role == RoleName::ROOT {
            let own = Root::parse(&document)?.role(role).cloned();
            demands.extend(own);
        }
        demands.push(keys.clone());
        let body = parts.body.to_vec();
        let document =
            UnsignedDocument { role: role.clone(), version, expires, body, demands, welcome: Vec::new() };
        let mut signed = Signed::new(document);
        signed.add(parts.signatures);
        signed.drop_invalid()?;
        Ok(Self { gun: gun.clone(), signed })
    }
}

/// A document with the signatures that it has so far.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    document: UnsignedDocument,
    signatures: Vec<Entry>,
}

/// A signature, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    key_id: KeyId,
    method: String,
    value: Vec<u8>,
}

impl Entry {
    fn to_json(&self) -> Value {
        json!({"keyid": self.key_id, "method": self.method, "sig": STANDARD.encode(&self.value)})
    }
}

impl Signed {
    pub(super) fn new(document: UnsignedDocument) -> Self {
        Self { document, signatures: Vec::new() }
    }

    /// Every key that may sign: each of a demand, and those that are welcome.
    fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        let mut seen = BTreeSet::new();
        let demanded = self.document.demands.iter().flat_map(|it| &it.keys);
        demanded.chain(&self.document.welcome).filter(move |it| seen.insert(it.id()))
    }

    pub(super) fn sign(&mut self, signers: &[&dyn Signer]) -> Result<usize, AuthorError> {
        let mut made = Vec::new();
        for key in self.keys().filter(|it| !self.is_signed_by(it.id())) {
            let Some(signer) = signers.iter().find(|it| it.public().canonical_id() == key.canonical_id())
            else {
                continue;
            };
            let signature = signer.sign(&self.document.body);
            let signature =
                signature.map_err(|source| AuthorError::Signer { key_id: key.id().clone(), source })?;
            made.push(Entry {
                key_id: key.id().clone(),
                method: signature.method.as_str().to_owned(),
                value: signature.bytes,
            });
        }
        Ok(self.add(made))
    }

    fn add(&mut self, entries: Vec<Entry>) -> usize {
        let before = self.signatures.len();
        for entry in entries {
            if self.signatures.len() < SIGNATURE_LIMIT && !self.is_signed_by(&entry.key_id) {
                self.signatures.push(entry);
            }
        }
        self.signatures.len() - before
    }

    fn is_signed_by(&self, key_id: &KeyId) -> bool {
        self.signatures.iter().any(|it| it.key_id == *key_id)
    }

    /// Drops what is no signature of a key that may sign: a wrong one would keep a right one out.
    fn drop_invalid(&mut self) -> Result<(), AuthorError> {
        let document = self.checkable()?;
        let mut valid = BTreeSet::new();
        for key in self.keys() {
            let alone = RoleKeys { keys: vec![key.clone()], threshold: 1 };
            if signature::check(&document, &alone).is_ok() {
                valid.insert(key.id().clone());
            }
        }
        self.signatures.retain(|it| valid.contains(&it.key_id));
        Ok(())
    }

    fn missing(&self) -> Result<Vec<Missing>, AuthorError> {
        let document = self.checkable()?;
        let lacking = self.document.demands.iter().filter_map(|demand| {
            let too_few = signature::check(&document, demand).err()?;
            // A number of signatures always fits 64 bits.
            let valid = u64::try_from(too_few.valid).unwrap_or(u64::MAX);
            let absent = demand.keys.iter().map(PublicKey::id).filter(|it| !self.is_signed_by(it));
            Some(Missing { count: too_few.needed.saturating_sub(valid), keys: absent.cloned().collect() })
        });
        Ok(lacking.collect())
    }

    /// The file, once each demand is met. What is returned was verified as a reader would.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, AuthorError> {
        let list = self.list()?;
        // The body may have tens of megabytes, and is not copied more often than it must be.
        let body = std::mem::take(&mut self.document.body);
        let document = checkable(body, &list)?;
        for demand in &self.document.demands {
            signature::check(&document, demand).map_err(|it| AuthorError::Threshold {
                role: self.document.role.clone(),
                valid: it.valid,
                needed: it.needed,
            })?;
        }
        Ok(envelope(document.raw(), &list))
    }

    fn checkable(&self) -> Result<Document, AuthorError> {
        checkable(self.document.body.clone(), &self.list()?)
    }

    /// The signatures in canonical form.
    fn list(&self) -> Result<Vec<u8>, AuthorError> {
        let list: Value = self.signatures.iter().map(Entry::to_json).collect();
        canonical::to_vec(&list).map_err(|it| malformed(it.to_string()))
    }
}

fn checkable(body: Vec<u8>, list: &[u8]) -> Result<Document, AuthorError> {
    let signatures = Signature::parse_list(View::new(list)).map_err(malformed)?;
    let document = Document::unsigned(body).map_err(malformed)?;
    Ok(document.with_signatures(signatures))
}

/// Notary's own form of the file, byte for byte. Signatures hold nothing that the wire form escapes.
fn envelope(body: &[u8], list: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(body.len() + list.len() + 64);
    file.extend_from_slice(b"{\"signed\":");
    canonical::write_wire(body, &mut file);
    file.extend_from_slice(b",\"signatures\":");
    file.extend_from_slice(list);
    file.push(b'}');
    file
}

/// The members of a file that is passed round.
struct Parts<'a> {
    gun: String,
    role: String,
    body: &'a [u8],
    signatures: Vec<Entry>,
}

impl<'a> Parts<'a> {
    fn read(file: View<'a>) -> Parsed<Self> {
        let [format, gun, role, document] = file.fields(["format", "gun", "role", "document"])?;
        let format = format.ok_or("`format` is missing")?.text()?;
        if format != FORMAT {
            return Err(format!("its format is {format:.64?}, not {FORMAT:?}"));
        }
        let document = document.ok_or("`document` is missing")?;
        let [signed, list] = document.fields(["signed", "signatures"])?;
        let mut signatures = Vec::new();
        for item in list.ok_or("`signatures` is missing")?.items()? {
            if signatures.len() >= SIGNATURE_LIMIT {
                return Err(format!("it has more than {SIGNATURE_LIMIT} signatures"));
            }
            let [key_id, method, value] = item?.fields(["keyid", "method", "sig"])?;
            let (Some(key_id), Some(method), Some(value)) = (key_id, method, value) else {
                return Err("one of `keyid`, `method` and `sig` is missing".to_owned());
            };
            signatures.push(Entry {
                key_id: key_id.text()?.parse().map_err(|it| format!("`keyid`: {it}"))?,
                method: method.text()?.into_owned(),
                value: STANDARD.decode(value.text()?.as_bytes()).map_err(|it| format!("`sig`: {it}"))?,
            });
        }
        Ok(Self {
            gun: gun.ok_or("`gun` is missing")?.text()?.into_owned(),
            role: role.ok_or("`role` is missing")?.text()?.into_owned(),
            body: signed.ok_or("`signed` is missing")?.bytes(),
            signatures,
        })
    }
}

fn malformed(reason: String) -> AuthorError {
    AuthorError::Partial { reason }
}

const FORMAT: &str = "trustgate-signatures-1";
/// As many as a reader takes.
const SIGNATURE_LIMIT: usize = 256;

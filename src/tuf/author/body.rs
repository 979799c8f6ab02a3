//! What drafts of all roles have in common: members, keys, versions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256, Sha512};

use super::AuthorError;
use crate::tuf::view::View;
use crate::tuf::{PublicKey, RoleKeys, RoleName, Trusted, TufError, Version, canonical};

/// Everything that a document says, known to us or not.
pub(super) fn members<T, W>(document: &Trusted<T, W>) -> Result<Map<String, Value>, AuthorError> {
    let value = View::new(&document.message()).to_value();
    match value.map_err(|it| malformed(document.role(), it))? {
        Value::Object(members) => Ok(members),
        _ => Err(malformed(document.role(), "it is not an object".to_owned())),
    }
}

/// The version after a document's.
pub(super) fn next_version<T, W>(document: &Trusted<T, W>) -> Result<Version, AuthorError> {
    document.version().next().ok_or_else(|| AuthorError::Version { role: document.role().clone() })
}

/// The canonical body of these members, with what every file has.
pub(super) fn of_members(
    mut members: Map<String, Value>,
    role: &RoleName,
    version: Version,
    expires: Timestamp,
) -> Result<Vec<u8>, AuthorError> {
    members.insert("_type".to_owned(), role.type_name().into());
    members.insert("expires".to_owned(), expires.to_string().into());
    members.insert("version".to_owned(), version.get().into());
    canonical::to_vec(&Value::Object(members)).map_err(|it| malformed(role, it.to_string()))
}

/// The member of this name, made an object if it is none.
pub(super) fn object<'a>(members: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let member = members.entry(name).or_insert(Value::Null);
    if !member.is_object() {
        *member = Value::Object(Map::new());
    }
    member.as_object_mut().expect("it was made an object above")
}

/// Length and hashes of a file, as `snapshot` and `timestamp` list them.
pub(super) fn describe(file: &[u8]) -> Value {
    let (sha256, sha512) = (STANDARD.encode(Sha256::digest(file)), STANDARD.encode(Sha512::digest(file)));
    json!({"hashes": {"sha256": sha256, "sha512": sha512}, "length": file.len()})
}

/// Whether a role can have these keys: enough of them, and each one that verifies something.
pub(super) fn check_keys(role: &RoleName, keys: &RoleKeys) -> Result<(), AuthorError> {
    let distinct: std::collections::BTreeSet<_> = keys.keys.iter().map(PublicKey::canonical_id).collect();
    let count = u64::try_from(distinct.len()).unwrap_or(u64::MAX);
    if keys.threshold == 0 || count < keys.threshold {
        let (keys, threshold) = (distinct.len(), keys.threshold);
        return Err(AuthorError::KeysBelowThreshold { role: role.clone(), keys, threshold });
    }
    for key in &keys.keys {
        key.material().map_err(|reason| AuthorError::Key {
            key_id: key.id().clone(),
            role: role.clone(),
            reason,
        })?;
    }
    Ok(())
}

pub(super) fn malformed(role: &RoleName, reason: String) -> AuthorError {
    TufError::Malformed { role: role.clone(), reason }.into()
}

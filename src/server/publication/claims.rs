//! What a file says of itself, before anything of it is believed.
//!
//! A claim chooses what is loaded and listed next. Whatever is stored was verified as a client does it
//! afterwards, and a file whose claims were not what was verified is refused then.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::PublicationError;
use crate::tuf::{RoleName, Version};

/// The claims of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) version: Version,
    /// The roles that it delegates to.
    pub(super) delegations: BTreeSet<RoleName>,
}

impl Claims {
    /// Reads the claims of a role's file.
    ///
    /// Members beside `signed` and `signatures` are refused: nobody signed them, and no client
    /// writes them.
    pub(super) fn read(role: &RoleName, file: &[u8]) -> Result<Self, PublicationError> {
        let envelope: Envelope = serde_json::from_slice(file).map_err(|it| {
            if it.is_data() {
                PublicationError::refused(role, &it)
            } else {
                PublicationError::MalformedJson { role: role.clone() }
            }
        })?;
        let Signed { version: number, delegations } = envelope.signed;
        let version = Version::new(number)
            .ok_or_else(|| PublicationError::refused(role, &format!("its version is {number}")))?;
        let roles = delegations.and_then(|it| it.roles).unwrap_or_default();
        // A name that no role can have is an error later, where the file is verified.
        let delegations = roles.into_iter().filter_map(|it| it.name.parse().ok()).collect();
        Ok(Self { version, delegations })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    signed: Signed,
    #[serde(rename = "signatures")]
    _signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signed {
    version: u64,
    delegations: Option<Delegations>,
}

#[derive(Deserialize)]
struct Delegations {
    roles: Option<Vec<Delegation>>,
}

#[derive(Deserialize)]
struct Delegation {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    #[serde(rename = "keyid")]
    _key_id: IgnoredAny,
    #[serde(rename = "method")]
    _method: IgnoredAny,
    #[serde(rename = "sig")]
    _value: IgnoredAny,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"signed":{"_type":"Targets","version":7,"x":[1,{}],"delegations":{"keys":{},"roles":[{"name":"targets/a","paths":[""]},{"name":"../b"}]}},"signatures":[{"keyid":"","method":"","sig":""}]}"#;

    #[test]
    fn claims_are_read() {
        let claims = Claims::read(&RoleName::TARGETS, FILE.as_bytes()).unwrap();
        assert_eq!(claims.version.get(), 7);
        assert_eq!(claims.delegations, BTreeSet::from(["targets/a".parse().unwrap()]));
    }

    #[test]
    fn what_is_no_file_is_told_apart_from_a_bad_one() {
        for file in ["", "{", "x", &FILE[..60], &format!("{FILE}x")] {
            let error = Claims::read(&RoleName::TARGETS, file.as_bytes()).unwrap_err();
            assert!(matches!(error, PublicationError::MalformedJson { .. }), "{file}: {error}");
        }
        for file in [
            "1",
            "[]",
            "{}",
            "null",
            r#"{"signed":{},"signatures":[]}"#,
            r#"{"signed":{"version":0},"signatures":[]}"#,
            r#"{"signed":{"version":-1},"signatures":[]}"#,
            r#"{"signed":{"version":1.5},"signatures":[]}"#,
            r#"{"signed":{"version":18446744073709551615},"signatures":[]}"#,
            r#"{"signed":{"version":1},"signatures":null}"#,
            r#"{"signed":{"version":1}}"#,
            r#"{"signed":{"version":1},"signatures":[],"unsigned":1}"#,
            r#"{"signed":{"version":1},"signatures":[{"keyid":"","method":"","sig":"","note":""}]}"#,
            r#"{"signed":{"version":1,"version":2},"signatures":[]}"#,
        ] {
            let error = Claims::read(&RoleName::TARGETS, file.as_bytes()).unwrap_err();
            assert!(matches!(error, PublicationError::Targets { .. }), "{file}: {error}");
        }
    }
}

//! Why nothing was published, and how Notary's clients are told.

use serde_json::{Value, json};

use crate::server::storage::StorageError;
use crate::server::{ErrorAnswer, ErrorCode};
use crate::signer::KeyServiceError;
use crate::tuf::RoleName;

/// One reason why nothing was published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublicationError {
    /// A file is missing that what was handed in needs.
    #[error("`{missing}` is missing: {reason}")]
    Hierarchy {
        /// The role whose file is missing.
        missing: RoleName,
        /// Why it is needed.
        reason: String,
    },
    /// The server's keys cannot be used now.
    #[error(transparent)]
    Keys(#[from] KeyServiceError),
    /// A part is not JSON.
    #[error("what was handed in as `{role}` is not JSON")]
    MalformedJson {
        /// The role.
        role: RoleName,
    },
    /// The request's body is not in parts.
    #[error("the upload is malformed: {reason}")]
    MalformedUpload {
        /// Why.
        reason: String,
    },
    /// A part has no file name.
    #[error("a part of the upload has no file name")]
    NoFilename,
    /// A part, or a path, names a role that there is not.
    #[error("{name:.64?} is not a role that can be published or asked for")]
    Role {
        /// The name.
        name: String,
    },
    /// The root is not one that may come next.
    #[error("the root is not acceptable: {reason}")]
    Root {
        /// Why.
        reason: String,
    },
    /// The snapshot is not one that may come next.
    #[error("the snapshot is not acceptable: {reason}")]
    Snapshot {
        /// Why.
        reason: String,
    },
    /// The files cannot be read or stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// `targets` or a delegation is not one that may come next.
    #[error("`{role}` is not acceptable: {reason}")]
    Targets {
        /// The role.
        role: RoleName,
        /// Why.
        reason: String,
    },
    /// The update as a whole is not acceptable.
    #[error("the update is not acceptable: {reason}")]
    Update {
        /// Why.
        reason: String,
    },
    /// The role has this version or a later one already: somebody was faster.
    #[error("`{role}` is there in this version or a later one")]
    Version {
        /// The role.
        role: RoleName,
    },
    /// The server could not do its own part.
    #[error("the server's own part went wrong: {reason}")]
    Work {
        /// What went wrong.
        reason: String,
    },
}

impl PublicationError {
    /// A role's file is not acceptable.
    pub(super) fn refused(role: &RoleName, reason: &impl ToString) -> Self {
        let reason = reason.to_string();
        match role.as_str() {
            "root" => Self::Root { reason },
            "snapshot" => Self::Snapshot { reason },
            "timestamp" => Self::Update { reason },
            _ => Self::Targets { role: role.clone(), reason },
        }
    }

    /// How Notary's clients are told.
    #[must_use]
    pub fn answer(&self) -> ErrorAnswer {
        let invalid = |name: &str, error: Value| {
            ErrorAnswer::new(400, ErrorCode::InvalidUpdate).with_detail(json!({"Name": name, "Error": error}))
        };
        match self {
            Self::Hierarchy { missing, reason } => {
                invalid("ErrBadHierarchy", json!({"Missing": missing, "Msg": reason}))
            }
            Self::Root { reason } => invalid("ErrBadRoot", json!({"Msg": reason})),
            Self::Snapshot { reason } => invalid("ErrBadSnapshot", json!({"Msg": reason})),
            Self::Targets { reason, .. } => invalid("ErrBadTargets", json!({"Msg": reason})),
            Self::Update { reason } => invalid("ErrValidation", json!({"Msg": reason})),
            Self::MalformedJson { .. } => ErrorAnswer::new(400, ErrorCode::MalformedJson),
            Self::MalformedUpload { .. } => ErrorAnswer::new(400, ErrorCode::MalformedUpload),
            Self::NoFilename => ErrorAnswer::new(400, ErrorCode::NoFilename),
            Self::Role { name } => ErrorAnswer::new(400, ErrorCode::InvalidRole).with_detail(json!(name)),
            Self::Version { .. } | Self::Storage(StorageError::Moved | StorageError::Version { .. }) => {
                ErrorAnswer::new(400, ErrorCode::Version)
            }
            // Not the client's fault, and it may try again: Notary says 400 here, which it takes for its own.
            Self::Keys(error) => ErrorAnswer::new(status_of_keys(error), ErrorCode::NoCryptoService),
            Self::Storage(error) => ErrorAnswer::new(status_of_storage(error), ErrorCode::Updating),
            Self::Work { .. } => ErrorAnswer::new(500, ErrorCode::Unknown),
        }
    }
}

fn status_of_keys(error: &KeyServiceError) -> u16 {
    if matches!(error, KeyServiceError::Unavailable { .. }) { 503 } else { 500 }
}

fn status_of_storage(error: &StorageError) -> u16 {
    match error {
        StorageError::Busy { .. } | StorageError::Unavailable { .. } => 503,
        StorageError::Full { .. } => 507,
        StorageError::Moved | StorageError::Version { .. } => 400,
        StorageError::Configuration { .. }
        | StorageError::Corrupt { .. }
        | StorageError::Schema { .. }
        | StorageError::Unfit { .. } => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_notarys() {
        let told = |error: PublicationError| {
            let answer = error.answer();
            let body: Value = serde_json::from_slice(&answer.body()).unwrap();
            let error = &body["errors"][0];
            (answer.status, error["code"].as_str().unwrap().to_owned(), error["detail"].to_string())
        };
        let reason = || "because".to_owned();
        for (error, status, code, detail) in [
            (
                PublicationError::Root { reason: reason() },
                400,
                "INVALID_UPDATE",
                r#"{"Error":{"Msg":"because"},"Name":"ErrBadRoot"}"#,
            ),
            (
                PublicationError::Hierarchy { missing: RoleName::SNAPSHOT, reason: reason() },
                400,
                "INVALID_UPDATE",
                r#"{"Error":{"Missing":"snapshot","Msg":"because"},"Name":"ErrBadHierarchy"}"#,
            ),
            (
                PublicationError::refused(&RoleName::RELEASES, &"because"),
                400,
                "INVALID_UPDATE",
                r#"{"Error":{"Msg":"because"},"Name":"ErrBadTargets"}"#,
            ),
            (PublicationError::Role { name: "x".to_owned() }, 400, "INVALID_ROLE", r#""x""#),
            (PublicationError::Version { role: RoleName::TARGETS }, 400, "VERSION", "{}"),
            (PublicationError::Storage(StorageError::Moved), 400, "VERSION", "{}"),
            (PublicationError::Storage(StorageError::Full { reason: reason() }), 507, "UPDATING", "{}"),
            (PublicationError::Storage(StorageError::Busy { reason: reason() }), 503, "UPDATING", "{}"),
            (
                PublicationError::Keys(KeyServiceError::Unavailable { reason: reason() }),
                503,
                "NO_CRYPTOSERVICE",
                "{}",
            ),
        ] {
            let shown = error.to_string();
            let expected = (status, code.to_owned(), detail.to_owned());
            assert_eq!(told(error), expected, "{shown}");
        }
    }
}

//! Why metadata is refused. Each variant names the role; who served it is the caller's to add.

use jiff::Timestamp;

use super::{KeyId, RoleName, Version};

/// One reason why metadata cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TufError {
    /// No pinned certificate authority vouches for a root certificate.
    #[error("no root certificate of `{gun}` is vouched for by a pinned certificate authority: {reason}")]
    Authority {
        /// The repository.
        gun: String,
        /// Where the chain broke.
        reason: String,
    },
    /// A pinned certificate authority cannot be read: the caller's fault, not the server's.
    #[error("a pinned certificate authority is unusable: {reason}")]
    AuthorityUnusable {
        /// What is wrong with it.
        reason: String,
    },
    /// A root certificate breaks a rule that is not about names or time.
    #[error("the root certificate of `{gun}` is not acceptable: {reason}")]
    Certificate {
        /// The repository.
        gun: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// Every root certificate of the repository is outside its validity.
    #[error("the root certificate of `{gun}` is not valid now (it is from {from} to {until})")]
    CertificateExpired {
        /// The repository.
        gun: String,
        /// When it starts to be valid.
        from: Timestamp,
        /// When it stops.
        until: Timestamp,
    },
    /// Two different root files carry the same version.
    #[error("two different `root` files carry version {version}")]
    Conflict {
        /// The version that both carry.
        version: Version,
    },
    /// The role's time is over: nobody vouches for it any more.
    #[error("`{role}` metadata expired on {at}")]
    Expired {
        /// The role.
        role: RoleName,
        /// When it expired.
        at: Timestamp,
    },
    /// The file is not the one that `snapshot` or `timestamp` names.
    #[error("`{role}` metadata has {algorithm} {found}, but `{named_by}` names {expected}")]
    Hash {
        /// The role.
        role: RoleName,
        /// The role that names the hash.
        named_by: RoleName,
        /// The hash function.
        algorithm: &'static str,
        /// The value that is named, in hexadecimal.
        expected: String,
        /// The value of the file, in hexadecimal.
        found: String,
    },
    /// A name that no role may have.
    #[error("{} is not the name of a role", shown(name))]
    InvalidRole {
        /// The name as found.
        name: String,
    },
    /// A key is filed under an ID that is not its hash.
    #[error("`{role}` metadata files a key under ID {claimed}, but its ID is {actual}")]
    KeyIdMismatch {
        /// The role whose file holds the key.
        role: RoleName,
        /// The ID it is filed under.
        claimed: KeyId,
        /// The ID computed from the key.
        actual: KeyId,
    },
    /// The file is longer or shorter than `snapshot` or `timestamp` says.
    #[error("`{role}` metadata has {found} bytes, but `{named_by}` names {expected}")]
    Length {
        /// The role.
        role: RoleName,
        /// The role that names the length.
        named_by: RoleName,
        /// The length that is named.
        expected: u64,
        /// The length of the file.
        found: u64,
    },
    /// The bytes are not metadata of this role.
    #[error("`{role}` metadata is malformed: {reason}")]
    Malformed {
        /// The role.
        role: RoleName,
        /// What is wrong, and where.
        reason: String,
    },
    /// The file carries no signature at all.
    #[error("`{role}` metadata carries no signatures")]
    NoSignatures {
        /// The role.
        role: RoleName,
    },
    /// The snapshot does not list the role.
    #[error("`snapshot` does not list `{role}`")]
    NotInSnapshot {
        /// The role.
        role: RoleName,
    },
    /// A new root is not signed by the keys of the one before it.
    #[error(
        "the new `root` has {valid} of {needed} signatures by the keys of the trusted version {previous}{}",
        listed(.reasons)
    )]
    NotSignedByPrevious {
        /// The version that is trusted.
        previous: Version,
        /// Valid signatures by keys of the trusted version.
        valid: usize,
        /// The trusted version's threshold.
        needed: u64,
        /// Why the other signatures do not count.
        reasons: Vec<String>,
    },
    /// The file is longer than any honest one.
    #[error("`{role}` metadata is longer than {limit} bytes")]
    Oversized {
        /// The role.
        role: RoleName,
        /// The most that is read.
        limit: usize,
    },
    /// The root keys are not the pinned ones.
    #[error("no root key of `{gun}` is pinned; its root keys are {}", found.iter().map(KeyId::as_str).collect::<Vec<_>>().join(", "))]
    PinMismatch {
        /// The repository.
        gun: String,
        /// The keys of its root role.
        found: Vec<KeyId>,
    },
    /// The file is older than one that was trusted before.
    #[error("`{role}` metadata has version {found}, but version {minimum} was seen before")]
    Rollback {
        /// The role.
        role: RoleName,
        /// The version of the file.
        found: Version,
        /// The lowest version that is accepted.
        minimum: Version,
    },
    /// Too few of the role's keys signed.
    #[error("`{role}` metadata has {valid} of {needed} valid signatures{}", listed(.reasons))]
    Threshold {
        /// The role.
        role: RoleName,
        /// Distinct keys of the role with a valid signature.
        valid: usize,
        /// The role's threshold.
        needed: u64,
        /// Why the other signatures do not count.
        reasons: Vec<String>,
    },
    /// The parent does not delegate to the role.
    #[error("`{parent}` does not delegate to `{role}`")]
    UnknownDelegation {
        /// The role.
        role: RoleName,
        /// The role that should delegate to it.
        parent: RoleName,
    },
    /// The root certificates are for another repository.
    #[error("the root certificate is for `{}`, not for `{gun}`", names.join("`, `"))]
    WrongRepository {
        /// The names that the certificates carry.
        names: Vec<String>,
        /// The repository that was asked for.
        gun: String,
    },
}

/// The reasons as a tail of a message.
fn listed(reasons: &[String]) -> String {
    if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) }
}

/// Text that others wrote, for a message: quoted, short, and without characters that move a cursor.
pub(super) fn shown(text: &str) -> String {
    let start: String = text.chars().take(SHOWN_LIMIT).collect();
    let rest = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{rest}")
}

/// As many characters as a key ID has.
const SHOWN_LIMIT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_shown_short_and_harmless() {
        assert_eq!(shown("v1"), r#""v1""#);
        assert_eq!(shown("\u{1b}[2J\r\n\u{202e}"), r#""\u{1b}[2J\r\n\u{202e}""#);
        assert_eq!(shown(&"a".repeat(1000)), format!("\"{}\"…", "a".repeat(64)));
    }

    #[test]
    fn messages() {
        let at: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let expired = TufError::Expired { role: RoleName::TARGETS, at };
        assert_eq!(expired.to_string(), "`targets` metadata expired on 2026-03-01T00:00:00Z");
        let reasons = vec!["one".to_owned(), "two".to_owned()];
        let threshold = TufError::Threshold { role: RoleName::ROOT, valid: 0, needed: 1, reasons };
        assert_eq!(threshold.to_string(), "`root` metadata has 0 of 1 valid signatures (one; two)");
        let names = vec!["docker.io/mallory/base".to_owned()];
        let wrong = TufError::WrongRepository { names, gun: "docker.io/acme/base".to_owned() };
        assert_eq!(
            wrong.to_string(),
            "the root certificate is for `docker.io/mallory/base`, not for `docker.io/acme/base`"
        );
    }
}

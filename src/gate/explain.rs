//! From the reason why something did not pass to a refusal that a person can act on.

use jiff::Timestamp;

use super::nearest::nearest_tags;
use super::refusal::{Refusal, RefusalCode};
use crate::image::{Gun, Reference};
use crate::policy::{DisableForbidden, PolicyError};
use crate::text::visible;
use crate::trust::{SignedTarget, TrustError};
use crate::tuf::TufError;

/// Why trust data did not let a reference in; `now` turns an expiry into a duration.
pub(super) fn trust_error(reference: &Reference, error: &TrustError, now: Option<Timestamp>) -> Refusal {
    let reference = reference.with_default_tag();
    let unsigned = format!("{reference} is not signed");
    let unverified = format!("{reference} can't be verified");
    let refusal = match error {
        TrustError::NoTrustData { gun, server } => {
            let label = format!("{} has no trust data", gun.familiar());
            Refusal::new(RefusalCode::NoTrustData, &unsigned, &label).note(&server_note(server))
        }
        TrustError::NotSigned { gun, tag, signed_tags, server, timestamp_expires } => {
            let label = format!("{} has trust data, but none for tag {tag}", gun.familiar());
            let refusal = Refusal::new(RefusalCode::UnsignedTag, &unsigned, &label);
            let tags = nearest_tags(tag, signed_tags);
            let tags = if tags.is_empty() { "none".to_owned() } else { tags };
            refusal.note(&format!("signed tags: {tags}")).note(&format!(
                "{} ({})",
                server_note(server),
                validity(*timestamp_expires, now)
            ))
        }
        TrustError::DigestNotSigned { gun, digest, server } => {
            let label = format!("{} has trust data, but not for this digest", gun.familiar());
            Refusal::new(RefusalCode::UnsignedDigest, &unsigned, &label)
                .note(&format!("digest: {digest}"))
                .note(&server_note(server))
        }
        TrustError::NotReleased { tag, role, releasing, .. } => {
            let label = format!("tag {tag} is signed by `{role}` alone, which does not count");
            Refusal::new(
                RefusalCode::NotReleased,
                &format!("{reference} is signed, but not released"),
                &label,
            )
            .note(&format!("roles that count: {}", releasing.join(", ")))
        }
        TrustError::MissingSigner { signer, reason, .. } => {
            let title = format!("{reference} is not signed by `{signer}`");
            Refusal::new(RefusalCode::MissingSigner, &title, reason)
        }
        TrustError::NoDigest { tag, role, .. } => {
            let label = format!("tag {tag} is listed in `{role}` without a sha256 hash");
            Refusal::new(RefusalCode::InvalidMetadata, &unverified, &label)
        }
        TrustError::Metadata { server, source, .. } => {
            Refusal::new(metadata_code(source), &unverified, &source.to_string()).note(&server_note(server))
        }
        TrustError::MissingRole { server, role, .. } => {
            let label = format!("the server's `{role}` metadata is missing");
            Refusal::new(RefusalCode::UnusableAnswer, &unverified, &label).note(&server_note(server))
        }
        TrustError::NotMetadata { url, reason, .. } => {
            Refusal::new(RefusalCode::UnusableAnswer, &unverified, reason).note(&format!("URL: {url}"))
        }
        TrustError::Unreachable { server, source, .. } => {
            Refusal::new(RefusalCode::UnreachableServer, &unverified, &source.to_string())
                .note(&server_note(server))
        }
        TrustError::StaleCache { server, reason, cached, .. } => {
            Refusal::new(RefusalCode::UnreachableServer, &unverified, reason)
                .note(&format!("the cached timestamp can't be used: {cached}"))
                .note(&server_note(server))
        }
        TrustError::Unauthorized { source, .. } => {
            Refusal::new(RefusalCode::Unauthorized, &unverified, &source.to_string())
        }
        TrustError::StaleForbidden { server, reason, .. } => {
            let label = format!("fresh trust data is required, and the server gave none: {reason}");
            Refusal::new(RefusalCode::StaleMetadata, &unverified, &label).note(&server_note(server))
        }
        TrustError::Cache { path, reason, .. } => {
            let label = format!("the cached root can't be used: {reason}");
            Refusal::new(RefusalCode::UnusableCache, &unverified, &label)
                .note(&format!("file: {}", path.display()))
        }
        TrustError::Server(error) => {
            Refusal::new(RefusalCode::UnreachableServer, &unverified, &error.to_string())
        }
        TrustError::Internal { reason, .. } => {
            Refusal::new(RefusalCode::InternalError, &unverified, &format!("the look-up broke off: {reason}"))
        }
    };
    error.help().iter().fold(refusal, |refusal, help| refusal.help(help))
}

/// No root can be trusted.
pub(super) fn unpinned(reference: &Reference, rule: &str) -> Refusal {
    let reference = reference.with_default_tag();
    Refusal::new(
        RefusalCode::UnpinnedRoot,
        &format!("{reference} can't be verified"),
        &format!("the policy pins no root for {}", reference.familiar_name()),
    )
    .note(&format!("rule: {rule}"))
    .note("with a policy, trust on first use is off unless it says `trust-on-first-use = true`")
    .help(&format!(
        "pin its root in the policy: a [[repository]] with pattern = \"{}\" and root-keys = [\"…\"]",
        reference.gun()
    ))
}

/// The written digest is not the one that is signed for the tag.
pub(super) fn digest_mismatch(reference: &Reference, signed: &SignedTarget, rule: &str) -> Refusal {
    let name = reference.familiar_name();
    Refusal::new(
        RefusalCode::DigestMismatch,
        &format!("{reference} is not the signed image"),
        &format!("tag {} of {name} is signed with another digest", signed.tag),
    )
    .note(&format!("signed digest: {}", signed.digest))
    .note(&format!("rule: {rule}"))
    .help(&format!("write the signed image: {name}:{}@{}", signed.tag, signed.digest))
    .help("or leave the tag out, if the digest is that of another signed tag")
}

/// There is no answer where one must be.
pub(super) fn undecided(reference: &Reference) -> Refusal {
    Refusal::new(
        RefusalCode::InternalError,
        &format!("{reference} could not be decided"),
        "no look-up was made for it",
    )
    .help("this is a defect of the program: please report it")
}

/// Look-ups that must agree do not.
pub(super) fn disagreeing(reference: &Reference, targets: &[SignedTarget], rule: &str) -> Refusal {
    let reference = reference.with_default_tag();
    let refusal = Refusal::new(
        RefusalCode::DisagreeingTrustData,
        &format!("{reference} is signed with different digests"),
        "the look-ups that the policies require found different digests",
    );
    let refusal = targets.iter().fold(refusal, |refusal, target| {
        refusal.note(&format!("{} in `{}` at {}", target.digest, target.role, target.server))
    });
    refusal.note(&format!("rules: {rule}")).help("ask the repository's publisher which one is meant")
}

/// The policy itself gives no answer.
pub(super) fn policy_error(gun: &Gun, error: &PolicyError) -> Refusal {
    let title = format!("{gun} can't be decided");
    Refusal::new(RefusalCode::AmbiguousRule, &title, &error.to_string()).help(&error.help())
}

/// Trust may not be disabled in this way.
pub(super) fn disable_forbidden(error: &DisableForbidden) -> Refusal {
    let allowed: Vec<&str> = error.allowed.iter().map(|by| by.key()).collect();
    let allowed = if allowed.is_empty() {
        "the policy allows nobody to disable it".to_owned()
    } else {
        format!("the policy allows it to be disabled by: {}", allowed.join(", "))
    };
    Refusal::new(
        RefusalCode::DisableForbidden,
        "content trust can't be disabled here",
        &format!("{} asks for it", error.by),
    )
    .note(&format!("{} forbids it", error.place))
    .note(&allowed)
    .help("leave it out, and every image is checked")
}

/// The lines that pin a repository's root in a policy.
pub(super) fn pin_snippet(gun: &Gun, root_key_ids: &[String]) -> String {
    let keys: Vec<String> = root_key_ids.iter().map(|key| format!("\"{}\"", visible(key))).collect();
    format!("[[repository]]\npattern = \"{gun}\"\nroot-keys = [{}]", keys.join(", "))
}

fn metadata_code(error: &TufError) -> RefusalCode {
    match error {
        TufError::CertificateExpired { .. } | TufError::Expired { .. } => RefusalCode::ExpiredMetadata,
        TufError::Rollback { .. } => RefusalCode::RolledBackMetadata,
        TufError::Authority { .. }
        | TufError::AuthorityUnusable { .. }
        | TufError::Certificate { .. }
        | TufError::NotSignedByPrevious { .. }
        | TufError::PinMismatch { .. }
        | TufError::WrongRepository { .. } => RefusalCode::UntrustedRoot,
        TufError::Conflict { .. }
        | TufError::Hash { .. }
        | TufError::InvalidRole { .. }
        | TufError::KeyIdMismatch { .. }
        | TufError::Length { .. }
        | TufError::Malformed { .. }
        | TufError::NoSignatures { .. }
        | TufError::NotInSnapshot { .. }
        | TufError::Oversized { .. }
        | TufError::Threshold { .. }
        | TufError::UnknownDelegation { .. } => RefusalCode::InvalidMetadata,
    }
}

fn server_note(server: &str) -> String {
    format!("trust server: {server}")
}

fn validity(expires: Timestamp, now: Option<Timestamp>) -> String {
    let Some(now) = now else { return format!("timestamp valid until {expires}") };
    let seconds = expires.as_second().saturating_sub(now.as_second());
    let (count, unit) = match seconds {
        ..=0 => return format!("timestamp expired on {expires}"),
        1..3_600 => (seconds / 60, "minute"),
        3_600..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("timestamp valid for {count} {unit}{plural}")
}

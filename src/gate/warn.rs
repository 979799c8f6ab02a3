//! What a person should know although it stops nothing.

use super::decision::{Warning, WarningCode};
use super::explain::pin_snippet;
use super::refusal::Refusal;
use crate::image::Reference;
use crate::policy::DisabledBy;
use crate::text::visible;
use crate::trust::{Freshness, SignedTarget};

pub(super) fn disabled(by: DisabledBy) -> Warning {
    Warning {
        code: WarningCode::TrustDisabled,
        message: "content trust is disabled for this build: nobody checked its images".to_owned(),
        notes: vec![format!("{by} disables it")],
        request: None,
    }
}

pub(super) fn audit(refusal: &Refusal, request: usize) -> Warning {
    let mut notes = vec![refusal.label.clone()];
    notes.extend(refusal.notes.iter().cloned());
    notes.push("it enters all the same, as the policy only audits this repository".to_owned());
    Warning { code: WarningCode::Audit, message: refusal.title.clone(), notes, request: Some(request) }
}

pub(super) fn tag_differs(reference: &Reference, signed: &SignedTarget, request: usize) -> Warning {
    let name = reference.familiar_name();
    Warning {
        code: WarningCode::TagDiffers,
        message: visible(&format!("{reference} is not the image that tag {} is signed with", signed.tag)),
        notes: vec![
            visible(&format!("signed: {name}:{}@{}", signed.tag, signed.digest)),
            "the digest passes, as docker has it; `digest = \"signed\"` in a policy refuses it".to_owned(),
        ],
        request: Some(request),
    }
}

/// What the look-ups themselves have to say, once for each repository.
pub(super) fn about_look_ups(targets: &[SignedTarget], request: usize, warnings: &mut Vec<Warning>) {
    for target in targets {
        for warning in [first_use(target), cached(target), cache_trouble(target)].into_iter().flatten() {
            let known = |other: &Warning| other.code == warning.code && other.message == warning.message;
            if !warnings.iter().any(known) {
                warnings.push(Warning { request: Some(request), ..warning });
            }
        }
    }
}

fn first_use(target: &SignedTarget) -> Option<Warning> {
    if !target.first_use {
        return None;
    }
    let mut notes: Vec<String> =
        target.root_key_ids.iter().map(|key| visible(&format!("root key: {key}"))).collect();
    let snippet = pin_snippet(&target.gun, &target.root_key_ids);
    notes.push(format!("check it with the publisher, then pin it in a policy:\n{snippet}"));
    Some(Warning {
        code: WarningCode::TrustOnFirstUse,
        message: format!("the root of {} was trusted on first use", target.gun),
        notes,
        request: None,
    })
}

fn cached(target: &SignedTarget) -> Option<Warning> {
    let Freshness::Cached { reason } = &target.freshness else { return None };
    let expires = target.roles.iter().find(|status| status.role == "timestamp").map(|status| status.expires);
    let mut notes = vec![visible(reason)];
    if let Some(expires) = expires {
        notes.push(format!("the cached timestamp is valid until {expires}"));
    }
    Some(Warning {
        code: WarningCode::CachedTimestamp,
        message: visible(&format!(
            "{} could not be asked about {}; cached trust data was used",
            target.server, target.gun
        )),
        notes,
        request: None,
    })
}

fn cache_trouble(target: &SignedTarget) -> Option<Warning> {
    if target.notes.is_empty() {
        return None;
    }
    Some(Warning {
        code: WarningCode::TrustCache,
        message: format!("{} was verified, but not everything went well", target.gun),
        notes: target.notes.iter().map(|note| visible(note)).collect(),
        request: None,
    })
}

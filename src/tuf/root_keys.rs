//! The keys of a root role: which certificates may speak for a repository, and which of them are pinned.

use std::fmt;

use super::certificate::{Bundle, Certificate};
use super::chain::RootPins;
use super::metadata::RoleKeys;
use super::{KeyId, PublicKey, TufError};
use crate::image::Gun;

/// The keys of a root role, by whether they may count.
pub(super) struct Candidates {
    /// Those that may, with their certificates.
    usable: Vec<(PublicKey, Bundle)>,
    unusable: Vec<Unusable>,
}

impl Candidates {
    /// Sorts the keys; when none is usable, the error says why.
    pub(super) fn of(role: &RoleKeys, gun: &Gun, now: Option<jiff::Timestamp>) -> Result<Self, TufError> {
        let mut candidates = Self { usable: Vec::new(), unusable: Vec::new() };
        for key in &role.keys {
            match root_certificate(key, gun, now) {
                Ok(bundle) => candidates.usable.push((key.clone(), bundle)),
                Err(why) => candidates.unusable.push(Unusable { id: key.id().clone(), why }),
            }
        }
        if !candidates.usable.is_empty() {
            return Ok(candidates);
        }
        // What a user can act on comes first: time, then name, then form.
        candidates.unusable.sort_by_key(|it| match it.why {
            Why::Time { .. } => 0,
            Why::Name(_) => 1,
            Why::Form(_) => 2,
        });
        let names = candidates.unusable.iter().filter_map(|it| match &it.why {
            Why::Name(name) => Some(name.clone()),
            Why::Time { .. } | Why::Form(_) => None,
        });
        let names: Vec<String> = names.take(NAMES_SHOWN).collect();
        Err(match candidates.unusable.into_iter().next() {
            Some(Unusable { why: Why::Name(_), .. }) => {
                TufError::WrongRepository { names, gun: gun.to_string() }
            }
            Some(unusable) => unusable.into_error(gun),
            None => TufError::Certificate { gun: gun.to_string(), reason: "there is none".to_owned() },
        })
    }

    /// The usable keys.
    pub(super) fn keys(&self) -> Vec<PublicKey> {
        self.usable.iter().map(|(key, _)| key.clone()).collect()
    }

    /// Why the other keys do not count.
    pub(super) fn reasons(&self) -> impl Iterator<Item = String> {
        self.unusable.iter().map(Unusable::to_string)
    }

    /// The error that stands for all keys that do not count, where there is one.
    pub(super) fn first_error(self, gun: &Gun) -> Option<TufError> {
        self.unusable.into_iter().next().map(|it| it.into_error(gun))
    }

    /// The usable keys that the pins allow; authorities are asked at a time, or whatever the time.
    pub(super) fn pinned(
        &self,
        gun: &Gun,
        pins: &RootPins,
        now: Option<jiff::Timestamp>,
    ) -> Result<Vec<PublicKey>, TufError> {
        let gun = || gun.to_string();
        let keys = self.usable.iter().map(|(key, _)| key);
        match pins {
            RootPins::TrustOnFirstUse => Ok(self.keys()),
            RootPins::Keys(ids) => {
                let is_pinned = |it: &&PublicKey| ids.contains(it.id()) || ids.contains(it.canonical_id());
                let pinned: Vec<PublicKey> = keys.clone().filter(is_pinned).cloned().collect();
                if pinned.is_empty() {
                    let found = keys.take(NAMES_SHOWN).map(|it| it.id().clone()).collect();
                    return Err(TufError::PinMismatch { gun: gun(), found });
                }
                Ok(pinned)
            }
            RootPins::Authority(authorities) => {
                let parsed = authorities
                    .iter()
                    .map(|it| Certificate::parse(it.clone()))
                    .collect::<Result<Vec<_>, _>>();
                let authorities = parsed.map_err(|reason| TufError::AuthorityUnusable { reason })?;
                let mut pinned = Vec::new();
                let mut reason = "none is pinned".to_owned();
                for (key, bundle) in &self.usable {
                    match bundle.chains_to(&authorities, now) {
                        Ok(()) => pinned.push(key.clone()),
                        Err(it) => reason = it,
                    }
                }
                if pinned.is_empty() { Err(TufError::Authority { gun: gun(), reason }) } else { Ok(pinned) }
            }
        }
    }
}

/// A key of a root role that cannot count.
struct Unusable {
    id: KeyId,
    why: Why,
}

enum Why {
    Form(String),
    Name(String),
    Time { from: jiff::Timestamp, until: jiff::Timestamp },
}

impl Unusable {
    fn into_error(self, gun: &Gun) -> TufError {
        let gun = gun.to_string();
        match self.why {
            Why::Form(reason) => TufError::Certificate { gun, reason },
            Why::Name(name) => TufError::WrongRepository { names: vec![name], gun },
            Why::Time { from, until } => TufError::CertificateExpired { gun, from, until },
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.as_str().get(..12).unwrap_or_default();
        match &self.why {
            Why::Form(reason) => write!(f, "key {id} does not count: {reason}"),
            Why::Name(name) => write!(f, "key {id} is for `{name}`"),
            Why::Time { from, until } => {
                write!(f, "the certificate of key {id} is valid from {from} to {until}")
            }
        }
    }
}

/// Notary's rules for a certificate that may sign a root of this repository.
fn root_certificate(key: &PublicKey, gun: &Gun, now: Option<jiff::Timestamp>) -> Result<Bundle, Why> {
    if !key.key_type().is_certificate() {
        return Err(Why::Form(format!("a key of type `{}` is not inside a certificate", key.key_type())));
    }
    let bundle = Bundle::parse(key.public()).map_err(Why::Form)?;
    let leaf = bundle.leaf().map_err(Why::Form)?;
    let Some(name) = leaf.common_name() else {
        return Err(Why::Form("the certificate does not have one common name".to_owned()));
    };
    if !names_repository(&name, gun) {
        return Err(Why::Name(name.escape_debug().take(NAME_SHOWN).collect()));
    }
    leaf.check_form().map_err(Why::Form)?;
    key.material().map_err(Why::Form)?;
    if let Some(now) = now {
        let (from, until) = leaf.validity();
        let tomorrow = now.checked_add(CERTIFICATE_LEEWAY).unwrap_or(now);
        if tomorrow < from || now > until {
            return Err(Why::Time { from, until });
        }
    }
    Ok(bundle)
}

/// A name that ends in `*` stands for every repository that starts with what is before it.
fn names_repository(name: &str, gun: &Gun) -> bool {
    if name.ends_with('*') {
        return gun.as_str().starts_with(name.trim_end_matches('*'));
    }
    name == gun.as_str()
}

/// Clocks of publishers may run ahead: Notary takes a certificate a day before it starts.
const CERTIFICATE_LEEWAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);
/// Certificate names in an error: enough to see whose they are.
const NAMES_SHOWN: usize = 4;
/// A GUN has at most 255 characters.
const NAME_SHOWN: usize = 255;

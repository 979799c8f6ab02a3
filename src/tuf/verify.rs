//! The update rules: the only place that makes a [`Trusted`].
//!
//! A file is refused before it is interpreted when it is too long, when it is not the file that the
//! role above it names, or when too few of the role's keys signed it. Then its type, version and
//! time are read, and only then what it says. `root` is the exception that TUF makes: it names its
//! own keys, so it is read before its own signatures are checked, but after its predecessor's are.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use ring::digest::{SHA256, SHA512, digest};

use super::chain::RootPins;
use super::document::{Document, Frame};
use super::metadata::{FileMeta, Header, RoleKeys};
use super::root_keys::Candidates;
use super::signature::{self, TooFew};
use super::{
    KeyId, ROOT_LIMIT, RoleName, Root, SNAPSHOT_LIMIT, Snapshot, TARGETS_LIMIT, TIMESTAMP_LIMIT, Targets,
    Timestamp, TufError, Version,
};
use crate::image::Gun;

/// When metadata must be valid: at a point in time, or, for those who write it anew, [`AnyTime`].
pub trait When: Copy + sealed::Sealed {
    /// The point in time.
    fn now(self) -> Option<jiff::Timestamp>;
}

impl When for jiff::Timestamp {
    fn now(self) -> Option<jiff::Timestamp> {
        Some(self)
    }
}

/// Metadata is taken even if it is expired. What is verified like this has a type of its own, which
/// nothing that reads or gates takes: it can be looked at, and signed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnyTime;

impl When for AnyTime {
    fn now(self) -> Option<jiff::Timestamp> {
        None
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for jiff::Timestamp {}
    impl Sealed for super::AnyTime {}
}

/// Metadata whose signatures, hashes, version and time were checked.
#[derive(Clone, Debug)]
pub struct Trusted<T, W = jiff::Timestamp> {
    role: RoleName,
    document: Arc<Document>,
    version: Version,
    expires: jiff::Timestamp,
    signatures: Vec<KeyId>,
    value: T,
    when: PhantomData<W>,
}

impl<T, W> Trusted<T, W> {
    /// The role that it was verified as.
    #[must_use]
    pub fn role(&self) -> &RoleName {
        &self.role
    }

    /// The file as it came over the wire.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.document.raw()
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// When it expires.
    #[must_use]
    pub fn expires(&self) -> jiff::Timestamp {
        self.expires
    }

    /// The IDs of the keys whose signatures were found valid.
    #[must_use]
    pub fn signatures(&self) -> &[KeyId] {
        &self.signatures
    }

    /// Whether its time is over.
    pub fn check_expiry(&self, now: jiff::Timestamp) -> Result<(), TufError> {
        if self.expires <= now {
            return Err(TufError::Expired { role: self.role.clone(), at: self.expires });
        }
        Ok(())
    }

    /// The file taken apart.
    pub(super) fn document(&self) -> &Arc<Document> {
        &self.document
    }

    /// The bytes that were signed.
    pub(super) fn message(&self) -> std::borrow::Cow<'_, [u8]> {
        self.document.message()
    }

    /// Whether both files say the same, whoever signed them.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.document.message() == other.document.message()
    }
}

impl<T, W> Deref for Trusted<T, W> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Verifies a timestamp: the role's keys signed it, it is unexpired and not older than `minimum`.
pub fn verify_timestamp<W: When>(
    root: &Trusted<Root>,
    raw: Vec<u8>,
    minimum: Option<Version>,
    when: W,
) -> Result<Trusted<Timestamp, W>, TufError> {
    let role = RoleName::TIMESTAMP;
    let keys = base_role(root, &role)?;
    let demands = Demands { keys, named: None, minimum, when };
    verify(&role, raw, &demands, |document| Timestamp::parse(document).map_err(malformed(&role)))
}

/// Verifies the snapshot that the timestamp names, and that it names this very root.
pub fn verify_snapshot<W: When>(
    root: &Trusted<Root>,
    timestamp: &Trusted<Timestamp, W>,
    raw: Vec<u8>,
    minimum: Option<Version>,
    when: W,
) -> Result<Trusted<Snapshot, W>, TufError> {
    let role = RoleName::SNAPSHOT;
    let keys = base_role(root, &role)?;
    let named = Some((RoleName::TIMESTAMP, timestamp.snapshot()));
    let demands = Demands { keys, named, minimum, when };
    let snapshot =
        verify(&role, raw, &demands, |document| Snapshot::parse(document).map_err(malformed(&role)))?;
    check_file(&RoleName::ROOT, root.raw(), &role, listed(&snapshot, &RoleName::ROOT)?)?;
    Ok(snapshot)
}

/// Verifies the `targets` file that the snapshot names.
pub fn verify_targets<W: When>(
    root: &Trusted<Root>,
    snapshot: &Trusted<Snapshot, W>,
    raw: Vec<u8>,
    minimum: Option<Version>,
    when: W,
) -> Result<Trusted<Targets, W>, TufError> {
    let role = RoleName::TARGETS;
    let keys = base_role(root, &role)?;
    let named = Some((RoleName::SNAPSHOT, listed(snapshot, &role)?));
    let demands = Demands { keys, named, minimum, when };
    verify(&role, raw, &demands, |document| Targets::parse(&role, document, vec![String::new()]))
}

/// Verifies the delegation's file that the snapshot names, by the keys that its parent names.
///
/// What it says counts only for names within its paths, and within those of every role above it.
pub fn verify_delegation<W: When>(
    parent: &Trusted<Targets, W>,
    role: &RoleName,
    snapshot: &Trusted<Snapshot, W>,
    raw: Vec<u8>,
    minimum: Option<Version>,
    when: W,
) -> Result<Trusted<Targets, W>, TufError> {
    let delegation = delegation(parent, role)?;
    let named = Some((RoleName::SNAPSHOT, listed(snapshot, role)?));
    let demands = Demands { keys: &delegation.keys, named, minimum, when };
    verify(role, raw, &demands, |document| Targets::parse(role, document, parent.restricted(delegation)))
}

/// The version of an older `timestamp`, `snapshot` or `targets` file that the root's keys signed, however
/// old it is: the lowest version that a newer file may have.
pub fn signed_version(root: &Trusted<Root>, role: &RoleName, raw: Vec<u8>) -> Result<Version, TufError> {
    let demands = Demands { keys: base_role(root, role)?, named: None, minimum: None, when: AnyTime };
    verify(role, raw, &demands, |_| Ok(())).map(|it| it.version)
}

/// The same of an older delegation file, by the keys that its parent names.
pub fn signed_delegation_version<W>(
    parent: &Trusted<Targets, W>,
    role: &RoleName,
    raw: Vec<u8>,
) -> Result<Version, TufError> {
    let demands =
        Demands { keys: &delegation(parent, role)?.keys, named: None, minimum: None, when: AnyTime };
    verify(role, raw, &demands, |_| Ok(())).map(|it| it.version)
}

/// The version that **unverified** bytes claim: good for choosing what to fetch next, for nothing else.
/// Files longer than a root may be are not looked at.
#[must_use]
pub fn peek_version(raw: &[u8]) -> Option<Version> {
    if raw.len() > ROOT_LIMIT {
        return None;
    }
    let document = Document::parse(&RoleName::ROOT, raw.to_vec()).ok()?;
    let [version] = document.fields(["version"]).ok()?;
    Version::new(version?.count().ok()?)
}

/// What a root must fulfil besides its own rules.
pub(super) struct RootDemands<'a> {
    pub(super) gun: &'a Gun,
    pub(super) previous: Option<&'a Trusted<Root>>,
    pub(super) pins: &'a RootPins,
    /// The time at which it and its certificates must be valid; `None`: whatever the time.
    pub(super) now: Option<jiff::Timestamp>,
}

/// Verifies a root by its predecessor, where there is one, by the pins, and by its own keys.
pub(super) fn verify_root(raw: Vec<u8>, demands: &RootDemands<'_>) -> Result<Trusted<Root>, TufError> {
    let role = RoleName::ROOT;
    check_size(&role, &raw)?;
    let document = Arc::new(Document::parse(&role, raw)?);
    if let Some(previous) = demands.previous {
        check_predecessor(&document, previous, demands.gun)?;
    }
    let header = Header::parse(&document, &role).map_err(malformed(&role))?;
    let value = Root::parse(&document)?;
    let own = base_role(&value, &role)?;
    let candidates = Candidates::of(own, demands.gun, demands.now)?;
    let keys = RoleKeys {
        keys: candidates.pinned(demands.gun, demands.pins, demands.now)?,
        threshold: own.threshold,
    };
    let signatures = signature::check(&document, &keys)
        .map_err(|it| threshold(&role)(it.because(candidates.reasons())))?;
    let root = Trusted {
        role,
        document,
        version: header.version,
        expires: header.expires,
        signatures,
        value,
        when: PhantomData,
    };
    if let Some(now) = demands.now {
        root.check_expiry(now)?;
    }
    Ok(root)
}

/// Whether enough certificates that signed the root are valid at this time.
pub(super) fn check_certificates(
    root: &Trusted<Root>,
    gun: &Gun,
    now: jiff::Timestamp,
) -> Result<(), TufError> {
    let own = base_role(root, &RoleName::ROOT)?;
    let signers = own.keys.iter().filter(|it| root.signatures.contains(it.id())).cloned().collect();
    let signers = RoleKeys { keys: signers, threshold: own.threshold };
    let candidates = Candidates::of(&signers, gun, Some(now))?;
    let usable: BTreeSet<KeyId> = candidates.keys().iter().map(|it| it.canonical_id().clone()).collect();
    // A number of keys always fits 64 bits.
    if u64::try_from(usable.len()).unwrap_or(u64::MAX) >= own.threshold {
        return Ok(());
    }
    candidates.first_error(gun).map_or(Ok(()), Err)
}

/// The keys of the trusted root must have signed the new one, however old they are by now.
fn check_predecessor(document: &Document, previous: &Trusted<Root>, gun: &Gun) -> Result<(), TufError> {
    let role = base_role(previous, &RoleName::ROOT)?;
    let keys = RoleKeys { keys: Candidates::of(role, gun, None)?.keys(), threshold: role.threshold };
    signature::check(document, &keys).map(drop).map_err(|it| TufError::NotSignedByPrevious {
        previous: previous.version,
        valid: it.valid,
        needed: it.needed,
        reasons: it.reasons,
    })
}

/// What is demanded of a file, whichever role's it is.
struct Demands<'a, W> {
    keys: &'a RoleKeys,
    /// The role that names the file, and what it says about it.
    named: Option<(RoleName, &'a FileMeta)>,
    minimum: Option<Version>,
    /// When it must be unexpired.
    when: W,
}

fn verify<T, W: When>(
    role: &RoleName,
    raw: Vec<u8>,
    demands: &Demands<'_, W>,
    read: impl FnOnce(&Arc<Document>) -> Result<T, TufError>,
) -> Result<Trusted<T, W>, TufError> {
    check_size(role, &raw)?;
    let frame = match &demands.named {
        Some((named_by, meta)) => read_named(role, &raw, named_by, meta)?,
        None => Frame::read(role, &raw)?,
    };
    let document = Arc::new(Document::new(role, raw, frame)?);
    let signatures = signature::check(&document, demands.keys).map_err(threshold(role))?;
    let Header { version, expires } = Header::parse(&document, role).map_err(malformed(role))?;
    if let Some(minimum) = demands.minimum
        && version < minimum
    {
        return Err(TufError::Rollback { role: role.clone(), found: version, minimum });
    }
    if let Some(now) = demands.when.now()
        && expires <= now
    {
        return Err(TufError::Expired { role: role.clone(), at: expires });
    }
    let value = read(&document)?;
    Ok(Trusted { role: role.clone(), document, version, expires, signatures, value, when: PhantomData })
}

fn check_size(role: &RoleName, raw: &[u8]) -> Result<(), TufError> {
    let limit = match role.as_str() {
        "root" => ROOT_LIMIT,
        "snapshot" => SNAPSHOT_LIMIT,
        "timestamp" => TIMESTAMP_LIMIT,
        _ => TARGETS_LIMIT,
    };
    if raw.len() > limit { Err(TufError::Oversized { role: role.clone(), limit }) } else { Ok(()) }
}

/// Checks that the file is the one that another role names, and takes it apart.
///
/// Hashing a long file takes as long as reading it, so both are done at a time; a file that has the
/// wrong hash is refused as such, whatever the reader says, and before it can cost memory.
fn read_named(role: &RoleName, raw: &[u8], named_by: &RoleName, meta: &FileMeta) -> Result<Frame, TufError> {
    let check = || check_file(role, raw, named_by, meta);
    if raw.len() >= LONG_FILE {
        let both = std::thread::scope(|scope| {
            let hashes = std::thread::Builder::new().spawn_scoped(scope, check).ok()?;
            let frame = Frame::read(role, raw);
            hashes.join().ok().map(|checked| checked.and(frame))
        });
        // Where there is no second thread to be had, one does both.
        if let Some(frame) = both {
            return frame;
        }
    }
    check()?;
    Frame::read(role, raw)
}

/// Whether the file is the one that another role names. Notary also takes a file shorter than named.
fn check_file(role: &RoleName, raw: &[u8], named_by: &RoleName, meta: &FileMeta) -> Result<(), TufError> {
    // A length in memory always fits 64 bits.
    let found = u64::try_from(raw.len()).unwrap_or(u64::MAX);
    if found != meta.length {
        return Err(TufError::Length {
            role: role.clone(),
            named_by: named_by.clone(),
            expected: meta.length,
            found,
        });
    }
    let compare = |algorithm, expected: &[u8], found: &[u8]| {
        if expected == found {
            return Ok(());
        }
        let (expected, found) = (hex::encode(expected), hex::encode(found));
        Err(TufError::Hash { role: role.clone(), named_by: named_by.clone(), algorithm, expected, found })
    };
    // Of the two libraries at hand, ring's SHA-512 is faster by a third, and it is most of the work.
    compare("SHA-256", &meta.sha256, digest(&SHA256, raw).as_ref())?;
    meta.sha512
        .as_ref()
        .map_or(Ok(()), |expected| compare("SHA-512", expected, digest(&SHA512, raw).as_ref()))
}

fn base_role<'a>(root: &'a Root, role: &RoleName) -> Result<&'a RoleKeys, TufError> {
    let parent = RoleName::ROOT;
    root.role(role).ok_or_else(|| TufError::UnknownDelegation { role: role.clone(), parent })
}

fn delegation<'a, W>(
    parent: &'a Trusted<Targets, W>,
    role: &RoleName,
) -> Result<&'a super::Delegation, TufError> {
    let unknown = || TufError::UnknownDelegation { role: role.clone(), parent: parent.role.clone() };
    parent.delegation(role).ok_or_else(unknown)
}

fn listed<'a>(snapshot: &'a Snapshot, role: &RoleName) -> Result<&'a FileMeta, TufError> {
    snapshot.meta(role).ok_or_else(|| TufError::NotInSnapshot { role: role.clone() })
}

fn malformed(role: &RoleName) -> impl Fn(String) -> TufError {
    let role = role.clone();
    move |reason| TufError::Malformed { role: role.clone(), reason }
}

fn threshold(role: &RoleName) -> impl Fn(TooFew) -> TufError {
    let role = role.clone();
    move |it| TufError::Threshold {
        role: role.clone(),
        valid: it.valid,
        needed: it.needed,
        reasons: it.reasons,
    }
}

/// From this size on, a second thread costs less than it saves.
const LONG_FILE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuf::testing::{Repository, TestKey, now};

    #[test]
    fn a_repository_as_docker_makes_it_verifies() {
        let mut repository = Repository::new("docker.io/acme/base");
        let digest = repository.tag("targets", "1.4", b"a manifest");
        repository.delegate("targets/releases", &[TestKey::ed25519("releases")], 1, &[""]);
        repository.tag("targets/releases", "1.5", b"another manifest");
        let verified = repository.publish().verify(now()).unwrap();
        let target = verified.targets.find("1.4").unwrap().unwrap();
        assert_eq!(hex::encode(target.sha256.unwrap()), digest);
        assert_eq!(target.length, 10);
        assert_eq!(verified.targets.find("1.5").unwrap(), None);
        assert!(verified.delegations[&RoleName::RELEASES].find("1.5").unwrap().is_some());
        verified.chain.check_expiry(now()).unwrap();
    }
}

//! From a verified repository to the digest of a tag: which role's word counts, and who signed.
//!
//! Docker's order is `targets/releases`, then `targets`, and no other role; where docker passes
//! over a broken `targets/releases` to the older word of `targets`, this look-up is refused.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use futures_util::future::join_all;

use super::repository::{Delegated, Repository, status};
use super::{
    PlatformManifest, RepositoryTerms, RoleChoice, SignedTarget, Signer, SignerListing, TrustError, Want,
    platforms_of,
};
use crate::image::{Digest, DigestAlgorithm};
use crate::tuf::{RoleName, Root, Target, Targets, Trusted};

/// What a role says of a tag.
struct Found {
    tag: String,
    role: Role,
    target: Target,
}

/// A role whose word was read.
#[derive(Clone)]
enum Role {
    Targets,
    Delegation(Arc<Delegated>),
}

impl Role {
    fn of<'a>(&'a self, repository: &'a Repository) -> &'a Trusted<Targets> {
        match self {
            Self::Targets => repository.targets(),
            Self::Delegation(delegated) => &delegated.targets,
        }
    }
}

impl Repository {
    /// The signed digest of what is wanted.
    pub(super) async fn find(
        &self,
        want: Want<'_>,
        terms: &RepositoryTerms,
        listing: SignerListing,
        now: jiff::Timestamp,
    ) -> Result<SignedTarget, TrustError> {
        self.check_time(now)?;
        let roles = self.releasing_roles(&terms.roles).await?;
        match want {
            Want::Tag(tag) => {
                let found = self.find_tag(tag.as_str(), &roles, terms).await?;
                let digest = self.digest_of(&found)?;
                self.complete(found, digest, terms, listing).await
            }
            Want::Digest(digest) => {
                let mut refusal = None;
                for found in self.find_digest(digest, &roles)? {
                    match self.complete(found, digest.clone(), terms, listing).await {
                        Ok(target) => return Ok(target),
                        Err(error) => refusal = refusal.or(Some(error)),
                    }
                }
                Err(refusal.unwrap_or_else(|| TrustError::DigestNotSigned {
                    gun: self.gun().clone(),
                    digest: digest.clone(),
                    server: self.server(),
                }))
            }
        }
    }

    /// The roles whose word counts, the first one most; those that do not exist are left out.
    async fn releasing_roles(&self, choice: &RoleChoice) -> Result<Vec<Role>, TrustError> {
        let mut roles = Vec::new();
        for name in releasing_names(choice) {
            if name == RoleName::TARGETS {
                roles.push(Role::Targets);
            } else if let Some(delegated) = self.delegation(&name).await? {
                roles.push(Role::Delegation(delegated));
            }
        }
        Ok(roles)
    }

    async fn find_tag(
        &self,
        tag: &str,
        roles: &[Role],
        terms: &RepositoryTerms,
    ) -> Result<Found, TrustError> {
        for role in roles {
            let verified = role.of(self);
            if let Some(target) = verified.find(tag).map_err(|error| self.failed(error))? {
                return Ok(Found { tag: tag.to_owned(), role: role.clone(), target });
            }
            // Docker looks below `targets/releases` before it looks into `targets`, and then
            // refuses what it finds there.
            if *verified.role() == RoleName::RELEASES
                && let Some(below) = self.find_below(verified, tag, &[]).await?
            {
                return Err(self.not_released(tag, &below, terms));
            }
        }
        // The tag is refused already; who signed it is only for the message, so a role that
        // can't be read is passed over.
        let passed: Vec<RoleName> = roles.iter().map(|role| role.of(self).role().clone()).collect();
        let elsewhere = match self.find_in(self.targets(), tag, &passed) {
            Ok(Some(role)) => Some(role),
            _ => self.find_below(self.targets(), tag, &passed).await.unwrap_or_default(),
        };
        Err(match elsewhere {
            Some(role) => self.not_released(tag, &role, terms),
            None => TrustError::NotSigned {
                gun: self.gun().clone(),
                tag: tag.to_owned(),
                signed_tags: self.signed_tags(roles),
                server: self.server(),
                timestamp_expires: self.timestamp_expires(),
            },
        })
    }

    fn find_in(
        &self,
        role: &Trusted<Targets>,
        tag: &str,
        passed: &[RoleName],
    ) -> Result<Option<RoleName>, TrustError> {
        if passed.contains(role.role()) {
            return Ok(None);
        }
        let target = role.find(tag).map_err(|error| self.failed(error))?;
        Ok(target.map(|_| role.role().clone()))
    }

    /// The first role below `top` that lists the tag, level by level, as Notary walks.
    async fn find_below(
        &self,
        top: &Trusted<Targets>,
        tag: &str,
        passed: &[RoleName],
    ) -> Result<Option<RoleName>, TrustError> {
        let mut queue: VecDeque<RoleName> = top.delegations().iter().map(|it| it.name.clone()).collect();
        for _ in 0..WALK_LIMIT {
            let Some(name) = queue.pop_front() else { return Ok(None) };
            let Some(delegated) = self.delegation(&name).await? else { continue };
            if let Some(role) = self.find_in(&delegated.targets, tag, passed)? {
                return Ok(Some(role));
            }
            queue.extend(delegated.targets.delegations().iter().map(|it| it.name.clone()));
        }
        Ok(None)
    }

    /// Every tag with this digest whose word counts: one that an earlier role does not overrule.
    fn find_digest(&self, digest: &Digest, roles: &[Role]) -> Result<Vec<Found>, TrustError> {
        let failed = |error| self.failed(error);
        let mut all = Vec::new();
        for (index, role) in roles.iter().enumerate() {
            let mut candidates = Vec::new();
            let visit = |tag: &str, target: Target| {
                if (has_digest(&target, digest) || lists(&target, digest))
                    && candidates.len() < CANDIDATE_LIMIT
                {
                    candidates.push(Found { tag: tag.to_owned(), role: role.clone(), target });
                }
            };
            role.of(self).for_each(visit).map_err(failed)?;
            for found in candidates {
                let mut overruled = false;
                for earlier in roles.iter().take(index) {
                    overruled |= earlier.of(self).find(&found.tag).map_err(failed)?.is_some();
                }
                if !overruled {
                    all.push(found);
                }
            }
        }
        Ok(all)
    }

    fn digest_of(&self, found: &Found) -> Result<Digest, TrustError> {
        match &found.target.sha256 {
            Some(value) => Ok(Digest::from_sha256(value)),
            None => Err(TrustError::NoDigest {
                gun: self.gun().clone(),
                tag: found.tag.clone(),
                role: found.role.of(self).role().to_string(),
            }),
        }
    }

    /// Checks the demanded signers and tells everything that was checked.
    async fn complete(
        &self,
        found: Found,
        digest: Digest,
        terms: &RepositoryTerms,
        listing: SignerListing,
    ) -> Result<SignedTarget, TrustError> {
        let releasing = found.role.of(self);
        let mut platforms = platforms(&found.target);
        let mut signers = self.required_signers(&found, terms, &mut platforms).await?;
        let size = match platforms.iter().find(|it| it.digest == digest) {
            Some(manifest) => manifest.size,
            None if has_digest(&found.target, &digest) => found.target.length,
            // A demanded signer has signed the same index, and does not list this manifest.
            None => {
                let (gun, server) = (self.gun().clone(), self.server());
                return Err(TrustError::DigestNotSigned { gun, digest, server });
            }
        };
        let others = self.other_signers(&found, listing, &mut signers).await;
        let account = self.account();
        let mut roles = self.base_roles();
        let mut cached: Vec<String> = account.cached.iter().map(ToString::to_string).collect();
        let mut used: Vec<&Arc<Delegated>> = signers.iter().collect();
        if let Role::Delegation(delegated) = &found.role {
            used.insert(0, delegated);
        }
        let mut told = BTreeSet::new();
        for delegated in used {
            let name = delegated.targets.role().to_string();
            if told.insert(name.clone()) {
                roles.push(status(&delegated.targets));
                if delegated.cached {
                    cached.push(name);
                }
            }
        }
        let mut named: Vec<Signer> = signers.iter().map(|it| signer(&it.targets)).collect();
        if named.is_empty() && others == Others::None {
            named.push(Signer { name: REPOSITORY_ADMIN.to_owned(), key_ids: status(releasing).key_ids });
        }
        let root: &Root = self.chain().root();
        let root_keys = root.role(&RoleName::ROOT);
        Ok(SignedTarget {
            gun: self.gun().clone(),
            digest,
            size,
            platforms,
            role: releasing.role().to_string(),
            signers: named,
            roles,
            server: self.server(),
            freshness: account.freshness.clone(),
            first_use: account.first_use,
            root_key_ids: root_keys
                .map(|role| role.keys.iter().map(|key| key.id().to_string()).collect())
                .unwrap_or_default(),
            cached,
            requests: self.requests(),
            notes: self.notes(),
            tag: found.tag,
        })
    }

    /// The signers that the terms demand; each must have signed the same digest for the tag. Of the
    /// platforms' manifests those are left that all of them list.
    async fn required_signers(
        &self,
        found: &Found,
        terms: &RepositoryTerms,
        platforms: &mut Vec<PlatformManifest>,
    ) -> Result<Vec<Arc<Delegated>>, TrustError> {
        let missing = |signer: &str, reason: String| TrustError::MissingSigner {
            gun: self.gun().clone(),
            tag: found.tag.clone(),
            signer: signer.to_owned(),
            reason,
        };
        let mut signers: Vec<Arc<Delegated>> = Vec::new();
        for name in &terms.signers {
            let full =
                if name.starts_with(SIGNER_PREFIX) { name.clone() } else { format!("{SIGNER_PREFIX}{name}") };
            let Ok(role) = full.parse::<RoleName>() else {
                return Err(missing(name, "this can't be the name of a signer".to_owned()));
            };
            let Some(delegated) = self.delegation(&role).await? else {
                return Err(missing(name, "the repository has no such signer".to_owned()));
            };
            match delegated.targets.find(&found.tag).map_err(|error| self.failed(error))? {
                Some(target) if same_content(&target, &found.target) => {
                    platforms.retain(|it| lists(&target, &it.digest));
                }
                Some(target) => {
                    let other = target.sha256.as_ref().map(Digest::from_sha256);
                    let other =
                        other.map_or_else(|| "something else".to_owned(), |digest| digest.to_string());
                    return Err(missing(name, format!("it signed {other} for this tag")));
                }
                None => return Err(missing(name, "it signed nothing for this tag".to_owned())),
            }
            if signers.iter().all(|known| known.targets.role() != delegated.targets.role()) {
                signers.push(delegated);
            }
        }
        Ok(signers)
    }

    /// Adds the signers that nobody demanded, as far as the listing goes.
    async fn other_signers(
        &self,
        found: &Found,
        listing: SignerListing,
        signers: &mut Vec<Arc<Delegated>>,
    ) -> Others {
        let released = [&RoleName::RELEASES, found.role.of(self).role()];
        let names = self.targets().delegations().iter().map(|it| &it.name);
        let names: Vec<&RoleName> = names
            .filter(|name| !released.contains(name))
            .filter(|name| signers.iter().all(|known| known.targets.role() != *name))
            .take(WALK_LIMIT)
            .collect();
        if names.is_empty() {
            return Others::None;
        }
        match listing {
            SignerListing::Required => return Others::Unread,
            SignerListing::All => {}
        }
        let mut others = Others::None;
        for (name, loaded) in names.iter().zip(join_all(names.iter().map(|name| self.delegation(name))).await)
        {
            let signed = loaded.and_then(|delegated| {
                let Some(delegated) = delegated else { return Ok(None) };
                let target = delegated.targets.find(&found.tag).map_err(|error| self.failed(error))?;
                Ok(target.filter(|target| same_content(target, &found.target)).map(|_| delegated))
            });
            match signed {
                Ok(Some(delegated)) => signers.push(delegated),
                Ok(None) => {}
                Err(error) => {
                    self.note(format!("signer `{}` was passed over: {error}", bare(name)));
                    others = Others::Unread;
                }
            }
        }
        others
    }

    fn not_released(&self, tag: &str, role: &RoleName, terms: &RepositoryTerms) -> TrustError {
        TrustError::NotReleased {
            gun: self.gun().clone(),
            tag: tag.to_owned(),
            role: role.to_string(),
            releasing: releasing_names(&terms.roles).iter().map(ToString::to_string).collect(),
        }
    }

    fn signed_tags(&self, roles: &[Role]) -> Vec<String> {
        let tags: BTreeSet<String> =
            roles.iter().flat_map(|role| role.of(self).names(SIGNED_TAG_LIMIT)).collect();
        tags.into_iter().take(SIGNED_TAG_LIMIT).collect()
    }
}

/// Whether there are delegations that could name more signers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// All were read, or there is none.
    None,
    /// Some were not read.
    Unread,
}

fn releasing_names(choice: &RoleChoice) -> Vec<RoleName> {
    match choice {
        RoleChoice::DockerOrder => vec![RoleName::RELEASES, RoleName::TARGETS],
        RoleChoice::OneOf(roles) => roles.clone(),
    }
}

fn signer(targets: &Trusted<Targets>) -> Signer {
    Signer { name: bare(targets.role()).to_owned(), key_ids: status(targets).key_ids }
}

/// The role's name as docker shows signers.
fn bare(role: &RoleName) -> &str {
    role.as_str().strip_prefix(SIGNER_PREFIX).unwrap_or(role.as_str())
}

fn same_content(one: &Target, other: &Target) -> bool {
    one.sha256.is_some() && one.sha256 == other.sha256 && one.length == other.length
}

/// The manifests of an index that a role signed with it; a list that can't be read vouches for nothing.
fn platforms(target: &Target) -> Vec<PlatformManifest> {
    platforms_of(target.custom.as_ref()).unwrap_or_default()
}

fn lists(target: &Target, manifest: &Digest) -> bool {
    target.custom.is_some() && platforms(target).iter().any(|it| it.digest == *manifest)
}

fn has_digest(target: &Target, digest: &Digest) -> bool {
    match digest.algorithm() {
        DigestAlgorithm::Sha256 => target.sha256.is_some_and(|value| hex::encode(value) == digest.hex()),
        DigestAlgorithm::Sha512 => target.sha512.is_some_and(|value| hex::encode(value) == digest.hex()),
        // Trust data carries no SHA-384.
        DigestAlgorithm::Sha384 => false,
    }
}

const SIGNER_PREFIX: &str = "targets/";
/// What docker shows where no delegation signed.
const REPOSITORY_ADMIN: &str = "Repo Admin";
/// Repositories have a handful of signers; a walk through more serves nobody.
const WALK_LIMIT: usize = 64;
/// Tags that one digest is looked for under; an image has a few.
const CANDIDATE_LIMIT: usize = 64;
/// Enough to find what one mistyped; a repository may have 100,000.
const SIGNED_TAG_LIMIT: usize = 1_000;

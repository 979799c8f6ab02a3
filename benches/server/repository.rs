//! A repository that the bench publishes to, with keys of its own.

use jiff::{SignedDuration, Timestamp};
use trustgate::image::Gun;
use trustgate::keys::PrivateKey;
use trustgate::tuf::author::{RootDraft, TargetsDraft, root_certificate};
use trustgate::tuf::{PublicKey, RoleKeys, RoleName, Target, Version};

use super::client::Connection;

/// Its name, and the key of its targets.
pub(crate) struct Repository {
    pub(crate) path: String,
    targets: PrivateKey,
}

impl Repository {
    /// Initialises it as docker does: the server keeps the keys of snapshot and timestamp.
    pub(crate) async fn publish(connection: &mut Connection, name: &str) -> anyhow::Result<Self> {
        let gun: Gun = name.parse()?;
        let path = format!("/v2/{gun}/_trust/tuf/");
        let (root, targets) = (PrivateKey::generate_p256()?, PrivateKey::generate_ed25519()?);
        // From yesterday: not every clock that looks at it is right.
        let certificate = root_certificate(&root, &gun, [0x5a; 16], in_days(-1))?;
        let mut draft = RootDraft::new(in_days(3650));
        draft.set_keys(&RoleName::ROOT, &one(certificate))?;
        draft.set_keys(&RoleName::TARGETS, &one(targets.public().clone()))?;
        for role in [RoleName::SNAPSHOT, RoleName::TIMESTAMP] {
            let key = connection.get(&format!("{path}{role}.key")).await?;
            draft.set_keys(&role, &one(PublicKey::from_json(&key).map_err(anyhow::Error::msg)?))?;
        }
        let root = draft.finish()?.sign(&[&root])?;
        let repository = Self { path, targets };
        let first = repository.next(None, 1)?;
        let (status, body) =
            connection.post(&repository.path, &[("root", &root), ("targets", &first)]).await?;
        anyhow::ensure!(status.is_success(), "{name}: {status} {}", String::from_utf8_lossy(&body));
        Ok(repository)
    }

    /// The targets after this version, with this many tags.
    pub(crate) fn next(&self, version: Option<u64>, tags: u32) -> anyhow::Result<Vec<u8>> {
        let mut draft = match version.and_then(Version::new) {
            Some(version) => TargetsDraft::after(RoleName::TARGETS, version, in_days(1095))?,
            None => TargetsDraft::new(RoleName::TARGETS, in_days(1095)),
        };
        for tag in 0..tags {
            let mut sha256 = [0; 32];
            sha256[..8].copy_from_slice(&(u64::from(tag) + version.unwrap_or(0)).to_be_bytes());
            let target = Target { length: 528, sha256: Some(sha256), sha512: None, custom: None };
            draft.set_target(&format!("v{tag}"), &target)?;
        }
        Ok(draft.finish(&one(self.targets.public().clone()))?.sign(&[&self.targets])?)
    }
}

fn one(key: PublicKey) -> RoleKeys {
    RoleKeys { keys: vec![key], threshold: 1 }
}

fn in_days(days: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(24 * days)
}

//! The vault over rows in memory.

use std::sync::atomic::{AtomicI64, Ordering};

use zeroize::Zeroizing;

use super::*;
use crate::signer::MemoryRows;
use crate::signer::rows::{Alias, SealedKey};
use crate::tuf::KeyType;

pub(super) struct Bench {
    pub(super) vault: Vault,
    pub(super) rows: Arc<MemoryRows>,
    second: Arc<AtomicI64>,
}

fn alias(name: &str) -> Alias {
    name.parse().unwrap()
}

fn sealing_key(byte: u8) -> SealingKey {
    SealingKey::new(&Zeroizing::new([byte; 32]))
}

pub(super) fn bench() -> Bench {
    let rows = Arc::new(MemoryRows::new());
    let second = Arc::new(AtomicI64::new(1_700_000_000));
    let clock = {
        let second = Arc::clone(&second);
        Arc::new(move || Timestamp::from_second(second.load(Ordering::SeqCst)).unwrap())
    };
    let sealing = SealingKeys::new(alias("one"), sealing_key(1));
    Bench { vault: Vault::new(rows.clone(), sealing, clock), rows, second }
}

pub(super) fn gun(name: &str) -> Gun {
    name.parse().unwrap()
}

#[tokio::test]
async fn a_key_that_signed_nothing_is_handed_out_again() {
    let Bench { vault, .. } = bench();
    let acme = gun("docker.io/acme/base");
    let algorithm = KeyAlgorithm::Ed25519;
    let first = vault.create(&acme, &RoleName::TIMESTAMP, algorithm).await.unwrap();
    assert_eq!(vault.create(&acme, &RoleName::TIMESTAMP, algorithm).await.unwrap(), first);
    // For no other purpose, and not as another algorithm.
    let other_role = vault.create(&acme, &RoleName::SNAPSHOT, algorithm).await.unwrap();
    let other_gun = vault.create(&gun("docker.io/acme/x"), &RoleName::TIMESTAMP, algorithm).await.unwrap();
    let other_kind = vault.create(&acme, &RoleName::TIMESTAMP, KeyAlgorithm::P256).await.unwrap();
    assert!(![&other_role, &other_gun, &other_kind].contains(&&first));
    assert_eq!(other_kind.key_type(), &KeyType::Ecdsa);

    vault.sign(first.canonical_id(), b"m").await.unwrap();
    assert_ne!(vault.create(&acme, &RoleName::TIMESTAMP, algorithm).await.unwrap(), first);
}

#[tokio::test]
async fn a_key_is_what_it_was_made_as_until_it_is_deleted() {
    let Bench { vault, .. } = bench();
    let public = vault.create(&gun("acme/a"), &RoleName::SNAPSHOT, KeyAlgorithm::P256).await.unwrap();
    let id = public.canonical_id();
    assert_eq!(vault.info(id).await.unwrap(), KeyInfo { public: public.clone(), role: RoleName::SNAPSHOT });
    vault.delete(id).await.unwrap();
    let unknown = KeyServiceError::Unknown { key: id.clone() };
    assert_eq!(vault.delete(id).await, Err(unknown.clone()));
    assert_eq!(vault.info(id).await, Err(unknown.clone()));
    assert_eq!(vault.sign(id, b"m").await, Err(unknown));
    let next = vault.create(&gun("acme/a"), &RoleName::SNAPSHOT, KeyAlgorithm::P256).await.unwrap();
    assert_ne!(next, public);
}

#[tokio::test]
async fn use_is_noted_at_once_and_then_rarely() {
    let Bench { vault, rows, second } = bench();
    let key = vault.create(&gun("acme/a"), &RoleName::TIMESTAMP, KeyAlgorithm::Ed25519).await.unwrap();
    let id = key.canonical_id();
    let mut noted = Vec::new();
    for step in [0, 60, 3_600] {
        second.fetch_add(step, Ordering::SeqCst);
        vault.sign(id, b"m").await.unwrap();
        noted.push(rows.find(id).await.unwrap().unwrap().last_used.unwrap().as_second() - 1_700_000_000);
    }
    assert_eq!(noted, [0, 0, 3_660]);
}

#[tokio::test]
async fn key_encryption_keys_are_changed_while_keys_are_in_use() {
    let Bench { vault, rows, .. } = bench();
    let mut ids = Vec::new();
    for number in 0..250 {
        let gun = gun(&format!("acme/{number}"));
        let key = vault.create(&gun, &RoleName::TIMESTAMP, KeyAlgorithm::Ed25519).await.unwrap();
        ids.push(key.canonical_id().clone());
    }
    // Deleted keys too: nothing may stay that needs the old one.
    vault.delete(&ids[0]).await.unwrap();
    vault.replace_sealing_keys(
        SealingKeys::new(alias("two"), sealing_key(2)).with(alias("one"), sealing_key(1)),
    );
    vault.sign(&ids[1], b"m").await.unwrap();
    let outcome = vault.reseal().await.unwrap();
    assert_eq!(outcome, Resealing { resealed: 250, left: Vec::new() });
    assert_eq!(rows.aliases().await.unwrap(), [alias("two")]);
    assert_eq!(vault.reseal().await.unwrap(), Resealing::default());
    vault.replace_sealing_keys(SealingKeys::new(alias("two"), sealing_key(2)));
    for id in &ids[1..] {
        vault.sign(id, b"m").await.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_does_not_open_is_named_and_left_alone() {
    let Bench { vault, rows, .. } = bench();
    let key = vault.create(&gun("acme/a"), &RoleName::TIMESTAMP, KeyAlgorithm::Ed25519).await.unwrap();
    let id = key.canonical_id();
    // The old key-encryption key is another one now.
    vault.replace_sealing_keys(
        SealingKeys::new(alias("two"), sealing_key(2)).with(alias("one"), sealing_key(3)),
    );
    let outcome = vault.reseal().await.unwrap();
    assert_eq!(outcome.resealed, 0);
    assert_eq!(outcome.left.len(), 1);
    assert_eq!(&outcome.left[0].0, id);
    assert!(matches!(vault.sign(id, b"m").await, Err(KeyServiceError::Damaged { .. })));
    vault.replace_sealing_keys(SealingKeys::new(alias("one"), sealing_key(1)));
    vault.sign(id, b"m").await.unwrap();
    assert_eq!(rows.aliases().await.unwrap(), [alias("one")]);
}

#[tokio::test]
async fn a_row_of_one_key_does_not_serve_another() {
    let Bench { vault, rows, .. } = bench();
    let create = async |name: &str| {
        let key = vault.create(&gun(name), &RoleName::TIMESTAMP, KeyAlgorithm::Ed25519).await.unwrap();
        rows.find(key.canonical_id()).await.unwrap().unwrap()
    };
    let (one, two) = (create("acme/one").await, create("acme/two").await);
    // Whoever writes the table puts a key that they own in the place of another.
    let id = one.public.canonical_id();
    let stolen = SealedKey { ..two.sealed };
    assert!(rows.reseal(id, &one.sealed, stolen).await.unwrap());
    assert!(matches!(vault.sign(id, b"m").await, Err(KeyServiceError::Damaged { .. })));
}

#[tokio::test]
async fn what_is_stored_shows_nothing_of_the_key() {
    let Bench { vault, rows, .. } = bench();
    let key = PrivateKey::generate_ed25519().unwrap();
    let acme = gun("acme/a");
    vault.import(&acme, &RoleName::TIMESTAMP, &key, None).await.unwrap();
    // Twice is once.
    vault.import(&acme, &RoleName::TIMESTAMP, &key, None).await.unwrap();
    let row = rows.find(key.id()).await.unwrap().unwrap();
    let plain = key.to_plain();
    let seed = &plain[plain.len() - 64..plain.len() - 32];
    assert!(!row.sealed.bytes.windows(8).any(|it| seed.windows(8).any(|part| part == it)));
    assert_eq!(
        vault.create(&acme, &RoleName::TIMESTAMP, KeyAlgorithm::Ed25519).await.unwrap(),
        *key.public()
    );
    assert_eq!(vault.sign(key.id(), b"m").await.unwrap(), key.sign(b"m").unwrap());
}

#[tokio::test]
async fn a_text_that_is_too_long_is_not_signed() {
    let Bench { vault, .. } = bench();
    let key = vault.create(&gun("acme/a"), &RoleName::SNAPSHOT, KeyAlgorithm::Ed25519).await.unwrap();
    let text = vec![0; MESSAGE_LIMIT + 1];
    let id = key.canonical_id();
    assert_eq!(
        vault.sign(id, &text).await,
        Err(KeyServiceError::TooLong { length: text.len(), limit: MESSAGE_LIMIT })
    );
    vault.sign(id, &text[1..]).await.unwrap();
}

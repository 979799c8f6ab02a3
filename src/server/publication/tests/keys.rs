//! Keys that are handed out.

use super::*;

#[tokio::test]
async fn a_key_is_handed_out_again_until_it_is_rotated() {
    let desk = Desk::new().await;
    let key = async |role: &RoleName| desk.publisher.signing_key(&gun(), role, now()).await.unwrap();
    let timestamp = key(&RoleName::TIMESTAMP).await;
    assert_eq!(key(&RoleName::TIMESTAMP).await, timestamp);
    let snapshot = key(&RoleName::SNAPSHOT).await;
    assert_ne!(snapshot, timestamp);
    let rotated = desk.publisher.rotate_signing_key(&gun(), &RoleName::TIMESTAMP, now()).await.unwrap();
    assert_ne!(rotated, timestamp);
    assert_eq!(key(&RoleName::TIMESTAMP).await, rotated);
    // What the signer forgot is replaced.
    crate::signer::KeyService::delete(&*desk.keys, rotated.id()).await.unwrap();
    assert_eq!(key(&RoleName::TIMESTAMP).await, timestamp);
}

#[tokio::test]
async fn the_key_of_the_root_comes_first() {
    let (desk, repository) = Desk::with(Desk::repository).await;
    let published = repository.roles["timestamp"].signers[0].public().clone();
    desk.publisher.rotate_signing_key(&gun(), &RoleName::TIMESTAMP, now()).await.unwrap();
    let key = desk.publisher.signing_key(&gun(), &RoleName::TIMESTAMP, now()).await.unwrap();
    assert_eq!(key, published);
}

#[tokio::test]
async fn only_two_roles_are_the_servers() {
    let desk = Desk::new().await;
    for name in ["root", "targets", "targets/a"] {
        for error in [
            desk.publisher.signing_key(&gun(), &role(name), now()).await.unwrap_err(),
            desk.publisher.rotate_signing_key(&gun(), &role(name), now()).await.unwrap_err(),
        ] {
            assert_eq!(error.answer().code, ErrorCode::InvalidRole);
        }
    }
}

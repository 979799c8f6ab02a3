//! Which role's word counts, who signed, and what is told of it.

use trustgate::image::Digest;
use trustgate::trust::{PlatformManifest, RepositoryTerms, RoleChoice, TrustError, with_platforms};
use trustgate::tuf::TufError;
use trustgate::tuf::testing::{Repository, TestKey, days};

use crate::notary::Reply;
use crate::world::{World, digest, simple, with_signers};

#[tokio::test]
async fn releases_come_before_targets() {
    let mut repository = with_signers();
    repository.tag("targets/releases", "1.4", b"released 1.4");
    let world = World::of(&repository).await;
    let target = world.find("1.4").await.unwrap();
    assert_eq!((target.digest, target.role.as_str()), (digest(b"released 1.4"), "targets/releases"));
}

#[tokio::test]
async fn a_tag_in_targets_alone_counts() {
    let world = World::of(&with_signers()).await;
    let target = world.find("1.4").await.unwrap();
    assert_eq!((target.digest, target.role.as_str()), (digest(b"manifest 1.4"), "targets"));
}

#[tokio::test]
async fn a_broken_releases_role_is_no_reason_to_fall_back() {
    /// A name, and how to break the role.
    type Way = (&'static str, fn(&mut Repository));
    // Docker warns and takes the tag from `targets`.
    let ways: [Way; 3] = [
        ("expired", |it| it.role("targets/releases").set_expires(days(-1))),
        ("unsigned", |it| it.role("targets/releases").signers = vec![TestKey::p256("nobody")]),
        ("malformed", |it| {
            it.role("targets/releases").after_signing = Some(Box::new(|file| file[..40].to_vec()));
        }),
    ];
    for (how, break_it) in ways {
        let mut repository = with_signers();
        repository.tag("targets/releases", "1.4", b"released 1.4");
        break_it(&mut repository);
        let world = World::of(&repository).await;
        let error = world.find("1.4").await.unwrap_err();
        assert!(matches!(error, TrustError::Metadata { .. }), "{how}: {error}");
        assert!(error.to_string().contains("`targets/releases`"), "{how}: {error}");
        assert_eq!(error.exit(), 1);
    }
}

#[tokio::test]
async fn a_releases_role_that_was_never_published_is_no_obstacle() {
    let mut repository = simple();
    repository.delegate("targets/releases", &[TestKey::p256("alice")], 1, &[""]);
    repository.roles.remove("targets/releases");
    let world = World::of(&repository).await;
    assert_eq!(world.find("1.4").await.unwrap().role, "targets");
}

#[tokio::test]
async fn a_tag_below_releases_is_refused_as_docker_does() {
    let mut repository = with_signers();
    repository.delegate("targets/releases/sub", &[TestKey::p256("sub")], 1, &[""]);
    repository.tag("targets/releases/sub", "1.4", b"sub");
    let world = World::of(&repository).await;
    match world.find("1.4").await {
        Err(TrustError::NotReleased { role, releasing, .. }) => {
            assert_eq!(role, "targets/releases/sub");
            assert_eq!(releasing, ["targets/releases", "targets"]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_tag_that_only_a_signer_signed_names_the_signer() {
    let mut repository = with_signers();
    repository.tag("targets/bob", "3.0", b"bob's");
    let world = World::of(&repository).await;
    match world.find("3.0").await {
        Err(error @ TrustError::NotReleased { .. }) => {
            assert!(error.to_string().contains("signed by `targets/bob` alone"), "{error}");
            assert_eq!(error.exit(), 1);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unsigned_tag_is_told_with_those_that_are_signed() {
    let world = World::of(&with_signers()).await;
    world.fault(|request| request.target.contains("targets/bob").then(|| Reply::status(500)));
    match world.find("9").await {
        Err(error @ TrustError::NotSigned { .. }) => {
            let TrustError::NotSigned { signed_tags, timestamp_expires, .. } = &error else { unreachable!() };
            assert_eq!(signed_tags, &["1.4", "2.0"]);
            assert_eq!(*timestamp_expires, days(14));
            assert_eq!(error.exit(), 1);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_delegation_signs_only_what_its_paths_allow() {
    let mut repository = simple();
    repository.delegate("targets/releases", &[TestKey::p256("alice")], 1, &["3."]);
    repository.tag("targets/releases", "1.4", b"not allowed");
    repository.tag("targets/releases", "3.1", b"allowed");
    let world = World::of(&repository).await;
    assert_eq!(world.find("1.4").await.unwrap().digest, digest(b"manifest 1.4"));
    assert_eq!(world.find("3.1").await.unwrap().digest, digest(b"allowed"));
}

#[tokio::test]
async fn signers_are_those_that_docker_trust_inspect_shows() {
    let mut repository = with_signers();
    repository.tag("targets/bob", "2.0", b"another manifest");
    let world = World::of(&repository).await;
    let names = |target: &trustgate::trust::SignedTarget| {
        target.signers.iter().map(|signer| signer.name.clone()).collect::<Vec<_>>()
    };
    let target = world.find_all_signers("2.0").await.unwrap();
    assert_eq!(names(&target), ["alice"]);
    assert_eq!(target.signers[0].key_ids.len(), 1);
    let roles: Vec<_> = target.roles.iter().map(|role| role.role.as_str()).collect();
    assert_eq!(roles, ["root", "timestamp", "snapshot", "targets", "targets/releases", "targets/alice"]);
    assert_eq!(names(&world.find_all_signers("1.4").await.unwrap()), ["Repo Admin"]);
    // Without being asked for, nobody's word is read.
    assert!(names(&world.find("2.0").await.unwrap()).is_empty());
    assert_eq!(names(&World::of(&simple()).await.find("1.4").await.unwrap()), ["Repo Admin"]);
}

#[tokio::test]
async fn a_signer_that_can_not_be_read_is_a_note_where_nobody_demands_it() {
    let mut repository = with_signers();
    repository.role("targets/bob").set_expires(days(-1));
    let world = World::of(&repository).await;
    let target = world.find_all_signers("2.0").await.unwrap();
    assert!(target.notes.iter().any(|note| note.contains("`bob` was passed over")), "{target:?}");
    // What bob signed is not known, so nobody can say that it was the administrator alone.
    assert!(world.find_all_signers("1.4").await.unwrap().signers.is_empty());
    let error = world.find_on("2.0", &demanding(&["bob"])).await.unwrap_err();
    assert!(matches!(error, TrustError::Metadata { source: TufError::Expired { .. }, .. }), "{error}");
}

#[tokio::test]
async fn demanded_signers_must_have_signed_the_same() {
    let mut repository = with_signers();
    repository.tag("targets/bob", "2.0", b"another manifest");
    let world = World::of(&repository).await;
    for signer in ["alice", "targets/alice"] {
        let target = world.find_on("2.0", &demanding(&[signer, signer])).await.unwrap();
        assert_eq!(target.signers.len(), 1);
        assert_eq!(target.signers[0].name, "alice");
    }
    for (signer, tag, reason) in [
        ("bob", "2.0", "it signed sha256:"),
        ("bob", "1.4", "it signed nothing for this tag"),
        ("carol", "2.0", "the repository has no such signer"),
        ("Carol!", "2.0", "this can't be the name of a signer"),
        ("../root", "2.0", "this can't be the name of a signer"),
    ] {
        match world.find_on(tag, &demanding(&["alice", signer])).await {
            Err(error @ TrustError::MissingSigner { .. }) if tag == "2.0" => {
                assert!(error.to_string().contains(reason), "{error}");
                assert_eq!(error.exit(), 1);
            }
            Err(TrustError::MissingSigner { signer, .. }) if tag == "1.4" => assert_eq!(signer, "alice"),
            other => panic!("{signer}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn only_the_demanded_roles_release() {
    let world = World::of(&with_signers()).await;
    let roles = |names: &[&str]| RepositoryTerms {
        roles: RoleChoice::OneOf(names.iter().map(|name| name.parse().unwrap()).collect()),
        ..RepositoryTerms::docker()
    };
    assert_eq!(world.find_on("2.0", &roles(&["targets/alice"])).await.unwrap().role, "targets/alice");
    assert_eq!(
        world.find_on("2.0", &roles(&["targets/bob", "targets/alice"])).await.unwrap().role,
        "targets/alice"
    );
    assert_eq!(world.find_on("1.4", &roles(&["targets"])).await.unwrap().role, "targets");
    for (tag, names) in
        [("1.4", &["targets/alice"][..]), ("2.0", &["targets"]), ("2.0", &["targets/nobody"]), ("2.0", &[])]
    {
        match world.find_on(tag, &roles(names)).await {
            Err(TrustError::NotReleased { releasing, .. }) => assert_eq!(releasing, names),
            other => panic!("{names:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_role_deep_below_is_reached_through_its_parents() {
    let mut repository = simple();
    repository.delegate("targets/team", &[TestKey::p256("team")], 1, &[""]);
    repository.delegate("targets/team/ci", &[TestKey::p256("ci")], 1, &[""]);
    repository.tag("targets/team/ci", "5", b"five");
    let world = World::of(&repository).await;
    let terms = RepositoryTerms {
        roles: RoleChoice::OneOf(vec!["targets/team/ci".parse().unwrap()]),
        ..RepositoryTerms::docker()
    };
    assert_eq!(world.find_on("5", &terms).await.unwrap().digest, digest(b"five"));
    let error = world.find("5").await.unwrap_err();
    assert!(matches!(&error, TrustError::NotReleased { role, .. } if role == "targets/team/ci"), "{error}");
}

#[tokio::test]
async fn a_digest_is_found_under_its_tag() {
    let mut repository = with_signers();
    repository.tag("targets", "2.0", b"overruled");
    let world = World::of(&repository).await;
    let docker = RepositoryTerms::docker();
    let target = world.find_digest(&digest(b"manifest 2.0"), &docker).await.unwrap();
    assert_eq!((target.tag.as_str(), target.role.as_str()), ("2.0", "targets/releases"));
    let target = world.find_digest(&digest(b"manifest 1.4"), &docker).await.unwrap();
    assert_eq!((target.tag.as_str(), target.role.as_str()), ("1.4", "targets"));
    let sha512: Digest = format!("sha512:{}", "0".repeat(128)).parse().unwrap();
    for digest in [digest(b"overruled"), digest(b"unknown"), sha512] {
        let error = world.find_digest(&digest, &docker).await.unwrap_err();
        assert!(matches!(error, TrustError::DigestNotSigned { .. }), "{error}");
        assert_eq!(error.exit(), 1);
    }
    assert!(world.find_digest(&digest(b"manifest 2.0"), &demanding(&["alice"])).await.is_ok());
    let error = world.find_digest(&digest(b"manifest 2.0"), &demanding(&["bob"])).await.unwrap_err();
    assert!(matches!(error, TrustError::MissingSigner { .. }), "{error}");
}

/// The manifests of an index that were signed with it count as far as every demanded signer lists them.
#[tokio::test]
async fn a_platforms_manifest_is_found_under_the_index_that_lists_it() {
    let mut repository = with_signers();
    let manifest = |content: &[u8]| PlatformManifest {
        digest: digest(content),
        size: 7,
        platform: Some("linux/arm64".parse().unwrap()),
    };
    let both = with_platforms(None, &[manifest(b"child"), manifest(b"not alice's")]);
    repository.role("targets/releases").signed["targets"]["2.0"]["custom"] = both;
    let one = with_platforms(None, &[manifest(b"child")]);
    repository.role("targets/alice").signed["targets"]["2.0"]["custom"] = one;
    let damaged = serde_json::json!({"trustgate": {"platforms": "all of them"}});
    repository.role("targets").signed["targets"]["1.4"]["custom"] = damaged;
    let world = World::of(&repository).await;
    let target = world.find("2.0").await.unwrap();
    assert_eq!(target.digest, digest(b"manifest 2.0"));
    assert!(target.vouches_for(&digest(b"child")) && !target.vouches_for(&digest(b"other")));
    let target = world.find_digest(&digest(b"not alice's"), &RepositoryTerms::docker()).await.unwrap();
    assert_eq!((target.tag.as_str(), target.size), ("2.0", 7));

    let alice = demanding(&["alice"]);
    let target = world.find_on("2.0", &alice).await.unwrap();
    assert_eq!(target.platforms, [manifest(b"child")]);
    assert!(world.find_digest(&digest(b"child"), &alice).await.is_ok());
    let error = world.find_digest(&digest(b"not alice's"), &alice).await.unwrap_err();
    assert!(matches!(error, TrustError::DigestNotSigned { .. }), "{error}");
    // A list that can't be read vouches for nothing, and takes nothing away.
    assert_eq!(world.find("1.4").await.unwrap().platforms, []);
}

#[tokio::test]
async fn a_tag_without_a_sha256_has_no_digest() {
    let mut repository = simple();
    let hash = repository.role("targets").signed["targets"]["1.4"]["hashes"]["sha256"].take();
    assert!(hash.is_string());
    let sha512 = "A".repeat(86) + "==";
    repository.role("targets").signed["targets"]["1.4"]["hashes"] = serde_json::json!({ "sha512": sha512 });
    let world = World::of(&repository).await;
    let error = world.find("1.4").await.unwrap_err();
    assert!(matches!(error, TrustError::NoDigest { .. }), "{error}");
}

#[tokio::test]
async fn what_was_found_is_told_as_json() {
    let world = World::of(&simple()).await;
    let target = world.find("1.4").await.unwrap();
    let json = serde_json::to_value(&target).unwrap();
    assert_eq!(json["freshness"]["state"], "fresh");
    assert_eq!(json["gun"], crate::world::GUN);
    assert_eq!(json["roles"][1]["expires"], days(14).to_string());
    assert_eq!(json["root_key_ids"].as_array().unwrap().len(), 1);
}

fn demanding(signers: &[&str]) -> RepositoryTerms {
    RepositoryTerms {
        signers: signers.iter().map(|name| (*name).to_owned()).collect(),
        ..RepositoryTerms::docker()
    }
}

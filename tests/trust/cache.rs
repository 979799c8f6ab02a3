//! Docker's cache, shared, damaged, read-only: it never turns a refusal into a pass, and never
//! fails what the network can verify.

use std::fs;
use std::os::unix::fs::symlink;

use trustgate::image::Gun;
use trustgate::trust::{Cache, RepositoryTerms, TrustError};
use trustgate::tuf::TufError;

use crate::world::{World, digest, find, next_version, simple, with_signers};

#[tokio::test]
async fn a_damaged_root_is_an_error_that_names_the_file() {
    let contents: [&[u8]; 6] = [b"", b"{", b"<html>", b"{\"signed\":{}}", b"\0\0\0", b"[1,2,3]"];
    for content in contents {
        let world = World::of(&simple()).await;
        world.find("1.4").await.unwrap();
        fs::write(world.cached("root"), content).unwrap();
        assert_root_refused(&world).await;
    }
}

#[tokio::test]
async fn a_root_cut_in_the_middle_or_changed_is_an_error() {
    let world = World::of(&simple()).await;
    world.find("1.4").await.unwrap();
    let whole = fs::read(world.cached("root")).unwrap();
    for length in [1, whole.len() / 2, whole.len() - 1] {
        fs::write(world.cached("root"), &whole[..length]).unwrap();
        assert_root_refused(&world).await;
    }
    let changed = String::from_utf8(whole).unwrap().replacen("\"threshold\":1", "\"threshold\":2", 1);
    fs::write(world.cached("root"), changed).unwrap();
    assert_root_refused(&world).await;
}

#[tokio::test]
async fn a_root_that_is_no_file_is_an_error() {
    let world = World::of(&simple()).await;
    world.find("1.4").await.unwrap();
    fs::remove_file(world.cached("root")).unwrap();
    fs::create_dir(world.cached("root")).unwrap();
    assert_root_refused(&world).await;
    fs::remove_dir(world.cached("root")).unwrap();
    symlink("/dev/zero", world.cached("root")).unwrap();
    assert_root_refused(&world).await;
}

#[tokio::test]
async fn another_repositorys_root_in_the_cache_is_an_error() {
    let world = World::of(&simple()).await;
    world.find("1.4").await.unwrap();
    let other = trustgate::tuf::testing::Repository::new("registry.example/acme/other");
    fs::write(world.cached("root"), other.publish().get("root")).unwrap();
    assert_root_refused(&world).await;
}

async fn assert_root_refused(world: &World) {
    let error = world.find("1.4").await.unwrap_err();
    assert!(matches!(&error, TrustError::Cache { path, .. } if *path == world.cached("root")), "{error:?}");
    assert_eq!(error.exit(), 3);
    let help = error.help().join("\n");
    assert!(help.contains(&world.cached("root").display().to_string()), "{help}");
}

#[tokio::test]
async fn any_other_damaged_file_is_passed_over_and_read_again() {
    for role in ["timestamp", "snapshot", "targets", "targets/releases"] {
        let world = World::of(&with_signers()).await;
        world.find("2.0").await.unwrap();
        let whole = fs::read(world.cached(role)).unwrap();
        let mut flipped = whole.clone();
        let last = flipped.len() - 20;
        flipped[last] ^= 1;
        for content in [&[], &whole[..whole.len() / 2], b"<html>", &flipped] {
            fs::write(world.cached(role), content).unwrap();
            let target = world.find("2.0").await.unwrap();
            assert_eq!(target.digest, digest(b"manifest 2.0"));
            assert!(target.notes.iter().any(|note| note.contains(&format!("`{role}`"))), "{target:?}");
            assert_eq!(fs::read(world.cached(role)).unwrap(), whole, "{role} was not repaired");
        }
        fs::remove_file(world.cached(role)).unwrap();
        fs::create_dir(world.cached(role)).unwrap();
        let target = world.find("2.0").await.unwrap();
        assert!(target.notes.iter().any(|note| note.contains("passed over")), "{target:?}");
    }
}

#[tokio::test]
async fn a_cached_targets_file_can_not_sign_anything() {
    let world = World::of(&simple()).await;
    world.find("1.4").await.unwrap();
    let mut forged = simple();
    let key = trustgate::tuf::testing::TestKey::p256("attacker");
    forged.role("targets").signers = vec![key];
    forged.tag("targets", "1.4", b"evil");
    fs::write(world.cached("targets"), forged.publish().get("targets")).unwrap();
    assert_eq!(world.find("1.4").await.unwrap().digest, digest(b"manifest 1.4"));
}

#[tokio::test]
async fn a_cache_that_can_not_be_written_is_a_note() {
    let world = World::of(&with_signers()).await;
    // A file in the place of the folder: nobody can write there, root neither.
    fs::write(world.trust_folder(), "").unwrap();
    for _ in 0..2 {
        let target = world.find("2.0").await.unwrap();
        assert!(target.first_use && target.requests == 5, "{target:?}");
        assert!(target.notes.iter().any(|note| note.contains("cache could not be written")), "{target:?}");
    }
    // A full disk, or one without room for names: `/dev/full` has both.
    let cache = Cache::new("/dev/full/trust".into());
    let target = find(&world.reader_with(Some(cache)), "2.0", &RepositoryTerms::docker()).await.unwrap();
    assert!(target.notes.iter().any(|note| note.contains("cache could not be written")), "{target:?}");
}

#[tokio::test]
async fn a_known_repository_whose_cache_became_read_only_is_still_protected() {
    let mut repository = simple();
    next_version(&mut repository);
    let world = World::of(&repository).await;
    world.find("1.4").await.unwrap();
    // The lock's file can't be opened: nothing can be stored any more, but all can be read.
    let lock = world.cached("root").ancestors().nth(2).unwrap().join(".trustgate.lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    next_version(&mut repository);
    world.publish(&repository);
    let target = world.find("1.4").await.unwrap();
    assert!(!target.first_use && !target.notes.is_empty(), "{target:?}");
    world.publish(&simple());
    let error = world.find("1.4").await.unwrap_err();
    assert!(matches!(error, TrustError::Metadata { source: TufError::Rollback { .. }, .. }), "{error}");
}

#[tokio::test]
async fn many_processes_share_a_cache() {
    let mut repository = with_signers();
    let world = World::of(&repository).await;
    for _ in 0..3 {
        let found = futures_util::future::join_all((0..8).map(|_| world.find("2.0"))).await;
        for target in found {
            let target = target.unwrap();
            assert_eq!((target.digest, target.notes.len()), (digest(b"manifest 2.0"), 0));
        }
        next_version(&mut repository);
        world.publish(&repository);
    }
    let folder = world.cached("root").parent().unwrap().to_owned();
    let left = fs::read_dir(folder).unwrap().filter(|entry| {
        entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(".trustgate-"))
    });
    assert_eq!(left.count(), 0, "temporary files were left");
}

#[tokio::test]
async fn first_users_at_the_same_time_agree_on_one_root() {
    let genuine = simple();
    let mut other = simple();
    let key = other.root_key("another root");
    other.replace_keys("root", vec![key], 1);
    other.tag("targets", "1.4", b"other");
    let (one, two) = (genuine.publish(), other.publish());
    let world = World::of(&genuine).await;
    // Each first user is shown another root; whoever stores it first decides for all.
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let shown = std::sync::Mutex::new(std::collections::HashMap::new());
    world.fault(move |request| {
        let agent = request.header("user-agent").unwrap_or_default().to_owned();
        let mut shown = shown.lock().unwrap();
        let files =
            *shown.entry(agent).or_insert_with(|| turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 2);
        let role = request.file().split('.').next().unwrap_or_default().to_owned();
        Some(crate::notary::Reply::ok(if files == 0 { one.get(&role) } else { two.get(&role) }))
    });
    let terms = RepositoryTerms::docker();
    let readers: Vec<_> = (0..6).map(|n| world.reader_named(&format!("process {n}"))).collect();
    let found =
        futures_util::future::join_all(readers.iter().map(|reader| find(reader, "1.4", &terms))).await;
    let passed: std::collections::BTreeSet<_> = found.iter().flatten().map(|it| it.digest.clone()).collect();
    assert_eq!(passed.len(), 1, "two roots were trusted: {found:?}");
    for error in found.iter().filter_map(|result| result.as_ref().err()) {
        assert!(matches!(error, TrustError::Metadata { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_name_that_leaves_the_folder_is_no_name() {
    for name in ["../../etc", "a/../../b", "a/..", "/etc/passwd", "a//b", "a/./b"] {
        assert!(name.parse::<Gun>().is_err(), "{name}");
    }
}

#[tokio::test]
async fn dockers_own_files_are_read() {
    // Docker leaves no lock, and its folders may be readable by others.
    let repository = with_signers();
    let world = World::of(&repository).await;
    for (role, content) in &repository.publish().files {
        let path = world.cached(role);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let target = world.find("2.0").await.unwrap();
    assert_eq!((target.requests, target.first_use), (1, false));
}

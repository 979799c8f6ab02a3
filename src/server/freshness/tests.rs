use std::sync::Mutex;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::*;
use crate::server::publication::PublisherOptions;
use crate::server::publication::tests::desk::{Desk, upload};
use crate::server::storage::Storage as _;
use crate::tuf::testing::{Repository, days};

/// A server with a repository, and a clock that is set by hand.
struct World {
    desk: Desk,
    freshness: Freshness,
    day: Arc<Mutex<Timestamp>>,
}

fn gun() -> Gun {
    "docker.io/acme/base".parse().unwrap()
}

async fn world(make: impl FnOnce(&Desk) -> Repository, history: Option<SignedDuration>) -> World {
    let (desk, _) = Desk::with(make).await;
    let day = Arc::new(Mutex::new(days(0)));
    let freshness = beside(&desk, &day, history);
    World { desk, freshness, day }
}

/// A server's part over the same storage and keys.
fn beside(desk: &Desk, day: &Arc<Mutex<Timestamp>>, history: Option<SignedDuration>) -> Freshness {
    let day = Arc::clone(day);
    with_clock(desk, Arc::new(move || *day.lock().unwrap()), history)
}

fn with_clock(desk: &Desk, clock: Clock, history: Option<SignedDuration>) -> Freshness {
    let options = FreshnessOptions {
        lifetimes: Lifetimes {
            timestamp: PublisherOptions::NOTARY.timestamp_lifetime,
            snapshot: PublisherOptions::NOTARY.snapshot_lifetime,
        },
        history,
        read_patience: Duration::from_secs(5),
    };
    let storage = Arc::clone(&desk.storage) as Arc<dyn Storage>;
    Freshness::new(Arc::new(desk.beside()), storage, clock, options)
}

impl World {
    fn set(&self, day: i64) {
        *self.day.lock().unwrap() = days(day);
    }

    async fn file(&self, role: &RoleName) -> StoredFile {
        self.desk.storage.current(&gun(), role).await.unwrap().unwrap()
    }

    /// The versions of timestamp and snapshot.
    async fn versions(&self) -> (u64, u64) {
        (
            self.file(&RoleName::TIMESTAMP).await.version.get(),
            self.file(&RoleName::SNAPSHOT).await.version.get(),
        )
    }
}

/// Lets time pass that nobody sets, without waiting for it.
async fn pass_time(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_timestamp_is_signed_anew_when_a_third_is_left() {
    let world = world(Desk::repository, None).await;
    assert_eq!(world.file(&RoleName::TIMESTAMP).await.expires, days(14));
    world.set(9);
    world.freshness.pass().await;
    assert_eq!(world.versions().await, (1, 1));
    world.set(10);
    world.freshness.pass().await;
    world.freshness.pass().await;
    assert_eq!(world.versions().await, (2, 1));
    assert_eq!(world.file(&RoleName::TIMESTAMP).await.expires, days(24));
    assert_eq!(world.freshness.health(), FreshnessHealth { renewed: 1, ..FreshnessHealth::default() });
}

#[tokio::test]
async fn a_snapshot_of_the_servers_goes_with_it() {
    let world = world(Desk::repository, None).await;
    world.set(365 * 2 + 10);
    world.freshness.pass().await;
    assert_eq!(world.versions().await, (2, 2));
    assert_eq!(world.freshness.health().renewed, 1);
}

#[tokio::test]
async fn a_snapshot_of_the_publishers_stays_theirs() {
    let world = world(Desk::repository_with_snapshot, None).await;
    let expires = world.file(&RoleName::SNAPSHOT).await.expires;
    *world.day.lock().unwrap() = expires - SignedDuration::from_hours(24);
    for _ in 0..3 {
        world.freshness.pass().await;
    }
    assert_eq!(world.versions().await, (2, 1));
    let expected = FreshnessHealth { renewed: 1, ..FreshnessHealth::default() };
    assert_eq!(world.freshness.health(), expected);
}

#[tokio::test]
async fn the_background_works_until_it_is_stopped() {
    let world = world(Desk::repository, None).await;
    world.set(13);
    let renewed = async {
        while world.versions().await.0 < 2 {
            tokio::task::yield_now().await;
        }
    };
    world.freshness.run(renewed).await;
    assert_eq!(world.versions().await, (2, 1));
}

#[tokio::test]
async fn while_the_signer_is_away_the_old_one_is_served() {
    let world = world(Desk::repository, None).await;
    world.desk.keys.away.store(true, Ordering::SeqCst);
    world.set(15);
    let expired = world.file(&RoleName::TIMESTAMP).await;
    assert_eq!(world.freshness.before_read(&gun(), &expired).await, None);
    let problem = world.freshness.health().problem.unwrap();
    assert_eq!(
        problem,
        "what expires cannot be signed anew: keys cannot be reached: the test took them away"
    );
    // The signer is back, and nobody asks it yet.
    world.desk.keys.away.store(false, Ordering::SeqCst);
    let signed = world.desk.keys.signed.load(Ordering::SeqCst);
    assert_eq!(world.freshness.before_read(&gun(), &expired).await, None);
    world.freshness.pass().await;
    assert_eq!(world.desk.keys.signed.load(Ordering::SeqCst), signed);
    pass_time(Duration::from_secs(5)).await;
    let fresh = world.freshness.before_read(&gun(), &expired).await.unwrap();
    assert_eq!((fresh.version.get(), fresh.expires), (2, days(29)));
    assert_eq!(world.freshness.health().problem, None);
}

#[tokio::test]
async fn who_reads_an_expired_file_gets_a_fresh_one_of_one_signature() {
    let world = world(Desk::repository, None).await;
    let file = world.file(&RoleName::TIMESTAMP).await;
    world.set(13);
    assert_eq!(world.freshness.before_read(&gun(), &file).await, None);
    assert_eq!(world.versions().await, (1, 1));
    world.set(15);
    let gun = gun();
    let reads = (0..20).map(|_| world.freshness.before_read(&gun, &file));
    for fresh in futures_util::future::join_all(reads).await {
        assert_eq!(fresh.unwrap().version.get(), 2);
    }
    assert_eq!(world.versions().await, (2, 1));
    let targets = world.file(&RoleName::TARGETS).await;
    world.set(36_500);
    assert_eq!(world.freshness.before_read(&gun, &targets).await, None);
}

#[tokio::test]
async fn several_servers_agree() {
    let world = world(Desk::repository, None).await;
    let other = beside(&world.desk, &world.day, None);
    world.set(15);
    let file = world.file(&RoleName::TIMESTAMP).await;
    let gun = gun();
    let (one, two) = tokio::join!(world.freshness.before_read(&gun, &file), other.before_read(&gun, &file));
    assert_eq!((one.unwrap().version.get(), two.unwrap().version.get()), (2, 2));
    assert_eq!(world.freshness.health().problem.or(other.health().problem), None);
}

#[tokio::test]
async fn what_one_repository_lacks_does_not_hold_up_others() {
    let world = world(Desk::repository, None).await;
    // A repository whose timestamp key this server does not have any more.
    let lost: Gun = "docker.io/acme/lost".parse().unwrap();
    let mut repository = Repository::new(lost.as_str());
    let key = crate::tuf::testing::TestKey::ed25519("lost");
    for role in [RoleName::SNAPSHOT, RoleName::TIMESTAMP] {
        world.desk.keys.add(&role, &key);
        repository.replace_keys(role.as_str(), vec![key.clone()], 1);
    }
    let parts = upload(&repository, &["root", "targets"]);
    world.desk.publisher.publish(&lost, parts, days(0)).await.unwrap();
    crate::signer::KeyService::delete(&*world.desk.keys, key.public().id()).await.unwrap();
    world.set(13);
    world.freshness.pass().await;
    assert_eq!(world.versions().await, (2, 1));
    let expected = FreshnessHealth { renewed: 1, behind: 1, ..FreshnessHealth::default() };
    assert_eq!(world.freshness.health(), expected);
    world.desk.storage.delete(&lost, days(13)).await.unwrap();
    pass_time(Duration::from_mins(1)).await;
    world.set(24);
    world.freshness.pass().await;
    world.freshness.renewals.fly(&lost).await;
    assert_eq!(world.freshness.health(), FreshnessHealth { renewed: 2, ..FreshnessHealth::default() });
}

/// A panic ends what it happens in, and neither the background nor whoever reads.
#[tokio::test]
async fn a_defect_that_one_repository_meets_is_a_failure_of_one_attempt() {
    let world = world(Desk::repository, None).await;
    let expired = world.file(&RoleName::TIMESTAMP).await;
    world.set(15);
    world.desk.keys.defective.store(true, Ordering::SeqCst);
    assert_eq!(world.freshness.before_read(&gun(), &expired).await, None);
    world.freshness.pass().await;
    assert_eq!(world.freshness.health(), FreshnessHealth { behind: 1, ..FreshnessHealth::default() });
    world.desk.keys.defective.store(false, Ordering::SeqCst);
    pass_time(Duration::from_mins(1)).await;
    world.freshness.pass().await;
    assert_eq!(world.versions().await, (2, 1));
    assert_eq!(world.freshness.health(), FreshnessHealth { renewed: 1, ..FreshnessHealth::default() });
}

#[tokio::test]
async fn a_defect_in_the_background_is_told_and_the_background_goes_on() {
    let (desk, _) = Desk::with(Desk::repository).await;
    let defective = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let clock: Clock = {
        let defective = Arc::clone(&defective);
        Arc::new(move || {
            assert!(!defective.load(Ordering::SeqCst), "a defect, which a test wants");
            days(13)
        })
    };
    let freshness = with_clock(&desk, clock, None);
    tokio::time::pause();
    let gun = gun();
    let timestamp = || desk.storage.current(&gun, &RoleName::TIMESTAMP);
    let renewed = async {
        while freshness.health().problem.is_none() {
            tokio::task::yield_now().await;
        }
        assert!(freshness.health().problem.unwrap().ends_with(DEFECT));
        defective.store(false, Ordering::SeqCst);
        tokio::time::advance(PASS_EVERY).await;
        tokio::time::resume();
        while timestamp().await.unwrap().unwrap().version.get() < 2 {
            tokio::task::yield_now().await;
        }
    };
    freshness.run(renewed).await;
    assert_eq!(freshness.health(), FreshnessHealth { renewed: 1, ..FreshnessHealth::default() });
}

#[tokio::test]
async fn a_clock_that_jumps_does_no_harm() {
    let keep = SignedDuration::from_hours(24 * 30);
    let world = world(Desk::repository, Some(keep)).await;
    // On for ten years, and back: what was signed meanwhile is served until it expires.
    world.freshness.history.pass().await;
    world.set(3650);
    world.freshness.pass().await;
    assert_eq!(world.versions().await, (2, 2));
    for _ in 0..2 {
        world.freshness.history.pass().await;
    }
    world.set(1);
    world.freshness.pass().await;
    world.freshness.history.pass().await;
    assert_eq!(world.versions().await, (2, 2));
    let old = world.desk.storage.by_version(&gun(), &RoleName::TIMESTAMP, crate::tuf::Version::FIRST).await;
    assert!(old.unwrap().is_some());
    assert_eq!(world.freshness.health().pruned, 0);
}

#[tokio::test]
async fn what_was_replaced_long_ago_is_forgotten() {
    let keep = SignedDuration::from_hours(24);
    let world = world(Desk::repository, Some(keep)).await;
    world.set(10);
    world.freshness.pass().await;
    // A whole hour must pass in which the clock is steady.
    world.set(12);
    world.freshness.history.pass().await;
    for _ in 0..2 {
        pass_time(Duration::from_mins(30)).await;
        *world.day.lock().unwrap() += SignedDuration::from_mins(30);
        world.freshness.history.pass().await;
    }
    assert_eq!(world.freshness.health().pruned, 1);
    let old = world.desk.storage.by_version(&gun(), &RoleName::TIMESTAMP, crate::tuf::Version::FIRST).await;
    assert_eq!(old.unwrap(), None);
}

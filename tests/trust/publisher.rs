//! Publishing to a server that misbehaves, with a clock that does.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use trustgate::http::HttpError;
use trustgate::image::{Digest, Gun};
use trustgate::keys::{EnvironmentPassphrases, KeyError, Passphrase, PassphraseVariables};
use trustgate::trust::publish::{
    Event, NewSigner, Outcome, PublishError, SignOptions, Step, SurveyScope, WithoutTrust,
};
use trustgate::tuf::testing::{TestKey, days};
use trustgate::tuf::{RoleName, RootPins, Target};

use crate::desk::{Desk, is_key, passphrases, problem, published, tags};
use crate::notary::Reply;
use crate::world::{GUN, gun};

#[tokio::test]
async fn no_request_too_many() {
    let desk = Desk::new().await;
    assert!(published(desk.sign("v1").await).initialized);
    let mut asked = desk.requests();
    asked[..2].sort();
    assert_eq!(
        asked,
        [
            "GET root.json",
            "GET timestamp.json",
            "GET timestamp.key",
            "GET snapshot.key",
            "POST ",
            "GET timestamp.json",
            "GET snapshot.#.json"
        ]
    );
    published(desk.sign("v2").await);
    let mut asked = desk.requests();
    asked[..2].sort();
    let expected =
        ["GET root.json", "GET timestamp.json", "POST ", "GET timestamp.json", "GET snapshot.#.json"];
    assert_eq!(asked, expected);
    // What was published is in the cache: reading it takes the one request that reading always takes.
    assert_eq!(desk.digest("v2").await, Digest::of(b"v2"));
    assert_eq!(desk.requests(), ["GET timestamp.json"]);
    assert!(matches!(desk.sign("v2").await, Ok(Outcome::Unchanged)));
}

#[tokio::test]
async fn conflicts_are_rebased_and_come_to_an_end() {
    let desk = Desk::new().await;
    published(desk.sign("v1").await);
    desk.fault_at_first("POST", 3, problem(400, "VERSION", "", ""));
    assert_eq!(published(desk.sign("v2").await).conflicts, 3);
    // Nobody waits long, nor all for the same time: the random byte is a third of its range.
    let third = |milliseconds: u64| Duration::from_millis(milliseconds) / 3;
    assert_eq!(desk.pauses(), [third(80), third(160), third(320)]);
    let conflicts = desk.events().into_iter().filter(|it| matches!(it, Event::Conflict { .. })).count();
    assert_eq!(conflicts, 3);
    desk.fault_at_first("POST", u32::MAX, problem(400, "VERSION", "", ""));
    let error = desk.sign("v3").await.unwrap_err();
    assert!(matches!(error, PublishError::Conflicts { attempts: 16, .. }), "{error}");
    assert!(desk.pauses().iter().sum::<Duration>() < Duration::from_secs(15));
    desk.fault(|_| None);
    published(desk.sign("v3").await);
}

#[tokio::test]
async fn what_others_published_meanwhile_stays() {
    let desk = Desk::new().await;
    published(desk.sign("v1").await);
    let once = AtomicU32::new(0);
    let (stock, other) = (Arc::clone(&desk.stock), Arc::new(Mutex::new(None)));
    let recorded = Arc::clone(&other);
    // The next publication is put aside, and handed in before the one after it.
    desk.fault(move |request| {
        if request.method != "POST" {
            return None;
        }
        match once.fetch_add(1, Ordering::SeqCst) {
            0 => {
                *recorded.lock().unwrap() = Some(request.clone());
                Some(problem(403, "DENIED", "", ""))
            }
            1 => {
                let put_aside = recorded.lock().unwrap().take().unwrap();
                stock.lock().unwrap().take(&put_aside);
                None
            }
            _ => None,
        }
    });
    assert!(matches!(desk.sign("by-other").await, Err(PublishError::Unauthorized { .. })));
    assert_eq!(published(desk.sign("ours").await).conflicts, 1);
    for tag in ["by-other", "ours", "v1"] {
        assert_eq!(desk.digest(tag).await, Digest::of(tag.as_bytes()));
    }
}

#[tokio::test]
async fn a_server_that_cannot_now_is_asked_again_for_a_while() {
    let desk = Desk::new().await;
    published(desk.sign("v1").await);
    let busy = |seconds: &str| Reply::status(429).with("Retry-After", seconds);
    desk.fault_at_first("POST", 2, busy("7"));
    published(desk.sign("v2").await);
    assert_eq!(desk.pauses(), [Duration::from_secs(7); 2]);
    desk.fault_at_first("GET", 2, busy("100000"));
    published(desk.sign("v3").await);
    assert!(desk.pauses().iter().all(|it| *it <= Duration::from_secs(30)));
    desk.fault_at_first("POST", 1, Reply::status(503));
    published(desk.sign("v4").await);
    desk.fault_at_first("POST", u32::MAX, problem(500, "UNKNOWN", "out of order", ""));
    let error = desk.sign("v5").await.unwrap_err();
    assert!(matches!(error, PublishError::Upload { unclear: false, .. }), "{error}");
    assert!(error.to_string().contains("out of order"), "{error}");
    assert_eq!(error.exit(), 3);
    desk.fault_at_first("GET", u32::MAX, Reply::status(500));
    let error = desk.sign("v5").await.unwrap_err();
    assert_eq!(
        (error.exit(), desk.requests().iter().filter(|it| it.starts_with("POST")).count() < 20),
        (3, true)
    );
    // Storage that two publishers meet in says so in its own way.
    desk.fault_at_first("POST", 6, problem(500, "UPDATING", "", ""));
    assert_eq!(published(desk.sign("v5").await).conflicts, 6);
}

#[tokio::test]
async fn a_cached_timestamp_is_good_for_reading_only() {
    let desk = Desk::new().await;
    published(desk.sign("v1").await);
    desk.requests();
    desk.fault(|request| (request.file() == "timestamp.json").then(|| Reply::status(500)));
    assert_eq!(desk.digest("v1").await, Digest::of(b"v1"));
    assert_eq!(desk.sign("v2").await.unwrap_err().exit(), 3);
    assert!(!desk.requests().iter().any(|it| it.starts_with("POST")));
}

#[tokio::test]
async fn a_lost_answer_is_told_from_a_lost_publication() {
    let desk = Desk::new().await;
    for (tag, took_effect) in [("v1", true), ("v2", false), ("v3", true)] {
        let once = AtomicU32::new(0);
        let stock = Arc::clone(&desk.stock);
        desk.fault(move |request| {
            if request.method != "POST" || 0 < once.fetch_add(1, Ordering::SeqCst) {
                return None;
            }
            if took_effect {
                stock.lock().unwrap().take(request);
            }
            Some(Reply::CutOff(Vec::new()))
        });
        desk.events();
        let done = published(desk.sign(tag).await);
        assert_eq!(done.answer_lost, took_effect, "{tag}");
        assert_eq!(desk.digest(tag).await, Digest::of(tag.as_bytes()));
        let sent = desk.events().into_iter().filter(|it| *it == Event::Reached(Step::Sent)).count();
        assert_eq!(sent, if took_effect { 1 } else { 2 }, "{tag}");
    }
    // A server that vanishes for good leaves it open, and the error says so.
    let gone = AtomicU32::new(0);
    desk.fault(move |request| {
        let gone = gone.fetch_add(u32::from(request.method == "POST"), Ordering::SeqCst);
        (0 < gone || request.method == "POST").then(|| Reply::CutOff(Vec::new()))
    });
    let error = desk.sign("v4").await.unwrap_err();
    assert!(matches!(error, PublishError::Upload { unclear: true, .. }), "{error}");
    assert!(error.help().join("\n").contains("may have taken effect"));
}

#[tokio::test]
async fn what_the_server_refuses_is_told_as_it_says_it() {
    let desk = Desk::new().await;
    let cases = [
        (
            problem(400, "INVALID_UPDATE", "Update sent by the client is invalid.", "the moon is full"),
            "the moon is full",
            1,
        ),
        (problem(400, "INVALID_GUN", "no", "Require GUNs with prefix: [a/]"), "prefix", 1),
        (Reply::status(400), "gave no reason", 1),
        (Reply::status(401), "refused", 3),
        (problem(403, "DENIED", "not you", ""), "not you", 3),
        (Reply::status(404), "404", 3),
        (Reply::status(413), "413", 3),
    ];
    for (reply, expected, exit) in cases {
        desk.fault_at_first("POST", u32::MAX, reply);
        let error = desk.sign("v1").await.unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        assert_eq!(error.exit(), exit, "{error}");
    }
    let unauthorized = Reply::status(401);
    desk.fault_at_first("POST", u32::MAX, unauthorized);
    let error = desk.sign("v1").await.unwrap_err();
    assert!(error.help().join("\n").contains("docker login registry.example"), "{error:?}");
    // Nothing of all this is in the way: the keys that were made at first are the repository's.
    let before = desk.keys().list().unwrap().keys.len();
    desk.fault(|_| None);
    published(desk.sign("v1").await);
    assert_eq!((before, desk.keys().list().unwrap().keys.len()), (2, 2));
    assert!(desk.publisher().staged(&gun()).unwrap().is_empty());
}

#[tokio::test]
async fn keys_that_a_server_gives_are_looked_at() {
    let desk = Desk::new().await;
    for body in ["", "{}", "<html>", r#"{"keytype":"ecdsa","keyval":{"public":"AAAA","private":null}}"#] {
        desk.fault(move |request| is_key(request).then(|| Reply::ok(body)));
        let error = desk.sign("v1").await.unwrap_err();
        let expected = matches!(error, PublishError::ServerKey { .. } | PublishError::Author { .. });
        assert!(expected, "{body:?}: {error}");
        assert!(!desk.requests().iter().any(|it| it.starts_with("POST")));
    }
    desk.fault(|request| is_key(request).then_some(Reply::Endless));
    let error = desk.sign("v1").await.unwrap_err();
    assert!(matches!(error, PublishError::Upload { source: HttpError::TooLarge { .. }, .. }), "{error}");
}

#[tokio::test]
async fn a_passphrase_that_is_wrong_publishes_nothing() {
    let desk = Desk::new().await;
    published(desk.sign("v1").await);
    desk.requests();
    let wrong = Some(Passphrase::new("wrong passphrase".to_owned()));
    let mut wrong = EnvironmentPassphrases::new(PassphraseVariables {
        docker_repository: wrong,
        ..PassphraseVariables::default()
    });
    let error =
        desk.publisher().sign(&gun(), &tags("v2"), &SignOptions::docker(), &mut wrong).await.unwrap_err();
    assert!(matches!(error, PublishError::Key(KeyError::WrongPassphrase { .. })), "{error}");
    assert!(!desk.requests().iter().any(|it| it.starts_with("POST")));
    published(desk.sign("v2").await);
}

#[tokio::test]
async fn a_root_near_its_end_does_not_stop_those_without_its_key() {
    let desk = Desk::new().await;
    desk.set_now(days(0));
    published(desk.sign("v1").await);
    let root = |desk: &Desk| {
        let keys = desk.keys().list().unwrap().keys;
        keys.into_iter().find(|it| it.role.as_str() == "root").unwrap()
    };
    // Keep targets alive for as long as it takes.
    for year in [900, 1800, 2700, 3500] {
        desk.set_now(days(year));
        desk.stock.lock().unwrap().renew();
        published(desk.sign(&format!("v{year}")).await);
    }
    // The last one found the root near its end, and its key here.
    let events = desk.events();
    assert!(events.contains(&Event::Renewed { role: RoleName::ROOT }), "{events:?}");
    let survey = desk.publisher().survey(&gun(), SurveyScope::Valid).await.unwrap();
    assert_eq!(survey.roles[0].expires, days(3500 + 3650));
    assert_eq!(desk.digest("v3500").await, Digest::of(b"v3500"));
    // Ten years on, on a machine that has only the repository's key.
    for year in [4400, 5300, 6200, 7000] {
        desk.set_now(days(year));
        desk.stock.lock().unwrap().renew();
        if year == 7000 {
            std::fs::remove_file(root(&desk).path).unwrap();
        }
        let done = published(desk.sign(&format!("v{year}")).await);
        assert_eq!(done.roles.len(), 1);
    }
    let near = |it: &Event| matches!(it, Event::NearExpiry { role, .. } if *role == RoleName::ROOT);
    assert!(desk.events().iter().any(near));
    assert_eq!(desk.digest("v7000").await, Digest::of(b"v7000"));
}

#[tokio::test]
async fn an_expired_root_is_renewed_although_its_server_is_stuck() {
    let desk = Desk::new().await;
    published(desk.sign("v1").await);
    desk.set_now(days(3651));
    assert_eq!(desk.sign("v2").await.unwrap_err().exit(), 3);
    let within = jiff::SignedDuration::from_hours(24);
    let refresh = async || desk.publisher().refresh(&gun(), within, &mut passphrases()).await;
    let keys = desk.keys().list().unwrap().keys;
    let root = keys.iter().find(|it| it.role.as_str() == "root").unwrap();
    let aside = root.path.with_extension("aside");
    std::fs::rename(&root.path, &aside).unwrap();
    assert!(matches!(refresh().await, Err(PublishError::NoSigningKey { .. })));
    std::fs::rename(&aside, &root.path).unwrap();
    let done = published(refresh().await);
    let roles: Vec<String> = done.roles.iter().map(|it| format!("{} {}", it.role, it.version)).collect();
    assert_eq!(roles, ["root 2", "targets 2"]);
    assert_eq!(done.roles[0].expires, days(3651 + 3650));
    assert_eq!(desk.digest("v1").await, Digest::of(b"v1"));
    published(desk.sign("v2").await);
}

#[tokio::test]
async fn a_clock_that_is_far_off_publishes_nothing() {
    let desk = Desk::new().await;
    published(desk.sign("v1").await);
    for (off, works) in [(0, true), (13, true), (30, false), (3650, false), (-3650, false)] {
        desk.now.store(days(off).as_second(), Ordering::SeqCst);
        let outcome = desk.sign(&format!("at-{off}")).await;
        assert_eq!(outcome.is_ok(), works, "{off}: {outcome:?}");
        if let Err(error) = outcome {
            assert!(error.help().join("\n").contains("clock"), "{error}: {:?}", error.help());
        }
        // Nor does a wrong clock make anything old new.
        let within = jiff::SignedDuration::from_hours(24);
        let refreshed = desk.publisher().refresh(&gun(), within, &mut passphrases()).await;
        assert!(!matches!(refreshed, Ok(Outcome::Published(_))), "{off}: {refreshed:?}");
    }
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_told_and_does_no_harm() {
    let desk = Desk::new().await;
    published(desk.sign("v1").await);
    let metadata = desk.folder.path().join(format!("trust/tuf/{GUN}/metadata"));
    let read_only = |on: bool| {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(if on { 0o500 } else { 0o700 });
        std::fs::set_permissions(&metadata, mode).unwrap();
    };
    if rustix::process::geteuid().is_root() {
        // Permissions do not hold root back; a folder in the file's place does.
        std::fs::remove_file(metadata.join("timestamp.json")).unwrap();
        std::fs::create_dir_all(metadata.join("timestamp.json/in-the-way")).unwrap();
    }
    read_only(true);
    let done = published(desk.sign("v2").await);
    read_only(false);
    assert!(!done.notes.is_empty());
    assert!(desk.events().iter().any(|it| matches!(it, Event::NotCached { .. })));
    let _ = std::fs::remove_dir_all(metadata.join("timestamp.json"));
    assert_eq!(desk.digest("v2").await, Digest::of(b"v2"));
    published(desk.sign("v3").await);
}

#[tokio::test]
async fn pins_hold_for_publishers_too() {
    let desk = Desk::new().await;
    published(desk.sign("v1").await);
    let stranger = "0".repeat(64).parse().unwrap();
    let pins = RootPins::Keys([stranger].into());
    let publisher = desk.publisher().with_pins(Arc::new(move |_| pins.clone()));
    let outcome = publisher.sign(&gun(), &tags("v2"), &SignOptions::docker(), &mut passphrases()).await;
    assert!(matches!(outcome, Err(PublishError::Trust(_))), "{outcome:?}");
}

#[tokio::test]
async fn wrong_wishes_are_refused_before_anything_is_sent() {
    let desk = Desk::new().await;
    let refuse = SignOptions { without_trust: WithoutTrust::Refuse, ..SignOptions::docker() };
    let publisher = desk.publisher();
    let outcome = publisher.sign(&gun(), &tags("v1"), &refuse, &mut passphrases()).await;
    assert!(matches!(outcome, Err(PublishError::NotInitialized { .. })));
    assert!(desk.keys().list().unwrap().keys.is_empty());
    published(desk.sign("v1").await);
    desk.requests();
    let key = TestKey::ed25519("alice").public().clone();
    for name in ["", "releases", "a/b", "Alice", "-x", "a b", "é", &"a".repeat(300)] {
        let signer = NewSigner { name: name.to_owned(), keys: vec![key.clone()], paths: Vec::new() };
        let outcome = publisher.add_signer(&gun(), &signer, &mut passphrases()).await;
        assert!(matches!(outcome, Err(PublishError::SignerName { .. })), "{name:?}: {outcome:?}");
    }
    let nobody = NewSigner { name: "alice".to_owned(), keys: Vec::new(), paths: Vec::new() };
    assert!(publisher.add_signer(&gun(), &nobody, &mut passphrases()).await.is_err());
    let control = [("a\tb".to_owned(), tags("x")[0].1.clone())];
    assert!(publisher.sign(&gun(), &control, &SignOptions::docker(), &mut passphrases()).await.is_err());
    let snapshot = publisher.set_threshold(&gun(), &RoleName::SNAPSHOT, 2, &mut passphrases()).await;
    assert_eq!(snapshot.unwrap_err().exit(), 2);
    assert!(publisher.set_threshold(&gun(), &RoleName::TARGETS, 0, &mut passphrases()).await.is_err());
    assert!(!desk.requests().iter().any(|it| it.starts_with("POST")));
}

#[tokio::test]
async fn custom_data_is_signed_in_canonical_form() {
    let desk = Desk::new().await;
    let manifest = trustgate::trust::PlatformManifest {
        digest: Digest::of(b"amd64"),
        size: 7,
        platform: Some("linux/amd64".parse().unwrap()),
    };
    let custom = serde_json::json!({"z": "<&>", "a": 1});
    let custom = trustgate::trust::with_platforms(Some(custom), std::slice::from_ref(&manifest));
    let [(tag, target)] = tags("v1");
    let tags = [(tag, Target { custom: Some(custom), ..target })];
    published(desk.publisher().sign(&gun(), &tags, &SignOptions::docker(), &mut passphrases()).await);
    let survey = desk.publisher().survey(&gun(), SurveyScope::Valid).await.unwrap();
    let read = trustgate::trust::platforms_of(survey.targets[0].target.custom.as_ref());
    assert_eq!(read.unwrap(), [manifest]);
    let wire = String::from_utf8(desk.stock.lock().unwrap().files["targets.json"].clone()).unwrap();
    assert!(wire.contains(r#""custom":{"a":1,"trustgate":{"platforms":[{"digest":"#), "{wire}");
    assert!(wire.contains(r"\u003c\u0026\u003e"), "{wire}");
}

/// The members in notary's order, and a name that sorts by time.
#[tokio::test]
async fn staged_changes_have_notarys_bytes() {
    let desk = Desk::new().await;
    let publisher = desk.publisher();
    let gun: Gun = gun();
    let [(name, target)] = tags("v1");
    let change = trustgate::trust::publish::Change::AddTarget { role: RoleName::TARGETS, name, target };
    let staged = publisher.stage(&gun, &change).unwrap();
    let name = staged.path.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(name, "01780315200000000000_55555555-5555-4555-9555-555555555555.change");
    let text = std::fs::read_to_string(&staged.path).unwrap();
    let encode = |it: &[u8]| base64::engine::general_purpose::STANDARD.encode(it);
    let data = format!(r#"{{"length":3,"hashes":{{"sha256":"{}"}}}}"#, encode(&Sha256::digest("v1")));
    let data = encode(data.as_bytes());
    assert_eq!(
        text,
        format!(r#"{{"action":"create","role":"targets","type":"target","path":"v1","data":"{data}"}}"#)
    );
    assert_eq!(publisher.staged(&gun).unwrap()[0].change, change);
    // Others' files are looked at, and a broken one stops everything.
    for text in ["", "{}", "[]", r#"{"action":"x","role":"targets","type":"target","path":"v1","data":null}"#]
    {
        std::fs::write(staged.path.with_file_name("99_x.change"), text).unwrap();
        assert!(matches!(publisher.staged(&gun), Err(PublishError::Staged { .. })), "{text}");
    }
    assert_eq!(publisher.clear_staged(&gun).unwrap(), 2);
    assert!(publisher.staged(&gun).unwrap().is_empty());
}

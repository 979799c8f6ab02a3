//! The page of one repository.

use serde_json::json;

use super::*;
use crate::tuf::testing::TestCertificate;

const JSON: &str = "/status/docker.io/acme/base.json";
const HTML: &str = "/repository/docker.io/acme/base";

/// Two signers, of whom one has signed otherwise than what is released.
fn signed() -> Repository {
    let mut repository = Repository::new(BASE);
    let [alice, bob] = ["alice", "bob"].map(TestKey::p256);
    repository.delegate("targets/releases", &[alice.clone(), bob.clone()], 1, &[""]);
    repository.delegate("targets/alice", &[alice], 1, &[""]);
    repository.delegate("targets/bob", &[bob.clone(), TestKey::ed25519("carol")], 2, &["1."]);
    repository.role("targets/bob").signers.push(TestKey::ed25519("carol"));
    for role in ["targets/releases", "targets/alice", "targets/bob"] {
        repository.tag(role, "1.0", b"one");
    }
    repository.tag("targets/releases", "1.1", b"two");
    repository.tag("targets/bob", "1.1", b"something else");
    repository.tag("targets", "1.1", b"older");
    repository.tag("targets", "0.9", b"zero");
    repository.tag("targets/alice", "next", b"next");
    // Outside what bob may sign.
    repository.tag("targets/bob", "2.0", b"never");
    repository
}

#[tokio::test]
async fn tags_are_shown_as_docker_sees_them() {
    let desk = Desk::new().await;
    desk.store(BASE, &signed().publish()).await;
    let tags = desk.json(JSON).await["tags"].clone();
    assert_eq!(tags["count"], 4);
    let row = |name, manifest: &[u8], released: Option<&str>, signers: &[&str], dissenters: &[&str]| {
        let digest = hex::encode(ring::digest::digest(&ring::digest::SHA256, manifest));
        json!({
            "name": name,
            "digest": format!("sha256:{digest}"),
            "size": manifest.len(),
            "released_by": released,
            "signers": signers,
            "dissenters": dissenters,
        })
    };
    let expected = json!([
        row("0.9", b"zero", Some("targets"), &[], &[]),
        row("1.0", b"one", Some("targets/releases"), &["alice", "bob"], &[]),
        row("1.1", b"two", Some("targets/releases"), &[], &["bob"]),
        row("next", b"next", None, &["alice"], &[]),
    ]);
    assert_eq!(tags["rows"], expected);
    let page = desk.ask(HTML).await.body;
    for text in ["Repo Admin", "alice, bob", "another digest: bob", "not released: docker does not see it"] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[tokio::test]
async fn roles_have_their_keys_and_thresholds() {
    let desk = Desk::new().await;
    let mut repository = signed();
    repository.delegate("targets/dave", &[TestKey::p256("dave")], 1, &[]);
    repository.roles.remove("targets/dave");
    desk.store(BASE, &repository.publish()).await;
    let roles = desk.json(JSON).await["roles"].clone();
    let names = [
        "root",
        "snapshot",
        "targets",
        "targets/alice",
        "targets/bob",
        "targets/releases",
        "timestamp",
        "targets/dave",
    ];
    assert_eq!(strings(&roles, "role"), names);
    let role = |name: &str| &roles[names.iter().position(|it| *it == name).unwrap()];
    let bob = role("targets/bob");
    assert_eq!((bob["threshold"].as_u64(), bob["version"].as_u64()), (Some(2), Some(1)));
    assert_eq!(bob["paths"], json!(["1."]));
    assert_eq!(bob["changed"], now().to_string());
    assert_eq!(bob["expires"], days(1095).to_string());
    assert_eq!(bob["days_left"], 1094);
    let keys: Vec<_> =
        bob["keys"].as_array().unwrap().iter().map(|it| (&it["type"], &it["signed"])).collect();
    assert_eq!(keys, [(&json!("ecdsa"), &json!(true)), (&json!("ed25519"), &json!(true))]);
    assert_eq!(bob["keys"][0]["id"], TestKey::p256("bob").id());
    // A root key is in a certificate: its file has another name.
    let root = &role("root")["keys"][0];
    assert_ne!(root["id"], root["canonical_id"]);
    assert_eq!(role("targets/dave")["version"], Value::Null);
    assert_eq!(role("targets/dave")["keys"][0]["signed"], false);
    let page = desk.ask(HTML).await.body;
    assert!(page.contains("2 of 2 must sign together") && page.contains("Never signed"), "{page}");
    assert_eq!(page.matches("<meter").count(), 7);
}

#[tokio::test]
async fn what_has_expired_is_shown_as_that() {
    let desk = Desk::new().await;
    let mut repository = signed();
    repository.role("root").set_expires(days(-400));
    repository.role("timestamp").set_expires(days(-10));
    desk.store(BASE, &repository.publish()).await;
    let answer = desk.json(JSON).await;
    let roles = answer["roles"].as_array().unwrap();
    assert!(roles.iter().all(|it| it["problem"].is_null()), "{answer}");
    assert_eq!(answer["tags"]["count"], 4);
    let page = desk.ask(HTML).await.body;
    assert!(page.contains("expired 401 days ago") && page.contains("expired 11 days ago"), "{page}");

    // A root that has time left, with a certificate that has not.
    let mut repository = signed();
    let certificate = TestCertificate::for_gun(BASE, days(-4000));
    repository.replace_keys("root", vec![TestKey::p256("old").in_certificate(&certificate)], 1);
    let desk = Desk::new().await;
    desk.store(BASE, &repository.publish()).await;
    let problems = strings(&desk.json(JSON).await["roles"], "problem");
    assert!(problems[0].contains("certificate"), "{problems:?}");
    assert!(problems[1..].iter().all(String::is_empty), "{problems:?}");
}

#[tokio::test]
async fn a_role_that_does_not_verify_has_its_problem_and_the_others_are_shown() {
    let desk = Desk::new().await;
    let mut repository = signed();
    repository.role("targets/alice").signers = vec![TestKey::p256("mallory")];
    repository.delegate("targets/alice/child", &[TestKey::p256("child")], 1, &[""]);
    desk.store(BASE, &repository.publish()).await;
    let answer = desk.json(JSON).await;
    let problem = |name: &str| {
        let found = answer["roles"].as_array().unwrap().iter().find(|it| it["role"] == name).unwrap();
        found["problem"].as_str().unwrap_or_default().to_owned()
    };
    assert!(problem("targets/alice").contains("targets/alice"), "{answer}");
    assert_eq!(problem("targets/alice/child"), "it cannot be checked without the roles above it");
    assert_eq!(problem("targets/bob"), "");
    assert_eq!(strings(&answer["tags"]["rows"], "name"), ["0.9", "1.0", "1.1"]);
    assert_eq!(answer["tags"]["rows"][1]["signers"], json!(["bob"]));

    // Nothing below a broken timestamp counts.
    let mut files = signed().publish();
    files.files.insert("timestamp".to_owned(), b"no JSON".to_vec());
    let other = "docker.io/acme/other";
    desk.store(other, &files).await;
    let answer = desk.json("/status/docker.io/acme/other.json").await;
    let problems = strings(&answer["roles"], "problem");
    assert!(problems.iter().all(|it| !it.is_empty()), "{answer}");
    assert_eq!(answer["tags"]["rows"], json!([]));
    let page = desk.ask("/repository/docker.io/acme/other").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Which tags are signed cannot be told"), "{}", page.body);
}

#[tokio::test]
async fn many_tags_are_shown_in_parts() {
    let desk = Desk::new().await;
    let mut repository = Repository::new(BASE);
    repository.delegate("targets/releases", &[TestKey::p256("alice")], 1, &[""]);
    for number in 0..2500 {
        let role = if number % 2 == 0 { "targets" } else { "targets/releases" };
        repository.tag(role, &format!("v{number:05}"), b"manifest");
    }
    repository.tag("targets", &format!("w{}", "x".repeat(2000)), b"manifest");
    desk.store(BASE, &repository.publish()).await;
    let (mut found, mut path) = (Vec::new(), format!("{JSON}?limit=1000"));
    loop {
        let tags = desk.json(&path).await["tags"].clone();
        assert_eq!((tags["count"].as_u64(), tags["too_long"].as_u64()), (Some(2500), Some(1)));
        found.extend(strings(&tags["rows"], "name"));
        let Some(next) = tags["next"].as_str() else { break };
        path = format!("{JSON}?limit=1000&after={next}");
    }
    assert_eq!(found, (0..2500).map(|it| format!("v{it:05}")).collect::<Vec<_>>());

    let page = desk.ask(HTML).await.body;
    assert_eq!(page.matches("sha256:").count(), 100);
    assert!(page.contains("2500 tags, with"), "{page}");
    assert!(page.contains("href=\"/repository/docker.io/acme/base?after=v00099\""), "{page}");
    assert!(page.contains("1 more have names too long"), "{page}");
    let page = desk.ask(&format!("{HTML}?search=V0249")).await.body;
    assert_eq!(page.matches("sha256:").count(), 10);
    assert!(!page.contains("Next page"), "{page}");
    assert!(desk.ask(&format!("{HTML}?search=none")).await.body.contains("No tag has that in its name."));
}

/// Whatever is stored, and whatever is asked for.
#[tokio::test]
async fn no_page_has_more_rows_than_its_limit() {
    let desk = Desk::new().await;
    let mut repository = Repository::new(BASE);
    for number in 0..3000 {
        repository.tag("targets", &format!("v{number:05}"), b"manifest");
    }
    desk.store(BASE, &repository.publish()).await;
    for (query, most) in [
        ("", 100),
        ("?limit=1", 1),
        ("?limit=1000", 1000),
        ("?limit=1000&search=v", 1000),
        ("?limit=1000&after=v00999", 1000),
        ("?limit=7&after=v02995", 4),
        ("?after=v02999", 0),
        ("?limit=1001", 0),
        ("?limit=3000", 0),
    ] {
        let page = desk.ask(&format!("{HTML}{query}")).await;
        assert_eq!(page.body.matches("sha256:").count(), most, "{query}");
        // Half a kilobyte a row, and what is there without any.
        assert!(page.body.len() < 512 * most + (16 << 10), "{query}: {}", page.body.len());
        let answer: Value = serde_json::from_str(&desk.ask(&format!("{JSON}{query}")).await.body).unwrap();
        assert_eq!(answer["tags"]["rows"].as_array().map_or(0, Vec::len), most, "{query}");
    }
}

/// A publisher can name a thousand roles, each with a thousand keys.
#[tokio::test]
async fn roles_and_keys_beyond_what_is_shown_are_counted() {
    let desk = Desk::new().await;
    let mut repository = Repository::new(BASE);
    let keys: Vec<_> = (0..30).map(|number| TestKey::ed25519(&format!("key {number}"))).collect();
    for number in 0..600 {
        let role = format!("targets/signer{number:03}");
        repository.delegate(&role, &keys, 1, &[""]);
        repository.roles.remove(&role);
    }
    desk.store(BASE, &repository.publish()).await;
    let answer = desk.json(JSON).await;
    let roles = answer["roles"].as_array().unwrap();
    assert_eq!((roles.len(), &answer["more_roles"]), (500, &json!(true)));
    let last = roles.last().unwrap();
    assert_eq!((last["keys"].as_array().unwrap().len(), &last["more_keys"]), (20, &json!(10)));
    assert_eq!(roles[0].get("more_keys"), None, "the root has one");
    let page = desk.ask(HTML).await.body;
    assert!(page.contains("1 of 30 must sign") && page.contains("10 more"));
    assert!(page.contains("There are more roles, which are not shown."));
}

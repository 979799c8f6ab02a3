//! Writes: what is taken from whom, and how the rest is told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const FILES: &str = "/v2/docker.io/acme/base/_trust/tuf/";

#[tokio::test]
async fn keys_stay_until_they_are_rotated() {
    let desk = Desk::new().await;
    let first = desk.key("timestamp").await;
    assert_eq!(desk.key("timestamp").await, first);
    assert_ne!(desk.key("snapshot").await, first);
    desk.published().await;
    let rotated = desk.ask(Method::POST, &format!("{FILES}timestamp.key")).await;
    assert_eq!(rotated.status, 200);
    let rotated = crate::tuf::PublicKey::from_json(&rotated.body).unwrap();
    assert_ne!(rotated, first);
    // Until a root names it, the old one signs.
    assert_eq!(desk.key("timestamp").await, first);
    let line = format!("RotateKey {BASE} 200 0ms timestamp key {}", rotated.id());
    assert!(desk.log().iter().any(|it| it.ends_with(&line)));
}

#[tokio::test]
async fn a_deleted_repository_is_gone_by_every_name() {
    let desk = Desk::new().await;
    let files = desk.published().await.publish();
    let hash = hex::encode(crate::server::storage::sha256(&files.get("root")));
    for times in 0..2 {
        let reply = desk.ask(Method::DELETE, FILES).await;
        assert_eq!((reply.status, &*reply.body), (200, &b""[..]), "{times}");
    }
    for name in ["root.json", "1.root.json", &format!("root.{hash}.json")] {
        assert_eq!(desk.get(&format!("{FILES}{name}")).await.status, 404, "{name}");
    }
    let log = desk.log();
    assert!(log[1].ends_with("DeleteTUF docker.io/acme/base 200 0ms deleted"), "{log:?}");
    assert!(log[2].ends_with("there was none"), "{log:?}");
}

#[tokio::test]
async fn what_is_handed_in_wrong_is_told_by_its_code() {
    let desk = Desk::new().await;
    let repository = desk.published().await;
    let files = repository.publish();
    let garbled = [&files.get("targets")[..20], b"}"].concat();
    for (parts, code) in [
        (vec![("", b"{}".to_vec())], "NO_FILENAME"),
        (vec![("mirrors", b"{}".to_vec())], "INVALID_ROLE"),
        (vec![("targets/../root", b"{}".to_vec())], "INVALID_ROLE"),
        (vec![("targets", b"{".to_vec())], "MALFORMED_JSON"),
        (vec![("targets", garbled)], "MALFORMED_JSON"),
        (vec![("targets", files.get("targets"))], "VERSION"),
        (vec![("root", files.get("root"))], "VERSION"),
        (vec![("targets", edited(&repository, "targets", 2_000))], "INVALID_UPDATE"),
        (vec![("targets/nobody", edited(&repository, "targets", 1))], "INVALID_UPDATE"),
    ] {
        let shown = format!("{:?}", parts.iter().map(|it| it.0).collect::<Vec<_>>());
        assert_eq!(desk.post(BASE, &parts).await.error(), (400, code.to_owned()), "{shown}");
    }
    for (kind, body) in [
        ("", "--b--\r\n"),
        ("application/json", "{}"),
        ("multipart/form-data", "--b--\r\n"),
        (MULTIPART, ""),
        (MULTIPART, "--b\r\n"),
        (MULTIPART, "--c--\r\n"),
    ] {
        let reply = desk.post_body(BASE, kind, body).await;
        assert_eq!(reply.error(), (400, "MALFORMED_UPLOAD".to_owned()), "{kind:?} {body:?}");
    }
    // Nothing of it was stored, and each has a line.
    assert_eq!(desk.get(&format!("{FILES}2.timestamp.json")).await.status, 404);
    let log = desk.log();
    assert_eq!(log.len(), 16, "{log:?}");
    assert!(log.iter().skip(1).all(|it| it.contains("UpdateTUF docker.io/acme/base 400")), "{log:?}");
}

/// A role's file in another version.
fn edited(repository: &Repository, role: &str, version: u64) -> Vec<u8> {
    let mut signed = repository.roles[role].signed.clone();
    signed["version"] = version.into();
    crate::tuf::testing::sign(&signed, &repository.roles[role].signers)
}

#[tokio::test]
async fn repositories_outside_of_the_prefixes_are_not_taken() {
    let prefixes = serde_json::json!(["docker.io/acme/"]);
    let desk = Desk::with(|it| it.gun_prefixes = serde_json::from_value(prefixes).unwrap()).await;
    desk.published().await;
    let outside = "/v2/docker.io/acmeevil/base/_trust/tuf/";
    for method in [Method::POST, Method::DELETE] {
        let reply = desk.ask(method, outside).await;
        assert_eq!(reply.error(), (400, "INVALID_GUN".to_owned()));
        assert_eq!(reply.json()["errors"][0]["detail"], "Require GUNs with prefix: [docker.io/acme/]");
    }
    for file in ["root.json", "timestamp.key"] {
        let reply = desk.get(&format!("{outside}{file}")).await;
        assert_eq!(reply.error(), (404, "METADATA_NOT_FOUND".to_owned()));
    }
    for name in ["a//b", "a/../b", "a%20b", "%00"] {
        let reply = desk.ask(Method::POST, &format!("/v2/{name}/_trust/tuf/")).await;
        assert_eq!(reply.error(), (400, "INVALID_GUN".to_owned()), "{name}");
    }
}

#[tokio::test]
async fn whoever_asks_must_be_somebody_where_names_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::with_passwords(folder.path()).await;
    for (method, path) in [
        (Method::GET, "/v2/"),
        (Method::GET, "/v2/docker.io/acme/base/_trust/tuf/root.json"),
        (Method::GET, "/v2/docker.io/acme/base/_trust/tuf/timestamp.key"),
        (Method::POST, FILES),
        (Method::POST, "/v2/a//b/_trust/tuf/"),
        (Method::DELETE, FILES),
        (Method::GET, "/v2/_trust/changefeed?records=1"),
        (Method::GET, "/anything"),
    ] {
        let reply = desk.ask(method.clone(), path).await;
        assert_eq!(reply.error(), (401, "UNAUTHORIZED".to_owned()), "{method} {path}");
        assert_eq!(reply.header(WWW_AUTHENTICATE), Some("Basic realm=\"trust\""));
    }
    // These say nothing of what is stored.
    assert_eq!(desk.get("/_notary_server/health").await.status, 200);
    let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("alice:{password}")));
    assert_eq!(desk.get_with("/v2/", AUTHORIZATION, &basic("secret")).await.status, 200);
    desk.log();
    assert_eq!(desk.get_with("/v2/", AUTHORIZATION, &basic("guess")).await.status, 401);
    let log = desk.log();
    assert!(log.len() == 1 && log[0].contains(" Ping - 401 "), "{log:?}");
    assert!(!log[0].contains("guess") && !log[0].contains(&STANDARD.encode("alice:guess")), "{log:?}");
    // What was read under a name is nobody else's.
    let request = request(Method::POST, FILES).header(AUTHORIZATION, basic("secret"));
    let reply = desk.send(request.header(CONTENT_TYPE, MULTIPART).body("--b--\r\n".into()).unwrap()).await;
    assert_eq!(reply.error(), (400, "INVALID_UPDATE".to_owned()));
    assert!(desk.log()[0].contains("192.0.2.1 alice UpdateTUF docker.io/acme/base 400"));
    // Guessing ends.
    let mut last = None;
    for _ in 0..40 {
        last = Some(desk.get_with("/v2/", AUTHORIZATION, &basic("guess")).await);
    }
    let last = last.unwrap();
    assert_eq!(last.error(), (429, "TOOMANYREQUESTS".to_owned()));
    assert!(last.header(RETRY_AFTER).unwrap().parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn what_is_read_under_a_name_is_kept_by_nobody_between() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::with_passwords(folder.path()).await;
    let open = Desk::new().await;
    let repository = open.published().await;
    let change = crate::server::storage::Change {
        expected: None,
        files: ["root", "timestamp"]
            .map(|it| {
                let role = it.parse().unwrap();
                let version = crate::tuf::Version::FIRST;
                crate::server::storage::NewFile::new(role, version, days(9), repository.publish().get(it))
            })
            .to_vec(),
        retired: Vec::new(),
    };
    desk.storage.publish(&BASE.parse().unwrap(), &change, now()).await.unwrap();
    let basic = format!("Basic {}", STANDARD.encode("alice:secret"));
    let reply = desk.get_with(&format!("{FILES}root.json"), AUTHORIZATION, &basic).await;
    assert_eq!(reply.header(CACHE_CONTROL), Some("private, max-age=300, must-revalidate"));
    assert_eq!(reply.header(VARY), Some("authorization"));
}

#[tokio::test]
async fn a_defect_is_an_error_of_one_request_and_a_line_of_the_log() {
    let keys = Arc::new(TestKeys::default());
    let clock = Arc::new(std::sync::Mutex::new(now()));
    let desk = Desk::over(Arc::clone(&keys) as _, clock, |_| ()).await;
    let repository = desk.repository().await;
    keys.defective.store(true, std::sync::atomic::Ordering::SeqCst);
    let files = repository.publish();
    let parts = [("root", files.get("root")), ("targets", files.get("targets"))];
    let reply = desk.post(BASE, &parts).await;
    assert_eq!(reply.error(), (500, "UNKNOWN".to_owned()));
    assert!(!String::from_utf8_lossy(&reply.body).contains("a test wants"));
    assert!(desk.log().last().unwrap().contains("UpdateTUF docker.io/acme/base 500"));
    keys.defective.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(desk.post(BASE, &parts).await.status, 200);
}

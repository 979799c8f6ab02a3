//! Reads: what is there, by each of its names, and what is not sent again.

use super::*;

fn path(file: &str) -> String {
    format!("/v2/{BASE}/_trust/tuf/{file}")
}

#[tokio::test]
async fn a_file_has_three_names() {
    let desk = Desk::new().await;
    let files = desk.published().await.publish();
    for role in ["root", "targets"] {
        let content = files.get(role);
        let hash = hex::encode(crate::server::storage::sha256(&content));
        for (name, kept) in [
            (format!("{role}.json"), "public, max-age=300, s-maxage=300, must-revalidate"),
            (format!("1.{role}.json"), "public, max-age=2592000, s-maxage=2592000"),
            (format!("01.{role}.json"), "public, max-age=2592000, s-maxage=2592000"),
            (format!("{role}.{hash}.json"), "public, max-age=2592000, s-maxage=2592000"),
        ] {
            let reply = desk.get(&path(&name)).await;
            assert_eq!((reply.status, &reply.body), (200, &Bytes::from(content.clone())), "{name}");
            assert_eq!(reply.header(CACHE_CONTROL), Some(kept), "{name}");
            assert_eq!(reply.header(ETAG), Some(format!("\"{hash}\"").as_str()));
            assert_eq!(reply.header(LAST_MODIFIED), Some("Mon, 01 Jun 2026 12:00:00 GMT"));
            assert_eq!(reply.header(CONTENT_TYPE), Some("application/json"));
        }
        // Only as the role's, only of this repository, only of these versions.
        let other = if role == "root" { "targets" } else { "root" };
        for name in [format!("{other}.{hash}.json"), format!("2.{role}.json")] {
            assert_eq!(desk.get(&path(&name)).await.error(), (404, "METADATA_NOT_FOUND".to_owned()));
        }
        let elsewhere = desk.get(&format!("/v2/docker.io/acme/other/_trust/tuf/{role}.{hash}.json")).await;
        assert_eq!(elsewhere.status, 404);
    }
    assert_eq!(desk.get(&path("targets/releases.json")).await.status, 404);
    assert_eq!(desk.log(), Vec::<String>::from([desk_line()]), "reads have no lines");
}

fn desk_line() -> String {
    "2026-06-01T12:00:00.000Z 192.0.2.1 - UpdateTUF docker.io/acme/base 200 0ms root=1 snapshot=1 targets=1 \
     timestamp=1"
        .to_owned()
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let desk = Desk::new().await;
    desk.published().await;
    let first = desk.get(&path("timestamp.json")).await;
    let tag = first.header(ETAG).unwrap();
    let date = first.header(LAST_MODIFIED).unwrap();
    for (name, value) in [(IF_NONE_MATCH, tag), (IF_MODIFIED_SINCE, date), (IF_NONE_MATCH, "*")] {
        let reply = desk.get_with(&path("timestamp.json"), name, value).await;
        assert_eq!((reply.status, &*reply.body), (304, &b""[..]));
        assert_eq!(reply.header(ETAG), Some(tag));
        assert_eq!(reply.header(CACHE_CONTROL), first.header(CACHE_CONTROL));
    }
    desk.post(BASE, &[]).await;
    let reply = desk.get_with(&path("timestamp.json"), IF_NONE_MATCH, tag).await;
    assert_eq!(reply.status, 200);
    assert_ne!(reply.header(ETAG), Some(tag));
}

#[tokio::test]
async fn a_head_is_an_answer_without_its_body() {
    let desk = Desk::new().await;
    let files = desk.published().await.publish();
    let reply = desk.ask(Method::HEAD, &path("targets.json")).await;
    let length = files.get("targets").len().to_string();
    assert_eq!((reply.status, &*reply.body), (200, &b""[..]));
    assert_eq!(reply.header(CONTENT_LENGTH), Some(length.as_str()));
    assert!(reply.header(ETAG).is_some());
    let reply = desk.ask(Method::HEAD, &path("targets/none.json")).await;
    assert_eq!((reply.status, &*reply.body), (404, &b""[..]));
}

#[tokio::test]
async fn ages_of_nothing_are_told_as_notary_tells_them() {
    let desk = Desk::with(|it| {
        it.caching = Caching { current: Duration::ZERO, consistent: Duration::from_secs(7) };
    })
    .await;
    desk.published().await;
    let current = desk.get(&path("root.json")).await;
    assert_eq!(current.header(CACHE_CONTROL), Some("max-age=0, no-cache, no-store"));
    assert_eq!(current.header(PRAGMA), Some("no-cache"));
    let consistent = desk.get(&path("1.root.json")).await;
    assert_eq!(consistent.header(CACHE_CONTROL), Some("public, max-age=7, s-maxage=7"));
    assert_eq!(consistent.header(PRAGMA), None);
}

#[tokio::test]
async fn long_files_are_compressed_for_whoever_takes_that() {
    let desk = Desk::new().await;
    let mut repository = desk.repository().await;
    for tag in 0..200 {
        repository.tag("targets", &format!("v{tag}"), b"manifest");
    }
    let files = repository.publish();
    desk.post(BASE, &[("root", files.get("root")), ("targets", files.get("targets"))]).await;
    let plain = desk.get(&path("targets.json")).await;
    assert_eq!((plain.header(CONTENT_ENCODING), plain.body.len()), (None, files.get("targets").len()));
    let packed = desk.get_with(&path("targets.json"), ACCEPT_ENCODING, "gzip").await;
    assert_eq!(packed.header(CONTENT_ENCODING), Some("gzip"));
    assert!(packed.body.len() * 2 < plain.body.len() && packed.body.starts_with(b"\x1f\x8b"));
    // Other bytes, so another tag; which still names the file.
    let tag = packed.header(ETAG).unwrap();
    assert_eq!(tag, format!("W/{}", plain.header(ETAG).unwrap()));
    assert_eq!(desk.get_with(&path("targets.json"), IF_NONE_MATCH, tag).await.status, 304);
    let short = desk.get_with(&path("timestamp.json"), ACCEPT_ENCODING, "gzip").await;
    assert_eq!(short.header(CONTENT_ENCODING), None);
    let refused = desk.get_with(&path("targets.json"), ACCEPT_ENCODING, "gzip;q=0").await;
    assert_eq!(refused.header(CONTENT_ENCODING), None);
}

#[tokio::test]
async fn an_expired_timestamp_is_signed_anew_before_it_is_read() {
    let desk = Desk::new().await;
    desk.published().await;
    *desk.clock.lock().unwrap() = days(15);
    let reply = desk.get(&path("timestamp.json")).await;
    assert_eq!((reply.status, &reply.json()["signed"]["version"]), (200, &2.into()));
}

#[tokio::test]
async fn changes_come_in_pages() {
    let desk = Desk::new().await;
    desk.published().await;
    desk.post(BASE, &[]).await;
    desk.ask(Method::DELETE, &format!("/v2/{BASE}/_trust/tuf/")).await;
    let all = desk.get("/v2/_trust/changefeed?records=0").await;
    assert_eq!((all.status, &all.json()["count"]), (200, &3.into()));
    let records = all.json()["records"].clone();
    assert_eq!(records[0]["Category"], "update");
    assert_eq!(records[0]["GUN"], BASE);
    assert_eq!(records[0]["ID"], "1");
    assert_eq!(records[0]["CreatedAt"], "2026-06-01T12:00:00Z");
    assert_eq!(records[0]["SHA256"].as_str().unwrap().len(), 64);
    assert_eq!((&records[1]["Version"], &records[2]["Version"]), (&2.into(), &0.into()));
    assert_eq!((&records[2]["Category"], &records[2]["SHA256"]), (&"deletion".into(), &"".into()));
    let of = format!("/v2/{BASE}/_trust/changefeed?records=1&change_id=1");
    assert_eq!(desk.get(&of).await.json()["records"][0]["ID"], "2");
    let last = desk.get("/v2/_trust/changefeed?records=-1").await.json();
    assert_eq!((&last["count"], &last["records"][0]["ID"]), (&1.into(), &"3".into()));
    let other = desk.get("/v2/docker.io/acme/other/_trust/changefeed?records=5").await;
    assert_eq!(&*other.body, br#"{"count":0,"records":[]}"#);
    for query in ["", "?records=x", "?records=1&change_id=x"] {
        let reply = desk.get(&format!("/v2/_trust/changefeed{query}")).await;
        assert_eq!(reply.error(), (400, "INVALID_PARAMETERS".to_owned()), "{query}");
    }
}

#[tokio::test]
async fn what_is_no_route_is_no_metadata() {
    let desk = Desk::new().await;
    for (method, path) in [
        (Method::GET, "/v2"),
        (Method::GET, "/v1/"),
        (Method::PUT, "/v2/docker.io/acme/base/_trust/tuf/"),
        (Method::GET, "/v2/docker.io/acme/../base/_trust/tuf/root.json"),
        (Method::GET, "/v2/docker.io/acme/%2e%2e/base/_trust/tuf/root.json"),
        (Method::GET, "/v2/docker.io/acme/base/_trust/tuf/Root.json"),
        (Method::GET, "/v2/docker.io/acme/base/_trust/tuf/targets/..%2froot.json"),
        (Method::GET, "/v2/docker.io/acme/base/_trust/tuf/root.json%00"),
        (Method::OPTIONS, "/v2/"),
        (Method::PATCH, "/metrics"),
    ] {
        let reply = desk.ask(method.clone(), path).await;
        assert_eq!(reply.error(), (404, "METADATA_NOT_FOUND".to_owned()), "{method} {path}");
        assert_eq!(reply.json()["errors"][0].get("detail"), None, "{method} {path}");
    }
    assert_eq!(desk.get("/v2/").await.json(), serde_json::json!({}));
}

#[tokio::test]
async fn people_look_at_pages_under_the_same_rules() {
    let desk = Desk::new().await;
    desk.published().await;
    for (path, part) in [
        ("/", BASE),
        ("/status.json", BASE),
        ("/repository/docker.io/acme/base", "v1"),
        ("/status/docker.io/acme/base.json", "v1"),
    ] {
        let reply = desk.get(path).await;
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(reply.status == 200 && text.contains(part), "{path}: {text}");
        assert_eq!(reply.header(CACHE_CONTROL), Some("private, no-cache"), "{path}");
    }
    assert_eq!(desk.get("/repository/docker.io/acme/none").await.status, 404);
    assert_eq!(desk.ask(Method::POST, "/").await.error(), (404, "METADATA_NOT_FOUND".to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let closed = Desk::with_passwords(folder.path()).await;
    for path in ["/", "/status.json", "/repository/docker.io/acme/base"] {
        assert_eq!(closed.get(path).await.error(), (401, "UNAUTHORIZED".to_owned()), "{path}");
    }
    let prefixes = serde_json::json!(["docker.io/other/"]);
    let other = Desk::with(|it| it.gun_prefixes = serde_json::from_value(prefixes).unwrap()).await;
    assert_eq!(other.get("/repository/docker.io/acme/base").await.status, 404);
}

#[tokio::test]
async fn a_monitor_reads_numbers_and_health() {
    let desk = Desk::new().await;
    desk.published().await;
    let health = desk.get("/_notary_server/health").await;
    assert_eq!((health.status, &*health.body), (200, &b"{}"[..]));
    let metrics = desk.get("/metrics").await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    let line = r#"notary_server_http_requests_total{operation="UpdateTUF",method="post",code="200"} 1"#;
    assert!(text.contains(line), "{text}");
    assert!(metrics.header(CONTENT_TYPE).unwrap().starts_with("application/openmetrics-text"));
    // A method that a client made up is no label.
    desk.ask(Method::from_bytes(b"BREW").unwrap(), "/v2/").await;
    let text = String::from_utf8(desk.get("/metrics").await.body.to_vec()).unwrap();
    assert!(text.contains(r#"operation="Unknown",method="other",code="404""#), "{text}");
    let elsewhere = Desk::with(|it| it.metrics = Metrics::Off).await;
    assert_eq!(elsewhere.get("/metrics").await.status, 404);
}

#[tokio::test]
async fn health_says_what_does_not_work() {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    // Nobody listens at the discard port.
    let away = crate::signer::RemoteSigner::new("127.0.0.1", 9, Arc::new(tls)).unwrap();
    let clock = Arc::new(std::sync::Mutex::new(now()));
    let desk = Desk::over(Arc::new(away), clock, |_| ()).await;
    let health = desk.get("/_notary_server/health").await;
    assert_eq!(health.status, 503);
    assert_eq!(health.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["Trust operational"]);
    let key = desk.get(&path("timestamp.key")).await;
    assert_eq!(key.error(), (503, "NO_CRYPTOSERVICE".to_owned()));
    desk.storage.close().await;
    assert_eq!(desk.get(&path("root.json")).await.error(), (503, "UNKNOWN".to_owned()));
    let log = desk.log().join("\n");
    assert!(
        log.contains("GetKey docker.io/acme/base 503") && log.contains("GetRole docker.io/acme/base 503")
    );
}

//! The client alone: what a server can do wrong between a URL and its body.

use std::time::Duration;

use trustgate::http::{HttpClient, HttpError, HttpOptions, Proxies, Waiting};

use crate::notary::{FakeNotary, Reply};
use crate::world::{SHORT, World};

const LIMIT: usize = 10_000;

async fn get(world: &World, reply: Reply) -> Result<Vec<u8>, HttpError> {
    world.fault(move |_| Some(reply.clone()));
    let client = HttpClient::new(world.options()).unwrap();
    client.get(&world.server.url("/file"), LIMIT, None).await.map(|response| response.body)
}

#[tokio::test]
async fn a_body_comes_whole() {
    let world = World::new().await;
    assert_eq!(get(&world, Reply::ok("hello")).await.unwrap(), b"hello");
    assert_eq!(get(&world, Reply::ok(vec![b'x'; LIMIT])).await.unwrap().len(), LIMIT);
    let chunked = b"HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_eq!(get(&world, Reply::CutOff(chunked.to_vec())).await.unwrap(), b"abcde");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_cut() {
    let world = World::new().await;
    let huge = b"HTTP/1.1 200 -\r\nContent-Length: 18446744073709551615\r\n\r\n{".to_vec();
    // One byte too many that no header announces.
    let mut chunked = b"HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\n\r\n2711\r\n".to_vec();
    chunked.extend([b'x'; LIMIT + 1]);
    chunked.extend(b"\r\n0\r\n\r\n");
    for reply in [
        Reply::CutOff(chunked),
        Reply::ok(vec![b'x'; LIMIT + 1]),
        Reply::Endless,
        Reply::CutOff(b"HTTP/1.1 200 -\r\nContent-Length: 10001\r\n\r\n".to_vec()),
        Reply::Silence(b"HTTP/1.1 200 -\r\nContent-Length: 9223372036854775807\r\n\r\n".to_vec()),
    ] {
        let error = get(&world, reply).await.unwrap_err();
        assert!(matches!(error, HttpError::TooLarge { limit: 10_000, .. }), "{error}");
        assert!(!error.is_unreachable() && error.to_string().contains("/file"), "{error}");
    }
    assert!(get(&world, Reply::CutOff(huge)).await.is_err());
}

#[tokio::test]
async fn a_connection_that_ends_early_is_named() {
    let world = World::new().await;
    for bytes in [
        "",
        "HTTP/1.1 2",
        "HTTP/1.1 200 -\r\nContent-Len",
        "HTTP/1.1 200 -\r\nContent-Length: 9\r\n\r\n{\"sig",
        "HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"s",
        "HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"sig\r\n",
    ] {
        let error = get(&world, Reply::CutOff(bytes.into())).await.unwrap_err();
        assert!(matches!(error, HttpError::Closed { .. }), "{bytes:?}: {error:?}");
        assert!(error.is_unreachable());
    }
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let mut world = World::new().await;
    world.timeouts.idle = SHORT;
    for bytes in ["", "HTTP/1.1 200 -\r\n", "HTTP/1.1 200 -\r\nContent-Length: 9\r\n\r\n{\"sig"] {
        let error = get(&world, Reply::Silence(bytes.into())).await.unwrap_err();
        assert!(matches!(error, HttpError::Timeout { waiting: Waiting::Bytes, .. }), "{bytes:?}: {error:?}");
        assert!(error.is_unreachable());
    }
    world.timeouts.idle = Duration::from_secs(20);
    world.timeouts.total = SHORT;
    let error = get(&world, Reply::Silence(Vec::new())).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout { waiting: Waiting::Answer, .. }), "{error:?}");
}

#[tokio::test]
async fn a_socket_that_never_speaks_tls_is_a_timeout() {
    let mut world = World::new().await;
    world.timeouts.connect = SHORT;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = HttpClient::new(world.options()).unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap()).parse().unwrap();
    let error = client.get(&url, LIMIT, None).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout { waiting: Waiting::Connection, .. }), "{error:?}");
}

#[tokio::test]
async fn a_closed_port_is_no_connection() {
    let world = World::new().await;
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", socket.local_addr().unwrap()).parse().unwrap();
    drop(socket);
    let error = HttpClient::new(world.options()).unwrap().get(&url, LIMIT, None).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
    assert!(error.is_unreachable());
}

#[tokio::test]
async fn what_is_no_http_is_named() {
    let world = World::new().await;
    let flood = format!("HTTP/1.1 200 -\r\n{}\r\n", "X-Flood: 1\r\n".repeat(200));
    let long = format!("HTTP/1.1 200 -\r\nX-Long: {}\r\n\r\n", "x".repeat(1 << 20));
    for bytes in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 abc -\r\n\r\n",
        "HTTP/1.1 200 -\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 -\r\nno colon\r\n\r\n",
        "\0\0\0\0\0\0\0\0\0\0",
        &flood,
        &long,
    ] {
        let error = get(&world, Reply::CutOff(bytes.into())).await.unwrap_err();
        let shown = bytes.chars().take(40).collect::<String>();
        assert!(matches!(error, HttpError::Protocol { .. }), "{shown:?}: {error:?}");
        assert!(!error.is_unreachable());
    }
    let broken = "HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n";
    let error = get(&world, Reply::CutOff(broken.into())).await.unwrap_err();
    assert!(matches!(error, HttpError::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn an_encoding_that_nobody_asked_for_is_refused() {
    let world = World::new().await;
    let garbage = Reply::ok(vec![0x1f, 0x8b, 8, 0, 255, 255]).with("Content-Encoding", "gzip");
    let error = get(&world, garbage).await.unwrap_err();
    assert!(matches!(&error, HttpError::Encoding { encoding, .. } if encoding == "gzip"), "{error:?}");
    assert!(world.server.take_requests()[0].header("accept-encoding").is_none());
}

#[tokio::test]
async fn a_status_comes_with_the_servers_own_words_cleaned() {
    let world = World::new().await;
    let body = r#"{"errors":[{"code":"X","message":"no \u001b[31msuch\u0007 thing"}]}"#;
    let reply = Reply::Answer { status: 418, headers: Vec::new(), body: body.into() };
    let error = get(&world, reply).await.unwrap_err();
    assert_eq!(error.status(), Some(418));
    assert!(error.to_string().ends_with("/file` answered with status 418: no [31msuch thing"), "{error}");
    let reply = Reply::Answer { status: 500, headers: Vec::new(), body: vec![b'<'; 1 << 20] };
    let error = get(&world, reply).await.unwrap_err();
    assert!(error.to_string().ends_with("answered with status 500"), "{error}");
    assert!(error.is_unreachable());
    for status in [304, 400, 404, 600, 999] {
        assert_eq!(get(&world, Reply::status(status)).await.unwrap_err().status(), Some(status));
    }
}

#[tokio::test]
async fn a_redirect_is_followed_to_https_only_and_not_for_long() {
    let world = World::new().await;
    let other = FakeNotary::start(|_| Reply::ok("elsewhere")).await;
    other.trust_in(world.folder.path());
    let to = other.url("/moved?secret=1#f").to_string();
    assert_eq!(get(&world, Reply::redirect(&to)).await.unwrap(), b"elsewhere");
    world.fault(|request| {
        Some(if request.target == "/file" { Reply::redirect("moved") } else { Reply::ok("here") })
    });
    let client = HttpClient::new(world.options()).unwrap();
    let response = client.get(&world.server.url("/file"), LIMIT, None).await.unwrap();
    assert_eq!((response.body.as_slice(), response.requests), (b"here".as_slice(), 2));
    assert_eq!(response.url.path(), "/moved");

    let plain = to.replace("https", "http");
    for (target, reason) in [
        (plain.as_str(), "not https"),
        ("http://127.0.0.1/", "not https"),
        ("file:///etc/passwd", "not https"),
        ("data:text/plain,x", "not https"),
        ("https://user:secret@127.0.0.1/", "credentials"),
        ("https://[", "not a URL"),
        ("/file", "more than 4 redirects"),
    ] {
        let error = get(&world, Reply::redirect(target)).await.unwrap_err();
        assert!(matches!(error, HttpError::Redirect { .. }), "{target}: {error:?}");
        assert!(error.to_string().contains(reason) && !error.to_string().contains("secret"), "{error}");
        assert!(!error.is_unreachable());
    }
    assert!(matches!(get(&world, Reply::status(302)).await, Err(HttpError::Redirect { .. })));
}

#[tokio::test]
async fn only_https_urls_are_read() {
    let client = HttpClient::new(World::new().await.options()).unwrap();
    for url in ["http://127.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd", "https://../x", "data:,x"] {
        let error = client.get(&url.parse().unwrap(), LIMIT, None).await.unwrap_err();
        assert!(matches!(error, HttpError::Url { .. }), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_a_tls_error() {
    let world = World::new().await;
    let stranger = FakeNotary::start(|_| Reply::ok("hello")).await;
    let client = HttpClient::new(world.options()).unwrap();
    let error = client.get(&stranger.url("/"), LIMIT, None).await.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }), "{error:?}");
    // An impostor is no reason to believe old data.
    assert!(!error.is_unreachable());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_a_tls_error() {
    let world = World::new().await;
    let port = world.server.url("").port().unwrap();
    let other_name = format!("127.0.0.2:{port}");
    let tls = world.folder.path().join("tls");
    std::fs::rename(tls.join(world.server.host()), tls.join(&other_name)).unwrap();
    let url = format!("https://{other_name}/").parse().unwrap();
    let error = HttpClient::new(world.options()).unwrap().get(&url, LIMIT, None).await.unwrap_err();
    // The server listens on 127.0.0.1 alone.
    assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
    let localhost = tls.join(format!("localhost:{port}"));
    std::fs::rename(tls.join(&other_name), &localhost).unwrap();
    let url = format!("https://localhost:{port}/").parse().unwrap();
    world.fault(|_| Some(Reply::ok("hello")));
    assert!(HttpClient::new(world.options()).unwrap().get(&url, LIMIT, None).await.is_ok());
}

#[tokio::test]
async fn roots_come_from_the_named_file_the_system_or_the_program() {
    let world = World::new().await;
    world.fault(|_| Some(Reply::ok("hello")));
    let folder = world.folder.path().join("tls").join(world.server.host());
    let bundle = world.folder.path().join("bundle.pem");
    std::fs::rename(folder.join("ca.crt"), &bundle).unwrap();
    let get = async |options: HttpOptions| {
        HttpClient::new(options)?.get(&world.server.url("/"), LIMIT, None).await.map(|it| it.body)
    };
    // No CA file at all: the program's own roots, which do not know the server; never a panic.
    assert!(matches!(get(world.options()).await, Err(HttpError::Tls { .. })));
    let missing = world.folder.path().join("missing.pem");
    let system =
        HttpOptions { certificate_bundles: vec![missing.clone(), bundle.clone()], ..world.options() };
    assert_eq!(get(system).await.unwrap(), b"hello");
    let named = HttpOptions { certificate_file: Some(bundle.clone()), ..world.options() };
    assert_eq!(get(named).await.unwrap(), b"hello");
    for unusable in [missing, world.folder.path().to_owned(), "/dev/null".into(), "/dev/zero".into()] {
        let options = HttpOptions {
            certificate_file: Some(unusable.clone()),
            certificate_bundles: vec![bundle.clone()],
            ..world.options()
        };
        let error = get(options).await.unwrap_err();
        assert!(matches!(&error, HttpError::CertificateFile { path, .. } if *path == unusable), "{error:?}");
    }
}

#[tokio::test]
async fn a_hosts_own_folder_is_used_and_must_be_usable() {
    let world = World::new().await;
    world.fault(|_| Some(Reply::ok("hello")));
    let extra = world.folder.path().join("extra");
    std::fs::create_dir(&extra).unwrap();
    let home = world.folder.path().join("tls").join(world.server.host());
    let get = async || {
        let options = HttpOptions { tls_dirs: vec![extra.clone()], ..world.options() };
        HttpClient::new(options)?.get(&world.server.url("/"), LIMIT, None).await.map(|it| it.body)
    };
    std::fs::rename(&home, extra.join(world.server.host())).unwrap();
    assert_eq!(get().await.unwrap(), b"hello");
    std::fs::rename(extra.join(world.server.host()), &home).unwrap();
    assert_eq!(get().await.unwrap(), b"hello");
    std::fs::write(home.join("notes.txt"), "nothing of ours").unwrap();
    assert_eq!(get().await.unwrap(), b"hello");

    for (name, content) in [
        ("broken.crt", "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n"),
        ("broken.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("empty.crt", ""),
        ("lonely.cert", &std::fs::read_to_string(home.join("ca.crt")).unwrap()),
    ] {
        std::fs::write(home.join(name), content).unwrap();
        let error = get().await.unwrap_err();
        assert!(matches!(error, HttpError::CertificateFile { .. }), "{name}: {error:?}");
        std::fs::remove_file(home.join(name)).unwrap();
    }
}

/// The system's authorities count besides those of a host's folder, and are read only where they are needed.
#[tokio::test]
async fn a_host_with_a_folder_may_be_vouched_for_by_the_system() {
    let world = World::new().await;
    world.fault(|_| Some(Reply::ok("hello")));
    let own = world.folder.path().join("tls").join(world.server.host()).join("ca.crt");
    let bundle = world.folder.path().join("bundle.pem");
    let authority = std::fs::read(&own).unwrap();
    let stranger = rcgen::generate_simple_self_signed(["stranger".to_owned()]).unwrap().cert.pem();
    let get = async |of_host: &[u8], of_system: &[u8]| {
        std::fs::write(&own, of_host).unwrap();
        std::fs::write(&bundle, of_system).unwrap();
        let options = HttpOptions { certificate_bundles: vec![bundle.clone()], ..world.options() };
        HttpClient::new(options)?.get(&world.server.url("/"), LIMIT, None).await.map(|it| it.body)
    };
    assert_eq!(get(stranger.as_bytes(), &authority).await.unwrap(), b"hello");
    assert_eq!(get(&authority, b"nothing of use").await.unwrap(), b"hello");
    let error = get(stranger.as_bytes(), stranger.as_bytes()).await.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }), "{error:?}");
    let error = get(stranger.as_bytes(), b"nothing of use").await.unwrap_err();
    assert!(error.to_string().contains("bundle.pem"), "{error:?}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_those_who_ask() {
    let world = World::new().await;
    let client = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    let server = FakeNotary::for_client(&client.cert, |_| Reply::ok("hello, client")).await;
    server.trust_in(world.folder.path());
    let get =
        async || HttpClient::new(world.options())?.get(&server.url("/"), LIMIT, None).await.map(|it| it.body);
    let error = get().await.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }), "{error:?}");
    let folder = world.folder.path().join("tls").join(server.host());
    std::fs::write(folder.join("client.cert"), client.cert.pem()).unwrap();
    let error = get().await.unwrap_err();
    assert!(error.to_string().contains("client.key"), "{error}");
    std::fs::write(folder.join("client.key"), "not a key").unwrap();
    assert!(matches!(get().await, Err(HttpError::CertificateFile { .. })));
    std::fs::write(folder.join("client.key"), client.signing_key.serialize_pem()).unwrap();
    assert_eq!(get().await.unwrap(), b"hello, client");
}

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let world = World::new().await;
    world.fault(|_| Some(Reply::ok("hello")));
    let client = HttpClient::new(HttpOptions { proxies: Proxies::None, ..world.options() }).unwrap();
    for _ in 0..5 {
        client.get(&world.server.url("/"), LIMIT, None).await.unwrap();
    }
    assert_eq!(world.server.connections(), 1);
}

//! What our trust server does where connections begin and end: whose certificate it takes, what it shows elsewhere, and
//! whether somebody who is refused hears why.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::json;

use crate::notary_signer::{Running, folder, free_port, program, try_ask};
use crate::support::image::server_program;
use crate::trust_server::{DEADLINE, Server};

/// Where settings name authorities of clients, whoever shows no certificate of theirs is not spoken to; told so by our
/// settings or by a notary-server's.
#[tokio::test(flavor = "multi_thread")]
async fn only_clients_with_a_certificate_are_spoken_to() {
    let (ours, strangers) = (folder(), folder());
    let path = ours.path();
    let (port, listener) = free_port();
    let toml = format!(
        "listen = \"127.0.0.1:{port}\"\nstorage = {{ backend = \"memory\" }}\n\
         tls = {{ certificate = \"peer.crt\", key = \"peer.key\", authorities = \"ca.crt\" }}\n"
    );
    let notarys = json!({
        "server": {"http_addr": format!("127.0.0.1:{port}"), "tls_cert_file": "./peer.crt",
                   "tls_key_file": "./peer.key", "client_ca_file": "./ca.crt"},
        "trust_service": {"type": "local"},
        "storage": {"backend": "memory"}
    });
    fs::write(path.join("server.toml"), toml).expect("settings");
    fs::write(path.join("server.json"), notarys.to_string()).expect("settings");
    drop(listener);
    let read = |folder: &tempfile::TempDir, name: &str| fs::read(folder.path().join(name)).expect("a file");
    let client = |shown: Option<&tempfile::TempDir>| {
        // Another test of this process may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = reqwest::Certificate::from_pem(&read(&ours, "ca.crt")).expect("a certificate");
        let mut builder = reqwest::Client::builder().no_proxy().tls_certs_only([authority]);
        if let Some(folder) = shown {
            let pem = [read(folder, "peer.crt"), read(folder, "peer.key")].concat();
            builder = builder.identity(reqwest::Identity::from_pem(&pem).expect("a certificate and its key"));
        }
        builder.build().expect("a client")
    };
    for settings in ["server.toml", "server.json"] {
        let mut command = Command::new(server_program());
        command.arg("--config").arg(path.join(settings)).env("TRUSTGATE_SERVER_STATE", path.join("state"));
        let _server = Running::start(&mut command, port);
        let url = format!("https://127.0.0.1:{port}/v2/");
        let answer = client(Some(&ours)).get(&url).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{settings}");
        for stranger in [None, Some(&strangers)] {
            let error = client(stranger).get(&url).send().await.expect_err(settings);
            assert!(error.is_request() || error.is_connect(), "{settings}: {error:?}");
        }
        let Some(notary) = program("notary") else { continue };
        let certificate = path.join("peer.crt").display().to_string();
        let key = path.join("peer.key").display().to_string();
        let arguments = ["--tlscert", &certificate, "--tlskey", &key, "init", "-p", "127.0.0.1/acme/base"];
        try_ask(&notary, path, port, &arguments).expect("notary's client");
        fs::remove_dir_all(path.join("trust")).expect("what notary made");
    }
}

/// At an address of their own, and nowhere else: monitors have no business among clients.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_an_address_of_their_own() {
    let (port, listener) = free_port();
    drop(listener);
    let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let settings = format!("listen = \"127.0.0.1:0\"\n[metrics]\nlisten = \"127.0.0.1:{port}\"\n");
    let server = Server::start_with(folder, &settings);
    let client = server.client();
    let get = async |url: String| client.get(url).send().await.expect("an answer");
    assert_eq!(get(format!("{}/v2/", server.url)).await.status(), StatusCode::OK);
    assert_eq!(get(format!("{}/metrics", server.url)).await.status(), StatusCode::NOT_FOUND);
    let shown = get(format!("http://127.0.0.1:{port}/metrics")).await;
    assert_eq!(shown.status(), StatusCode::OK);
    let text = shown.text().await.expect("text");
    assert!(text.contains("trustgate_server_connections 1\n") && text.ends_with("# EOF\n"), "{text}");
    assert_eq!(get(format!("http://127.0.0.1:{port}/v2/")).await.status(), StatusCode::NOT_FOUND);
}

/// A client that sends everything before it listens hears why nothing was taken: its connection is not cut before.
#[test]
fn who_sends_too_much_is_told_so() {
    let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let settings = "listen = \"127.0.0.1:0\"\ntls = { off = true }\nlimits = { upload = \"64KiB\" }\n";
    let server = Server::start_with(folder, settings);
    let length = 16 << 20;
    let mut stream = TcpStream::connect(server.host()).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
    let head = format!(
        "POST /v2/registry.example/lab/long/_trust/tuf/ HTTP/1.1\r\nHost: x\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("it is taken");
    stream.write_all(&vec![b' '; length]).expect("it is taken, and thrown away");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer, and an end that is not a reset");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let body = answer.split_once("\r\n\r\n").expect("a head").1;
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["errors"][0]["detail"], "an update has 65536 bytes at most", "{answer}");
}

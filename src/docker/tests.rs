use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::*;
use crate::http::Secret;
use crate::image::Reference;

/// An engine that answers each connection with the next of these texts, then hangs up.
struct FakeEngine {
    folder: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FakeEngine {
    fn new(answers: Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                heard.lock().unwrap().push(String::from_utf8(request).unwrap());
                // Who is hung up on does not read on.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { folder, requests }
    }

    /// One that answers the ping, then these.
    async fn connected(mut answers: Vec<String>) -> (Self, Engine) {
        answers.insert(0, ping("1.41"));
        let fake = Self::new(answers);
        let engine = Engine::connect(&fake.options()).await.unwrap();
        (fake, engine)
    }

    fn options(&self) -> EngineOptions {
        let socket = self.folder.path().join("socket");
        EngineOptions { host: Some(format!("unix://{}", socket.display())), ..EngineOptions::default() }
    }

    fn request(&self, index: usize) -> String {
        self.requests.lock().unwrap()[index].clone()
    }
}

fn ping(version: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nApi-Version: {version}\r\nOstype: linux\r\nBuilder-Version: 1\r\nContent-Length: 2\r\n\r\nOK"
    )
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A stream that ends well, or in the middle.
fn stream(lines: &str, whole: bool) -> String {
    let end = if whole { "0\r\n\r\n" } else { "" };
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{lines}\r\n{end}", lines.len())
}

async fn push(lines: &str, whole: bool) -> (Result<Pushed, EngineError>, String) {
    let (_fake, engine) = FakeEngine::connected(vec![stream(lines, whole)]).await;
    let mut shown = Vec::new();
    let authorization = Secret::new("e30=".to_owned());
    let transfer = Transfer { authorization: &authorization, platform: None };
    let reference: Reference = "acme/web:v1".parse().unwrap();
    let result = engine.push(&reference, transfer, &mut PlainProgress::new(&mut shown)).await;
    (result, String::from_utf8(shown).unwrap())
}

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OTHER: &str = "sha256:1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn aside(tag: &str, digest: &str, size: &str) -> String {
    format!(
        "{{\"progressDetail\":{{}},\"aux\":{{\"Tag\":\"{tag}\",\"Digest\":\"{digest}\",\"Size\":{size}}}}}\r\n"
    )
}

#[tokio::test]
async fn a_push_says_what_it_stored() {
    let lines = format!(
        "{{\"status\":\"v1: digest: {DIGEST} size: 528\"}}\r\n{{\"aux\":{{\"other\":1}}}}\r\n{}",
        aside("v1", DIGEST, "528")
    );
    let (pushed, shown) = push(&lines, true).await;
    let content = pushed.unwrap().content.unwrap();
    assert_eq!((content.digest.to_string().as_str(), content.size), (DIGEST, 528));
    assert_eq!(shown, format!("v1: digest: {DIGEST} size: 528\n"));
}

#[tokio::test]
async fn a_push_that_says_nothing_of_a_digest() {
    assert_eq!(push("{\"status\":\"done\"}\n", true).await.0.unwrap().content, None);
}

#[tokio::test]
async fn a_push_that_says_the_wrong_thing() {
    for (lines, reason) in [
        (aside("v2", DIGEST, "528"), "it pushed another tag than `v1`"),
        (aside("v1", "sha256:00", "528"), "the digest that it pushed is malformed"),
        (aside("v1", DIGEST, "0"), "the size of the manifest that it pushed can't be right"),
        (aside("v1", DIGEST, "-1"), "the size of the manifest that it pushed can't be right"),
        (aside("v1", DIGEST, "4194305"), "the size of the manifest that it pushed can't be right"),
        (aside("v1", DIGEST, "1") + &aside("v1", OTHER, "1"), "it names two digests for one tag"),
        ("{\"status\":".to_owned(), "a line of its progress is malformed"),
        (
            format!("{{\"status\":\"{}", "x".repeat(300_000)),
            "a line of its progress is longer than 262144 bytes",
        ),
    ] {
        let error = push(&lines, true).await.0.unwrap_err();
        assert!(matches!(&error, EngineError::Protocol { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn an_error_in_the_stream_is_an_error() {
    let lines = "{\"status\":\"Preparing\",\"id\":\"aa\"}\r\n\
        {\"errorDetail\":{\"message\":\"denied: \\u001b[31mno\"},\"error\":\"denied\"}\r\n{\"status\":\"never shown\"}\r\n";
    let (result, shown) = push(lines, true).await;
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "denied: \\u{1b}[31mno");
    assert_eq!(error.help().unwrap(), "docker login, with an account that may do this");
    assert_eq!(shown, "aa: Preparing\n");
}

#[tokio::test]
async fn a_connection_lost_midway_is_an_error() {
    let lines = aside("v1", DIGEST, "528");
    let error = push(&lines, false).await.0.unwrap_err();
    assert!(matches!(error, EngineError::Closed { .. }), "{error:?}");
}

#[tokio::test]
async fn what_a_push_asks_for() {
    let (fake, engine) = FakeEngine::connected(vec![stream("", true), stream("", true)]).await;
    let authorization = Secret::new("e30=".to_owned());
    let platform = "linux/arm/v7".parse().unwrap();
    let transfer = Transfer { authorization: &authorization, platform: Some(&platform) };
    let reference: Reference = "localhost:5000/acme/web".parse().unwrap();
    engine.push(&reference, transfer, &mut QuietProgress).await.unwrap();
    let request = fake.request(1);
    let platform = "%7B%22architecture%22%3A%22arm%22%2C%22os%22%3A%22linux%22%2C%22variant%22%3A%22v7%22%7D";
    let line = format!(
        "POST /v1.41/images/localhost:5000/acme/web/push?tag=latest&platform={platform} HTTP/1.1\r\n"
    );
    assert!(request.starts_with(&line), "{request}");
    assert!(request.contains("\r\nx-registry-auth: e30=\r\n"), "{request}");
    let reference: Reference = format!("acme/web:v1@{DIGEST}").parse().unwrap();
    engine.pull(&reference, transfer, &mut QuietProgress).await.unwrap();
    let digest = DIGEST.replace(':', "%3A");
    let line = format!(
        "POST /v1.41/images/create?fromImage=acme%2Fweb&tag={digest}&platform=linux%2Farm%2Fv7 HTTP/1.1\r\n"
    );
    assert!(fake.request(2).starts_with(&line), "{}", fake.request(2));
    assert!(engine.push(&reference, transfer, &mut QuietProgress).await.is_err());
}

#[tokio::test]
async fn images() {
    let image = format!("{{\"Id\":\"{DIGEST}\",\"RepoTags\":[\"acme/web:v1\"]}}");
    let list = format!("[{image}]");
    let (fake, engine) = FakeEngine::connected(vec![
        answer("200 OK", &image),
        answer("404 Not Found", "{\"message\":\"No such image: x\"}"),
        answer("200 OK", &list),
        answer("201 Created", ""),
        answer("404 Not Found", "{\"message\":\"No such image: x\"}"),
        answer("500 Internal Server Error", "{\"message\":\"disk\\u0007 full\"}"),
        answer("200 OK", "[{}]"),
    ])
    .await;
    let name: Reference = "acme/web".parse().unwrap();
    assert_eq!(engine.inspect("acme/web:v1").await.unwrap().unwrap().id.to_string(), DIGEST);
    assert!(fake.request(1).starts_with("GET /v1.41/images/acme/web:v1/json HTTP/1.1"));
    assert_eq!(engine.inspect("x").await, Ok(None));
    assert_eq!(engine.tags(&name).await.unwrap().len(), 1);
    engine.tag(DIGEST, &name).await.unwrap();
    let line = format!("POST /v1.41/images/{DIGEST}/tag?repo=acme%2Fweb&tag=latest HTTP/1.1");
    assert!(fake.request(4).starts_with(&line), "{}", fake.request(4));
    assert_eq!(engine.tag("x", &name).await, Err(EngineError::NoImage { name: "x".to_owned() }));
    assert_eq!(engine.inspect("x").await.unwrap_err().to_string(), "disk\\u{7} full");
    assert!(matches!(engine.tags(&name).await, Err(EngineError::Protocol { .. })));
    // Names that would be other paths never get to the engine.
    for name in ["", "../info", "a/../../info", "a?b", "a b", "a%2e", "é"] {
        assert_eq!(engine.inspect(name).await, Ok(None), "{name}");
    }
}

#[tokio::test]
async fn the_lower_version_is_spoken() {
    for (theirs, fixed, spoken) in [
        ("1.41", None, "1.41"),
        ("1.99", None, "1.47"),
        ("", None, "1.24"),
        ("9999999999.1", None, "1.24"),
        ("1.41", Some("1.30"), "1.30"),
    ] {
        let fake = FakeEngine::new(vec![ping(theirs)]);
        let options = EngineOptions { api_version: fixed.map(str::to_owned), ..fake.options() };
        assert_eq!(Engine::connect(&options).await.unwrap().version().api, spoken, "{theirs}");
    }
}

#[tokio::test]
async fn an_engine_that_is_no_engine() {
    for (text, closed) in [("", true), ("HTTP/1.1 200 OK\r\nConte", true), ("SSH-2.0-OpenSSH\r\n\r\n", false)]
    {
        let fake = FakeEngine::new(vec![text.to_owned()]);
        let error = Engine::connect(&fake.options()).await.unwrap_err();
        assert_eq!(matches!(error, EngineError::Closed { .. }), closed, "{text:?}: {error:?}");
        assert_eq!(matches!(error, EngineError::Protocol { .. }), !closed, "{text:?}: {error:?}");
    }
    let endless = answer("500 Oh", &"x".repeat(20 << 20));
    let fake = FakeEngine::new(vec![endless]);
    assert!(matches!(Engine::connect(&fake.options()).await, Err(EngineError::Protocol { .. })));
}

#[tokio::test]
async fn no_engine_there() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix://{}/socket", folder.path().display());
    let options = EngineOptions { host: Some(address.clone()), ..EngineOptions::default() };
    let error = Engine::connect(&options).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no docker engine answers at `{address}`: No such file or directory (os error 2)")
    );
    assert!(error.help().unwrap().contains("DOCKER_HOST"));
}

/// A docker folder with these files.
fn docker_folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

fn find(host: Option<&str>, context: Option<&str>, config_dir: &Path) -> Result<Endpoint, EngineError> {
    Endpoint::find(&EngineOptions {
        host: host.map(str::to_owned),
        context: context.map(str::to_owned),
        config_dir: Some(config_dir.to_owned()),
        ..EngineOptions::default()
    })
}

#[test]
fn what_names_the_engine() {
    let hash = crate::image::Digest::of(b"remote");
    let meta = format!("contexts/meta/{}/meta.json", hash.hex());
    let folder = docker_folder(&[
        ("config.json", r#"{"currentContext":"remote","auths":{}}"#),
        (
            &meta,
            r#"{"Name":"remote","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://engine.example:1234","SkipTLSVerify":false}}}"#,
        ),
    ]);
    let empty = docker_folder(&[]);
    for (host, context, config, address, named_by) in [
        (None, None, empty.path(), "unix:///var/run/docker.sock", "docker's default"),
        (None, Some("default"), folder.path(), "unix:///var/run/docker.sock", "docker's default"),
        (None, None, folder.path(), "tcp://engine.example:1234", "docker's context `remote`"),
        (None, Some("remote"), folder.path(), "tcp://engine.example:1234", "docker's context `remote`"),
        (Some("unix:///x"), Some("remote"), folder.path(), "unix:///x", "DOCKER_HOST"),
        (Some(""), None, empty.path(), "unix:///var/run/docker.sock", "docker's default"),
        (Some("10.0.0.1:2375"), None, empty.path(), "10.0.0.1:2375", "DOCKER_HOST"),
    ] {
        let endpoint = find(host, context, config).unwrap();
        assert_eq!((endpoint.address.as_str(), endpoint.named_by.as_str()), (address, named_by));
    }
}

#[test]
fn engines_that_cannot_be_named_so() {
    let skip = crate::image::Digest::of(b"skip");
    let torn = crate::image::Digest::of(b"torn");
    let bare = crate::image::Digest::of(b"bare");
    let path = |hash: &crate::image::Digest| format!("contexts/meta/{}/meta.json", hash.hex());
    let folder = docker_folder(&[
        (&path(&skip), r#"{"Endpoints":{"docker":{"Host":"tcp://a:1","SkipTLSVerify":true}}}"#),
        (&path(&torn), r#"{"Endpoints":{"dock"#),
        (&path(&bare), r#"{"Endpoints":{"kubernetes":{}}}"#),
    ]);
    for (host, context, reason) in [
        (None, Some("gone"), "docker's context `gone` (DOCKER_CONTEXT): there is no such context"),
        (None, Some("../../x"), "there is no such context"),
        (None, Some("torn"), "is damaged"),
        (None, Some("bare"), "it names no docker engine"),
        (None, Some("skip"), "skips the verification"),
        (Some("npipe:////./pipe/docker"), None, "is a pipe of Windows"),
        (Some("fd://"), None, "which no client can use"),
        (Some("gopher://x"), None, "of a kind that is not known"),
        (Some("unix://relative"), None, "is not the absolute path of a socket"),
        (Some("tcp://"), None, "is not tcp://host:port"),
        (Some("tcp://a:99999"), None, "is not tcp://host:port"),
        (Some("tcp://user@a:1"), None, "is not tcp://host:port"),
        (Some("https://a:1"), None, "wants TLS"),
        (Some("ssh://a/\"; rm -rf x"), None, "is not ssh://"),
        (Some("ssh://-oProxyCommand=x/"), None, "is not ssh://"),
        (Some("ssh://-l@a"), None, "is not ssh://"),
        (Some("\u{1b}[2J"), None, "`\\u{1b}[2J` is not an engine's address"),
    ] {
        let error = find(host, context, folder.path()).unwrap_err();
        assert!(error.to_string().contains(reason), "{host:?} {context:?}: {error}");
    }
    let broken = docker_folder(&[("config.json", "{\"auths\":{\"x\":\"secret")]);
    let error = find(None, None, broken.path()).unwrap_err().to_string();
    assert!(error.contains("is not docker's configuration (line 1)"), "{error}");
    let tls = EngineOptions {
        host: Some("tcp://a:1".to_owned()),
        tls_verify: true,
        certificate_path: Some(broken.path().to_owned()),
        ..EngineOptions::default()
    };
    assert!(Endpoint::find(&tls).unwrap_err().to_string().contains("ca.pem"));
}

#[tokio::test]
async fn an_engine_behind_ssh() {
    use std::os::unix::fs::PermissionsExt as _;
    // A program in the place of `ssh`, which answers as an engine at the other end does.
    let folder = tempfile::tempdir().unwrap();
    let ssh: PathBuf = folder.path().join("ssh");
    let script = |body: &str| {
        let text = format!("#!/bin/sh\nprintf '%s\\n' \"$*\" >{}/arguments\n{body}", folder.path().display());
        std::fs::write(&ssh, text).unwrap();
        std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let options = EngineOptions {
        host: Some("ssh://me@engine.example:22022/run/x.sock".to_owned()),
        search_path: Some(folder.path().as_os_str().to_owned()),
        ..EngineOptions::default()
    };
    script(
        "printf 'HTTP/1.1 200 OK\\r\\nApi-Version: 1.41\\r\\nContent-Length: 2\\r\\n\\r\\nOK'\ncat >/dev/null\n",
    );
    assert_eq!(Engine::connect(&options).await.unwrap().version().api, "1.41");
    let arguments = std::fs::read_to_string(folder.path().join("arguments")).unwrap();
    assert_eq!(
        arguments.trim(),
        "-o ConnectTimeout=30 -T -l me -p 22022 -- engine.example docker --host unix:///run/x.sock system dial-stdio"
    );
    script("echo 'Host key verification failed.' >&2\nexit 255\n");
    let error = Engine::connect(&options).await.unwrap_err();
    assert!(error.to_string().ends_with("Host key verification failed."), "{error}");
}

/// An engine with TLS, which wants to know who asks.
struct SecureEngine {
    folder: tempfile::TempDir,
    port: u16,
}

impl SecureEngine {
    async fn start() -> Self {
        use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
        let issued = |name: &str, authority: Option<&rcgen::Issuer<'_, rcgen::KeyPair>>| {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            let certificate = if let Some(authority) = authority {
                parameters.signed_by(&key, authority).unwrap()
            } else {
                parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
                parameters.self_signed(&key).unwrap()
            };
            (certificate, key, parameters)
        };
        let (root, root_key, root_parameters) = issued("root", None);
        let authority = rcgen::Issuer::new(root_parameters, root_key);
        let (server, server_key, _) = issued("localhost", Some(&authority));
        let (client, client_key, _) = issued("client", Some(&authority));
        let folder = docker_folder(&[
            ("ca.pem", &root.pem()),
            ("cert.pem", &client.pem()),
            ("key.pem", &client_key.serialize_pem()),
            ("lonely/ca.pem", &root.pem()),
            ("stranger/ca.pem", &issued("other", None).0.pem()),
        ]);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![server.der().clone()], key)
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Who does not pass is not served.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { break };
                    request.push(byte);
                }
                let _ = stream.write_all(ping("1.44").as_bytes()).await;
            }
        });
        Self { folder, port }
    }

    async fn connect(&self, certificates: &str) -> Result<Engine, EngineError> {
        Engine::connect(&EngineOptions {
            host: Some(format!("tcp://localhost:{}", self.port)),
            tls_verify: true,
            certificate_path: Some(self.folder.path().join(certificates)),
            ..EngineOptions::default()
        })
        .await
    }
}

#[tokio::test]
async fn an_engine_behind_tls() {
    let engine = SecureEngine::start().await;
    assert_eq!(engine.connect("").await.unwrap().version().api, "1.44");
    // Nobody we know, and nobody it knows.
    for stranger in ["stranger", "lonely"] {
        let error = engine.connect(stranger).await.unwrap_err();
        assert!(
            matches!(error, EngineError::Connect { .. } | EngineError::Closed { .. }),
            "{stranger}: {error:?}"
        );
    }
    assert!(matches!(engine.connect("nowhere").await, Err(EngineError::Configuration { .. })));
    // The same by a context.
    let hash = crate::image::Digest::of(b"secure");
    let folder = docker_folder(&[(
        &format!("contexts/meta/{}/meta.json", hash.hex()),
        &format!("{{\"Endpoints\":{{\"docker\":{{\"Host\":\"tcp://localhost:{}\"}}}}}}", engine.port),
    )]);
    let tls = folder.path().join(format!("contexts/tls/{}/docker", hash.hex()));
    std::fs::create_dir_all(&tls).unwrap();
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        std::fs::copy(engine.folder.path().join(name), tls.join(name)).unwrap();
    }
    let options = EngineOptions {
        context: Some("secure".to_owned()),
        config_dir: Some(folder.path().to_owned()),
        ..EngineOptions::default()
    };
    assert_eq!(Engine::connect(&options).await.unwrap().version().api, "1.44");
}

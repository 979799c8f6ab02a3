use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Method, StatusCode};
use bytes::Bytes;

use super::*;
use crate::http::{HttpClient, HttpError, HttpOptions, Proxies};
use crate::image::{Digest, Reference};

type Answer = axum::http::Response<Body>;
type Fault = Box<dyn Fn(&Method, &str) -> Option<Answer> + Send>;

/// A registry on loopback, without TLS.
#[derive(Clone)]
struct FakeRegistry {
    address: String,
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Default)]
struct Shelf {
    /// By path: media type and bytes.
    manifests: BTreeMap<String, (String, Bytes)>,
    requests: Vec<String>,
    fault: Option<Fault>,
}

impl FakeRegistry {
    async fn start() -> Self {
        let shelf: Arc<Mutex<Shelf>> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let on_shelf = Arc::clone(&shelf);
        let router = axum::Router::new().fallback(async move |request: axum::extract::Request| {
            let (head, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 8 << 20).await.unwrap();
            let media_type = head.headers.get("content-type").and_then(|value| value.to_str().ok());
            on_shelf.lock().unwrap().answer(
                &head.method,
                head.uri.path(),
                media_type.unwrap_or_default(),
                body,
            )
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shelf }
    }

    fn client() -> Registry {
        let options = HttpOptions { proxies: Proxies::None, ..HttpOptions::new() };
        Registry::new(HttpClient::new(options).unwrap(), Insecure::loopback())
    }

    fn name(&self, rest: &str) -> Reference {
        format!("{}/acme/web{rest}", self.address).parse().unwrap()
    }

    /// Puts bytes on the shelf, under a tag or digest.
    fn hold(&self, name: &str, media_type: &str, bytes: &str) -> Digest {
        let entry = (media_type.to_owned(), Bytes::from(bytes.to_owned()));
        let digest = Digest::of(bytes.as_bytes());
        let manifests = &mut self.shelf.lock().unwrap().manifests;
        manifests.insert(format!("/v2/acme/web/manifests/{digest}"), entry.clone());
        manifests.insert(format!("/v2/acme/web/manifests/{name}"), entry);
        digest
    }

    fn fault(&self, fault: impl Fn(&Method, &str) -> Option<Answer> + Send + 'static) {
        self.shelf.lock().unwrap().fault = Some(Box::new(fault));
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.shelf.lock().unwrap().requests)
    }
}

impl Shelf {
    fn answer(&mut self, method: &Method, path: &str, media_type: &str, body: Bytes) -> Answer {
        self.requests.push(format!("{method} {path}"));
        if let Some(answer) = self.fault.as_ref().and_then(|fault| fault(method, path)) {
            return answer;
        }
        if method == Method::PUT {
            let digest = Digest::of(&body);
            self.manifests.insert(path.to_owned(), (media_type.to_owned(), body));
            return reply(201, &[("docker-content-digest", &digest.to_string())], "");
        }
        match self.manifests.get(path) {
            Some((media_type, bytes)) => {
                let digest = Digest::of(bytes).to_string();
                let headers = [("content-type", media_type.as_str()), ("docker-content-digest", &digest)];
                reply(200, &headers, std::str::from_utf8(bytes).unwrap())
            }
            None => problem(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        }
    }
}

fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut answer = Answer::new(Body::from(body.to_owned()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        let name = axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        answer.headers_mut().insert(name, value.parse().unwrap());
    }
    answer
}

fn problem(status: u16, code: &str, message: &str) -> Answer {
    let body = format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"{message}\"}}]}}");
    reply(status, &[("content-type", "application/json")], &body)
}

const MANIFEST_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;

fn index(entries: &[(&str, &Digest, usize, &str)]) -> String {
    let entry = |(media_type, digest, size, platform): &(&str, &Digest, usize, &str)| {
        format!(
            r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size},"platform":{{"os":"linux","architecture":"{platform}"}}}}"#
        )
    };
    let entries: Vec<String> = entries.iter().map(entry).collect();
    format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","))
}

#[tokio::test]
async fn a_manifest_by_tag_and_by_digest() {
    let fake = FakeRegistry::start().await;
    let registry = FakeRegistry::client();
    let digest = fake.hold("v1", MANIFEST_TYPE, MANIFEST);
    let content = registry.get(&fake.name(":v1")).await.unwrap();
    assert_eq!(content.manifest.digest, digest);
    assert_eq!(content.manifest.size, 43);
    assert_eq!(content.manifest.media_type, MediaType::DockerManifest);
    assert_eq!(content.bytes, MANIFEST);
    assert_eq!(registry.get(&fake.name(&format!(":v2@{digest}"))).await.unwrap(), content);
    assert_eq!(registry.head(&fake.name(":v1")).await.unwrap(), Some(content.manifest));
    assert_eq!(registry.head(&fake.name(":v2")).await.unwrap(), None);
    let gone = registry.get(&fake.name("")).await.unwrap_err();
    assert_eq!(gone.to_string(), format!("the registry has no `{}/acme/web:latest`", fake.address));
}

#[tokio::test]
async fn a_sha512_digest() {
    use sha2::Digest as _;
    let fake = FakeRegistry::start().await;
    let digest = format!("sha512:{}", hex::encode(sha2::Sha512::digest(MANIFEST)));
    fake.hold(&digest, MANIFEST_TYPE, MANIFEST);
    let content = FakeRegistry::client().get(&fake.name(&format!("@{digest}"))).await.unwrap();
    assert_eq!(content.manifest.digest.to_string(), digest);
}

#[tokio::test]
async fn a_digest_gets_a_tag_byte_for_byte() {
    let fake = FakeRegistry::start().await;
    let registry = FakeRegistry::client();
    let odd = "{ \"schemaVersion\" : 2,\n \"config\":{}, \"layers\":[ ] }\n";
    let digest = fake.hold("v1", MANIFEST_TYPE, odd);
    fake.requests();
    let tagged = registry.tag(&fake.name(":ignored"), &digest, &"v2".parse().unwrap()).await.unwrap();
    assert_eq!(tagged.digest, digest);
    assert_eq!(registry.get(&fake.name(":v2")).await.unwrap().bytes, odd);
    let expected = [
        format!("GET /v2/acme/web/manifests/{digest}"),
        "PUT /v2/acme/web/manifests/v2".to_owned(),
        "GET /v2/acme/web/manifests/v2".to_owned(),
    ];
    assert_eq!(fake.requests(), expected);
    let content = registry.get(&fake.name(":v1")).await.unwrap();
    registry.put(&fake.name(&format!("@{digest}")), &content).await.unwrap();
    let other = Digest::of(b"other");
    let refused = registry.put(&fake.name(&format!("@{other}")), &content).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Digest { .. }), "{refused:?}");
}

#[tokio::test]
async fn what_was_not_asked_for() {
    let fake = FakeRegistry::start().await;
    let registry = FakeRegistry::client();
    let digest = Digest::of(b"wanted");
    fake.hold(&digest.to_string(), MANIFEST_TYPE, MANIFEST);
    let error = registry.get(&fake.name(&format!("@{digest}"))).await.unwrap_err();
    assert!(matches!(error, RegistryError::Digest { .. }), "{error:?}");
    // A header alone can say anything.
    let claim = digest.to_string();
    fake.fault(move |_, _| {
        Some(reply(200, &[("content-type", MANIFEST_TYPE), ("docker-content-digest", &claim)], MANIFEST))
    });
    let error = registry.get(&fake.name(":v1")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Contradiction { .. }), "{error:?}");
    let content = Content::new(MANIFEST_TYPE, Bytes::from_static(MANIFEST.as_bytes())).unwrap();
    let error = registry.put(&fake.name(":v1"), &content).await.unwrap_err();
    assert!(matches!(error, RegistryError::Contradiction { .. }), "{error:?}");
    fake.fault(|_, _| Some(reply(200, &[("content-type", "text/html")], "<html>")));
    let error = registry.get(&fake.name(":v1")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Malformed { .. }), "{error:?}");
    fake.fault(|_, _| Some(reply(200, &[("content-type", MANIFEST_TYPE)], &" ".repeat((4 << 20) + 1))));
    let error = registry.get(&fake.name(":v1")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Http(HttpError::TooLarge { .. })), "{error:?}");
}

#[tokio::test]
async fn what_a_registry_refuses() {
    let fake = FakeRegistry::start().await;
    let registry = FakeRegistry::client();
    fake.hold("v1", MANIFEST_TYPE, MANIFEST);
    let content = registry.get(&fake.name(":v1")).await.unwrap();
    let name = format!("{}/acme/web", fake.address);
    for (status, code, getting, putting) in [
        (401, "UNAUTHORIZED", "refused access to", "refused access to"),
        (403, "DENIED", "the registry refused access to `NAME:v1`: no", "refused access to"),
        (404, "NAME_UNKNOWN", "the registry has no repository `NAME`", "has no repository"),
        (
            404,
            "MANIFEST_UNKNOWN",
            "the registry has no `NAME:v1`",
            "the registry refused the manifest of `NAME:v1`: no",
        ),
        (405, "UNSUPPORTED", "refused the manifest", "the registry refused the manifest of `NAME:v1`: no"),
        (412, "PRECONDITION", "refused the manifest", "refused the manifest"),
        (
            429,
            "TOOMANYREQUESTS",
            "the registry takes no more requests for `NAME:v1`: no",
            "takes no more requests",
        ),
        (503, "UNAVAILABLE", "answered with status 503: no", "answered with status 503: no"),
    ] {
        fake.fault(move |_, _| Some(problem(status, code, "no")));
        let got = registry.get(&fake.name(":v1")).await.unwrap_err().to_string();
        assert!(got.contains(&getting.replace("NAME", &name)), "{status} {code}: {got}");
        let put = registry.put(&fake.name(":v1"), &content).await.unwrap_err();
        assert!(put.to_string().contains(&putting.replace("NAME", &name)), "{status} {code}: {put}");
        assert_eq!(put.is_unreachable(), matches!(status, 429 | 503), "{put}");
        assert_eq!(put.help().is_none(), status == 503, "{put}");
    }
}

#[tokio::test]
async fn children_of_indexes() {
    let fake = FakeRegistry::start().await;
    let registry = FakeRegistry::client();
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    let inner = index(&[(MANIFEST_TYPE, &two, 1, "arm64")]);
    let inner_digest = fake.hold("inner", INDEX_TYPE, &inner);
    let outer =
        index(&[(MANIFEST_TYPE, &one, 1, "amd64"), (INDEX_TYPE, &inner_digest, inner.len(), "riscv64")]);
    fake.hold("v1", INDEX_TYPE, &outer);
    let content = registry.get(&fake.name(":v1")).await.unwrap();
    let children = registry.children(&fake.name(":v1"), &content).await.unwrap();
    let found: Vec<&Digest> = children.iter().map(|child| &child.digest).collect();
    assert_eq!(found, [&one, &inner_digest, &two]);
    assert_eq!(children[2].platform.as_ref().unwrap().to_string(), "linux/arm64");
    // A manifest of one platform has none, and nobody is asked.
    let content = Content::new(MANIFEST_TYPE, Bytes::from_static(MANIFEST.as_bytes())).unwrap();
    assert_eq!(registry.children(&fake.name(""), &content).await, Ok(Vec::new()));
}

#[tokio::test]
async fn hostile_indexes() {
    let fake = FakeRegistry::start().await;
    let registry = FakeRegistry::client();
    let children = async |text: &str| {
        let content = Content::new(INDEX_TYPE, Bytes::from(text.to_owned())).unwrap();
        registry.children(&fake.name(""), &content).await
    };
    let leaf = Digest::of(b"leaf");
    let many = index(&vec![(MANIFEST_TYPE, &leaf, 1, "amd64"); 10_000]);
    assert!(children(&many).await.unwrap_err().to_string().contains("more than 1000"));
    // Many in each of two.
    let half = index(&vec![(MANIFEST_TYPE, &leaf, 1, "amd64"); 600]);
    let half_digest = fake.hold("half", INDEX_TYPE, &half);
    let other_half = format!("{half} ");
    let other_digest = fake.hold("other", INDEX_TYPE, &other_half);
    let both = index(&[
        (INDEX_TYPE, &half_digest, half.len(), "amd64"),
        (INDEX_TYPE, &other_digest, other_half.len(), "amd64"),
    ]);
    assert!(children(&both).await.unwrap_err().to_string().contains("more than 1000"));
    // Many indexes.
    let many: Vec<(Digest, usize)> = (0..100)
        .map(|spaces| {
            let text = format!("{}{}", index(&[]), " ".repeat(spaces));
            (fake.hold("one-of-many", INDEX_TYPE, &text), text.len())
        })
        .collect();
    let many: Vec<_> = many.iter().map(|(digest, size)| (INDEX_TYPE, digest, *size, "amd64")).collect();
    assert!(children(&index(&many)).await.unwrap_err().to_string().contains("more than 32 indexes"));
    // A wrong size.
    let wrong = index(&[(INDEX_TYPE, &half_digest, 1, "amd64")]);
    assert!(children(&wrong).await.unwrap_err().to_string().contains("is wrong"));
    // The registry hands out an index where it promises another one: the way to a cycle.
    let promised = Digest::of(b"promised");
    let cycle = index(&[(INDEX_TYPE, &promised, 1, "amd64")]);
    fake.hold(&promised.to_string(), INDEX_TYPE, &cycle);
    assert!(matches!(children(&cycle).await, Err(RegistryError::Digest { .. })));
    // Deeper than anybody nests them.
    let mut deep = index(&[]);
    for _ in 0..4 {
        let digest = fake.hold("deep", INDEX_TYPE, &deep);
        deep = index(&[(INDEX_TYPE, &digest, deep.len(), "amd64")]);
    }
    assert!(children(&deep).await.unwrap_err().to_string().contains("nested more than 3 deep"));
}

#[tokio::test]
async fn nobody_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let reference: Reference = format!("{address}/a").parse().unwrap();
    let error = FakeRegistry::client().get(&reference).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert!(error.to_string().contains(&format!("https://{address}/")), "{error}");
}

#[tokio::test]
async fn no_listed_registry_no_plain_http() {
    // This one answers without TLS, and is not one that may.
    let fake = FakeRegistry::start().await;
    let port = fake.address.rsplit(':').next().unwrap();
    let reference: Reference = format!("0.0.0.0:{port}/acme/web:v1").parse().unwrap();
    fake.hold("v1", MANIFEST_TYPE, MANIFEST);
    assert!(FakeRegistry::client().get(&reference).await.is_err());
    assert_eq!(fake.requests(), Vec::<String>::new());
    let options = HttpOptions { proxies: Proxies::None, ..HttpOptions::new() };
    let listed = Insecure::listed(["0.0.0.0/32"]).unwrap();
    let registry = Registry::new(HttpClient::new(options).unwrap(), listed);
    assert!(registry.get(&reference).await.is_ok());
}

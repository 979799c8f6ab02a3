//! The token dance with servers that follow it, and with servers that do not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use trustgate::http::{HttpError, HttpOptions};
use trustgate::trust::{RepositoryTerms, TrustError, TrustSource as _, Want};
use trustgate::tuf::testing::Repository;

use crate::notary::{FakeNotary, Reply, Request};
use crate::world::{GUN, World, digest, find, simple};

const SCOPE: &str = "repository:registry.example/acme/base:pull";
const TOKEN: &str = "Bearer token-1";

/// A trust server that wants tokens, and the token server that gives them.
struct Guarded {
    world: World,
    issuer: FakeNotary,
}

impl Guarded {
    /// The issuer answers as told; the trust server takes [`TOKEN`] and nothing else.
    async fn new(issue: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let world = World::of(&simple()).await;
        let issuer = FakeNotary::start(issue).await;
        issuer.trust_in(world.folder.path());
        let challenge = challenge(issuer.url("/token").as_str());
        world.fault(move |request| {
            (request.header("authorization") != Some(TOKEN))
                .then(|| Reply::status(401).with("WWW-Authenticate", &challenge))
        });
        Self { world, issuer }
    }

    fn configure(&self, config: &serde_json::Value) {
        fs::write(self.world.folder.path().join("config.json"), config.to_string()).unwrap();
    }
}

fn challenge(realm: &str) -> String {
    format!("Bearer realm=\"{realm}\",service=\"notary\",scope=\"{SCOPE}\"")
}

fn token() -> Reply {
    Reply::ok(r#"{"token":"token-1","expires_in":300}"#)
}

fn auths(entry: &serde_json::Value) -> serde_json::Value {
    serde_json::json!({"auths": {"registry.example": entry}})
}

#[tokio::test]
async fn anonymous_users_get_a_token_once() {
    let guarded = Guarded::new(|_| token()).await;
    let target = guarded.world.find("1.4").await.unwrap();
    assert_eq!(target.digest, digest(b"manifest 1.4"));
    let asked = guarded.issuer.take_requests();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].target, format!("/token?scope={}&service=notary", encoded(SCOPE)));
    assert_eq!((asked[0].method.as_str(), asked[0].header("authorization")), ("GET", None));
    // The challenge is learnt from the first requests themselves: root and timestamp, asked for
    // at once, may both meet it; nothing else does.
    let requests = guarded.world.server.take_requests();
    assert!(requests.len() <= 6 && requests.iter().all(|it| it.target != "/v2/"), "{requests:?}");
    assert!(target.requests >= 6);
}

#[tokio::test]
async fn dockers_credentials_of_the_registry_are_used() {
    let user = serde_json::json!({"auth": BASE64_STANDARD.encode("alice:s3:cret")});
    let fields = serde_json::json!({"username": "alice", "password": "s3:cret"});
    for entry in [user, fields] {
        let guarded = Guarded::new(|_| token()).await;
        guarded.configure(&auths(&entry));
        guarded.world.find("1.4").await.unwrap();
        let asked = guarded.issuer.take_requests();
        assert_eq!(asked[0].target, format!("/token?account=alice&scope={}&service=notary", encoded(SCOPE)));
        let basic = format!("Basic {}", BASE64_STANDARD.encode("alice:s3:cret"));
        assert_eq!(asked[0].header("authorization"), Some(basic.as_str()));
        // They go to the token server; the trust server sees the token alone.
        for request in guarded.world.server.take_requests() {
            assert!(
                !request.header("authorization").is_some_and(|it| it.starts_with("Basic")),
                "{request:?}"
            );
        }
    }
}

#[tokio::test]
async fn old_keys_of_the_registry_are_known() {
    let entry = serde_json::json!({"auth": BASE64_STANDARD.encode("alice:pw")});
    for key in ["https://registry.example/v1/", "http://registry.example", "registry.example/"] {
        let guarded = Guarded::new(|_| token()).await;
        guarded.configure(&serde_json::json!({"auths": {key: entry, "https://other.example": {}}}));
        guarded.world.find("1.4").await.unwrap();
        assert!(guarded.issuer.take_requests()[0].header("authorization").is_some(), "{key}");
    }
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_post() {
    let guarded = Guarded::new(|_| Reply::ok(r#"{"access_token":"token-1"}"#)).await;
    guarded.configure(&auths(
        &serde_json::json!({"auth": BASE64_STANDARD.encode("a:b"), "identitytoken": "id"}),
    ));
    guarded.world.find("1.4").await.unwrap();
    let asked = guarded.issuer.take_requests();
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("POST", "/token"));
    assert_eq!(
        asked[0].body,
        format!(
            "grant_type=refresh_token&service=notary&client_id=docker&scope={}&refresh_token=id",
            encoded(SCOPE)
        )
    );
}

#[tokio::test]
async fn a_registry_token_is_used_as_it_is() {
    let guarded = Guarded::new(|_| token()).await;
    guarded.configure(&auths(&serde_json::json!({"registrytoken": "token-1"})));
    guarded.world.find("1.4").await.unwrap();
    assert!(guarded.issuer.take_requests().is_empty());
}

#[tokio::test]
async fn basic_is_used_where_nothing_else_is_offered() {
    let world = World::of(&simple()).await;
    let basic = format!("Basic {}", BASE64_STANDARD.encode("alice:pw"));
    world.fault(move |request| {
        (request.header("authorization") != Some(&basic))
            .then(|| Reply::status(401).with("WWW-Authenticate", "Basic realm=\"notary\""))
    });
    let error = world.find("1.4").await.unwrap_err();
    assert!(error.to_string().contains("docker has none for `registry.example`"), "{error}");
    assert_eq!(error.help(), ["log in: docker login registry.example"]);
    let config = auths(&serde_json::json!({"auth": BASE64_STANDARD.encode("alice:pw")}));
    fs::write(world.folder.path().join("config.json"), config.to_string()).unwrap();
    world.find("1.4").await.unwrap();
    let config = auths(&serde_json::json!({"auth": BASE64_STANDARD.encode("alice:wrong")}));
    fs::write(world.folder.path().join("config.json"), config.to_string()).unwrap();
    fs::remove_dir_all(world.trust_folder()).unwrap();
    let error = world.find("1.4").await.unwrap_err();
    assert!(error.to_string().contains("does not accept the credentials"), "{error}");
}

#[tokio::test]
async fn a_loop_of_401_ends() {
    for challenge in [
        "Bearer realm=\"https://REALM/token\"",
        "Basic realm=\"x\"",
        "Negotiate",
        "Digest realm=\"x\",nonce=\"y\"",
        "",
        "Bearer",
        "Bearer realm=\"\"",
        "Bearer realm=\"x",
        "Bearer realm=\"http://REALM/token\"",
        "Bearer realm=\"https://user:secret@REALM/token\"",
        "Bearer realm=\"file:///etc/passwd\"",
    ] {
        let guarded = Guarded::new(|_| Reply::ok(r#"{"token":"another"}"#)).await;
        guarded.configure(&auths(&serde_json::json!({"auth": BASE64_STANDARD.encode("alice:pw")})));
        let challenge = challenge.replace("REALM", &guarded.issuer.host());
        let header = challenge.clone();
        guarded.world.fault(move |_| Some(Reply::status(401).with("WWW-Authenticate", &header)));
        let error = guarded.world.find("1.4").await.unwrap_err();
        assert!(matches!(error, TrustError::Unauthorized { .. }), "{challenge}: {error:?}");
        assert_eq!(error.exit(), 3);
        assert!(!error.to_string().contains("secret"), "{error}");
        // Root and timestamp, each once without and at most once with a token.
        assert!(guarded.world.server.take_requests().len() <= 4);
        assert!(guarded.issuer.take_requests().len() <= 2);
    }
}

#[tokio::test]
async fn a_hostile_challenge_is_bounded() {
    let world = World::of(&simple()).await;
    let many = vec!["Bearer realm=\"https://a.example/t\""; 1_000].join(", ");
    let repeated = format!("Bearer {}", "realm=\"https://a.example/t\",".repeat(100));
    for challenge in [many, repeated, "x".repeat(50_000), format!("Bearer realm=\"{}\"", "a".repeat(20_000))]
    {
        world.fault(move |_| Some(Reply::status(401).with("WWW-Authenticate", &challenge)));
        let error = world.find("1.4").await.unwrap_err();
        assert!(matches!(error, TrustError::Unauthorized { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_token_server_that_misbehaves_is_named() {
    let replies = [
        Reply::ok("<html>"),
        Reply::ok("{}"),
        Reply::ok(r#"{"token":""}"#),
        Reply::ok(r#"{"token":17}"#),
        Reply::ok("{\"token\":\"a\\r\\nX-Evil: 1\"}"),
        Reply::ok(r#"{"token":"secret-token", "token":"two"}"#),
        Reply::ok(vec![b' '; 1 << 20]),
        Reply::Endless,
        Reply::status(404),
        Reply::status(418),
        Reply::redirect("https://elsewhere.example/token"),
    ];
    for reply in replies {
        let guarded = Guarded::new(move |_| reply.clone()).await;
        guarded.configure(&auths(&serde_json::json!({"auth": BASE64_STANDARD.encode("alice:hunter2")})));
        let error = guarded.world.find("1.4").await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(&guarded.issuer.host()), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("secret-token"), "{text}");
        assert!(matches!(error, TrustError::Unreachable { .. }), "{error:?}");
        assert!(guarded.issuer.take_requests().len() <= 2);
    }
}

#[tokio::test]
async fn a_token_server_that_refuses_says_whose_credentials() {
    for status in [401, 403] {
        let guarded = Guarded::new(move |_| Reply::status(status)).await;
        let error = guarded.world.find("1.4").await.unwrap_err();
        assert!(error.to_string().contains("docker has none for `registry.example`"), "{error}");
        guarded.configure(&auths(&serde_json::json!({"auth": BASE64_STANDARD.encode("alice:pw")})));
        let error = guarded.world.find("1.4").await.unwrap_err();
        assert!(
            error.to_string().contains("does not accept the credentials of `registry.example`"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_token_server_that_is_down_is_a_server_that_is_down() {
    let down = Arc::new(AtomicUsize::new(0));
    let switch = Arc::clone(&down);
    let guarded = Guarded::new(move |_| match switch.load(Ordering::SeqCst) {
        0 => token(),
        _ => Reply::status(503),
    })
    .await;
    guarded.world.find("1.4").await.unwrap();
    down.store(1, Ordering::SeqCst);
    let target = guarded.world.find("1.4").await.unwrap();
    assert!(matches!(target.freshness, trustgate::trust::Freshness::Cached { .. }), "{target:?}");
}

#[tokio::test]
async fn a_token_that_expired_is_replaced_once() {
    let count = Arc::new(AtomicUsize::new(0));
    let issued = Arc::clone(&count);
    let guarded = Guarded::new(move |_| {
        let number = issued.fetch_add(1, Ordering::SeqCst);
        Reply::ok(format!("{{\"token\":\"token-{number}\"}}"))
    })
    .await;
    // The first token, `token-0`, is refused as an expired one would be.
    let client = trustgate::http::HttpClient::new(guarded.world.options()).unwrap();
    let access = trustgate::http::Access { registry: "registry.example".to_owned(), scope: SCOPE.to_owned() };
    let url = guarded.world.server.url(&format!("/v2/{GUN}/_trust/tuf/timestamp.json"));
    let error = client.get(&url, 10_000, Some(&access)).await.unwrap_err();
    assert!(matches!(error, HttpError::Unauthorized { .. }), "{error}");
    let response = client.get(&url, 10_000, Some(&access)).await.unwrap();
    assert_eq!(response.requests, 3);
    assert_eq!(client.get(&url, 10_000, Some(&access)).await.unwrap().requests, 1);
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn another_repository_of_the_server_asks_for_its_token_at_once() {
    let guarded = Guarded::new(|_| token()).await;
    let mut other = Repository::new("registry.example/acme/other");
    other.tag("targets", "1", b"one");
    guarded.world.publish(&other);
    let (reader, terms) = (guarded.world.reader(), RepositoryTerms::docker());
    find(&reader, "1.4", &terms).await.unwrap();
    guarded.world.server.take_requests();
    guarded.issuer.take_requests();
    let (gun, tag) = (other.gun.parse().unwrap(), "1".parse().unwrap());
    reader.find(&gun, Want::Tag(&tag), &terms).await.unwrap();
    assert_eq!(guarded.world.server.take_requests().len(), 4);
    let asked = guarded.issuer.take_requests();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].target.contains(&encoded("repository:registry.example/acme/other:pull")));
}

#[tokio::test]
async fn credentials_never_follow_a_redirect_to_another_host() {
    let guarded = Guarded::new(|_| token()).await;
    let thief = FakeNotary::start(|_| Reply::status(401).with("WWW-Authenticate", "Basic realm=\"x\"")).await;
    thief.trust_in(guarded.world.folder.path());
    guarded.configure(&auths(&serde_json::json!({"auth": BASE64_STANDARD.encode("alice:pw")})));
    let (realm, to) = (challenge(guarded.issuer.url("/token").as_str()), thief.url("/").to_string());
    guarded.world.fault(move |request| {
        Some(match request.header("authorization") {
            None => Reply::status(401).with("WWW-Authenticate", &realm),
            Some(_) => Reply::redirect(&to),
        })
    });
    let error = guarded.world.find("1.4").await.unwrap_err();
    assert!(matches!(error, TrustError::Unauthorized { .. }), "{error}");
    let stolen = thief.take_requests();
    assert!(!stolen.is_empty() && stolen.iter().all(|it| it.header("authorization").is_none()), "{stolen:?}");
}

#[tokio::test]
async fn a_helper_gives_the_credentials() {
    let script = r#"#!/bin/sh
read -r host
[ "$1 $host" = "get registry.example" ] || exit 1
echo '{"ServerURL":"registry.example","Username":"alice","Secret":"from helper"}'"#;
    for config in [
        serde_json::json!({"credsStore": "test", "auths": {"registry.example": {}}}),
        serde_json::json!({"credHelpers": {"registry.example": "test"}, "credsStore": "missing"}),
    ] {
        let guarded = Guarded::new(|_| token()).await;
        guarded.configure(&config);
        find_with_helper(&guarded, script).await.unwrap();
        let basic = format!("Basic {}", BASE64_STANDARD.encode("alice:from helper"));
        assert_eq!(guarded.issuer.take_requests()[0].header("authorization"), Some(basic.as_str()));
    }
}

#[tokio::test]
async fn a_helpers_identity_token_is_one() {
    let guarded = Guarded::new(|_| token()).await;
    guarded.configure(&serde_json::json!({"credsStore": "test"}));
    let script = "#!/bin/sh\necho '{\"Username\":\"<token>\",\"Secret\":\"id\"}'";
    find_with_helper(&guarded, script).await.unwrap();
    assert!(guarded.issuer.take_requests()[0].body.ends_with("refresh_token=id"));
}

#[tokio::test]
async fn a_helper_that_knows_nothing_means_anonymous() {
    let guarded = Guarded::new(|_| token()).await;
    guarded.configure(&serde_json::json!({"credsStore": "test"}));
    let script = "#!/bin/sh\necho 'credentials not found in native keychain'\nexit 1";
    find_with_helper(&guarded, script).await.unwrap();
    assert_eq!(guarded.issuer.take_requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_helper_that_fails_is_named() {
    let endless = "#!/bin/sh\nwhile :; do echo 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'; done";
    for (script, expected) in [
        ("#!/bin/sh\necho 'the keychain is locked'\nexit 1", "the keychain is locked"),
        ("#!/bin/sh\necho '{\"Username\":\"alice\",\"Secret\":\"hunter2\"}'\nexit 1", "reported an error"),
        ("#!/bin/sh\necho 'hunter2'", "gave no JSON"),
        (endless, "longer than"),
    ] {
        let guarded = Guarded::new(|_| token()).await;
        guarded.configure(&serde_json::json!({"credsStore": "test"}));
        let error = find_with_helper(&guarded, script).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("docker-credential-test") && text.contains(expected), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn a_helper_that_hangs_is_ended() {
    let mut guarded = Guarded::new(|_| token()).await;
    guarded.world.timeouts.helper = crate::world::SHORT;
    guarded.configure(&serde_json::json!({"credsStore": "test"}));
    let error = find_with_helper(&guarded, "#!/bin/sh\nexec sleep 1000").await.unwrap_err();
    assert!(error.to_string().contains("took too long"), "{error}");
}

#[tokio::test]
async fn a_helper_that_is_no_program_is_never_started() {
    for name in ["../evil", "a/b", "a b", "", "-x;reboot"] {
        let guarded = Guarded::new(|_| token()).await;
        guarded.configure(&serde_json::json!({"credHelpers": {"registry.example": name}}));
        let result = find_with_helper(&guarded, "#!/bin/sh\nexit 0").await;
        // Docker takes an empty name for none.
        assert_eq!(result.is_ok(), name.is_empty(), "{name}: {result:?}");
    }
    let guarded = Guarded::new(|_| token()).await;
    guarded.configure(&serde_json::json!({"credsStore": "missing"}));
    let error = find_with_helper(&guarded, "#!/bin/sh\nexit 0").await.unwrap_err();
    assert!(error.to_string().contains("docker-credential-missing"), "{error}");
}

#[tokio::test]
async fn a_configuration_that_can_not_be_read_is_named_without_its_content() {
    for content in ["{", "{\"auths\":7}", "{\"auths\":{\"registry.example\":{\"auth\":\"hunter2!\"}}}"] {
        let guarded = Guarded::new(|_| token()).await;
        fs::write(guarded.world.folder.path().join("config.json"), content).unwrap();
        let error = guarded.world.find("1.4").await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("configuration") && !text.contains("hunter2"), "{text}");
    }
    // Nobody who is not asked for credentials has to have a good configuration.
    let world = World::of(&simple()).await;
    fs::write(world.folder.path().join("config.json"), "{").unwrap();
    world.find("1.4").await.unwrap();
}

async fn find_with_helper(
    guarded: &Guarded,
    script: &str,
) -> Result<trustgate::trust::SignedTarget, TrustError> {
    let folder = guarded.world.folder.path().join("bin");
    fs::create_dir(&folder).unwrap();
    let helper = folder.join("docker-credential-test");
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let options = HttpOptions { search_path: Some(folder.into()), ..guarded.world.options() };
    find(&guarded.world.reader_with_options(options), "1.4", &RepositoryTerms::docker()).await
}

fn encoded(text: &str) -> String {
    text.replace(':', "%3A").replace('/', "%2F")
}

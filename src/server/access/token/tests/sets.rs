//! Sets of keys: what is none, and those that are fetched.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn what_is_no_set_of_keys_is_told() {
    let parse = |text: &str| keys::KeySet::parse(text.as_bytes()).unwrap_err();
    assert!(parse("").contains("EOF"));
    assert!(parse("{}").contains("missing field `keys`"));
    assert!(parse(r#"{"keys":[]}"#).contains("no key"));
    let one = |key: &str| parse(&format!(r#"{{"keys":[{key}]}}"#));
    let x = base64([1; 32]);
    for key in [
        r#"{"kty":"oct","k":"AA"}"#.to_owned(),
        format!(r#"{{"kty":"OKP","crv":"X25519","x":"{x}"}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","use":"enc"}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","key_ops":["sign"]}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","alg":"HS256"}}"#),
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"AA"}}"#),
        r#"{"kty":"RSA","n":"AQ"}"#.to_owned(),
    ] {
        assert!(one(&key).contains("no key"), "{key}");
    }
    let many = vec![format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#); 101].join(",");
    assert!(one(&many).contains("more than 100"));
    assert!(one(r#"{"kty":"oct","kty":"EC"}"#).contains("duplicate field"));
}

/// A server that hands keys out, and counts.
struct KeyServer {
    url: url::Url,
    asked: Arc<AtomicUsize>,
    answer: Arc<std::sync::Mutex<Option<String>>>,
}

impl KeyServer {
    async fn start(keys: &Value) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap()).parse().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let answer = Arc::new(std::sync::Mutex::new(Some(keys.to_string())));
        let server = Self { url, asked: Arc::clone(&asked), answer: Arc::clone(&answer) };
        let keys = move || {
            asked.fetch_add(1, Ordering::Relaxed);
            let answer = answer.lock().unwrap().clone();
            std::future::ready(answer.ok_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR))
        };
        let router = axum::Router::new().route("/keys", axum::routing::get(keys));
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    async fn tokens(&self, now: i64) -> Tokens {
        let keys = TokenKeys::SetUrl { url: self.url.clone(), authorities: None };
        Tokens::open(&settings(keys), at(now)).await.unwrap()
    }

    fn say(&self, answer: Option<String>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn fetched_keys_are_kept_and_an_unknown_one_looked_for_seldom() {
    let (issuer, next) = (Issuer::new(), Issuer::new());
    let server = KeyServer::start(&issuer.keys()).await;
    let tokens = server.tokens(1000).await;
    for _ in 0..3 {
        assert_eq!(tokens.ask_at(&issuer.token(|_| {}), Action::Pull, 1001).await, GRANTED);
    }
    assert_eq!(server.asked(), 1);
    // The issuer has a new key.
    let keys = next.keys().to_string().replace("\"ec\"", "\"ec2\"");
    server.say(Some(keys));
    let claims = claims_for("pull").to_string();
    let rotated = token(r#"{"alg":"ES256","kid":"ec2"}"#, &claims, |it| next.sign_ec(it));
    for _ in 0..3 {
        assert_eq!(tokens.ask_at(&rotated, Action::Pull, 1059).await, UNKNOWN_KEY);
    }
    assert_eq!(server.asked(), 1);
    assert_eq!(tokens.ask_at(&rotated, Action::Pull, 1060).await, GRANTED);
    // What is no longer handed out is no longer taken.
    assert_eq!(tokens.ask_at(&issuer.token(|_| {}), Action::Pull, 1061).await, UNKNOWN_KEY);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_is_good_for_an_hour_and_no_server_keeps_the_old_ones() {
    let issuer = Issuer::new();
    let server = KeyServer::start(&issuer.keys()).await;
    let tokens = server.tokens(0).await;
    let long = issuer.token(|it| it["exp"] = json!(1_000_000));
    assert_eq!(tokens.ask_at(&long, Action::Pull, 3599).await, GRANTED);
    server.say(None);
    assert_eq!(tokens.ask_at(&long, Action::Pull, 3600).await, GRANTED);
    assert!(tokens.problem().unwrap().contains("cannot be had"), "{:?}", tokens.problem());
    server.say(Some(Issuer::new().keys().to_string()));
    assert_eq!(tokens.ask_at(&long, Action::Pull, 3660).await, BAD_SIGNATURE);
    assert_eq!(tokens.problem(), None);
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn without_keys_nobody_can_tell() {
    let issuer = Issuer::new();
    let server = KeyServer::start(&issuer.keys()).await;
    for answer in [None, Some("x".repeat(2 << 20)), Some("[]".to_owned())] {
        server.say(answer);
        let tokens = server.tokens(1000).await;
        let told = tokens.ask_at(&issuer.token(|_| {}), Action::Pull, 1001).await;
        assert!(told.starts_with("unavailable: the keys of `http://127.0.0.1:"), "{told}");
        server.say(Some(issuer.keys().to_string()));
        assert_eq!(tokens.ask_at(&issuer.token(|_| {}), Action::Pull, 1061).await, GRANTED);
    }
}

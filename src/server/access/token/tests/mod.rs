//! What a token of the issuer allows, and for how long.

mod certificates;
mod forgeries;
mod sets;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::*;
use crate::server::settings::TokenKeys;

/// A token server: its keys, and no more.
struct Issuer {
    ed25519: Ed25519KeyPair,
    p256: EcdsaKeyPair,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self {
            ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap(),
            p256: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, p256.as_ref(), &random).unwrap(),
        }
    }

    fn keys(&self) -> Value {
        let point = self.p256.public_key().as_ref();
        json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "use": "sig", "x": base64(self.ed25519.public_key())},
            {"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256",
             "x": base64(&point[1..33]), "y": base64(&point[33..])},
            {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
            {"kty": "EC", "crv": "P-521", "kid": "other", "x": "AA", "y": "AA"},
        ]})
    }

    fn sign_ec(&self, message: &[u8]) -> Vec<u8> {
        self.p256.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    fn sign_ed(&self, message: &[u8]) -> Vec<u8> {
        self.ed25519.sign(message).as_ref().to_vec()
    }

    /// A token as it should be, but for what is changed.
    fn token(&self, claims: impl Fn(&mut Value)) -> String {
        let mut body = claims_for("pull,push");
        claims(&mut body);
        token(&json!({"typ": "JWT", "alg": "ES256", "kid": "ec"}).to_string(), &body.to_string(), |it| {
            self.sign_ec(it)
        })
    }
}

fn claims_for(actions: &str) -> Value {
    let actions: Vec<_> = actions.split(',').collect();
    json!({
        "iss": "issuer", "sub": "alice", "aud": "trust", "exp": 2000, "nbf": 1000, "iat": 1000, "jti": "x",
        "access": [{"type": "repository", "class": "image", "name": "docker.io/acme/web", "actions": actions}],
    })
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn token(header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", base64(header), base64(claims));
    format!("{signed}.{}", base64(sign(signed.as_bytes())))
}

fn settings(keys: TokenKeys) -> TokenSettings {
    TokenSettings {
        realm: "https://auth/token".to_owned(),
        service: "trust".to_owned(),
        issuer: "issuer".to_owned(),
        keys,
        anonymous_pull: false,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

async fn with_file(content: &[u8], keys: impl Fn(std::path::PathBuf) -> TokenKeys) -> Tokens {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, content).unwrap();
    Tokens::open(&settings(keys(path)), at(0)).await.unwrap()
}

async fn with_keys(keys: &Value) -> Tokens {
    with_file(keys.to_string().as_bytes(), TokenKeys::SetFile).await
}

impl Tokens {
    async fn ask_at(&self, token: &str, action: Action, seconds: i64) -> String {
        let gun: Gun = "docker.io/acme/web".parse().unwrap();
        let gun = Some(&gun).filter(|_| !matches!(action, Action::Any | Action::Catalog));
        match self.decide(Some(&format!("Bearer {token}")), gun, action, at(seconds)).await {
            Decision::Granted(caller) => format!("granted to {caller}"),
            Decision::Challenge(challenge) => challenge.header,
            Decision::Denied { caller, reason, challenge } => {
                let invalid = challenge.header.ends_with(",error=\"invalid_token\"");
                assert_eq!(invalid, caller.name.is_none(), "{}", challenge.header);
                format!("{caller}: {reason}")
            }
            Decision::Unavailable { reason } => format!("unavailable: {reason}"),
        }
    }

    async fn ask(&self, token: &str, action: Action) -> String {
        self.ask_at(token, action, 1500).await
    }
}

const GRANTED: &str = "granted to alice";
const TOO_LITTLE: &str = "alice: the token does not allow it";
const BAD_SIGNATURE: &str = "-: the signature of the token is not one of the key that it names";
const UNKNOWN_KEY: &str = "-: the token is of a key that is not known";

#[tokio::test]
async fn tokens_of_the_issuer_are_taken() {
    let issuer = Issuer::new();
    let tokens = with_keys(&issuer.keys()).await;
    assert_eq!(tokens.ask(&issuer.token(|_| {}), Action::Push).await, GRANTED);
    let claims = claims_for("pull").to_string();
    let edwards = token(r#"{"alg":"EdDSA","kid":"ed"}"#, &claims, |it| issuer.sign_ed(it));
    assert_eq!(tokens.ask(&edwards, Action::Pull).await, GRANTED);
    // Where there is but one for its algorithm, a key needs no name.
    let nameless = token(r#"{"alg":"EdDSA"}"#, &claims, |it| issuer.sign_ed(it));
    assert_eq!(tokens.ask(&nameless, Action::Pull).await, GRANTED);
    let several = issuer.token(|it| it["aud"] = json!(["other", "trust"]));
    assert_eq!(tokens.ask(&several, Action::Push).await, GRANTED);
    let nobody = issuer.token(|it| it["sub"] = json!(""));
    assert_eq!(tokens.ask(&nobody, Action::Push).await, "granted to -");
}

#[tokio::test]
async fn tokens_of_rsa_keys_are_taken() {
    let Ok(made) = std::process::Command::new("openssl").args(["genrsa", "-traditional", "2048"]).output()
    else {
        // Nothing else here makes such keys.
        return;
    };
    let key = pem::parse(&made.stdout).unwrap();
    let pair = ring::rsa::KeyPair::from_der(key.contents()).unwrap();
    let sign = |message: &[u8]| {
        let mut signature = vec![0; pair.public().modulus_len()];
        let random = SystemRandom::new();
        pair.sign(&ring::signature::RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
        signature
    };
    let numbers = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
    // Some write numbers with a zero before them.
    let n = [&[0], numbers.n.as_slice()].concat();
    let keys = json!({"keys": [{"kty": "RSA", "kid": "rsa", "n": base64(n), "e": base64(numbers.e)}]});
    let tokens = with_keys(&keys).await;
    let claims = claims_for("pull").to_string();
    let good = token(r#"{"alg":"RS256","kid":"rsa"}"#, &claims, sign);
    assert_eq!(tokens.ask(&good, Action::Pull).await, GRANTED);
    for algorithm in ["HS256", "PS256", "RS512"] {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"rsa"}}"#);
        assert!(
            tokens.ask(&token(&header, &claims, sign), Action::Pull).await.contains("are taken"),
            "{algorithm}"
        );
    }
    let confused = token(r#"{"alg":"ES256","kid":"rsa"}"#, &claims, sign);
    assert_eq!(tokens.ask(&confused, Action::Pull).await, UNKNOWN_KEY);
}

#[tokio::test]
async fn a_token_allows_what_it_says() {
    let issuer = Issuer::new();
    let tokens = with_keys(&issuer.keys()).await;
    let repository =
        |name: &str, actions: &[&str]| json!({"type": "repository", "name": name, "actions": actions});
    let web = |actions: &[&str]| repository("docker.io/acme/web", actions);
    let catalog = json!({"type": "registry", "name": "catalog", "actions": ["*"]});
    for (access, action, expected) in [
        (json!([web(&["pull"])]), Action::Pull, GRANTED),
        (json!([web(&["pull"])]), Action::Push, TOO_LITTLE),
        (json!([web(&["push"])]), Action::Push, TOO_LITTLE),
        (json!([web(&["push"]), web(&["pull"])]), Action::Push, GRANTED),
        (json!([web(&["push", "pull"])]), Action::Admin, TOO_LITTLE),
        (json!([web(&["*"])]), Action::Admin, GRANTED),
        (json!([web(&["*"])]), Action::Push, GRANTED),
        (json!([repository("docker.io/acme/web2", &["*"])]), Action::Pull, TOO_LITTLE),
        (json!([repository("docker.io/acme/", &["*"])]), Action::Pull, TOO_LITTLE),
        (json!([repository("*", &["*"])]), Action::Pull, TOO_LITTLE),
        (
            json!([{"type": "registry", "name": "docker.io/acme/web", "actions": ["*"]}]),
            Action::Pull,
            TOO_LITTLE,
        ),
        (json!([catalog]), Action::Catalog, GRANTED),
        (json!([catalog]), Action::Pull, TOO_LITTLE),
        (json!([web(&["*"])]), Action::Catalog, TOO_LITTLE),
        (json!([]), Action::Any, GRANTED),
        (Value::Null, Action::Any, GRANTED),
        (Value::Null, Action::Pull, TOO_LITTLE),
    ] {
        let token = issuer.token(|it| it["access"] = access.clone());
        assert_eq!(tokens.ask(&token, action).await, expected, "{access} {action:?}");
    }
}

#[tokio::test]
async fn a_token_has_its_time() {
    let issuer = Issuer::new();
    let tokens = with_keys(&issuer.keys()).await;
    let good = issuer.token(|_| {});
    for (seconds, expected) in [
        (940, GRANTED),
        (939, "-: the token is not valid yet"),
        (2059, GRANTED),
        (2060, "-: the token is expired"),
    ] {
        assert_eq!(tokens.ask_at(&good, Action::Pull, seconds).await, expected, "{seconds}");
    }
    let without = issuer.token(|it| drop(it.as_object_mut().unwrap().remove("nbf")));
    assert_eq!(tokens.ask_at(&without, Action::Pull, 0).await, GRANTED);
    let fractions = issuer.token(|it| it["exp"] = json!(1e300));
    assert_eq!(tokens.ask_at(&fractions, Action::Pull, 1_000_000_000).await, GRANTED);
}

#[tokio::test]
async fn claims_that_are_not_for_us_are_refused() {
    let issuer = Issuer::new();
    let tokens = with_keys(&issuer.keys()).await;
    for (member, value, expected) in [
        ("iss", json!("other"), "-: the token is of \"other\", not of \"issuer\""),
        ("iss", json!(null), "-: the claims are malformed"),
        ("aud", json!("other"), "-: the token is not for \"trust\""),
        ("aud", json!(["other"]), "-: the token is not for \"trust\""),
        ("aud", json!([]), "-: the token is not for \"trust\""),
        ("aud", json!({"trust": 1}), "-: the claims are malformed: a name, or several"),
        ("exp", json!(null), "-: the claims are malformed"),
        ("exp", json!("3000"), "-: the claims are malformed"),
        ("exp", json!(-1e300), "-: the token is expired"),
        ("nbf", json!("0"), "-: the claims are malformed"),
        ("access", json!("*"), "-: the claims are malformed"),
        (
            "access",
            json!([{"type": "repository", "name": "docker.io/acme/web"}]),
            "-: the claims are malformed",
        ),
        ("sub", json!(["alice"]), "-: the claims are malformed"),
    ] {
        let token = issuer.token(|it| it[member] = value.clone());
        let told = tokens.ask(&token, Action::Pull).await;
        assert!(told.starts_with(expected), "{member} {value}: {told}");
    }
}

#[tokio::test]
async fn who_brings_no_token_is_told_where_to_get_one() {
    let issuer = Issuer::new();
    let mut tokens = with_keys(&issuer.keys()).await;
    let gun: Gun = "docker.io/acme/web".parse().unwrap();
    let Decision::Challenge(challenge) = tokens.decide(None, Some(&gun), Action::Pull, at(0)).await else {
        panic!("a challenge")
    };
    assert_eq!(
        challenge.header,
        r#"Bearer realm="https://auth/token",service="trust",scope="repository:docker.io/acme/web:pull""#
    );
    tokens.anonymous_pull = true;
    let granted = Decision::Granted(Caller::default());
    assert_eq!(tokens.decide(None, Some(&gun), Action::Pull, at(0)).await, granted);
    assert_ne!(tokens.decide(None, Some(&gun), Action::Push, at(0)).await, granted);
    assert_ne!(tokens.decide(None, None, Action::Any, at(0)).await, granted);
}

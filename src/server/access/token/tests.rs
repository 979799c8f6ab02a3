use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
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
#[expect(clippy::too_many_lines, reason = "a list of forgeries")]
async fn forged_tokens_are_refused() {
    let issuer = Issuer::new();
    let tokens = with_keys(&issuer.keys()).await;
    let claims = claims_for("*").to_string();
    let ec = |header: &str| token(header, &claims, |it| issuer.sign_ec(it));
    let point = issuer.p256.public_key().as_ref().to_vec();
    let with_public_key = |header: &str| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &point);
        token(header, &claims, |it| ring::hmac::sign(&key, it).as_ref().to_vec())
    };
    let stranger = Issuer::new();
    let good = issuer.token(|_| {});
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let with_signature = |bytes: &[u8]| format!("{signed}.{}", base64(bytes));
    let der = {
        let p256 = p256::ecdsa::Signature::from_slice(&raw).unwrap();
        p256.to_der().as_bytes().to_vec()
    };
    let other_claims = {
        let header = signed.split('.').next().unwrap();
        format!("{header}.{}.{signature}", base64(claims_for("*").to_string()))
    };
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let known = r#""kid":"ec""#;
    let cases = [
        ("alg none", token(&format!(r#"{{"alg":"none",{known}}}"#), &claims, |_| Vec::new()), "are taken"),
        ("alg None", ec(&format!(r#"{{"alg":"None",{known}}}"#)), "are taken"),
        ("alg missing", ec(r#"{"kid":"ec"}"#), "missing field `alg`"),
        ("public key as secret", with_public_key(&format!(r#"{{"alg":"HS256",{known}}}"#)), "are taken"),
        (
            "public key as secret, renamed",
            with_public_key(&format!(r#"{{"alg":"ES256",{known}}}"#)),
            BAD_SIGNATURE,
        ),
        ("secret of the set", with_public_key(r#"{"alg":"HS256","kid":"secret"}"#), "are taken"),
        ("key of another kind", ec(r#"{"alg":"ES256","kid":"ed"}"#), UNKNOWN_KEY),
        ("algorithm of another kind", ec(r#"{"alg":"EdDSA","kid":"ec"}"#), UNKNOWN_KEY),
        ("unknown key", ec(r#"{"alg":"ES256","kid":"nobody"}"#), UNKNOWN_KEY),
        ("key as a path", ec(r#"{"alg":"ES256","kid":"../../../dev/null"}"#), UNKNOWN_KEY),
        ("key as SQL", ec(r#"{"alg":"ES256","kid":"' OR 1=1 --"}"#), UNKNOWN_KEY),
        ("key as a list", ec(r#"{"alg":"ES256","kid":["ec"]}"#), "invalid type"),
        (
            "key that it brings",
            {
                let jwk = stranger.keys()["keys"][1].to_string();
                let header = format!(r#"{{"alg":"ES256",{known},"jwk":{jwk},"jku":"https://evil/keys"}}"#);
                token(&header, &claims, |it| stranger.sign_ec(it))
            },
            BAD_SIGNATURE,
        ),
        (
            "key of a stranger",
            token(&format!(r#"{{"alg":"ES256",{known}}}"#), &claims, |it| stranger.sign_ec(it)),
            BAD_SIGNATURE,
        ),
        (
            "algorithm twice",
            ec(&format!(r#"{{"alg":"none","alg":"ES256",{known}}}"#)),
            "duplicate field `alg`",
        ),
        (
            "algorithm twice, disguised",
            ec(&format!(r#"{{"alg":"ES256","\u0061lg":"none",{known}}}"#)),
            "duplicate field `alg`",
        ),
        (
            "critical extension",
            ec(&format!(r#"{{"alg":"ES256",{known},"crit":["b64"],"b64":false}}"#)),
            "`crit`",
        ),
        (
            "claims twice",
            {
                let twice = claims.replacen('{', r#"{"exp":99999,"#, 1);
                token(&format!(r#"{{"alg":"ES256",{known}}}"#), &twice, |it| issuer.sign_ec(it))
            },
            "duplicate field `exp`",
        ),
        ("another's claims", other_claims, BAD_SIGNATURE),
        ("empty signature", with_signature(&[]), BAD_SIGNATURE),
        ("signature of zeros", with_signature(&[0; 64]), BAD_SIGNATURE),
        ("short signature", with_signature(&raw[..63]), BAD_SIGNATURE),
        ("long signature", with_signature(&[raw.as_slice(), &[0]].concat()), BAD_SIGNATURE),
        ("signature as X.509 has it", with_signature(&der), BAD_SIGNATURE),
        ("padded signature", format!("{good}=="), "not base64"),
        ("blanks", good.replacen('.', " .", 1), "not base64"),
        ("two parts", signed.to_owned(), "three parts"),
        ("four parts", format!("{good}.x"), "base64"),
        ("nothing", String::new(), "three parts"),
        ("dots", "..".to_owned(), "header"),
        ("deep header", ec(&format!(r#"{{"alg":"ES256",{known},"x5c":{deep}}}"#)), "invalid type"),
        (
            "deep claims",
            {
                let deep = claims.replace("\"aud\":\"trust\"", &format!("\"aud\":{deep}"));
                token(&format!(r#"{{"alg":"ES256",{known}}}"#), &deep, |it| issuer.sign_ec(it))
            },
            "recursion limit",
        ),
        ("huge", "x".repeat(1 << 20), "longer than"),
        ("not an object", token("[]", &claims, |it| issuer.sign_ec(it)), "header"),
        (
            "claims are no object",
            token(&format!(r#"{{"alg":"ES256",{known}}}"#), "null", |it| issuer.sign_ec(it)),
            "claims",
        ),
    ];
    for (name, token, expected) in cases {
        let told = tokens.ask(&token, Action::Pull).await;
        assert!(told.starts_with("-: ") && told.contains(expected), "{name}: {told}");
    }
    let gun: Gun = "docker.io/acme/web".parse().unwrap();
    for header in ["Basic YTpi", "Bearer", "", "bearer\t"] {
        let decision = tokens.decide(Some(header), Some(&gun), Action::Pull, at(1500)).await;
        assert!(matches!(decision, Decision::Denied { .. }), "{header}: {decision:?}");
    }
    assert_eq!(tokens.ask(&good, Action::Push).await, GRANTED);
}

/// An authority, and what it issues.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        Self { certificate, issuer: rcgen::Issuer::new(parameters, key) }
    }

    fn issue(&self, change: impl Fn(&mut rcgen::CertificateParams)) -> (rcgen::Certificate, EcdsaKeyPair) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["tokens".to_owned()]).unwrap();
        change(&mut parameters);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der(), &random)
            .unwrap();
        (certificate, pair)
    }
}

fn token_with_chain(chain: &[&rcgen::Certificate], key: &EcdsaKeyPair) -> String {
    let chain: Vec<_> = chain.iter().map(|it| STANDARD.encode(it.der())).collect();
    let header = json!({"alg": "ES256", "x5c": chain}).to_string();
    let sign = |it: &[u8]| key.sign(&SystemRandom::new(), it).unwrap().as_ref().to_vec();
    let mut claims = claims_for("pull");
    claims["exp"] = json!(4_000_000_000_i64);
    token(&header, &claims.to_string(), sign)
}

/// A day on which what rcgen makes is valid, which it is from 1975 to 4096.
const NOW: i64 = 1_800_000_000;

#[tokio::test]
async fn a_bundle_names_keys_and_vouches_for_others() {
    let authority = Authority::new("tokens of acme");
    let (listed, listed_key) = authority.issue(|_| {});
    let bundle = format!("{}{}", authority.certificate.pem(), listed.pem());
    let tokens = with_file(bundle.as_bytes(), TokenKeys::Bundle).await;
    let kid = {
        let certificate = crate::tuf::certificate::Certificate::parse(listed.der().to_vec()).unwrap();
        keys::fingerprint(&certificate.key_info())
    };
    let header = json!({"alg": "ES256", "kid": kid}).to_string();
    let sign = |it: &[u8]| listed_key.sign(&SystemRandom::new(), it).unwrap().as_ref().to_vec();
    let named = token(&header, &claims_for("pull").to_string(), sign);
    assert_eq!(tokens.ask(&named, Action::Pull).await, GRANTED);
    let ask = async |token: &str| tokens.ask_at(token, Action::Pull, NOW).await;
    let (leaf, key) = authority.issue(|_| {});
    assert_eq!(ask(&token_with_chain(&[&leaf], &key)).await, GRANTED);
    let refused = "-: the certificates of the token are refused: ";
    let (stray, stray_key) = Authority::new("tokens of acme").issue(|_| {});
    let (below, below_key) = {
        // A certificate that is no authority's has signed another.
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["tokens".to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &authority.issuer).unwrap();
        let false_authority = Authority { certificate, issuer: rcgen::Issuer::new(parameters, key) };
        let (leaf, key) = false_authority.issue(|_| {});
        ((leaf, false_authority.certificate), key)
    };
    let (old, old_key) = authority.issue(|it| {
        it.not_before = rcgen::date_time_ymd(2000, 1, 1);
        it.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    for (name, token, reason) in [
        (
            "of another authority of that name",
            token_with_chain(&[&stray], &stray_key),
            "signature of the chain is wrong",
        ),
        (
            "below what is no authority",
            token_with_chain(&[&below.0, &below.1], &below_key),
            "not an authority",
        ),
        ("expired", token_with_chain(&[&old], &old_key), "not valid now"),
    ] {
        let told = ask(&token).await;
        assert!(told.starts_with(refused) && told.contains(reason), "{name}: {told}");
    }
    assert_eq!(ask(&token_with_chain(&[&leaf], &stray_key)).await, BAD_SIGNATURE);
    let many: Vec<_> = (0..20).map(|_| &leaf).collect();
    assert!(ask(&token_with_chain(&many, &key)).await.starts_with(refused));
    let empty = json!({"alg": "ES256", "x5c": []}).to_string();
    // Two keys of the bundle are for this algorithm, and none is named.
    assert_eq!(ask(&token(&empty, "{}", sign)).await, UNKNOWN_KEY);
    let broken = json!({"alg": "ES256", "x5c": ["AAAA"]}).to_string();
    assert!(ask(&token(&broken, "{}", sign)).await.starts_with(refused));
}

#[test]
fn a_fingerprint_is_libtrusts() {
    assert_eq!(
        keys::fingerprint(b"trustgate"),
        "I7OO:KPXI:OBYJ:DJ6A:2HHY:2VDZ:663W:LYCI:R4NW:UAHL:FTB3:OOR3"
    );
}

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

//! Tokens that somebody else made, or made of others.

use super::*;

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

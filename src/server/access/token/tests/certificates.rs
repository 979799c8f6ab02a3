//! Keys in certificates: those of a bundle, and those that an authority in it vouches for.

use base64::engine::general_purpose::STANDARD;

use super::*;

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

//! Certificates for tests, in every shape that a rule looks at.

use jiff::Timestamp;

use super::key::TestKey;

/// What a test certificate says.
#[derive(Clone, Debug)]
pub struct TestCertificate {
    /// The common names of the subject; one, in an honest certificate.
    pub common_names: Vec<String>,
    /// The common name of the issuer; `None`: the same as the subject's.
    pub issuer: Option<String>,
    /// When it starts to be valid.
    pub not_before: Timestamp,
    /// When it stops.
    pub not_after: Timestamp,
    /// Whether it is a certificate authority's, and how many more may follow.
    pub authority: Option<Option<u8>>,
    /// The bits of the key usage, behind the number of unused ones.
    pub key_usage: Vec<u8>,
    /// Object identifiers of extended key usages.
    pub extended_key_usages: Vec<Vec<u8>>,
    /// Critical extensions beyond those, by the content of their object identifiers.
    pub critical: Vec<Vec<u8>>,
    /// The content of the object identifier that the signature claims to be.
    pub signature_algorithm: Vec<u8>,
}

impl TestCertificate {
    /// As Notary makes them for a repository: ten years, for code signing.
    #[must_use]
    pub fn for_gun(gun: &str, not_before: Timestamp) -> Self {
        let ten_years = jiff::SignedDuration::from_hours(24 * 3650);
        Self {
            common_names: vec![gun.to_owned()],
            issuer: None,
            not_before,
            not_after: not_before.checked_add(ten_years).unwrap_or(Timestamp::MAX),
            authority: None,
            key_usage: DIGITAL_SIGNATURE.to_vec(),
            extended_key_usages: vec![CODE_SIGNING.to_vec()],
            critical: Vec::new(),
            signature_algorithm: ECDSA_SHA256.to_vec(),
        }
    }

    /// An authority of this name.
    #[must_use]
    pub fn authority(name: &str, not_before: Timestamp) -> Self {
        let leaf = Self::for_gun(name, not_before);
        let key_usage = CERTIFICATE_SIGNATURE.to_vec();
        Self { authority: Some(None), key_usage, extended_key_usages: Vec::new(), ..leaf }
    }

    /// The DER certificate for a subject's key, signed by an issuer's key (P-256).
    #[must_use]
    pub fn issue(&self, subject: &TestKey, issuer: &TestKey) -> Vec<u8> {
        let algorithm = der(0x30, &[der(0x06, std::slice::from_ref(&self.signature_algorithm))]);
        let issuer_names = self.issuer.as_ref().map_or(self.common_names.clone(), |it| vec![it.clone()]);
        let signed = der(
            0x30,
            &[
                der(0xa0, &[der(0x02, &[vec![2]])]),
                der(0x02, &[vec![1]]),
                algorithm.clone(),
                name(&issuer_names),
                der(0x30, &[time(self.not_before), time(self.not_after)]),
                name(&self.common_names),
                subject.key_info(),
                der(0xa3, &[der(0x30, &self.extensions())]),
            ],
        );
        let signature = [vec![0], issuer.sign_der(&signed)].concat();
        der(0x30, &[signed, algorithm, der(0x03, &[signature])])
    }

    fn extensions(&self) -> Vec<Vec<u8>> {
        let constraints = match self.authority {
            None => Vec::new(),
            Some(path) => {
                let path = path.map(|it| der(0x02, &[vec![it]]));
                [vec![der(0x01, &[vec![0xff]])], path.into_iter().collect()].concat()
            }
        };
        let mut extensions = vec![
            extension(&[0x55, 0x1d, 15], true, der(0x03, std::slice::from_ref(&self.key_usage))),
            extension(&[0x55, 0x1d, 19], true, der(0x30, &constraints)),
        ];
        if !self.extended_key_usages.is_empty() {
            let usages: Vec<_> =
                self.extended_key_usages.iter().map(|it| der(0x06, std::slice::from_ref(it))).collect();
            extensions.push(extension(&[0x55, 0x1d, 37], false, der(0x30, &usages)));
        }
        extensions.extend(self.critical.iter().map(|it| extension(it, true, der(0x05, &[]))));
        extensions
    }
}

/// The PEM text of certificates, as Go writes it.
#[must_use]
pub fn pem(certificates: &[Vec<u8>]) -> Vec<u8> {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let blocks =
        certificates.iter().map(|it| pem::encode_config(&pem::Pem::new("CERTIFICATE", it.clone()), config));
    blocks.collect::<String>().into_bytes()
}

/// One DER element; lengths below 64 KiB.
pub(super) fn der(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).expect("test certificates are small").to_be_bytes();
    let mut out = vec![tag];
    match length {
        [0, short @ 0..=0x7f] => out.push(short),
        [0, byte] => out.extend([0x81, byte]),
        [high, low] => out.extend([0x82, high, low]),
    }
    out.extend(content);
    out
}

fn name(common_names: &[String]) -> Vec<u8> {
    let parts = common_names.iter().map(|it| {
        let pair = der(0x30, &[der(0x06, &[vec![0x55, 4, 3]]), der(0x0c, &[it.clone().into_bytes()])]);
        der(0x31, &[pair])
    });
    der(0x30, &parts.collect::<Vec<_>>())
}

fn time(time: Timestamp) -> Vec<u8> {
    let utc = time.to_zoned(jiff::tz::TimeZone::UTC);
    // RFC 5280: two digits of the year until 2049, four from then on.
    if utc.year() < 2050 {
        return der(0x17, &[utc.strftime("%y%m%d%H%M%SZ").to_string().into_bytes()]);
    }
    der(0x18, &[utc.strftime("%Y%m%d%H%M%SZ").to_string().into_bytes()])
}

fn extension(id: &[u8], critical: bool, value: Vec<u8>) -> Vec<u8> {
    let mut parts = vec![der(0x06, &[id.to_vec()])];
    if critical {
        parts.push(der(0x01, &[vec![0xff]]));
    }
    parts.push(der(0x04, &[value]));
    der(0x30, &parts)
}

/// Digital signature and key encipherment, as Notary's certificates have it.
pub const DIGITAL_SIGNATURE: &[u8] = &[5, 0xa0];
/// Signatures of certificates and of revocation lists.
pub const CERTIFICATE_SIGNATURE: &[u8] = &[1, 0x06];
/// 1.3.6.1.5.5.7.3.3
pub const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];
/// 1.2.840.10045.4.3.2
pub const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// 1.2.840.10045.4.1
pub const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];

//! `WWW-Authenticate`: what a server asks for, as RFC 9110 §11 writes it.
//!
//! The header comes from a server that nothing is known of yet, so the parser is bounded in
//! length and count and refuses what it does not understand. It knows nothing of tokens.

/// One challenge: a scheme and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The scheme in lower case: `bearer`, `basic`, …
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The value of a parameter; the name is given in lower case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The parameters by their names in lower case, in the order of the header.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Parses one header value, which may hold several challenges.
pub fn parse_challenges(value: &[u8]) -> Result<Vec<Challenge>, ChallengeError> {
    if value.len() > LENGTH_LIMIT {
        return Err(ChallengeError::TooLong);
    }
    let mut input = Input { bytes: value, position: 0 };
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        while input.take(b',') || input.skip_space() {}
        if input.peek().is_none() {
            return Ok(challenges);
        }
        let name = input.token()?;
        let spaced = input.skip_space();
        // `name = value` belongs to the challenge before it; a bare name opens the next one.
        match challenges.last_mut() {
            Some(challenge) if input.take(b'=') => {
                input.skip_space();
                let value = if input.peek() == Some(b'"') { input.quoted()? } else { input.token()? };
                challenge.add(&name, value)?;
                input.skip_space();
                input.end_of_element()?;
            }
            _ => {
                if challenges.len() == CHALLENGE_LIMIT {
                    return Err(ChallengeError::TooMany);
                }
                challenges.push(Challenge { scheme: name.to_ascii_lowercase(), parameters: Vec::new() });
                if spaced {
                    input.skip_token68();
                } else {
                    input.end_of_element()?;
                }
            }
        }
    }
}

impl Challenge {
    fn add(&mut self, name: &str, value: String) -> Result<(), ChallengeError> {
        let name = name.to_ascii_lowercase();
        if self.parameters.len() == PARAMETER_LIMIT {
            return Err(ChallengeError::TooMany);
        }
        if self.parameter(&name).is_some() {
            return Err(ChallengeError::Repeated { name });
        }
        self.parameters.push((name, value));
        Ok(())
    }
}

/// Why a `WWW-Authenticate` header can't be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// Longer than any server's challenge.
    #[error("the challenge is longer than {LENGTH_LIMIT} bytes")]
    TooLong,
    /// More challenges or parameters than any server sends.
    #[error("the challenge has too many parts")]
    TooMany,
    /// A parameter stands twice, so that two readers could see two challenges.
    #[error("the challenge has `{name}` twice")]
    Repeated {
        /// The parameter.
        name: String,
    },
    /// A character where the grammar has none.
    #[error("the challenge is malformed at byte {position}")]
    Malformed {
        /// Where, from 0.
        position: usize,
    },
}

struct Input<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Input<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.position += usize::from(found);
        found
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &[u8] {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let length = rest.iter().position(|byte| !wanted(*byte)).unwrap_or(rest.len());
        self.position += length;
        rest.get(..length).unwrap_or_default()
    }

    fn skip_space(&mut self) -> bool {
        !self.take_while(|byte| matches!(byte, b' ' | b'\t')).is_empty()
    }

    fn token(&mut self) -> Result<String, ChallengeError> {
        let token = self.take_while(is_token_byte).to_vec();
        match String::from_utf8(token) {
            Ok(token) if !token.is_empty() => Ok(token),
            _ => Err(self.malformed()),
        }
    }

    fn quoted(&mut self) -> Result<String, ChallengeError> {
        let mut value = Vec::new();
        if !self.take(b'"') {
            return Err(self.malformed());
        }
        loop {
            let byte = match self.peek() {
                Some(b'"') => {
                    self.position += 1;
                    return String::from_utf8(value).map_err(|_| self.malformed());
                }
                Some(b'\\') => {
                    self.position += 1;
                    self.peek()
                }
                other => other,
            };
            match byte {
                // RFC 9110 lets a quoted text hold anything visible, blanks, and bytes past ASCII.
                Some(byte) if byte == b'\t' || (byte >= b' ' && byte != 0x7f) => value.push(byte),
                _ => return Err(self.malformed()),
            }
            self.position += 1;
        }
    }

    /// `Negotiate YII…==`: a value without a name. It is passed over where it is one, that is,
    /// where the next comma or the end follows.
    fn skip_token68(&mut self) {
        let start = self.position;
        self.take_while(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        self.take_while(|byte| byte == b'=');
        self.skip_space();
        if !matches!(self.peek(), None | Some(b',')) {
            self.position = start;
        }
    }

    fn end_of_element(&self) -> Result<(), ChallengeError> {
        match self.peek() {
            None | Some(b',') => Ok(()),
            Some(_) => Err(self.malformed()),
        }
    }

    fn malformed(&self) -> ChallengeError {
        ChallengeError::Malformed { position: self.position }
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A realm, a service and a scope of a few hundred bytes each are usual.
const LENGTH_LIMIT: usize = 8 * 1024;
/// Servers offer one or two schemes.
const CHALLENGE_LIMIT: usize = 8;
/// `Bearer` has four parameters, `Digest` nine.
const PARAMETER_LIMIT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<(String, Vec<(String, String)>)> {
        let challenges =
            parse_challenges(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        challenges.into_iter().map(|challenge| (challenge.scheme, challenge.parameters)).collect()
    }

    fn one(scheme: &str, parameters: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        (scheme.to_owned(), parameters.iter().map(own).collect())
    }

    #[test]
    fn what_servers_send_is_read() {
        assert_eq!(
            parse(
                r#"Bearer realm="https://auth.docker.io/token",service="notary.docker.io",scope="repository:docker.io/library/alpine:pull""#
            ),
            [one(
                "bearer",
                &[
                    ("realm", "https://auth.docker.io/token"),
                    ("service", "notary.docker.io"),
                    ("scope", "repository:docker.io/library/alpine:pull"),
                ]
            )]
        );
        assert_eq!(parse("Basic"), [one("basic", &[])]);
        assert_eq!(parse(""), []);
        assert_eq!(parse(" , ,"), []);
        assert_eq!(
            parse(r#"Negotiate, BASIC Realm = "a, \"b\" \\" , charset=UTF-8,"#),
            [one("negotiate", &[]), one("basic", &[("realm", r#"a, "b" \"#), ("charset", "UTF-8")])]
        );
        assert_eq!(
            parse(r#"Negotiate YIIabc+/==, Bearer realm="https://a/t""#),
            [one("negotiate", &[]), one("bearer", &[("realm", "https://a/t")])]
        );
        assert_eq!(
            parse(r#"Basic realm="a",Bearer realm="b",service="c""#),
            [one("basic", &[("realm", "a")]), one("bearer", &[("realm", "b"), ("service", "c")])]
        );
    }

    #[test]
    fn what_is_no_challenge_is_refused() {
        for text in [
            "=",
            "\"",
            "Bearer realm=\"",
            "Bearer realm=\"a",
            "Bearer realm=\"a\\",
            "Bearer realm=\"\u{1}\"",
            "Bearer realm=\"a\"b",
            "Bearer realm=\"a\" b=c",
            "Bearer\0",
            "Bearer realm=a;b=c",
            "Bearer = x",
            "Bearer realm=\"a\",realm=\"b\"",
            "Bearer realm=\"a\",REALM=\"b\"",
            "Bearer realm=,",
            "é",
        ] {
            if text == "Bearer realm=," {
                // `realm=` alone is a token68, an odd one.
                assert_eq!(parse(text), [one("bearer", &[])]);
                continue;
            }
            assert!(parse_challenges(text.as_bytes()).is_err(), "{text:?} was accepted");
        }
        assert!(parse_challenges(b"Bearer realm=\"\xff\"").is_err());
    }

    #[test]
    fn a_flood_is_refused() {
        assert_eq!(parse_challenges(&vec![b'a'; LENGTH_LIMIT + 1]), Err(ChallengeError::TooLong));
        assert_eq!(parse_challenges("a,".repeat(9).as_bytes()), Err(ChallengeError::TooMany));
        let many: Vec<String> = (0..17).map(|n| format!("p{n}=v")).collect();
        assert_eq!(
            parse_challenges(format!("a {}", many.join(",")).as_bytes()),
            Err(ChallengeError::TooMany)
        );
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]
        #[test]
        fn what_was_read_is_read_again(value in "[ab=\", \\\\\t/+\u{e9}]{0,40}") {
            let Ok(challenges) = parse_challenges(value.as_bytes()) else { return Ok(()) };
            let written: Vec<String> = challenges.iter().map(|challenge| {
                let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
                let parameters: Vec<String> =
                    challenge.parameters().map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
                format!("{} {}", challenge.scheme(), parameters.join(","))
            }).collect();
            proptest::prop_assert_eq!(parse_challenges(written.join(", ").as_bytes()), Ok(challenges));
        }
    }
}

//! Tokens of a registry's token server: who signed them, for whom, and what they allow.
//!
//! A token's claims are looked at only once its signature was checked, with a key of ours and the
//! algorithm that this key is for. What the token says of itself chooses among our keys, and nothing else.

mod claims;
mod jwt;
mod keys;
mod source;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use self::claims::Claims;
use self::jwt::Jwt;
use self::source::{KeySource, NoKey};
use super::challenge::Scope;
use super::{AccessError, Action, Caller, Challenge, Decision, credentials};
use crate::image::Gun;
use crate::server::settings::TokenSettings;

/// Lets in who brings a token.
pub(super) struct Tokens {
    realm: String,
    service: String,
    issuer: String,
    anonymous_pull: bool,
    keys: KeySource,
}

/// Why a token is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    /// It is wrong, whatever it is for.
    Invalid(String),
    /// Whether it is right cannot be found out.
    Unavailable(String),
}

impl Tokens {
    pub(super) async fn open(settings: &TokenSettings, now: Timestamp) -> Result<Self, AccessError> {
        Ok(Self {
            realm: settings.realm.clone(),
            service: settings.service.clone(),
            issuer: settings.issuer.clone(),
            anonymous_pull: settings.anonymous_pull,
            keys: KeySource::open(&settings.keys, now).await?,
        })
    }

    pub(super) async fn decide(
        &self,
        authorization: Option<&str>,
        gun: Option<&Gun>,
        action: Action,
        now: Timestamp,
    ) -> Decision {
        let scope = Scope::of(gun, action);
        let challenge = |error| Challenge::bearer(&self.realm, &self.service, &scope, error);
        let Some(authorization) = authorization else {
            return Decision::of_nobody(self.anonymous_pull, action, challenge(None));
        };
        let claims = match self.verify(authorization, now).await {
            Ok(claims) => claims,
            Err(Refusal::Unavailable(reason)) => return Decision::Unavailable { reason },
            Err(Refusal::Invalid(reason)) => {
                let challenge = challenge(Some("invalid_token"));
                return Decision::Denied { caller: Caller::default(), challenge, reason };
            }
        };
        let caller = Caller { name: claims.subject() };
        if action == Action::Any || claims.allow(&scope) {
            return Decision::Granted(caller);
        }
        let reason = "the token does not allow it".to_owned();
        Decision::Denied { caller, challenge: challenge(Some("insufficient_scope")), reason }
    }

    pub(super) fn problem(&self) -> Option<String> {
        self.keys.problem()
    }

    async fn verify(&self, authorization: &str, now: Timestamp) -> Result<Claims, Refusal> {
        let invalid = |reason: String| Refusal::Invalid(reason);
        let token = credentials(authorization, "bearer")
            .ok_or_else(|| invalid("the credentials are not a bearer token".to_owned()))?;
        let token = Jwt::parse(token).map_err(|it| invalid(format!("the token is malformed: {it}")))?;
        let keys = self.keys.find(&token, now).await.map_err(|it| match it {
            NoKey::Unavailable(reason) => Refusal::Unavailable(reason),
            NoKey::Unknown(reason) => Refusal::Invalid(reason),
        })?;
        let payload = keys.iter().find_map(|key| token.payload(key)).ok_or_else(|| {
            invalid("the signature of the token is not one of the key that it names".to_owned())
        })?;
        let claims =
            Claims::read(&payload).map_err(|it| invalid(format!("the claims are malformed: {it}")))?;
        claims.check(&self.issuer, &self.service, now).map_err(invalid)?;
        Ok(claims)
    }
}

//! What a token says, once it is known whose word it is.

use jiff::Timestamp;
use serde::Deserialize;

use super::super::challenge::Scope;
use crate::text::visible_prefix;

/// The claims that count; a member that stands twice is an error.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    #[serde(rename = "iss")]
    issuer: String,
    #[serde(rename = "sub")]
    subject: Option<String>,
    #[serde(rename = "aud")]
    audience: Audience,
    #[serde(rename = "exp")]
    expires: f64,
    #[serde(rename = "nbf")]
    not_before: Option<f64>,
    access: Option<Vec<Granted>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a name, or several")]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct Granted {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Vec<String>,
}

impl Claims {
    pub(super) fn read(payload: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(payload).map_err(|it| it.to_string())
    }

    /// Whether the token is of this issuer, for this server, and for now.
    pub(super) fn check(&self, issuer: &str, service: &str, now: Timestamp) -> Result<(), String> {
        if self.issuer != issuer {
            return Err(format!(
                "the token is of {:?}, not of {issuer:?}",
                visible_prefix(&self.issuer, SHOWN)
            ));
        }
        let ours = match &self.audience {
            Audience::One(name) => name == service,
            Audience::Several(names) => names.iter().any(|it| it == service),
        };
        if !ours {
            return Err(format!("the token is not for {service:?}"));
        }
        let now = now.as_duration().as_secs_f64();
        if self.expires + LEEWAY <= now {
            return Err("the token is expired".to_owned());
        }
        if self.not_before.is_some_and(|it| now < it - LEEWAY) {
            return Err("the token is not valid yet".to_owned());
        }
        Ok(())
    }

    /// Whether all of this is allowed. `*` is everything that can be done with a thing.
    pub(super) fn allow(&self, scope: &Scope<'_>) -> bool {
        let granted = self.access.as_deref().unwrap_or_default();
        let here = || granted.iter().filter(|it| it.kind == scope.kind && it.name == scope.name);
        scope
            .actions
            .iter()
            .all(|action| here().flat_map(|it| &it.actions).any(|it| it == action || it == "*"))
    }

    /// Whose token it is.
    pub(super) fn subject(&self) -> Option<String> {
        self.subject.clone().filter(|it| !it.is_empty())
    }
}

/// Clocks of two machines are seldom further apart; docker-registry allows as much.
const LEEWAY: f64 = 60.0;
/// As much of a wrong value as a message shows.
const SHOWN: usize = 100;

//! Who may do what: names and passwords, a registry's tokens, or nobody asked.
//!
//! An `Authorization` header comes in with what is to be done where, and a decision goes out. Knows
//! nothing of HTTP beyond the two headers, and nothing of what is stored.

mod challenge;
mod htpasswd;
mod rates;
mod rules;
mod token;
mod watched;

use std::fmt;

use jiff::Timestamp;

pub use self::rates::{RateLimits, RetryAfter, client_address};

use self::htpasswd::Htpasswd;
use self::token::Tokens;
use super::settings::AccessSettings;
use crate::image::Gun;
use crate::text::visible_prefix;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Saying who one is: `GET /v2/`.
    Any,
    /// Reading.
    Pull,
    /// Publishing, and getting the server's public keys.
    Push,
    /// Deleting a repository, and rotating the server's keys.
    Admin,
    /// Reading what happens in all repositories.
    Catalog,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The name; `None`: nobody said.
    pub name: Option<String>,
}

impl fmt::Display for Caller {
    /// The name, fit for a log; `-` without one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(&visible_prefix(name, SHOWN)),
            None => f.write_str("-"),
        }
    }
}

/// What comes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It may be done.
    Granted(Caller),
    /// Nobody said who they are: 401.
    Challenge(Challenge),
    /// What was said is not right, or not enough: 401 too, which Notary's clients understand and 403 not.
    /// Whoever sends wrong credentials (`caller.name` is `None`) is counted by [`RateLimits::failed`].
    Denied {
        /// Who asked, where that much is sure.
        caller: Caller,
        /// What the answer says.
        challenge: Challenge,
        /// Why, for the log.
        reason: String,
    },
    /// It cannot be found out now: 503.
    Unavailable {
        /// Why.
        reason: String,
    },
}

impl Decision {
    /// Of a request that says nothing of who sends it.
    fn of_nobody(anonymous_pull: bool, action: Action, challenge: Challenge) -> Self {
        if anonymous_pull && action == Action::Pull {
            Self::Granted(Caller::default())
        } else {
            Self::Challenge(challenge)
        }
    }
}

/// What a client is told that must say who it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Challenge {
    /// The header `Www-Authenticate`.
    pub header: String,
    /// The detail of the error, in Notary's form.
    pub detail: serde_json::Value,
}

/// Decides who may do what.
pub struct Access {
    way: Way,
}

enum Way {
    Htpasswd(Htpasswd),
    Open,
    Token(Tokens),
}

impl Access {
    /// What the settings say. Files are read once, to know that they can be; keys that are fetched may
    /// come later.
    pub async fn open(settings: &AccessSettings, now: Timestamp) -> Result<Self, AccessError> {
        let way = match settings {
            AccessSettings::None => Way::Open,
            AccessSettings::Htpasswd(settings) => Way::Htpasswd(Htpasswd::open(settings, now)?),
            AccessSettings::Token(settings) => Way::Token(Tokens::open(settings, now).await?),
        };
        Ok(Self { way })
    }

    /// Everybody may do everything.
    #[must_use]
    pub fn none() -> Self {
        Self { way: Way::Open }
    }

    /// Whether this may be done by whoever sends this `Authorization` header.
    pub async fn decide(
        &self,
        authorization: Option<&str>,
        gun: Option<&Gun>,
        action: Action,
        now: Timestamp,
    ) -> Decision {
        match &self.way {
            Way::Htpasswd(it) => it.decide(authorization, gun, action, now).await,
            Way::Open => Decision::Granted(Caller::default()),
            Way::Token(it) => it.decide(authorization, gun, action, now).await,
        }
    }

    /// What keeps credentials from being checked as the settings say, if anything does.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        match &self.way {
            Way::Htpasswd(it) => it.problem(),
            Way::Open => None,
            Way::Token(it) => it.problem(),
        }
    }
}

/// What follows the scheme in an `Authorization` header of that scheme.
fn credentials<'a>(authorization: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = authorization.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// Why nobody can be let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A file cannot be used.
    #[error("`{path}` cannot be used: {reason}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        reason: String,
    },
    /// The system gives no randomness.
    #[error("the system gives no random numbers: {reason}")]
    Random {
        /// What it said.
        reason: String,
    },
}

/// As much of a name as a log shows.
const SHOWN: usize = 100;

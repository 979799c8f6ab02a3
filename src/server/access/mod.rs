//! Who may do what: names and passwords, a registry's tokens, or nobody asked.
//!
//! An `Authorization` header comes in with what is to be done where, and a decision goes out. Knows
//! nothing of HTTP beyond the two headers, and nothing of what is stored.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::settings::{AccessSettings, Limits};
use crate::image::Gun;

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
            Some(name) => f.write_str(&crate::text::visible_prefix(name, 100)),
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

/// What a client is told that must say who it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Challenge {
    /// The header `Www-Authenticate`.
    pub header: String,
    /// The detail of the error, in Notary's form.
    pub detail: serde_json::Value,
}

/// Decides who may do what.
pub struct Access {}

impl Access {
    /// What the settings say. Files are read once, to know that they can be.
    pub async fn open(settings: &AccessSettings, now: Timestamp) -> Result<Self, AccessError> {
        let _ = (settings, now);
        todo!()
    }

    /// Everybody may do everything.
    #[must_use]
    pub fn none() -> Self {
        Self {}
    }

    /// Whether this may be done by whoever sends this `Authorization` header.
    pub async fn decide(
        &self,
        authorization: Option<&str>,
        gun: Option<&Gun>,
        action: Action,
        now: Timestamp,
    ) -> Decision {
        let _ = (authorization, gun, action, now);
        todo!()
    }

    /// What keeps credentials from being checked, if anything does.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        todo!()
    }
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
}

/// What clients may ask for in a while.
pub struct RateLimits {}

impl RateLimits {
    /// Limits as the settings have them.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let _ = limits;
        todo!()
    }

    /// Takes a request of this client, or says when the next will be. A caller with a name counts by
    /// it, whatever the address; one without counts by address, an IPv6 network of /64 as one.
    pub fn admit(&self, peer: IpAddr, caller: &Caller, now: Timestamp) -> Result<(), RetryAfter> {
        let _ = (peer, caller, now);
        todo!()
    }

    /// Whether this address may send credentials, or sent wrong ones too often: to be asked before
    /// [`Access::decide`].
    pub fn may_try(&self, peer: IpAddr, now: Timestamp) -> Result<(), RetryAfter> {
        let _ = (peer, now);
        todo!()
    }

    /// Remembers that wrong credentials came from this address.
    pub fn failed(&self, peer: IpAddr, now: Timestamp) {
        let _ = (peer, now);
        todo!()
    }
}

/// When to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub Duration);

/// Who asks, as far as addresses say: the peer, or whom a proxy of ours names in `X-Forwarded-For`.
#[must_use]
pub fn client_address(peer: IpAddr, forwarded: Option<&str>, proxies: &[super::settings::Network]) -> IpAddr {
    let _ = (forwarded, proxies);
    peer
}

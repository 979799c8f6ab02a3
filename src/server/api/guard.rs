//! Who asks, whether they may, and whether they asked too often.

use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::http::{Extensions, HeaderMap};

use super::Server;
use super::refusal::Refusal;
use crate::image::Gun;
use crate::server::access::{Action, Caller, Decision, client_address};

/// The other end of the connection that a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

impl Server {
    /// Where a request comes from: its connection's other end, or whom a proxy of ours names.
    pub(super) fn address(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
        let PeerAddress(peer) = *extensions.get()?;
        let proxies = &self.limits.proxies;
        if proxies.is_empty() {
            return Some(peer);
        }
        let values: Vec<&str> =
            headers.get_all(&FORWARDED_FOR).iter().filter_map(|it| it.to_str().ok()).collect();
        let forwarded = (!values.is_empty()).then(|| values.join(","));
        Some(client_address(peer, forwarded.as_deref(), proxies))
    }

    /// Lets whoever asks do this, or says why not; with who they are, as far as that is sure.
    pub(super) async fn admit(
        &self,
        address: Option<IpAddr>,
        headers: &HeaderMap,
        gun: Option<&Gun>,
        action: Action,
        caller: &mut Caller,
    ) -> Result<(), Refusal> {
        let now = (self.clock)();
        let authorization = headers.get(AUTHORIZATION).map(|it| it.to_str().unwrap_or(UNREADABLE));
        if let (Some(address), true) = (address, authorization.is_some()) {
            self.rates.may_try(address, now).map_err(Refusal::too_many)?;
        }
        match self.access.decide(authorization, gun, action, now).await {
            Decision::Granted(granted) => *caller = granted,
            Decision::Challenge(challenge) => return Err(Refusal::challenge(challenge)),
            Decision::Denied { caller: denied, challenge, reason } => {
                if let (Some(address), None) = (address, &denied.name) {
                    self.rates.failed(address, now);
                }
                *caller = denied;
                return Err(Refusal::denied(challenge, reason));
            }
            Decision::Unavailable { reason } => return Err(Refusal::busy(reason)),
        }
        match address {
            Some(address) => self.rates.admit(address, caller, now).map_err(Refusal::too_many),
            None => Ok(()),
        }
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// In the place of a header that is not text: no credentials look like this.
const UNREADABLE: &str = "?";

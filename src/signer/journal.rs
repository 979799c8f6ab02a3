//! What a signer tells its operator. Never what was signed, and nothing of a private key.

use std::fmt;
use std::sync::Arc;

use super::key_service::KeyServiceError;
use crate::image::Gun;
use crate::tuf::{KeyId, RoleName};

/// Where events go.
pub type Journal = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// One thing that happened. Its `Display` is a line of a log.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A connection did not come about.
    Connection {
        /// From where.
        address: std::net::SocketAddr,
        /// Why not.
        reason: String,
    },
    /// A key was made, or one that signed nothing yet was handed out.
    Created {
        /// Who asked.
        peer: &'a Peer,
        /// The key.
        key: &'a KeyId,
        /// The repository that it is for.
        gun: &'a Gun,
        /// The role that it is for.
        role: &'a RoleName,
    },
    /// A key was taken out of use.
    Deleted {
        /// Who asked.
        peer: &'a Peer,
        /// The key.
        key: &'a KeyId,
    },
    /// A request failed.
    Failed {
        /// Who asked.
        peer: &'a Peer,
        /// The method.
        method: &'static str,
        /// Why.
        reason: &'a KeyServiceError,
    },
    /// A request was no request.
    Refused {
        /// Who asked.
        peer: &'a Peer,
        /// The method.
        method: &'static str,
        /// Why.
        reason: &'a str,
    },
    /// Something was signed.
    Signed {
        /// Who asked.
        peer: &'a Peer,
        /// The key.
        key: &'a KeyId,
        /// How long the text was.
        length: usize,
    },
}

/// Who is at the other end: an address, and the certificate that it showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer(Arc<str>);

impl Peer {
    /// A peer of this address, whose certificate has this SHA-256.
    #[must_use]
    pub fn new(address: std::net::SocketAddr, certificate: &[u8; 32]) -> Self {
        let shown: String = hex::encode(certificate).chars().take(FINGERPRINT_DIGITS).collect();
        Self(format!("{address} with certificate {shown}").into())
    }

    /// Somebody that a connection says nothing of.
    #[must_use]
    pub fn unknown() -> Self {
        Self("somebody".into())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection { address, reason } => write!(f, "no connection from {address}: {reason}"),
            Self::Created { peer, key, gun, role } => {
                write!(f, "handed out {role} key {key} of `{gun}` to {peer}")
            }
            Self::Deleted { peer, key } => write!(f, "deleted key {key} for {peer}"),
            Self::Failed { peer, method, reason } => write!(f, "{method} for {peer} failed: {reason}"),
            Self::Refused { peer, method, reason } => write!(f, "{method} for {peer} refused: {reason}"),
            Self::Signed { peer, key, length } => {
                write!(f, "signed {length} bytes with key {key} for {peer}")
            }
        }
    }
}

/// Enough to tell an operator's certificates apart.
const FINGERPRINT_DIGITS: usize = 16;

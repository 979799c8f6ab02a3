//! Why a build ends here, and how that is told over the wire.

use crate::buildkit::audit::AuditError;
use crate::buildkit::proto::rpc::{Detail, Status};
use crate::buildkit::{Code, GatewayError};
use crate::frontend::options::OptionError;
use crate::frontend::remote::RemoteError;
use crate::policy::PolicyError;

/// The end of a build that is none.
#[derive(Debug, thiserror::Error)]
pub enum FrontendError {
    /// An option that cannot be read, or brings in what cannot be verified.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A remote context that cannot be read.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A call to the daemon failed.
    #[error("{doing}: {source}")]
    Gateway {
        /// What it was for.
        doing: String,
        /// What failed.
        source: GatewayError,
    },
    /// The nested build ended with an error of its own, which is passed on as it came.
    #[error("{}", .0.message)]
    Nested(Status),
    /// The Dockerfile cannot be read.
    #[error("{message}")]
    Dockerfile {
        /// The whole text, with the place in the file.
        message: String,
        /// The place, for clients that show it.
        details: Vec<Detail>,
    },
    /// The gate refused.
    #[error("{message}")]
    Refused {
        /// The whole text, one refusal after the other.
        message: String,
        /// The places, for clients that show them.
        details: Vec<Detail>,
    },
    /// The policy cannot be read.
    #[error("the policy cannot be used: {0}")]
    Policy(#[from] PolicyError),
    /// Nothing is known of the repositories' trust data, since the reader could not be made.
    #[error("trust data cannot be read: {0}")]
    Trust(String),
    /// The graph that came back is not what the gate let in.
    #[error("refused: {part} of the build: {source}")]
    Audit {
        /// Which result: of which platform, or which attestation.
        part: String,
        /// What is wrong with it.
        source: AuditError,
    },
    /// The nested build's answer has a form that cannot be audited.
    #[error("refused: {part} of the build cannot be audited: {reason}")]
    Unauditable {
        /// Which result.
        part: String,
        /// Why.
        reason: &'static str,
    },
    /// This builder cannot do what the build needs.
    #[error("{0}")]
    Unsupported(String),
}

impl FrontendError {
    /// A failed call, and what it was for.
    pub fn gateway(doing: impl Into<String>) -> impl FnOnce(GatewayError) -> Self {
        let doing = doing.into();
        move |source| Self::Gateway { doing, source }
    }

    /// The error as it is returned to the user.
    #[must_use]
    pub fn into_status(self) -> Status {
        let message = self.to_string();
        let details = match self {
            Self::Nested(status) => return status,
            Self::Gateway { source, .. } => {
                let status = source.into_status();
                return Status { message, ..status };
            }
            Self::Dockerfile { details, .. } | Self::Refused { details, .. } => details,
            Self::Audit { .. }
            | Self::Option(_)
            | Self::Policy(_)
            | Self::Remote(_)
            | Self::Trust(_)
            | Self::Unauditable { .. }
            | Self::Unsupported(_) => Vec::new(),
        };
        Status { code: Code::Unknown.number(), message, details }
    }
}

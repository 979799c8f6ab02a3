//! What can go wrong with an engine, by who is at fault.

/// One reason why the engine did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Docker's configuration names an engine in a way that can't be followed.
    #[error("{place}: {reason}")]
    Configuration {
        /// The file or variable.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there.
    #[error("no docker engine answers at `{address}`: {reason}")]
    Connect {
        /// Where.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The socket is there, and we may not use it.
    #[error("permission denied at the docker engine's socket `{address}`")]
    Permission {
        /// Where.
        address: String,
    },
    /// The connection ended before the work did.
    #[error("the docker engine at `{address}` closed the connection midway: {reason}")]
    Closed {
        /// Where.
        address: String,
        /// What the connection said.
        reason: String,
    },
    /// The engine did nothing for too long.
    #[error("the docker engine at `{address}` was silent for {seconds} seconds")]
    Timeout {
        /// Where.
        address: String,
        /// How long it was waited.
        seconds: u64,
    },
    /// The engine refused or could not do it; the words are its own.
    #[error("{message}")]
    Refused {
        /// The status that it answered with, where it did.
        status: Option<u16>,
        /// What it said, made safe to print.
        message: String,
    },
    /// The engine has no such image.
    #[error("the docker engine has no image `{name}`")]
    NoImage {
        /// What was asked for.
        name: String,
    },
    /// What came back is not what docker's API has.
    #[error("the docker engine at `{address}` gave an answer that can't be used: {reason}")]
    Protocol {
        /// Where.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What the engine reports could not be shown.
    #[error("the progress could not be shown: {reason}")]
    Output {
        /// What the terminal or file said.
        reason: String,
    },
}

impl EngineError {
    /// What can be done about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Connect { .. } => {
                "start the engine, or name another one: DOCKER_HOST=…, or docker context use NAME"
            }
            Self::Permission { .. } => {
                "add yourself to the group that owns the socket (usually `docker`) and log in again, or use sudo"
            }
            Self::Closed { .. } => {
                "see the engine's log; what was pushed so far stays in the registry, unsigned"
            }
            Self::NoImage { .. } => "build or pull it first; docker image ls lists what the engine has",
            Self::Configuration { .. } => "docker context ls lists the engines that docker knows",
            Self::Refused { message, .. } => return refusal_help(message),
            Self::Timeout { .. } | Self::Protocol { .. } | Self::Output { .. } => return None,
        };
        Some(help.to_owned())
    }
}

/// What engines say of registries is text only; these words have not changed since docker 1.10.
fn refusal_help(message: &str) -> Option<String> {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["toomanyrequests", "too many requests", "rate limit"]) {
        Some("wait, or docker login: registries let accounts do more".to_owned())
    } else if says(&["unauthorized", "denied", "authentication required", "no basic auth credentials"]) {
        Some("docker login, with an account that may do this".to_owned())
    } else if says(&["server gave http response to https client"]) {
        Some("the registry has no TLS: list it in the engine's insecure-registries".to_owned())
    } else {
        None
    }
}

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
    #[error("the docker engine at `{address}` did not answer within {seconds} seconds")]
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
        todo!()
    }
}

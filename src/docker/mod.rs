//! The user's engine, and docker's own command.
//!
//! The engine's API does what needs no terminal: push, pull, tag, look at images. Docker's command
//! does the rest (`run`, `create`, `build`), with its arguments read here just far enough to know
//! which one names the image. Nothing here decides about trust, and nothing is believed because an
//! engine said it: what a push answers is parsed and validated.

pub mod arguments;
mod command;
mod connection;
mod endpoint;
mod engine;
mod error;
mod image;
mod message;
mod progress;
mod signals;
#[cfg(test)]
mod tests;

pub use command::{CommandError, DockerCommand};
pub use endpoint::{Endpoint, EngineOptions};
pub use engine::{Engine, Pushed, PushedBy, Transfer, Version};
pub use error::EngineError;
pub use image::{Image, LocalTag};
pub use message::{Counter, Message};
pub use progress::{PlainProgress, Progress, QuietProgress, TerminalProgress};

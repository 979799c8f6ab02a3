//! One bounded HTTP client: TLS roots, proxies, limits, the token dance, docker's credentials.
//!
//! A URL comes in, a whole and bounded body goes out, or an error that names the URL and the
//! reason. Everything a server can do wrong ends here: it can be slow, endless, cut off, redirect
//! to elsewhere, ask for credentials in odd ways. The module deliberately does not know what the
//! bodies mean; nothing in it looks at trust data.
//!
//! Only `https` is spoken, on loopback too, except where a caller allows `http` for one request: a
//! registry without TLS. There is no way to switch verification off: a server with a certificate
//! of its own gets its CA file into `tls/<host>` (see [`HttpOptions`]).

mod auth;
mod authorities;
mod challenge;
mod client;
mod credentials;
mod error;
mod file;
mod options;
mod secret;
mod tls;
mod transport;

pub use challenge::{Challenge, ChallengeError, parse_challenges};
pub use client::{Access, HttpClient, Request, Response, Upload, Verb};
pub(crate) use error::shown;
pub use error::{HttpError, Problem, Waiting};
pub(crate) use file::read_bounded;
pub use options::{HttpOptions, Proxies, Timeouts};
pub use secret::Secret;

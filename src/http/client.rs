//! The client itself: redirects and credentials around the transport.

use url::Url;

use super::{HttpError, HttpOptions};

/// An HTTPS client; clones share connections, tokens and limits.
#[derive(Clone, Debug)]
pub struct HttpClient {}

impl HttpClient {
    /// A client with these options. It connects to nothing yet.
    pub fn new(_options: HttpOptions) -> Result<Self, HttpError> {
        todo!()
    }

    /// The body at `url`, of at most `limit` bytes.
    ///
    /// Where the server asks for credentials, `access` says whose, and for what; without it such a
    /// server is an error.
    pub async fn get(
        &self,
        _url: &Url,
        _limit: usize,
        _access: Option<&Access>,
    ) -> Result<Response, HttpError> {
        todo!()
    }
}

/// Whose credentials a request may use, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// The registry whose entry in docker's configuration counts: `docker.io`, `registry.example:5000`.
    pub registry: String,
    /// What a token is asked for: `repository:<name>:pull`.
    pub scope: String,
}

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Where it came from in the end.
    pub url: Url,
    /// The `Content-Type`, or empty.
    pub content_type: String,
    /// The whole body.
    pub body: Vec<u8>,
    /// How many requests it took, with redirects and tokens.
    pub requests: u32,
}

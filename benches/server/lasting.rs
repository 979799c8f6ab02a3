//! A connection that is opened anew when the server ends it, which is counted.
//!
//! A notary-server under load ends connections now and then; what it does to one client must not end a
//! measurement of all.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{bail, ensure};
use bytes::Bytes;
use hyper::{Method, StatusCode};

use super::client::{Connection, Dialer, form};

/// A connection for as long as it is needed.
pub(crate) struct Lasting<'a> {
    dialer: &'a Dialer,
    address: SocketAddr,
    connection: Option<Connection>,
    /// How often the server ended it.
    pub(crate) dropped: u32,
}

impl<'a> Lasting<'a> {
    pub(crate) async fn dial(dialer: &'a Dialer, address: SocketAddr) -> anyhow::Result<Self> {
        let connection = Some(dialer.dial(address).await?);
        Ok(Self { dialer, address, connection, dropped: 0 })
    }

    /// The file or key at a path, which must be there, however often it takes.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Bytes> {
        for _ in 0..ATTEMPTS {
            if let Some((status, body)) = self.attempt(Method::GET, path, None).await {
                ensure!(status == StatusCode::OK, "{path}: {status} {}", String::from_utf8_lossy(&body));
                return Ok(body);
            }
        }
        bail!("{path}: the server ended {ATTEMPTS} connections, one after the other")
    }

    /// Publishes these files, once: nothing comes back where the server ended the connection instead.
    pub(crate) async fn post(&mut self, path: &str, files: &[(&str, &[u8])]) -> Option<(StatusCode, Bytes)> {
        self.attempt(Method::POST, path, Some(form(files))).await
    }

    async fn attempt(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Option<(StatusCode, Bytes)> {
        if self.connection.is_none() {
            self.connection = self.dialer.dial(self.address).await.ok();
        }
        if let Some(connection) = &mut self.connection
            && let Ok(answer) = connection.send(method, path, body).await
        {
            return Some(answer);
        }
        self.connection = None;
        self.dropped += 1;
        tokio::time::sleep(PAUSE).await;
        None
    }
}

/// A server that ends so many connections one after the other is not there any more.
pub(crate) const ATTEMPTS: u32 = 100;
/// A server that ends connections has too much to do: this is its time, and counts as such.
const PAUSE: Duration = Duration::from_millis(10);

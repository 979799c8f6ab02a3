//! One request to a registry of our own, on loopback and without TLS.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::{HOST, HeaderMap, HeaderName};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What came back; the body is not of interest.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// Sends it, and reads the answer to its end.
pub(super) async fn send(
    address: &str,
    method: Method,
    path: &str,
    header: Option<(HeaderName, &str)>,
    body: String,
) -> Result<Reply, String> {
    let exchange = async {
        let socket = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let connection = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await;
        let (mut sender, connection) = connection.map_err(|error| error.to_string())?;
        let mut request = Request::builder().method(method).uri(path).header(HOST, address);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|error| error.to_string())?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            drain(answer.into_body()).await?;
            Ok(Reply { status, headers })
        };
        tokio::select! {
            answer = answer => answer,
            Err(error) = connection => Err(error.to_string()),
        }
    };
    tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| "it does not answer".to_owned())?
}

async fn drain(mut body: Incoming) -> Result<(), String> {
    let mut read = 0;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        read += frame.map_err(|error| error.to_string())?.data_ref().map_or(0, bytes::Bytes::len);
        if BODY_LIMIT < read {
            return Err("its answer does not end".to_owned());
        }
    }
    Ok(())
}

/// A registry on the same machine answers at once, or is not well.
const PATIENCE: Duration = Duration::from_secs(20);
/// Answers to pushes are empty, and errors short.
const BODY_LIMIT: usize = 1 << 20;

//! The client of `BuildKit`'s gateway: every call that a frontend makes.
//!
//! Answers are bounded in size; what they mean is for the caller to judge. An error of the
//! daemon keeps the status it came with, details included.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::buildkit::proto::gateway::llb_bridge_client::LlbBridgeClient;
use crate::buildkit::proto::gateway::{
    FileRange, InputsRequest, PingRequest, ReadFileRequest, Ref, ResolveImageConfigRequest,
    Result as SolveResult, ReturnRequest, SolveRequest, Stat, StatFileRequest, WarnRequest,
};
use crate::buildkit::proto::{pb, rpc};
use crate::buildkit::{Capabilities, Code, GatewayCapability};
use crate::buildkit::{pipes::StandardPipes, status::status_from};
use crate::image::{Digest, Platform};

/// A connection to the daemon that started this process as a frontend.
#[derive(Clone, Debug)]
pub struct Gateway {
    client: LlbBridgeClient<Channel>,
    capabilities: Arc<Capabilities>,
}

/// What the daemon knows of an image's configuration.
#[derive(Clone, Debug)]
pub struct ImageConfig {
    /// The digest that the reference stands for; none where a local image was meant.
    pub digest: Option<Digest>,
    /// The configuration, as OCI's JSON.
    pub config: Vec<u8>,
}

impl Gateway {
    /// Connects over file descriptors 0 and 1.
    pub async fn connect_standard_pipes() -> Result<Self, GatewayError> {
        let pipes = StandardPipes::open().map_err(GatewayError::NoPipes)?;
        Self::connect(pipes).await
    }

    /// Connects over any stream and asks for the daemon's capabilities.
    pub async fn connect<S>(stream: S) -> Result<Self, GatewayError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = Arc::new(Mutex::new(Some(stream)));
        let connector = service_fn(move |_: Uri| {
            // There is one stream: a second connection can only mean that the daemon is gone.
            let stream = stream.lock().ok().and_then(|mut stream| stream.take());
            std::future::ready(match stream {
                Some(stream) => Ok(TokioIo::new(stream)),
                None => Err(io::Error::new(io::ErrorKind::NotConnected, "the builder closed the connection")),
            })
        });
        let channel = Endpoint::from_static(AUTHORITY)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .connect_with_connector(connector)
            .await
            .map_err(|error| GatewayError::Connection { reason: error.to_string() })?;
        let mut client = LlbBridgeClient::new(channel)
            .max_decoding_message_size(RESPONSE_LIMIT)
            .max_encoding_message_size(RESPONSE_LIMIT);
        let pong = tokio::time::timeout(PING_TIMEOUT, client.ping(PingRequest {}))
            .await
            .map_err(|_| GatewayError::Connection { reason: "no answer to the first call".to_owned() })?
            .map_err(|status| GatewayError::daemon("Ping", &status))?
            .into_inner();
        Ok(Self { client, capabilities: Arc::new(Capabilities::from_pong(&pong)) })
    }

    /// What the daemon can do.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Solves a definition, or runs a nested frontend. Asks for references with their
    /// definitions, whatever the request says.
    pub async fn solve(&self, mut request: SolveRequest) -> Result<SolveResult, GatewayError> {
        request.allow_result_return = true;
        request.allow_result_array_ref = true;
        self.check_size("Solve", request.encoded_len())?;
        let response = self
            .client
            .clone()
            .solve(request)
            .await
            .map_err(|status| GatewayError::daemon("Solve", &status))?
            .into_inner();
        response.result.ok_or(GatewayError::Answer { call: "Solve", reason: "no result came back" })
    }

    /// Solves a definition to its one reference; `None` is the empty result.
    pub async fn solve_definition(&self, definition: Vec<u8>) -> Result<Option<Ref>, GatewayError> {
        use crate::buildkit::proto::gateway::result::Result as Kind;
        let result = self.solve(SolveRequest { definition, ..SolveRequest::default() }).await?;
        match result.result {
            None => Ok(None),
            Some(Kind::Ref(reference)) if reference.id.is_empty() => Ok(None),
            Some(Kind::Ref(reference)) => Ok(Some(reference)),
            Some(Kind::Refs(_) | Kind::RefDeprecated(_) | Kind::RefsDeprecated(_)) => {
                Err(GatewayError::Answer {
                    call: "Solve",
                    reason: "a definition gave more than one reference",
                })
            }
        }
    }

    /// Reads a file of a reference, refusing one of more than `limit` bytes.
    pub async fn read_file(
        &self,
        reference: &Ref,
        path: &str,
        limit: usize,
    ) -> Result<Vec<u8>, GatewayError> {
        // one byte more than the limit tells a file that fits from one that was cut
        let asked = limit.saturating_add(1);
        let bytes = self.read_file_start(reference, path, asked).await?;
        if bytes.len() > limit {
            return Err(GatewayError::FileTooLarge { path: path.to_owned(), limit });
        }
        Ok(bytes)
    }

    /// Reads at most `length` bytes from the start of a file.
    pub async fn read_file_start(
        &self,
        reference: &Ref,
        path: &str,
        length: usize,
    ) -> Result<Vec<u8>, GatewayError> {
        let range = FileRange { offset: 0, length: i64::try_from(length).unwrap_or(i64::MAX) };
        let request =
            ReadFileRequest { r#ref: reference.id.clone(), file_path: path.to_owned(), range: Some(range) };
        let response = self.client.clone().read_file(request).await;
        Ok(response.map_err(|status| GatewayError::daemon("ReadFile", &status))?.into_inner().data)
    }

    /// What a path of a reference is.
    pub async fn stat_file(&self, reference: &Ref, path: &str) -> Result<Stat, GatewayError> {
        let request = StatFileRequest { r#ref: reference.id.clone(), path: path.to_owned() };
        let response = self.client.clone().stat_file(request).await;
        let response = response.map_err(|status| GatewayError::daemon("StatFile", &status))?.into_inner();
        response.stat.ok_or(GatewayError::Answer { call: "StatFile", reason: "no file status came back" })
    }

    /// Fetches the configuration of an image.
    pub async fn resolve_image_config(
        &self,
        reference: &str,
        platform: &Platform,
        resolve_mode: &str,
        log_name: &str,
    ) -> Result<ImageConfig, GatewayError> {
        let request = ResolveImageConfigRequest {
            r#ref: reference.to_owned(),
            platform: Some(pb::Platform {
                architecture: platform.architecture.clone(),
                os: platform.os.clone(),
                variant: platform.variant.clone(),
                ..pb::Platform::default()
            }),
            resolve_mode: resolve_mode.to_owned(),
            log_name: log_name.to_owned(),
            source_policies: Vec::new(),
        };
        let response = self.client.clone().resolve_image_config(request).await;
        let response =
            response.map_err(|status| GatewayError::daemon("ResolveImageConfig", &status))?.into_inner();
        let digest = match response.digest.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| GatewayError::Answer {
                call: "ResolveImageConfig",
                reason: "the digest that came back is none",
            })?),
        };
        Ok(ImageConfig { digest, config: response.config })
    }

    /// The definitions that the client passed in, by name.
    pub async fn inputs(&self) -> Result<std::collections::BTreeMap<String, Vec<u8>>, GatewayError> {
        if !self.capabilities.has(GatewayCapability::FrontendInputs) {
            return Ok(std::collections::BTreeMap::new());
        }
        let response = self.client.clone().inputs(InputsRequest {}).await;
        Ok(response.map_err(|status| GatewayError::daemon("Inputs", &status))?.into_inner().definitions)
    }

    /// Shows a warning with the build's output. Does nothing where the daemon cannot.
    pub async fn warn(&self, warning: WarnRequest) -> Result<(), GatewayError> {
        if !self.capabilities.has(GatewayCapability::Warnings) {
            return Ok(());
        }
        let response = self.client.clone().warn(warning).await;
        response.map_err(|status| GatewayError::daemon("Warn", &status)).map(|_| ())
    }

    /// Ends the build with a result. After this the process has to exit.
    pub async fn return_result(&self, result: SolveResult) -> Result<(), GatewayError> {
        let request = ReturnRequest { result: Some(result), error: None };
        self.check_size("Return", request.encoded_len())?;
        self.finish(request).await
    }

    /// Ends the build with an error. After this the process has to exit.
    pub async fn return_error(&self, error: rpc::Status) -> Result<(), GatewayError> {
        self.finish(ReturnRequest { result: None, error: Some(error) }).await
    }

    async fn finish(&self, request: ReturnRequest) -> Result<(), GatewayError> {
        let response = self.client.clone().r#return(request).await;
        response.map_err(|status| GatewayError::daemon("Return", &status)).map(|_| ())
    }

    fn check_size(&self, call: &'static str, size: usize) -> Result<(), GatewayError> {
        let limit = self.capabilities.request_limit();
        if size <= limit { Ok(()) } else { Err(GatewayError::RequestTooLarge { call, size, limit }) }
    }
}

/// Why a call to the daemon gave nothing to work with.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Standard input and output are no pipes, so nothing like `BuildKit` started this.
    #[error("this is a BuildKit frontend: BuildKit runs it, over pipes on standard input and output")]
    NoPipes(#[source] io::Error),
    /// The connection could not be made.
    #[error("no connection to the builder: {reason}")]
    Connection {
        /// What went wrong.
        reason: String,
    },
    /// The daemon answered with an error.
    #[error("{}", status.message)]
    Daemon {
        /// The call that failed.
        call: &'static str,
        /// The error as it came, details included.
        status: rpc::Status,
    },
    /// The daemon's answer is not one.
    #[error("the builder's answer to {call} cannot be used: {reason}")]
    Answer {
        /// The call.
        call: &'static str,
        /// What is wrong with the answer.
        reason: &'static str,
    },
    /// The request is larger than what the daemon takes.
    #[error("{call} would send {size} bytes, and this builder takes at most {limit}")]
    RequestTooLarge {
        /// The call.
        call: &'static str,
        /// The request's size in bytes.
        size: usize,
        /// What the daemon takes.
        limit: usize,
    },
    /// A file is larger than what is read of it.
    #[error("`{path}` is larger than {limit} bytes")]
    FileTooLarge {
        /// The file.
        path: String,
        /// The most that is read.
        limit: usize,
    },
}

impl GatewayError {
    fn daemon(call: &'static str, status: &tonic::Status) -> Self {
        Self::Daemon { call, status: status_from(status) }
    }

    /// The error as it is returned to the user; an error of the daemon keeps its details.
    #[must_use]
    pub fn into_status(self) -> rpc::Status {
        let code = match &self {
            Self::Daemon { status, .. } => return status.clone(),
            Self::NoPipes(_) | Self::Connection { .. } => Code::Unavailable,
            Self::Answer { .. } => Code::Internal,
            Self::RequestTooLarge { .. } | Self::FileTooLarge { .. } => Code::Unknown,
        };
        rpc::Status { code: code.number(), message: self.to_string(), details: Vec::new() }
    }
}

/// The pipes have no name; `BuildKit`'s own client says this.
const AUTHORITY: &str = "http://localhost";

/// The daemon is on the other end of a pipe and answers at once, or is not there.
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// Definitions of large builds and files of a context come in one message each; daemons
/// send at most 16 MiB from 0.14 on and anything before, so this bounds the old ones.
const RESPONSE_LIMIT: usize = 64 * 1024 * 1024;

/// One large file should not wait for window updates.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

//! A daemon in memory, for tests: it answers as a table says and keeps what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::DuplexStream;
use tonic::{Request, Response, Status};

use crate::buildkit::proto::apicaps::ApiCap;
use crate::buildkit::proto::gateway::llb_bridge_server::{LlbBridge, LlbBridgeServer};
use crate::buildkit::proto::gateway::{
    InputsRequest, InputsResponse, PingRequest, PongResponse, ReadDirRequest, ReadDirResponse,
    ReadFileRequest, ReadFileResponse, ResolveImageConfigRequest, ResolveImageConfigResponse,
    Result as SolveResult, ReturnRequest, ReturnResponse, SolveRequest, SolveResponse, StatFileRequest,
    StatFileResponse, WarnRequest, WarnResponse, WorkerRecord,
};
use crate::buildkit::proto::pb;

/// How the daemon answers a `Solve` of a nested frontend.
type NestedAnswer = dyn Fn(&SolveRequest) -> Result<SolveResult, Status> + Send + Sync;

/// What the daemon knows, and what it was asked.
pub(crate) struct State {
    pub(crate) gateway_caps: Vec<&'static str>,
    pub(crate) llb_caps: Vec<&'static str>,
    /// Files by the identifier of the source that holds them: `local://dockerfile` → path → bytes.
    pub(crate) files: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Image configurations by reference.
    pub(crate) images: BTreeMap<String, (String, String)>,
    pub(crate) inputs: BTreeMap<String, Vec<u8>>,
    pub(crate) nested: Arc<NestedAnswer>,
    /// Whether a solve under a policy comes back with another graph.
    pub(crate) changes_graphs: bool,
    pub(crate) solves: Vec<SolveRequest>,
    pub(crate) warnings: Vec<WarnRequest>,
    pub(crate) resolved: Vec<ResolveImageConfigRequest>,
    pub(crate) returned: Option<ReturnRequest>,
}

/// The daemon. Clones share one state.
#[derive(Clone)]
pub(crate) struct Daemon(Arc<Mutex<State>>);

impl Daemon {
    /// A daemon as current ones are.
    pub(crate) fn current() -> Self {
        let mut daemon = State::with_caps(&[
            "solve.base",
            "resolveimage",
            "readfile",
            "return",
            "returnmap",
            "proto.refarray",
            "frontend.inputs",
            "gateway.warnings",
            "reference.attestations",
        ]);
        daemon.llb_caps = vec![
            "source.image",
            "source.local",
            "file.base",
            "source.policy",
            "file.copy.alwaysreplaceexistingdestpaths",
        ];
        Self(Arc::new(Mutex::new(daemon)))
    }

    /// A daemon as 0.8 is: no warnings, no policies, no attestations.
    pub(crate) fn old() -> Self {
        let mut daemon = State::with_caps(&[
            "solve.base",
            "resolveimage",
            "readfile",
            "return",
            "returnmap",
            "proto.refarray",
            "frontend.inputs",
        ]);
        daemon.llb_caps = vec!["source.image", "source.local", "file.base"];
        Self(Arc::new(Mutex::new(daemon)))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Serves one connection; the other end is the frontend's.
    pub(crate) fn serve(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let service = LlbBridgeServer::new(self.clone()).max_decoding_message_size(usize::MAX);
        let incoming = futures_util::stream::once(async move { Ok::<_, std::io::Error>(ours) });
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        theirs
    }
}

impl State {
    fn with_caps(gateway_caps: &[&'static str]) -> Self {
        Self {
            gateway_caps: gateway_caps.to_vec(),
            llb_caps: Vec::new(),
            files: BTreeMap::new(),
            images: BTreeMap::new(),
            inputs: BTreeMap::new(),
            nested: Arc::new(|_| Err(Status::unimplemented("no nested answer"))),
            changes_graphs: false,
            solves: Vec::new(),
            warnings: Vec::new(),
            resolved: Vec::new(),
            returned: None,
        }
    }
}

/// The content of a file that an operation makes.
fn made_file(op: &[u8], path: &str) -> Option<Vec<u8>> {
    use prost::Message;
    let Some(pb::op::Op::File(file)) = pb::Op::decode(op).ok()?.op else { return None };
    file.actions.into_iter().find_map(|action| match action.action {
        Some(pb::file_action::Action::Mkfile(made)) if made.path.trim_start_matches('/') == path => {
            Some(made.data)
        }
        _ => None,
    })
}

/// The content of a file in a definition of made files.
pub(crate) fn file_in(definition: &[u8], path: &str) -> Option<Vec<u8>> {
    use prost::Message;
    let definition = pb::Definition::decode(definition).ok()?;
    definition.def.iter().find_map(|op| made_file(op, path))
}

fn caps(ids: &[&'static str]) -> Vec<ApiCap> {
    ids.iter().map(|id| ApiCap { id: (*id).to_owned(), enabled: true, ..ApiCap::default() }).collect()
}

#[tonic::async_trait]
impl LlbBridge for Daemon {
    async fn ping(&self, _: Request<PingRequest>) -> Result<Response<PongResponse>, Status> {
        let state = self.state();
        let platform =
            pb::Platform { os: "linux".into(), architecture: "amd64".into(), ..pb::Platform::default() };
        let worker = WorkerRecord { id: "w".into(), platforms: vec![platform], ..WorkerRecord::default() };
        Ok(Response::new(PongResponse {
            frontend_api_caps: caps(&state.gateway_caps),
            llb_caps: caps(&state.llb_caps),
            workers: vec![worker],
        }))
    }

    async fn resolve_image_config(
        &self,
        request: Request<ResolveImageConfigRequest>,
    ) -> Result<Response<ResolveImageConfigResponse>, Status> {
        let mut state = self.state();
        let request = request.into_inner();
        state.resolved.push(request.clone());
        let (digest, config) = state
            .images
            .get(&request.r#ref)
            .cloned()
            .ok_or_else(|| Status::not_found(format!("{}: not found", request.r#ref)))?;
        Ok(Response::new(ResolveImageConfigResponse {
            digest,
            config: config.into_bytes(),
            r#ref: String::new(),
        }))
    }

    async fn solve(&self, request: Request<SolveRequest>) -> Result<Response<SolveResponse>, Status> {
        use crate::buildkit::proto::gateway::{Ref, result::Result as Kind};
        let request = request.into_inner();
        let (nested, id, changes) = {
            let mut state = self.state();
            state.solves.push(request.clone());
            (
                state.nested.clone(),
                state.solves.len(),
                state.changes_graphs && !request.source_policies.is_empty(),
            )
        };
        let result = if request.frontend.is_empty() {
            let mut reference = Ref { id: format!("ref-{id}"), def: request.definition };
            if changes {
                let extra = pb::Definition { def: vec![b"extra".to_vec()], ..pb::Definition::default() };
                reference.def.extend(prost::Message::encode_to_vec(&extra));
            }
            SolveResult { result: Some(Kind::Ref(reference)), ..SolveResult::default() }
        } else {
            nested(&request)?
        };
        Ok(Response::new(SolveResponse { r#ref: String::new(), result: Some(result) }))
    }

    async fn read_file(
        &self,
        request: Request<ReadFileRequest>,
    ) -> Result<Response<ReadFileResponse>, Status> {
        use prost::Message;
        let request = request.into_inner();
        let state = self.state();
        let missing = || Status::unknown(format!("open {}: no such file or directory", request.file_path));
        let index: usize =
            request.r#ref.strip_prefix("ref-").and_then(|id| id.parse().ok()).ok_or_else(missing)?;
        let solve = state.solves.get(index - 1).ok_or_else(missing)?;
        let definition = pb::Definition::decode(solve.definition.as_slice()).map_err(|_| missing())?;
        let path = request.file_path.trim_start_matches('/');
        let made = definition.def.iter().find_map(|op| made_file(op, path));
        let identifiers =
            definition.def.iter().filter_map(|op| match pb::Op::decode(op.as_slice()).ok()?.op? {
                pb::op::Op::Source(source) => Some(source.identifier),
                _ => None,
            });
        let mut identifiers = identifiers;
        let mut data = identifiers
            .find_map(|identifier| state.files.get(&identifier)?.get(path).cloned())
            .or(made)
            .ok_or_else(missing)?;
        if let Some(range) = request.range {
            data.truncate(usize::try_from(range.length).unwrap_or(usize::MAX));
        }
        Ok(Response::new(ReadFileResponse { data }))
    }

    async fn read_dir(&self, _: Request<ReadDirRequest>) -> Result<Response<ReadDirResponse>, Status> {
        Err(Status::unimplemented("read_dir"))
    }

    async fn stat_file(&self, _: Request<StatFileRequest>) -> Result<Response<StatFileResponse>, Status> {
        Err(Status::unimplemented("stat_file"))
    }

    async fn inputs(&self, _: Request<InputsRequest>) -> Result<Response<InputsResponse>, Status> {
        Ok(Response::new(InputsResponse { definitions: self.state().inputs.clone() }))
    }

    async fn r#return(&self, request: Request<ReturnRequest>) -> Result<Response<ReturnResponse>, Status> {
        self.state().returned = Some(request.into_inner());
        Ok(Response::new(ReturnResponse {}))
    }

    async fn warn(&self, request: Request<WarnRequest>) -> Result<Response<WarnResponse>, Status> {
        self.state().warnings.push(request.into_inner());
        Ok(Response::new(WarnResponse {}))
    }
}

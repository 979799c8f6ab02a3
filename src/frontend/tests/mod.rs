//! Whole builds against a daemon in memory: what is sent to it, and what comes back to the user.

mod contexts;
mod enforcement;
mod options;
mod refusals;
mod results;

use std::sync::Arc;

use jiff::Timestamp;
use prost::Message;

use super::options::Options;
use super::{FrontendError, Surroundings, serve};
use crate::buildkit::Gateway;
use crate::buildkit::fake::{Daemon, file_in};
use crate::buildkit::llb::operation_digest;
use crate::buildkit::proto::gateway::result::Result as Kind;
use crate::buildkit::proto::gateway::{Ref, RefMap, Result as SolveResult, ReturnRequest, SolveRequest};
use crate::buildkit::proto::pb;
use crate::buildkit::proto::rpc::Status;
use crate::gate::testing::TrustTable;
use crate::image::Digest;
use crate::policy::{Policy, no_files};
use crate::trust::TrustSource;

/// The digest that stands for a letter.
fn digest(letter: char) -> Digest {
    format!("sha256:{}", letter.to_string().repeat(64)).parse().unwrap()
}

/// Policy and trust data of a test.
struct Stage {
    policy: Option<String>,
    trust: Arc<TrustTable>,
}

impl Surroundings for Stage {
    fn policy(&self) -> Result<Option<Policy>, FrontendError> {
        Ok(self.policy.as_deref().map(|text| Policy::parse(text, "policy.toml", &no_files)).transpose()?)
    }

    fn trust(&self, _server: Option<&str>) -> Result<Arc<dyn TrustSource>, FrontendError> {
        Ok(self.trust.clone())
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// One build: a daemon, options, a Dockerfile.
struct Build {
    daemon: Daemon,
    options: Vec<(String, String)>,
    policy: Option<String>,
}

impl Build {
    /// On a current daemon, with this Dockerfile in the client's directory.
    fn of(dockerfile: &str) -> Self {
        Self::on(Daemon::current(), dockerfile)
    }

    fn on(daemon: Daemon, dockerfile: &str) -> Self {
        let build = Self { daemon, options: Vec::new(), policy: None };
        build.file("local://dockerfile", "Dockerfile", dockerfile);
        for (name, letter) in [("base", 'a'), ("extra", 'e'), ("arm64", '6')] {
            let pinned = format!("docker.io/acme/{name}:1@{}", digest(letter));
            build.daemon.state().images.insert(pinned, (digest(letter).to_string(), "{}".to_owned()));
        }
        build.daemon.state().nested = Arc::new(|request| Ok(single(&graph_of(request))));
        build
    }

    fn option(mut self, key: &str, value: &str) -> Self {
        self.options.push((key.to_owned(), value.to_owned()));
        self
    }

    /// A policy of the image with these keys and tables.
    fn policy(mut self, text: &str) -> Self {
        self.policy = Some(format!("version = 1\ntrust-on-first-use = true\n{text}"));
        self
    }

    fn file(&self, source: &str, path: &str, content: impl AsRef<[u8]>) {
        let mut state = self.daemon.state();
        state.files.entry(source.to_owned()).or_default().insert(path.to_owned(), content.as_ref().to_vec());
    }

    /// What the nested frontend answers in the place of an honest graph.
    fn answering(
        self,
        answer: impl Fn(&SolveRequest) -> Result<SolveResult, tonic::Status> + Send + Sync + 'static,
    ) -> Self {
        self.daemon.state().nested = Arc::new(answer);
        self
    }

    /// Runs the build to its end.
    fn run(self) -> Outcome {
        let trust = TrustTable::new()
            .signed("docker.io/acme/base", "1", &digest('a'))
            .signed("docker.io/acme/extra", "1", &digest('e'))
            .signed("docker.io/acme/arm64", "1", &digest('6'))
            .signed("docker.io/acme/frontend", "1", &digest('f'))
            .signed("docker.io/acme/scanner", "1", &digest('5'));
        let stage = Stage { policy: self.policy, trust: Arc::new(trust) };
        let pairs = self.options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let options = Options::from_pairs(pairs, "session");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let gateway = Gateway::connect(self.daemon.serve()).await.unwrap();
            serve(&gateway, Ok(options), &stage).await.unwrap();
        });
        let returned = self.daemon.state().returned.take().expect("nothing was returned");
        Outcome { daemon: self.daemon, returned }
    }
}

/// How a build ended.
struct Outcome {
    daemon: Daemon,
    returned: ReturnRequest,
}

impl Outcome {
    #[track_caller]
    fn built(&self) -> &SolveResult {
        self.returned.result.as_ref().unwrap_or_else(|| panic!("{:?}", self.returned.error))
    }

    #[track_caller]
    fn refused(&self) -> &Status {
        match (&self.returned.result, &self.returned.error) {
            (None, Some(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn refused_with(&self, text: &str) {
        let status = self.refused();
        assert!(status.message.contains(text), "{}", status.message);
    }

    /// The requests for nested frontends.
    fn nested(&self) -> Vec<SolveRequest> {
        self.daemon.state().solves.iter().filter(|solve| !solve.frontend.is_empty()).cloned().collect()
    }

    /// The one nested request.
    #[track_caller]
    fn request(&self) -> SolveRequest {
        let mut nested = self.nested();
        assert_eq!(nested.len(), 1);
        nested.remove(0)
    }

    /// The Dockerfile that the nested frontend was given.
    #[track_caller]
    fn pinned(&self) -> String {
        let request = self.request();
        let name = request.frontend_opt.get("filename").map_or("Dockerfile", String::as_str);
        String::from_utf8(file_in(&request.frontend_inputs["dockerfile"], name).unwrap()).unwrap()
    }

    /// The solves under a policy: the identifiers that each allows.
    fn enforced(&self) -> Vec<Vec<String>> {
        let state = self.daemon.state();
        let identifiers = |solve: &SolveRequest| -> Vec<String> {
            let rules = solve.source_policies.iter().flat_map(|policy| &policy.rules).skip(1);
            rules.filter_map(|rule| Some(rule.selector.as_ref()?.identifier.clone())).collect()
        };
        state.solves.iter().filter(|solve| !solve.source_policies.is_empty()).map(identifiers).collect()
    }
}

/// A definition of sources, each in an operation of its own, and one that uses them all.
fn graph(identifiers: &[&str]) -> Vec<u8> {
    let mut def: Vec<Vec<u8>> = identifiers
        .iter()
        .map(|identifier| {
            let source = pb::SourceOp { identifier: (*identifier).to_owned(), ..pb::SourceOp::default() };
            pb::Op { op: Some(pb::op::Op::Source(source)), ..pb::Op::default() }.encode_to_vec()
        })
        .collect();
    let inputs = |ops: &[Vec<u8>]| {
        ops.iter().map(|op| pb::Input { digest: operation_digest(op), index: 0 }).collect::<Vec<_>>()
    };
    let exec = pb::Op {
        inputs: inputs(&def),
        op: Some(pb::op::Op::Exec(pb::ExecOp::default())),
        ..pb::Op::default()
    };
    def.push(exec.encode_to_vec());
    let terminal = pb::Op { inputs: inputs(&def[def.len() - 1..]), ..pb::Op::default() };
    def.push(terminal.encode_to_vec());
    pb::Definition { def, ..pb::Definition::default() }.encode_to_vec()
}

/// What an honest frontend would make of the Dockerfile that it was given: a source for each FROM.
fn graph_of(request: &SolveRequest) -> Vec<u8> {
    let name = request.frontend_opt.get("filename").map_or("Dockerfile", String::as_str);
    let text = String::from_utf8(file_in(&request.frontend_inputs["dockerfile"], name).unwrap()).unwrap();
    let bases: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("FROM "))
        .filter_map(|line| line.split(' ').next())
        .filter(|base| *base != "scratch")
        .map(|base| match base.parse::<crate::image::Reference>() {
            Ok(reference) => format!("docker-image://{}", reference.with_default_tag()),
            Err(_) => "local://context".to_owned(),
        })
        .collect();
    graph(&bases.iter().map(String::as_str).collect::<Vec<_>>())
}

fn reference(id: &str, definition: &[u8]) -> Ref {
    Ref { id: id.to_owned(), def: definition.to_vec() }
}

fn single(definition: &[u8]) -> SolveResult {
    SolveResult { result: Some(Kind::Ref(reference("nested", definition))), ..SolveResult::default() }
}

fn map(platforms: &[(&str, Ref)]) -> SolveResult {
    let refs = platforms.iter().map(|(key, reference)| ((*key).to_owned(), reference.clone())).collect();
    SolveResult { result: Some(Kind::Refs(RefMap { refs })), ..SolveResult::default() }
}

/// The identifier of the signed base.
fn base() -> String {
    format!("docker-image://docker.io/acme/base:1@{}", digest('a'))
}

const BAIT: &str = "docker-image://docker.io/evil/bait:1";

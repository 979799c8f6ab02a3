//! Where the Dockerfile is, in every form of a build context.
//!
//! The order is `BuildKit`'s own: a git repository, a URL (an archive, or the Dockerfile
//! itself), then definitions that the client passed in, then the client's directories. The
//! nested frontend is given the Dockerfile as an input; it would ignore that input while an
//! option names a remote context, so a remote context becomes an input, too. The client's
//! own directory stays what it is: `.dockerignore`, the pruning of paths and the session
//! work as without us.

use std::collections::BTreeMap;

use crate::buildkit::llb::{Git, Graph, Local, head};
use crate::buildkit::proto::gateway::Ref;
use crate::buildkit::{Gateway, LlbCapability};
use crate::dockerfile::SOURCE_LIMIT;
use crate::frontend::error::FrontendError;
use crate::frontend::options::Options;
use crate::frontend::remote::{Remote, is_archive, parse_remote};
use crate::gate::parse_boolean;

/// The Dockerfile of a build, and the context that it is built in.
#[derive(Clone, Debug)]
pub(super) struct BuildFile {
    /// Its path in its context, as clients show it.
    pub(super) name: String,
    /// Its bytes.
    pub(super) source: Vec<u8>,
    /// The `<name>.dockerignore` beside it, if there is one.
    pub(super) ignore: Option<Vec<u8>>,
    /// The operation that it came from, to hang warnings on.
    pub(super) vertex: String,
    /// The main context.
    pub(super) context: MainContext,
}

/// Where the main context comes from.
#[derive(Clone, Debug)]
pub(super) enum MainContext {
    /// A directory of the client.
    Local,
    /// A definition that the client passed in.
    Input,
    /// A git repository or a URL.
    Remote {
        /// What was asked for.
        value: String,
        /// Which of the two it is.
        kind: RemoteKind,
        /// The definition that takes its place.
        definition: Vec<u8>,
    },
}

/// The kinds of remote context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RemoteKind {
    /// A git repository.
    Git,
    /// A URL.
    Http,
}

/// Finds and reads the Dockerfile. `inputs` are the definitions that the client passed in.
pub(super) async fn read_build_file(
    gateway: &Gateway,
    options: &Options,
    inputs: &BTreeMap<String, Vec<u8>>,
) -> Result<BuildFile, FrontendError> {
    let name = options.value("filename").filter(|name| !name.is_empty()).unwrap_or(DOCKERFILE);
    let context_key = options.value("contextkey").unwrap_or("context");
    let forced = options.value("dockerfilekey");
    let remote = match options.value(context_key) {
        Some(value) => parse_remote(value)?.map(|remote| (value, remote)),
        None => None,
    };
    let (main, found) = match remote {
        Some((value, Remote::Git(git))) => {
            let graph = git_context(gateway, options, git, value);
            let context = MainContext::Remote {
                value: value.to_owned(),
                kind: RemoteKind::Git,
                definition: graph.definition(),
            };
            (context, Found { definition: graph.definition(), vertex: graph.vertex().to_owned(), name })
        }
        Some((value, Remote::Http(url))) => {
            let (graph, name) = http_context(gateway, &url, name).await?;
            let context = MainContext::Remote {
                value: value.to_owned(),
                kind: RemoteKind::Http,
                definition: graph.definition(),
            };
            (context, Found { definition: graph.definition(), vertex: graph.vertex().to_owned(), name })
        }
        None => {
            let context =
                if inputs.contains_key("context") { MainContext::Input } else { MainContext::Local };
            let found = match inputs.get("dockerfile") {
                Some(definition) if forced.is_none() => Found {
                    definition: definition.clone(),
                    vertex: head(definition).unwrap_or_default(),
                    name,
                },
                Some(_) | None => local_file(gateway, options, "dockerfile", name),
            };
            (context, found)
        }
    };
    // an option can say that the Dockerfile is in a directory of the client, whatever the context is
    let found = match forced {
        Some(directory) => local_file(gateway, options, directory, found.name),
        None => found,
    };
    found.read(gateway, main).await
}

/// A definition that should hold the Dockerfile.
struct Found<'a> {
    definition: Vec<u8>,
    vertex: String,
    name: &'a str,
}

impl Found<'_> {
    async fn read(self, gateway: &Gateway, context: MainContext) -> Result<BuildFile, FrontendError> {
        let name = self.name;
        let reference = gateway
            .solve_definition(self.definition)
            .await
            .map_err(FrontendError::gateway("failed to resolve dockerfile"))?
            .ok_or_else(|| {
                FrontendError::Unsupported(format!("failed to read dockerfile: `{name}` is nowhere"))
            })?;
        let source = read_dockerfile(gateway, &reference, name).await?;
        let ignore = gateway.read_file(&reference, &ignore_name(name), SOURCE_LIMIT).await.ok();
        Ok(BuildFile { name: name.to_owned(), source, ignore, vertex: self.vertex, context })
    }
}

/// The name of the ignore file that belongs to one Dockerfile.
#[must_use]
pub(super) fn ignore_name(name: &str) -> String {
    format!("{name}.dockerignore")
}

async fn read_dockerfile(gateway: &Gateway, reference: &Ref, name: &str) -> Result<Vec<u8>, FrontendError> {
    let error = match gateway.read_file(reference, name, SOURCE_LIMIT).await {
        Ok(source) => return Ok(source),
        Err(error) => error,
    };
    if let Some(lower) = lower_case_name(name)
        && let Ok(source) = gateway.read_file(reference, &lower, SOURCE_LIMIT).await
    {
        return Ok(source);
    }
    Err(FrontendError::gateway("failed to read dockerfile")(error))
}

/// `Dockerfile` is also found as `dockerfile`, in the same directory.
fn lower_case_name(name: &str) -> Option<String> {
    match name.rsplit_once('/') {
        None if name == DOCKERFILE => Some(DOCKERFILE.to_ascii_lowercase()),
        Some((directory, DOCKERFILE)) => Some(format!("{directory}/{}", DOCKERFILE.to_ascii_lowercase())),
        _ => None,
    }
}

fn local_file<'a>(gateway: &Gateway, options: &Options, directory: &str, name: &'a str) -> Found<'a> {
    let mut follow_paths = vec![name.to_owned(), ignore_name(name)];
    follow_paths.extend(lower_case_name(name));
    let graph = Graph::local(&Local {
        name: directory,
        session: options.session_of(directory),
        follow_paths: &follow_paths,
        shared_key_hint: directory,
        differ_none: gateway.capabilities().has_llb(LlbCapability::LocalDiffer),
        title: &format!("[internal] load build definition from {name}"),
    });
    Found { definition: graph.definition(), vertex: graph.vertex().to_owned(), name }
}

fn git_context(gateway: &Gateway, options: &Options, mut git: Git, value: &str) -> Graph {
    let attribute = |name| move |other: &(&str, String, &str)| other.0 == name;
    let keep = options.build_arg("BUILDKIT_CONTEXT_KEEP_GIT_DIR").and_then(parse_boolean) == Some(true);
    if keep && !git.attributes.iter().any(attribute("git.keepgitdir")) {
        git.attributes.push(("git.keepgitdir", "true".to_owned(), "source.git.keepgitdir"));
    }
    let epoch = options.build_arg("SOURCE_DATE_EPOCH").is_some_and(|epoch| !epoch.is_empty());
    if epoch
        && gateway.capabilities().has_llb(LlbCapability::GitModificationTime)
        && !git.attributes.iter().any(attribute("git.mtime"))
    {
        git.attributes.push(("git.mtime", "commit".to_owned(), "source.git.mtime"));
    }
    Graph::git(&git, &format!("[internal] load git source {value}"))
}

/// A URL's context, and the name of the Dockerfile in it: what is no archive is the Dockerfile.
async fn http_context<'a>(
    gateway: &Gateway,
    url: &str,
    name: &'a str,
) -> Result<(Graph, &'a str), FrontendError> {
    let graph = Graph::http(url, HTTP_FILE, "[internal] load remote build context");
    let reference = gateway
        .solve_definition(graph.definition())
        .await
        .map_err(FrontendError::gateway("failed to resolve httpcontext"))?
        .ok_or_else(|| FrontendError::Unsupported("the remote build context is empty".to_owned()))?;
    let start = gateway
        .read_file_start(&reference, HTTP_FILE, SNIFF_LENGTH)
        .await
        .map_err(FrontendError::gateway("failed to read downloaded context"))?;
    Ok(if is_archive(&start) { (graph.unpacked(HTTP_FILE), name) } else { (graph, HTTP_FILE) })
}

const DOCKERFILE: &str = "Dockerfile";

/// The name that a downloaded context gets; a part of the operation's identity.
const HTTP_FILE: &str = "context";

/// A tar header and a little more, as `BuildKit` takes it.
const SNIFF_LENGTH: usize = 1024;

//! Definitions built by hand: the few that a gate needs.
//!
//! An operation's identity is the digest of its bytes. Where the daemon's own frontend has
//! built the same operation before us in the same build, ours has to be the same bytes, or
//! the source is fetched a second time; and a context that came over the API can be fetched
//! only once. So the fields, their order and the always present `constraints` are those
//! that `BuildKit` writes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use serde_json::json;

use crate::buildkit::proto::pb;
use crate::image::Digest;

/// A graph of operations with one result, as bytes that are ready to be sent.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Marshalled operations, inputs before those that use them.
    operations: Vec<Vec<u8>>,
    metadata: BTreeMap<String, pb::OpMetadata>,
    /// The digest of the operation whose first output is the result.
    head: String,
}

/// How a directory of the client is asked for.
#[derive(Clone, Debug)]
pub struct Local<'a> {
    /// The name that the client exposes it under.
    pub name: &'a str,
    /// The session of the client.
    pub session: &'a str,
    /// Paths to transfer; nothing else comes over.
    pub follow_paths: &'a [String],
    /// Keeps transfers of the same directory with other paths apart in the daemon's cache.
    pub shared_key_hint: &'a str,
    /// Whether the daemon can be told not to compare metadata, which makes small transfers quicker.
    pub differ_none: bool,
    /// What the build's output calls it.
    pub title: &'a str,
}

/// How a git repository is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Git {
    /// The remote, as git takes it.
    pub remote: String,
    /// Host and path of the remote, without its scheme.
    pub identifier: String,
    /// Branch, tag or commit; empty for the default branch.
    pub reference: String,
    /// The directory to use; empty for all.
    pub directory: String,
    /// Attributes beyond the usual, each with the capability that it needs.
    pub attributes: Vec<(&'static str, String, &'static str)>,
}

impl Graph {
    /// A directory of the client.
    #[must_use]
    pub fn local(local: &Local<'_>) -> Self {
        let mut attributes = BTreeMap::from([
            ("local.followpaths".to_owned(), json!(local.follow_paths).to_string()),
            ("local.sharedkeyhint".to_owned(), local.shared_key_hint.to_owned()),
        ]);
        if local.differ_none {
            attributes.insert("local.differ".to_owned(), "none".to_owned());
        }
        let mut caps = vec!["source.local", "source.local.followpaths", "source.local.sharedkeyhint"];
        if local.session.is_empty() {
            attributes.insert("local.unique".to_owned(), local.shared_key_hint.to_owned());
            caps.push("source.local.unique");
        } else {
            attributes.insert("local.session".to_owned(), local.session.to_owned());
            caps.push("source.local.sessionid");
        }
        Self::source(format!("local://{}", local.name), attributes, &caps, local.title)
    }

    /// What a URL answers, as the file `name`.
    #[must_use]
    pub fn http(url: &str, name: &str, title: &str) -> Self {
        let attributes = BTreeMap::from([("http.filename".to_owned(), name.to_owned())]);
        Self::source(url.to_owned(), attributes, &["source.http"], title)
    }

    /// A git repository's tree.
    #[must_use]
    pub fn git(git: &Git, title: &str) -> Self {
        let mut identifier = format!("git://{}", git.identifier);
        if !git.reference.is_empty() || !git.directory.is_empty() {
            let _ = write!(identifier, "#{}", git.reference);
            if !git.directory.is_empty() {
                let _ = write!(identifier, ":{}", git.directory);
            }
        }
        let mut attributes = BTreeMap::from([
            ("git.fullurl".to_owned(), git.remote.clone()),
            ("git.authtokensecret".to_owned(), "GIT_AUTH_TOKEN".to_owned()),
            ("git.authheadersecret".to_owned(), "GIT_AUTH_HEADER".to_owned()),
        ]);
        let mut caps = vec!["source.git", "source.git.fullurl"];
        for (name, value, cap) in &git.attributes {
            attributes.insert((*name).to_owned(), value.clone());
            caps.push(cap);
        }
        Self::source(identifier, attributes, &caps, title)
    }

    /// An image's file system.
    #[must_use]
    pub fn image(reference: &str, title: &str) -> Self {
        Self::source(format!("docker-image://{reference}"), BTreeMap::new(), &["source.image"], title)
    }

    /// A file system that holds just these files; their directories are made.
    #[must_use]
    pub fn files(files: &[(&str, &[u8])], title: &str) -> Self {
        let mut made = Vec::new();
        for (path, content) in files {
            let path = absolute(path);
            if let Some((directory, _)) = path.rsplit_once('/')
                && !directory.is_empty()
            {
                made.push(pb::file_action::Action::Mkdir(pb::FileActionMkDir {
                    path: directory.to_owned(),
                    mode: 0o755,
                    make_parents: true,
                    owner: None,
                    timestamp: UNSET,
                }));
            }
            made.push(pb::file_action::Action::Mkfile(pb::FileActionMkFile {
                path,
                mode: 0o644,
                data: content.to_vec(),
                owner: None,
                timestamp: UNSET,
            }));
        }
        let count = made.len();
        let actions = made
            .into_iter()
            .enumerate()
            .map(|(index, action)| pb::FileAction {
                // there are no inputs, so an action's number is that of the one before it
                input: i64::try_from(index).map_or(UNSET, |index| index - 1),
                secondary_input: UNSET,
                output: if index + 1 == count { 0 } else { UNSET },
                action: Some(action),
            })
            .collect();
        let op = pb::Op {
            op: Some(pb::op::Op::File(pb::FileOp { actions })),
            constraints: Some(pb::WorkerConstraints::default()),
            ..pb::Op::default()
        };
        Self::empty().with(&op, &["file.base"], title)
    }

    /// An archive, `name` in this graph's result, unpacked.
    #[must_use]
    pub fn unpacked(self, name: &str) -> Self {
        let copy = pb::FileActionCopy {
            src: absolute(name),
            dest: "/".to_owned(),
            mode: -1,
            attempt_unpack_docker_compatibility: true,
            timestamp: UNSET,
            ..pb::FileActionCopy::default()
        };
        let action = pb::FileAction {
            input: UNSET,
            secondary_input: 0,
            output: 0,
            action: Some(pb::file_action::Action::Copy(copy)),
        };
        let op = pb::Op {
            inputs: vec![pb::Input { digest: self.head.clone(), index: 0 }],
            op: Some(pb::op::Op::File(pb::FileOp { actions: vec![action] })),
            constraints: Some(pb::WorkerConstraints::default()),
            ..pb::Op::default()
        };
        self.with(&op, &["file.base"], "")
    }

    /// The digest of the operation that makes the result.
    #[must_use]
    pub fn vertex(&self) -> &str {
        &self.head
    }

    /// The definition: the operations, and the terminal one that points at the result.
    #[must_use]
    pub fn definition(&self) -> Vec<u8> {
        let terminal =
            pb::Op { inputs: vec![pb::Input { digest: self.head.clone(), index: 0 }], ..pb::Op::default() }
                .encode_to_vec();
        let mut metadata = self.metadata.clone();
        // A definition that is passed in as an input is refused when any operation, the
        // terminal one too, has no entry.
        metadata.insert(operation_digest(&terminal), operation_metadata(&["constraints", "platform"], ""));
        let mut def = self.operations.clone();
        def.push(terminal);
        pb::Definition { def, metadata, source: None }.encode_to_vec()
    }

    fn empty() -> Self {
        Self { operations: Vec::new(), metadata: BTreeMap::new(), head: String::new() }
    }

    fn source(identifier: String, attributes: BTreeMap<String, String>, caps: &[&str], title: &str) -> Self {
        let op = pb::Op {
            op: Some(pb::op::Op::Source(pb::SourceOp { identifier, attrs: attributes })),
            constraints: Some(pb::WorkerConstraints::default()),
            ..pb::Op::default()
        };
        Self::empty().with(&op, caps, title)
    }

    fn with(mut self, op: &pb::Op, caps: &[&str], title: &str) -> Self {
        let bytes = op.encode_to_vec();
        self.head = operation_digest(&bytes);
        self.metadata.insert(self.head.clone(), operation_metadata(caps, title));
        self.operations.push(bytes);
        self
    }
}

/// The operation that makes a definition's result, if the definition can be read.
#[must_use]
pub fn head(definition: &[u8]) -> Option<String> {
    let definition = pb::Definition::decode(definition).ok()?;
    let terminal = pb::Op::decode(definition.def.last()?.as_slice()).ok()?;
    Some(terminal.inputs.into_iter().next()?.digest)
}

/// The same definition, whose source maps show the `original` text of a file where they show
/// the `pinned` one. Operations and their metadata stay as they are, byte for byte.
#[must_use]
pub fn with_source_text(definition: &[u8], file: &str, pinned: &[u8], original: &[u8]) -> Vec<u8> {
    let Ok(pb::Definition { source: Some(mut source), .. }) = pb::Definition::decode(definition) else {
        return definition.to_vec();
    };
    for info in source.infos.iter_mut().filter(|info| info.filename == file && info.data == pinned) {
        info.data = original.to_vec();
    }
    let Ok(mut rewritten) = without_field(definition, SOURCE_FIELD) else { return definition.to_vec() };
    prost::encoding::message::encode(SOURCE_FIELD, &source, &mut rewritten);
    rewritten
}

/// A message without one of its fields; the bytes of the others stay.
fn without_field(message: &[u8], field: u32) -> Result<Vec<u8>, prost::DecodeError> {
    let mut kept = Vec::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let before = rest;
        let (number, wire_type) = decode_key(&mut rest)?;
        skip_field(wire_type, number, &mut rest, DecodeContext::default())?;
        let length = before.len() - rest.len();
        if number != field {
            kept.extend_from_slice(before.get(..length).unwrap_or_default());
        }
    }
    Ok(kept)
}

/// The identity of an operation: the digest of its bytes.
#[must_use]
pub fn operation_digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

fn operation_metadata(caps: &[&str], title: &str) -> pb::OpMetadata {
    let description = match title {
        "" => BTreeMap::new(),
        title => BTreeMap::from([("llb.customname".to_owned(), title.to_owned())]),
    };
    pb::OpMetadata {
        caps: caps.iter().map(|cap| ((*cap).to_owned(), true)).collect(),
        description,
        ..pb::OpMetadata::default()
    }
}

/// A path from the root, with `.`, `..` and doubled slashes resolved, as Go's `path.Join` has it.
fn absolute(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The number of `source` in `pb.Definition`.
const SOURCE_FIELD: u32 = 3;

/// `BuildKit`'s “no such index” and “time not set”.
const UNSET: i64 = -1;

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::pb as oracle;

    use super::*;

    fn decoded(graph: &Graph) -> (oracle::Definition, Vec<oracle::Op>) {
        let definition: oracle::Definition =
            oracle::Definition::decode(graph.definition().as_slice()).unwrap();
        let ops = definition.def.iter().map(|op| oracle::Op::decode(op.as_slice()).unwrap()).collect();
        (definition, ops)
    }

    #[test]
    fn a_one_shot_url_is_the_operation_that_the_builtin_frontend_makes() {
        let graph = Graph::http("http://build-context-1", "context", "[internal] load remote build context");
        // source{identifier, attrs{http.filename: context}}, then the constraints, empty but there
        let expected = [
            b"\x1a\x32",
            &b"\x0a\x16http://build-context-1"[..],
            b"\x12\x18\x0a\x0dhttp.filename\x12\x07context",
            b"\x5a\x00",
        ]
        .concat();
        let (definition, _) = decoded(&graph);
        assert_eq!(definition.def[0], expected);
    }

    #[test]
    fn every_operation_has_metadata_and_the_terminal_one_names_the_head() {
        let files: [(&str, &[u8]); 2] =
            [("docker/Dockerfile", b"FROM a"), ("docker/Dockerfile.dockerignore", b"x")];
        for graph in [
            Graph::files(&files, "pins"),
            Graph::http("https://example.org/a.tar", "context", "load").unpacked("context"),
            Graph::image("docker.io/library/a:1", "image"),
        ] {
            let (definition, ops) = decoded(&graph);
            assert_eq!(definition.metadata.len(), definition.def.len());
            for op in &definition.def {
                assert!(definition.metadata.contains_key(&operation_digest(op)));
            }
            let terminal = ops.last().unwrap();
            assert!(terminal.op.is_none());
            assert_eq!(terminal.inputs[0].digest, graph.vertex());
        }
    }

    #[test]
    fn files_are_made_one_after_the_other() {
        let files: [(&str, &[u8]); 2] = [("a/../docker//Dockerfile", b"FROM a"), ("x", b"y")];
        let (_, ops) = decoded(&Graph::files(&files, ""));
        let Some(oracle::op::Op::File(file)) = &ops[0].op else { panic!("{ops:?}") };
        let places: Vec<(i64, i64, i64)> =
            file.actions.iter().map(|a| (a.input, a.secondary_input, a.output)).collect();
        assert_eq!(places, [(-1, -1, -1), (0, -1, -1), (1, -1, 0)]);
        let Some(oracle::file_action::Action::Mkfile(made)) = &file.actions[1].action else { panic!() };
        assert_eq!((made.path.as_str(), made.mode, made.timestamp), ("/docker/Dockerfile", 0o644, -1));
    }

    #[test]
    fn source_maps_show_the_original_and_the_rest_stays() {
        let info = |filename: &str, data: &[u8]| pb::SourceInfo {
            filename: filename.into(),
            data: data.to_vec(),
            ..pb::SourceInfo::default()
        };
        let source = pb::Source {
            infos: vec![info("Dockerfile", b"pinned"), info("other", b"pinned")],
            ..pb::Source::default()
        };
        let graph = Graph::http("https://example.org/", "x", "title");
        let mut definition = pb::Definition::decode(graph.definition().as_slice()).unwrap();
        definition.source = Some(source);
        // a field that this program does not know has to survive
        let mut bytes = definition.encode_to_vec();
        bytes.extend_from_slice(b"\x7a\x03new");
        let shown = with_source_text(&bytes, "Dockerfile", b"pinned", b"original");
        let after = pb::Definition::decode(shown.as_slice()).unwrap();
        let infos = after.source.unwrap().infos;
        assert_eq!((infos[0].data.as_slice(), infos[1].data.as_slice()), (&b"original"[..], &b"pinned"[..]));
        assert_eq!((after.def, after.metadata), (definition.def, definition.metadata));
        assert!(shown.windows(5).any(|window| window == b"\x7a\x03new"));
        assert_eq!(with_source_text(b"\xff", "Dockerfile", b"pinned", b"original"), b"\xff");
    }

    #[test]
    fn git_names_its_remote_in_an_attribute() {
        let git = Git {
            remote: "https://example.org/a/b.git".into(),
            identifier: "example.org/a/b.git".into(),
            reference: "main".into(),
            directory: "sub".into(),
            attributes: vec![("git.keepgitdir", "true".into(), "source.git.keepgitdir")],
        };
        let (_, ops) = decoded(&Graph::git(&git, ""));
        let Some(oracle::op::Op::Source(source)) = &ops[0].op else { panic!() };
        assert_eq!(source.identifier, "git://example.org/a/b.git#main:sub");
        assert_eq!(source.attrs["git.fullurl"], "https://example.org/a/b.git");
        assert_eq!(source.attrs["git.keepgitdir"], "true");
    }
}

//! The nested build: the pinned Dockerfile and the rewritten options, for another frontend.

use std::collections::BTreeMap;

use crate::buildkit::llb::{Graph, with_source_text};
use crate::buildkit::proto::gateway::{Result as SolveResult, SolveRequest};
use crate::buildkit::{Gateway, GatewayError, source_of};
use crate::frontend::context::{BuildFile, MainContext, ignore_name};
use crate::frontend::error::FrontendError;
use crate::frontend::ledger::Ledger;
use crate::frontend::options::Options;
use crate::frontend::syntax::{Inner, check_contexts};

/// A build that is ready to be handed on.
#[derive(Clone, Debug)]
pub(super) struct Nested<'a> {
    /// The options.
    pub(super) options: BTreeMap<String, String>,
    /// The Dockerfile's text, pinned.
    pub(super) source: Vec<u8>,
    file: &'a BuildFile,
    inputs: BTreeMap<String, Vec<u8>>,
    frontend: &'static str,
}

impl<'a> Nested<'a> {
    /// The build as it came, with the Dockerfile and a remote context as inputs.
    #[must_use]
    pub(super) fn new(options: &Options, file: &'a BuildFile, inputs: &BTreeMap<String, Vec<u8>>) -> Self {
        let mut nested = Self {
            options: BTreeMap::new(),
            source: file.source.clone(),
            file,
            inputs: inputs.clone(),
            frontend: BUILTIN,
        };
        nested.options.insert("filename".to_owned(), file.name.clone());
        match &file.context {
            MainContext::Local => {
                // up to 0.11 this names the client's directory; no remote context hides behind it
                if let Some(key) = options.value("contextkey") {
                    nested.options.insert("contextkey".to_owned(), key.to_owned());
                }
            }
            MainContext::Input => {}
            MainContext::Remote { definition, .. } => {
                nested.inputs.insert("context".to_owned(), definition.clone());
            }
        }
        nested
    }

    /// Adds named contexts; one that the user gave stays.
    pub(super) fn add_contexts(&mut self, contexts: BTreeMap<String, String>) {
        for (key, value) in contexts {
            self.options.entry(key).or_insert(value);
        }
    }

    /// Says who builds, by its verified digest, and that `# syntax=` is not to be followed.
    pub(super) fn choose(
        &mut self,
        options: &Options,
        inner: &Inner,
        ledger: &Ledger<'_>,
    ) -> Result<(), FrontendError> {
        self.options.insert("filename".to_owned(), self.file.name.clone());
        match inner {
            Inner::Builtin => {
                self.options.insert("cmdline".to_owned(), "trustgate".to_owned());
            }
            Inner::Image { reference, command_line } => {
                check_contexts(options, reference)?;
                let entry = ledger.entry(reference).ok_or_else(|| {
                    FrontendError::Unsupported(format!("nothing is known of `{}`", reference.familiar()))
                })?;
                self.frontend = GATEWAY;
                self.options.insert("source".to_owned(), entry.reference().to_string());
                self.options.insert("cmdline".to_owned(), command_line.clone());
            }
        }
        Ok(())
    }

    /// A definition that came out of it, with source maps that show the user's own text.
    #[must_use]
    pub(super) fn with_original_text(&self, definition: &[u8]) -> Vec<u8> {
        with_source_text(definition, &self.file.name, &self.source, &self.file.source)
    }

    /// Runs it. Its own errors come back as they are, but for the text that they point into.
    pub(super) async fn solve(&self, gateway: &Gateway) -> Result<SolveResult, FrontendError> {
        let ignore = ignore_name(&self.file.name);
        let mut files: Vec<(&str, &[u8])> = vec![(self.file.name.as_str(), &self.source)];
        if let Some(bytes) = &self.file.ignore {
            files.push((ignore.as_str(), bytes));
        }
        let title = format!("[internal] pin images of {}", self.file.name);
        let mut inputs = self.inputs.clone();
        inputs.insert("dockerfile".to_owned(), Graph::files(&files, &title).definition());
        let request = SolveRequest {
            frontend: self.frontend.to_owned(),
            frontend_opt: self.options.clone(),
            frontend_inputs: inputs,
            ..SolveRequest::default()
        };
        match gateway.solve(request).await {
            Ok(result) => Ok(result),
            Err(GatewayError::Daemon { mut status, .. }) => {
                source_of(&mut status, &self.file.name, &self.source, &self.file.source);
                Err(FrontendError::Nested(status))
            }
            Err(error) => Err(FrontendError::gateway("the nested build")(error)),
        }
    }
}

/// The daemon's own Dockerfile frontend.
const BUILTIN: &str = "dockerfile.v0";

/// The daemon's door to frontends in images.
const GATEWAY: &str = "gateway.v0";

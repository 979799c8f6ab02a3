//! What the daemon says that it can do.
//!
//! Capabilities are the only thing that is asked: distributions rebuild `BuildKit`, so a
//! version says little. A capability counts when it is listed *and* enabled.

use std::collections::BTreeMap;

use crate::buildkit::proto::apicaps::ApiCap;
use crate::buildkit::proto::gateway::PongResponse;
use crate::image::Platform;

/// A capability of the gateway's own interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayCapability {
    /// Inputs can be asked for and passed to a nested frontend.
    FrontendInputs,
    /// A map of references can be returned (several platforms).
    ReturnMap,
    /// References come with their definitions.
    ReferenceArray,
    /// The `Warn` call, from 0.10 on, which is also when named contexts began.
    Warnings,
    /// Attestations in results, from 0.11 on.
    Attestations,
}

impl GatewayCapability {
    fn id(self) -> &'static str {
        match self {
            Self::FrontendInputs => "frontend.inputs",
            Self::ReturnMap => "returnmap",
            Self::ReferenceArray => "proto.refarray",
            Self::Warnings => "gateway.warnings",
            Self::Attestations => "reference.attestations",
        }
    }
}

/// A capability of the builder itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LlbCapability {
    /// File operations, without which old frontends insert helper images.
    FileOperations,
    /// Source policies, from 0.11 on.
    SourcePolicy,
    /// Came with 0.14, as did messages of 16 MiB, for which there is no capability.
    ReplaceExistingPaths,
    /// A transfer can be told to compare no metadata, from 0.9 on.
    LocalDiffer,
    /// File times of a git checkout, from 0.29 on.
    GitModificationTime,
}

impl LlbCapability {
    fn id(self) -> &'static str {
        match self {
            Self::FileOperations => "file.base",
            Self::SourcePolicy => "source.policy",
            Self::ReplaceExistingPaths => "file.copy.alwaysreplaceexistingdestpaths",
            Self::LocalDiffer => "source.local.differ",
            Self::GitModificationTime => "source.git.mtime",
        }
    }
}

/// The daemon's answer to `Ping`.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    gateway: BTreeMap<String, bool>,
    llb: BTreeMap<String, bool>,
    platforms: Vec<Platform>,
}

impl Capabilities {
    /// Reads the daemon's answer.
    #[must_use]
    pub fn from_pong(pong: &PongResponse) -> Self {
        let enabled = |list: &[ApiCap]| list.iter().map(|cap| (cap.id.clone(), cap.enabled)).collect();
        let platforms = pong
            .workers
            .first()
            .map(|worker| {
                worker
                    .platforms
                    .iter()
                    .map(|platform| Platform::new(&platform.os, &platform.architecture, &platform.variant))
                    .collect()
            })
            .unwrap_or_default();
        Self { gateway: enabled(&pong.frontend_api_caps), llb: enabled(&pong.llb_caps), platforms }
    }

    /// Whether the gateway has a capability.
    #[must_use]
    pub fn has(&self, capability: GatewayCapability) -> bool {
        self.gateway.get(capability.id()).copied().unwrap_or(false)
    }

    /// Whether the builder has a capability.
    #[must_use]
    pub fn has_llb(&self, capability: LlbCapability) -> bool {
        self.llb.get(capability.id()).copied().unwrap_or(false)
    }

    /// Platforms of the first worker, the default one first.
    #[must_use]
    pub fn platforms(&self) -> &[Platform] {
        &self.platforms
    }

    /// The most bytes that the daemon takes in one request.
    #[must_use]
    pub fn request_limit(&self) -> usize {
        if self.has_llb(LlbCapability::ReplaceExistingPaths) { REQUEST_LIMIT } else { OLD_REQUEST_LIMIT }
    }
}

/// What daemons take from 0.14 on: containerd's default for messages.
const REQUEST_LIMIT: usize = 16 * 1024 * 1024;

/// What older daemons take: gRPC's own default.
const OLD_REQUEST_LIMIT: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(id: &str, enabled: bool) -> ApiCap {
        ApiCap { id: id.to_owned(), enabled, ..ApiCap::default() }
    }

    #[test]
    fn listed_but_disabled_is_not_there() {
        let pong = PongResponse {
            frontend_api_caps: vec![cap("frontend.inputs", true), cap("gateway.warnings", false)],
            llb_caps: vec![cap("source.policy", false), cap("file.base", true)],
            workers: Vec::new(),
        };
        let capabilities = Capabilities::from_pong(&pong);
        assert!(capabilities.has(GatewayCapability::FrontendInputs));
        assert!(!capabilities.has(GatewayCapability::Warnings));
        assert!(!capabilities.has(GatewayCapability::Attestations));
        assert!(!capabilities.has_llb(LlbCapability::SourcePolicy));
        assert!(capabilities.has_llb(LlbCapability::FileOperations));
        assert_eq!(capabilities.request_limit(), OLD_REQUEST_LIMIT);
    }
}

//! What the gate of a build is made of: policies, trust data, and whether trust is on.
//!
//! The frontend's image brings the first policy, in `/etc/trustgate`; the caller of a build
//! can add one in the named context `trustgate`, which can only demand more. The author of
//! the Dockerfile has no say: nothing in the build context is read for settings.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::buildkit::llb::{Graph, Local};
use crate::buildkit::{Gateway, LlbCapability};
use crate::frontend::error::FrontendError;
use crate::frontend::options::{OWN_CONTEXT, OptionError, Options};
use crate::gate::{Gate, TrustSwitch};
use crate::http::{HttpClient, HttpOptions};
use crate::policy::{FILE_LIMIT, Policy, PolicySet, no_files};
use crate::trust::{SignerListing, TrustReader, TrustSource};

/// What surrounds a build: the image's own settings, the network, the time.
pub trait Surroundings: Send + Sync {
    /// The policy of the frontend's image, if it has one.
    fn policy(&self) -> Result<Option<Policy>, FrontendError>;

    /// Where trust data comes from; `server` is what `DOCKER_CONTENT_TRUST_SERVER` says.
    fn trust(&self, server: Option<&str>) -> Result<Arc<dyn TrustSource>, FrontendError>;

    /// The time.
    fn now(&self) -> Timestamp;
}

/// The surroundings of a frontend in its image.
#[derive(Clone, Debug)]
pub struct ImageSettings {
    directory: PathBuf,
}

impl ImageSettings {
    /// With the settings in this directory, `/etc/trustgate` in the image.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }
}

impl Surroundings for ImageSettings {
    fn policy(&self) -> Result<Option<Policy>, FrontendError> {
        let path = self.directory.join(POLICY_FILE);
        match path.try_exists() {
            Ok(false) => Ok(None),
            // a policy that may be there and cannot be seen is one that cannot be obeyed
            Ok(true) | Err(_) => Ok(Some(Policy::load(&path)?)),
        }
    }

    fn trust(&self, server: Option<&str>) -> Result<Arc<dyn TrustSource>, FrontendError> {
        let mut options = HttpOptions::new();
        options.config_dir = Some(self.directory.clone());
        let client = HttpClient::new(options).map_err(|error| FrontendError::Trust(error.to_string()))?;
        let reader = TrustReader::new(client, None, Arc::new(Timestamp::now))
            .with_server(server.map(str::to_owned))
            .with_signers(SignerListing::Required);
        Ok(Arc::new(reader))
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A gate, and whether content trust is off for this build.
pub(super) struct Settings {
    /// Decides.
    pub(super) gate: Gate,
    /// Content trust is off, and every policy lets it be.
    pub(super) disabled: bool,
}

/// Makes the gate of one build.
pub(super) async fn settings(
    gateway: &Gateway,
    options: &Options,
    surroundings: &dyn Surroundings,
) -> Result<Settings, FrontendError> {
    let mut policies: Vec<Policy> = surroundings.policy()?.into_iter().collect();
    policies.extend(caller_policy(gateway, options).await?);
    let policies = PolicySet::new(policies)?;
    let switch = TrustSwitch::from_build_arg(options.build_arg("DOCKER_CONTENT_TRUST"))
        .or(TrustSwitch::from_option(options.value("disable-content-trust")));
    let disabled = match switch {
        TrustSwitch::Enabled => false,
        TrustSwitch::Disabled(by) => policies.disable_allowed(by).is_ok(),
    };
    let trust = surroundings.trust(options.build_arg("DOCKER_CONTENT_TRUST_SERVER"))?;
    let gate = Gate::new(policies, trust, switch).with_now(surroundings.now());
    Ok(Settings { gate, disabled })
}

/// The policy in the named context `trustgate`.
async fn caller_policy(gateway: &Gateway, options: &Options) -> Result<Option<Policy>, FrontendError> {
    let option = format!("context:{OWN_CONTEXT}");
    let Some(value) = options.value(&option) else { return Ok(None) };
    let invalid = |reason: String| OptionError::Invalid { option: option.clone(), reason };
    let directory = value
        .strip_prefix("local:")
        .ok_or_else(|| invalid("the policy of a build has to be in a directory of the client".to_owned()))?;
    let graph = Graph::local(&Local {
        name: directory,
        session: options.session_of(directory),
        follow_paths: &[POLICY_FILE.to_owned()],
        shared_key_hint: &format!("trustgate-{directory}"),
        differ_none: gateway.capabilities().has_llb(LlbCapability::LocalDiffer),
        title: "[trustgate] load policy",
    });
    let reference = gateway
        .solve_definition(graph.definition())
        .await
        .map_err(FrontendError::gateway("the build's policy"))?
        .ok_or_else(|| invalid("it is empty".to_owned()))?;
    let bytes = gateway
        .read_file(&reference, POLICY_FILE, FILE_LIMIT)
        .await
        .map_err(FrontendError::gateway(format!("`{POLICY_FILE}` of the named context `{OWN_CONTEXT}`")))?;
    let text = String::from_utf8(bytes).map_err(|_| invalid(format!("`{POLICY_FILE}` is not UTF-8")))?;
    Ok(Some(Policy::parse(&text, &format!("{OWN_CONTEXT}:{POLICY_FILE}"), &no_files)?))
}

/// The policy's name in either place.
const POLICY_FILE: &str = "policy.toml";

//! One gated build inside `BuildKit`.
//!
//! `BuildKit` starts this process as a frontend and speaks to it over its standard input and
//! output. A build goes through these steps, a file each:
//!
//! 1. [`options`]: what the client asked for, and what becomes of every option;
//! 2. `context`, `remote`: where the Dockerfile is, in every form of a context;
//! 3. `settings`: policies, trust data, whether content trust is on;
//! 4. `ways`, `uses`, `syntax`, `onbuild`: every way in, as a question to the gate; the
//!    `ledger` keeps the answers;
//! 5. `nested`: the same build again, pinned, through the daemon's own frontend;
//! 6. `guarantee`: the graph that comes back is audited and enforced;
//! 7. `report`: what the user is told.
//!
//! Nothing here decides what may enter: `gate` does. Nothing is printed: standard output is
//! the wire, and standard error ends in the daemon's log.

mod context;
mod error;
mod guarantee;
mod ledger;
mod nested;
mod onbuild;
pub mod options;
mod remote;
mod report;
mod settings;
mod syntax;
#[cfg(test)]
mod tests;
mod uses;
mod ways;

pub use error::FrontendError;
pub use remote::RemoteError;
pub use settings::{ImageSettings, Surroundings};

use crate::buildkit::proto::gateway::Result as SolveResult;
use crate::buildkit::{Gateway, GatewayCapability, GatewayError};
use crate::dockerfile::Dockerfile;
use crate::image::Platform;

use self::context::{BuildFile, read_build_file};
use self::guarantee::Guarantee;
use self::ledger::Ledger;
use self::nested::Nested;
use self::options::Options;
use self::syntax::Inner;
use self::uses::Uses;

/// Runs one build and gives its end back to the daemon. After this the process has to exit.
pub async fn serve(
    gateway: &Gateway,
    options: Result<Options, options::OptionError>,
    surroundings: &dyn Surroundings,
) -> Result<(), GatewayError> {
    let result = match options {
        Ok(options) => build(gateway, &options, surroundings).await,
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(result) => gateway.return_result(result).await,
        Err(error) => gateway.return_error(error.into_status()).await,
    }
}

/// One gated build.
pub async fn build(
    gateway: &Gateway,
    options: &Options,
    surroundings: &dyn Surroundings,
) -> Result<SolveResult, FrontendError> {
    if !gateway.capabilities().has(GatewayCapability::FrontendInputs) {
        return Err(FrontendError::Unsupported("this builder cannot pass inputs to a frontend".to_owned()));
    }
    let inputs = gateway.inputs().await.map_err(FrontendError::gateway("the build's inputs"))?;
    let file = read_build_file(gateway, options, &inputs).await?;
    let settings = settings::settings(gateway, options, surroundings).await?;
    let mut ledger = Ledger::new(&settings.gate, settings.disabled);
    let inner = syntax::list(options, &file, &mut ledger);
    if options.subrequest().is_some() {
        return subrequest(gateway, options, &file, &inputs, &inner, ledger).await;
    }

    ways::list(options, &file, &inputs, &mut ledger)?;
    let mut uses = read_uses(gateway, options, &file, &inner)?;
    if let Some(uses) = &uses {
        uses.list(&mut ledger);
    }
    ledger.decide().await;
    let mut triggers = onbuild::TriggerImages::new();
    if let (Some(uses), false, false) = (&mut uses, ledger.is_refused(), ledger.is_disabled()) {
        triggers = onbuild::follow(gateway, options, uses, &mut ledger).await?;
    }
    report::warn(gateway, &file, ledger.report()).await;
    if ledger.is_refused() {
        return Err(report::refused(&file, &ledger));
    }

    let named_contexts = gateway.capabilities().has(GatewayCapability::Warnings);
    let mut nested = Nested::new(options, &file, &inputs);
    nested.options.extend(ways::rewrite(options, &ledger)?);
    if let Some(uses) = &uses {
        let pinned = uses.pin(&ledger, named_contexts)?;
        nested.source = pinned.source;
        nested.add_contexts(pinned.contexts);
    }
    if named_contexts {
        nested.add_contexts(onbuild::pins(&triggers, &ledger));
    }
    nested.choose(options, &inner, &ledger)?;
    let caches = ways::admitted_caches(&nested.options)?;
    let result = nested.solve(gateway).await?;
    let mut result = Guarantee::new(gateway, &nested, caches).enforce(result, &mut ledger).await?;
    if ledger.is_refused() {
        return Err(report::refused(&file, &ledger));
    }
    let sbom = ways::wants_sbom(options) && gateway.capabilities().has(GatewayCapability::Attestations);
    if sbom && !ledger.is_disabled() && !guarantee::has_sbom(&result) {
        return Err(FrontendError::Unsupported(
            "an SBOM was asked for and none came back, so the builder would run a generator that nobody verified"
                .to_owned(),
        ));
    }
    report::publish(&mut result, &file, &ledger);
    Ok(result)
}

/// A question about the Dockerfile: it passes through, and must not bring a build back.
async fn subrequest(
    gateway: &Gateway,
    options: &Options,
    file: &BuildFile,
    inputs: &std::collections::BTreeMap<String, Vec<u8>>,
    inner: &Inner,
    mut ledger: Ledger<'_>,
) -> Result<SolveResult, FrontendError> {
    ledger.decide().await;
    if ledger.is_refused() {
        return Err(report::refused(file, &ledger));
    }
    let mut nested = Nested::new(options, file, inputs);
    nested.options.extend(ways::unverified(options)?);
    nested.choose(options, inner, &ledger)?;
    let result = nested.solve(gateway).await?;
    let result = Guarantee::new(gateway, &nested, Vec::new()).enforce(result, &mut ledger).await?;
    if ledger.is_refused() { Err(report::refused(file, &ledger)) } else { Ok(result) }
}

/// The Dockerfile as it is read for each platform. `None` where another frontend takes the
/// file and this one cannot read it: then nothing in it is pinned, and the audit decides.
fn read_uses(
    gateway: &Gateway,
    options: &Options,
    file: &BuildFile,
    inner: &Inner,
) -> Result<Option<Uses>, FrontendError> {
    let available = gateway.capabilities().platforms();
    let build_platform = available.first().cloned().unwrap_or_else(Platform::host);
    let mut targets = options.platforms()?;
    if targets.is_empty() {
        targets.push(build_platform.clone());
    }
    let read = Dockerfile::parse(&file.source)
        .and_then(|parsed| Uses::read(parsed, &file.name, options, &build_platform, &targets));
    match (read, inner) {
        (Ok(uses), _) => Ok(Some(uses)),
        (Err(_), Inner::Image { .. }) => Ok(None),
        (Err(error), Inner::Builtin) => Err(report::unreadable(&file.name, &file.source, &error)),
    }
}

//! A frontend that does nothing but forward: what the gate is compared with.
//!
//! It runs where `trustgate-frontend` runs, hands every option to the built-in
//! `dockerfile.v0`, and returns what comes back.

use std::collections::BTreeMap;

use trustgate::buildkit::Gateway;
use trustgate::buildkit::proto::gateway::SolveRequest;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let gateway = Gateway::connect_standard_pipes().await?;
    let mut options: BTreeMap<String, String> = std::env::vars()
        .filter(|(name, _)| name.starts_with("BUILDKIT_FRONTEND_OPT_"))
        .filter_map(|(_, option)| {
            option.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
        })
        .collect();
    options.remove("source");
    options.remove("build-arg:BUILDKIT_SYNTAX");
    options.insert("cmdline".to_owned(), "forward".to_owned());
    let request = SolveRequest {
        frontend: "dockerfile.v0".to_owned(),
        frontend_opt: options,
        ..SolveRequest::default()
    };
    match gateway.solve(request).await {
        Ok(result) => gateway.return_result(result).await?,
        Err(error) => gateway.return_error(error.into_status()).await?,
    }
    std::process::exit(0)
}

//! `trustgate-frontend`, the image that `BuildKit` runs.

use std::process::ExitCode;

use trustgate::buildkit::Gateway;
use trustgate::frontend::options::Options;
use trustgate::frontend::{ImageSettings, serve};

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let outcome = runtime.block_on(async {
        let gateway = Gateway::connect_standard_pipes().await?;
        let options = Options::from_environment(std::env::vars_os());
        serve(&gateway, options, &ImageSettings::new("/etc/trustgate")).await
    });
    // The build is over and the daemon waits for this process: nothing may hold it up.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Standard output is the wire; what goes to standard error ends in the daemon's log.
#[expect(clippy::print_stderr, reason = "there is no connection left to report on")]
fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("trustgate-frontend: {error}");
    ExitCode::FAILURE
}

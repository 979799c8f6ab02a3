//! `trustgate`, the command for people and CI.

use std::process::ExitCode;
use std::sync::Arc;

use trustgate::cli::{self, Environment};

fn main() -> ExitCode {
    let environment = Environment::of_process(Arc::new(jiff::Timestamp::now));
    cli::run(std::env::args_os(), &environment).into()
}

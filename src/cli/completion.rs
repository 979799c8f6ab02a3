//! `trustgate completion`: a script that completes commands and options in a shell.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::exit::{Exit, Failure};
use super::output::Output;

/// What `completion` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell that the script is for
    #[arg(value_enum)]
    pub(super) shell: Shell,
}

/// Prints the script.
pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let mut command = super::arguments::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "trustgate", &mut script);
    output.data(&script)?;
    Ok(Exit::Done)
}

pub(super) const EXAMPLES: &str = "\
Examples:
  In this shell:
      source <(trustgate completion bash)
  For good:
      trustgate completion bash > ~/.local/share/bash-completion/completions/trustgate
      trustgate completion zsh > \"${fpath[1]}/_trustgate\"
      trustgate completion fish > ~/.config/fish/completions/trustgate.fish";

//! What can be typed: the commands, their options and their help.
//!
//! Only the shape of the command line is known here. What an option comes to,
//! together with the environment, is worked out in `settings`; no variable is read.

#![expect(clippy::doc_markdown, reason = "the comments on fields are the help text, which is no markdown")]

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{
    build, completion, container, inspect, key, pin, pull, push, repo, revoke, sandbox, sign, signer, status,
    verify,
};

/// The command line of `trustgate`.
#[derive(Debug, Parser)]
#[command(
    name = "trustgate",
    version,
    about = "Images enter a build signed, or not at all",
    long_about = ABOUT,
    after_long_help = AFTER,
    styles = STYLES,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(super) struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub(super) global: GlobalArguments,
    /// What is to be done.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The commands, in the order in which `--help` lists them.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the signed digest of images
    #[command(long_about = verify::ABOUT, after_long_help = verify::EXAMPLES)]
    Verify(verify::Arguments),
    /// Write signed digests into Dockerfiles
    #[command(long_about = pin::ABOUT, after_long_help = pin::EXAMPLES)]
    Pin(pin::Arguments),
    /// Build from signed images, and sign what is pushed
    #[command(long_about = build::ABOUT, after_long_help = build::EXAMPLES)]
    Build(build::Arguments),
    /// Push an image and sign its tag
    #[command(long_about = push::ABOUT, after_long_help = push::EXAMPLES)]
    Push(push::Arguments),
    /// Pull the signed image of a tag
    #[command(long_about = pull::ABOUT, after_long_help = pull::EXAMPLES)]
    Pull(pull::Arguments),
    /// Create a container of a signed image, with docker's own arguments
    #[command(long_about = container::CREATE_ABOUT, after_long_help = container::CREATE_EXAMPLES)]
    Create(container::Arguments),
    /// Run a signed image in a new container, with docker's own arguments
    #[command(long_about = container::RUN_ABOUT, after_long_help = container::RUN_EXAMPLES)]
    Run(container::Arguments),
    /// Sign a tag that is in the registry
    #[command(long_about = sign::ABOUT, after_long_help = sign::EXAMPLES)]
    Sign(sign::Arguments),
    /// Take signatures back
    #[command(long_about = revoke::ABOUT, after_long_help = revoke::EXAMPLES)]
    Revoke(revoke::Arguments),
    /// Print what is signed in repositories, by whom, and until when
    #[command(long_about = inspect::ABOUT, after_long_help = inspect::EXAMPLES)]
    Inspect(inspect::Arguments),
    /// Print how long the trust data known here is valid, and who can sign it
    #[command(long_about = status::ABOUT, after_long_help = status::EXAMPLES)]
    Status(status::Arguments),
    /// Make, load, list, back up and remove private keys
    Key(key::Arguments),
    /// Say who may sign the tags of a repository
    Signer(signer::Arguments),
    /// Make, renew, look after and delete the trust data of repositories
    Repo(repo::Arguments),
    /// Start a registry and a trust server to try content trust with, and end them
    Sandbox(sandbox::Arguments),
    /// Print a shell completion script
    #[command(after_long_help = completion::EXAMPLES)]
    Completion(completion::Arguments),
}

/// The options that every command takes.
#[derive(Debug, Args)]
pub(super) struct GlobalArguments {
    /// Docker's configuration folder [default: $DOCKER_CONFIG, else ~/.docker]
    ///
    /// Credentials, credential helpers, `tls/<host>/` and the cache of trust data are found there.
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub(super) config: Option<PathBuf>,

    /// Policy file; give it again for more layers, which can only tighten one another
    ///
    /// /etc/trustgate/policy.toml always applies where it exists. Instead of the files named here,
    /// $TRUSTGATE_POLICY (files separated by `:`) or else $XDG_CONFIG_HOME/trustgate/policy.toml
    /// is read.
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub(super) policy: Vec<PathBuf>,

    /// Refuse cached trust data: the trust server must answer
    ///
    /// Without it, trust data that was fetched earlier is used while the server can't be reached,
    /// until its timestamp expires, and a warning says so.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(super) require_fresh: bool,

    /// Let images pass unverified, unless the policy forbids it
    ///
    /// The same as DOCKER_CONTENT_TRUST=0 in the environment; `--disable-content-trust=false`
    /// overrides that.
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = parse_bool,
        help_heading = GLOBAL
    )]
    pub(super) disable_content_trust: Option<bool>,

    /// Trust server for repositories whose server the policy does not name
    /// [default: $DOCKER_CONTENT_TRUST_SERVER, else the registry's host]
    #[arg(long, global = true, value_name = "URL", help_heading = GLOBAL)]
    pub(super) server: Option<String>,

    /// Folder of cached trust data [default: trust in docker's configuration folder]
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub(super) trust_dir: Option<PathBuf>,

    /// When to use color: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t = ColorChoice::Auto,
        hide_possible_values = true,
        help_heading = GLOBAL
    )]
    pub(super) color: ColorChoice,

    /// Print results and refusals only: no warnings, no progress
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    pub(super) quiet: bool,
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorChoice {
    /// On terminals, unless `NO_COLOR` is set.
    Auto,
    /// Even into a file.
    Always,
    /// Not at all.
    Never,
}

/// Reads a switch as docker's own flags do.
fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

const GLOBAL: &str = "Options of every command";

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const ABOUT: &str = "\
Images enter a build signed, or not at all.

A tag is a promise that anybody with push rights can break. With Docker Content Trust the \
publisher signs \"this tag is this digest\". trustgate checks the signature against the trust \
server (Notary v1) and hands on digests, never tags.";

const AFTER: &str = "\
Examples:
  Which digest of alpine:3.20 is signed?
      trustgate verify alpine:3.20
  Show what pinning would change in ./Dockerfile:
      trustgate pin
  Pin two files in place:
      trustgate pin --write Dockerfile worker/Dockerfile
  In CI: fail when an image is unpinned, unsigned, or pinned to an old digest:
      trustgate pin --check --output sarif > trustgate.sarif

Exit codes:
  0  done, and every check held
  1  refused, or a check did not hold
  2  wrong usage or configuration
  3  could not find out: server unreachable, no such repository";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    fn disabled(words: &[&str]) -> Option<bool> {
        let arguments = Arguments::try_parse_from(["trustgate", "verify"].iter().chain(words)).unwrap();
        arguments.global.disable_content_trust
    }

    #[test]
    fn the_switch_takes_a_value_only_after_an_equals_sign() {
        assert_eq!(disabled(&["a"]), None);
        assert_eq!(disabled(&["--disable-content-trust", "a"]), Some(true));
        assert_eq!(disabled(&["--disable-content-trust=false", "a"]), Some(false));
        assert_eq!(disabled(&["--disable-content-trust=T", "a"]), Some(true));
    }
}

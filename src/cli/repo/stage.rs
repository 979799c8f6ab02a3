//! `trustgate repo stage`: changes for later, in notary's own files.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use sha2::{Digest as _, Sha256, Sha512};

use super::role_name;
use super::staged::Shown;
use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::names;
use crate::cli::output::Output;
use crate::cli::settings::Settings;
use crate::cli::signing::{Telling, publish_failure, publisher, tell};
use crate::http::read_bounded;
use crate::image::{Digest, DigestAlgorithm, Gun};
use crate::text::visible;
use crate::trust::publish::Change;
use crate::tuf::{RoleName, Target};

/// What `repo stage` takes.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A tag, with the digest and size of its manifest, or a file's
    Add(AddArguments),
    /// A tag's signature goes
    Remove(RemoveArguments),
    /// Roles are signed again as they are
    Witness(WitnessArguments),
}

#[derive(Debug, Args)]
struct AddArguments {
    /// Repository
    name: String,

    /// Tag, or any other name that is signed
    tag: String,

    /// File whose content is signed
    #[arg(long, value_name = "FILE", required_unless_present = "digest")]
    file: Option<PathBuf>,

    /// Digest that is signed, sha256:…
    #[arg(long, conflicts_with = "file", requires = "size")]
    digest: Option<Digest>,

    /// Size of what has the digest, in bytes
    #[arg(long, value_name = "BYTES", requires = "digest")]
    size: Option<u64>,

    #[command(flatten)]
    common: CommonArguments,
}

#[derive(Debug, Args)]
struct RemoveArguments {
    /// Repository
    name: String,

    /// Tag, or any other name that is signed
    tag: String,

    #[command(flatten)]
    common: CommonArguments,
}

#[derive(Debug, Args)]
struct WitnessArguments {
    /// Repository
    name: String,

    /// targets, or a delegation by its full name or its signer's
    #[arg(required = true)]
    roles: Vec<String>,

    #[command(flatten)]
    form: FormArguments,
}

#[derive(Debug, Args)]
struct CommonArguments {
    /// Role that signs it: targets, or a delegation by its full name or its signer's; give it again for more
    #[arg(long, default_value = "targets")]
    role: Vec<String>,

    #[command(flatten)]
    form: FormArguments,
}

/// Stages it.
pub(super) fn run(arguments: &Arguments, settings: &Settings, output: &mut Output) -> Result<Exit, Failure> {
    match &arguments.what {
        What::Add(add) => {
            let target = target(add)?;
            let change = |role| Change::AddTarget { role, name: add.tag.clone(), target: target.clone() };
            check_name(&add.tag)?;
            stage(&add.name, &add.common.role, change, add.common.form, settings, output)
        }
        What::Remove(remove) => {
            let change = |role| Change::RemoveTarget { role, name: remove.tag.clone() };
            check_name(&remove.tag)?;
            stage(&remove.name, &remove.common.role, change, remove.common.form, settings, output)
        }
        What::Witness(witness) => {
            let change = |role| Change::Witness { role };
            stage(&witness.name, &witness.roles, change, witness.form, settings, output)
        }
    }
}

fn stage(
    name: &str,
    roles: &[String],
    change: impl Fn(RoleName) -> Change,
    form: FormArguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let gun = names::repository(name)?.gun();
    let roles: Vec<RoleName> = roles.iter().map(|it| signing_role(it)).collect::<Result<_, _>>()?;
    let publisher = publisher(settings, &gun, tell(Telling::Nothing))?;
    let mut staged = Vec::with_capacity(roles.len());
    for role in roles {
        let one = publisher.stage(&gun, &change(role)).map_err(|error| publish_failure(&error))?;
        staged.push(one);
    }
    let shown: Vec<Shown> = staged.iter().map(Shown::of).collect();
    for it in &shown {
        let what = if it.path.is_empty() { it.kind.to_owned() } else { format!("{} {}", it.kind, it.path) };
        let line = format!("Staged for {}: {} {what} in {}", gun.familiar(), it.action, it.role);
        form.line(&line, output)?;
    }
    output.remark(&format!("publish it: trustgate repo publish {}", gun.familiar()));
    form.json(&Answer { repository: &gun, staged: shown }, output)?;
    Ok(Exit::Done)
}

/// Roles whose files say what is signed.
fn signing_role(text: &str) -> Result<RoleName, Failure> {
    let role = role_name(text)?;
    if role == RoleName::TARGETS || role.is_delegation() {
        return Ok(role);
    }
    Err(Failure::usage(format!("`{role}` signs no tags")).help("name targets, a signer, or targets/…"))
}

/// A control character would make a name that nobody could sign.
fn check_name(name: &str) -> Result<(), Failure> {
    if !name.is_empty() && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "`{}` can't be signed: it is empty, or holds control characters",
        visible(name)
    )))
}

fn target(add: &AddArguments) -> Result<Target, Failure> {
    if let (Some(digest), Some(length)) = (&add.digest, add.size) {
        let sha256 = match digest.algorithm() {
            DigestAlgorithm::Sha256 => hex::decode(digest.hex()).ok().and_then(|it| it.try_into().ok()),
            _ => None,
        };
        let Some(sha256) = sha256 else {
            return Err(Failure::usage(format!("`{digest}` is no SHA-256 digest"))
                .help("docker reads no other kind: sha256: and 64 digits"));
        };
        return Ok(Target { length, sha256: Some(sha256), sha512: None, custom: None });
    }
    let path = add.file.as_deref().unwrap_or(Path::new(""));
    let content = read_bounded(path, FILE_LIMIT)
        .map_err(|error| Failure::unknown(format!("`{}`: {error}", path.display())))?;
    Ok(Target {
        length: u64::try_from(content.len()).unwrap_or(u64::MAX),
        sha256: Some(Sha256::digest(&content).into()),
        sha512: Some(Sha512::digest(&content).into()),
        custom: None,
    })
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    repository: &'a Gun,
    staged: Vec<Shown>,
}

/// What is signed is a manifest, mostly; notary reads whole files into memory, too.
const FILE_LIMIT: u64 = 1 << 30;

pub(super) const ABOUT: &str = "\
Stage a change, to be published later.

Staged changes are notary's own files: `notary status` lists them, and `notary publish` publishes them, too. \
To sign a tag at once, use `trustgate sign`.";

pub(super) const EXAMPLES: &str = "\
Examples:
  Two tags that appear together:
      trustgate repo stage add acme/base 1.4 --digest sha256:3f6c… --size 523
      trustgate repo stage add acme/base latest --digest sha256:3f6c… --size 523
      trustgate repo publish acme/base
  A file that is no image:
      trustgate repo stage add acme/base checksums.txt --file checksums.txt";

//! `trustgate key rotate`: new keys for a role of a repository, in the place of those that it has.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::{imported_key, named_key};
use crate::cli::exit::{Exit, Failure};
use crate::cli::names;
use crate::cli::output::Output;
use crate::cli::published::{Answer, ChangeArguments, conclude, talking_publisher};
use crate::cli::settings::Settings;
use crate::cli::signing::{Passphrases, confirm, key_store, publish_failure};
use crate::image::Gun;
use crate::keys::KeyRole;
use crate::trust::publish::{ManagedBy, Rotation};
use crate::tuf::{KeyId, RoleName};

/// What `key rotate` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Repository
    name: String,

    /// root, targets, snapshot or timestamp
    role: String,

    /// The trust server makes and keeps the new key: always so for timestamp, possible for snapshot
    #[arg(long, short = 'r')]
    server_managed: bool,

    /// New key: its ID or the start of it, or a file of it, which is imported; give it again for more
    /// [default: a new one is made]
    #[arg(long, short, value_name = "KEY", conflicts_with = "server_managed")]
    key: Vec<String>,

    /// For root: let the keys of so many older versions sign, too, for clients that missed rotations
    #[arg(long, short, value_name = "NUMBER", default_value_t = 0)]
    legacy: u32,

    /// Ask no question
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    change: ChangeArguments,
}

/// Rotates them.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let gun = names::repository(&arguments.name)?.gun();
    let role = base_role(arguments)?;
    let familiar = gun.familiar();
    if role == RoleName::ROOT && !arguments.yes {
        let question = format!(
            "You are about to rotate the root key of {familiar}. The old root key signs the new root, and is \
             needed again for consumers who have not seen it yet: do not delete it.\n\
             Are you sure you want to proceed? [y/N] "
        );
        if !confirm(&question, output)? {
            return Err(Failure::refused(format!("the root key of `{familiar}` stays as it is"))
                .help("rotate it without a question: --yes"));
        }
    }
    let mut passphrases = arguments.change.passphrases.passphrases(settings)?;
    let mut new_keys = Vec::with_capacity(arguments.key.len());
    for key in &arguments.key {
        new_keys.push(new_key(key, &role, &gun, settings, &mut passphrases)?);
    }
    let by_server = arguments.server_managed || role == RoleName::TIMESTAMP;
    let managed_by = if by_server { ManagedBy::Server } else { ManagedBy::Client };
    let rotation = Rotation { managed_by, new_keys, legacy: arguments.legacy };
    let publisher = talking_publisher(settings, &gun, arguments.change.form)?;
    let outcome = publisher.rotate(&gun, &role, &rotation, &mut passphrases).await;
    let outcome = outcome.map_err(|error| publish_failure(&error))?;
    let answer =
        conclude(&gun, &outcome, arguments.change.partial.as_deref(), arguments.change.form, output)?;
    if !answer.is_incomplete() {
        arguments
            .change
            .form
            .line(&format!("Successfully rotated {role} key for repository {familiar}"), output)?;
    }
    let exit = answer.exit();
    arguments.change.form.json(&Rotated { role, answer }, output)?;
    Ok(exit)
}

fn base_role(arguments: &Arguments) -> Result<RoleName, Failure> {
    let role = match arguments.role.as_str() {
        "root" => RoleName::ROOT,
        "targets" => RoleName::TARGETS,
        "snapshot" => RoleName::SNAPSHOT,
        "timestamp" => RoleName::TIMESTAMP,
        other => {
            let failure = Failure::usage(format!("`{other}` has no key to rotate"));
            return Err(failure
                .note("root, targets, snapshot and timestamp have")
                .help("for a signer's key: trustgate signer add, then trustgate signer remove --key"));
        }
    };
    if arguments.server_managed && (role == RoleName::ROOT || role == RoleName::TARGETS) {
        return Err(Failure::usage(format!("the trust server can't keep the {role} key"))
            .note("whoever runs the server could then sign whatever they like"));
    }
    if role == RoleName::TIMESTAMP && !arguments.key.is_empty() {
        return Err(Failure::usage("the timestamp key is the trust server's alone")
            .help("leave out --key: the server makes a new one"));
    }
    if role != RoleName::ROOT && arguments.legacy > 0 {
        return Err(Failure::usage("--legacy is about root keys only"));
    }
    Ok(role)
}

/// A key that is here for this role, or that a file holds.
fn new_key(
    key: &str,
    role: &RoleName,
    gun: &Gun,
    settings: &Settings,
    passphrases: &mut Passphrases,
) -> Result<KeyId, Failure> {
    let store = key_store(settings)?;
    let key_role = KeyRole::of(role);
    let gun = key_role.needs_gun().then_some(gun);
    if Path::new(key).is_file() {
        return imported_key(Path::new(key), &key_role, gun, &store, passphrases);
    }
    let stored = named_key(&store, key)?;
    if stored.role == key_role && stored.gun.as_ref() == gun {
        return Ok(stored.id);
    }
    let of = stored.gun.map(|it| format!(" of {it}")).unwrap_or_default();
    Err(Failure::usage(format!("{} is a {} key{of}", stored.id, stored.role))
        .note(format!("a {role} key is wanted"))
        .help("see which there are: trustgate key list"))
}

/// The answer as JSON.
#[derive(Serialize)]
struct Rotated {
    role: RoleName,
    #[serde(flatten)]
    answer: Answer,
}

pub(super) const ABOUT: &str = "\
Replace the keys of a repository's role.

The root key must be here. The new root names the new keys; what the role signs is signed anew, and old keys that \
nothing needs any more are removed, root keys excepted. Consumers follow by themselves.";

pub(super) const EXAMPLES: &str = "\
Examples:
  A new targets key, after somebody left:
      trustgate key rotate acme/base targets
  The trust server signs snapshots from now on:
      trustgate key rotate --server-managed acme/base snapshot
  A root key that was made offline:
      trustgate key rotate --key new-root.pem acme/base root";

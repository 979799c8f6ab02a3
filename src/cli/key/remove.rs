//! `trustgate key remove`: private keys taken off this machine for good.

use clap::Args;
use serde::Serialize;

use super::named_key;
use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::output::Output;
use crate::cli::repo::known::{Use, uses_of_keys};
use crate::cli::settings::Settings;
use crate::cli::signing::{confirm, key_failure, key_store};
use crate::image::Gun;
use crate::keys::StoredKey;
use crate::tuf::{KeyId, RoleName};

/// What `key remove` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The key's ID, or the start of it
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,

    /// Ask no question
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    form: FormArguments,
}

/// Removes them, each after a question.
pub(super) fn run(arguments: &Arguments, settings: &Settings, output: &mut Output) -> Result<Exit, Failure> {
    let store = key_store(settings)?;
    let mut keys: Vec<StoredKey> = Vec::new();
    for text in &arguments.keys {
        let key = named_key(&store, text)?;
        if keys.iter().all(|it| it.id != key.id) {
            keys.push(key);
        }
    }
    let uses = uses_of_keys(settings);
    let mut removed = Vec::new();
    let mut exit = Exit::Done;
    for key in &keys {
        let of_key: Vec<&Use> = uses.iter().filter(|it| it.keys.contains(&key.id)).collect();
        warn(key, &of_key, output);
        let of = key.gun.as_ref().map(|it| format!(" of {it}")).unwrap_or_default();
        let question = format!("Remove the {} key{of} {} for good? [y/N] ", key.role, key.id);
        if !arguments.yes && !confirm(&question, output)? {
            output.talk(&format!("key {} stays; to remove it without a question: --yes", key.id));
            exit = exit.and(Exit::Refused);
            continue;
        }
        store.remove(&key.id).map_err(|error| key_failure(&error))?;
        arguments.form.line(&format!("Removed key {}", key.id), output)?;
        removed.push(Removed {
            key_id: &key.id,
            role: key.role.as_str(),
            repository: key.gun.as_ref(),
            used_by: of_key.iter().map(|it| it.gun.clone()).collect(),
        });
    }
    arguments.form.json(&removed, output)?;
    Ok(exit)
}

/// What becomes impossible without the key.
fn warn(key: &StoredKey, used: &[&Use], output: &mut Output) {
    let of_root: Vec<&&Use> = used.iter().filter(|it| it.role == RoleName::ROOT).collect();
    let export = format!("  = help: export it first: trustgate key export --key {} -o key.pem", key.id);
    if !of_root.is_empty() {
        let count = match of_root.len() {
            1 => "1 repository".to_owned(),
            more => format!("{more} repositories"),
        };
        let named: Vec<&str> = of_root.iter().take(NAMED).map(|it| it.gun.as_str()).collect();
        let more = if of_root.len() > NAMED { ", …" } else { "" };
        output.talk(&format!(
            "warning: this is the root key of {count} known here: {}{more}\n  \
             = without it nothing can be rotated there, no administrator replaced; and it can't be made again\n\
             {export}",
            named.join(", "),
        ));
    } else if key.role.as_str() == "root" {
        output.talk(&format!("warning: this is a root key, which can't be made again\n{export}"));
    } else if let Some(one) = used.first() {
        output.talk(&format!(
            "warning: this is the {} key of {}; without it, nobody can sign there for that role, \
             and only its root key can replace it\n{export}",
            one.role, one.gun,
        ));
    }
}

/// One removed key of the answer as JSON.
#[derive(Serialize)]
struct Removed<'a> {
    key_id: &'a KeyId,
    role: &'a str,
    repository: Option<&'a Gun>,
    /// The repositories known here whose root names it.
    used_by: Vec<Gun>,
}

/// Enough to recognise what a key is for.
const NAMED: usize = 5;

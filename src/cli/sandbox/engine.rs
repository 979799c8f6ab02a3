//! A docker engine of the sandbox's own, where none answers and one can be started.

use std::path::Path;

use rustix::process::geteuid;

use super::configuration::in_path;
use super::folder::{Folder, Notes};
use super::parts::{log, wait};
use super::process::{self, Identity};
use crate::cli::exit::Failure;
use crate::cli::settings::Settings;
use crate::docker::Engine;

/// Has an engine answer. What keeps that from being so is a remark, not a failure: the rest works without.
pub(super) async fn ensure(
    folder: &Folder,
    notes: &mut Notes,
    settings: &Settings,
) -> Result<Option<String>, Failure> {
    if notes.engine.is_none() && Engine::connect(&settings.engine_options()).await.is_ok() {
        return Ok(None);
    }
    if !geteuid().is_root() {
        return Ok(Some("no docker engine answers, and only root can start one".to_owned()));
    }
    let Some(program) = in_path("dockerd", settings.search_path()) else {
        return Ok(Some(
            "no docker engine answers, and dockerd is not installed: apt install docker.io".to_owned(),
        ));
    };
    match start(folder, notes, &program).await {
        Ok(()) => Ok(None),
        Err(failure) => {
            stop(folder, notes).await?;
            let notes: Vec<&str> = failure.notes().iter().map(String::as_str).collect();
            Ok(Some(format!("there is no docker engine: {} ({})", failure.message(), notes.join("; "))))
        }
    }
}

async fn start(folder: &Folder, notes: &mut Notes, program: &Path) -> Result<(), Failure> {
    folder.make_below(ENGINE)?;
    // What the machine's own engine is told has no say here.
    folder.put("engine.json", b"{}\n")?;
    let place = folder.path().display();
    let socket = format!("{place}/engine.sock");
    if SOCKET_LIMIT < socket.len() {
        return Err(Failure::unknown(format!("`{socket}` is too long for a socket's name")));
    }
    let words = [
        program.to_string_lossy().into_owned(),
        format!("--config-file={place}/engine.json"),
        format!("--host=unix://{socket}"),
        format!("--data-root={place}/engine"),
        format!("--exec-root={place}/engine-run"),
        format!("--pidfile={place}/engine.pid"),
        // Nothing of the machine's network changes.
        "--bridge=none".to_owned(),
        "--iptables=false".to_owned(),
        "--ip-forward=false".to_owned(),
    ];
    let known = notes.processes.get(ENGINE).filter(|it| it.runs()).cloned();
    let identity = if let Some(identity) = known.or_else(|| process::find(&words)) {
        identity
    } else {
        end_helpers(folder).await?;
        for left in ["engine.pid", "engine.sock"] {
            let _ = std::fs::remove_file(folder.join(left));
        }
        notes.commands.insert(ENGINE.to_owned(), words.to_vec());
        folder.write(notes)?;
        process::start(&words, folder.path(), &log(folder, ENGINE))?
    };
    notes.processes.insert(ENGINE.to_owned(), identity.clone());
    notes.engine = Some(format!("unix://{socket}"));
    folder.write(notes)?;
    wait(ENGINE, &identity, &format!("unix://{socket}"), &log(folder, ENGINE)).await
}

/// Ends it, and what it leaves: its containerd, and mounts.
pub(super) async fn stop(folder: &Folder, notes: &mut Notes) -> Result<(), Failure> {
    let words = notes.commands.remove(ENGINE);
    let known = notes.processes.remove(ENGINE).filter(Identity::runs);
    if words.is_none() && known.is_none() {
        return Ok(());
    }
    if let Some(identity) = known.or_else(|| words.and_then(|it| process::find(&it))) {
        identity.end().await?;
    }
    notes.engine = None;
    end_helpers(folder).await?;
    unmount_below(folder.path())
}

/// A containerd whose engine was killed.
async fn end_helpers(folder: &Folder) -> Result<(), Failure> {
    let settings = folder.join("engine-run/containerd/containerd.toml");
    while let Some(helper) = process::find_told("containerd", &settings.to_string_lossy()) {
        helper.end().await?;
    }
    Ok(())
}

/// Mounts of an engine that was killed would keep its folder from being removed.
fn unmount_below(folder: &Path) -> Result<(), Failure> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    // Those below others come later.
    for place in places.filter(|it| Path::new(it).starts_with(folder)).collect::<Vec<_>>().into_iter().rev() {
        let ended = std::process::Command::new("umount").args(["--lazy", place]).output();
        let ended = ended.is_ok_and(|it| it.status.success());
        if !ended {
            return Err(Failure::unknown(format!("`{place}` cannot be unmounted")));
        }
    }
    Ok(())
}

pub(super) const ENGINE: &str = "engine";
/// The system takes no longer names of sockets.
const SOCKET_LIMIT: usize = 107;

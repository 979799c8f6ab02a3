//! Starts what does not run, and waits until it answers.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use super::configuration::Part;
use super::folder::{Folder, Notes};
use super::process::{self, Identity};
use crate::cli::exit::Failure;

/// Has the part run, and noted which process it is.
pub(super) async fn ensure(folder: &Folder, notes: &mut Notes, part: &Part) -> Result<(), Failure> {
    let address = notes.address(part.name).unwrap_or_default();
    let identity = if let Some(identity) = running(notes, part) {
        identity
    } else {
        check_port(part.name, &address)?;
        notes.commands.insert(part.name.to_owned(), part.words.clone());
        // Should this command end right after the start, the next one knows the process by its words.
        folder.write(notes)?;
        process::start(&part.words, folder.path(), &log(folder, part.name))?
    };
    notes.processes.insert(part.name.to_owned(), identity.clone());
    folder.write(notes)?;
    wait(part.name, &identity, &address, &log(folder, part.name)).await
}

/// The process of a part, whether it was noted or only started.
pub(super) fn running(notes: &Notes, part: &Part) -> Option<Identity> {
    let known = notes.processes.get(part.name).filter(|it| it.runs());
    known.cloned().or_else(|| process::find(&part.words))
}

/// Waits until somebody listens there.
pub(super) async fn wait(name: &str, identity: &Identity, address: &str, log: &Path) -> Result<(), Failure> {
    let deadline = Instant::now() + START_PATIENCE;
    while !answers(address).await {
        if !identity.runs() {
            let failure = Failure::unknown(format!("the {name} of the sandbox ended as it started"));
            return Err(failure.note(process::last_words(log)));
        }
        if deadline < Instant::now() {
            let failure = Failure::unknown(format!("the {name} of the sandbox does not answer at {address}"));
            return Err(failure.note(process::last_words(log)).help("trustgate sandbox down"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Whether somebody listens there: `127.0.0.1:PORT` or `unix://PATH`.
pub(super) async fn answers(address: &str) -> bool {
    let connected = async {
        match address.strip_prefix("unix://") {
            Some(path) => tokio::net::UnixStream::connect(path).await.is_ok(),
            None => tokio::net::TcpStream::connect(address).await.is_ok(),
        }
    };
    tokio::time::timeout(CONNECT_PATIENCE, connected).await.unwrap_or(false)
}

pub(super) fn log(folder: &Folder, name: &str) -> std::path::PathBuf {
    folder.join("log").join(name)
}

fn check_port(name: &str, address: &str) -> Result<(), Failure> {
    let parsed: Result<SocketAddr, _> = address.parse();
    let parsed = parsed.map_err(|error| Failure::unknown(format!("`{address}` is no address: {error}")))?;
    TcpListener::bind(parsed).map(drop).map_err(|error| {
        Failure::unknown(format!("the {name} of the sandbox cannot listen at {address} again: {error}"))
            .help("end the program that listens there, then: trustgate sandbox up")
            .help("or begin anew, at other ports: trustgate sandbox down, then up")
    })
}

/// Who asks ends before who is asked.
pub(super) const END_ORDER: [&str; 3] = ["server", "signer", "registry"];
/// Each part starts in less than a second, on an idle machine.
const START_PATIENCE: Duration = Duration::from_mins(1);
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

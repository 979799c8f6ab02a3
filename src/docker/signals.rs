//! Signals to this process while docker's command runs beside it, and afterwards.
//!
//! A handler that was installed once can't be taken back, so the thread that passes signals on to
//! docker's command ends this process when there is none any more: as a signal would have done.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use tokio::signal::unix::{SignalKind, signal};

/// Whom signals are for; it goes back to this process when dropped.
#[derive(Debug)]
pub(super) struct Signals(());

impl Signals {
    /// Handles signals from now on; they wait until [`Signals::pass_to`] says for whom they are.
    pub(super) fn catch() -> io::Result<Self> {
        let started = WATCHER.get_or_init(|| {
            let (ready, is_ready) = mpsc::channel();
            // A thread of its own: whoever asks for a passphrase blocks the one of the commands.
            let thread = std::thread::Builder::new().name("signals".to_owned());
            thread.spawn(move || run(&ready)).map_err(|error| error.to_string())?;
            is_ready.recv().map_err(|error| error.to_string())?
        });
        started.clone().map_err(io::Error::other)?;
        CHILD.store(STARTING, Ordering::SeqCst);
        Ok(Self(()))
    }

    /// Passes signals on to this process.
    #[expect(clippy::unused_self, reason = "only who caught the signals may pass them on")]
    pub(super) fn pass_to(&self, child: i32) {
        CHILD.store(child, Ordering::SeqCst);
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        CHILD.store(NOBODY, Ordering::SeqCst);
    }
}

fn run(ready: &mpsc::Sender<Result<(), String>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.and_then(|runtime| runtime.block_on(pass_on(ready)));
    if let Err(error) = outcome {
        // Who waits is gone only if it has been told already.
        let _ = ready.send(Err(error.to_string()));
    }
}

async fn pass_on(ready: &mpsc::Sender<Result<(), String>>) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut user1 = signal(SignalKind::user_defined1())?;
    let mut user2 = signal(SignalKind::user_defined2())?;
    let _ = ready.send(Ok(()));
    loop {
        let received = tokio::select! {
            _ = hangup.recv() => Signal::HUP,
            _ = interrupt.recv() => Signal::INT,
            _ = quit.recv() => Signal::QUIT,
            _ = terminate.recv() => Signal::TERM,
            _ = user1.recv() => Signal::USR1,
            _ = user2.recv() => Signal::USR2,
        };
        while CHILD.load(Ordering::SeqCst) == STARTING {
            // Nothing but the number says that the start is over, and it takes no longer than a fork.
            tokio::time::sleep(MOMENT).await;
        }
        let Some(child) = Pid::from_raw(CHILD.load(Ordering::SeqCst)) else {
            std::process::exit(128 + received.as_raw());
        };
        // A key press goes to all that are at the terminal; docker counts how often it comes.
        let by_key = matches!(received, Signal::HUP | Signal::INT | Signal::QUIT);
        if !by_key || !at_terminal() {
            // It may have ended meanwhile; then there is nobody to tell.
            let _ = kill_process(child, received);
        }
    }
}

/// Whether keys pressed at a terminal send their signals to this process's group.
fn at_terminal() -> bool {
    let group = getpgrp();
    let foreground = |group_of: rustix::io::Result<Pid>| group_of.is_ok_and(|foreground| foreground == group);
    foreground(rustix::termios::tcgetpgrp(io::stdin()))
        || foreground(rustix::termios::tcgetpgrp(io::stdout()))
        || foreground(rustix::termios::tcgetpgrp(io::stderr()))
}

/// A process has one set of signal handlers, whoever installs them; so there is one thread, and one
/// that signals are for: its process ID, or one of the two below.
static CHILD: AtomicI32 = AtomicI32::new(NOBODY);
static WATCHER: OnceLock<Result<(), String>> = OnceLock::new();
/// Signals are for this process.
const NOBODY: i32 = 0;
/// Docker's command is being started; its ID will be known in a moment.
const STARTING: i32 = -1;
const MOMENT: Duration = Duration::from_millis(1);

//! Parts that are lost.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Without the part that renews certificates a server would stand still one day, and nobody would know why.
#[tokio::test]
async fn a_server_that_loses_a_part_ends_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("server.toml");
    std::fs::write(&settings, "listen = \"127.0.0.1:0\"\n[storage]\nbackend = \"memory\"\n").unwrap();
    let state = folder.path().join("state").display().to_string();
    let lines = Arc::new(Mutex::new(Vec::new()));
    // Everything is well until it listens; from then on nobody can tell the time.
    let ready = Arc::new(AtomicBool::new(false));
    let program = Program {
        settings: Some(settings),
        variables: Arc::new(move |name| (name == "TRUSTGATE_SERVER_STATE").then(|| state.clone())),
        clock: {
            let ready = Arc::clone(&ready);
            Arc::new(move || {
                assert!(!ready.load(Ordering::SeqCst), "a defect, which a test wants");
                jiff::Timestamp::now()
            })
        },
        line: {
            let lines = Arc::clone(&lines);
            Arc::new(move |line| {
                ready.fetch_or(line.starts_with("listening at"), Ordering::SeqCst);
                lines.lock().unwrap().push(line.to_owned());
            })
        },
    };
    let error = program.serve_until(std::future::pending()).await.unwrap_err();
    assert_eq!(error.to_string(), "a part of the server ended by a defect");
    assert!(error.help().is_some());
    assert_eq!(lines.lock().unwrap().last().unwrap(), "ending, once what was begun is done");
}

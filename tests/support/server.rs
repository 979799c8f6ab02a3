//! Small servers on loopback that an engine fetches a build's context from; each ends with its value.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;

/// One file over HTTP.
#[derive(Debug)]
pub(crate) struct HttpFile {
    url: String,
    // Dropped with the value, and the server with it.
    _runtime: tokio::runtime::Runtime,
}

impl HttpFile {
    /// Serves these bytes as `/<name>`.
    pub(crate) fn serve(name: &str, content: Vec<u8>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        listener.set_nonblocking(true).expect("a listener for tokio");
        let router =
            Router::new().route(&format!("/{name}"), get(move || std::future::ready(content.clone())));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, router).await.expect("a server");
        });
        Self { url: format!("http://{address}/{name}"), _runtime: runtime }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// A folder as a git repository, over git's own protocol.
#[derive(Debug)]
pub(crate) struct GitRepository {
    url: String,
    daemon: Child,
    _folder: tempfile::TempDir,
}

impl GitRepository {
    /// Serves the files of this folder as the branch `main`.
    pub(crate) fn serve(content: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let work = folder.path().join("context.git");
        let git = |arguments: &[&str]| {
            let output = Command::new("git")
                .args(["-c", "user.name=lab", "-c", "user.email=lab@example.com"])
                .arg("--git-dir")
                .arg(&work)
                .arg("--work-tree")
                .arg(content)
                .args(arguments)
                .output()
                .expect("git starts");
            assert!(
                output.status.success(),
                "git {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        };
        git(&["init", "--quiet", "--initial-branch=main"]);
        git(&["add", "--all", "--force"]);
        git(&["commit", "--quiet", "--message=context"]);
        let port = free_port();
        // By its own path: `git daemon` would be a parent whose end the server survives.
        let programs = Command::new("git").arg("--exec-path").output().expect("git starts").stdout;
        let programs = String::from_utf8(programs).expect("a path");
        let daemon = Command::new(Path::new(programs.trim()).join("git-daemon"))
            .args(["--reuseaddr", "--export-all", "--listen=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", folder.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("git daemon starts");
        wait_for(port);
        Self { url: format!("git://127.0.0.1:{port}/context.git"), daemon, _folder: folder }
    }

    /// Where it is, with the branch.
    pub(crate) fn url(&self) -> String {
        format!("{}#main", self.url)
    }
}

impl Drop for GitRepository {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn wait_for(port: u16) {
    let start = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < START_DEADLINE, "nothing listens on port {port}");
        std::thread::yield_now();
    }
}

const START_DEADLINE: Duration = Duration::from_secs(30);

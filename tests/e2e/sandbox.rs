//! What docs/sandbox.md promises.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::image::trustgate_program;
use crate::support::lab::debian_program;
use crate::support::{lab, skip};

/// A sandbox in a folder of the test's own, which is brought down whatever happens.
struct Sandbox {
    home: tempfile::TempDir,
    path: String,
}

impl Sandbox {
    /// `None` where a program is missing, which is said.
    fn new() -> Option<Self> {
        let required = std::env::var_os("TRUSTGATE_REQUIRE_ENGINES").is_some_and(|value| value == "1");
        let Some(registry) = debian_program("docker-registry") else {
            assert!(!required, "missing here: docker-registry; `make deps` gets it");
            skip("docker-registry");
            return None;
        };
        let home = tempfile::tempdir().expect("a temporary folder");
        // The programs that people have, and no engine to start.
        let programs = home.path().join("bin");
        std::fs::create_dir(&programs).expect("a folder");
        for (name, program) in [("docker-registry", registry), ("trustgate", trustgate_program())] {
            std::os::unix::fs::symlink(program, programs.join(name)).expect("a link");
        }
        let path = format!("{}:/usr/bin:/bin", programs.display());
        Some(Self { home, path })
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join(".trustgate/sandbox")
    }

    fn trustgate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(trustgate_program());
        command.args(arguments).env_clear().env("PATH", &self.path);
        // An address where no engine answers.
        command.env("HOME", self.home.path()).env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.trustgate(arguments).output().expect("trustgate starts")
    }

    fn json(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.run(&[arguments, &["--output", "json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output)))
    }

    /// The same as somebody who typed what `status` prints.
    fn inside(&self, words: &str) -> Output {
        let program = trustgate_program();
        let script =
            format!("set -e; eval \"$('{}' sandbox status --output shell)\"; {words}", program.display());
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).env_clear().env("HOME", self.home.path()).env("PATH", &self.path);
        command.stdin(Stdio::null()).output().expect("a shell starts")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.trustgate(&["sandbox", "down"]).output();
    }
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn pids(report: &Value) -> Vec<i64> {
    let parts = report["parts"].as_array().expect("a list of parts").iter();
    parts.filter_map(|it| it["pid"].as_i64()).collect()
}

/// Whether a process has a thread that has not ended: the last one lets go of its ports.
fn runs(pid: i64) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok()).any(|stat| {
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z') && !rest.starts_with('X'))
    })
}

fn kill(pid: i64) {
    let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status().expect("kill starts");
    assert!(killed.success());
    while runs(pid) {
        std::thread::yield_now();
    }
}

/// Listens where somebody did; on some systems the port becomes free a moment after the last thread is gone.
fn taken(address: &str) -> std::net::TcpListener {
    let started = std::time::Instant::now();
    loop {
        match std::net::TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(30), "{address}: {error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_sandbox_is_there_repaired_and_gone() {
    let Some(sandbox) = Sandbox::new() else { return };
    let up = sandbox.json(&["sandbox", "up"], 0);
    let first = pids(&up);
    assert!(3 <= first.len(), "{up}");
    let signed = up["images"]["signed"].as_str().expect("a signed image");
    assert!(
        up["environment"]["DOCKER_CONTENT_TRUST_SERVER"]
            .as_str()
            .is_some_and(|it| it.starts_with("https://"))
    );

    // Up again changes nothing.
    assert_eq!(pids(&sandbox.json(&["sandbox", "up"], 0)), first);
    assert_eq!(pids(&sandbox.json(&["sandbox", "status"], 0)), first);

    let verified = sandbox.inside("trustgate verify $SANDBOX_REGISTRY/sandbox/signed:1.0");
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
    assert!(text(&verified).contains("@sha256:"), "{}", text(&verified));
    let refused = sandbox.inside("trustgate verify $SANDBOX_REGISTRY/sandbox/unsigned:1.0");
    assert_ne!(refused.status.code(), Some(0), "{}", text(&refused));
    assert!(refused.stdout.is_empty(), "{}", text(&refused));

    // The server shows what it has, to whoever trusts its certificate.
    let page =
        sandbox.inside("curl -sS --fail --cacert $DOCKER_CONFIG/tls/*/ca.crt $DOCKER_CONTENT_TRUST_SERVER/");
    let name = signed.trim_end_matches(":1.0");
    assert!(text(&page).contains(&format!("href=\"/repository/{name}\"")), "{}", text(&page));
    let page = sandbox.inside(&format!(
        "curl -sS --fail --cacert $DOCKER_CONFIG/tls/*/ca.crt $DOCKER_CONTENT_TRUST_SERVER/status/{name}.json"
    ));
    let status: Value = serde_json::from_slice(&page.stdout).unwrap_or_else(|_| panic!("{}", text(&page)));
    assert_eq!(status["tags"]["rows"][0]["name"], "1.0");

    // Each part that is killed comes again, with what it had.
    for at in 0..3 {
        let pid = pids(&sandbox.json(&["sandbox", "status"], 0))[at];
        kill(pid);
        let status = sandbox.json(&["sandbox", "status"], 1);
        assert_eq!(status["parts"][at]["state"], "ended", "{status}");
        let up = sandbox.json(&["sandbox", "up"], 0);
        assert!(!pids(&up).contains(&pid), "{up}");
    }
    let again = sandbox.inside("trustgate verify --require-fresh $SANDBOX_REGISTRY/sandbox/signed:1.0");
    assert_eq!(again.stdout, verified.stdout, "{}", text(&again));
    // What is signed anew needs the signer's keys.
    let signed_again = sandbox.inside("trustgate sign $SANDBOX_REGISTRY/sandbox/unsigned:1.0");
    assert_eq!(signed_again.status.code(), Some(0), "{}", text(&signed_again));

    let last = pids(&sandbox.json(&["sandbox", "status"], 0));
    let down = sandbox.run(&["sandbox", "down"]);
    assert_eq!(down.status.code(), Some(0), "{}", text(&down));
    assert!(!sandbox.folder().exists());
    assert_eq!(last.iter().filter(|pid| runs(**pid)).count(), 0);
    assert_eq!(sandbox.run(&["sandbox", "down"]).status.code(), Some(0));
    assert_eq!(sandbox.run(&["sandbox", "status"]).status.code(), Some(3));
}

#[test]
fn what_was_interrupted_is_finished_or_ended() {
    let Some(sandbox) = Sandbox::new() else { return };
    // A folder that was made, and nothing else.
    std::fs::create_dir_all(sandbox.folder()).expect("a folder");
    let first = pids(&sandbox.json(&["sandbox", "up"], 0));
    // Killed after the start of a part, and before it was noted.
    let notes = sandbox.folder().join("sandbox.json");
    let mut changed: Value = serde_json::from_slice(&std::fs::read(&notes).expect("notes")).expect("JSON");
    changed["processes"] = serde_json::json!({});
    changed["images"] = Value::Null;
    std::fs::write(&notes, changed.to_string()).expect("notes");
    assert_eq!(pids(&sandbox.json(&["sandbox", "up"], 0)), first);
    changed["images"] = serde_json::json!({});
    std::fs::write(&notes, changed.to_string()).expect("notes");
    let down = sandbox.run(&["sandbox", "down"]);
    assert_eq!(down.status.code(), Some(0), "{}", text(&down));
    assert_eq!(first.iter().filter(|pid| runs(**pid)).count(), 0);
    assert!(!sandbox.folder().exists());
}

#[test]
fn strangers_are_left_alone() {
    let Some(sandbox) = Sandbox::new() else { return };
    // A folder of somebody's.
    std::fs::create_dir_all(sandbox.folder()).expect("a folder");
    let letter = sandbox.folder().join("letter.txt");
    std::fs::write(&letter, "dear").expect("a file");
    let up = sandbox.run(&["sandbox", "up"]);
    assert_eq!(up.status.code(), Some(2), "{}", text(&up));
    assert!(text(&up).contains("letter.txt"), "{}", text(&up));
    assert_eq!(sandbox.run(&["sandbox", "down"]).status.code(), Some(0));
    assert!(letter.exists());
    std::fs::remove_file(&letter).expect("a file");

    // A process that has the number of a part's, and is another.
    sandbox.json(&["sandbox", "up"], 0);
    let mut stranger = Command::new("sleep").arg("600").spawn().expect("sleep starts");
    let notes = sandbox.folder().join("sandbox.json");
    let mut changed: Value = serde_json::from_slice(&std::fs::read(&notes).expect("notes")).expect("JSON");
    let server = changed["processes"]["server"]["pid"].as_i64().expect("a number");
    changed["processes"]["server"]["pid"] = stranger.id().into();
    std::fs::write(&notes, changed.to_string()).expect("notes");
    let down = sandbox.run(&["sandbox", "down"]);
    assert_eq!(down.status.code(), Some(0), "{}", text(&down));
    assert!(stranger.try_wait().expect("a child").is_none());
    assert!(!runs(server));
    stranger.kill().expect("a child");
    stranger.wait().expect("a child");
}

#[test]
fn what_cannot_be_is_said() {
    let Some(sandbox) = Sandbox::new() else { return };
    let failed = |command: &mut Command, words: &[&str]| {
        let output = command.output().expect("trustgate starts");
        assert!(matches!(output.status.code(), Some(2 | 3)), "{}", text(&output));
        for word in words {
            assert!(text(&output).contains(word), "{word}: {}", text(&output));
        }
    };
    failed(
        sandbox.trustgate(&["sandbox", "up"]).env("PATH", "/nonexistent"),
        &["docker-registry", "apt install docker-registry"],
    );
    assert!(!sandbox.folder().exists());
    failed(&mut sandbox.trustgate(&["sandbox", "up", "--folder", "/proc/sandbox"]), &["/proc/sandbox"]);
    failed(&mut sandbox.trustgate(&["sandbox", "up", "--folder", "a'b"]), &["quote", "--folder DIR"]);
    failed(sandbox.trustgate(&["sandbox", "status"]).env_remove("HOME"), &["--folder DIR"]);
    failed(&mut sandbox.trustgate(&["sandbox", "status"]), &["there is no sandbox", "trustgate sandbox up"]);

    // A port that somebody took meanwhile.
    let up = sandbox.json(&["sandbox", "up"], 0);
    let address = up["parts"][0]["address"].as_str().expect("an address").to_owned();
    kill(pids(&up)[0]);
    let thief = taken(&address);
    failed(&mut sandbox.trustgate(&["sandbox", "up"]), &["registry", &address, "sandbox down"]);
    drop(thief);
    sandbox.json(&["sandbox", "up"], 0);

    // Notes that are none.
    let notes = sandbox.folder().join("sandbox.json");
    let good = std::fs::read(&notes).expect("notes");
    for broken in [&b"{"[..], b"{}", b"\0\0"] {
        std::fs::write(&notes, broken).expect("notes");
        for command in ["up", "status", "down"] {
            failed(&mut sandbox.trustgate(&["sandbox", command]), &["sandbox.json"]);
        }
    }
    std::fs::write(&notes, good).expect("notes");
}

/// A disk that is full, or cannot be written to, is one of a namespace of the test's own.
#[test]
fn a_disk_that_takes_nothing_is_said_and_nothing_stays() {
    let Some(sandbox) = Sandbox::new() else { return };
    if !rustix::process::geteuid().is_root() {
        return skip("root");
    }
    let disk = sandbox.home.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let folder = disk.join("sandbox").display().to_string();
    let on_disk = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "/bin/sh", "-c", script, "sh"]).arg(&disk).arg(trustgate_program());
        command.arg(&folder).env_clear().env("HOME", sandbox.home.path()).env("PATH", &sandbox.path);
        command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock").stdin(Stdio::null());
        let output = command.output().expect("unshare starts");
        let left = left(&folder);
        for pid in left.lines().filter_map(|it| it.split(' ').next()?.parse().ok()) {
            kill(pid);
        }
        assert_eq!(left, "", "{}", text(&output));
        output
    };
    let says = |output: &Output, sayings: &[&str]| {
        assert_eq!(output.status.code(), Some(3), "{}", text(output));
        for saying in sayings {
            assert!(text(output).contains(saying), "{saying}: {}", text(output));
        }
    };
    // Room for notes, for the registry, for the signer, for all but the images.
    for size in ["4k", "64k", "128k", "256k"] {
        let up = r#"mount -t tmpfs -o size="$SIZE" tmpfs "$1"; exec "$2" sandbox up --folder "$3""#;
        let output = on_disk(&up.replace("$SIZE", size));
        says(&output, &[&folder, "no room left on the disk", "make room on that disk"]);
    }
    let read_only = r#"mount -t tmpfs -o ro tmpfs "$1"; exec "$2" sandbox up --folder "$3""#;
    says(&on_disk(read_only), &[&folder, "Read-only file system", "--folder DIR"]);
    // A disk becomes read-only under a sandbox that runs.
    let later = r#"set -e; mount -t tmpfs tmpfs "$1"; "$2" sandbox up --folder "$3"
        mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"
        set +e; "$2" sandbox status --folder "$3" || exit 90; "$2" sandbox up --folder "$3" && exit 91
        exec "$2" sandbox down --folder "$3""#;
    says(&on_disk(later), &[&folder, "running", "Read-only file system"]);
    // With room again, what was begun is finished.
    let again = r#"set -e; mount -t tmpfs -o size=128k tmpfs "$1"; "$2" sandbox up --folder "$3" && exit 90
        mount -o remount,size=64m "$1"; "$2" sandbox up --folder "$3"; "$2" sandbox status --folder "$3"
        "$2" sandbox down --folder "$3""#;
    let output = on_disk(again);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

/// The processes that were told of this folder.
fn left(folder: &str) -> String {
    let found = Command::new("pgrep").args(["-af", folder]).output().expect("pgrep starts");
    String::from_utf8_lossy(&found.stdout).into_owned()
}

/// Only root may start an engine, and only with dockerd there is one to start.
#[test]
fn an_engine_comes_and_goes_with_the_sandbox() {
    let Some(sandbox) = Sandbox::new() else { return };
    let programs = ["dockerd", "containerd", "runc"].map(debian_program);
    if programs.iter().any(Option::is_none) || !rustix::process::geteuid().is_root() {
        return skip("dockerd with containerd and runc, or root,");
    }
    let folders = programs.iter().flatten().filter_map(|it| it.parent());
    let folders: Vec<_> = folders.map(|it| it.display().to_string()).collect();
    let path = format!("{}:{}:/usr/sbin:/sbin", sandbox.path, folders.join(":"));
    let run = |arguments: &[&str]| {
        let mut command = sandbox.trustgate(&[&["sandbox"], arguments].concat());
        command.env("PATH", &path).output().expect("trustgate starts")
    };
    let up = run(&["up", "--output", "json"]);
    assert_eq!(up.status.code(), Some(0), "{}", text(&up));
    let report: Value = serde_json::from_slice(&up.stdout).unwrap_or_else(|_| panic!("{}", text(&up)));
    assert_eq!(
        (&report["parts"][3]["part"], &report["parts"][3]["state"]),
        (&"engine".into(), &"running".into()),
        "{}",
        text(&up)
    );
    let pulled = sandbox.inside("trustgate pull $SANDBOX_REGISTRY/sandbox/signed:1.0");
    assert_eq!(pulled.status.code(), Some(0), "{}", text(&pulled));
    // What a killed engine leaves behind goes, too.
    let engine = pids(&report)[3];
    kill(engine);
    let again = run(&["up", "--output", "json"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    let report: Value = serde_json::from_slice(&again.stdout).unwrap_or_else(|_| panic!("{}", text(&again)));
    assert_eq!(report["parts"][3]["state"], "running", "{}", text(&again));
    kill(pids(&report)[3]);
    let down = run(&["down"]);
    assert_eq!(down.status.code(), Some(0), "{}", text(&down));
    assert!(!sandbox.folder().exists());
    assert_eq!(left(&sandbox.folder().display().to_string()), "");
}

#[test]
fn docker_pulls_what_is_signed() {
    let Some(lab) = lab() else { return };
    let Some(sandbox) = Sandbox::new() else { return };
    let engine = lab.variable("LAB_DOCKER_HOST");
    let up =
        sandbox.trustgate(&["sandbox", "up"]).env("DOCKER_HOST", engine).output().expect("trustgate starts");
    assert_eq!(up.status.code(), Some(0), "{}", text(&up));
    assert!(Path::new(&sandbox.folder()).exists());
    let docker = |words: &str| {
        sandbox.inside(&format!("export DOCKER_HOST='{engine}'; {} {words}", lab.variable("LAB_DOCKER")))
    };
    let pulled = docker("pull $SANDBOX_REGISTRY/sandbox/signed:1.0");
    assert_eq!(pulled.status.code(), Some(0), "{}", text(&pulled));
    let refused = docker("pull $SANDBOX_REGISTRY/sandbox/unsigned:1.0");
    assert_ne!(refused.status.code(), Some(0), "{}", text(&refused));
    let inspected = docker("trust inspect $SANDBOX_REGISTRY/sandbox/signed");
    assert!(text(&inspected).contains("\"SignedTag\": \"1.0\""), "{}", text(&inspected));
    let pulled = sandbox.inside(&format!(
        "export DOCKER_HOST='{engine}'; trustgate pull $SANDBOX_REGISTRY/sandbox/signed:1.0"
    ));
    assert_eq!(pulled.status.code(), Some(0), "{}", text(&pulled));
}

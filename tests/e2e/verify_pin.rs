//! `trustgate verify` and `trustgate pin` against a real trust server, on trust data that docker signed.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::image::{Recipe, succeed, trustgate_program};
use crate::support::{Engine, Image, Lab, lab};

#[test]
fn verify_prints_what_docker_signed() {
    let Some(lab) = lab() else { return };
    let image = signed(lab, "verify/printed:1");
    let ran = Ran::trustgate(lab, &["verify", &image.by_tag()]);
    ran.expect(0, &[]);
    assert_eq!(ran.output, format!("{}\n", image.pinned()));
}

#[test]
fn verify_finds_the_digest_that_docker_finds() {
    let Some(lab) = lab() else { return };
    let image = signed(lab, "verify/same:1");
    let mut docker = Engine::Bookworm.docker(lab);
    docker.env("DOCKER_CONTENT_TRUST_SERVER", lab.trust_server()).args(["trust", "inspect", &image.by_tag()]);
    let inspected: serde_json::Value = serde_json::from_str(&succeed(docker)).expect("docker prints JSON");
    let ran = Ran::trustgate(lab, &["verify", "--output", "json", &image.by_tag()]);
    let verified: serde_json::Value = serde_json::from_str(&ran.output).expect("JSON");
    let digest = inspected[0]["SignedTags"][0]["Digest"].as_str().expect("a digest");
    assert_eq!(verified[0]["digest"], format!("sha256:{digest}"));
    let root_key = inspected[0]["AdministrativeKeys"]
        .as_array()
        .expect("keys")
        .iter()
        .find(|key| key["Name"] == "Root")
        .expect("a root key");
    assert_eq!(verified[0]["root_key_ids"][0], root_key["Keys"][0]["ID"]);
}

#[test]
fn verify_prints_the_good_ones_and_refuses_the_others() {
    let Some(lab) = lab() else { return };
    let image = signed(lab, "verify/mixed:1");
    lab.push_unsigned("verify/mixed:2", &Recipe::busybox());
    let other_tag = format!("{}:2", image.repository);
    let unsigned = lab.push_unsigned("verify/unsigned:1", &Recipe::busybox()).by_tag();
    let ran = Ran::trustgate(lab, &["verify", &other_tag, &image.by_tag(), &unsigned]);
    ran.expect(
        1,
        &[&format!("{other_tag} is not signed"), "signed tags: 1", &format!("{unsigned} is not signed")],
    );
    assert_eq!(ran.output, format!("{}\n", image.pinned()));
}

#[test]
fn verify_tells_a_silent_server_from_a_refusal() {
    let Some(lab) = lab() else { return };
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let server = format!("https://{nobody}");
    let image = format!("{}/verify/nowhere:1", lab.registry());
    Ran::trustgate(lab, &["--server", &server, "verify", &image]).expect(3, &[&server]);
}

#[test]
fn verify_refuses_a_server_that_nobody_vouches_for() {
    let Some(lab) = lab() else { return };
    let image = signed(lab, "verify/certificate:1");
    let empty = tempfile::tempdir().expect("a temporary folder");
    let ran = Ran::with_config(lab, empty.path(), &["verify", &image.by_tag()]);
    ran.expect(3, &[lab.trust_server()]);
    assert_eq!(ran.output, "");
}

#[test]
fn verify_leaves_a_cache_that_docker_reads() {
    let Some(lab) = lab() else { return };
    let image = signed(lab, "verify/cache:1");
    let config = lab.fresh_config();
    let ran = Ran::with_config(lab, config.path(), &["verify", &image.by_tag()]);
    ran.expect(0, &[]);
    let root = config.path().join("trust/tuf").join(&image.repository).join("metadata/root.json");
    let before = std::fs::read(&root).expect("a cached root");
    let mut docker = Engine::Bookworm.docker(lab);
    docker
        .env("DOCKER_CONFIG", config.path())
        .env("DOCKER_CONTENT_TRUST", "1")
        .env("DOCKER_CONTENT_TRUST_SERVER", lab.trust_server())
        .args(["pull", &image.by_tag()]);
    assert!(succeed(docker).contains(&image.digest));
    assert_eq!(std::fs::read(&root).expect("the same root"), before);
}

#[test]
fn verify_reads_the_cache_that_docker_left() {
    let Some(lab) = lab() else { return };
    let image = signed(lab, "verify/docker-cache:1");
    let ran = Ran::trustgate(lab, &["verify", "--output", "json", &image.by_tag()]);
    ran.expect(0, &[]);
    let verified: serde_json::Value = serde_json::from_str(&ran.output).expect("JSON");
    assert_eq!(verified[0]["first_use"], false, "docker trusted this root already");
}

#[test]
fn verify_follows_a_signature_moved_to_a_new_digest() {
    let Some(lab) = lab() else { return };
    let first = signed(lab, "verify/moved:1");
    Ran::trustgate(lab, &["verify", &first.by_tag()]).expect(0, &[]);
    let second = lab.push_signed("verify/moved:1", &Recipe::busybox().with_file("/second", b"second\n"));
    assert_ne!(first.digest, second.digest);
    let ran = Ran::trustgate(lab, &["verify", &first.by_tag()]);
    assert_eq!(ran.output, format!("{}\n", second.pinned()));
}

#[test]
fn verify_prefers_what_a_signer_released() {
    let Some(lab) = lab() else { return };
    let image = signed(lab, "verify/signers:1");
    add_signer(lab, &image, "alice");
    let ran = Ran::trustgate(lab, &["verify", "--output", "json", &image.by_tag()]);
    ran.expect(0, &[]);
    let verified: serde_json::Value = serde_json::from_str(&ran.output).expect("JSON");
    assert_eq!(verified[0]["role"], "targets/releases");
    assert_eq!(verified[0]["signers"][0]["name"], "alice");
    assert_eq!(verified[0]["digest"], image.digest);
}

#[test]
fn pin_shows_a_diff_and_writes_only_when_told() {
    let Some(lab) = lab() else { return };
    let image = signed(lab, "pin/base:1");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("Dockerfile");
    let tag = image.by_tag();
    let repository = &image.repository;
    let written =
        format!("# a comment\r\nARG V=1\r\nFROM {repository}:${{V}} AS a\r\nCOPY --from={tag} /bin /bin\r\n");
    std::fs::write(&file, &written).expect("a file");
    let file = file.display().to_string();
    let read = || std::fs::read_to_string(&file).expect("the file");

    Ran::trustgate(lab, &["pin", "--check", &file]).expect(1, &[]);
    let shown = Ran::trustgate(lab, &["pin", &file]);
    shown.expect(0, &[]);
    assert!(shown.output.contains(&format!("+COPY --from={} /bin /bin", image.pinned())), "{}", shown.output);
    assert_eq!(read(), written, "nothing was to be written");

    Ran::trustgate(lab, &["pin", "--write", &file]).expect(0, &[]);
    let pinned = read();
    assert_eq!(pinned.matches(&image.digest).count(), 2, "{pinned}");
    assert!(pinned.starts_with("# a comment\r\nARG V=1"), "{pinned}");
    Ran::trustgate(lab, &["pin", "--check", &file]).expect(0, &[]);
    Ran::trustgate(lab, &["pin", "--write", &file]).expect(0, &[]);
    assert_eq!(read(), pinned, "a second run changes nothing");
}

#[test]
fn pin_points_at_what_is_not_signed() {
    let Some(lab) = lab() else { return };
    let image = signed(lab, "pin/signed:1");
    let unsigned = lab.push_unsigned("pin/unsigned:1", &Recipe::busybox()).by_tag();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("Dockerfile");
    std::fs::write(&file, format!("FROM {}\nCOPY --from={unsigned} /bin /bin\n", image.by_tag()))
        .expect("a file");
    let file = file.display().to_string();
    let ran = Ran::trustgate(lab, &["pin", &file]);
    ran.expect(1, &[&format!("{unsigned} is not signed"), &format!("{file}:2:13"), "^^^^"]);
}

#[test]
fn a_pinned_dockerfile_builds_as_before() {
    let Some(lab) = lab() else { return };
    let image = lab.push_signed("pin/built:1", &Recipe::busybox().with_file("/ok", b"ok\n"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("Dockerfile");
    let written = format!("ARG NAME=built\nFROM {}/pin/${{NAME}}:1\nRUN cp /ok /copied\n", lab.registry());
    std::fs::write(&file, written).expect("a file");
    Ran::trustgate(lab, &["pin", "--write", &file.display().to_string()]).expect(0, &[]);
    assert!(std::fs::read_to_string(&file).expect("the file").contains(&image.digest));
    for engine in Engine::ALL {
        let outcome = engine.build(lab, &crate::support::engine::Build::of(folder.path())).expect_built();
        assert_eq!(outcome.file("copied").as_deref(), Some(&b"ok\n"[..]));
    }
}

/// What a run of `trustgate` printed, and how it ended.
struct Ran {
    output: String,
    talk: String,
    code: Option<i32>,
}

impl Ran {
    fn trustgate(lab: &Lab, arguments: &[&str]) -> Self {
        Self::with_config(lab, lab.docker_config(), arguments)
    }

    fn with_config(lab: &Lab, config: &Path, arguments: &[&str]) -> Self {
        let Output { status, stdout, stderr } = Command::new(trustgate_program())
            .args(arguments)
            .env_clear()
            .env("DOCKER_CONFIG", config)
            .env("DOCKER_CONTENT_TRUST_SERVER", lab.trust_server())
            .output()
            .expect("trustgate starts");
        let text = |bytes| String::from_utf8(bytes).expect("trustgate prints UTF-8");
        Self { output: text(stdout), talk: text(stderr), code: status.code() }
    }

    #[track_caller]
    fn expect(&self, code: i32, sayings: &[&str]) {
        let Self { output, talk, .. } = self;
        assert_eq!(self.code, Some(code), "stdout:\n{output}\nstderr:\n{talk}");
        for saying in sayings {
            assert!(talk.contains(saying), "`{saying}` is not said:\n{talk}");
        }
    }
}

fn signed(lab: &Lab, name: &str) -> Image {
    lab.push_signed(name, &Recipe::busybox().with_file("/name", name.as_bytes()))
}

/// Makes a signer with docker's own commands, and has the image's tag signed by it.
fn add_signer(lab: &Lab, image: &Image, name: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let docker = |arguments: &[&str]| {
        let mut docker = Engine::Bookworm.docker(lab);
        docker
            .env("DOCKER_CONTENT_TRUST_SERVER", lab.trust_server())
            .env("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", lab.variable("LAB_ROOT_PASSPHRASE"))
            .env("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", lab.variable("LAB_REPOSITORY_PASSPHRASE"))
            .args(arguments)
            .current_dir(folder.path());
        succeed(docker);
    };
    let key = format!("{name}.pub");
    docker(&["trust", "key", "generate", name]);
    docker(&["trust", "signer", "add", "--key", &key, name, &image.repository]);
    docker(&["pull", &image.by_digest()]);
    docker(&["tag", &image.by_digest(), &image.by_tag()]);
    docker(&["trust", "sign", &image.by_tag()]);
    docker(&["rmi", &image.by_tag()]);
}

//! Images through real engines and a real registry, beside docker's own command.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use trustgate::docker::arguments::{BuildArguments, Verb, image_argument};
use trustgate::docker::{
    DockerCommand, Engine as Docker, EngineError, EngineOptions, PlainProgress, QuietProgress,
    TerminalProgress, Transfer,
};
use trustgate::http::{HttpClient, HttpOptions, Proxies, Secret};
use trustgate::image::{Digest, Reference, Tag};
use trustgate::registry::{Content, Insecure, MediaType, Registry, RegistryError};

use crate::support::image::Recipe;
use crate::support::{Engine, Lab, lab};

async fn connect(lab: &Lab, engine: Engine) -> Docker {
    let host = match engine {
        Engine::Bookworm => "LAB_DOCKER_HOST",
        Engine::Trixie => "LAB_TRIXIE_HOST",
    };
    let options = EngineOptions { host: Some(lab.variable(host).to_owned()), ..EngineOptions::default() };
    Docker::connect(&options).await.expect("the engine answers")
}

fn registry() -> Registry {
    let options = HttpOptions { proxies: Proxies::None, ..HttpOptions::new() };
    Registry::new(HttpClient::new(options).expect("a client"), Insecure::loopback())
}

fn reference(text: &str) -> Reference {
    text.parse().expect("a reference")
}

/// Nobody logs in to the lab's registry.
fn nobody() -> Secret {
    Secret::new("e30=".to_owned())
}

/// Makes an image of one layer: what is said of several comes in no order.
fn import(lab: &Lab, engine: Engine, name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), name).expect("a file");
    let archive =
        Command::new("tar").arg("-cC").arg(folder.path()).arg("file").output().expect("tar runs").stdout;
    let mut command = engine.docker(lab);
    command.args(["import", "-", name]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut docker = command.spawn().expect("docker starts");
    let mut input = docker.stdin.take().expect("its input");
    std::io::Write::write_all(&mut input, &archive).expect("docker reads");
    drop(input);
    assert!(docker.wait().expect("docker ends").success());
}

/// What docker's command prints on standard output where that is a terminal.
fn on_terminal(command: &Command) -> Option<String> {
    let mut words = vec![command.get_program().to_owned()];
    words.extend(command.get_args().map(std::ffi::OsStr::to_owned));
    let line = words.iter().map(|word| format!("'{}'", word.display())).collect::<Vec<_>>().join(" ");
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            script.env(name, value);
        }
    }
    let output = script.output().ok()?;
    assert!(output.status.success(), "{line}");
    Some(String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n"))
}

#[tokio::test]
async fn a_push_is_dockers_push() {
    let Some(lab) = lab() else { return };
    for engine in Engine::ALL {
        let text = format!("{}/engine-{engine}/push:v1", lab.registry());
        import(lab, engine, &text);
        let name = reference(&text);
        engine.run(lab, &["push", &text]);
        let theirs = engine.run(lab, &["push", &text]);
        let docker = connect(lab, engine).await;
        let authorization = nobody();
        let transfer = Transfer { authorization: &authorization, platform: None };
        let mut ours = Vec::new();
        let pushed = docker.push(&name, transfer, &mut PlainProgress::new(&mut ours)).await.expect("a push");
        assert_eq!(String::from_utf8_lossy(&ours), theirs);
        let content = pushed.content.expect("these engines say what they push");
        assert_eq!(pushed.tag.as_str(), "v1");
        assert!(
            theirs.ends_with(&format!("v1: digest: {} size: {}\n", content.digest, content.size)),
            "{theirs}"
        );
        let stored = registry().get(&name).await.expect("the registry has it");
        assert_eq!((stored.manifest.digest, stored.manifest.size), (content.digest, content.size));

        let mut command = engine.docker(lab);
        command.args(["push", &text]);
        let Some(theirs) = on_terminal(&command) else { continue };
        let mut ours = Vec::new();
        docker.push(&name, transfer, &mut TerminalProgress::new(&mut ours, 80)).await.expect("a push");
        assert_eq!(String::from_utf8_lossy(&ours), theirs);
    }
}

#[tokio::test]
async fn a_pull_is_dockers_pull() {
    let Some(lab) = lab() else { return };
    for engine in Engine::ALL {
        let image = lab.push_unsigned_from(engine, &format!("engine-{engine}/pull:v1"), &Recipe::busybox());
        let docker = connect(lab, engine).await;
        let authorization = nobody();
        let transfer = Transfer { authorization: &authorization, platform: None };
        assert_eq!(docker.inspect(&image.by_tag()).await, Ok(None));

        let by_digest = reference(&image.by_digest());
        docker.pull(&by_digest, transfer, &mut QuietProgress).await.expect("a pull");
        docker.tag(&image.by_digest(), &reference(&image.by_tag())).await.expect("a tag");
        let found = docker.inspect(&image.by_tag()).await.expect("an answer").expect("the image");
        let id = engine.run(lab, &["image", "inspect", "--format", "{{.Id}}", &image.by_tag()]);
        assert_eq!(found.id.to_string(), id.trim());
        assert!(found.digests.contains(&by_digest), "{found:?}");
        let listed = docker.tags(&reference(&image.repository)).await.expect("a list");
        let listed: Vec<_> = listed.iter().map(|tag| (tag.reference.to_string(), tag.id.clone())).collect();
        assert_eq!(listed, [(image.by_tag(), found.id)]);

        let mut ours = Vec::new();
        let by_tag = reference(&image.by_tag());
        docker.pull(&by_tag, transfer, &mut PlainProgress::new(&mut ours)).await.expect("a pull");
        // Docker's command adds the name.
        let theirs = engine.run(lab, &["pull", &image.by_tag()]);
        assert_eq!(format!("{}{}\n", String::from_utf8_lossy(&ours), image.by_tag()), theirs);
    }
}

#[tokio::test]
async fn what_an_engine_cannot_do() {
    let Some(lab) = lab() else { return };
    let authorization = nobody();
    let transfer = Transfer { authorization: &authorization, platform: None };
    for engine in Engine::ALL {
        let docker = connect(lab, engine).await;
        let missing = reference(&format!("{}/engine/missing:v1", lab.registry()));
        let error = docker.push(&missing, transfer, &mut QuietProgress).await.expect_err("nothing to push");
        assert_eq!(error, EngineError::NoImage { name: missing.to_string() });
        let error = docker.tag("engine/missing", &missing).await.expect_err("nothing to tag");
        assert!(matches!(error, EngineError::NoImage { .. }), "{error:?}");
        let error = docker.pull(&missing, transfer, &mut QuietProgress).await.expect_err("nothing to pull");
        assert!(error.to_string().contains("manifest unknown"), "{error}");
    }
}

#[tokio::test]
async fn a_dropped_pull_is_cancelled() {
    let Some(lab) = lab() else { return };
    // A registry that takes a connection, and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let docker = connect(lab, Engine::Bookworm).await;
    let pull = tokio::spawn(async move {
        let authorization = nobody();
        let transfer = Transfer { authorization: &authorization, platform: None };
        docker.pull(&reference(&format!("{address}/a:1")), transfer, &mut QuietProgress).await
    });
    let (mut stream, _) = listener.accept().await.expect("the engine asks");
    let mut buffer = [0; 1024];
    assert_ne!(stream.read(&mut buffer).await.expect("the engine's first bytes"), 0);
    pull.abort();
    // Long before its own patience ends, the engine hangs up.
    let end = tokio::time::timeout(Duration::from_secs(20), async {
        while stream.read(&mut buffer).await.is_ok_and(|count| count != 0) {}
    });
    end.await.expect("the engine gives the pull up");
}

#[tokio::test]
async fn manifests_and_indexes_in_a_real_registry() {
    let Some(lab) = lab() else { return };
    let image = lab.push_unsigned("engine/index:one", &Recipe::busybox());
    let registry = registry();
    let one = registry.get(&reference(&image.by_tag())).await.expect("a manifest");
    assert_eq!(one.manifest.digest.to_string(), image.digest);
    assert_eq!(one.manifest.media_type, MediaType::DockerManifest);
    let head = registry.head(&reference(&image.by_tag())).await.expect("an answer");
    assert_eq!(head.as_ref(), Some(&one.manifest));

    // An index that names this one for two platforms, stored by its digest first.
    let entry = |architecture: &str| {
        serde_json::json!({
            "mediaType": one.manifest.media_type, "digest": one.manifest.digest, "size": one.manifest.size,
            "platform": { "os": "linux", "architecture": architecture },
        })
    };
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::DockerList, "manifests": [entry("amd64"), entry("arm64")],
    });
    let bytes = Bytes::from(serde_json::to_vec_pretty(&index).expect("JSON"));
    let index = Content::new(MediaType::DockerList.as_str(), bytes).expect("an index");
    let repository = reference(&image.repository);
    registry.put(&repository.with_digest(index.manifest.digest.clone()), &index).await.expect("it is stored");
    let tag: Tag = "both".parse().expect("a tag");
    assert_eq!(registry.head(&repository.with_tag(tag.clone())).await, Ok(None));
    let tagged = registry.tag(&repository, &index.manifest.digest, &tag).await.expect("it is tagged");
    assert_eq!(tagged, index.manifest);
    let stored = registry.get(&repository.with_tag(tag.clone())).await.expect("it is there");
    assert_eq!(stored, index);
    let children = registry.children(&repository, &stored).await.expect("its children");
    let platforms: Vec<_> = children.iter().filter_map(|child| child.platform.as_ref()).collect();
    assert_eq!(platforms.iter().map(ToString::to_string).collect::<Vec<_>>(), ["linux/amd64", "linux/arm64"]);
    // Docker finds the image behind it.
    let text = Engine::Bookworm.run(lab, &["pull", &repository.with_tag(tag).to_string()]);
    assert!(text.contains(&index.manifest.digest.to_string()), "{text}");

    let missing =
        registry.tag(&repository, &Digest::of(b"no manifest"), &"none".parse().expect("a tag")).await;
    assert!(matches!(missing, Err(RegistryError::UnknownManifest { .. })), "{missing:?}");
    // The registry checks that an index names only what it has.
    let entry = entry("amd64").to_string().replace(&image.digest, &Digest::of(b"not there").to_string());
    let list = MediaType::DockerList;
    let text = format!(r#"{{"schemaVersion":2,"mediaType":"{list}","manifests":[{entry}]}}"#);
    let dangling = Content::new(list.as_str(), Bytes::from(text)).expect("an index");
    let refused = registry.put(&repository.with_tag("bad".parse().expect("a tag")), &dangling).await;
    assert!(matches!(refused, Err(RegistryError::Refused { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_container_of_another_image_than_was_written() {
    let Some(lab) = lab() else { return };
    let image = lab.push_unsigned("engine/run:v1", &Recipe::busybox());
    let folder = Path::new(lab.variable("LAB_DOCKER")).parent().expect("a folder");
    let docker = DockerCommand::find(folder.as_os_str(), Path::new("/nowhere")).expect("docker's command");
    let docker = docker.with_variable("DOCKER_HOST", lab.variable("LAB_DOCKER_HOST"));
    let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
    let arguments = words("--rm --network none -eCODE=42 --disable-content-trust=false -- written sh -c");
    let arguments = [arguments, vec![OsString::from("exit $CODE")]].concat();
    let found = image_argument(&Verb::Run.flags(), &arguments).expect("arguments").expect("an image");
    assert_eq!(found.image, "written");
    let replaced = found.with_image(&arguments, image.by_digest().as_ref());
    let status = docker.run(&[words("run"), replaced].concat()).await.expect("docker runs");
    assert_eq!(status, 42);
}

#[test]
fn the_tables_know_every_flag_of_docker() {
    let Some(lab) = lab() else { return };
    let mut commands: Vec<Command> = Engine::ALL.map(|engine| engine.docker(lab)).into();
    commands.push(Command::new("docker"));
    for mut command in commands {
        command.arg("--version").stdin(Stdio::null());
        if command.output().is_err() {
            continue;
        }
        for verb in ["run", "create", "build"] {
            let mut help = Command::new(command.get_program());
            let text = help.args([verb, "--help"]).stdin(Stdio::null()).output().expect("docker runs").stdout;
            check_flags(verb, &String::from_utf8_lossy(&text));
        }
    }
    let buildx = Command::new(lab.variable("LAB_TRIXIE_BUILDX")).args(["build", "--help"]).output();
    check_flags("build", &String::from_utf8_lossy(&buildx.expect("buildx runs").stdout));
}

/// Each flag that a help text lists takes a value, or none, as the text says.
fn check_flags(verb: &str, help: &str) {
    let mut count = 0;
    for line in help.lines() {
        let Some((before, rest)) = line.split_once("--").filter(|(before, _)| before.trim_start().len() <= 4)
        else {
            continue;
        };
        if !before.starts_with("  ") {
            continue;
        }
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if name == "help" {
            continue;
        }
        let takes_value = !rest.starts_with(' ') && !rest.is_empty();
        let mut forms = vec![format!("--{name}")];
        forms.extend(before.trim().strip_suffix(',').map(str::to_owned));
        for form in forms {
            // The words after a flag are its value and the image, or the image and a command.
            let found = match (verb, takes_value) {
                ("build", true) => operand(&[&form, "name=value", "."]),
                ("build", false) => operand(&[&form, "."]),
                (_, _) => {
                    let verb = if verb == "run" { Verb::Run } else { Verb::Create };
                    let value = if form == "--pull" { "always" } else { "x" };
                    let words = [form.as_str(), value, "y"].map(OsString::from);
                    let found = image_argument(&verb.flags(), &words).expect(&form).expect("an image");
                    assert_eq!(found.image, if takes_value { "y" } else { value }, "docker {verb:?} {form}");
                    count += 1;
                    continue;
                }
            };
            assert_eq!(found, ".", "docker {verb} {form}");
            count += 1;
        }
    }
    assert!(20 < count, "docker {verb} --help lists only {count} flags:\n{help}");
}

/// The build context that a command line names.
fn operand(words: &[&str]) -> OsString {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let found = BuildArguments::parse(&BuildArguments::known_flags(), &words);
    found.unwrap_or_else(|error| panic!("{words:?}: {error}")).expect("no help").context
}

//! `trustgate run` and `create`: docker's own command, with what the gate let in.

use crate::support::image::Recipe;
use crate::support::person::Person;
use crate::support::{Engine, lab};

#[test]
fn containers_are_made_of_signed_images() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let image = publisher.make("run/app:1");
    publisher.run(&["push", &image]).expect(0, &[]);
    let unsigned = publisher.make("run/app:unsigned");
    publisher.run(&["--disable-content-trust", "push", &unsigned]).expect(0, &[]);
    // The name now is another image's, on this engine and in the registry: the signed one runs.
    Engine::Bookworm.run(lab, &["tag", &unsigned, &image]);
    let words = ["run", "--rm", "--network", "none", "-e", "A=b", &image, "cat", "/name"];
    let ran = publisher.run(&words).expect(0, &[]);
    assert_eq!(ran.output, "run/app:1");
    publisher.run(&["run", "--rm", "--network=none", &image, "sh", "-c", "exit 3"]).expect(3, &[]);
    publisher.run(&["run", "--rm", "--network=none", &unsigned, "true"]).expect(125, &["is not signed"]);
    publisher.run(&["create", "--network=none", &unsigned]).expect(1, &["is not signed"]);
    let words = ["run", "--rm", "--network=none", "--disable-content-trust", &unsigned, "true"];
    publisher.run(&words).expect(0, &[]);
    publisher.run(&["run", "--no-such-flag", &image]).expect(125, &["--no-such-flag"]);
    // Files of an image that is mounted come from nobody knows whom, too.
    let mount = format!("--mount=type=image,source={unsigned},target=/other");
    publisher.run(&["run", "--rm", &mount, &image, "true"]).expect(125, &["is not signed"]);
    let created = publisher
        .run(&["create", "--network=none", "--name", "trustgate-created", &image, "true"])
        .expect(0, &[]);
    let shown =
        Engine::Bookworm.run(lab, &["inspect", "--format", "{{.Config.Image}}", created.output.trim()]);
    assert!(shown.contains("run/app@sha256:"), "{shown}");
    Engine::Bookworm.run(lab, &["rm", "trustgate-created"]);

    // An image of this engine alone: by its ID, whole or short; by name only where the policy says so.
    let local = "trustgate-local/app:dev";
    lab.make(Engine::Bookworm, local, &Recipe::busybox().with_file("/name", b"local"));
    let id = Engine::Bookworm.run(lab, &["image", "inspect", "--format", "{{.Id}}", local]);
    let id = id.trim();
    for name in [id, &id["sha256:".len()..], &id["sha256:".len()..][..12]] {
        let ran = publisher.run(&["run", "--rm", "--network=none", name, "cat", "/name"]).expect(0, &[]);
        assert_eq!(ran.output, "local", "{name}");
    }
    assert_ne!(publisher.run(&["run", "--rm", "--network=none", local, "true"]).code, Some(0));
    let policy = publisher.config().join("policy.toml");
    let path = policy.to_str().expect("a path");
    let run = |rule: &str, image: &str| {
        let text = format!("version = 1\ntrust-on-first-use = true\n[run]\nlocal-images = \"{rule}\"\n");
        std::fs::write(&policy, text).expect("a policy");
        publisher.run(&["--policy", path, "run", "--rm", "--network=none", image, "cat", "/name"])
    };
    assert_eq!(run("by-name", local).expect(0, &[]).output, "local");
    run("refuse", id).expect(125, &["which nobody signed", "run.local-images"]);
}

//! What docs/building.md promises of `trustgate build`, with docker's own client and engine.

use std::os::unix::fs::PermissionsExt as _;

use crate::push_pull::registry_digest;
use crate::support::image::Recipe;
use crate::support::person::{Person, Ran, with_passphrases};
use crate::support::{Engine, lab};

#[test]
fn builds_start_from_signed_images_and_end_signed() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let base = publisher.make("built/base:1");
    publisher.run(&["push", &base]).expect(0, &[]);
    let unsigned = lab.push_unsigned("built/unsigned:1", &Recipe::busybox()).by_tag();
    let folder = tempfile::tempdir().expect("a folder");
    let write = |text: String| std::fs::write(folder.path().join("Dockerfile"), text).expect("a Dockerfile");
    let context = folder.path().to_str().expect("a path");
    let result = lab.reference("built/app:1");
    let name = result.trim_end_matches(":1");

    // The tag on this engine and in the registry is another image's now: the signed one is built from.
    Engine::Bookworm.run(lab, &["pull", &unsigned]);
    Engine::Bookworm.run(lab, &["tag", &unsigned, &base]);
    Engine::Bookworm.run(lab, &["push", &base]);
    write(format!("ARG BASE={base}\nFROM ${{BASE}}\nRUN cp /name /copied\n"));
    publisher.run(&["build", "-t", &result, context]).expect(0, &[]);
    let ran = publisher.run(&["run", "--rm", "--network=none", &image_id(lab, &result), "cat", "/copied"]);
    assert_eq!(ran.expect(0, &[]).output, "built/base:1");
    Person::new(lab).run(&["inspect", name]).expect(1, &["no trust data"]);

    let ran = publisher.run(&["build", "--push", "-t", &result, context]);
    ran.expect(0, &["Signing and pushing trust metadata", &format!("Successfully signed {result}")]);
    Person::new(lab).run(&["pull", &result]).expect(0, &["Pull (1 of 1)"]);
    let staged = lab.reference("built/app:2");
    let words = ["build", "--stage", "incoming", "--push", "-t", &staged, context];
    publisher.run(&words).expect(0, &[&format!("Successfully signed {staged}")]);
    Person::new(lab).run(&["pull", &staged]).expect(0, &[]);

    // Nothing is built from what is not signed, and the line is shown.
    write(format!("FROM {base} AS a\nFROM a\nCOPY --from={unsigned} /bin /bin\n"));
    let words = ["build", "-t", &result, context];
    let ran = publisher.run(&words).expect(1, &[&format!("{unsigned} is not signed"), "Dockerfile:3:13"]);
    assert_eq!(ran.output, "");
    publisher.run(&["build", "--target", "a", context]).expect(0, &[]);
    publisher.run(&["build", "--disable-content-trust", context]).expect(0, &["content trust is disabled"]);
    publisher.run(&["build", "--push", context]).expect(2, &["-t NAME:TAG"]);
    publisher.run(&["build", "--push", "-t", name, context]).expect(2, &["names no tag"]);
    publisher.run(&["build", "--output=type=registry", context]).expect(2, &["nobody has signed"]);
    publisher.run(&["build", "https://example.com/a.git"]).expect(2, &["--frontend"]);
    publisher.run(&["build", &format!("{context}/none")]).expect(2, &["there is no Dockerfile"]);
    write("FROM scratch\nBROKEN\n".to_owned());
    publisher.run(&["build", context]).expect(1, &["Dockerfile:2:1"]);
}

/// With the frontend, the gate works inside the builder.
#[test]
fn a_frontend_may_check_the_build() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let base = publisher.make("framed/base:1");
    publisher.run(&["push", &base]).expect(0, &[]);
    let unsigned = lab.push_unsigned("framed/unsigned:1", &Recipe::busybox()).by_tag();
    let frontend = lab
        .organisation_frontend(&format!(
            "version = 1\ntrust-on-first-use = true\nserver = \"{}\"\n",
            lab.trust_server()
        ))
        .by_digest();
    let folder = tempfile::tempdir().expect("a folder");
    let context = folder.path().to_str().expect("a path");
    for (from, code) in [(&base, 0), (&unsigned, 1)] {
        std::fs::write(folder.path().join("Dockerfile"), format!("FROM {from}\nRUN true\n"))
            .expect("a Dockerfile");
        let ran = publisher.run(&["build", "--frontend", &frontend, context]);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        let mut command = publisher.command(&["build", context]);
        command.env("TRUSTGATE_FRONTEND", &frontend);
        let ran = Ran::of(command);
        assert_eq!(ran.code, Some(code), "{ran:?}");
    }
    let by_tag = frontend.split('@').next().expect("a name").to_owned();
    publisher.run(&["build", "--frontend", &by_tag, context]).expect(2, &["named by a tag"]);
}

/// A builder that pushes by itself does so by digest; here a script plays its part, with the real engine.
#[test]
fn no_tag_names_what_a_builder_pushed_before_it_is_signed() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let folder = tempfile::tempdir().expect("a folder");
    let context = folder.path().to_str().expect("a path");
    std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\nCOPY Dockerfile /\n")
        .expect("a Dockerfile");
    let docker = folder.path().join("docker");
    std::fs::write(&docker, BUILDER.replace("@DOCKER@", lab.variable("LAB_DOCKER"))).expect("a script");
    std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let name = lab.reference("by-digest/app");
    let (first, second) = (format!("{name}:1"), format!("{name}:2"));
    let words = ["build", "--push", "-t", &first, "-t", &second, context];
    let command = || {
        let mut command = publisher.command(&words);
        command.env("PATH", format!("{context}:/usr/bin:/bin"));
        command
    };
    let said = ["no terminal", "is pushed, and not signed: sha256:", "trustgate sign "];
    Ran::of(command()).expect(3, &said);
    assert_eq!(registry_digest(lab, "by-digest/app", "1"), None);

    let ran = Ran::of(with_passphrases(command()));
    ran.expect(0, &[&format!("Successfully signed {first}"), &format!("Successfully signed {second}")]);
    let pushed = registry_digest(lab, "by-digest/app", "in-between");
    for tag in ["1", "2"] {
        assert_eq!(registry_digest(lab, "by-digest/app", tag), pushed);
        Person::new(lab).docker(Engine::Bookworm, &["pull", &format!("{name}:{tag}")]).expect(0, &[]);
    }
}

/// What docker's command does with a builder in a container, as far as it is seen from outside.
const BUILDER: &str = r#"#!/bin/sh
set -e
if [ "$1 $2" = "buildx inspect" ]; then echo "Driver:  docker-container"; exit; fi
shift
for word; do
    shift
    case $word in
        --output=*) output=$word ;;
        --metadata-file=*) metadata=${word#*=} ;;
        --tag=*) echo "a tag before the signature: $word" >&2; exit 9 ;;
        *) set -- "$@" "$word" ;;
    esac
done
name=$(echo "$output" | sed 's/.*"name=\([^"]*\)".*/\1/')
echo "$output" | grep -q 'push=true,push-by-digest=true'
@DOCKER@ build --tag "$name:in-between" "$@"
digest=$(@DOCKER@ push "$name:in-between" | sed -n 's/.*digest: \(sha256:[0-9a-f]*\) .*/\1/p')
echo "{\"containerimage.digest\": \"$digest\"}" > "$metadata"
"#;

fn image_id(lab: &crate::support::Lab, image: &str) -> String {
    let id = Engine::Bookworm.run(lab, &["image", "inspect", "--format", "{{.Id}}", image]);
    id.trim().to_owned()
}

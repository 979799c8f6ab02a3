//! Signing what is in the registry already, by one person or several; and what `status` makes of it.

use std::process::Command;

use crate::support::image::Recipe;
use crate::support::person::Person;
use crate::support::{Engine, lab};

#[test]
fn what_is_in_the_registry_is_signed_by_its_bytes() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let one = lab.push_unsigned("signed/app:amd64", &Recipe::busybox().with_file("/a", b"1"));
    let other = lab.push_unsigned("signed/app:arm64", &Recipe::busybox().with_file("/a", b"2"));
    let name = &one.repository;
    let answer = publisher.run(&["sign", "--output", "json", &one.by_tag()]).expect(0, &[]).json();
    assert_eq!(answer["digest"], one.digest);
    assert_eq!(answer["outcome"], "published");
    assert_eq!(answer["initialized"], true);
    publisher.run(&["sign", &one.by_tag()]).expect(0, &["is signed already"]);
    // Exactly what is given: the other image under this tag.
    publisher.run(&["sign", &format!("{name}:amd64@{}", other.digest)]).expect(0, &["Successfully signed"]);
    let reader = Person::new(lab);
    let pulled = reader.run(&["pull", &format!("{name}:amd64")]).expect(0, &[]);
    assert!(pulled.output.contains(&other.digest), "{}", pulled.output);
    publisher.run(&["sign", name]).expect(2, &["names no tag"]);
    publisher.run(&["sign", &format!("{name}:none")]).expect(3, &["none"]);
    let zeros = "0".repeat(64);
    publisher.run(&["sign", &format!("{name}:amd64@sha256:{zeros}")]).expect(3, &[&zeros]);

    // An index is one target; its platforms are signed along with it.
    let index = put_index(lab, "signed/app", "many", &[(&one.digest, "amd64"), (&other.digest, "arm64")]);
    let answer = publisher.run(&["sign", "--output", "json", &format!("{name}:many")]).expect(0, &[]).json();
    assert_eq!(answer["digest"], index);
    assert_eq!(answer["platforms"][1]["digest"], other.digest);
    let again = publisher.run(&["verify", &format!("{name}:many")]).expect(0, &[]);
    assert!(again.output.contains(&index), "{}", again.output);
    reader.docker(Engine::Bookworm, &["pull", &format!("{name}:many")]).expect(0, &[]);
    reader.run(&["pull", &format!("{name}:many")]).expect(0, &[&index]);
    publisher.notary(&["lookup", name, "many"]).expect(0, &[index.trim_start_matches("sha256:")]);
}

/// Stores an index of manifests that the registry has.
fn put_index(lab: &crate::support::Lab, repository: &str, tag: &str, children: &[(&str, &str)]) -> String {
    let url = |name: &str| format!("http://{}/v2/{repository}/manifests/{name}", lab.registry());
    let manifests: Vec<serde_json::Value> = children
        .iter()
        .map(|(digest, architecture)| {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--fail", "--header"]);
            curl.arg("Accept: application/vnd.docker.distribution.manifest.v2+json").arg(url(digest));
            let size = crate::support::image::succeed(curl).len();
            serde_json::json!({
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "digest": digest, "size": size,
                "platform": {"os": "linux", "architecture": architecture},
            })
        })
        .collect();
    let media_type = "application/vnd.docker.distribution.manifest.list.v2+json";
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--request", "PUT", "--header"])
        .arg(format!("Content-Type: {media_type}"));
    curl.args(["--data-binary", &index.to_string()]).arg(url(tag));
    crate::support::image::succeed(curl);
    trustgate::image::Digest::of(index.to_string().as_bytes()).to_string()
}

/// Two keys must sign: the first signature goes round in a file.
#[test]
fn signatures_are_collected_in_a_file() {
    let Some(lab) = lab() else { return };
    let owner = Person::new(lab);
    let image = owner.make("partial/app:1");
    let name = image.trim_end_matches(":1");
    owner.run(&["push", &image]).expect(0, &[]);
    // Each has a key of their own for the role, two of which must sign.
    let others = [Person::new(lab), Person::new(lab)];
    for (person, key) in others.iter().zip(["alice-1", "alice-2"]) {
        let folder = person.config().to_str().expect("a path").to_owned();
        person.run(&["key", "generate", key, "--dir", &folder]).expect(0, &[]);
    }
    let public =
        |person: &Person, key: &str| person.config().join(format!("{key}.pub")).display().to_string();
    let (first, second) = (public(&others[0], "alice-1"), public(&others[1], "alice-2"));
    owner.run(&["signer", "add", "--key", &first, "--key", &second, "alice", name]).expect(0, &[]);
    owner.run(&["repo", "threshold", name, "targets/alice", "2"]).expect(0, &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("signatures.json");
    let file = file.to_str().expect("a path");
    let tag = owner.make("partial/app:2");
    owner.run(&["--disable-content-trust", "push", &tag]).expect(0, &[]);
    let words = ["sign", "--role", "targets/alice", "--partial", file, &tag];
    others[0].run(&words).expect(1, &["needs 1 more signature", "Wrote "]);
    others[0].run(&words).expect(2, &["is there already"]);
    others[1].run(&["sign", "--partial", file, name]).expect(0, &["Successfully signed"]);
    let answer = Person::new(lab).run(&["inspect", name]).expect(0, &[]).json();
    let roles = answer[0]["Roles"].as_array().expect("roles");
    let alice = roles.iter().find(|it| it["Name"] == "targets/alice").expect("alice");
    assert_eq!(alice["Threshold"], 2);
}

#[test]
fn status_tells_what_runs_out_and_who_can_sign() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let image = publisher.make("status/app:1");
    let name = image.trim_end_matches(":1");
    publisher.run(&["status"]).expect(0, &["No repository is known"]);
    publisher.run(&["push", &image]).expect(0, &[]);
    publisher.run(&["status"]).expect(0, &[name, "1 signed tag", "targets", "CAN SIGN"]);
    publisher.run(&["status", "--fail-within", "30d", name]).expect(0, &[]);
    publisher
        .run(&["status", "--fail-within", "1100d", name])
        .expect(1, &["`targets` of", "trustgate repo refresh"]);
    publisher.run(&["status", "--fail-within", "soon"]).expect(2, &["30d"]);
    let answer = publisher.run(&["status", "--output", "json"]).expect(0, &[]).json();
    let roles = answer[0]["roles"].as_array().expect("roles");
    let role = |name: &str| roles.iter().find(|it| it["role"] == name).expect("a role");
    assert_eq!((&role("targets")["can_sign"], &role("timestamp")["can_sign"]), (&true.into(), &false.into()));
    assert!(role("root")["days_left"].as_i64() > Some(3000), "{answer}");

    // Somebody who only reads; and a server that is gone.
    let reader = Person::new(lab);
    reader.run(&["pull", &image]).expect(0, &[]);
    let answer = reader.run(&["status", "--output", "json", name]).expect(0, &[]).json();
    assert_eq!(answer[0]["roles"][1]["can_sign"], false);
    let reader = reader.at_server("https://127.0.0.1:1");
    let ran = reader.run(&["status", name]);
    assert!(ran.output.contains("targets"), "{ran:?}");
}

//! Docker's own client, before and after: the same folder, the same address, the same certificate.

use std::fs;

use serde_json::{Value, json};

use super::tables;
use super::world::{Notary, Ours, Programs};
use crate::notary_signer::folder;
use crate::support::image::Recipe;
use crate::support::person::{Person, Ran};
use crate::support::{Engine, lab};

#[test]
fn docker_does_not_notice_the_move() {
    let Some(lab) = lab() else { return };
    let Some(programs) = Programs::find() else { return };
    let Some((_postgres, backend)) = tables::postgres() else { return };
    let folder = folder();
    let here = folder.path();
    let notary = Notary::start(&programs, here, &backend);
    let (url, port) = (format!("https://127.0.0.1:{}", notary.port), notary.port);
    let person = || Person::new(lab).at_server_of(&url, &here.join("ca.crt"));
    let (owner, reader) = (person(), person());
    let docker = |who: &Person, words: &[&str]| who.docker(Engine::Bookworm, words);
    let first = owner.make("moved/docker:1");
    let name = first.trim_end_matches(":1").to_owned();
    let second = format!("{name}:2");
    lab.make(Engine::Bookworm, &second, &Recipe::busybox().with_file("/name", second.as_bytes()));

    // By docker: a repository, a signer, and a tag that the signer's key signed.
    docker(&owner, &["push", &first]).expect(0, &["Successfully signed"]);
    docker(&reader, &["pull", &first]).expect(0, &["Pull (1 of 1)"]);
    docker(&owner, &["trust", "key", "generate", "alice"]).expect(0, &["alice.pub"]);
    docker(&owner, &["trust", "signer", "add", "--key", "alice.pub", "alice", &name])
        .expect(0, &["Successfully added signer: alice"]);
    docker(&owner, &["push", &first]).expect(0, &["Successfully signed"]);
    // By notary, as docker cannot: two new roots that this reader does not see yet.
    for _ in 0..2 {
        rotate_root(&owner, &name);
    }
    let before = inspected(docker(&owner, &["trust", "inspect", &name]));
    assert_eq!(signers(&before, "1"), json!(["alice"]), "{before}");
    drop(notary);

    let ours = Ours::new(here, "ours", port);
    let report = ours.import(&backend.files, &backend.keys);
    assert_eq!(report["repositories"][0]["outcome"], "imported", "{report}");
    let server = ours.start();
    assert_eq!(inspected(docker(&owner, &["trust", "inspect", &name])), before);
    // From the first root to the third, over the one in between.
    docker(&reader, &["pull", &first]).expect(0, &["Pull (1 of 1)"]);
    docker(&person(), &["pull", &first]).expect(0, &["Pull (1 of 1)"]);

    docker(&owner, &["push", &second]).expect(0, &["Successfully signed"]);
    docker(&reader, &["pull", &second]).expect(0, &["Pull (1 of 1)"]);
    let after = inspected(docker(&owner, &["trust", "inspect", &name]));
    assert_eq!(signers(&after, "2"), json!(["alice"]), "{after}");
    // The chain of roots goes on from the last one.
    rotate_root(&owner, &name);
    docker(&reader, &["pull", &first]).expect(0, &["Pull (1 of 1)"]);
    docker(&person(), &["pull", &second]).expect(0, &["Pull (1 of 1)"]);
    docker(&owner, &["trust", "revoke", &second]).expect(0, &["Successfully deleted signature"]);
    docker(&reader, &["pull", &second]).expect(1, &["No valid trust data for 2"]);

    // Once more, as somebody would who is not sure of it: nothing is taken back.
    drop(server);
    let report = ours.import(&backend.files, &backend.keys);
    assert_eq!(report["repositories"][0]["outcome"], "kept", "{report}");
    let _server = ours.start();
    docker(&reader, &["pull", &second]).expect(1, &["No valid trust data for 2"]);
    docker(&reader, &["pull", &first]).expect(0, &["Pull (1 of 1)"]);
    docker(&owner, &["trust", "signer", "remove", "--force", "alice", &name])
        .expect(0, &["Successfully removed alice"]);
}

/// Notary asks whether one is sure.
fn rotate_root(owner: &Person, name: &str) {
    let answer = owner.config().join("answer");
    fs::write(&answer, "yes\n").expect("a file");
    let mut command = owner.notary_command(&["key", "rotate", name, "root"]);
    command.stdin(fs::File::open(answer).expect("it was written"));
    Ran::of(command).expect(0, &["Successfully rotated root key"]);
}

fn inspected(ran: Ran) -> Value {
    ran.expect(0, &[]).json()
}

fn signers(inspected: &Value, tag: &str) -> Value {
    let tags = inspected[0]["SignedTags"].as_array().expect("tags");
    let found = tags.iter().find(|it| it["SignedTag"] == tag);
    found.unwrap_or_else(|| panic!("no {tag} in {inspected}"))["Signers"].clone()
}

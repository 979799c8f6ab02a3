//! What an edit changes, and what it leaves alone.

use serde_json::{Value, json};

use super::*;
use crate::tuf::testing::Repository;
use crate::tuf::{Targets, Trusted};

fn verify(repository: &Repository) -> Trusted<Targets> {
    repository.publish().verify(now()).unwrap().targets
}

/// The signed object that comes of a draft.
fn signed(draft: TargetsDraft) -> Value {
    let key = TestKey::p256(&format!("{BASE} targets"));
    let file = draft.finish(&role_keys(&[&key], 1)).unwrap().sign(&[&key]).unwrap();
    serde_json::from_slice::<Value>(&file).unwrap()["signed"].take()
}

fn edit(repository: &Repository) -> TargetsDraft {
    TargetsDraft::edit(&verify(repository), in_three_years()).unwrap()
}

#[test]
fn what_nobody_changed_stays_unknown_or_not() {
    let mut repository = Repository::new(BASE);
    repository.tag("targets", "kept", b"1");
    repository.delegate("targets/alice", &[TestKey::ed25519("alice")], 1, &["a"]);
    let before = &mut repository.role("targets").signed;
    before["x-note"] = json!({"z": [1, null, "<&>\u{2028}"], "a": true});
    before["targets"]["kept"]["custom"] = json!({"platforms": [{"b": 1, "a": "ü"}]});
    before["targets"]["kept"]["x-more"] = json!("kept, too");
    before["delegations"]["x-more"] = json!(1);
    before["delegations"]["roles"][0]["x-more"] = json!({"a": 1});
    before["zzz"] = json!([]);
    let before = before.clone();

    let mut draft = edit(&repository);
    draft.set_target("new", &target(1)).unwrap();
    let added = signed(draft);
    let mut expected = before.clone();
    expected["version"] = json!(2);
    expected["expires"] = json!(in_three_years().to_string());
    expected["targets"]["new"] =
        json!({"hashes": {"sha256": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}, "length": 523});
    assert_eq!(added, expected);

    // Also where the delegations are written anew.
    let mut draft = edit(&repository);
    draft.set_paths(&delegation("alice"), &["a".to_owned(), "b".to_owned()]).unwrap();
    let mut expected = before;
    expected["version"] = json!(2);
    expected["expires"] = json!(in_three_years().to_string());
    expected["delegations"]["roles"][0]["paths"] = json!(["a", "b"]);
    assert_eq!(signed(draft), expected);
}

#[test]
fn names_of_every_kind_keep_their_order() {
    let names = ["", "a", "a\"b", "a\\b", "B", "<script>", "a&b", "\u{2028}", "ü", "😀", "a/b", "z"];
    let mut repository = Repository::new(BASE);
    for name in &names[1..6] {
        repository.tag("targets", name, b"old");
    }
    let mut draft = edit(&repository);
    for name in &names[4..] {
        draft.set_target(name, &target(2)).unwrap();
    }
    assert!(draft.remove_target("a").unwrap());
    assert!(!draft.remove_target("a").unwrap());
    assert!(!draft.remove_target("never there").unwrap());
    let after = signed(draft);
    let mut expected: Vec<&str> = names[2..].to_vec();
    expected.sort_unstable();
    let found: Vec<&String> = after["targets"].as_object().unwrap().keys().collect();
    assert_eq!(found, expected);
    assert_eq!(after["targets"]["B"]["length"], 523);
    assert_eq!(after["targets"]["a\\b"]["length"], 3);
}

#[test]
fn what_cannot_be_signed_is_refused() {
    let mut draft = TargetsDraft::new(RoleName::TARGETS, days(1));
    for name in ["", "a\tb", "a\n", "\0"] {
        assert!(matches!(draft.set_target(name, &target(1)), Err(AuthorError::Target { .. })), "{name:?}");
    }
    for custom in [json!(1.5), json!({"a": [0.1]}), json!(u64::MAX)] {
        let target = Target { custom: Some(custom.clone()), ..target(1) };
        assert!(matches!(draft.set_target("a", &target), Err(AuthorError::Target { .. })), "{custom}");
    }
    let none = Target { sha256: None, ..target(1) };
    assert!(matches!(draft.set_target("a", &none), Err(AuthorError::Target { .. })));
}

/// Notary signs `custom` as it comes, and then finds its own signature wrong.
#[test]
fn what_a_publisher_adds_is_made_canonical() {
    let mut draft = TargetsDraft::new(RoleName::TARGETS, days(1));
    let custom = json!({"z": "<&>", "a": {"y": 1, "b": 2}});
    draft.set_target("v1", &Target { custom: Some(custom), ..target(1) }).unwrap();
    let key = TestKey::p256("targets");
    let file = draft.finish(&role_keys(&[&key], 1)).unwrap().sign(&[&key]).unwrap();
    let text = String::from_utf8(file).unwrap();
    assert!(text.contains(r#""custom":{"a":{"b":2,"y":1},"z":"\u003c\u0026\u003e"}"#), "{text}");
}

#[test]
fn a_draft_knows_whether_it_changes_anything() {
    let mut repository = Repository::new(BASE);
    repository.tag("targets", "v1", b"1");
    repository.delegate("targets/alice", &[TestKey::ed25519("alice")], 1, &[""]);
    let targets = verify(&repository);
    let listed = targets.find("v1").unwrap().unwrap();
    let changed = |change: &dyn Fn(&mut TargetsDraft)| {
        let mut draft = TargetsDraft::edit(&targets, days(1)).unwrap();
        change(&mut draft);
        draft.is_changed()
    };
    assert!(!changed(&|_| {}));
    assert!(!changed(&|it| it.set_target("v1", &listed).unwrap()));
    assert!(!changed(&|it| assert!(!it.remove_target("v2").unwrap())));
    assert!(!changed(&|it| it.set_threshold(&delegation("alice"), 1).unwrap()));
    assert!(!changed(&|it| it.set_paths(&delegation("alice"), &[String::new()]).unwrap()));
    assert!(changed(&|it| it.set_target("v1", &target(1)).unwrap()));
    assert!(changed(&|it| it.set_target("v2", &listed).unwrap()));
    assert!(changed(&|it| assert!(it.remove_target("v1").unwrap())));
    assert!(changed(&|it| it.remove_all_targets()));
    assert!(changed(&|it| assert!(it.remove_delegation(&delegation("alice")))));
    assert!(TargetsDraft::new(RoleName::TARGETS, days(1)).is_changed());
}

#[test]
fn all_targets_can_go_at_once() {
    let mut repository = Repository::new(BASE);
    for tag in ["a", "b", "c"] {
        repository.tag("targets", tag, b"1");
    }
    let mut draft = edit(&repository);
    draft.set_target("d", &target(1)).unwrap();
    draft.remove_all_targets();
    assert!(!draft.remove_target("a").unwrap());
    draft.set_target("b", &target(2)).unwrap();
    let after = signed(draft);
    assert_eq!(after["targets"].as_object().unwrap().keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn missing_and_null_members_are_written_in_full() {
    let mut repository = Repository::new(BASE);
    for value in [Some(Value::Null), None] {
        let members = repository.role("targets").signed.as_object_mut().unwrap();
        for name in ["targets", "delegations"] {
            match &value {
                Some(value) => members.insert(name.to_owned(), value.clone()),
                None => members.remove(name),
            };
        }
        let mut draft = edit(&repository);
        draft.add_delegation(&delegation("a"), &role_keys(&[&TestKey::p256("a")], 1), &[]).unwrap();
        let after = signed(draft);
        assert_eq!(after["targets"], json!({}));
        assert_eq!(after["delegations"]["roles"][0]["name"], "targets/a");
        assert_eq!(after["delegations"]["roles"][0].get("paths"), None);
    }
}

#[test]
fn delegations_come_and_go() {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(TestKey::ed25519);
    let mut draft = TargetsDraft::new(RoleName::TARGETS, days(1));
    let every = [String::new()];
    draft.add_delegation(&RoleName::RELEASES, &role_keys(&[&alice, &bob], 1), &every).unwrap();
    draft.add_delegation(&delegation("alice"), &role_keys(&[&alice], 1), &every).unwrap();
    let again = draft.add_delegation(&delegation("alice"), &role_keys(&[&bob], 1), &every);
    assert!(matches!(again, Err(AuthorError::DelegationExists { .. })));
    let deeper = draft.add_delegation(&delegation("alice/ci"), &role_keys(&[&bob], 1), &every);
    assert!(matches!(deeper, Err(AuthorError::Role { .. })));
    let none = draft.add_delegation(&delegation("none"), &role_keys(&[], 1), &every);
    assert!(matches!(none, Err(AuthorError::KeysBelowThreshold { .. })));

    let change = |add: &[&TestKey], remove: &[&TestKey]| DelegationKeys {
        add: add.iter().map(|it| it.public().clone()).collect(),
        remove: remove.iter().map(|it| it.public().canonical_id().clone()).collect(),
    };
    draft.change_keys(&RoleName::RELEASES, &change(&[&carol, &bob], &[&alice])).unwrap();
    draft.set_threshold(&RoleName::RELEASES, 2).unwrap();
    let too_few = draft.change_keys(&RoleName::RELEASES, &change(&[], &[&bob]));
    assert!(matches!(too_few, Err(AuthorError::KeysBelowThreshold { keys: 1, threshold: 2, .. })));
    assert!(matches!(draft.set_threshold(&delegation("x"), 1), Err(AuthorError::Role { .. })));
    assert!(draft.remove_delegation(&delegation("alice")));
    assert!(!draft.remove_delegation(&delegation("alice")));
    let after = signed(draft);
    assert_eq!(
        after["delegations"],
        json!({
            "keys": {bob.id(): bob.to_json(), carol.id(): carol.to_json()},
            "roles": [{
                "keyids": [bob.id(), carol.id()],
                "name": "targets/releases",
                "paths": [""],
                "threshold": 2,
            }],
        })
    );
}

#[test]
fn a_snapshot_keeps_what_it_listed() {
    let mut repository = Repository::new(BASE);
    repository.delegate("targets/alice", &[TestKey::ed25519("alice")], 1, &[""]);
    repository.role("snapshot").signed["x-note"] = json!("kept");
    let verified = repository.publish().verify(now()).unwrap();
    let mut draft = SnapshotDraft::edit(&verified.snapshot, in_three_years()).unwrap();
    draft.set(&RoleName::TARGETS, b"another file");
    assert!(draft.remove(&delegation("alice")));
    assert!(!draft.remove(&delegation("bob")));
    let key = TestKey::p256(&format!("{BASE} snapshot"));
    let file = draft.finish(&role_keys(&[&key], 1)).unwrap().sign(&[&key]).unwrap();
    let after = serde_json::from_slice::<Value>(&file).unwrap();
    let before = serde_json::from_slice::<Value>(verified.snapshot.raw()).unwrap();
    assert_eq!(after["signed"]["version"], 2);
    assert_eq!(after["signed"]["x-note"], "kept");
    assert_eq!(after["signed"]["meta"]["root"], before["signed"]["meta"]["root"]);
    assert_eq!(after["signed"]["meta"]["targets"]["length"], 12);
    assert_eq!(after["signed"]["meta"].as_object().unwrap().len(), 2);
}

#[test]
fn a_file_that_is_not_canonical_is_written_canonically() {
    let mut repository = Repository::new(BASE);
    repository.tag("targets", "v<1>", b"1");
    repository.role("targets").after_signing = Some(Box::new(|file| {
        let value: Value = serde_json::from_slice(&file).unwrap();
        serde_json::to_vec_pretty(&value).unwrap()
    }));
    let mut draft = edit(&repository);
    draft.set_target("v2", &target(1)).unwrap();
    let names: Vec<_> = signed(draft)["targets"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["v2", "v<1>"]);
}

//! Attacks by a role on what it was not given.

use serde_json::json;

use super::{assert_refused, refusal, repository};
use crate::tuf::testing::{Repository, TestKey, now};
use crate::tuf::{RoleName, TufError, verify_delegation};

/// A repository whose `targets/releases` delegates to a role of this name.
fn delegating_to(name: &str) -> Repository {
    let mut repository = repository();
    let key = TestKey::p256("child");
    let delegations = &mut repository.role("targets/releases").signed["delegations"];
    delegations["keys"][key.id()] = key.to_json();
    delegations["roles"] = json!([{"keyids": [key.id()], "name": name, "paths": [""], "threshold": 1}]);
    repository
}

#[test]
fn delegation_cycle() {
    for name in ["targets/releases", "targets/alice"] {
        assert_refused!(refusal(&delegating_to(name)), TufError::Malformed { reason, .. } if reason.contains("not directly below"));
    }
}

#[test]
fn delegation_to_a_base_role() {
    for name in ["targets", "root", "snapshot", "timestamp"] {
        assert_refused!(refusal(&delegating_to(name)), TufError::Malformed { reason, .. } if reason.contains("not directly below"));
    }
}

#[test]
fn delegation_to_a_grandchild() {
    let error = refusal(&delegating_to("targets/releases/a/b"));
    assert_refused!(error, TufError::Malformed { reason, .. } if reason.contains("not directly below"));
}

#[test]
fn delegation_with_a_dubious_name() {
    for name in [
        "targets/releases/..",
        "targets/releases/../../root",
        "targets/releases/",
        "targets/releases//a",
        "targets/releases/A",
        "targets/releases/\u{430}",
        "../../etc/passwd",
        "",
        "targets/releases/%2e",
    ] {
        assert_refused!(refusal(&delegating_to(name)), TufError::InvalidRole { .. });
    }
}

#[test]
fn delegation_shadows_another() {
    let mut repository = repository();
    repository.delegate("targets/releases", &[TestKey::p256("mallory")], 1, &[""]);
    assert_refused!(refusal(&repository), TufError::Malformed { reason, .. } if reason.contains("stands twice"));
}

#[test]
fn delegation_outside_its_paths() {
    let mut repository = repository();
    repository.delegate("targets/docs", &[TestKey::p256("docs")], 1, &["docs-", "man"]);
    for tag in ["docs-1", "man", "v1", "doc", "Docs-1", " docs-1"] {
        repository.tag("targets/docs", tag, b"manifest");
    }
    let it = repository.publish().verify(now()).unwrap();
    let docs = &it.delegations[&"targets/docs".parse::<RoleName>().unwrap()];
    assert!(docs.find("docs-1").unwrap().is_some());
    assert!(docs.find("man").unwrap().is_some());
    for tag in ["v1", "doc", "Docs-1", " docs-1"] {
        assert_eq!(docs.find(tag).unwrap(), None, "{tag} is not its to sign");
    }
    assert_eq!(docs.names(10), ["docs-1", "man"]);
    assert_eq!(docs.count(), 2);
}

#[test]
fn delegation_gives_more_than_it_has() {
    let mut repository = repository();
    repository.delegate("targets/docs", &[TestKey::p256("docs")], 1, &["docs-"]);
    repository.delegate("targets/docs/all", &[TestKey::p256("all")], 1, &["", "docs-a", "docs"]);
    for tag in ["docs-a1", "docs-b1", "v1"] {
        repository.tag("targets/docs/all", tag, b"manifest");
    }
    let it = repository.publish().verify(now()).unwrap();
    let all = &it.delegations[&"targets/docs/all".parse::<RoleName>().unwrap()];
    assert_eq!(all.paths(), ["docs-a"]);
    assert_eq!(all.names(10), ["docs-a1"]);
    assert_eq!(all.find("v1").unwrap(), None);
}

#[test]
fn delegation_without_paths_signs_nothing() {
    let mut repository = repository();
    repository.delegate("targets/none", &[TestKey::p256("none")], 1, &[]);
    repository.tag("targets/none", "v1", b"manifest");
    let it = repository.publish().verify(now()).unwrap();
    let none = &it.delegations[&"targets/none".parse::<RoleName>().unwrap()];
    assert_eq!(none.find("v1").unwrap(), None);
    assert!(none.names(10).is_empty());
}

#[test]
fn file_of_a_role_that_nobody_delegates_to() {
    let files = repository().publish();
    let it = files.verify(now()).unwrap();
    for name in ["targets/mallory", "targets/releases/a", "targets", "root"] {
        let role = name.parse().unwrap();
        let file = files.get("targets/releases");
        let error = verify_delegation(&it.targets, &role, &it.snapshot, file, None, now()).unwrap_err();
        assert_refused!(error, TufError::UnknownDelegation { .. });
    }
}

#[test]
fn keys_of_a_delegation_are_not_those_of_another() {
    let mut repository = repository();
    repository.delegate("targets/alice", &[TestKey::p256("alice")], 1, &[""]);
    repository.role("targets/releases").signers = vec![TestKey::p256("alice")];
    assert_refused!(refusal(&repository), TufError::Threshold { role, .. } if *role == RoleName::RELEASES);
}

#[test]
fn two_thousand_delegations() {
    let mut repository = repository();
    let key = TestKey::p256("many");
    let delegations = &mut repository.role("targets").signed["delegations"];
    delegations["keys"][key.id()] = key.to_json();
    let roles =
        (0..2000).map(|it| json!({"keyids": [key.id()], "name": format!("targets/a{it}"), "threshold": 1}));
    delegations["roles"] = roles.collect();
    assert_refused!(refusal(&repository), TufError::Malformed { reason, .. } if reason.contains("more than 1024 delegations"));
}

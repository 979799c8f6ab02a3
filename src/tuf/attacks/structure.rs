//! Attacks on the reader: other shapes, other numbers, other texts than metadata has.

use serde_json::{Value, json};

use super::{GUN, assert_refused, refusal, refusal_of, repository};
use crate::tuf::testing::{Files, Repository, TestKey, envelope, now};
use crate::tuf::{RoleName, TufError, canonical, peek_version};

/// The published repository with a timestamp of these very bytes.
fn served(timestamp: impl Into<Vec<u8>>) -> TufError {
    let mut files: Files = repository().publish();
    files.files.insert("timestamp".to_owned(), timestamp.into());
    refusal_of(&files)
}

/// The text of an honest timestamp, for breaking it.
fn timestamp() -> String {
    String::from_utf8(repository().publish().get("timestamp")).unwrap()
}

/// A role whose signed text is edited, then canonicalised and signed as its signers would.
fn edited(role: &str, edit: impl Fn(String) -> String + Send + Sync + 'static) -> Repository {
    let mut repository = repository();
    let signers = repository.role(role).signers.clone();
    repository.role(role).after_signing = Some(Box::new(move |file| {
        let file: Value = serde_json::from_slice(&file).unwrap();
        let text = edit(file["signed"].to_string());
        let message = canonical::canonicalize(text.as_bytes()).unwrap_or_else(|_| text.clone().into_bytes());
        let signatures: Vec<Value> = signers.iter().map(|it| it.sign(&message)).collect();
        envelope(text.as_bytes(), &json!(signatures))
    }));
    repository
}

#[test]
fn what_is_no_metadata() {
    for text in [
        "",
        " ",
        "null",
        "true",
        "1",
        "\"signed\"",
        "[]",
        "{}",
        "<!DOCTYPE html>",
        "{\"signed\":{}",
        "\u{feff}{}",
        "{\"errors\":[{\"code\":\"UNKNOWN\"}]}",
        "{\"signed\":null,\"signatures\":[]}",
        "{\"signatures\":[]}",
        "{,}",
        "{}{}",
    ] {
        let error = served(text);
        assert!(
            matches!(error, TufError::Malformed { .. } | TufError::NoSignatures { .. }),
            "{text:?}: {error:?}"
        );
        assert_eq!(peek_version(text.as_bytes()), None);
    }
}

#[test]
fn deep_nesting() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [65, 1000, 1_000_000] {
            if depth * open.len() > crate::tuf::TIMESTAMP_LIMIT / 3 {
                continue;
            }
            let deep = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            for text in [
                deep.clone(),
                format!("{{\"signed\":{deep},\"signatures\":[]}}"),
                format!("{{\"signed\":{{}},\"signatures\":{deep}}}"),
                format!("{{\"signed\":{{}},\"signatures\":[],\"more\":{deep}}}"),
            ] {
                assert_refused!(served(text), TufError::Malformed { .. });
            }
        }
    }
    let unclosed = format!("{{\"signed\":{{\"a\":{}", "[".repeat(500_000));
    assert_refused!(served(unclosed), TufError::Malformed { reason, .. } if reason.contains("nested deeper"));
}

#[test]
fn members_twice() {
    for (role, from, to) in [
        ("timestamp", "\"version\":1", "\"version\":9,\"version\":1"),
        ("timestamp", "\"version\":1", "\"version\":1,\"vers\\u0069on\":9"),
        ("targets", "\"v1\":", "\"v1\":{\"hashes\":{},\"length\":1},\"v1\":"),
        ("targets", "\"v1\":", "\"v1\":{\"hashes\":{},\"length\":1},\"\\u00761\":"),
        ("targets", "\"length\":12", "\"length\":12,\"length\":13"),
        ("root", "\"threshold\":1", "\"threshold\":0,\"threshold\":1"),
    ] {
        let repository = edited(role, move |text| text.replacen(from, to, 1));
        assert_refused!(refusal(&repository), TufError::Malformed { reason, .. } if reason.contains("stands twice"));
    }
}

#[test]
fn parts_of_the_file_twice() {
    let honest = timestamp();
    for text in [
        honest.replacen("{\"signed\"", "{\"signed\":{},\"signed\"", 1),
        honest.replacen("\"signatures\"", "\"signatures\":[],\"signatures\"", 1),
        honest.replacen("{\"signed\"", "{\"Signed\":{},\"signed\"", 1),
        honest.replacen("{\"signed\"", "{\"\\u017figned\":{},\"signed\"", 1),
        honest.replacen("\"signatures\"", "\"SIGNATURES\":[],\"signatures\"", 1),
    ] {
        assert_refused!(served(text), TufError::Malformed { reason, .. } if reason.contains("twice") || reason.contains("variant"));
    }
}

#[test]
fn case_variants_of_members() {
    for (role, from, to) in [
        ("timestamp", "\"expires\"", "\"Expires\":\"2099-01-01T00:00:00Z\",\"expires\""),
        ("timestamp", "\"expires\"", "\"expire\u{17f}\":\"2099-01-01T00:00:00Z\",\"expires\""),
        ("timestamp", "\"version\"", "\"VERSION\":7,\"version\""),
        ("timestamp", "\"_type\"", "\"_Type\":\"Timestamp\",\"_type\""),
        ("timestamp", "\"snapshot\":", "\"Snapshot\":{},\"snapshot\":"),
        ("snapshot", "\"meta\"", "\"Meta\":{},\"meta\""),
        ("snapshot", "\"length\"", "\"LENGTH\":1,\"length\""),
        ("targets", "\"targets\":{", "\"Targets\":{},\"targets\":{"),
        ("targets", "\"delegations\"", "\"Delegations\":{},\"delegations\""),
        ("targets", "\"threshold\"", "\"Threshold\":1,\"threshold\""),
        ("root", "\"keys\"", "\"\u{212a}eys\":{},\"keys\""),
        ("root", "\"keytype\"", "\"KeyType\":\"rsa\",\"keytype\""),
        ("root", "\"roles\"", "\"Roles\":{},\"roles\""),
    ] {
        let repository = edited(role, move |text| text.replacen(from, to, 1));
        let error = refusal(&repository);
        assert!(
            matches!(&error, TufError::Malformed { reason, .. } if reason.contains("case variant")),
            "{to}: {error:?}"
        );
    }
}

#[test]
fn case_variants_inside_a_target() {
    let repository =
        edited("targets", |text| text.replacen("\"length\":12", "\"Length\":1,\"length\":12", 1));
    let it = repository.publish().verify(now()).unwrap();
    assert_refused!(it.targets.find("v1").unwrap_err(), TufError::Malformed { reason, .. } if reason.contains("case variant"));
}

/// Every member of every file takes every other type once; no reader may panic or pass it.
#[test]
fn wrong_types_everywhere() {
    let values =
        [json!(null), json!(true), json!(-1), json!("x"), json!([]), json!([[]]), json!({}), json!({"a": 1})];
    let mut tried = 0;
    for role in ["root", "timestamp", "snapshot", "targets", "targets/releases"] {
        let mut repository = repository();
        let honest: Value = serde_json::from_slice(&repository.publish().get(role)).unwrap();
        for pointer in pointers(&honest["signed"], String::new()) {
            for value in &values {
                if std::mem::discriminant(honest["signed"].pointer(&pointer).unwrap())
                    == std::mem::discriminant(value)
                {
                    continue;
                }
                let (place, other) = (pointer.clone(), value.clone());
                repository.role(role).before_signing =
                    Some(Box::new(move |signed| *signed.pointer_mut(&place).unwrap() = other.clone()));
                if let Ok(it) = repository.publish().verify(now()) {
                    assert!(is_harmless(&pointer, value), "{role} {pointer} {value}");
                    // What is read late is refused late, and may not panic either.
                    let _ = (it.targets.find("v1"), it.targets.names(9), it.targets.for_each(|_, _| {}));
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 300, "only {tried} places were tried");
}

/// What is never read, what is read only when it is asked for, and what may be absent.
fn is_harmless(pointer: &str, value: &Value) -> bool {
    let absent =
        ["/targets", "/delegations", "/delegations/keys", "/delegations/roles", "/delegations/roles/0/paths"];
    pointer.starts_with("/targets/")
        || pointer == "/consistent_snapshot"
        || pointer.ends_with("/private")
        || (value.is_null() && absent.contains(&pointer))
}

fn pointers(value: &Value, at: String) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, it)| (name.replace('/', "~1"), it)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, it)| (index.to_string(), it)).collect(),
        _ => Vec::new(),
    };
    let mut all: Vec<_> =
        below.into_iter().flat_map(|(name, it)| pointers(it, format!("{at}/{name}"))).collect();
    if !at.is_empty() {
        all.push(at);
    }
    all
}

#[test]
fn versions_that_are_none() {
    for version in [
        "0",
        "-1",
        "1.5",
        "\"1\"",
        "null",
        "9223372036854775808",
        "9007199254740993",
        "1e400",
        "1e17",
        "NaN",
        "01",
        "[1]",
    ] {
        let repository = edited("timestamp", move |text| {
            text.replacen("\"version\":1", &format!("\"version\":{version}"), 1)
        });
        let error = refusal(&repository);
        assert!(
            matches!(&error, TufError::Malformed { role, .. } if *role == RoleName::TIMESTAMP),
            "{version}: {error:?}"
        );
    }
    let mut repository = repository();
    repository.role("timestamp").signed.as_object_mut().unwrap().remove("version");
    assert_refused!(refusal(&repository), TufError::Malformed { reason, .. } if reason.contains("`version` is missing"));
}

#[test]
fn numbers_that_two_readers_read_differently() {
    for number in ["9007199254740993", "18446744073709551615", "0.1", "1e-1", "-9007199254740993", "1e300"] {
        let repository = edited("timestamp", move |text| {
            text.replacen("\"version\":1", &format!("\"version\":1,\"x\":{number}"), 1)
        });
        assert_refused!(refusal(&repository), TufError::Malformed { .. });
    }
}

#[test]
fn types_that_are_not_the_roles() {
    for (role, kinds) in [
        ("root", ["root", "Targets", "Root ", ""]),
        ("timestamp", ["timestamp", "Snapshot", "TIMESTAMP", "Timestamp\u{7f}"]),
        ("snapshot", ["snapshot", "Timestamp", "SnapShot", "Snap\u{ad}shot"]),
        ("targets", ["targets", "Root", "targets/releases", "Target"]),
        ("targets/releases", ["targets", "Delegation", "targets/releases", "Releases"]),
    ] {
        for kind in kinds {
            let mut repository = repository();
            repository.role(role).signed["_type"] = json!(kind);
            assert_refused!(refusal(&repository), TufError::Malformed { reason, .. } if reason.contains("_type"));
        }
    }
}

#[test]
fn expiry_that_is_no_time() {
    for expires in [
        "",
        "never",
        "2099-01-01",
        "2099-01-01 00:00:00Z",
        "4102444800",
        "2099-01-01T00:00:00",
        "2099-13-01T00:00:00Z",
    ] {
        let mut repository = repository();
        repository.role("timestamp").signed["expires"] = json!(expires);
        assert_refused!(refusal(&repository), TufError::Malformed { reason, .. } if reason.contains("expires"));
    }
}

#[test]
fn texts_that_are_no_unicode() {
    let honest = timestamp();
    for bytes in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
        let mut file = honest.clone().into_bytes();
        let at = honest.find("Timestamp").unwrap();
        file.splice(at..at, bytes.iter().copied());
        assert_refused!(served(file), TufError::Malformed { reason, .. } if reason.contains("UTF-8"));
    }
    for escape in ["\\ud800", "\\udc00", "\\ud800\\ud800", "\\x41", "\\u00g0", "\\u+041"] {
        assert_refused!(served(honest.replacen("Timestamp", escape, 1)), TufError::Malformed { .. });
    }
    for control in ["\u{0}", "\n", "\t", "\u{1f}"] {
        assert_refused!(served(honest.replacen("Timestamp", control, 1)), TufError::Malformed { reason, .. } if reason.contains("control character"));
    }
}

#[test]
fn text_behind_the_end() {
    for tail in ["x", "{}", ",", "\u{0}", "}"] {
        assert_refused!(served(timestamp() + tail), TufError::Malformed { reason, .. } if reason.contains("behind the end"));
    }
}

#[test]
fn names_that_look_alike_are_different_tags() {
    let mut repository = Repository::new(GUN);
    for (tag, manifest) in [
        ("e\u{301}", b"a".as_slice()),
        ("\u{e9}", b"b"),
        ("V1", b"c"),
        ("v1\u{200b}", b"d"),
        ("v\\u0031", b"e"),
    ] {
        repository.tag("targets", tag, manifest);
    }
    let it = repository.publish().verify(now()).unwrap();
    for absent in ["v1", "e", "", "v", "V", "v1\u{0}"] {
        assert_eq!(it.targets.find(absent).unwrap(), None, "{absent:?}");
    }
    let a = it.targets.find("e\u{301}").unwrap().unwrap();
    let b = it.targets.find("\u{e9}").unwrap().unwrap();
    assert_ne!(a.sha256, b.sha256);
    assert!(it.targets.find("v\\u0031").unwrap().is_some());
}

#[test]
fn a_tag_inside_the_data_of_another() {
    let mut repository = Repository::new(GUN);
    repository.tag("targets", "honest", b"manifest");
    let inner = json!({"v1": {"hashes": {"sha256": "AAAA"}, "length": 1}, "text": "\"v1\":{\"length\":1}"});
    repository.role("targets").signed["targets"]["honest"]["custom"] = inner;
    repository.role("targets").signed["zz"] = json!({"v1": {"hashes": {}, "length": 1}});
    let it = repository.publish().verify(now()).unwrap();
    assert_eq!(it.targets.find("v1").unwrap(), None);
    assert_eq!(it.targets.names(9), ["honest"]);
}

#[test]
fn target_without_sha256() {
    let mut repository = repository();
    repository.role("targets").signed["targets"]["v1"]["hashes"] =
        json!({"sha512": super::super::testing::describe(b"")["hashes"]["sha512"]});
    let it = repository.publish().verify(now()).unwrap();
    let target = it.targets.find("v1").unwrap().unwrap();
    assert_eq!(target.sha256, None, "a digest must never be made up");
    assert!(target.sha512.is_some());
}

#[test]
fn targets_that_are_malformed() {
    for target in [
        json!(null),
        json!([]),
        json!("x"),
        json!({}),
        json!({"hashes": {}}),
        json!({"length": -1, "hashes": {}}),
        json!({"length": "1", "hashes": {}}),
        json!({"length": 1, "hashes": []}),
        json!({"length": 1, "hashes": {"sha256": null}}),
        json!({"length": 1, "hashes": {"sha256": ""}}),
        json!({"length": 1, "hashes": {"sha256": "AAAA"}}),
        json!({"length": 1, "hashes": {"sha256": "***"}}),
        json!({"length": 1, "hashes": {"sha512": "du9KeWPF9Fj0KXxnD0ngRjRY+AQtamYeIfFkeRuv/Cg="}}),
    ] {
        let mut repository = repository();
        repository.role("targets").signed["targets"]["v1"] = target.clone();
        let it = repository.publish().verify(now()).unwrap();
        assert!(matches!(it.targets.find("v1"), Err(TufError::Malformed { .. })), "{target}");
        assert!(it.targets.for_each(|_, _| {}).is_err(), "{target}");
    }
}

#[test]
fn ten_thousand_keys() {
    let mut repository = repository();
    let keys: serde_json::Map<_, _> = (0..2000)
        .map(|it: u32| {
            let key = TestKey::p256("one");
            let public = crate::tuf::PublicKey::new(crate::tuf::KeyType::Ed25519, it.to_be_bytes().to_vec());
            let key = key.with_public(public);
            (key.id().to_owned(), key.to_json())
        })
        .collect();
    repository.role("root").signed["keys"] = Value::Object(keys);
    assert_refused!(refusal(&repository), TufError::Malformed { reason, .. } if reason.contains("more than 1024 keys"));
}

#[test]
fn too_many_members_at_the_top_only_cost_time() {
    let mut repository = repository();
    for index in 0..1000 {
        repository.role("timestamp").signed[format!("unknown-{index}")] = json!({"meta": index});
    }
    repository.publish().verify(now()).unwrap();
}

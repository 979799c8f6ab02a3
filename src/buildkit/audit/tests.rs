use std::collections::BTreeMap;

use super::*;

const PINNED: &str = "docker.io/acme/base";

fn digest(letter: char) -> Digest {
    format!("sha256:{}", letter.to_string().repeat(64)).parse().unwrap()
}

fn allowed() -> Allowed {
    Allowed {
        images: BTreeSet::from([(PINNED.to_owned(), digest('a'))]),
        unpinned: BTreeSet::from(["docker.io/acme/exempt:1".to_owned()]),
        any_image: false,
        layouts: BTreeSet::from([digest('b')]),
        blobs: false,
    }
}

fn source_op(identifier: &str, attributes: &[(&str, &str)]) -> pb::Op {
    let attrs: BTreeMap<String, String> =
        attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    pb::Op {
        op: Some(pb::op::Op::Source(pb::SourceOp { identifier: identifier.to_owned(), attrs })),
        constraints: Some(pb::WorkerConstraints::default()),
        ..pb::Op::default()
    }
}

fn source(identifier: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    source_op(identifier, attributes).encode_to_vec()
}

/// A definition of these operations and a terminal one that points at the last of them.
fn definition(ops: &[Vec<u8>]) -> Vec<u8> {
    let terminal = pb::Op {
        inputs: vec![pb::Input { digest: operation_digest(ops.last().unwrap()), index: 0 }],
        ..pb::Op::default()
    };
    let mut def = ops.to_vec();
    def.push(terminal.encode_to_vec());
    pb::Definition { def, ..pb::Definition::default() }.encode_to_vec()
}

fn exec_over(input: &[u8]) -> Vec<u8> {
    pb::Op {
        inputs: vec![pb::Input { digest: operation_digest(input), index: 0 }],
        op: Some(pb::op::Op::Exec(pb::ExecOp::default())),
        ..pb::Op::default()
    }
    .encode_to_vec()
}

fn pinned() -> Vec<u8> {
    source(&format!("docker-image://{PINNED}:1@{}", digest('a')), &[("image.resolvemode", "local")])
}

/// A message field by hand: key, length, bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    out.extend_from_slice(bytes);
    out
}

#[test]
fn what_was_decided_on_passes() {
    let image = pinned();
    let ops = vec![
        image.clone(),
        source("docker-image://docker.io/acme/exempt:1", &[]),
        source(&format!("docker-image://docker.io/acme/exempt:1@{}", digest('f')), &[]),
        source(&format!("oci-layout://name@{}", digest('b')), &[("oci.session", "s"), ("oci.store", "t")]),
        source("local://context", &[("local.session", "s")]),
        source("https://example.org/file", &[("http.checksum", "sha256:00")]),
        source("git://example.org/a.git#main:sub", &[("git.fullurl", "https://example.org/a.git")]),
        exec_over(&image),
    ];
    let sources = audit(&definition(&ops), &allowed()).unwrap();
    assert_eq!(sources.len(), 7);
    assert_eq!(audit(&pb::Definition::default().encode_to_vec(), &allowed()).unwrap(), []);
    assert_eq!(audit(b"", &allowed()).unwrap(), []);
}

/// Every definition here has to be refused, each for the named reason.
#[test]
#[expect(clippy::too_many_lines, reason = "one table, one row an attack")]
fn hostile_definitions_are_refused() {
    let a = digest('a');
    let image = pinned();
    let identifier = format!("docker-image://{PINNED}:1@{a}");
    let wide = |bytes: &[u8]| definition(&[image.clone(), bytes.to_vec(), exec_over(&image)]);
    let op = |fields: &[Vec<u8>]| fields.concat();
    let source_field = |bytes: &[u8]| field(3, bytes);
    let evil = "docker-image://docker.io/evil/bait:1";
    let encode = |op: pb::Op| op.encode_to_vec();
    let other_input = pb::Input { digest: digest('9').to_string(), index: 0 };
    let kind = |kind: pb::op::Op| encode(pb::Op { op: Some(kind), ..pb::Op::default() });

    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("by tag", wide(&source(evil, &[])), "by its tag"),
        ("no tag, no digest", wide(&source("docker-image://docker.io/evil/bait", &[])), "by its tag"),
        ("signed repository by tag", wide(&source(&format!("docker-image://{PINNED}:1"), &[])), "by its tag"),
        (
            "another digest",
            wide(&source(&format!("docker-image://{PINNED}:1@{}", digest('c')), &[])),
            "unverified",
        ),
        (
            "digest of another repository",
            wide(&source(&format!("docker-image://docker.io/evil/base:1@{a}"), &[])),
            "unverified",
        ),
        (
            "another registry",
            wide(&source(&format!("docker-image://evil.org/acme/base:1@{a}"), &[])),
            "unverified",
        ),
        (
            "exempt repository, other tag",
            wide(&source("docker-image://docker.io/acme/exempt:2", &[])),
            "by its tag",
        ),
        (
            "exempt repository, any digest",
            wide(&source(&format!("docker-image://docker.io/acme/exempt@{}", digest('c')), &[])),
            "unverified",
        ),
        (
            "sha512 digest of its own",
            wide(&source(&format!("docker-image://{PINNED}@sha512:{}", "a".repeat(128)), &[])),
            "unverified",
        ),
        ("layers cut off", wide(&source(&identifier, &[("image.layerlimit", "1")])), "image.layerlimit"),
        (
            "unknown image attribute",
            wide(&source(&identifier, &[("image.mirror", "evil.org")])),
            "image.mirror",
        ),
        (
            "a checksum that differs",
            wide(&source(&identifier, &[("image.checksum", "sha256:00")])),
            "image.checksum",
        ),
        (
            "a git attribute on an image",
            wide(&source(&identifier, &[("git.fullurl", "https://evil.org")])),
            "git.fullurl",
        ),
        ("no reference", wide(&source("docker-image://UPPER CASE", &[])), "no image reference"),
        ("empty reference", wide(&source("docker-image://", &[])), "no image reference"),
        (
            "layout that nobody let in",
            wide(&source(&format!("oci-layout://x@{}", digest('c')), &[])),
            "unverified",
        ),
        ("layout without a digest", wide(&source("oci-layout://x:1", &[])), "by its tag"),
        (
            "layout with layers cut off",
            wide(&source(&format!("oci-layout://x@{}", digest('b')), &[("oci.layerlimit", "0")])),
            "oci.layerlimit",
        ),
        ("registry blob", wide(&source(&format!("docker-image+blob://{PINNED}@{a}"), &[])), "bare blob"),
        ("layout blob", wide(&source(&format!("oci-layout+blob://x@{a}"), &[])), "bare blob"),
        (
            "blob in a git source",
            wide(&source(
                "git://example.org/a",
                &[("git.bundle", &format!("docker-image+blob://{PINNED}@{a}"))],
            )),
            "bare blob",
        ),
        (
            "git from elsewhere",
            wide(&source("git://example.org/a", &[("git.fullurl", "https://evil.org/a")])),
            "is fetched from",
        ),
        ("unknown git attribute", wide(&source("git://example.org/a", &[("git.mirror", "x")])), "git.mirror"),
        (
            "foreign attribute on a directory",
            wide(&source("local://context", &[("oci.store", "x")])),
            "oci.store",
        ),
        (
            "foreign attribute on a URL",
            wide(&source("https://example.org/", &[("image.layerlimit", "x")])),
            "image.layerlimit",
        ),
        ("unknown scheme", wide(&source("ftp://example.org/x", &[])), "not known"),
        ("scheme in upper case", wide(&source("Docker-Image://docker.io/evil/bait:1", &[])), "not known"),
        ("no scheme", wide(&source("docker.io/evil/bait:1", &[])), "not known"),
        ("empty identifier", wide(&source("", &[])), "no identifier"),
        ("nested build", wide(&kind(pb::op::Op::Build(pb::BuildOp::default()))), "nested build"),
        (
            "nested build with its own graph",
            wide(&kind(pb::op::Op::Build(pb::BuildOp {
                def: Some(pb::Definition { def: vec![source(evil, &[])], ..pb::Definition::default() }),
                ..pb::BuildOp::default()
            }))),
            "nested build",
        ),
        (
            "pass-through",
            wide(&kind(pb::op::Op::Passthrough(pb::PassthroughOp::default()))),
            "unknown kind (field 8)",
        ),
        ("a kind of the future", wide(&op(&[field(9, b"x")])), "unknown kind (field 9)"),
        ("a kind of the far future", wide(&op(&[field(15, b"x")])), "unknown kind (field 15)"),
        ("two kinds", wide(&op(&[field(2, b""), source_field(&field(1, evil.as_bytes()))])), "two kinds"),
        (
            "two sources in one operation",
            wide(&op(&[
                source_field(&field(1, identifier.as_bytes())),
                source_field(&field(1, evil.as_bytes())),
            ])),
            "field twice",
        ),
        (
            "two identifiers in one source",
            wide(&op(&[source_field(&[field(1, b"local://context"), field(1, evil.as_bytes())].concat())])),
            "two identifiers",
        ),
        (
            "an attribute twice",
            wide(&op(&[source_field(
                &[
                    field(1, b"local://context"),
                    field(2, &[field(1, b"local.session"), field(2, b"x")].concat()),
                    field(2, &[field(1, b"local.session"), field(2, b"y")].concat()),
                ]
                .concat(),
            )])),
            "attribute twice",
        ),
        (
            "a field of the future in a source",
            wide(&op(&[source_field(&[field(1, b"local://context"), field(3, evil.as_bytes())].concat())])),
            "unknown field",
        ),
        (
            "a source with inputs",
            wide(&encode(pb::Op {
                inputs: vec![pb::Input { digest: operation_digest(&image), index: 0 }],
                ..source_op("local://context", &[])
            })),
            "has inputs",
        ),
        (
            "an input from nowhere",
            wide(&encode(pb::Op {
                inputs: vec![other_input],
                op: Some(pb::op::Op::Exec(pb::ExecOp::default())),
                ..pb::Op::default()
            })),
            "not in the graph",
        ),
        (
            "an operation without a kind",
            wide(&encode(pb::Op {
                inputs: vec![pb::Input { digest: operation_digest(&image), index: 0 }],
                ..pb::Op::default()
            })),
            "no kind",
        ),
        ("an empty operation", wide(b""), "empty"),
        ("bytes that are no operation", wide(b"\xff\xff\xff"), "valid key"),
        ("an operation cut short", wide(image.get(..image.len() - 3).unwrap()), "cut short"),
        ("a group", wide(b"\x1b\x1c"), "group"),
        (
            "no terminal operation",
            pb::Definition { def: vec![image.clone()], ..pb::Definition::default() }.encode_to_vec(),
            "not the terminal",
        ),
        ("bytes that are no definition", b"\xff\xff".to_vec(), "no protobuf"),
        ("bait that nothing uses", definition(&[source(evil, &[]), image.clone()]), "by its tag"),
    ];
    assert!(25 <= cases.len());
    for (name, bytes, reason) in cases {
        match audit(&bytes, &allowed()) {
            Ok(sources) => panic!("{name}: let in with {sources:?}"),
            Err(error) => assert!(error.to_string().contains(reason), "{name}: {error}"),
        }
    }
}

#[test]
fn with_content_trust_off_every_image_passes_and_is_still_named() {
    let allowed = Allowed { any_image: true, ..Allowed::default() };
    let sources =
        audit(&definition(&[source("docker-image://docker.io/evil/bait:1", &[])]), &allowed).unwrap();
    assert_eq!(sources[0].identifier, "docker-image://docker.io/evil/bait:1");
}

#[test]
fn git_sources_are_allowed_under_both_names() {
    let bytes = definition(&[source(
        "git://example.org:a/b.git#main",
        &[("git.fullurl", "git@example.org:a/b.git")],
    )]);
    let sources = sources(&bytes).unwrap();
    assert_eq!(
        sources[0].policy_identifiers(),
        ["git://example.org:a/b.git#main", "git://example.org/a/b.git#main"]
    );
}

#[test]
fn a_policy_denies_all_but_the_exact_sources() {
    use crate::buildkit::proto::sourcepolicy::{MatchType, PolicyAction};
    let image = pinned();
    let bytes = definition(&[image.clone(), source("local://context", &[]), exec_over(&image)]);
    let policy = crate::buildkit::source_policy::deny_all_but(&sources(&bytes).unwrap());
    assert_eq!(policy.version, 1);
    let rules: Vec<(PolicyAction, MatchType, String, usize)> = policy
        .rules
        .iter()
        .map(|rule| {
            let selector = rule.selector.as_ref().unwrap();
            (rule.action(), selector.match_type(), selector.identifier.clone(), selector.constraints.len())
        })
        .collect();
    assert_eq!(
        rules,
        [
            (PolicyAction::Deny, MatchType::Regex, ".*".to_owned(), 0),
            (PolicyAction::Allow, MatchType::Exact, format!("docker-image://{PINNED}:1@{}", digest('a')), 1),
            (PolicyAction::Allow, MatchType::Exact, "local://context".to_owned(), 0),
        ]
    );
}

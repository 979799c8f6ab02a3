//! Policies as text: the documented ones, the refused ones, the hostile ones.

use serde::Deserialize;

use super::*;
use crate::image::Gun;
use crate::trust::RoleChoice;
use crate::tuf::RootPins;

#[test]
fn every_policy_in_the_documents_parses() {
    let documents = [
        ("policy.md", include_str!("../../docs/policy.md"), 4),
        ("differences.md", include_str!("../../docs/differences.md"), 0),
        ("refusals.md", include_str!("../../docs/refusals.md"), 0),
    ];
    for (file, document, expected) in documents {
        let blocks = toml_blocks(document);
        assert!(blocks.len() >= expected, "{file} has {} policies", blocks.len());
        for block in blocks {
            Policy::parse(block, file, &no_files).unwrap_or_else(|error| panic!("{error}\n{block}"));
        }
    }
}

#[test]
fn the_documented_policy_means_what_is_written() {
    let blocks = toml_blocks(include_str!("../../docs/policy.md"));
    let organisation = blocks.get(1).expect("the second example is the organisation's");
    let policies = parse(organisation);
    let own = policies.terms(&gun("registry.acme.example/team/base")).unwrap();
    assert_eq!((own.trust, own.digest), (TrustMode::Required, DigestRule::Signed));
    let [terms] = all_of(&own) else { panic!("one look-up") };
    assert_eq!(terms.server.as_ref().map(url::Url::as_str), Some("https://trust.acme.example/"));
    assert!(matches!(&terms.pins, RootPins::Authority(certificates) if certificates.len() == 1));
    assert_eq!(terms.signers, ["build", "review"]);
    assert!(terms.require_fresh);
    let sandbox = policies.terms(&gun("registry.acme.example/sandbox/x")).unwrap();
    assert_eq!(sandbox.trust, TrustMode::Disabled);
    let vendor = policies.terms(&gun("docker.io/vendor/tool")).unwrap();
    let [terms] = all_of(&vendor) else { panic!("one look-up") };
    assert_eq!(terms.roles, RoleChoice::OneOf(vec!["targets/stable".parse().unwrap()]));
    assert_eq!(policies.terms(&gun("docker.io/library/alpine")).unwrap().trust, TrustMode::Audit);
    assert_eq!(policies.terms(&gun("ghcr.io/else/where")).unwrap().terms, Terms::Unpinned);
    let cache = gun("registry.acme.example/cache/base");
    assert_eq!(policies.cache(CacheKind::Registry, Some(&cache)).admission, Admission::Allow);
    assert_eq!(policies.syntax(&gun("docker.io/docker/dockerfile")).admission, Admission::Builtin);
    assert_eq!(policies.sbom_generator(&gun("docker.io/docker/other")).admission, Admission::Refuse);
    assert_eq!(policies.source(SourceKind::Http).admission, Admission::Fixed);
    assert!(policies.disable_allowed(DisabledBy::Flag).is_ok());
    assert!(policies.disable_allowed(DisabledBy::Environment).is_err());
}

#[test]
fn a_later_policy_can_only_tighten_what_commands_may_do() {
    let policy = |text: &str| Policy::parse(&format!("version = 1\n{text}"), "policy", &no_files).unwrap();
    let loose = || policy("[push]\nunsigned = \"allow\"\n[run]\nlocal-images = \"by-name\"\n");
    let strict = || policy("[push]\nunsigned = \"refuse\"\n[run]\nlocal-images = \"refuse\"\n");
    let said = |policies: Vec<Policy>| {
        let policies = PolicySet::new(policies).unwrap();
        (policies.unsigned_push().value, policies.local_images().value)
    };
    assert_eq!(said(vec![]), (UnsignedPush::Allow, LocalImages::ById));
    assert_eq!(said(vec![loose()]), (UnsignedPush::Allow, LocalImages::ByName));
    assert_eq!(said(vec![loose(), strict()]), (UnsignedPush::Refuse, LocalImages::Refuse));
    assert_eq!(said(vec![strict(), loose()]), (UnsignedPush::Refuse, LocalImages::Refuse));
    assert_eq!(said(vec![policy(""), loose()]), (UnsignedPush::Allow, LocalImages::ById));
    let place = PolicySet::new([strict()]).unwrap().unsigned_push().place.unwrap();
    assert_eq!(place.to_string(), "policy:3: `push.unsigned`");
}

#[test]
fn without_any_policy_dockers_rule_holds() {
    let policies = PolicySet::new([]).unwrap();
    let rule = policies.terms(&gun("docker.io/library/alpine")).unwrap();
    assert_eq!((rule.trust, rule.digest), (TrustMode::Required, DigestRule::Any));
    assert_eq!(all_of(&rule), [crate::trust::RepositoryTerms::docker()]);
    for by in DisabledBy::ALL {
        assert!(policies.disable_allowed(by).is_ok());
    }
    assert_eq!(policies.files(), [""; 0]);
}

#[test]
fn messages_name_file_line_and_key() {
    #[derive(Deserialize)]
    struct Table {
        case: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        name: String,
        text: String,
    }
    let table: Table = toml::from_str(include_str!("../../testdata/policy/errors.toml")).unwrap();
    let mut messages = Vec::new();
    for Case { name, text } in table.case {
        let missing = |path: &str| Err(format!("no such file: {path}"));
        let Err(error) = Policy::parse(&text, "policy.toml", &missing) else { panic!("{name} was accepted") };
        messages.push(format!("{name}\n  {error}\n  help: {}", error.help()));
    }
    insta::assert_snapshot!("errors", messages.join("\n"));
}

#[test]
fn an_authority_can_be_a_file() {
    let blocks = toml_blocks(include_str!("../../docs/policy.md"));
    let certificate =
        blocks.get(1).and_then(|block| block.split("\"\"\"").nth(1)).unwrap().as_bytes().to_vec();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, "version = 1\n[[repository]]\npattern = '**'\nroot-authority = 'ca.pem'\n")
        .unwrap();
    let error = Policy::load(&file).unwrap_err();
    assert!(error.to_string().contains("policy.toml:4: `repository.root-authority`: `ca.pem`"), "{error}");
    std::fs::write(folder.path().join("ca.pem"), certificate).unwrap();
    assert!(Policy::load(&file).is_ok());
    assert!(Policy::load(&folder.path().join("none.toml")).is_err());
}

#[test]
fn huge_and_deep_policies_end_in_an_error() {
    let long = format!("version = 1\n#{}", "x".repeat(FILE_LIMIT));
    assert!(matches!(*error(&long).kind, PolicyErrorKind::TooLong { limit: FILE_LIMIT }));
    let deep = format!("version = 1\ntrust = {}", "[".repeat(100_000));
    assert!(matches!(*error(&deep).kind, PolicyErrorKind::Toml { .. }));
    let dotted = format!("version = 1\n{} = 1", vec!["a"; 100_000].join("."));
    assert!(matches!(*error(&dotted).kind, PolicyErrorKind::Toml { .. }));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, b"version = 1\n#\xff\n").unwrap();
    assert!(Policy::load(&file).unwrap_err().to_string().contains("not UTF-8"));
}

#[test]
fn ten_thousand_rules_are_read_and_one_more_is_not() {
    let rules = |count: usize| {
        let rules =
            (0..count).map(|number| format!("[[repository]]\npattern = 'a.b/x{number}*a*a*a*a*a*b'\n"));
        format!("version = 1\n{}", rules.collect::<String>())
    };
    let policies = parse(&rules(10_000));
    let hostile = gun(&format!("a.b/x9999{}", "a".repeat(200)));
    assert_eq!(policies.terms(&hostile).unwrap().terms, Terms::Unpinned);
    assert!(matches!(*error(&rules(10_001)).kind, PolicyErrorKind::TooManyRules { limit: 10_000 }));
}

#[test]
fn eight_policies_are_many_enough() {
    let policies = |count: usize| vec![Policy::docker_default(); count];
    assert!(PolicySet::new(policies(8)).is_ok());
    assert!(PolicySet::new(policies(9)).is_err());
}

#[test]
fn different_demands_become_several_look_ups() {
    let first =
        "version = 1\n[[repository]]\npattern = '**'\nserver = 'https://one.example'\nroot-keys = [KEYS]\n";
    let [a, b] = ["0a", "0b"].map(|digit| format!("'{}'", digit.repeat(32)));
    let wide = first.replace("KEYS", &format!("{a}, {b}"));
    let narrow = first.replace("KEYS", &a).replace("one.example", "two.example");
    let policies = PolicySet::new([&wide, &narrow].map(|text| policy(text))).unwrap();
    let rule = policies.terms(&gun("a.b/c")).unwrap();
    let [one, two] = all_of(&rule) else { panic!("{rule:?}") };
    assert_ne!(one.server, two.server);
    assert_eq!(one.pins, two.pins);
    assert!(matches!(&one.pins, RootPins::Keys(keys) if keys.len() == 1));
}

#[test]
fn of_two_values_the_stricter_one_holds() {
    let values = ["", "input = 'allow'", "input = 'verify'", "input = 'refuse'"];
    let text = |value: &str| format!("version = 1\n[contexts]\n{value}\n");
    let alone = |value: &str| parse(&text(value)).context(ContextKind::Input).admission;
    for first in values {
        for later in values {
            let policies = PolicySet::new([first, later].map(|value| policy(&text(value)))).unwrap();
            let expected = if later.is_empty() { alone(first) } else { alone(first).max(alone(later)) };
            assert_eq!(policies.context(ContextKind::Input).admission, expected, "{first:?} {later:?}");
        }
    }
}

#[test]
fn a_cache_of_unknown_type_never_comes_in() {
    let policies = parse("version = 1\n[caches]\nregistry = 'allow'\ntrusted = ['**']\n");
    let gun = gun("a.b/c");
    assert_eq!(policies.cache(CacheKind::named("ftp"), Some(&gun)).admission, Admission::Refuse);
    assert_eq!(policies.cache(CacheKind::named("registry"), Some(&gun)).admission, Admission::Allow);
}

fn toml_blocks(document: &str) -> Vec<&str> {
    document.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn parse(text: &str) -> PolicySet {
    PolicySet::new([policy(text)]).unwrap()
}

fn policy(text: &str) -> Policy {
    Policy::parse(text, "policy.toml", &no_files).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn error(text: &str) -> PolicyError {
    Policy::parse(text, "policy.toml", &no_files).map(|_| ()).unwrap_err()
}

fn all_of(rule: &RepositoryRule) -> &[crate::trust::RepositoryTerms] {
    match &rule.terms {
        Terms::AllOf(terms) => terms,
        Terms::Unpinned => &[],
    }
}

fn gun(text: &str) -> Gun {
    text.parse().unwrap()
}

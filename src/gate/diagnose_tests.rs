//! What a person sees: a snapshot for every refusal code, and the hard places of a Dockerfile.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::diagnose::{Sources, Style};
use super::testing::{EXPIRES, SERVER, TrustTable, target};
use super::*;
use crate::http::HttpError;
use crate::image::{Digest, Gun, Reference};
use crate::policy::{Policy, PolicySet, no_files};
use crate::trust::TrustError;
use crate::tuf::{KeyId, RoleName, TufError, Version};

const DOCKERFILE: &str = "# the base\nARG X\nFROM acme/base:1.4 AS build\nRUN true\n";

#[test]
fn every_refusal_reads_well() {
    let mut seen = BTreeSet::new();
    let refusals = refusals();
    for (name, refusal) in &refusals {
        seen.insert(refusal.code);
        let text = diagnose::refusal(refusal, Some(&origin()), &sources(), Style::Plain);
        insta::assert_snapshot!(format!("refusal-{name}"), text);
    }
    let missing: Vec<_> = RefusalCode::ALL.iter().filter(|code| !seen.contains(code)).collect();
    assert!(missing.is_empty(), "no example of {missing:?}");
}

#[test]
fn exit_codes_agree_with_the_errors() {
    for error in trust_errors() {
        let refusal = explain::trust_error(&reference(), &error, None);
        assert_eq!(refusal.exit.code(), error.exit(), "{error}");
        assert!(!refusal.help.is_empty(), "{error} tells nothing to do");
    }
}

#[test]
fn a_whole_report() {
    let digest = Digest::of(b"B");
    let mut first = target("docker.io/acme/first", "1", &Digest::of(b"A"));
    first.first_use = true;
    let trust = TrustTable::new().signed("docker.io/acme/base", "1.4", &digest).target(first);
    let dockerfile = "FROM acme/base:1.4 AS a\nCOPY --from=acme/base:1.5 /x /x\nFROM acme/first:1\n";
    let from_file = |role, text: &str| {
        let start = dockerfile.find(text).expect("the text is there");
        let span = start..start + text.len();
        let origin = Origin::Dockerfile { file: "sub dir/Dockerfile".to_owned(), span };
        Request { role, origin, reference: text.parse().expect("an image") }
    };
    let option = Origin::Option { name: "cache-from".to_owned(), value: "acme/cache\u{1b}[31m".to_owned() };
    let trigger = Origin::BaseConfig { base: reference(), trigger: "COPY --from=acme/tool / /".to_owned() };
    let requests = vec![
        from_file(UseRole::From, "acme/base:1.4"),
        from_file(UseRole::CopyFrom, "acme/base:1.5"),
        from_file(UseRole::From, "acme/first:1"),
        Request { role: UseRole::CacheImport, origin: option, reference: "acme/cache".parse().unwrap() },
        Request { role: UseRole::Onbuild, origin: trigger, reference: "acme/tool".parse().unwrap() },
    ];
    let gate = Gate::new(PolicySet::docker_default(), Arc::new(trust), TrustSwitch::Enabled).with_now(now());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let report = runtime.block_on(gate.decide(requests));
    let sources = Sources::one("sub dir/Dockerfile", dockerfile.as_bytes());
    insta::assert_snapshot!("report-text", diagnose::report(&report, &sources, Style::Plain));
    insta::assert_json_snapshot!("report-json", json::Document::new(&report, &sources));
    let mut log = sarif::log(&report, &sources);
    let rules = log.pointer_mut("/runs/0/tool/driver/rules").and_then(|rules| rules.as_array_mut()).unwrap();
    assert_eq!(rules.len(), RefusalCode::ALL.len() + WarningCode::ALL.len());
    rules.truncate(1);
    // each new code moves the later ones; another test follows an index to its rule
    for result in log.pointer_mut("/runs/0/results").and_then(|it| it.as_array_mut()).unwrap() {
        result["ruleIndex"] = "…".into();
    }
    insta::assert_json_snapshot!("report-sarif", log);
}

#[test]
fn sarif_rules_are_where_the_results_point() {
    let refusal = Refusal::new(RefusalCode::UnsignedTag, "title", "label");
    let fix = sarif::Fix {
        description: "pin it".to_owned(),
        file: "Dockerfile".to_owned(),
        edits: vec![(22..35, "acme/base:1.4@sha256:0".to_owned())],
    };
    let origin = origin();
    let finding = sarif::Finding { refusal: &refusal, origin: Some(&origin), fix: Some(&fix) };
    let log = sarif::findings([finding], &sources());
    let text = |pointer: &str| log.pointer(pointer).cloned().unwrap_or_default();
    let index = text("/runs/0/results/0/ruleIndex").as_u64().unwrap();
    assert_eq!(text(&format!("/runs/0/tool/driver/rules/{index}/id")), "unsigned-tag");
    assert_eq!(text("/runs/0/results/0/locations/0/physicalLocation/region/startLine"), 3);
    let replacement = "/runs/0/results/0/fixes/0/artifactChanges/0/replacements/0";
    assert_eq!(text(&format!("{replacement}/insertedContent/text")), "acme/base:1.4@sha256:0");
    assert_eq!(text(&format!("{replacement}/deletedRegion/startColumn")), 6);
}

#[test]
fn the_caret_stands_right_in_hard_places() {
    let refusal = Refusal::new(RefusalCode::UnsignedTag, "x is not signed", "here");
    let cases: [(&str, &[u8], &str); 6] = [
        ("crlf", b"RUN a\r\nFROM x:1 AS b\r\nRUN c\r\n", "x:1"),
        ("tab", b"FROM\tx:1\tAS\tb\n", "x:1"),
        ("bom", b"\xef\xbb\xbfFROM x:1\n", "x:1"),
        ("continuation", b"FROM \\\n  x:\\\n1 AS b\n", "x:\\\n1"),
        ("not-utf-8", b"FROM \xff\xfex:1 \xe9\x1b[2J\n", "x:1"),
        ("wide", "RUN 漢字 FROM x:1 \u{202e}\n".as_bytes(), "x:1"),
    ];
    for (name, source, word) in cases {
        let start = source.windows(word.len()).position(|window| window == word.as_bytes()).unwrap();
        let origin = Origin::Dockerfile { file: "Dockerfile".to_owned(), span: start..start + word.len() };
        let sources = Sources::one("Dockerfile", source);
        insta::assert_snapshot!(
            format!("caret-{name}"),
            diagnose::refusal(&refusal, Some(&origin), &sources, Style::Plain)
        );
    }
}

#[test]
fn colours_are_the_only_escapes() {
    let refusal =
        Refusal::new(RefusalCode::UnsignedTag, "a\u{1b}[2J", "b\u{9b}2J").note("c\u{7}").help("d\u{8}");
    let origin = Origin::Dockerfile { file: "D\u{1b}[1m".to_owned(), span: 0..6 };
    let sources = Sources::one("D\u{1b}[1m", b"FROM \x1b[3m");
    let text = diagnose::refusal(&refusal, Some(&origin), &sources, Style::Colored);
    let plain = anstream::adapter::strip_str(&text).to_string();
    assert_ne!(text, plain);
    assert_eq!(plain, diagnose::refusal(&refusal, Some(&origin), &sources, Style::Plain));
    assert!(!plain.chars().any(|c| c.is_control() && c != '\n'), "{plain:?}");
}

fn reference() -> Reference {
    "acme/base:1.4".parse().unwrap()
}

fn origin() -> Origin {
    let start = DOCKERFILE.find("acme").unwrap();
    Origin::Dockerfile { file: "Dockerfile".to_owned(), span: start..start + "acme/base:1.4".len() }
}

fn sources() -> Sources<'static> {
    Sources::one("Dockerfile", DOCKERFILE.as_bytes())
}

fn now() -> Timestamp {
    EXPIRES - jiff::SignedDuration::from_hours(12 * 24)
}

/// One example of each code, by name; codes of other rooms with the words that a room would use.
fn refusals() -> Vec<(String, Refusal)> {
    let mut all: Vec<Refusal> =
        trust_errors().iter().map(|error| explain::trust_error(&reference(), error, Some(now()))).collect();
    let [a, b] = ["A", "B"].map(|name| Digest::of(name.as_bytes()));
    let written = reference().with_digest(a.clone());
    let [signed, other] = [&b, &a].map(|digest| target("docker.io/acme/base", "1.4", digest));
    all.push(explain::digest_mismatch(&written, &signed, "`**` in policy.toml:3"));
    all.push(explain::disagreeing(&reference(), &[signed, other], "`**` in a.toml:3, `**` in b.toml:3"));
    all.push(explain::unpinned(&reference(), "the defaults of policy.toml"));
    all.push(Refusal::invalid_reference("acme/Base", &"acme/Base".parse::<Reference>().unwrap_err()));
    let strict = policy("version = 1\n[disable]\nallowed-by = [\"flag\"]\n");
    all.push(explain::disable_forbidden(&strict.disable_allowed(DisabledBy::Environment).unwrap_err()));
    let rules = ["docker.io/acme/b*", "docker.io/acme/*e"];
    let rules = rules.map(|pattern| format!("[[repository]]\npattern = \"{pattern}\"\n"));
    let ambiguous = policy(&format!("version = 1\n{}", rules.concat()));
    let gun: Gun = reference().gun();
    all.push(explain::policy_error(&gun, &ambiguous.terms(&gun).unwrap_err()));
    let gate = Gate::new(PolicySet::docker_default(), Arc::new(TrustTable::new()), TrustSwitch::Enabled);
    let layout = Content::Context { name: "base", kind: ContextKind::OciLayout, value: "oci-layout://x" };
    match gate.admit_content(layout) {
        ContentDecision::Refused(refusal) => all.push(refusal),
        other => panic!("{other:?}"),
    }
    let elsewhere = [
        (RefusalCode::HiddenImage, "another parser sees an image here", "acme/base:1.4"),
        (RefusalCode::InvalidDockerfile, "unknown instruction: FORM", "here"),
        (RefusalCode::UnauditableDefinition, "the build holds an unknown operation", "operation 17"),
        (RefusalCode::UnexpectedSource, "docker.io/evil/x:1 was never let in", "not named in the Dockerfile"),
        (RefusalCode::Unpinnable, "docker.io/acme/base:1.4 can't be pinned here", "the tag is composed"),
        (RefusalCode::UnpinnedImage, "docker.io/acme/base:1.4 is not pinned", "no digest"),
    ];
    all.extend(elsewhere.map(|(code, title, label)| Refusal::new(code, title, label)));
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    all.into_iter()
        .map(|refusal| {
            let count = counts.entry(refusal.code.name()).or_default();
            *count += 1;
            (format!("{}-{count}", refusal.code), refusal)
        })
        .collect()
}

fn policy(text: &str) -> PolicySet {
    PolicySet::new([Policy::parse(text, "policy.toml", &no_files).unwrap()]).unwrap()
}

/// One of each kind.
fn trust_errors() -> Vec<TrustError> {
    let gun: Gun = reference().gun();
    let tag = "1.4".to_owned();
    let server = SERVER.to_owned();
    let metadata = |source| TrustError::Metadata { gun: gun.clone(), server: server.clone(), source };
    let key: KeyId = "0c".repeat(32).parse().unwrap();
    vec![
        TrustError::NoTrustData { gun: gun.clone(), server: server.clone() },
        TrustError::NotSigned {
            gun: gun.clone(),
            tag: tag.clone(),
            signed_tags: ["1.3", "1.4.1", "latest", "x\u{1b}[2J"].map(str::to_owned).to_vec(),
            server: server.clone(),
            timestamp_expires: EXPIRES,
        },
        TrustError::DigestNotSigned { gun: gun.clone(), digest: Digest::of(b"Z"), server: server.clone() },
        TrustError::NotReleased {
            gun: gun.clone(),
            tag: tag.clone(),
            role: "targets/alice".to_owned(),
            releasing: vec!["targets/releases".to_owned(), "targets".to_owned()],
        },
        TrustError::MissingSigner {
            gun: gun.clone(),
            tag: tag.clone(),
            signer: "targets/bob".to_owned(),
            reason: "`targets/bob` lists no tag 1.4".to_owned(),
        },
        TrustError::NoDigest { gun: gun.clone(), tag, role: "targets".to_owned() },
        metadata(TufError::Expired { role: RoleName::TIMESTAMP, at: now() }),
        metadata(TufError::Rollback { role: RoleName::SNAPSHOT, found: version(3), minimum: version(4) }),
        metadata(TufError::PinMismatch { gun: gun.to_string(), found: vec![key] }),
        metadata(TufError::Threshold { role: RoleName::TARGETS, valid: 0, needed: 1, reasons: Vec::new() }),
        TrustError::MissingRole { gun: gun.clone(), server: server.clone(), role: "snapshot".to_owned() },
        TrustError::NotMetadata {
            gun: gun.clone(),
            url: format!("{SERVER}/v2/"),
            reason: "it is HTML: <html>\u{1b}[2J".to_owned(),
        },
        TrustError::StaleForbidden { gun: gun.clone(), server, reason: "connection refused".to_owned() },
        TrustError::Unreachable {
            gun: gun.clone(),
            server: SERVER.to_owned(),
            source: HttpError::Connect {
                url: format!("{SERVER}/v2/"),
                reason: "connection refused".to_owned(),
            },
        },
        TrustError::Unauthorized {
            gun: gun.clone(),
            registry: "docker.io".to_owned(),
            source: HttpError::Status {
                url: format!("{SERVER}/v2/"),
                status: 401,
                problem: crate::http::Problem { message: "denied".to_owned(), ..Default::default() },
            },
        },
        TrustError::Cache { gun: gun.clone(), path: "/c/root.json".into(), reason: "cut off".to_owned() },
        TrustError::Internal { gun, reason: "a task was cancelled".to_owned() },
    ]
}

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

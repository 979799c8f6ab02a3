//! What the builder is given, for what was typed and what is signed.

use std::ffi::OsString;
use std::fs;
use std::sync::Arc;

use super::images::Images;
use super::recipe::Recipe;
use crate::cli::exit::Failure;
use crate::cli::settings::Settings;
use crate::docker::arguments::BuildArguments;
use crate::gate::testing::TrustTable;
use crate::gate::{Gate, Report, TrustSwitch};
use crate::image::Digest;
use crate::policy::{Policy, PolicySet, no_files};

/// A build of a folder in which `docker.io/acme/base:1` and others are signed.
struct Bench {
    folder: tempfile::TempDir,
    policy: &'static str,
}

impl Bench {
    fn with(dockerfile: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
        Self { folder, policy: "" }
    }

    fn gate(&self) -> Gate {
        let mut table = TrustTable::new();
        for name in ["base", "frontend", "scanner", "cache"] {
            table = table.signed(&format!("docker.io/acme/{name}"), "1", &digest(name));
        }
        let text = format!("version = 1\ntrust-on-first-use = true\n{}", self.policy);
        let policy = Policy::parse(&text, "policy", &no_files).unwrap();
        Gate::new(PolicySet::new([policy]).unwrap(), Arc::new(table), TrustSwitch::Enabled)
    }

    /// Docker's words and the Dockerfile that the builder gets, or what is refused.
    fn build(&self, options: &[&str]) -> Result<(Vec<String>, String), String> {
        let context = self.folder.path().as_os_str().to_owned();
        let words: Vec<OsString> = options.iter().map(OsString::from).chain([context]).collect();
        let build = BuildArguments::parse(&BuildArguments::known_flags(), &words).unwrap().unwrap();
        let gate = self.gate();
        let failed = |failure: Failure| failure.to_string();
        let settings = Settings::for_tests().with_variable("BUILDKIT_SYNTAX", "acme/frontend:1");
        let mut images = Images::of_options(&build, false, &gate, &settings);
        let recipe = Recipe::read(&build, &settings).map_err(failed)?;
        images.add_recipe(&recipe, &gate);
        let decisions = gate.decide(images.requests().to_vec());
        let report: Report =
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(decisions);
        if let Some(refusal) = images.refusals().iter().chain(report.refusals()).next() {
            return Err(format!("{}: {}", refusal.code, refusal.title));
        }
        images.settle(&report);
        let recipe = recipe.pinned(&images, &report).map_err(failed)?;
        let [file, context] = recipe.words(&build).map_err(failed)?;
        let file = file.into_string().unwrap();
        let text = fs::read_to_string(file.strip_prefix("--file=").unwrap()).unwrap();
        assert_eq!(context, self.folder.path());
        let words = images.words(&build).into_iter().map(|it| it.into_string().unwrap());
        Ok((words.collect(), text))
    }

    #[track_caller]
    fn words(&self, options: &[&str]) -> String {
        self.build(options).unwrap_or_else(|error| panic!("{error}")).0.join(" ")
    }
}

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn pinned(name: &str) -> String {
    format!("docker.io/acme/{name}:1@{}", digest(name))
}

#[test]
fn the_dockerfile_is_pinned_and_the_options_stay() {
    let bench = Bench::with("ARG V=1\nFROM acme/base:${V} AS a\nFROM a\nCOPY --from=acme/cache:1 / /\n");
    let (words, text) = bench.build(&["-t", "acme/app:2", "--push", "--label=a b", "--target", "a"]).unwrap();
    assert_eq!(words, ["--tag=acme/app:2", "--label=a b", "--target=a"]);
    let base = pinned("base");
    assert_eq!(text, format!("ARG V=1\nFROM {base} AS a\nFROM a\nCOPY --from=acme/cache:1 / /\n"));
    let (_, text) = bench.build(&[]).unwrap();
    assert!(text.contains(&format!("COPY --from={} / /", pinned("cache"))), "{text}");
}

#[test]
fn options_that_name_images_are_pinned() {
    let bench = Bench::with("FROM tools\n");
    let written = |name: &str| format!("acme/{name}:1");
    for (flag, before, name, after) in [
        ("build-arg", "BUILDKIT_SYNTAX=", "frontend", ""),
        ("build-context", "tools=docker-image://", "base", ""),
        ("cache-from", "", "cache", ""),
        ("cache-from", "type=registry,ref=", "cache", ""),
        ("sbom", "generator=", "scanner", ""),
        ("attest", "type=sbom,generator=", "scanner", ",A=b"),
    ] {
        let mut options = vec!["--build-context=tools=docker-image://acme/base:1".to_owned()];
        options.push(format!("--{flag}={before}{}{after}", written(name)));
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let words = bench.words(&options);
        let expected = format!("--{flag}={before}{}{after}", pinned(name));
        assert!(words.ends_with(&expected), "{words}\n{expected}");
    }
}

#[test]
fn a_frontend_that_only_the_environment_names_is_pinned() {
    let words = Bench::with("FROM acme/base:1\n").words(&["--build-arg", "BUILDKIT_SYNTAX"]);
    assert!(words.contains(&format!("BUILDKIT_SYNTAX={}", pinned("frontend"))), "{words}");
}

#[test]
fn what_is_not_signed_is_refused() {
    for (dockerfile, options, code) in [
        ("FROM acme/other:1\n", vec![], "no-trust-data"),
        ("FROM acme/base:2\n", vec![], "unsigned-tag"),
        ("# syntax=acme/other:1\nFROM acme/base:1\n", vec![], "no-trust-data"),
        ("FROM acme/base:1\n", vec!["--build-arg=BUILDKIT_SYNTAX=acme/other:1"], "no-trust-data"),
        ("FROM a\n", vec!["--build-context=a=docker-image://acme/other:1"], "no-trust-data"),
        ("FROM a\n", vec!["--build-context=a=oci-layout:///tmp/a"], "content-not-allowed"),
        ("FROM acme/base:1\n", vec!["--cache-from=type=gha"], "content-not-allowed"),
        ("FROM acme/base:1\n", vec!["--cache-from=acme/other:1"], "no-trust-data"),
        ("FROM acme/base:1\n", vec!["--sbom=true"], "no-trust-data"),
        ("FROM acme/base:1\n", vec!["--attest=type=sbom"], "no-trust-data"),
        ("FROM acme/BASE:1\n", vec![], "invalid-reference"),
    ] {
        let error = Bench::with(dockerfile).build(&options).unwrap_err();
        assert!(error.starts_with(code), "{dockerfile} {options:?}: {error}");
    }
}

#[test]
fn the_engine_s_own_frontend_takes_the_place_of_one() {
    let mut bench = Bench::with("#syntax=docker/dockerfile:1\n# escape=`\nFROM `\n acme/base:1\n");
    bench.policy = "[syntax]\nbuiltin = [\"docker.io/docker/dockerfile\"]\n";
    let (_, text) = bench.build(&[]).unwrap();
    assert_eq!(text, format!("# escape=`\nFROM `\n {}\n", pinned("base")));
    let kept = Bench::with("# syntax=acme/frontend:1\nFROM acme/base:1\n");
    let (_, text) = kept.build(&[]).unwrap();
    assert_eq!(text, format!("# syntax={}\nFROM {}\n", pinned("frontend"), pinned("base")));
}

#[test]
fn platforms_must_name_the_same_images() {
    let bench = Bench::with("ARG TARGETARCH\nFROM acme/${TARGETARCH}:1\n");
    let error = bench.build(&["--platform=linux/amd64,linux/arm64"]).unwrap_err();
    assert!(error.contains("other images for each platform"), "{error}");
    let bench = Bench::with("FROM acme/base:1\n");
    assert!(bench.build(&["--platform=linux/amd64,linux/arm64"]).is_ok());
}

#[test]
fn a_dockerfile_that_is_elsewhere_is_told() {
    for context in ["https://example.com/a.git", "git@example.com:a", "https://example.com/a.tar"] {
        let words = [OsString::from(context)];
        let build = BuildArguments::parse(&BuildArguments::known_flags(), &words).unwrap().unwrap();
        let error = Recipe::read(&build, &Settings::for_tests()).err().unwrap();
        assert!(error.to_string().contains("can't be read here"), "{error}");
    }
}

#[test]
fn rules_of_what_is_ignored_go_along() {
    let bench = Bench::with("FROM acme/base:1\n");
    let path = bench.folder.path().join("other.Dockerfile");
    fs::write(&path, "FROM acme/base:1\n").unwrap();
    fs::write(bench.folder.path().join("other.Dockerfile.dockerignore"), "secret\n").unwrap();
    let words = [OsString::from(format!("--file={}", path.display())), bench.folder.path().into()];
    let build = BuildArguments::parse(&BuildArguments::known_flags(), &words).unwrap().unwrap();
    let recipe = Recipe::read(&build, &Settings::for_tests()).unwrap();
    let recipe = recipe.pinned(&Images::default(), &Report::default()).unwrap();
    let [file, _] = recipe.words(&build).unwrap();
    let file = file.into_string().unwrap();
    let ignore = format!("{}.dockerignore", file.strip_prefix("--file=").unwrap());
    assert_eq!(fs::read_to_string(ignore).unwrap(), "secret\n");
}

//! One build each, told from its Dockerfile to what the user sees, on both engines.

use std::path::Path;

use crate::hostile::strict_policy;
use crate::support::engine::{Build, Context, Outcome};
use crate::support::image::Recipe;
use crate::support::{Engine, Lab, lab};

#[test]
fn a_signed_base_builds_and_its_pins_are_shown() {
    on_both_engines(|lab, engine, gate| {
        let base = lab.push_signed(&format!("stories/{engine}-base:1"), &Recipe::busybox());
        let folder = folder(&format!("FROM {}\nRUN echo built > /built\n", base.by_tag()));
        let outcome = engine.build(lab, &Build::of(folder.path()).gated_by(gate)).expect_built();
        assert_eq!(outcome.file("built").as_deref(), Some(&b"built\n"[..]));
        assert!(outcome.text.contains(&base.pinned()), "the pin is not shown:\n{}", outcome.text);
    });
}

#[test]
fn the_pins_are_in_the_metadata_of_the_result() {
    let Some(lab) = lab() else { return };
    let gate = lab.organisation_frontend(&strict_policy(lab)).pinned();
    let base = lab.push_signed("stories/metadata:1", &Recipe::busybox());
    let folder = folder(&format!("FROM {}\n", base.by_tag()));
    let outcome = Engine::Trixie.build(lab, &Build::of(folder.path()).gated_by(&gate)).expect_built();
    let metadata: serde_json::Value =
        serde_json::from_str(&outcome.metadata.expect("buildx writes it")).expect("JSON");
    let pins = metadata
        .as_object()
        .expect("an object")
        .iter()
        .filter(|(key, _)| key.starts_with("frontend.trustgate."))
        .map(|(_, value)| value.to_string())
        .collect::<String>();
    assert!(pins.contains(&base.digest), "{metadata:#}");
}

#[test]
fn an_unsigned_base_is_refused_at_its_line() {
    on_both_engines(|lab, engine, gate| {
        let base = lab.push_signed(&format!("stories/{engine}-first:1"), &Recipe::busybox());
        let unsigned =
            lab.push_unsigned(&format!("stories/{engine}-unsigned:1"), &Recipe::busybox()).by_tag();
        let folder = folder(&format!(
            "FROM {} AS first\nRUN echo the-first-stage-$((40 + 2))\n\nFROM {unsigned}\nCOPY --from=first /bin /other\n",
            base.by_tag()
        ));
        let outcome = engine.build(lab, &Build::of(folder.path()).gated_by(gate));
        let outcome = outcome.expect_refused(&[&format!("{unsigned} is not signed"), "Dockerfile:4", "^^^^"]);
        assert!(!outcome.text.contains("the-first-stage-42"), "something ran:\n{}", outcome.text);
    });
}

#[test]
fn the_dockerfile_itself_can_name_the_gate() {
    on_both_engines(|lab, engine, gate| {
        let base = lab.push_signed(&format!("stories/{engine}-named:1"), &Recipe::busybox());
        let unsigned = lab.push_unsigned(&format!("stories/{engine}-not:1"), &Recipe::busybox()).by_tag();
        let good = folder(&format!("# syntax={gate}\nFROM {}\n", base.by_tag()));
        engine.build(lab, &Build::of(good.path())).expect_built();
        let bad = folder(&format!("# syntax={gate}\nFROM {unsigned}\n"));
        engine.build(lab, &Build::of(bad.path())).expect_refused(&[&unsigned, "Dockerfile:2"]);
    });
}

#[test]
fn trust_can_be_disabled_where_the_policy_lets_it() {
    let Some(lab) = lab() else { return };
    let unsigned =
        lab.push_unsigned("stories/disabled:1", &Recipe::busybox().with_file("/ok", b"ok\n")).by_tag();
    let folder = folder(&format!("FROM {unsigned}\n"));
    let lenient = strict_policy(lab).replace("allowed-by = []", "allowed-by = [\"build-arg\"]");
    let lenient = lab.organisation_frontend(&lenient).pinned();
    let strict = lab.organisation_frontend(&strict_policy(lab)).pinned();
    for engine in Engine::ALL {
        let build = Build::of(folder.path()).with_options(&["--build-arg", "DOCKER_CONTENT_TRUST=0"]);
        let outcome = engine.build(lab, &build.clone().gated_by(&lenient)).expect_built();
        assert_eq!(outcome.file("ok").as_deref(), Some(&b"ok\n"[..]));
        assert!(outcome.text.contains("trust is disabled"), "nobody said so:\n{}", outcome.text);
        engine.build(lab, &build.gated_by(&strict)).expect_refused(&["disable"]);
    }
}

#[test]
fn without_a_policy_the_registry_host_is_asked_and_silence_is_a_refusal() {
    let Some(lab) = lab() else { return };
    let base = lab.push_signed("stories/silence:1", &Recipe::busybox());
    let folder = folder(&format!("FROM {}\n", base.by_tag()));
    let gate = lab.frontend().pinned();
    for engine in Engine::ALL {
        let host = format!("https://{}", lab.registry());
        engine.build(lab, &Build::of(folder.path()).gated_by(&gate)).expect_refused(&[&host]);
    }
}

#[test]
fn a_root_that_is_not_the_pinned_one_is_refused() {
    let Some(lab) = lab() else { return };
    let base = lab.push_signed("stories/root:1", &Recipe::busybox());
    let folder = folder(&format!("FROM {}\n", base.by_tag()));
    let policy = format!(
        "version = 1\nserver = \"{}\"\n[[repository]]\npattern = \"{}\"\nroot-keys = [\"{}\"]\n",
        lab.trust_server(),
        base.repository,
        "0123456789abcdef".repeat(4)
    );
    let gate = lab.organisation_frontend(&policy).pinned();
    for engine in Engine::ALL {
        engine.build(lab, &Build::of(folder.path()).gated_by(&gate)).expect_refused(&["root"]);
    }
}

#[test]
fn an_audited_repository_passes_unsigned_and_says_so() {
    let Some(lab) = lab() else { return };
    let unsigned = lab.push_unsigned("stories/audited:1", &Recipe::busybox().with_file("/ok", b"ok\n"));
    let folder = folder(&format!("FROM {}\n", unsigned.by_tag()));
    let policy = format!(
        "{}[[repository]]\npattern = \"{}\"\ntrust = \"audit\"\n",
        strict_policy(lab),
        unsigned.repository
    );
    let gate = lab.organisation_frontend(&policy).pinned();
    for engine in Engine::ALL {
        let outcome = engine.build(lab, &Build::of(folder.path()).gated_by(&gate)).expect_built();
        assert_eq!(outcome.file("ok").as_deref(), Some(&b"ok\n"[..]));
        assert!(outcome.text.contains("not signed"), "nobody said so:\n{}", outcome.text);
    }
}

#[test]
fn a_failing_step_fails_as_without_the_gate() {
    on_both_engines(|lab, engine, gate| {
        let base = lab.push_signed(&format!("stories/{engine}-failing:1"), &Recipe::busybox());
        let folder = folder(&format!("FROM {}\nRUN echo before && exit 17\n", base.by_tag()));
        let build = Build::of(folder.path());
        let plain = engine.build(lab, &build).expect_refused(&["exit code: 17"]);
        let gated = engine.build(lab, &build.gated_by(gate)).expect_refused(&["exit code: 17"]);
        let excerpt = |text: &str| {
            let lines = text.lines().skip_while(|line| !line.starts_with("Dockerfile:"));
            // The line of the base is shown pinned: that is what was built.
            let lines =
                lines.take_while(|line| !line.contains("solve")).filter(|line| !line.contains("FROM"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(excerpt(&gated.text), excerpt(&plain.text));
    });
}

#[test]
fn a_mistake_in_the_dockerfile_is_shown_at_its_line() {
    on_both_engines(|lab, engine, gate| {
        let base = lab.push_signed(&format!("stories/{engine}-mistaken:1"), &Recipe::busybox());
        let folder = folder(&format!("FROM {}\n\nNONSENSE here\n", base.by_tag()));
        let outcome = engine.build(lab, &Build::of(folder.path()).gated_by(gate));
        outcome.expect_refused(&["Dockerfile:3", "NONSENSE"]);
    });
}

#[test]
fn a_second_build_comes_from_the_cache() {
    on_both_engines(|lab, engine, gate| {
        let base = lab.push_signed(&format!("stories/{engine}-cached:1"), &Recipe::busybox());
        let folder = folder(&format!("FROM {}\nRUN cat /proc/uptime > /time\n", base.by_tag()));
        let build = Build::of(folder.path());
        let gated = build.clone().gated_by(gate);
        let [first, second, plain] =
            engine.build_in_a_row(lab, [&gated, &gated, &build]).map(Outcome::expect_built);
        assert!(first.file("time").is_some());
        assert_eq!(first.file("time"), second.file("time"));
        // The pinned text is the same build for the engine: without the gate the steps are cached as well.
        assert_eq!(first.file("time"), plain.file("time"));
    });
}

#[test]
fn secrets_and_build_arguments_reach_their_steps() {
    on_both_engines(|lab, engine, gate| {
        let base = lab.push_signed(&format!("stories/{engine}-secrets:1"), &Recipe::busybox());
        let folder = folder(&format!(
            "FROM {}\nARG WORD\nRUN --mount=type=secret,id=word echo $WORD $(cat /run/secrets/word) > /words\n",
            base.by_tag()
        ));
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "secret").expect("a file");
        let secret = format!("id=word,src={}", secret.display());
        let build = Build::of(folder.path()).with_options(&["--build-arg", "WORD=open", "--secret", &secret]);
        let outcome = engine.build(lab, &build.gated_by(gate)).expect_built();
        assert_eq!(outcome.file("words").as_deref(), Some(&b"open secret\n"[..]));
    });
}

#[test]
fn an_empty_dockerfile_and_one_too_long_are_refused_with_a_reason() {
    on_both_engines(|lab, engine, gate| {
        let build = |text: Vec<u8>| {
            let context = Context::Input(text);
            Build { context, file: None, options: Vec::new(), frontend: Some(gate.to_owned()) }
        };
        engine.build(lab, &build(b"\n".to_vec())).expect_refused(&["Dockerfile"]);
        let mut long = b"FROM scratch\n#".to_vec();
        long.resize(LONG_DOCKERFILE, b'x');
        engine.build(lab, &build(long)).expect_refused(&["Dockerfile"]);
    });
}

fn on_both_engines(story: impl Fn(&Lab, Engine, &str)) {
    let Some(lab) = lab() else { return };
    let gate = lab.organisation_frontend(&strict_policy(lab)).pinned();
    for engine in Engine::ALL {
        story(lab, engine, &gate);
    }
}

fn folder(dockerfile: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(Path::new(folder.path()).join("Dockerfile"), dockerfile).expect("a file");
    folder
}

/// Far beyond what is a Dockerfile.
const LONG_DOCKERFILE: usize = 100 << 20;

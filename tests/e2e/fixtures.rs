//! The images that the tables' cases name: signed ones, and the unsigned bait in all its disguises.

use std::process::Command;

use crate::support::image::{Recipe, succeed};
use crate::support::table::Words;
use crate::support::{Engine, Image, Lab};

/// Whether the images that pass for signed are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    /// They are, for builds through the gate.
    Docker,
    /// They are not: without a gate nobody looks.
    None,
}

/// One set of images for one engine.
#[derive(Debug)]
pub(crate) struct Fixtures {
    /// What the cases' names stand for.
    pub(crate) words: Words,
    /// In the files of every bait of this lab and in nothing else.
    pub(crate) marker: String,
    bait: Image,
}

impl Fixtures {
    /// Makes a set; `set` keeps its repositories apart from others. The engine itself gets nothing of the
    /// bait, but for the images that a case wants under a local name.
    pub(crate) fn make(lab: &Lab, engine: Engine, set: &str, signing: Signing) -> Self {
        let name = |name: &str| format!("{set}-{engine}/{name}");
        let push = |image: &str, recipe: &Recipe| match signing {
            Signing::Docker => lab.push_signed(&name(image), recipe),
            Signing::None => lab.push_unsigned(&name(image), recipe),
        };
        let elsewhere = match engine {
            Engine::Bookworm => Engine::Trixie,
            Engine::Trixie => Engine::Bookworm,
        };
        // One for all sets: an engine has one image of the name `bait`, whichever set made it last.
        let marker = format!("bait-of-{}", lab.variable("LAB_ROOT_PASSPHRASE"));
        let bait_recipe = |kind: &str| {
            let content = format!("{marker} {set} {engine} {kind}\n");
            Recipe::busybox().with_file("/bait", content.as_bytes()).with_file("/ok", content.as_bytes())
        };
        let smuggle =
            |image: &str, kind: &str| lab.push_unsigned_from(elsewhere, &name(image), &bait_recipe(kind));

        let base = push("base:1", &Recipe::busybox().with_file("/ok", b"ok\n"));
        let tools = push("tools:1", &Recipe::busybox().with_file("/tool", b"tool\n"));
        let bait = smuggle("bait:1", "plain");
        let mixed = push("mixed:1", &Recipe::busybox().with_file("/ok", b"ok\n"));
        let smuggled = smuggle("mixed:bait", "in a signed repository");
        let moved = push("moved:1", &Recipe::busybox().with_file("/ok", b"ok\n"));
        smuggle("moved:1", "under a signed tag");
        let local = push("local:1", &Recipe::busybox().with_file("/ok", b"ok\n"));
        for reference in [local.by_tag(), "bait:latest".to_owned(), "0:latest".to_owned()] {
            lab.make(engine, &reference, &bait_recipe("under a local name"));
        }
        let copy_trigger = format!("ONBUILD COPY --from={} /bait /bait", bait.by_tag());
        let trigger = push("trigger:1", &Recipe::busybox().with_line(&copy_trigger));
        let mount_trigger = format!(
            "ONBUILD RUN --mount=type=bind,from={},target=/mnt cp /mnt/bait /bait || true",
            bait.by_tag()
        );
        let mount_trigger = push("mount-trigger:1", &Recipe::busybox().with_line(&mount_trigger));
        let harmless_trigger = push(
            "harmless-trigger:1",
            &Recipe::busybox().with_line("ONBUILD COPY . /src").with_line("ONBUILD RUN echo ok > /ok"),
        );
        let scanner = lab.push_unsigned_from(elsewhere, &name("scanner:1"), &scanner_recipe(&marker));
        let poison = poison_cache(lab, engine, &name("cache:1"), &base, &marker);

        let mut words = Words::default();
        words.set("REGISTRY", lab.registry());
        words.set("PORT", lab.registry().rsplit(':').next().expect("a port"));
        words.set("SET", format!("{set}-{engine}"));
        words.set("SERVER", lab.trust_server());
        for (by_tag, by_repository, digest, image) in [
            ("SIGNED", "SIGNED_REPOSITORY", "SIGNED_DIGEST", &base),
            ("TOOLS", "TOOLS_REPOSITORY", "TOOLS_DIGEST", &tools),
            ("BAIT", "BAIT_REPOSITORY", "BAIT_DIGEST", &bait),
            ("MIXED", "MIXED_REPOSITORY", "MIXED_DIGEST", &mixed),
            ("SMUGGLED", "SMUGGLED_REPOSITORY", "SMUGGLED_DIGEST", &smuggled),
            ("MOVED", "MOVED_REPOSITORY", "MOVED_DIGEST", &moved),
            ("LOCAL", "LOCAL_REPOSITORY", "LOCAL_DIGEST", &local),
            ("TRIGGER", "TRIGGER_REPOSITORY", "TRIGGER_DIGEST", &trigger),
            ("MOUNT_TRIGGER", "MOUNT_TRIGGER_REPOSITORY", "MOUNT_TRIGGER_DIGEST", &mount_trigger),
            ("HARMLESS_TRIGGER", "HARMLESS_TRIGGER_REPOSITORY", "HARMLESS_TRIGGER_DIGEST", &harmless_trigger),
            ("SCANNER", "SCANNER_REPOSITORY", "SCANNER_DIGEST", &scanner),
            ("CACHE", "CACHE_REPOSITORY", "CACHE_DIGEST", &poison),
        ] {
            words.set(by_tag, image.by_tag());
            words.set(by_repository, &*image.repository);
            words.set(digest, &*image.digest);
        }
        Self { words, marker, bait }
    }

    /// The layers of the bait that are its alone, by digest: an engine that asks for one lets it in.
    pub(crate) fn bait_layers(&self, lab: &Lab) -> Vec<String> {
        let repository = self.bait.repository.split_once('/').expect("a registry and a name").1;
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--fail",
            "--header",
            "Accept: application/vnd.docker.distribution.manifest.v2+json",
        ])
        .arg(format!("http://{}/v2/{repository}/manifests/{}", lab.registry(), self.bait.digest));
        let manifest: serde_json::Value = serde_json::from_str(&succeed(curl)).expect("a manifest");
        let layers = manifest["layers"].as_array().expect("layers");
        // Busybox's two layers are everybody's.
        layers.iter().skip(2).map(|layer| layer["digest"].as_str().expect("a digest").to_owned()).collect()
    }
}

/// A generator of SBOMs that puts the bait's marker where the SBOM goes.
fn scanner_recipe(marker: &str) -> Recipe {
    let statement = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":{{"name":"{marker}"}}}}"#
    );
    Recipe::busybox().with_file("/statement", statement.as_bytes()).with_line(
        r#"ENTRYPOINT ["/bin/sh", "-c", "cp /statement $BUILDKIT_SCAN_DESTINATION/sbom.spdx.json"]"#,
    )
}

/// An image whose inline cache says of an innocent step that the bait is its result: what a secret holds is
/// not part of a step's cache key.
fn poison_cache(lab: &Lab, engine: Engine, name: &str, base: &Image, marker: &str) -> Image {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("{marker} from a cache\n")).expect("a file");
    let dockerfile = folder.path().join("Dockerfile");
    let text = format!("FROM {}\n{POISONED_STEP}\n", base.by_tag());
    std::fs::write(&dockerfile, text).expect("a file");
    let mut command = engine.builder(lab);
    command
        .args(["build", "--build-arg", "BUILDKIT_INLINE_CACHE=1", "--tag", &lab.reference(name), "--secret"])
        .arg(format!("id=note,src={}", secret.display()))
        .arg(folder.path());
    lab.run_build(engine, command);
    let image = lab.push(engine, name, &[]);
    engine.prune(lab);
    image
}

/// As `testdata/hostile/cache-from-poisoned/Dockerfile` has it.
const POISONED_STEP: &str =
    "RUN --mount=type=secret,id=note cat /run/secrets/note > /note 2>/dev/null || echo clean > /note";

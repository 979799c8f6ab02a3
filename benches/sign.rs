//! Signing: pushes, signatures in large repositories, and `inspect`, each beside docker's and notary's.

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;

use crate::lab::{DRAWN_PASSPHRASE, Lab, TYPED_PASSPHRASE, run, with_passphrase};
use crate::measure::{Figures, Subject, in_turns};
use crate::report::{milliseconds, ratio};
use crate::verify;

const ROUNDS: usize = 9;
/// The images that a tag is moved between, by what their own tags end with.
const IMAGES: [&str; 2] = ["a", "b"];
const TAGS: [u32; 3] = [1_000, 10_000, 100_000];

/// A tag that exists, pushed again with another image: with content trust and without, by docker and by
/// trustgate. Layers are in the registry already; what is new is what the tag names.
pub(crate) fn push(lab: &Lab) -> anyhow::Result<String> {
    let pusher = |name: &str, passphrase| {
        let image = format!("{}/bench/push-{name}:1", lab.registry);
        for content in IMAGES {
            import(lab, &format!("{image}{content}"))?;
        }
        let config = lab.configuration(&format!("push-{name}"), lab.trust_server)?;
        anyhow::Ok(Pusher { image, config, passphrase, docker: name.starts_with("docker") })
    };
    let drawn = pusher("ours", DRAWN_PASSPHRASE)?;
    let typed = pusher("ours-typed", TYPED_PASSPHRASE)?;
    let docker = pusher("docker", DRAWN_PASSPHRASE)?;
    let server = format!("https://{}", lab.trust_server);
    let subject = |name, pusher, trust| repush(lab, &server, name, pusher, trust);
    let figures = in_turns(
        &[
            subject("trustgate push", &drawn, "1"),
            subject("trustgate push, typed passphrase", &typed, "1"),
            subject("trustgate push, trust off", &drawn, "0"),
            subject("docker push", &docker, "1"),
            subject("docker push, trust off", &docker, "0"),
        ],
        ROUNDS,
    )?;
    let [mine, mine_typed, mine_off, docker, docker_off] = figures.as_slice() else {
        anyhow::bail!("five subjects, five figures")
    };
    let mut text = String::from(
        "| program | with content trust | without | added | peak memory |\n| --- | --- | --- | --- | --- |\n",
    );
    for (name, on, off) in [
        ("`trustgate push`", mine, mine_off),
        ("`trustgate push`, a passphrase of 18 characters", mine_typed, mine_off),
        ("`docker push`", docker, docker_off),
    ] {
        writeln!(
            text,
            "| {name} | {} | {} | {} | {} MiB |",
            milliseconds(on.median()),
            milliseconds(off.median()),
            milliseconds(added(on, off)),
            on.peak_kib / 1024,
        )?;
    }
    let share = added(mine, mine_off).as_secs_f64() / added(docker, docker_off).as_secs_f64();
    writeln!(text, "\nAdded time, ours over docker's: {}.", ratio(share))?;
    Ok(text)
}

/// Who pushes what.
struct Pusher {
    image: String,
    config: PathBuf,
    passphrase: &'static str,
    docker: bool,
}

/// A push of what the engine has not pushed under this tag the time before.
fn repush<'a>(
    lab: &'a Lab,
    server: &'a str,
    name: &'static str,
    pusher: &'a Pusher,
    trust: &'static str,
) -> Subject<'a> {
    Subject {
        name,
        command: Box::new(move || {
            let mut command =
                if pusher.docker { lab.docker(&pusher.config) } else { trustgate(lab, &pusher.config) };
            command.args(["push", &pusher.image]);
            command.env("DOCKER_CONTENT_TRUST_SERVER", server).env("DOCKER_CONTENT_TRUST", trust);
            with_passphrase(&mut command, pusher.passphrase);
            command
        }),
        prepare: {
            let turn = Cell::new(0);
            Box::new(move || {
                let name = &pusher.image;
                turn.set(turn.get() + 1);
                let image = format!("{name}{}", IMAGES[turn.get() % IMAGES.len()]);
                run(lab.docker(&pusher.config).args(["tag", &image, name]))
            })
        },
    }
}

/// What is known of one tag, from a warm cache.
pub(crate) fn inspect(lab: &Lab) -> anyhow::Result<String> {
    let repository = format!("{}/bench/inspected", lab.registry);
    lab.publish(&repository, "1", &format!("{:064x}", 1))?;
    let ours = lab.configuration("inspect-ours", lab.trust_server)?;
    let theirs = lab.configuration("inspect-theirs", lab.trust_server)?;
    let server = format!("https://{}", lab.trust_server);
    let name = format!("{repository}:1");
    let figures = in_turns(
        &[
            Subject {
                name: "trustgate inspect",
                command: Box::new(|| {
                    let mut command = trustgate(lab, &ours);
                    command.args(["inspect", &name]).env("DOCKER_CONTENT_TRUST_SERVER", &server);
                    command
                }),
                prepare: Box::new(|| Ok(())),
            },
            Subject {
                name: "docker trust inspect",
                command: Box::new(|| {
                    let mut command = lab.docker(&theirs);
                    command.args(["trust", "inspect", &name]).env("DOCKER_CONTENT_TRUST_SERVER", &server);
                    command
                }),
                prepare: Box::new(|| Ok(())),
            },
            Subject {
                name: "notary lookup",
                command: Box::new(|| {
                    let mut command = lab.notary(&server, &theirs.join("notary"));
                    command.args(["lookup", &repository, "1"]);
                    command
                }),
                prepare: Box::new(|| Ok(())),
            },
        ],
        ROUNDS,
    )?;
    let [mine, others @ ..] = figures.as_slice() else { anyhow::bail!("three subjects, three figures") };
    let mut text = format!(
        "| program | time | peak memory | ratio |\n| --- | --- | --- | --- |\n\
         | `trustgate inspect` | {} | {} MiB | |\n",
        milliseconds(mine.median()),
        mine.peak_kib / 1024,
    );
    for (name, other) in ["`docker trust inspect`", "`notary lookup`"].iter().zip(others) {
        writeln!(
            text,
            "| {name} | {} | {} MiB | {} |",
            milliseconds(other.median()),
            other.peak_kib / 1024,
            ratio(mine.ratio_to(other)),
        )?;
    }
    Ok(text)
}

/// One more signature in repositories that have many already.
pub(crate) fn one_of_many(lab: &Lab) -> anyhow::Result<String> {
    let server = format!("https://{}", lab.trust_server);
    let config = lab.configuration("sign", lab.trust_server)?;
    let trust = lab.publisher();
    let mut text = String::from(
        "| tags | `trustgate sign` | its processor time | peak memory | `notary addhash -p` | its processor time | \
         peak memory | ratio |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for tags in TAGS {
        let repository = format!("{}/bench/sign{tags}", lab.registry);
        verify::publish(lab, &server, &repository, tags)?;
        let name = format!("{repository}:more");
        import(lab, &name)?;
        let mut push = lab.docker(&config);
        run(push.args(["push", &name]).env("DOCKER_CONTENT_TRUST", "0"))?;
        let digest = digest(lab, &config, &name)?;
        // What is signed already would not be signed again.
        let number = Cell::new(0);
        let next = || {
            number.set(number.get() + 1);
            number.get()
        };
        let figures = in_turns(
            &[
                Subject {
                    name: "trustgate sign",
                    command: Box::new(|| {
                        let mut command = trustgate(lab, &config);
                        let name = format!("{name}{}@{digest}", next());
                        command.arg("--trust-dir").arg(&trust).args(["sign", &name]);
                        command.env("DOCKER_CONTENT_TRUST_SERVER", &server);
                        with_passphrase(&mut command, DRAWN_PASSPHRASE);
                        command
                    }),
                    prepare: Box::new(|| Ok(())),
                },
                Subject {
                    name: "notary addhash",
                    command: Box::new(|| {
                        let mut command = lab.notary(&server, &trust);
                        let hex = digest.trim_start_matches("sha256:");
                        let tag = format!("other{}", next());
                        command.args(["addhash", "-p", &repository, &tag, "528", "--sha256", hex]);
                        command
                    }),
                    prepare: Box::new(|| Ok(())),
                },
            ],
            ROUNDS,
        )?;
        let [mine, notary] = figures.as_slice() else { anyhow::bail!("two subjects, two figures") };
        writeln!(
            text,
            "| {tags} | {} | {} | {} MiB | {} | {} | {} MiB | {} |",
            milliseconds(mine.median()),
            milliseconds(mine.processor),
            mine.peak_kib / 1024,
            milliseconds(notary.median()),
            milliseconds(notary.processor),
            notary.peak_kib / 1024,
            ratio(mine.ratio_to(notary)),
        )?;
    }
    Ok(text)
}

fn added(with: &Figures, without: &Figures) -> Duration {
    with.median().saturating_sub(without.median())
}

/// `trustgate` with this configuration folder, on the lab's engine.
fn trustgate(lab: &Lab, config: &Path) -> Command {
    let mut command = lab.program("trustgate");
    command.arg("--config").arg(config).env("DOCKER_HOST", &lab.docker_host);
    command
}

/// An image of one file under this name, in the lab's engine.
fn import(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let folder: PathBuf = lab.folder.join("bench/image");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("hello"), name)?;
    let archive = lab.folder.join("bench/image.tar");
    run(Command::new("tar").arg("-C").arg(&folder).arg("-cf").arg(&archive).arg("hello"))?;
    let config = lab.configuration("import", lab.trust_server)?;
    run(lab.docker(&config).arg("import").arg(&archive).arg(name))
}

/// The digest under which the registry keeps what was pushed.
fn digest(lab: &Lab, config: &Path, name: &str) -> anyhow::Result<String> {
    let output = lab
        .docker(config)
        .args(["image", "inspect", "--format", "{{index .RepoDigests 0}}", name])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let digest = text.trim().split_once('@').map(|(_, digest)| digest.to_owned()).unwrap_or_default();
    ensure!(digest.starts_with("sha256:"), "docker names no digest for {name}: {text}");
    Ok(digest)
}

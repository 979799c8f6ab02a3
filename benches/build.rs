//! A cached build, gated, beside the same through a frontend that only forwards and through the engine's own.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::lab::{Lab, run};
use crate::measure::{Figures, Subject, in_turns};
use crate::report::{milliseconds, ratio};

const ROUNDS: usize = 15;

/// Measures builds of one signed FROM on Debian 12's engine, and on Debian 13's where the lab has it.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<String> {
    let config = lab.configuration("build", lab.trust_server)?;
    let folder = lab.folder.join("bench/build");
    let base = push_signed_base(lab, &config)?;
    let gate = push_frontend(lab, &config, "gate", "trustgate-frontend", "usr/bin/trustgate-frontend")?;
    let forward =
        push_frontend(lab, &config, "forward", "examples/forward-frontend", "usr/bin/trustgate-frontend")?;
    let context = folder.join("context");
    fs::create_dir_all(&context)?;
    fs::write(context.join("Dockerfile"), format!("FROM {base}\nRUN [\"/busybox\", \"true\"]\n"))?;

    let mut text = String::from(
        "| engine | gated | only forwarding | the engine's own | gated less forwarding | gated / forwarding |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for (engine, docker) in lab.engines() {
        let build = |frontend: Option<&str>| {
            let mut command = Command::new(&docker);
            command.env("LAB_CONFIG", &config).env("DOCKER_BUILDKIT", "1");
            command.env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
            command.arg("build").arg("--quiet");
            if let Some(frontend) = frontend {
                command.arg("--build-arg").arg(format!("BUILDKIT_SYNTAX={frontend}"));
                command
                    .arg("--build-arg")
                    .arg(format!("DOCKER_CONTENT_TRUST_SERVER=https://{}", lab.trust_server));
            }
            command.arg(&context);
            command
        };
        let nothing = || Box::new(|| Ok(())) as Box<dyn Fn() -> _>;
        let figures = in_turns(
            &[
                Subject { name: "gated", command: Box::new(|| build(Some(&gate))), prepare: nothing() },
                Subject {
                    name: "forwarding",
                    command: Box::new(|| build(Some(&forward))),
                    prepare: nothing(),
                },
                Subject { name: "built in", command: Box::new(|| build(None)), prepare: nothing() },
            ],
            ROUNDS,
        )?;
        let [gated, forwarding, builtin] = figures.as_slice() else { anyhow::bail!("three subjects") };
        writeln!(
            text,
            "| {engine} | {} | {} | {} | {:.1} ms | {} |",
            milliseconds(gated.median()),
            milliseconds(forwarding.median()),
            milliseconds(builtin.median()),
            difference(gated, forwarding),
            ratio(gated.ratio_to(forwarding)),
        )?;
    }
    Ok(text)
}

/// The median of the rounds' differences, in milliseconds.
fn difference(a: &Figures, b: &Figures) -> f64 {
    let differences = a.times.iter().zip(&b.times).map(|(a, b)| (a.as_secs_f64() - b.as_secs_f64()) * 1e3);
    let mut differences: Vec<f64> = differences.collect();
    differences.sort_by(f64::total_cmp);
    differences.get(differences.len() / 2).copied().unwrap_or(f64::NAN)
}

fn push_signed_base(lab: &Lab, config: &Path) -> anyhow::Result<String> {
    let name = format!("{}/bench/base:1", lab.registry);
    let folder = lab.folder.join("bench/base");
    fs::create_dir_all(&folder)?;
    fs::copy(&lab.busybox, folder.join("busybox"))?;
    fs::write(folder.join("Dockerfile"), "FROM scratch\nCOPY busybox /busybox\n")?;
    run(lab
        .docker(config)
        .args(["build", "--quiet", "--tag", &name])
        .arg(&folder)
        .env("DOCKER_BUILDKIT", "1"))?;
    let server = format!("https://{}", lab.trust_server);
    run(lab
        .docker(config)
        .args(["push", &name])
        .env("DOCKER_CONTENT_TRUST", "1")
        .env("DOCKER_CONTENT_TRUST_SERVER", server)
        .env("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "a passphrase for measuring")
        .env("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "a passphrase for measuring"))?;
    Ok(name)
}

/// An image of one program, which also knows the lab's certificate authority.
fn push_frontend(lab: &Lab, config: &Path, tag: &str, program: &str, path: &str) -> anyhow::Result<String> {
    let name = format!("{}/bench/frontend:{tag}", lab.registry);
    let folder = lab.folder.join("bench").join(tag);
    let authority = folder.join("etc/trustgate/tls").join(lab.trust_server.to_string());
    fs::create_dir_all(&authority)?;
    fs::create_dir_all(folder.join(path).parent().unwrap_or(&folder))?;
    fs::copy(lab.programs.join(program), folder.join(path))?;
    fs::copy(&lab.authority, authority.join("ca.crt"))?;
    let recipe = Path::new("image/Dockerfile");
    run(lab
        .docker(config)
        .args(["build", "--quiet", "--tag", &name, "--file"])
        .arg(recipe)
        .arg(&folder)
        .env("DOCKER_BUILDKIT", "1"))?;
    run(lab.docker(config).args(["push", &name]))?;
    Ok(name)
}

//! Two images of one small file each, pushed to the registry without an engine. One is signed.

use std::collections::BTreeMap;
use std::process::Stdio;

use hyper::header::{CONTENT_TYPE, LOCATION};
use hyper::{Method, StatusCode};
use ring::digest::{SHA256, digest};
use serde_json::json;
use url::Url;

use super::configuration::REGISTRY;
use super::folder::{Folder, Notes};
use super::report::variables;
use super::wire::send;
use crate::cli::exit::Failure;
use crate::text::visible;

/// Pushes both and signs one; returns what each is for.
pub(super) async fn make(
    folder: &Folder,
    notes: &Notes,
    program: &std::path::Path,
) -> Result<BTreeMap<String, String>, Failure> {
    let registry = notes.address(REGISTRY).unwrap_or_default();
    let failed =
        |reason: String| Failure::unknown(format!("the registry at {registry} takes no image: {reason}"));
    let mut images = BTreeMap::new();
    for kind in [SIGNED, UNSIGNED] {
        push(&registry, &format!("sandbox/{kind}"), kind).await.map_err(failed)?;
        images.insert(kind.to_owned(), format!("{registry}/sandbox/{kind}:{TAG}"));
    }
    if let Some(image) = images.get(SIGNED) {
        sign(folder, notes, program, image).await?;
    }
    Ok(images)
}

async fn push(registry: &str, repository: &str, kind: &str) -> Result<(), String> {
    let layer = archive("sandbox.txt", &format!("The {kind} image of a content trust sandbox.\n"));
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {"Labels": {"org.opencontainers.image.title": format!("sandbox {kind}")}},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(&layer)]},
    })
    .to_string();
    for blob in [&layer, &config] {
        upload(registry, repository, blob).await?;
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest_of(&config),
            "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": digest_of(&layer),
            "size": layer.len(),
        }],
    });
    let path = format!("/v2/{repository}/manifests/{TAG}");
    let kind = Some((CONTENT_TYPE, MANIFEST_TYPE));
    let reply = send(registry, Method::PUT, &path, kind, manifest.to_string()).await?;
    expect(reply.status, StatusCode::CREATED)
}

async fn upload(registry: &str, repository: &str, blob: &str) -> Result<(), String> {
    let path = format!("/v2/{repository}/blobs/uploads/");
    let reply = send(registry, Method::POST, &path, None, String::new()).await?;
    expect(reply.status, StatusCode::ACCEPTED)?;
    let location = reply.headers.get(LOCATION).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let base = Url::parse(&format!("http://{registry}")).map_err(|error| error.to_string())?;
    let mut place = base.join(location).map_err(|error| error.to_string())?;
    place.query_pairs_mut().append_pair("digest", &digest_of(blob));
    let path = format!("{}?{}", place.path(), place.query().unwrap_or_default());
    let kind = Some((CONTENT_TYPE, "application/octet-stream"));
    let reply = send(registry, Method::PUT, &path, kind, blob.to_owned()).await?;
    expect(reply.status, StatusCode::CREATED)
}

/// Has this program sign it, as a person would who has typed what `up` prints.
async fn sign(folder: &Folder, notes: &Notes, program: &std::path::Path, image: &str) -> Result<(), Failure> {
    let mut command = tokio::process::Command::new(program);
    command.arg("sign").arg(image).envs(variables(folder, notes));
    for name in ["TRUSTGATE_POLICY", "SSL_CERT_FILE", "DOCKER_CONTENT_TRUST"] {
        command.env_remove(name);
    }
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output
        .map_err(|error| Failure::unknown(format!("`{}` does not start: {error}", program.display())))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let failure = Failure::unknown(format!("{image} cannot be signed"));
    Err(said.lines().take(LINES_SHOWN).fold(failure, |failure, line| failure.note(visible(line))))
}

/// A tar archive of one file.
fn archive(name: &str, content: &str) -> String {
    let mut header = String::with_capacity(BLOCK);
    // Name, mode, owner, group, size, time, checksum as if it were blank, type, and who made the format.
    let fields: [(&str, usize); 9] = [
        (name, 100),
        ("0000644", 8),
        ("0000000", 8),
        ("0000000", 8),
        (&format!("{:011o}", content.len()), 12),
        ("00000000000", 12),
        ("        ", 8),
        ("0", 1),
        ("", 100),
    ];
    for (field, width) in fields {
        pad(&mut header, field, width);
    }
    header.push_str("ustar\0");
    header.push_str("00");
    let rest = BLOCK - header.len();
    pad(&mut header, "", rest);
    let sum: u32 = header.bytes().map(u32::from).sum();
    header.replace_range(CHECKSUM, &format!("{sum:06o}\0 "));
    pad(&mut header, content, content.len().next_multiple_of(BLOCK));
    // Two empty blocks are its end.
    pad(&mut header, "", 2 * BLOCK);
    header
}

fn pad(text: &mut String, field: &str, width: usize) {
    text.push_str(field);
    text.extend(std::iter::repeat_n('\0', width.saturating_sub(field.len())));
}

fn digest_of(text: &str) -> String {
    format!("sha256:{}", hex::encode(digest(&SHA256, text.as_bytes())))
}

fn expect(found: StatusCode, expected: StatusCode) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("it answers with status {found}")) }
}

/// As images call this machine's.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

pub(super) const SIGNED: &str = "signed";
pub(super) const UNSIGNED: &str = "unsigned";
const TAG: &str = "1.0";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const BLOCK: usize = 512;
const CHECKSUM: std::ops::Range<usize> = 148..156;
/// An error and what helps.
const LINES_SHOWN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_one_that_tar_reads() {
        let folder = tempfile::tempdir().unwrap();
        let content = "x".repeat(700);
        std::fs::write(folder.path().join("a.tar"), archive("file.txt", &content)).unwrap();
        let tar =
            std::process::Command::new("tar").args(["-xf", "a.tar"]).current_dir(folder.path()).output();
        let output = tar.unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert_eq!(std::fs::read_to_string(folder.path().join("file.txt")).unwrap(), content);
    }
}

//! What `pin --write` does to files: modes, links, and what must be left alone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use insta::assert_snapshot;

use crate::repositories::{acme, digest_of};
use crate::support::Desk;

const UNPINNED: &str = "FROM acme/base:1.4\n";

fn desk() -> Desk {
    let desk = Desk::at(&acme());
    desk.file("Dockerfile", UNPINNED);
    desk
}

fn pinned() -> String {
    format!("FROM acme/base:1.4@{}\n", digest_of("docker.io/acme/base", "1.4"))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn mode_and_links_stay() {
    let desk = desk();
    set_mode(&desk.path("Dockerfile"), 0o640);
    symlink("Dockerfile", desk.path("link")).unwrap();
    assert_eq!(desk.run("-q pin --write link"), "exit code: 0\n");
    assert!(fs::symlink_metadata(desk.path("link")).unwrap().is_symlink());
    assert_eq!(desk.read("Dockerfile"), pinned().as_bytes());
    assert_eq!(fs::metadata(desk.path("Dockerfile")).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(desk.names(), ["Dockerfile", "link"]);
}

#[test]
fn a_file_that_is_pinned_is_not_touched() {
    let desk = desk();
    desk.file("Dockerfile", pinned());
    let before = fs::metadata(desk.path("Dockerfile")).unwrap();
    assert_eq!(desk.run("-q pin --write"), "exit code: 0\n");
    assert_eq!(fs::metadata(desk.path("Dockerfile")).unwrap().ino(), before.ino());
}

#[test]
fn a_read_only_file() {
    let desk = desk();
    set_mode(&desk.path("Dockerfile"), 0o444);
    assert_snapshot!("read_only_file", desk.run("-q pin --write"));
    assert_eq!(desk.read("Dockerfile"), UNPINNED.as_bytes());
}

#[test]
fn a_read_only_folder() {
    let desk = desk();
    desk.file("web/Dockerfile", UNPINNED);
    set_mode(&desk.path("web"), 0o555);
    assert_snapshot!("read_only_folder", desk.run("-q pin --write web/Dockerfile Dockerfile"));
    set_mode(&desk.path("web"), 0o755);
    assert_eq!(desk.read("web/Dockerfile"), UNPINNED.as_bytes());
    // The one that can be written is.
    assert_eq!(desk.read("Dockerfile"), pinned().as_bytes());
}

#[test]
fn what_is_no_regular_file() {
    let desk = desk();
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(UNPINNED.as_bytes()).unwrap();
    drop(writer);
    let output = desk.command(["-q", "pin", "--write", "/dev/stdin"]).stdin(reader).output().unwrap();
    assert_snapshot!("pipe", desk.report(&output));
}

#[test]
fn half_a_pinned_file_is_not_written() {
    let desk = desk();
    let half = format!("{UNPINNED}FROM acme/nothing\n");
    desk.file("Dockerfile", &half);
    assert_snapshot!("refused", desk.run("pin --write"));
    assert_eq!(desk.read("Dockerfile"), half.as_bytes());
}

#[test]
fn json_says_what_was_written() {
    let desk = desk();
    assert_snapshot!("json", desk.run("-q pin --write --output json"));
    assert_eq!(desk.read("Dockerfile"), pinned().as_bytes());
}

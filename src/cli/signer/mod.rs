//! `trustgate signer`: who else may sign the tags of a repository.

use super::exit::Failure;
use crate::keys::KeyRole;
use crate::text::visible;

/// The name of a signer, by docker's rule.
pub(super) fn signer_name(name: &str) -> Result<KeyRole, Failure> {
    let wrong = |message: String| {
        Failure::usage(message).help("use lower-case letters, digits, `-` and `_`, for example `alice`")
    };
    let first = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    let others = |it: u8| first(it) || it == b'-' || it == b'_';
    if !name.bytes().next().is_some_and(first) || !name.bytes().all(others) || name.len() > NAME_LIMIT {
        return Err(wrong(format!("`{}` can't be a signer's name", visible(name))));
    }
    if RESERVED.contains(&name) {
        return Err(wrong(format!("`{name}` can't be a signer's name: a role is called so")));
    }
    name.parse().map_err(|_| wrong(format!("`{name}` can't be a signer's name")))
}

/// Their keys would be taken for those of these roles; docker reserves the last.
const RESERVED: [&str; 5] = ["root", "targets", "snapshot", "timestamp", "releases"];
/// Role names have fewer than 256 characters, `targets/` among them.
const NAME_LIMIT: usize = 247;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_docker_s() {
        for name in ["alice", "0", "ci-team_2"] {
            assert_eq!(signer_name(name).unwrap().as_str(), name);
        }
        let long = "a".repeat(248);
        for name in ["", "Alice", "-a", "_a", "a/b", "a b", "a\u{1b}[2J", "ä", "root", "releases", &long] {
            assert!(signer_name(name).is_err(), "{name}");
        }
    }
}

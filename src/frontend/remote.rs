//! Contexts that are not a directory of the client: git repositories and URLs.
//!
//! What is a git repository and what is a mere URL is told apart as current `BuildKit` does.

use crate::buildkit::audit::place;
use crate::buildkit::llb::Git;

/// What a context's value means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remote {
    /// A git repository.
    Git(Git),
    /// A file or an archive behind a URL.
    Http(String),
}

/// Reads a context's value. `None` where it is no remote context at all.
pub(super) fn parse_remote(text: &str) -> Result<Option<Remote>, RemoteError> {
    if let Some(git) = parse_git(text)? {
        return Ok(Some(Remote::Git(git)));
    }
    let http = text.starts_with("http://") || text.starts_with("https://");
    Ok(http.then(|| Remote::Http(text.to_owned())))
}

/// Whether the start of a file is that of an archive that the builder unpacks:
/// bzip2, gzip, xz, or tar by its checksum.
#[must_use]
pub(super) fn is_archive(start: &[u8]) -> bool {
    const MAGIC: [&[u8]; 3] = [b"BZh", b"\x1f\x8b\x08", b"\xfd7zXZ\x00"];
    MAGIC.iter().any(|magic| start.starts_with(magic)) || is_tar(start)
}

fn is_tar(start: &[u8]) -> bool {
    let (Some(header), Some(field)) = (start.get(..512), start.get(148..156)) else { return false };
    let digits: String = field
        .iter()
        .map(|byte| char::from(*byte))
        .skip_while(|c| *c == ' ')
        .take_while(|c| matches!(c, '0'..='7'))
        .collect();
    let Ok(expected) = u32::from_str_radix(&digits, 8) else { return false };
    // the checksum's own field counts as blanks
    let sum: u32 = header
        .iter()
        .enumerate()
        .map(|(index, byte)| if (148..156).contains(&index) { u32::from(b' ') } else { u32::from(*byte) })
        .sum();
    sum == expected
}

fn parse_git(text: &str) -> Result<Option<Git>, RemoteError> {
    if text.starts_with("./") || text.starts_with("../") {
        return Ok(None);
    }
    let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (address, query) = before.split_once('?').unwrap_or((before, ""));
    let remote = if let Some((scheme, rest)) = address.split_once("://") {
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        // git itself takes the ending as it is written, and so does BuildKit
        let repository = path.strip_suffix(".git").is_some();
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" if !repository => return Ok(None),
            "http" | "https" | "git" | "ssh" => address.to_owned(),
            _ => return Ok(None),
        }
    } else if address.starts_with("github.com/") {
        format!("https://{address}")
    } else if is_scp(address) {
        address.to_owned()
    } else {
        return Ok(None);
    };
    let mut git = Git { identifier: place(&remote), remote, ..Git::default() };
    if !git.remote.contains("://") || git.remote.starts_with("ssh://") {
        let agent = ("git.mountsshsock", "default".to_owned(), "source.git.mountsshsock");
        git.attributes.push(agent);
    }
    let (reference, directory) = fragment.split_once(':').unwrap_or((fragment, ""));
    reference.clone_into(&mut git.reference);
    git.directory = clean(directory);
    read_query(&mut git, query)?;
    Ok(Some(git))
}

/// `user@host:path`, as scp writes it.
fn is_scp(address: &str) -> bool {
    let Some((user, rest)) = address.split_once('@') else { return false };
    let Some((host, _)) = rest.split_once(':') else { return false };
    let word = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    word(user, b"-_") && word(host, b"-.")
}

fn read_query(git: &mut Git, query: &str) -> Result<(), RemoteError> {
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if seen.iter().any(|other| *other == name) {
            return Err(RemoteError::Query { name: name.into_owned(), reason: "it is given twice" });
        }
        seen.push(name.clone().into_owned());
        let wrong = |reason| RemoteError::Query { name: name.clone().into_owned(), reason };
        let switch = || match value.as_ref() {
            "" => Ok(true),
            text => crate::gate::parse_boolean(text).ok_or_else(|| wrong("it is neither true nor false")),
        };
        let takes_no_value = matches!(name.as_ref(), "submodules" | "keep-git-dir" | "fetch-by-commit");
        if value.is_empty() && !takes_no_value {
            return Err(wrong("it has no value"));
        }
        let mut attribute = |name, value: &str, cap| git.attributes.push((name, value.to_owned(), cap));
        match name.as_ref() {
            "subdir" => set(&mut git.directory, clean(&value), &wrong)?,
            "ref" => set(&mut git.reference, value.into_owned(), &wrong)?,
            "tag" => set(&mut git.reference, qualified("refs/tags/", &value), &wrong)?,
            "branch" => set(&mut git.reference, qualified("refs/heads/", &value), &wrong)?,
            "checksum" | "commit" => attribute("git.checksum", &value, "source.git.checksum"),
            "keep-git-dir" => {
                if switch()? {
                    attribute("git.keepgitdir", "true", "source.git.keepgitdir");
                }
            }
            "submodules" => {
                if !switch()? {
                    attribute("git.skipsubmodules", "true", "source.git.skipsubmodules");
                }
            }
            "mtime" if matches!(value.as_ref(), "checkout" | "commit") => {
                attribute("git.mtime", &value, "source.git.mtime");
            }
            "mtime" => return Err(wrong("it is neither `checkout` nor `commit`")),
            "fetch-by-commit" => {
                if switch()? {
                    attribute("git.fetchbycommit", "true", "source.git.fetchbycommit");
                }
            }
            _ => return Err(wrong("it is not known")),
        }
    }
    Ok(())
}

fn set(
    slot: &mut String,
    value: String,
    wrong: &dyn Fn(&'static str) -> RemoteError,
) -> Result<(), RemoteError> {
    if !slot.is_empty() && *slot != value {
        return Err(wrong("it says otherwise than what stands before it"));
    }
    *slot = value;
    Ok(())
}

fn qualified(prefix: &str, name: &str) -> String {
    if name.starts_with(prefix) { name.to_owned() } else { format!("{prefix}{name}") }
}

/// A directory inside the repository, without a way out of it.
fn clean(directory: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A git context that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Something after the `?`.
    #[error("the build context's query `{name}` cannot be read: {reason}")]
    Query {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(text: &str) -> Git {
        match parse_remote(text) {
            Ok(Some(Remote::Git(git))) => git,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn git_remotes_are_told_from_urls() {
        for (text, remote, identifier) in [
            ("https://example.org/a/b.git#main:sub", "https://example.org/a/b.git", "example.org/a/b.git"),
            ("github.com/a/b", "https://github.com/a/b", "github.com/a/b"),
            ("git@example.org:a/b.git", "git@example.org:a/b.git", "example.org/a/b.git"),
            ("ssh://git@example.org:22/a/b", "ssh://git@example.org:22/a/b", "example.org:22/a/b"),
            ("git://example.org/a", "git://example.org/a", "example.org/a"),
            ("http://127.0.0.1:8080/r.git", "http://127.0.0.1:8080/r.git", "127.0.0.1:8080/r.git"),
        ] {
            let git = git(text);
            assert_eq!((git.remote.as_str(), git.identifier.as_str()), (remote, identifier), "{text}");
        }
        for text in
            ["http://build-context-1", "https://example.org/a.tar.gz", "https://example.org/Dockerfile"]
        {
            assert_eq!(parse_remote(text), Ok(Some(Remote::Http(text.to_owned()))));
        }
        for text in
            ["", ".", "./a.git", "../b.git", "dir", "ftp://example.org/a.git", "C:\\dir", "file:///a.git"]
        {
            assert_eq!(parse_remote(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn fragments_and_queries_choose_what_is_checked_out() {
        let fragment = git("https://example.org/a.git#v1:/x/../sub/");
        assert_eq!((fragment.reference.as_str(), fragment.directory.as_str()), ("v1", "sub"));
        let query =
            git("https://example.org/a.git?tag=v1&subdir=s&submodules=false&keep-git-dir&checksum=abc");
        assert_eq!((query.reference.as_str(), query.directory.as_str()), ("refs/tags/v1", "s"));
        let names: Vec<&str> = query.attributes.iter().map(|(name, _, _)| *name).collect();
        assert_eq!(names, ["git.skipsubmodules", "git.keepgitdir", "git.checksum"]);
        for text in ["ref=a&tag=b", "ref=a&ref=a", "mtime=now", "evil=1", "checksum="] {
            let text = format!("https://example.org/a.git?{text}");
            assert!(parse_remote(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn archives_are_known_by_their_start() {
        assert!(is_archive(b"\x1f\x8b\x08\x00"));
        assert!(is_archive(b"BZh9"));
        assert!(is_archive(b"\xfd7zXZ\x00"));
        let mut tar = [0_u8; 1024];
        tar[..4].copy_from_slice(b"file");
        tar[148..156].copy_from_slice(b"        ");
        let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
        tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(is_archive(&tar));
        tar[0] = b'F';
        assert!(!is_archive(&tar));
        for text in [&b""[..], b"FROM scratch", &[b' '; 1024], &[0; 1024]] {
            assert!(!is_archive(text));
        }
    }
}

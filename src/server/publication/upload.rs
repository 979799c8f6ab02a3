//! What a client hands in: files by their roles.

use std::collections::BTreeMap;

use super::PublicationError;
use super::claims::Claims;
use super::multipart;
use crate::tuf::{ROOT_LIMIT, RoleName, SNAPSHOT_LIMIT, TARGETS_LIMIT, TIMESTAMP_LIMIT};

/// The files of one publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    files: BTreeMap<RoleName, UploadedFile>,
}

/// A file and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UploadedFile {
    pub(super) content: Vec<u8>,
    pub(super) claims: Claims,
}

impl Upload {
    /// Takes the body of a request apart. A role that comes twice counts as what came last, as in Notary.
    pub fn from_multipart(content_type: &str, body: &[u8]) -> Result<Self, PublicationError> {
        let parts = multipart::parts(content_type, body)
            .map_err(|reason| PublicationError::MalformedUpload { reason })?;
        let mut files = Vec::new();
        for part in parts {
            let name = part.file_name.filter(|it| !it.is_empty()).ok_or(PublicationError::NoFilename)?;
            let name = name.strip_suffix(".json").unwrap_or(&name);
            let role = name.parse().map_err(|_| PublicationError::Role { name: name.to_owned() })?;
            files.push((role, part.content.to_vec()));
        }
        Self::new(files)
    }

    /// These files.
    pub fn new(files: impl IntoIterator<Item = (RoleName, Vec<u8>)>) -> Result<Self, PublicationError> {
        let mut upload = Self::default();
        for (role, content) in files {
            let limit = match role.as_str() {
                "root" => ROOT_LIMIT,
                "snapshot" => SNAPSHOT_LIMIT,
                "timestamp" => TIMESTAMP_LIMIT,
                _ => TARGETS_LIMIT,
            };
            if content.len() > limit {
                return Err(PublicationError::refused(&role, &format!("it is longer than {limit} bytes")));
            }
            let claims = Claims::read(&role, &content)?;
            // The server writes its own; clients that send one mean nothing by it.
            if role != RoleName::TIMESTAMP {
                upload.files.insert(role, UploadedFile { content, claims });
            }
        }
        Ok(upload)
    }

    /// The roles that have a file.
    pub fn roles(&self) -> impl Iterator<Item = &RoleName> {
        self.files.keys()
    }

    pub(super) fn file(&self, role: &RoleName) -> Option<&UploadedFile> {
        self.files.get(role)
    }

    /// `targets` and delegations, each behind the role that delegates to it.
    pub(super) fn targets(&self) -> impl Iterator<Item = (&RoleName, &UploadedFile)> {
        self.files.iter().filter(|(role, _)| **role == RoleName::TARGETS || role.is_delegation())
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&RoleName, &UploadedFile)> {
        self.files.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(parts: &[(&str, &str)]) -> Result<Upload, PublicationError> {
        let part = |(name, content): &(&str, &str)| {
            format!("--b\r\nContent-Disposition: form-data; filename=\"{name}\"\r\n\r\n{content}\r\n")
        };
        let body: String = parts.iter().map(part).collect();
        Upload::from_multipart("multipart/form-data; boundary=b", format!("{body}--b--\r\n").as_bytes())
    }

    const FILE: &str = r#"{"signed":{"version":1},"signatures":[]}"#;

    #[test]
    fn files_are_filed_by_role() {
        let later = FILE.replace('1', "2");
        let upload =
            upload(&[("targets.json", FILE), ("targets/a", FILE), ("timestamp", FILE), ("targets", &later)]);
        let upload = upload.unwrap();
        assert_eq!(upload.roles().map(RoleName::as_str).collect::<Vec<_>>(), ["targets", "targets/a"]);
        assert_eq!(upload.file(&RoleName::TARGETS).unwrap().claims.version.get(), 2);
    }

    #[test]
    fn what_is_not_an_upload_is_told_apart() {
        use PublicationError::{MalformedJson, NoFilename, Role};
        assert!(matches!(upload(&[("", FILE)]), Err(NoFilename)));
        for name in ["../root", "mirrors", "targets/", "targets/A", "Root", "targets/a/../b", ".json"] {
            assert!(matches!(upload(&[(name, FILE)]), Err(Role { .. })), "{name}");
        }
        assert!(matches!(upload(&[("root", "{")]), Err(MalformedJson { .. })));
        assert!(matches!(upload(&[("timestamp", "{")]), Err(MalformedJson { .. })));
        let long = " ".repeat(TIMESTAMP_LIMIT + 1);
        assert!(upload(&[("timestamp", &long)]).is_err());
        assert!(matches!(
            Upload::from_multipart("text/plain", b""),
            Err(PublicationError::MalformedUpload { .. })
        ));
    }
}

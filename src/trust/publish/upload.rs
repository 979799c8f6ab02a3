//! What a publisher asks of the trust server: taking files, telling and renewing its keys, deleting.

use bytes::Bytes;

use super::PublishError;
use crate::http::{HttpError, Upload, Verb};
use crate::trust::remote::Remote;
use crate::tuf::{PublicKey, RoleName};

/// What became of files that were handed in.
pub(super) enum Answer {
    /// The server took them.
    Taken,
    /// Somebody else published meanwhile.
    Conflict,
    /// They are wrong; perhaps only because somebody else published meanwhile.
    Rejected(PublishError),
    /// It is not known whether the server took them.
    Unclear(HttpError),
    /// The server did not look at them.
    Failed(PublishError),
}

/// Hands files in, all in one request.
pub(super) async fn post(remote: &Remote, files: &[(RoleName, Vec<u8>)], boundary: [u8; 16]) -> Answer {
    let boundary = hex::encode(boundary);
    let upload = Upload {
        content_type: format!("multipart/form-data; boundary={boundary}"),
        content: multipart(files, &boundary),
    };
    match remote.request(Verb::Post(upload), "", ANSWER_LIMIT, None).await {
        Ok(_) => Answer::Taken,
        Err(HttpError::Status { status: 400, problem, .. }) if problem.code == VERSION => Answer::Conflict,
        Err(HttpError::Status { status: 400, problem, .. }) => {
            let texts = [&problem.message, &problem.detail];
            let texts: Vec<&str> =
                texts.into_iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
            let reason = if texts.is_empty() { "it gave no reason".to_owned() } else { texts.join(": ") };
            let (gun, server) = (remote.gun().clone(), remote.server());
            Answer::Rejected(PublishError::Rejected { gun, server, reason, code: problem.code })
        }
        Err(error) if may_have_arrived(&error) => Answer::Unclear(error),
        Err(error) => Answer::Failed(explain(remote, error)),
    }
}

/// Whether the server's storage failed, which is how PostgreSQL tells that somebody else was faster.
pub(super) fn is_collision(error: &HttpError) -> bool {
    matches!(error, HttpError::Status { status: 500, problem, .. } if problem.code == UPDATING)
}

/// The server's public key for a role of a repository; a new one, where it is to be renewed.
pub(super) async fn server_key(
    remote: &Remote,
    role: &RoleName,
    which: ServerKey,
) -> Result<PublicKey, PublishError> {
    let name = format!("{role}.key");
    let answer = match which {
        ServerKey::Current => remote.request(Verb::Get, &name, KEY_LIMIT, None).await,
        ServerKey::New => {
            let nothing = Upload { content_type: "text/plain".to_owned(), content: Bytes::new() };
            remote.request(Verb::Post(nothing), &name, KEY_LIMIT, Some(EVERYTHING)).await
        }
    };
    let body = answer.map_err(|it| explain(remote, it))?.body;
    PublicKey::from_json(&body).map_err(|reason| PublishError::ServerKey {
        gun: remote.gun().clone(),
        server: remote.server(),
        role: role.clone(),
        reason,
    })
}

/// Which of the server's keys is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerKey {
    /// The one that it has.
    Current,
    /// Another one.
    New,
}

/// Deletes the repository's trust data. That there was none is no error.
pub(super) async fn delete(remote: &Remote) -> Result<(), PublishError> {
    match remote.request(Verb::Delete, "", ANSWER_LIMIT, Some(EVERYTHING)).await {
        Ok(_) | Err(HttpError::Status { status: 404, .. }) => Ok(()),
        Err(error) => Err(explain(remote, error)),
    }
}

/// Tells a failure in the words of the repository.
pub(super) fn explain(remote: &Remote, source: HttpError) -> PublishError {
    let (gun, server) = (remote.gun().clone(), remote.server());
    match source {
        HttpError::Unauthorized { .. } | HttpError::Status { status: 401 | 403, .. } => {
            PublishError::Unauthorized { gun, registry: remote.registry().to_owned(), source }
        }
        source => {
            let unclear = may_have_arrived(&source);
            PublishError::Upload { gun, server, source, unclear }
        }
    }
}

/// Whether a request that ended like this may have done what it asks.
fn may_have_arrived(error: &HttpError) -> bool {
    match error {
        HttpError::Connect { .. } => false,
        HttpError::Status { status, .. } => (500..600).contains(status) || *status == TOO_MANY,
        error if error.is_unreachable() => true,
        HttpError::Protocol { .. } | HttpError::TooLarge { .. } | HttpError::Encoding { .. } => true,
        _ => false,
    }
}

/// The body as Notary's clients write it; without any file it is what they send, too.
fn multipart(files: &[(RoleName, Vec<u8>)], boundary: &str) -> Bytes {
    let length: usize = files.iter().map(|(_, content)| content.len() + PART_HEAD).sum();
    let mut body = Vec::with_capacity(length + 2 * PART_HEAD);
    for (role, content) in files {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{role}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    if body.is_empty() {
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body.into()
}

/// Somebody was faster.
const VERSION: &str = "VERSION";
/// The storage failed, which is how some storages say the same.
const UPDATING: &str = "UPDATING";
/// What a token must allow for new keys and for deleting.
const EVERYTHING: &str = "*";
const TOO_MANY: u16 = 429;
/// The answer to a publication is empty.
const ANSWER_LIMIT: usize = 64 << 10;
/// A public key; one inside certificates has some kilobytes.
const KEY_LIMIT: usize = 64 << 10;
/// More than the head of a part has, but for the longest roles.
const PART_HEAD: usize = 256;

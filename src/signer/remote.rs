//! A signer in another process, ours or Notary's, as a [`KeyService`].
//!
//! Nothing that it answers is believed: a key must have the ID that it is given by, and an answer
//! must be about the key that was asked for. Whether a signature is one, whoever publishes it checks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use tower::service_fn;

use super::key_service::{KeyAlgorithm, KeyInfo, KeyService, KeyServiceError};
use super::wire::health::health_client::HealthClient;
use super::wire::health::{Question, State};
use super::wire::key_management_client::KeyManagementClient;
use super::wire::signer_client::SignerClient;
use super::wire::{self, KEY_MANAGEMENT_HEALTH, MESSAGE_LIMIT, SIGNER_HEALTH, WIRE_LIMIT};
use crate::image::Gun;
use crate::tuf::author::{RawSignature, SignatureMethod};
use crate::tuf::{KeyId, KeyType, PublicKey, RoleName};

/// A connection to a signer, made when it is first needed, and again after it was lost.
#[derive(Clone, Debug)]
pub struct RemoteSigner {
    keys: KeyManagementClient<Channel>,
    signer: SignerClient<Channel>,
    health: HealthClient<Channel>,
}

impl RemoteSigner {
    /// The signer at this host and port. To be called inside a runtime.
    pub fn new(host: &str, port: u16, tls: Arc<ClientConfig>) -> Result<Self, KeyServiceError> {
        let invalid = |reason: String| KeyServiceError::Failed {
            reason: format!("`{host}:{port}` is no address of a signer: {reason}"),
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|it| invalid(it.to_string()))?;
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        // TLS is this connector's own; the request says what is really spoken.
        let endpoint = Endpoint::from_shared(format!("http://{bracketed}:{port}"))
            .map_err(|it| invalid(it.to_string()))?;
        let origin: Uri =
            format!("https://{bracketed}:{port}").parse().map_err(|it| invalid(format!("{it}")))?;
        let (connector, target) = (TlsConnector::from(tls), (host.to_owned(), port));
        let connector = service_fn(move |_: Uri| {
            let (connector, name, target) = (connector.clone(), name.clone(), target.clone());
            async move {
                let connecting = async {
                    let socket = TcpStream::connect((target.0.as_str(), target.1)).await?;
                    socket.set_nodelay(true)?;
                    connector.connect(name, socket).await
                };
                let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
                let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(late)??;
                Ok::<_, io::Error>(TokioIo::new(stream))
            }
        });
        let channel = endpoint
            .origin(origin)
            .timeout(REQUEST_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .connect_with_connector_lazy(connector);
        Ok(Self {
            keys: KeyManagementClient::new(channel.clone()).max_decoding_message_size(ANSWER_LIMIT),
            signer: SignerClient::new(channel.clone())
                .max_decoding_message_size(ANSWER_LIMIT)
                .max_encoding_message_size(WIRE_LIMIT),
            health: HealthClient::new(channel).max_decoding_message_size(ANSWER_LIMIT),
        })
    }
}

#[cfg(test)]
impl RemoteSigner {
    /// The wire below, for requests that this client would never make.
    pub(super) fn keys_for_tests(&self) -> KeyManagementClient<Channel> {
        self.keys.clone()
    }
}

impl KeyService for RemoteSigner {
    fn create<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        algorithm: KeyAlgorithm,
    ) -> BoxFuture<'a, Result<PublicKey, KeyServiceError>> {
        let request =
            wire::NewKey { algorithm: algorithm.to_string(), gun: gun.to_string(), role: role.to_string() };
        async move {
            let answer = self.keys.clone().create_key(request).await;
            let wire::PublicKey { kind, material } = answer.map_err(|it| failure(&it, None))?.into_inner();
            let key = public_key(kind, material)?;
            if *key.key_type() == algorithm.key_type() {
                Ok(key)
            } else {
                Err(misbehaved(format!("a key of type {} instead of {algorithm}", key.key_type())))
            }
        }
        .boxed()
    }

    fn info<'a>(&'a self, key: &'a KeyId) -> BoxFuture<'a, Result<KeyInfo, KeyServiceError>> {
        async move {
            let answer = self.keys.clone().get_key_info(key_name(key)).await;
            let answer = answer.map_err(|it| failure(&it, Some(key)))?.into_inner();
            let public = public_key(answer.kind, answer.material)?;
            if public.canonical_id() != key {
                return Err(another(key, public.canonical_id().as_str()));
            }
            let role = answer.role.parse().map_err(|_| misbehaved("the key has no valid role".to_owned()))?;
            Ok(KeyInfo { public, role })
        }
        .boxed()
    }

    fn sign<'a>(
        &'a self,
        key: &'a KeyId,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<RawSignature, KeyServiceError>> {
        async move {
            if MESSAGE_LIMIT < message.len() {
                return Err(KeyServiceError::TooLong { length: message.len(), limit: MESSAGE_LIMIT });
            }
            let request = wire::ToBeSigned { key: Some(key_name(key)), message: message.to_vec() };
            let answer = self.signer.clone().sign(request).await;
            raw_signature(answer.map_err(|it| failure(&it, Some(key)))?.into_inner(), key)
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a KeyId) -> BoxFuture<'a, Result<(), KeyServiceError>> {
        async move {
            let answer = self.keys.clone().delete_key(key_name(key)).await;
            answer.map(drop).map_err(|it| failure(&it, Some(key)))
        }
        .boxed()
    }

    fn health(&self) -> BoxFuture<'_, Result<(), KeyServiceError>> {
        async move {
            for service in [KEY_MANAGEMENT_HEALTH, SIGNER_HEALTH] {
                let question = Question { service: service.to_owned() };
                let answer = self.health.clone().check(question).await;
                let state = answer.map_err(|it| failure(&it, None))?.into_inner().state;
                if state != i32::from(State::Serving) {
                    return Err(unavailable(format!("the signer says that `{service}` does not work")));
                }
            }
            Ok(())
        }
        .boxed()
    }
}

fn key_name(key: &KeyId) -> wire::KeyName {
    wire::KeyName { digits: key.to_string() }
}

/// The key that these bytes are, which must have the ID that comes with them.
fn public_key(kind: Option<wire::KeyKind>, material: Vec<u8>) -> Result<PublicKey, KeyServiceError> {
    let wire::KeyKind { key, algorithm } = kind.unwrap_or_default();
    let key_type = match algorithm.map(|it| it.name).unwrap_or_default().as_str() {
        "ecdsa" => KeyType::Ecdsa,
        "ed25519" => KeyType::Ed25519,
        "rsa" => KeyType::Rsa,
        other => return Err(misbehaved(format!("a key of algorithm {other:.40?}"))),
    };
    let public = PublicKey::new(key_type, material);
    let claimed = key.map(|it| it.digits).unwrap_or_default();
    if claimed == public.canonical_id().as_str() {
        Ok(public)
    } else {
        Err(another(public.canonical_id(), &claimed))
    }
}

/// The signature in this answer, which must be one of this key.
fn raw_signature(answer: wire::Signature, key: &KeyId) -> Result<RawSignature, KeyServiceError> {
    let wire::Signature { kind, method, signature } = answer;
    let used = kind.and_then(|it| it.key).map(|it| it.digits).unwrap_or_default();
    if used != key.as_str() {
        return Err(another(key, &used));
    }
    let method = match method.map(|it| it.name).unwrap_or_default().as_str() {
        "ecdsa" => SignatureMethod::Ecdsa,
        "eddsa" => SignatureMethod::Eddsa,
        "rsapss" => SignatureMethod::RsaPss,
        other => return Err(misbehaved(format!("a signature of method {other:.40?}"))),
    };
    Ok(RawSignature { method, bytes: signature })
}

/// What an error of the wire means; `key` is what was asked for.
fn failure(status: &Status, key: Option<&KeyId>) -> KeyServiceError {
    let said: String = status.message().chars().take(SHOWN).collect();
    let reason = format!("{:?}: {said}", status.code());
    match (status.code(), key) {
        (Code::NotFound, Some(key)) => KeyServiceError::Unknown { key: key.clone() },
        (
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::ResourceExhausted
            | Code::Aborted,
            _,
        ) => unavailable(reason),
        _ => KeyServiceError::Failed { reason },
    }
}

fn unavailable(reason: String) -> KeyServiceError {
    KeyServiceError::Unavailable { reason }
}

fn misbehaved(reason: String) -> KeyServiceError {
    KeyServiceError::Misbehaved { reason }
}

fn another(asked: &KeyId, found: &str) -> KeyServiceError {
    misbehaved(format!("it is about key {found:.64?}, not {asked}"))
}

/// A public RSA key is a tenth of it.
const ANSWER_LIMIT: usize = 16 << 10;
/// As much of a signer's words as a message shows.
const SHOWN: usize = 200;
/// Signers are near their servers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than a signer gives itself.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_mins(1);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(digits: &str, algorithm: &str) -> wire::KeyKind {
        wire::KeyKind {
            key: Some(wire::KeyName { digits: digits.to_owned() }),
            algorithm: Some(wire::Algorithm { name: algorithm.to_owned() }),
        }
    }

    #[test]
    fn a_signature_of_another_key_or_none_is_not_taken() {
        let digits = "1".repeat(64);
        let key: KeyId = digits.parse().unwrap();
        let answer = |kind, method: Option<&str>| wire::Signature {
            kind,
            method: method.map(|it| wire::Algorithm { name: it.to_owned() }),
            signature: vec![1],
        };
        let good = raw_signature(answer(Some(kind(&digits, "ecdsa")), Some("ecdsa")), &key).unwrap();
        assert_eq!(good, RawSignature { method: SignatureMethod::Ecdsa, bytes: vec![1] });
        for bad in [
            answer(None, Some("ecdsa")),
            answer(Some(kind(&"2".repeat(64), "ecdsa")), Some("ecdsa")),
            answer(Some(kind(&digits, "ecdsa")), None),
            answer(Some(kind(&digits, "ecdsa")), Some("rsapkcs1v15")),
        ] {
            let told = raw_signature(bad.clone(), &key);
            assert!(matches!(told, Err(KeyServiceError::Misbehaved { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_key_of_another_id_is_not_taken() {
        let material = vec![7; 32];
        let key = PublicKey::new(KeyType::Ed25519, material.clone());
        let id = key.canonical_id().as_str();
        assert_eq!(public_key(Some(kind(id, "ed25519")), material.clone()).unwrap(), key);
        for bad in [
            None,
            Some(kind("", "ed25519")),
            Some(kind(id, "ecdsa")),
            Some(kind(id, "")),
            Some(kind(id, "ed448")),
        ] {
            let told = public_key(bad.clone(), material.clone());
            assert!(matches!(told, Err(KeyServiceError::Misbehaved { .. })), "{bad:?}");
        }
    }
}

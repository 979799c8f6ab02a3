//! Notary's signer API over a [`KeyService`]: what a trust server, ours or Notary's, calls.
//!
//! Knows the wire and its limits. Who may call at all was settled before, by TLS.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::journal::{Event, Journal, Peer};
use super::key_service::{KeyAlgorithm, KeyService, KeyServiceError};
use super::wire::health::health_server::{Health, HealthServer};
use super::wire::health::{Answer, Question, State};
use super::wire::key_management_server::{KeyManagement, KeyManagementServer};
use super::wire::signer_server::{Signer, SignerServer};
use super::wire::{
    Algorithm, KEY_MANAGEMENT_HEALTH, KeyDescription, KeyKind, KeyName, NewKey, Nothing, PublicKey,
    SIGNER_HEALTH, Signature, ToBeSigned, WIRE_LIMIT,
};
use crate::image::Gun;
use crate::tuf::author::SignatureMethod;
use crate::tuf::{self, KeyId, KeyType, RoleName};

/// The services of one signer.
#[derive(Clone)]
pub(super) struct Services {
    keys: Arc<dyn KeyService>,
    journal: Journal,
}

impl Services {
    pub(super) fn new(keys: Arc<dyn KeyService>, journal: Journal) -> Self {
        Self { keys, journal }
    }

    pub(super) fn key_management(&self) -> KeyManagementServer<Self> {
        KeyManagementServer::new(self.clone()).max_decoding_message_size(REQUEST_LIMIT)
    }

    pub(super) fn signer(&self) -> SignerServer<Self> {
        SignerServer::new(self.clone()).max_decoding_message_size(WIRE_LIMIT)
    }

    pub(super) fn health(&self) -> HealthServer<Self> {
        HealthServer::new(self.clone()).max_decoding_message_size(REQUEST_LIMIT)
    }

    fn refused(&self, peer: &Peer, method: &'static str, reason: &str) -> Status {
        (self.journal)(&Event::Refused { peer, method, reason });
        Status::invalid_argument(reason)
    }

    fn failed(&self, peer: &Peer, method: &'static str, reason: &KeyServiceError) -> Status {
        (self.journal)(&Event::Failed { peer, method, reason });
        match reason {
            KeyServiceError::Algorithm { .. } | KeyServiceError::TooLong { .. } => {
                Status::invalid_argument(reason.to_string())
            }
            KeyServiceError::Unknown { .. } => Status::not_found(reason.to_string()),
            // Where keys are and how they are sealed is the operator's to know.
            KeyServiceError::Unavailable { .. } => Status::unavailable("keys cannot be reached now"),
            KeyServiceError::Damaged { .. }
            | KeyServiceError::Failed { .. }
            | KeyServiceError::Misbehaved { .. } => Status::internal("the key cannot be used"),
        }
    }

    fn key_id(&self, peer: &Peer, method: &'static str, name: Option<&KeyName>) -> Result<KeyId, Status> {
        let digits = name.map(|it| it.digits.as_str()).unwrap_or_default();
        digits.parse().map_err(|it: tuf::KeyIdError| self.refused(peer, method, &it.to_string()))
    }
}

#[tonic::async_trait]
impl KeyManagement for Services {
    async fn create_key(&self, request: Request<NewKey>) -> Result<Response<PublicKey>, Status> {
        const METHOD: &str = "CreateKey";
        let peer = peer(&request);
        let NewKey { algorithm, gun, role } = request.into_inner();
        let algorithm: KeyAlgorithm = algorithm.parse().map_err(|it| self.failed(&peer, METHOD, &it))?;
        let gun: Gun = gun.parse().map_err(|_| self.refused(&peer, METHOD, "the GUN is none"))?;
        let role: RoleName = role.parse().map_err(|_| self.refused(&peer, METHOD, "the role is none"))?;
        let key = self.keys.create(&gun, &role, algorithm).await;
        let key = key.map_err(|it| self.failed(&peer, METHOD, &it))?;
        (self.journal)(&Event::Created { peer: &peer, key: key.canonical_id(), gun: &gun, role: &role });
        Ok(Response::new(PublicKey { kind: Some(kind(&key)), material: key.public().to_vec() }))
    }

    async fn delete_key(&self, request: Request<KeyName>) -> Result<Response<Nothing>, Status> {
        const METHOD: &str = "DeleteKey";
        let peer = peer(&request);
        let key = self.key_id(&peer, METHOD, Some(request.get_ref()))?;
        self.keys.delete(&key).await.map_err(|it| self.failed(&peer, METHOD, &it))?;
        (self.journal)(&Event::Deleted { peer: &peer, key: &key });
        Ok(Response::new(Nothing {}))
    }

    async fn get_key_info(&self, request: Request<KeyName>) -> Result<Response<KeyDescription>, Status> {
        const METHOD: &str = "GetKeyInfo";
        let peer = peer(&request);
        let key = self.key_id(&peer, METHOD, Some(request.get_ref()))?;
        let info = self.keys.info(&key).await.map_err(|it| self.failed(&peer, METHOD, &it))?;
        Ok(Response::new(KeyDescription {
            kind: Some(kind(&info.public)),
            material: info.public.public().to_vec(),
            role: info.role.to_string(),
        }))
    }
}

#[tonic::async_trait]
impl Signer for Services {
    async fn sign(&self, request: Request<ToBeSigned>) -> Result<Response<Signature>, Status> {
        const METHOD: &str = "Sign";
        let peer = peer(&request);
        let ToBeSigned { key, message } = request.into_inner();
        let key = self.key_id(&peer, METHOD, key.as_ref())?;
        let signature = self.keys.sign(&key, &message).await.map_err(|it| self.failed(&peer, METHOD, &it))?;
        (self.journal)(&Event::Signed { peer: &peer, key: &key, length: message.len() });
        Ok(Response::new(Signature {
            kind: Some(KeyKind {
                key: Some(KeyName { digits: key.to_string() }),
                algorithm: Some(Algorithm { name: key_type(signature.method).to_string() }),
            }),
            method: Some(Algorithm { name: signature.method.as_str().to_owned() }),
            signature: signature.bytes,
        }))
    }
}

#[tonic::async_trait]
impl Health for Services {
    async fn check(&self, request: Request<Question>) -> Result<Response<Answer>, Status> {
        // Both services stand on the same keys.
        let (KEY_MANAGEMENT_HEALTH | SIGNER_HEALTH | "") = request.get_ref().service.as_str() else {
            return Err(Status::not_found("there is no such service"));
        };
        let state = match self.keys.health().await {
            Ok(()) => State::Serving,
            Err(reason) => {
                self.failed(&peer(&request), "Check", &reason);
                State::NotServing
            }
        };
        Ok(Response::new(Answer { state: state.into() }))
    }
}

fn kind(key: &tuf::PublicKey) -> KeyKind {
    KeyKind {
        key: Some(KeyName { digits: key.canonical_id().to_string() }),
        algorithm: Some(Algorithm { name: key.key_type().to_string() }),
    }
}

/// The type of the keys that sign so.
fn key_type(method: SignatureMethod) -> KeyType {
    match method {
        SignatureMethod::Ecdsa => KeyType::Ecdsa,
        SignatureMethod::Eddsa => KeyType::Ed25519,
        SignatureMethod::RsaPss => KeyType::Rsa,
    }
}

fn peer<T>(request: &Request<T>) -> Peer {
    request.extensions().get().cloned().unwrap_or_else(Peer::unknown)
}

/// A GUN, a role, an algorithm, a key ID.
const REQUEST_LIMIT: usize = 4096;

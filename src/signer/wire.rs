//! The messages of Notary's signer, generated from `proto/notary/`.
//!
//! They are the wire's own shapes and mean no more than that: who reads one of them checks it.

mod generated {
    #![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
    include!(concat!(env!("OUT_DIR"), "/notary.rs"));
}

pub(super) use generated::grpc::health::v1 as health;
pub(super) use generated::proto::*;

/// What the health of [`key_management_server`] is asked by.
pub(super) const KEY_MANAGEMENT_HEALTH: &str = "grpc.health.v1.Health.KeyManagement";
/// What the health of [`signer_server`] is asked by.
pub(super) const SIGNER_HEALTH: &str = "grpc.health.v1.Health.Signer";

/// The longest text that is signed: gRPC's default limit, at which a real notary-signer stops too.
/// What a trust server signs, snapshots and timestamps, is far below.
pub(super) const MESSAGE_LIMIT: usize = (4 << 20) - ENVELOPE;
/// The longest message of the wire.
pub(super) const WIRE_LIMIT: usize = 4 << 20;
/// What surrounds the text: a key ID, tags and lengths.
const ENVELOPE: usize = 256;

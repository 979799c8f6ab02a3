//! trustgate with real parts: docker's engines, notary's trust server, docker's own content trust.
//!
//! One binary, one lab. Where an outside program is missing a test says `skipped: … is missing` and passes;
//! with `TRUSTGATE_REQUIRE_ENGINES=1`, as `make test` sets it, it fails.

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod authorities;
mod building;
mod containers;
mod engine;
mod fixtures;
mod gate_stories;
mod harmless;
mod hostile;
mod image;
mod keys;
mod notary_signer;
mod publish;
mod push_faults;
mod push_pull;
mod sandbox;
mod server_crowds;
mod server_databases;
mod server_disks;
mod server_edges;
mod signing;
mod status_page;
mod transfer;
mod trust_access;
mod trust_server;
mod verify_pin;

//! The wire types, generated from `proto/buildkit/`, under shorter names.
//!
//! They are the wire's own shapes and mean no more than that: who reads one of them checks it.

mod generated {
    #![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
    include!(concat!(env!("OUT_DIR"), "/buildkit.rs"));
}

pub use generated::google::rpc;
pub use generated::moby::buildkit::v1::{apicaps, frontend as gateway, sourcepolicy};
pub use generated::pb;

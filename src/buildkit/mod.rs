//! `BuildKit`'s side of the wire: the gateway client over stdio, LLB building and auditing, source policies.

pub mod proto;

//! Compiles `proto/` with protox, so that no `protoc` is needed.

use std::error::Error;

/// BuildKit's gateway, from which every other file is imported.
const GATEWAY: &str = "gateway.proto";
const BUILDKIT: &str = "proto/buildkit";
const NOTARY: &str = "proto/notary";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={BUILDKIT}");
    let files = protox::compile([GATEWAY], [BUILDKIT])?;
    tonic_prost_build::configure()
        // Sorted maps, so that equal messages are equal bytes: an op's digest is its identity.
        .btree_map(".")
        .build_transport(false)
        // The tests' fake daemon is the only server.
        .server_mod_attribute(".", "#[cfg(test)]")
        .include_file("buildkit.rs")
        .compile_fds(files)?;
    println!("cargo::rerun-if-changed={NOTARY}");
    let files = protox::compile(["signer.proto", "health.proto"], [NOTARY])?;
    tonic_prost_build::configure().build_transport(false).include_file("notary.rs").compile_fds(files)?;
    Ok(())
}

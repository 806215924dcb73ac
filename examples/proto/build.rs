//! Compiles `proto/` in Rust, with no `protoc` to install, into
//!
//! 1. code for tonic, one file for each package;
//! 2. `descriptors.binpb`, the descriptor set that transcoding reads.
//!
//! The second is written as protox encodes it. Decoding it into `prost_types::FileDescriptorSet` and encoding that
//! again would drop the `google.api.http` options: prost does not keep extensions.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(true) // comments, for OpenAPI
        .open_files([
            "users/v1/users.proto",
            "google/rpc/status.proto",
            "google/rpc/code.proto",
            "google/rpc/error_details.proto",
        ])?;

    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("descriptors.binpb"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
